/* SPDX-License-Identifier: Apache-2.0 */
/* test_own_writes.c - what is remembered of own writes, and for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/own_writes.h"
#include "tests/support/failing_malloc.h"
#include <stdio.h>

static void a_write_is_known_until_it_was_seen(void **state)
{
    struct own_writes writes;

    (void)state;
    own_writes_init(&writes);
    assert_int_equal(own_writes_sequence(&writes, "a"), 0);
    own_writes_note(&writes, "a", 7);
    own_writes_note(&writes, "b", 8);
    own_writes_seen(&writes, "a", 6); /* older: a replica lags */
    assert_int_equal(own_writes_sequence(&writes, "a"), 7);
    own_writes_seen(&writes, "a", 7);
    assert_int_equal(own_writes_sequence(&writes, "a"), 0);
    assert_int_equal(own_writes_sequence(&writes, "b"), 8);
    own_writes_clear(&writes);
}

static void the_newest_write_of_a_name_counts(void **state)
{
    struct own_writes writes;

    (void)state;
    own_writes_init(&writes);
    own_writes_note(&writes, "a", 9);
    own_writes_note(&writes, "a", 5); /* acknowledged later, stored earlier */
    assert_int_equal(own_writes_sequence(&writes, "a"), 9);
    own_writes_note(&writes, "a", 12);
    own_writes_seen(&writes, "a", 9);
    assert_int_equal(own_writes_sequence(&writes, "a"), 12);
    own_writes_clear(&writes);
}

static void of_too_many_the_oldest_are_forgotten(void **state)
{
    struct own_writes writes;
    char name[16];

    (void)state;
    own_writes_init(&writes);
    for (int i = 1; i <= OWN_WRITES_MAX + 100; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        own_writes_note(&writes, name, (uint64_t)i);
    }
    for (int i = 1; i <= OWN_WRITES_MAX + 100; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        assert_int_equal(own_writes_sequence(&writes, name), i <= 100 ? 0 : i);
        own_writes_seen(&writes, name, UINT64_MAX);
    }
    assert_int_equal(writes.count, 0);
    own_writes_note(&writes, "after", 1);
    assert_int_equal(own_writes_sequence(&writes, "after"), 1);
    own_writes_clear(&writes);
}

static void without_memory_nothing_is_remembered(void **state)
{
    struct own_writes writes;

    (void)state;
    own_writes_init(&writes);
    failing_malloc_start(1);
    own_writes_note(&writes, "a", 1);
    assert_true(failing_malloc_stop());
    assert_int_equal(own_writes_sequence(&writes, "a"), 0);
    own_writes_clear(&writes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_is_known_until_it_was_seen),
        cmocka_unit_test(the_newest_write_of_a_name_counts),
        cmocka_unit_test(of_too_many_the_oldest_are_forgotten),
        cmocka_unit_test(without_memory_nothing_is_remembered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
