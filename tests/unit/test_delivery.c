/* SPDX-License-Identifier: Apache-2.0 */
/* test_delivery.c - reply subjects of consumers' messages, of old servers and new. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/delivery.h"

static void both_forms_say_the_same(void **state)
{
    static const char *const replies[] = {
        "$JS.ACK.KV_b.jsfs-x.1.42.7.1700000000123456789.5",
        "$JS.ACK.hub.ACCHASH.KV_b.jsfs-x.1.42.7.1700000000123456789.5",
        "$JS.ACK._.ACCHASH.KV_b.jsfs-x.1.42.7.1700000000123456789.5.token",
        "$JS.ACK._.ACCHASH.KV_b.jsfs-x.1.42.7.1700000000123456789.5.token.more",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        struct delivery delivery = {0};
        assert_true(delivery_parse(replies[i], &delivery));
        assert_int_equal(delivery.stream_sequence, 42);
        assert_int_equal(delivery.consumer_sequence, 7);
        assert_int_equal(delivery.time_ns, INT64_C(1700000000123456789));
        assert_int_equal(delivery.pending, 5);
    }
}

static void other_subjects_are_no_deliveries(void **state)
{
    static const char *const others[] = {
        "",
        "_INBOX.x",
        "$JS.FC.KV_b.jsfs-x.abc",
        "$JS.ACK.",
        "$JS.ACK.KV_b.jsfs-x.1.42.7.1700000000123456789",
        "$JS.ACK.x.KV_b.jsfs-x.1.42.7.1700000000123456789.5",
        "$JS.ACK.KV_b.jsfs-x.1.42.seven.1700000000123456789.5",
        "$JS.ACK.KV_b.jsfs-x.1..7.1700000000123456789.5",
        "$JS.ACK.KV_b.jsfs-x.1.42.7.1700000000123456789.5x",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct delivery delivery = {1, 2, 3, 4};
        assert_false(delivery_parse(others[i], &delivery));
        assert_int_equal(delivery.stream_sequence, 1);
    }
    assert_false(delivery_parse(NULL, &(struct delivery){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_forms_say_the_same),
        cmocka_unit_test(other_subjects_are_no_deliveries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
