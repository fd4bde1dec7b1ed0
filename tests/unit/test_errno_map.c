/* SPDX-License-Identifier: Apache-2.0 */
/* test_errno_map.c - every status has an errno. */
#include "fs/errno_map.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void each_status_has_the_errno_of_the_table(void **state)
{
    static const struct {
        enum jsfs_status status;
        int error;
    } rows[] = {
        {JSFS_OK,            0           },
        {JSFS_NOT_FOUND,     ENOENT      },
        {JSFS_EXISTS,        EEXIST      },
        {JSFS_CONFLICT,      ESTALE      },
        {JSFS_STALE,         ESTALE      },
        {JSFS_TOO_LARGE,     EFBIG       },
        {JSFS_NO_SPACE,      ENOSPC      },
        {JSFS_QUOTA,         EDQUOT      },
        {JSFS_SEALED,        EROFS       },
        {JSFS_READ_ONLY,     EROFS       },
        {JSFS_DENIED,        EACCES      },
        {JSFS_NOT_ALLOWED,   EPERM       },
        {JSFS_TIMEOUT,       ETIMEDOUT   },
        {JSFS_UNAVAILABLE,   EHOSTDOWN   },
        {JSFS_BUSY,          EBUSY       },
        {JSFS_BAD_NAME,      EINVAL      },
        {JSFS_NOT_UTF8,      EILSEQ      },
        {JSFS_NAME_TOO_LONG, ENAMETOOLONG},
        {JSFS_NOT_EMPTY,     ENOTEMPTY   },
        {JSFS_IS_DIRECTORY,  EISDIR      },
        {JSFS_NOT_DIRECTORY, ENOTDIR     },
        {JSFS_UNSUPPORTED,   EOPNOTSUPP  },
        {JSFS_CORRUPT,       EIO         },
        {JSFS_INTERRUPTED,   EINTR       },
        {JSFS_NO_MEMORY,     ENOMEM      },
        {JSFS_INVALID,       EINVAL      },
        {JSFS_FAILED,        EIO         },
    };
    (void)state;

    assert_int_equal(sizeof(rows) / sizeof(rows[0]), JSFS_FAILED + 1);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(errno_of(rows[i].status), rows[i].error);
}

static void a_value_outside_of_the_list_is_an_io_error(void **state)
{
    (void)state;
    assert_int_equal(errno_of((enum jsfs_status)(JSFS_FAILED + 1)), EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_status_has_the_errno_of_the_table),
        cmocka_unit_test(a_value_outside_of_the_list_is_an_io_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
