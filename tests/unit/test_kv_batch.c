/* SPDX-License-Identifier: Apache-2.0 */
/* test_kv_batch.c - several keys written at once on a real server: all or none.
 * Test of core/kv_batch.c and core/atomic_batch.c. Servers before 2.12 have no batches; there
 * the same calls must say so and store nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/live_store.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct live live;
static bool has_batches;

static int begin(void **state)
{
    (void)state;
    live_begin(&live, 2000);
    has_batches = connection_api_level(live.connection) >= 2;
    return 0;
}

static int end(void **state)
{
    (void)state;
    live_end(&live);
    return 0;
}

static struct store *open_bucket(const char *name, bool atomic)
{
    live_make_kv(&live, name, atomic && has_batches ? ",\"allow_atomic\":true" : "");
    return live_open_kv(&live, name);
}

static enum jsfs_status run(struct store *store, const struct store_batch_item *items,
                            size_t count, uint64_t *sequence)
{
    struct outcome outcome;
    enum jsfs_status status;

    outcome_begin(&outcome);
    store->ops->batch(store, items, count, outcome_write, &outcome);
    status = outcome_wait(&outcome);
    *sequence = outcome.sequence;
    outcome_end(&outcome);
    return status;
}

static struct store_batch_item put_item(const char *name, struct bytes *value)
{
    return (struct store_batch_item){
        name, value, {.expect = STORE_EXPECT_ANY, .token = store_token()}};
}

static struct store_batch_item remove_item(const char *name, uint64_t sequence)
{
    return (struct store_batch_item){
        name, NULL, {.expect = STORE_EXPECT_AT, .sequence = sequence, .token = store_token()}};
}

static void a_batch_is_stored_in_one_piece(void **state)
{
    struct store *store = open_bucket("piece", true);
    struct bytes *value = bytes_copy("v", 1);
    struct store_entry entry;
    uint64_t source, sequence;

    (void)state;
    assert_int_equal(live_put(store, "a", "v", STORE_EXPECT_ANY, 0, &source), JSFS_OK);
    struct store_batch_item items[] = {put_item("b", value), remove_item("a", source)};
    enum jsfs_status status = run(store, items, 2, &sequence);
    bytes_unref(value);
    if (has_batches) {
        assert_int_equal(status, JSFS_OK);
        assert_int_equal(sequence, source + 2);
        assert_int_equal(live_lookup(store, "b", false, &entry), JSFS_OK);
        assert_int_equal(entry.sequence, source + 1);
        assert_int_equal(entry.own_token, items[0].write.token);
        assert_int_equal(live_lookup(store, "a", false, &entry), JSFS_OK);
        assert_int_equal(entry.state, STORE_DELETED);
        assert_int_equal(entry.sequence, source + 2);
        assert_int_equal(entry.own_token, items[1].write.token);
    } else {
        assert_int_equal(status, JSFS_UNSUPPORTED);
        assert_int_equal(sequence, 0);
        assert_int_equal(live_lookup(store, "b", false, &entry), JSFS_NOT_FOUND);
    }
    store->ops->close(store);
}

static void a_condition_that_fails_leaves_nothing(void **state)
{
    struct store *store = open_bucket("none", true);
    struct bytes *value = bytes_copy("v", 1);
    struct store_entry entry;
    uint64_t source, sequence;

    (void)state;
    assert_int_equal(live_put(store, "a", "1", STORE_EXPECT_ANY, 0, &source), JSFS_OK);
    assert_int_equal(live_put(store, "a", "2", STORE_EXPECT_ANY, 0, NULL), JSFS_OK);
    struct store_batch_item items[] = {put_item("b", value), remove_item("a", source)};
    assert_int_equal(run(store, items, 2, &sequence),
                     has_batches ? JSFS_CONFLICT : JSFS_UNSUPPORTED);
    assert_int_equal(sequence, 0);
    bytes_unref(value);
    assert_int_equal(live_lookup(store, "b", true, &entry), JSFS_NOT_FOUND);
    assert_int_equal(live_lookup(store, "a", true, &entry), JSFS_OK);
    assert_int_equal(entry.state, STORE_LIVE);
    store->ops->close(store);
}

static void a_stream_that_does_not_allow_batches_is_left_alone(void **state)
{
    struct store *store = open_bucket("plain", false);
    struct bytes *value = bytes_copy("v", 1);
    struct store_batch_item items[] = {put_item("a", value), put_item("b", value)};
    struct store_entry entry;
    uint64_t sequence;

    (void)state;
    assert_int_equal(run(store, items, 2, &sequence), JSFS_UNSUPPORTED);
    assert_int_equal(sequence, 0);
    assert_int_equal(live_lookup(store, "a", true, &entry), JSFS_NOT_FOUND);
    bytes_unref(value);
    store->ops->close(store);
}

static void the_largest_batch_is_stored(void **state)
{
    enum { COUNT = STORE_BATCH_MOST };
    static char names[COUNT][16];
    static struct store_batch_item items[COUNT + 1];
    struct store *store = open_bucket("large", true);
    struct bytes *value = bytes_copy("v", 1);
    struct store_entry entry;
    uint64_t sequence;

    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof(names[i]), "k%zu", i);
        items[i] = put_item(names[i], value);
    }
    items[COUNT] = put_item("one-more", value);
    assert_int_equal(run(store, items, COUNT + 1, &sequence), JSFS_INVALID);
    assert_int_equal(run(store, items, 0, &sequence), JSFS_INVALID);
    if (has_batches) {
        assert_int_equal(run(store, items, COUNT, &sequence), JSFS_OK);
        assert_int_equal(sequence, COUNT);
        assert_int_equal(live_lookup(store, "k499", true, &entry), JSFS_OK);
        assert_int_equal(entry.sequence, 500);
        assert_int_equal(run(store, &items[COUNT], 1, &sequence), JSFS_OK);
    }
    bytes_unref(value);
    store->ops->close(store);
}

static void a_batch_is_not_stored_twice(void **state)
{
    struct store *store = open_bucket("twice", true);
    struct bytes *value = bytes_copy("v", 1);
    struct store_batch_item items[] = {put_item("a", value), put_item("b", value)};
    struct store_entry entry;
    uint64_t sequence;

    (void)state;
    if (has_batches) { /* the same message ids again, as after a lost answer */
        assert_int_equal(run(store, items, 2, &sequence), JSFS_OK);
        assert_int_equal(run(store, items, 2, &sequence), JSFS_UNSUPPORTED);
        assert_int_equal(sequence, 0);
        assert_int_equal(live_lookup(store, "b", true, &entry), JSFS_OK);
        assert_int_equal(entry.sequence, 2);
    }
    bytes_unref(value);
    store->ops->close(store);
}

static void a_value_that_is_too_large_is_not_sent(void **state)
{
    struct store *store = open_bucket("limit", true);
    size_t size = 2 * 1024 * 1024;
    char *data = calloc(1, size);
    struct bytes *value = bytes_copy(data, size);
    struct store_batch_item items[] = {put_item("a", value), put_item("b", value)};
    struct store_entry entry;
    uint64_t sequence;

    (void)state;
    assert_int_equal(run(store, items, 2, &sequence),
                     has_batches ? JSFS_TOO_LARGE : JSFS_UNSUPPORTED);
    assert_int_equal(live_lookup(store, "a", true, &entry), JSFS_NOT_FOUND);
    bytes_unref(value);
    free(data);
    store->ops->close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_is_stored_in_one_piece),
        cmocka_unit_test(a_condition_that_fails_leaves_nothing),
        cmocka_unit_test(a_stream_that_does_not_allow_batches_is_left_alone),
        cmocka_unit_test(the_largest_batch_is_stored),
        cmocka_unit_test(a_batch_is_not_stored_twice),
        cmocka_unit_test(a_value_that_is_too_large_is_not_sent),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
