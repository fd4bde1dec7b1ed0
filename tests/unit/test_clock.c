/* SPDX-License-Identifier: Apache-2.0 */
/* test_clock.c - the clocks go forward and agree in their units.
 * Unit test of layer 1.
 */
#include "core/clock.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static int64_t ns_of(struct timespec moment)
{
    return (int64_t)moment.tv_sec * 1000000000 + moment.tv_nsec;
}

static void the_monotonic_clock_never_goes_back(void **state)
{
    int64_t last = clock_monotonic_ns();
    (void)state;

    for (int i = 0; i < 100000; i++) {
        int64_t now = clock_monotonic_ns();
        assert_true(now >= last);
        last = now;
    }
}

static void milliseconds_are_nanoseconds_cut(void **state)
{
    int64_t before = clock_monotonic_ns();
    int64_t ms = clock_monotonic_ms();
    int64_t after = clock_monotonic_ns();
    (void)state;

    assert_in_range(ms, before / 1000000, after / 1000000);
}

static void the_clock_since_boot_goes_on(void **state)
{
    int64_t before = clock_boot_ms();
    (void)state;

    assert_true(before >= clock_monotonic_ms() - 1); /* it also counts what was slept */
    assert_true(clock_boot_ms() >= before);
}

static void the_time_of_day_is_that_of_time(void **state)
{
    time_t before = time(NULL);
    int64_t now = clock_realtime_ns();
    (void)state;

    assert_in_range(now / 1000000000, before - 1, before + 60);
}

static void a_deadline_is_a_valid_moment_that_far_away(void **state)
{
    static const int64_t delays[] = {INT64_MIN, -1, 0, 1, 999, 1000, 1001, 86400000};
    (void)state;

    for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
        int64_t delay_ns = delays[i] > 0 ? delays[i] * 1000000 : 0;
        int64_t before = clock_monotonic_ns();
        struct timespec moment = clock_deadline(delays[i]);
        int64_t after = clock_monotonic_ns();
        assert_in_range(moment.tv_nsec, 0, 999999999);
        assert_in_range(ns_of(moment), before + delay_ns, after + delay_ns);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_monotonic_clock_never_goes_back),
        cmocka_unit_test(milliseconds_are_nanoseconds_cut),
        cmocka_unit_test(the_clock_since_boot_goes_on),
        cmocka_unit_test(the_time_of_day_is_that_of_time),
        cmocka_unit_test(a_deadline_is_a_valid_moment_that_far_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
