/* SPDX-License-Identifier: Apache-2.0 */
/* test_status_fold.c - both tables, row by row. */
#include "core/status_fold.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>

static void every_nats_status_has_its_meaning(void **state)
{
    static const struct {
        natsStatus nats;
        enum jsfs_status status;
    } rows[] = {
        {NATS_OK,                         JSFS_OK         },
        {NATS_ERR,                        JSFS_FAILED     },
        {NATS_PROTOCOL_ERROR,             JSFS_FAILED     },
        {NATS_IO_ERROR,                   JSFS_UNAVAILABLE},
        {NATS_LINE_TOO_LONG,              JSFS_FAILED     },
        {NATS_CONNECTION_CLOSED,          JSFS_UNAVAILABLE},
        {NATS_NO_SERVER,                  JSFS_UNAVAILABLE},
        {NATS_STALE_CONNECTION,           JSFS_UNAVAILABLE},
        {NATS_SECURE_CONNECTION_WANTED,   JSFS_INVALID    },
        {NATS_SECURE_CONNECTION_REQUIRED, JSFS_INVALID    },
        {NATS_CONNECTION_DISCONNECTED,    JSFS_UNAVAILABLE},
        {NATS_CONNECTION_AUTH_FAILED,     JSFS_DENIED     },
        {NATS_NOT_PERMITTED,              JSFS_DENIED     },
        {NATS_NOT_FOUND,                  JSFS_NOT_FOUND  },
        {NATS_ADDRESS_MISSING,            JSFS_INVALID    },
        {NATS_INVALID_SUBJECT,            JSFS_BAD_NAME   },
        {NATS_INVALID_ARG,                JSFS_INVALID    },
        {NATS_INVALID_SUBSCRIPTION,       JSFS_UNAVAILABLE},
        {NATS_INVALID_TIMEOUT,            JSFS_INVALID    },
        {NATS_ILLEGAL_STATE,              JSFS_FAILED     },
        {NATS_SLOW_CONSUMER,              JSFS_FAILED     },
        {NATS_MAX_PAYLOAD,                JSFS_TOO_LARGE  },
        {NATS_INSUFFICIENT_BUFFER,        JSFS_UNAVAILABLE},
        {NATS_NO_MEMORY,                  JSFS_NO_MEMORY  },
        {NATS_SYS_ERROR,                  JSFS_FAILED     },
        {NATS_TIMEOUT,                    JSFS_TIMEOUT    },
        {NATS_SSL_ERROR,                  JSFS_FAILED     },
        {NATS_NO_SERVER_SUPPORT,          JSFS_UNSUPPORTED},
        {NATS_NOT_YET_CONNECTED,          JSFS_UNAVAILABLE},
        {NATS_DRAINING,                   JSFS_UNAVAILABLE},
        {NATS_NO_RESPONDERS,              JSFS_UNAVAILABLE},
        {(natsStatus)4711,                JSFS_FAILED     },
    };
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (status_fold_nats(rows[i].nats) != rows[i].status)
            fail_msg("natsStatus %d: got %s", (int)rows[i].nats,
                     jsfs_status_text(status_fold_nats(rows[i].nats)));
}

static enum jsfs_status fold(int code, int err_code, const char *text)
{
    struct js_error error = {.code = code, .err_code = err_code};

    snprintf(error.description, sizeof(error.description), "%s", text);
    return status_fold_js(&error);
}

static void every_jetstream_code_has_its_meaning(void **state)
{
    static const struct {
        int err_code;
        enum jsfs_status status;
    } rows[] = {
        {10071, JSFS_CONFLICT   },
        {10164, JSFS_CONFLICT   },
        {10037, JSFS_NOT_FOUND  },
        {10059, JSFS_NOT_FOUND  },
        {10014, JSFS_NOT_FOUND  },
        {10058, JSFS_EXISTS     },
        {10065, JSFS_EXISTS     },
        {10013, JSFS_EXISTS     },
        {10148, JSFS_EXISTS     },
        {10023, JSFS_NO_SPACE   },
        {10047, JSFS_NO_SPACE   },
        {10028, JSFS_NO_SPACE   },
        {10002, JSFS_QUOTA      },
        {10120, JSFS_QUOTA      },
        {10122, JSFS_QUOTA      },
        {10027, JSFS_QUOTA      },
        {10113, JSFS_INVALID    },
        {10026, JSFS_BUSY       },
        {10054, JSFS_TOO_LARGE  },
        {10097, JSFS_TOO_LARGE  },
        {10109, JSFS_SEALED     },
        {10057, JSFS_NOT_ALLOWED},
        {10110, JSFS_NOT_ALLOWED},
        {10111, JSFS_NOT_ALLOWED},
        {10003, JSFS_INVALID    },
        {10025, JSFS_INVALID    },
        {10052, JSFS_INVALID    },
        {10074, JSFS_INVALID    },
        {10128, JSFS_INVALID    },
        {10060, JSFS_FAILED     },
        {10056, JSFS_FAILED     },
        {10039, JSFS_UNSUPPORTED},
        {10076, JSFS_UNSUPPORTED},
        {10035, JSFS_UNSUPPORTED},
        {10008, JSFS_UNAVAILABLE},
        {10004, JSFS_UNAVAILABLE},
        {10009, JSFS_UNAVAILABLE},
        {10118, JSFS_UNAVAILABLE},
        {10194, JSFS_UNAVAILABLE},
        {10163, JSFS_UNAVAILABLE},
        {10158, JSFS_BUSY       },
        {10167, JSFS_BUSY       },
        {10210, JSFS_BUSY       },
        {10211, JSFS_BUSY       },
        {10165, JSFS_UNSUPPORTED},
        {10166, JSFS_UNSUPPORTED},
        {10174, JSFS_UNSUPPORTED},
        {10205, JSFS_UNSUPPORTED},
        {10185, JSFS_UNSUPPORTED},
        {10175, JSFS_UNSUPPORTED},
        {10176, JSFS_UNSUPPORTED},
        {10179, JSFS_UNSUPPORTED},
        {10199, JSFS_UNSUPPORTED},
        {10200, JSFS_UNSUPPORTED},
        {10201, JSFS_UNSUPPORTED},
    };
    (void)state;

    /* The HTTP-like code must not matter where the own code is known. */
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (fold(418, rows[i].err_code, "") != rows[i].status)
            fail_msg("err_code %d: got %s", rows[i].err_code,
                     jsfs_status_text(fold(418, rows[i].err_code, "")));
}

static void an_unknown_code_is_judged_by_its_class(void **state)
{
    static const struct {
        int code;
        enum jsfs_status status;
    } rows[] = {
        {400, JSFS_INVALID    },
        {401, JSFS_DENIED     },
        {403, JSFS_DENIED     },
        {404, JSFS_NOT_FOUND  },
        {408, JSFS_TIMEOUT    },
        {409, JSFS_BUSY       },
        {412, JSFS_UNSUPPORTED},
        {413, JSFS_TOO_LARGE  },
        {429, JSFS_BUSY       },
        {503, JSFS_UNAVAILABLE},
        {500, JSFS_FAILED     },
        {0,   JSFS_FAILED     },
    };
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(fold(rows[i].code, 19999, ""), rows[i].status);
    assert_int_equal(fold(404, 0, ""), JSFS_NOT_FOUND);
}

static void a_store_failure_is_judged_by_its_text(void **state)
{
    (void)state;
    assert_int_equal(fold(503, 10077, "maximum bytes exceeded"), JSFS_NO_SPACE);
    assert_int_equal(fold(503, 10077, "maximum messages exceeded"), JSFS_NO_SPACE);
    assert_int_equal(fold(503, 10077, "maximum messages per subject exceeded"),
                     JSFS_NO_SPACE);
    assert_int_equal(fold(503, 10077, "write 1.blk: no space left on device"),
                     JSFS_NO_SPACE);
    assert_int_equal(fold(503, 10077, "store is closed"), JSFS_FAILED);
}

static void no_error_is_ok(void **state)
{
    (void)state;
    assert_int_equal(fold(0, 0, ""), JSFS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_nats_status_has_its_meaning),
        cmocka_unit_test(every_jetstream_code_has_its_meaning),
        cmocka_unit_test(an_unknown_code_is_judged_by_its_class),
        cmocka_unit_test(a_store_failure_is_judged_by_its_text),
        cmocka_unit_test(no_error_is_ok),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
