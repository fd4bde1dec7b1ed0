/* SPDX-License-Identifier: Apache-2.0 */
/* test_name_set.c - marks on names, through growth and failed growth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/name_set.h"
#include "tests/support/failing_malloc.h"
#include <stdio.h>

static void marks_survive_growth_and_can_be_taken_back(void **state)
{
    struct name_set set = {0};
    char name[16];

    (void)state;
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        assert_false(name_set_has(&set, name));
        name_set_put(&set, name, true);
    }
    for (int i = 0; i < 5000; i += 2) {
        snprintf(name, sizeof(name), "n%d", i);
        name_set_put(&set, name, false);
    }
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        assert_int_equal(name_set_has(&set, name), i % 2);
    }
    name_set_put(&set, "n0", true);
    assert_true(name_set_has(&set, "n0"));
    name_set_clear(&set);
    assert_false(name_set_has(&set, "n0"));
}

static void unmarking_what_is_not_there_takes_no_memory(void **state)
{
    struct name_set set = {0};

    (void)state;
    name_set_put(&set, "a", false);
    assert_int_equal(set.capacity, 0);
}

static void without_memory_old_marks_stay(void **state)
{
    struct name_set set = {0};
    char name[16];
    bool failed = false;

    (void)state;
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        failing_malloc_start(1);
        name_set_put(&set, name, true);
        failed = failing_malloc_stop();
        assert_int_equal(name_set_has(&set, name), !failed);
        if (failed)
            name_set_put(&set, name, true);
        assert_true(name_set_has(&set, "n0"));
        assert_true(name_set_has(&set, name));
    }
    name_set_clear(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(marks_survive_growth_and_can_be_taken_back),
        cmocka_unit_test(unmarking_what_is_not_there_takes_no_memory),
        cmocka_unit_test(without_memory_old_marks_stay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
