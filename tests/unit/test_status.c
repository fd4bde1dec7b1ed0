/* SPDX-License-Identifier: Apache-2.0 */
/* test_status.c - every status has a word of its own.
 * Unit test of layer 1.
 */
#include "core/status.h"
#include <stdbool.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static void every_status_has_its_own_lower_case_word(void **state)
{
    (void)state;

    for (int i = JSFS_OK; i <= JSFS_FAILED; i++) {
        const char *text = jsfs_status_text((enum jsfs_status)i);
        assert_string_not_equal(text, "unknown status");
        assert_int_equal(strspn(text, "abcdefghijklmnopqrstuvwxyz -8"), strlen(text));
        for (int j = JSFS_OK; j < i; j++)
            assert_string_not_equal(text, jsfs_status_text((enum jsfs_status)j));
    }
}

static void a_number_outside_the_list_is_an_unknown_status(void **state)
{
    (void)state;

    assert_string_equal(jsfs_status_text((enum jsfs_status)(JSFS_FAILED + 1)),
                        "unknown status");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_its_own_lower_case_word),
        cmocka_unit_test(a_number_outside_the_list_is_an_unknown_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
