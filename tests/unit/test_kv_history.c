/* SPDX-License-Identifier: Apache-2.0 */
/* test_kv_history.c - all that is kept of one key, against a real nats-server.
 * Test of core/kv_history.c, core/kv_erase.c and core/js_api_walk.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/js_api.h"
#include "core/js_api_walk.h"
#include "core/kv_store.h"
#include "tests/support/live_group.h"
#include <stdio.h>
#include <string.h>

static uint64_t mark(const char *subject, const char *operation)
{
    const char *headers[] = {"KV-Operation", operation, NULL};

    return live_publish(&live, subject, headers, "", 0);
}

/* What a history was. */
struct listed {
    struct outcome outcome; /* status; lock and signal */
    struct store_entry entries[128];
    size_t count;
};

static void take_history(void *arg, enum jsfs_status status,
                         const struct store_entry *entries, size_t count)
{
    struct listed *listed = arg;

    assert_true(count <= 128);
    listed->count = count;
    if (count > 0)
        memcpy(listed->entries, entries, count * sizeof(*entries));
    outcome_plain(&listed->outcome, status);
}

static enum jsfs_status list(struct store *store, const char *name, struct listed *listed)
{
    outcome_begin(&listed->outcome);
    store->ops->history(store, name, take_history, listed);
    enum jsfs_status status = outcome_wait(&listed->outcome);
    outcome_end(&listed->outcome);
    return status;
}

static enum jsfs_status erase(struct store *store, const char *name, uint64_t *sequence)
{
    struct outcome outcome;

    outcome_begin(&outcome);
    store->ops->erase(store, name, outcome_write, &outcome);
    enum jsfs_status status = outcome_wait(&outcome);
    *sequence = outcome.sequence;
    outcome_end(&outcome);
    return status;
}

static void a_history_is_every_message_in_order(void **state)
{
    struct listed listed;

    (void)state;
    live_make_kv(&live, "all", ",\"max_msgs_per_subject\":10");
    struct store *store = live_open_kv(&live, "all");
    live_publish_text(&live, "$KV.all.other", "x");
    live_publish_text(&live, "$KV.all.k", "one");
    mark("$KV.all.k", "DEL");
    live_publish_text(&live, "$KV.all.k.below", "x");
    live_publish_text(&live, "$KV.all.k", "");
    mark("$KV.all.k", "PURGE");
    assert_int_equal(list(store, "k", &listed), JSFS_OK);
    static const struct {
        uint64_t sequence, size;
        enum store_state state;
    } expected[] = {
        {2, 3, STORE_LIVE   },
        {3, 0, STORE_DELETED},
        {5, 0, STORE_LIVE   },
        {6, 0, STORE_PURGED },
    };
    assert_int_equal(listed.count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(listed.entries[i].sequence, expected[i].sequence);
        assert_int_equal(listed.entries[i].size_bytes, expected[i].size);
        assert_int_equal(listed.entries[i].state, expected[i].state);
        assert_true(listed.entries[i].modified_ns > INT64_C(1600000000000000000));
    }
    assert_int_equal(list(store, "never", &listed), JSFS_NOT_FOUND);
    assert_int_equal(list(store, "no space", &listed), JSFS_BAD_NAME);
    store->ops->close(store);
}

static void a_key_with_one_message_needs_no_walk(void **state)
{
    struct listed listed;

    (void)state;
    live_make_kv(&live, "one", ",\"max_msgs_per_subject\":1");
    struct store *store = live_open_kv(&live, "one");
    live_publish_text(&live, "$KV.one.k", "1");
    live_publish_text(&live, "$KV.one.k", "22");
    assert_int_equal(list(store, "k", &listed), JSFS_OK);
    assert_int_equal(listed.count, 1);
    assert_int_equal(listed.entries[0].sequence, 2);
    assert_int_equal(listed.entries[0].size_bytes, 2);
    store->ops->close(store);
}

static void many_revisions_are_listed_whole(void **state)
{
    struct listed listed;

    (void)state;
    live_make_kv(&live, "many", ",\"max_msgs_per_subject\":64");
    struct store *store = live_open_kv(&live, "many");
    for (int i = 0; i < 100; i++)
        live_publish_text(&live, "$KV.many.k", "value");
    assert_int_equal(list(store, "k", &listed), JSFS_OK);
    assert_int_equal(listed.count, 64);
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(listed.entries[i].sequence, 37 + i);
    store->ops->close(store);
}

/* Copies without a transform, as a server before 2.10 or nats.c makes them. */
static void copies_from_a_source_are_part_of_the_history(void **state)
{
    struct js_stream_info info;
    struct listed listed;
    uint64_t sequence;

    (void)state;
    live_make_kv(&live, "mixed",
                 ",\"max_msgs_per_subject\":10,\"subjects\":[\"$KV.mixed.>\","
                 "\"$KV.from.>\"]");
    assert_int_equal(js_api_stream_info(live.connection, "KV_mixed", &info), JSFS_OK);
    memcpy(info.sources, "KV_from\0", sizeof("KV_from\0"));
    struct store *store = kv_store_open(live.connection, &info);
    live_publish_text(&live, "$KV.mixed.k", "1");
    live_publish_text(&live, "$KV.from.k", "2");
    live_publish_text(&live, "$KV.mixed.k", "3");
    assert_int_equal(list(store, "k", &listed), JSFS_OK);
    assert_int_equal(listed.count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(listed.entries[i].sequence, i + 1);
    assert_int_equal(erase(store, "k", &sequence), JSFS_EXISTS);

    mark("$KV.mixed.k", "DEL");
    assert_int_equal(erase(store, "k", &sequence), JSFS_OK);
    assert_int_equal(sequence, 4);
    assert_int_equal(list(store, "k", &listed), JSFS_NOT_FOUND);
    store->ops->close(store);
}

static void a_purge_leaves_one_marker(void **state)
{
    struct store_write write = {.expect = STORE_EXPECT_ANY, .token = store_token()};
    struct outcome outcome;
    struct listed listed;

    (void)state;
    live_make_kv(&live, "purged",
                 ",\"max_msgs_per_subject\":10,\"allow_rollup_hdrs\":true");
    struct store *store = live_open_kv(&live, "purged");
    live_publish_text(&live, "$KV.purged.k", "1");
    live_publish_text(&live, "$KV.purged.k", "2");
    outcome_begin(&outcome);
    store->ops->purge(store, "k", &write, outcome_write, &outcome);
    assert_int_equal(outcome_wait(&outcome), JSFS_OK);
    outcome_end(&outcome);
    assert_int_equal(list(store, "k", &listed), JSFS_OK);
    assert_int_equal(listed.count, 1);
    assert_int_equal(listed.entries[0].state, STORE_PURGED);
    assert_int_equal(listed.entries[0].sequence, 3);
    store->ops->close(store);
}

static void erasing_takes_a_deleted_key_only(void **state)
{
    struct listed listed;
    uint64_t sequence;

    (void)state;
    live_make_kv(&live, "erased", ",\"max_msgs_per_subject\":10");
    struct store *store = live_open_kv(&live, "erased");
    live_publish_text(&live, "$KV.erased.k", "1");
    assert_int_equal(erase(store, "k", &sequence), JSFS_EXISTS);
    assert_int_equal(erase(store, "none", &sequence), JSFS_NOT_FOUND);
    mark("$KV.erased.k", "DEL");
    live_publish_text(&live, "$KV.erased.k.below", "stays");
    assert_int_equal(erase(store, "k", &sequence), JSFS_OK);
    assert_int_equal(sequence, 2);
    assert_int_equal(list(store, "k", &listed), JSFS_NOT_FOUND);
    assert_int_equal(list(store, "k.below", &listed), JSFS_OK);
    store->ops->close(store);
}

/* What comes between the look at the leader and the purge. */
static void a_purge_up_to_a_sequence_leaves_what_is_newer(void **state)
{
    struct outcome outcome;
    struct listed listed;

    (void)state;
    live_make_kv(&live, "bound", ",\"max_msgs_per_subject\":10");
    struct store *store = live_open_kv(&live, "bound");
    live_publish_text(&live, "$KV.bound.k", "1");
    uint64_t marker = mark("$KV.bound.k", "DEL");
    uint64_t newer = live_publish_text(&live, "$KV.bound.k", "2");
    outcome_begin(&outcome);
    js_api_stream_purge_to_async(live.connection, "KV_bound", "$KV.bound.k", marker,
                                 outcome_plain, &outcome);
    assert_int_equal(outcome_wait(&outcome), JSFS_OK);
    outcome_end(&outcome);
    assert_int_equal(list(store, "k", &listed), JSFS_OK);
    assert_int_equal(listed.count, 1);
    assert_int_equal(listed.entries[0].sequence, newer);
    store->ops->close(store);
}

static void a_mirror_is_listed_and_not_erased(void **state)
{
    struct js_stream_info info;
    struct listed listed;
    uint64_t sequence;

    (void)state;
    live_make_kv(&live, "first", ",\"max_msgs_per_subject\":10");
    live_publish_text(&live, "$KV.first.k", "1");
    mark("$KV.first.k", "DEL");
    assert_int_equal(js_api_stream_info(live.connection, "KV_first", &info), JSFS_OK);
    strcpy(info.mirror, "KV_first");
    struct store *store = kv_store_open(live.connection, &info);
    assert_int_equal(list(store, "k", &listed), JSFS_OK);
    assert_int_equal(listed.count, 2);
    assert_int_equal(erase(store, "k", &sequence), JSFS_NOT_ALLOWED);
    store->ops->close(store);
}

static void a_store_that_is_closed_ends_its_lists(void **state)
{
    struct listed listed[20];

    (void)state;
    live_make_kv(&live, "closed", ",\"max_msgs_per_subject\":10");
    live_publish_text(&live, "$KV.closed.k", "1");
    struct store *store = live_open_kv(&live, "closed");
    for (size_t i = 0; i < 20; i++) {
        outcome_begin(&listed[i].outcome);
        store->ops->history(store, "k", take_history, &listed[i]);
    }
    store->ops->close(store);
    for (size_t i = 0; i < 20; i++) {
        enum jsfs_status status = outcome_wait(&listed[i].outcome);

        assert_true(status == JSFS_OK || status == JSFS_INTERRUPTED);
        outcome_end(&listed[i].outcome);
    }
}

static enum jsfs_status count_message(void *arg, const struct walk_message *message)
{
    (void)message;
    ++*(int *)arg;
    return JSFS_OK;
}

static bool always(void *arg)
{
    (void)arg;
    return true;
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

static void a_walk_that_cannot_come_to_its_end_says_so(void **state)
{
    int count = 0;
    struct walk_request request = {.stream = "KV_walk",
                                   .subject = "$KV.walk.k",
                                   .last_sequence = 99,
                                   .heartbeat_ms = 100,
                                   .message = count_message,
                                   .wanted = always,
                                   .arg = &count};

    (void)state;
    live_make_kv(&live, "walk", ",\"max_msgs_per_subject\":10");
    live_publish_text(&live, "$KV.walk.k", "1");
    assert_int_equal(js_api_walk(live.connection, &request), JSFS_STALE);
    assert_int_equal(count, 1);
    request.last_sequence = 1;
    assert_int_equal(js_api_walk(live.connection, &request), JSFS_OK);
    assert_int_equal(count, 2);
    request.last_sequence = 99;
    request.heartbeat_ms = 60000;
    request.wanted = never;
    assert_int_equal(js_api_walk(live.connection, &request), JSFS_INTERRUPTED);
    request.stream = "KV_nowhere";
    assert_int_equal(js_api_walk(live.connection, &request), JSFS_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_history_is_every_message_in_order),
        cmocka_unit_test(a_key_with_one_message_needs_no_walk),
        cmocka_unit_test(many_revisions_are_listed_whole),
        cmocka_unit_test(copies_from_a_source_are_part_of_the_history),
        cmocka_unit_test(a_purge_leaves_one_marker),
        cmocka_unit_test(erasing_takes_a_deleted_key_only),
        cmocka_unit_test(a_purge_up_to_a_sequence_leaves_what_is_newer),
        cmocka_unit_test(a_mirror_is_listed_and_not_erased),
        cmocka_unit_test(a_store_that_is_closed_ends_its_lists),
        cmocka_unit_test(a_walk_that_cannot_come_to_its_end_says_so),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
