/* SPDX-License-Identifier: Apache-2.0 */
/* test_kv_store.c - KV buckets against a real nats-server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/js_api.h"
#include "core/kv_store.h"
#include "tests/support/live_group.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void delete_key(const char *bucket, const char *key)
{
    const char *headers[] = {"KV-Operation", "DEL", NULL};
    char subject[128];

    snprintf(subject, sizeof(subject), "$KV.%s.%s", bucket, key);
    live_publish(&live, subject, headers, "", 0);
}

static void a_value_comes_back_by_its_revision(void **state)
{
    struct outcome outcome;
    struct store_entry entry;
    uint64_t first = 0, second = 0;

    (void)state;
    live_make_kv(&live, "values", ",\"max_msgs_per_subject\":5");
    struct store *store = live_open_kv(&live, "values");
    assert_int_equal(live_put(store, "a/b.c", "one", STORE_EXPECT_ANY, 0, &first),
                     JSFS_OK);
    assert_int_equal(live_put(store, "a/b.c", "three", STORE_EXPECT_ANY, 0, &second),
                     JSFS_OK);

    assert_int_equal(live_lookup(store, "a/b.c", false, &entry), JSFS_OK);
    assert_int_equal(entry.state, STORE_LIVE);
    assert_int_equal(entry.sequence, second);
    assert_int_equal(entry.size_bytes, 5);
    assert_true(entry.own_token != 0);
    assert_true(entry.modified_ns > INT64_C(1600000000000000000));

    outcome_begin(&outcome);
    store->ops->value_get(store, "a/b.c", first, outcome_bytes, &outcome);
    assert_int_equal(outcome_wait(&outcome), JSFS_OK);
    assert_int_equal(outcome.bytes->size, 3);
    assert_memory_equal(outcome.bytes->data, "one", 3);
    assert_int_equal(outcome.sequence, first);
    outcome_end(&outcome);
    store->ops->close(store);
}

static void a_revision_that_is_gone_or_anothers_is_stale(void **state)
{
    struct outcome outcome;
    uint64_t old = 0, other = 0;

    (void)state;
    live_make_kv(&live, "stale", "");
    struct store *store = live_open_kv(&live, "stale");
    assert_int_equal(live_put(store, "k", "1", STORE_EXPECT_ANY, 0, &old), JSFS_OK);
    assert_int_equal(live_put(store, "k", "2", STORE_EXPECT_ANY, 0, NULL), JSFS_OK);
    assert_int_equal(live_put(store, "other", "3", STORE_EXPECT_ANY, 0, &other), JSFS_OK);

    const uint64_t revisions[] = {old, other, 999};
    for (size_t i = 0; i < 3; i++) {
        outcome_begin(&outcome);
        store->ops->value_get(store, "k", revisions[i], outcome_bytes, &outcome);
        assert_int_equal(outcome_wait(&outcome), JSFS_STALE);
        assert_null(outcome.bytes);
        outcome_end(&outcome);
    }
    store->ops->close(store);
}

static void markers_are_told_from_empty_values(void **state)
{
    static const struct {
        const char *key, *header, *value;
        enum store_state state;
    } rows[] = {
        {"empty",   "X-Other",            "1",      STORE_LIVE   },
        {"deleted", "KV-Operation",       "DEL",    STORE_DELETED},
        {"purged",  "KV-Operation",       "PURGE",  STORE_PURGED },
        {"expired", "Nats-Marker-Reason", "MaxAge", STORE_PURGED },
        {"cleared", "Nats-Marker-Reason", "Purge",  STORE_PURGED },
        {"removed", "Nats-Marker-Reason", "Remove", STORE_DELETED},
        {"odd",     "KV-Operation",       "PUT",    STORE_LIVE   },
    };
    struct recorder recorder;
    struct store_entry entry;
    struct told told;

    (void)state;
    live_make_kv(&live, "markers", "");
    struct store *store = live_open_kv(&live, "markers");
    recorder_begin(&recorder);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *headers[] = {rows[i].header, rows[i].value, NULL};
        char subject[64];
        snprintf(subject, sizeof(subject), "$KV.markers.%s", rows[i].key);
        live_publish(&live, subject, headers, "", 0);
    }
    store->ops->watch(store, &recorder_events, &recorder);
    recorder_wait(&recorder, RECORDED_LIVE, 1);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int leader = 0; leader < 2; leader++) {
            assert_int_equal(live_lookup(store, rows[i].key, leader, &entry), JSFS_OK);
            assert_int_equal(entry.state, rows[i].state);
            assert_int_equal(entry.own_token, 0);
        }
        assert_true(recorder_find(&recorder, rows[i].key, &told));
        assert_int_equal(told.state, rows[i].state);
    }
    store->ops->close(store);
    recorder_end(&recorder);
}

static void what_was_never_stored_is_not_found(void **state)
{
    (void)state;
    live_make_kv(&live, "nothing", "");
    struct store *store = live_open_kv(&live, "nothing");
    assert_int_equal(live_lookup(store, "k", false, NULL), JSFS_NOT_FOUND);
    assert_int_equal(live_lookup(store, "k", true, NULL), JSFS_NOT_FOUND);
    assert_int_equal(live_lookup(store, "not a key", false, NULL), JSFS_NOT_FOUND);
    assert_int_equal(live_lookup(store, "*", false, NULL), JSFS_NOT_FOUND);
    store->ops->close(store);
}

static void a_lost_race_is_a_conflict(void **state)
{
    uint64_t revision = 0;

    (void)state;
    live_make_kv(&live, "cas", "");
    struct store *store = live_open_kv(&live, "cas");
    assert_int_equal(live_put(store, "k", "mine", STORE_EXPECT_ANY, 0, &revision),
                     JSFS_OK);
    live_publish_text(&live, "$KV.cas.k", "theirs");

    assert_int_equal(live_put(store, "k", "x", STORE_EXPECT_AT, revision, NULL),
                     JSFS_CONFLICT);
    assert_int_equal(live_remove(store, "k", STORE_EXPECT_AT, revision, NULL),
                     JSFS_CONFLICT);
    assert_int_equal(live_put(store, "k", "x", STORE_EXPECT_AT, revision + 1, &revision),
                     JSFS_OK);
    assert_int_equal(live_remove(store, "k", STORE_EXPECT_AT, revision, NULL), JSFS_OK);
    store->ops->close(store);
}

static void an_exclusive_create_wins_once_and_over_markers(void **state)
{
    struct store_entry entry;

    (void)state;
    live_make_kv(&live, "create", "");
    struct store *store = live_open_kv(&live, "create");
    assert_int_equal(live_put(store, "k", "1", STORE_EXPECT_ABSENT, 0, NULL), JSFS_OK);
    assert_int_equal(live_put(store, "k", "2", STORE_EXPECT_ABSENT, 0, NULL),
                     JSFS_EXISTS);
    delete_key("create", "k");
    assert_int_equal(live_put(store, "k", "three", STORE_EXPECT_ABSENT, 0, NULL),
                     JSFS_OK);
    assert_int_equal(live_put(store, "k", "4", STORE_EXPECT_ABSENT, 0, NULL),
                     JSFS_EXISTS);
    assert_int_equal(live_lookup(store, "k", false, &entry), JSFS_OK);
    assert_int_equal(entry.size_bytes, 5);
    store->ops->close(store);
}

static void of_many_exclusive_creates_one_wins(void **state)
{
    enum { RACERS = 16, ROUNDS = 20 };
    struct outcome outcomes[RACERS];

    (void)state;
    live_make_kv(&live, "race", "");
    struct store *store = live_open_kv(&live, "race");
    struct bytes *value = bytes_copy("v", 1);
    for (int round = 0; round < ROUNDS; round++) {
        int won = 0;
        if (round > 0)
            delete_key("race", "lock");
        for (int i = 0; i < RACERS; i++) {
            struct store_write write = {.expect = STORE_EXPECT_ABSENT, .token = store_token()};
            outcome_begin(&outcomes[i]);
            store->ops->value_put(store, "lock", value, &write, outcome_write,
                                  &outcomes[i]);
        }
        for (int i = 0; i < RACERS; i++) {
            enum jsfs_status status = outcome_wait(&outcomes[i]);
            assert_true(status == JSFS_OK || status == JSFS_EXISTS);
            won += status == JSFS_OK;
            outcome_end(&outcomes[i]);
        }
        assert_int_equal(won, 1);
    }
    bytes_unref(value);
    store->ops->close(store);
}

/* Servers before 2.11 store it as any other value. */
static void a_value_with_a_time_to_live_expires(void **state)
{
    struct store_write write = {
        .expect = STORE_EXPECT_ANY, .token = store_token(), .ttl_ns = INT64_C(400000000)};
    bool expires = connection_api_level(live.connection) >= 1;
    struct store_entry entry = {.state = STORE_LIVE};
    struct outcome outcome;

    (void)state;
    live_make_kv(&live, "ttl", expires ? ",\"allow_msg_ttl\":true" : "");
    struct store *store = live_open_kv(&live, "ttl");
    struct bytes *value = bytes_copy("v", 1);
    outcome_begin(&outcome);
    store->ops->value_put(store, "k", value, &write, outcome_write, &outcome);
    assert_int_equal(outcome_wait(&outcome), JSFS_OK);
    outcome_end(&outcome);
    for (int i = 0; expires && i < 100; i++) {
        if (live_lookup(store, "k", true, &entry) != JSFS_OK || entry.state != STORE_LIVE)
            break;
        assert_int_not_equal(i, 99);
        pause_ms(100);
    }
    bytes_unref(value);
    store->ops->close(store);
}

static void a_removed_key_has_a_marker_with_our_token(void **state)
{
    struct store_write write = {.expect = STORE_EXPECT_ANY, .token = store_token()};
    struct store_entry entry;
    struct outcome outcome;

    (void)state;
    live_make_kv(&live, "remove", "");
    struct store *store = live_open_kv(&live, "remove");
    assert_int_equal(live_put(store, "k", "v", STORE_EXPECT_ANY, 0, NULL), JSFS_OK);
    outcome_begin(&outcome);
    store->ops->remove(store, "k", &write, outcome_write, &outcome);
    assert_int_equal(outcome_wait(&outcome), JSFS_OK);
    assert_int_equal(live_lookup(store, "k", false, &entry), JSFS_OK);
    assert_int_equal(entry.state, STORE_DELETED);
    assert_int_equal(entry.sequence, outcome.sequence);
    assert_int_equal(entry.size_bytes, 0);
    assert_int_equal(entry.own_token, write.token);
    outcome_end(&outcome);
    store->ops->close(store);
}

static void the_watch_knows_our_own_writes(void **state)
{
    struct store_write write = {.expect = STORE_EXPECT_ANY, .token = store_token()};
    struct bytes *value = bytes_copy("0123456789", 10);
    struct recorder recorder;
    struct outcome outcome;
    struct told told;

    (void)state;
    live_make_kv(&live, "echo", "");
    struct store *store = live_open_kv(&live, "echo");
    recorder_begin(&recorder);
    outcome_begin(&outcome);
    store->ops->watch(store, &recorder_events, &recorder);
    recorder_wait(&recorder, RECORDED_LIVE, 1);
    store->ops->value_put(store, "k", value, &write, outcome_write, &outcome);
    assert_int_equal(outcome_wait(&outcome), JSFS_OK);
    recorder_wait_name(&recorder, "k", outcome.sequence, &told);
    assert_int_equal(told.own_token, write.token);
    assert_int_equal(told.size_bytes, 10);

    uint64_t foreign = live_publish_text(&live, "$KV.echo.k", "other");
    recorder_wait_name(&recorder, "k", foreign, &told);
    assert_int_equal(told.own_token, 0);
    assert_int_equal(told.size_bytes, 5);
    assert_false(recorder.out_of_order);
    store->ops->close(store);
    outcome_end(&outcome);
    recorder_end(&recorder);
    bytes_unref(value);
}

static void names_that_would_break_the_protocol_are_refused(void **state)
{
    static const char *const bad[] = {"a b", "a..b", ".a",           "a.",
                                      "a.*", ">",    "a\r\nPUB x 0", ""};
    char longest[5000];

    (void)state;
    live_make_kv(&live, "names", "");
    struct store *store = live_open_kv(&live, "names");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(live_put(store, bad[i], "v", STORE_EXPECT_ANY, 0, NULL),
                         JSFS_BAD_NAME);
        assert_int_equal(live_remove(store, bad[i], STORE_EXPECT_ANY, 0, NULL),
                         JSFS_BAD_NAME);
    }
    memset(longest, 'k', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(live_put(store, longest, "v", STORE_EXPECT_ANY, 0, NULL),
                     JSFS_NAME_TOO_LONG);
    assert_int_equal(live_lookup(store, longest, false, NULL), JSFS_NAME_TOO_LONG);
    store->ops->close(store);
}

static void the_longest_name_is_stored_and_found(void **state)
{
    char longest[3960];
    struct store_entry entry;

    (void)state;
    live_make_kv(&live, "long", "");
    struct store *store = live_open_kv(&live, "long");
    memset(longest, 'k', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    longest[3968 - strlen("$KV.long.")] = '\0';
    assert_int_equal(live_put(store, longest, "v", STORE_EXPECT_ABSENT, 0, NULL),
                     JSFS_OK);
    assert_int_equal(live_put(store, longest, "v", STORE_EXPECT_ABSENT, 0, NULL),
                     JSFS_EXISTS);
    assert_int_equal(live_lookup(store, longest, false, &entry), JSFS_OK);
    assert_int_equal(entry.size_bytes, 1);
    store->ops->close(store);
}

static void too_large_values_are_not_sent(void **state)
{
    struct outcome outcome;
    struct store_write write = {.expect = STORE_EXPECT_ANY, .token = store_token()};

    (void)state;
    live_make_kv(&live, "sizes", ",\"max_msg_size\":1000");
    struct store *store = live_open_kv(&live, "sizes");
    size_t most = store->ops->message_max(store);
    assert_in_range(most, 700, 1000);
    char *text = calloc(1, 1200);
    for (size_t size = most; size <= 1001; size += 1001 - most) {
        struct bytes *value = bytes_copy(text, size);
        outcome_begin(&outcome);
        store->ops->value_put(store, "k", value, &write, outcome_write, &outcome);
        assert_int_equal(outcome_wait(&outcome), size == most ? JSFS_OK : JSFS_TOO_LARGE);
        outcome_end(&outcome);
        bytes_unref(value);
        write.token = store_token();
    }
    free(text);
    store->ops->close(store);
}

static void a_full_bucket_is_no_space(void **state)
{
    enum jsfs_status status = JSFS_OK;
    char name[16];

    (void)state;
    live_make_kv(&live, "full", ",\"max_bytes\":1000");
    struct store *store = live_open_kv(&live, "full");
    for (int i = 0; i < 100 && status == JSFS_OK; i++) {
        snprintf(name, sizeof(name), "k%d", i);
        status = live_put(store, name, "v", STORE_EXPECT_ANY, 0, NULL);
    }
    assert_int_equal(status, JSFS_NO_SPACE);
    store->ops->close(store);
}

static void without_direct_get_the_leader_answers(void **state)
{
    struct store_entry entry;
    struct outcome outcome;
    uint64_t revision = 0;

    (void)state;
    live_make_kv(&live, "leader", ",\"allow_direct\":false");
    struct store *store = live_open_kv(&live, "leader");
    assert_int_equal(live_put(store, "k", "value", STORE_EXPECT_ANY, 0, &revision),
                     JSFS_OK);
    assert_int_equal(live_lookup(store, "k", false, &entry), JSFS_OK);
    assert_int_equal(entry.size_bytes, 5);
    assert_true(entry.own_token != 0);
    outcome_begin(&outcome);
    store->ops->value_get(store, "k", revision, outcome_bytes, &outcome);
    assert_int_equal(outcome_wait(&outcome), JSFS_OK);
    assert_memory_equal(outcome.bytes->data, "value", 5);
    outcome_end(&outcome);
    store->ops->close(store);
}

static void a_mirror_is_read_and_written_under_its_origin(void **state)
{
    struct recorder recorder;
    struct store_entry entry;
    struct told told;

    (void)state;
    live_make_kv(&live, "origin", "");
    live_publish_text(&live, "$KV.origin.k", "seven77");
    assert_int_equal(
        js_api_stream_create(live.connection, "KV_copy",
                             "{\"name\":\"KV_copy\",\"mirror\":{\"name\":\"KV_origin\"},"
                             "\"allow_direct\":true,\"max_msgs_per_subject\":1}"),
        JSFS_OK);
    struct store *store = live_open_kv(&live, "copy");
    recorder_begin(&recorder);
    store->ops->watch(store, &recorder_events, &recorder);
    recorder_wait_name(&recorder, "k", 1, &told);
    assert_int_equal(told.size_bytes, 7);
    assert_int_equal(live_lookup(store, "k", false, &entry), JSFS_OK);
    assert_int_equal(entry.size_bytes, 7);
    assert_int_equal(live_put(store, "k", "v", STORE_EXPECT_ANY, 0, NULL), JSFS_OK);
    assert_int_equal(live_lookup(store, "k", true, &entry), JSFS_OK);
    assert_int_equal(entry.size_bytes, 1);
    store->ops->close(store);
    recorder_end(&recorder);
}

/* A "mirror" that never copies anything: as far behind as can be. */
static struct store *open_lagging_mirror(void)
{
    struct js_stream_info info;

    live_make_kv(&live, "source", "");
    assert_int_equal(js_api_stream_create(live.connection, "KV_lags",
                                          "{\"name\":\"KV_lags\",\"subjects\":[\"lags\"],"
                                          "\"allow_direct\":true}"),
                     JSFS_OK);
    assert_int_equal(js_api_stream_info(live.connection, "KV_lags", &info), JSFS_OK);
    strcpy(info.mirror, "KV_source");
    return kv_store_open(live.connection, &info);
}

static void what_was_written_to_a_mirror_that_lags_is_read_at_its_origin(void **state)
{
    struct store *store = open_lagging_mirror();
    struct store_entry entry;
    struct outcome outcome;
    uint64_t sequence;

    (void)state;
    live_publish_text(&live, "$KV.source.other", "theirs");
    assert_int_equal(live_lookup(store, "other", true, &entry), JSFS_NOT_FOUND);
    assert_int_equal(live_put(store, "k", "value", STORE_EXPECT_ABSENT, 0, &sequence), JSFS_OK);
    assert_int_equal(live_lookup(store, "k", false, &entry), JSFS_OK);
    assert_int_equal(entry.sequence, sequence);
    assert_int_equal(entry.size_bytes, 5);
    outcome_begin(&outcome);
    store->ops->value_get(store, "k", sequence, outcome_bytes, &outcome);
    assert_int_equal(outcome_wait(&outcome), JSFS_OK);
    assert_memory_equal(outcome.bytes->data, "value", 5);
    outcome_end(&outcome);
    assert_int_equal(live_put(store, "k", "v", STORE_EXPECT_AT, sequence + 7, NULL),
                     JSFS_CONFLICT);
    assert_int_equal(live_remove(store, "k", STORE_EXPECT_ANY, 0, &sequence), JSFS_OK);
    assert_int_equal(live_lookup(store, "k", false, &entry), JSFS_OK);
    assert_int_equal(entry.state, STORE_DELETED);
    assert_int_equal(entry.sequence, sequence);
    store->ops->close(store);
}

static void what_vanished_from_the_origin_is_not_asked_for_again(void **state)
{
    struct store *store = open_lagging_mirror();
    struct store_entry entry;

    (void)state;
    assert_int_equal(live_put(store, "k", "value", STORE_EXPECT_ANY, 0, NULL), JSFS_OK);
    assert_int_equal(js_api_stream_purge(live.connection, "KV_source", "$KV.source.k"), JSFS_OK);
    assert_int_equal(live_lookup(store, "k", false, &entry), JSFS_NOT_FOUND);
    assert_int_equal(js_api_stream_delete(live.connection, "KV_source"), JSFS_OK);
    assert_int_equal(live_lookup(store, "k", false, &entry), JSFS_NOT_FOUND);
    assert_int_equal(live_put(store, "k", "v", STORE_EXPECT_ANY, 0, NULL), JSFS_READ_ONLY);
    store->ops->close(store);
}

static void a_deleted_bucket_is_not_found(void **state)
{
    struct outcome outcome;

    (void)state;
    live_make_kv(&live, "doomed", "");
    struct store *store = live_open_kv(&live, "doomed");
    assert_int_equal(js_api_stream_delete(live.connection, "KV_doomed"), JSFS_OK);
    assert_int_equal(live_lookup(store, "k", false, NULL), JSFS_NOT_FOUND);
    assert_int_equal(live_put(store, "k", "v", STORE_EXPECT_ANY, 0, NULL),
                     JSFS_NOT_FOUND);
    outcome_begin(&outcome);
    store->ops->info(store, outcome_info, &outcome);
    assert_int_equal(outcome_wait(&outcome), JSFS_NOT_FOUND);
    outcome_end(&outcome);
    store->ops->close(store);
}

/* The server takes the write but its answer comes after our deadline. */
static void a_put_whose_answer_is_late_is_resolved(void **state)
{
    static const enum store_expect expects[] = {STORE_EXPECT_ANY, STORE_EXPECT_ABSENT};
    struct outcome outcome;
    struct store_entry entry;
    struct bytes *value = bytes_copy("once", 4);

    (void)state;
    live_make_kv(&live, "late", ",\"max_msgs_per_subject\":9");
    struct store *store = live_open_kv(&live, "late");
    for (size_t i = 0; i < 2; i++) {
        struct store_write write = {.expect = expects[i], .token = store_token()};
        char name[16];
        snprintf(name, sizeof(name), "k%zu", i);
        outcome_begin(&outcome);
        server_freeze(&live.server);
        store->ops->value_put(store, name, value, &write, outcome_write, &outcome);
        pause_ms(TIMEOUT_MS + 400);
        kill(live.server.pid, SIGCONT);
        assert_int_equal(outcome_wait(&outcome), JSFS_OK);
        assert_int_equal(live_lookup(store, name, true, &entry), JSFS_OK);
        assert_int_equal(entry.sequence, outcome.sequence);
        assert_int_equal(entry.own_token, write.token);
        outcome_end(&outcome);
    }
    outcome_begin(&outcome);
    store->ops->info(store, outcome_info, &outcome);
    assert_int_equal(outcome_wait(&outcome), JSFS_OK);
    assert_int_equal(outcome.info.messages, 2); /* nothing was stored twice */
    outcome_end(&outcome);
    bytes_unref(value);
    store->ops->close(store);
}

static void a_put_to_a_server_that_stays_hung_times_out(void **state)
{
    struct outcome outcome;
    struct store_write write = {.expect = STORE_EXPECT_ANY, .token = store_token()};
    struct bytes *value = bytes_copy("v", 1);

    (void)state;
    live_make_kv(&live, "hung", "");
    struct store *store = live_open_kv(&live, "hung");
    outcome_begin(&outcome);
    server_freeze(&live.server);
    store->ops->value_put(store, "k", value, &write, outcome_write, &outcome);
    enum jsfs_status status = outcome_wait(&outcome);
    kill(live.server.pid, SIGCONT);
    assert_int_equal(status, JSFS_TIMEOUT);
    outcome_end(&outcome);
    bytes_unref(value);
    store->ops->close(store);
}

static void closing_interrupts_what_is_in_flight(void **state)
{
    struct outcome outcomes[3];
    struct store_write write = {.expect = STORE_EXPECT_ANY, .token = store_token()};
    struct bytes *value = bytes_copy("v", 1);
    struct recorder recorder;

    (void)state;
    live_make_kv(&live, "close", "");
    struct store *store = live_open_kv(&live, "close");
    recorder_begin(&recorder);
    store->ops->watch(store, &recorder_events, &recorder);
    recorder_wait(&recorder, RECORDED_LIVE, 1);
    for (int i = 0; i < 3; i++)
        outcome_begin(&outcomes[i]);
    server_freeze(&live.server);
    store->ops->value_put(store, "k", value, &write, outcome_write, &outcomes[0]);
    store->ops->lookup(store, "k", false, outcome_entry, &outcomes[1]);
    store->ops->info(store, outcome_info, &outcomes[2]);
    store->ops->close(store);
    int began = recorder.begins;
    kill(live.server.pid, SIGCONT);
    for (int i = 0; i < 3; i++)
        assert_int_equal(outcome_wait(&outcomes[i]), JSFS_INTERRUPTED);
    pause_ms(300); /* the answers come now, to nobody */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(outcomes[i].count, 1);
        outcome_end(&outcomes[i]);
    }
    assert_int_equal(recorder.begins, began);
    recorder_end(&recorder);
    bytes_unref(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_comes_back_by_its_revision),
        cmocka_unit_test(a_revision_that_is_gone_or_anothers_is_stale),
        cmocka_unit_test(markers_are_told_from_empty_values),
        cmocka_unit_test(what_was_never_stored_is_not_found),
        cmocka_unit_test(a_lost_race_is_a_conflict),
        cmocka_unit_test(an_exclusive_create_wins_once_and_over_markers),
        cmocka_unit_test(of_many_exclusive_creates_one_wins),
        cmocka_unit_test(a_value_with_a_time_to_live_expires),
        cmocka_unit_test(a_removed_key_has_a_marker_with_our_token),
        cmocka_unit_test(the_watch_knows_our_own_writes),
        cmocka_unit_test(names_that_would_break_the_protocol_are_refused),
        cmocka_unit_test(the_longest_name_is_stored_and_found),
        cmocka_unit_test(too_large_values_are_not_sent),
        cmocka_unit_test(a_full_bucket_is_no_space),
        cmocka_unit_test(without_direct_get_the_leader_answers),
        cmocka_unit_test(a_mirror_is_read_and_written_under_its_origin),
        cmocka_unit_test(what_was_written_to_a_mirror_that_lags_is_read_at_its_origin),
        cmocka_unit_test(what_vanished_from_the_origin_is_not_asked_for_again),
        cmocka_unit_test(a_deleted_bucket_is_not_found),
        cmocka_unit_test(a_put_whose_answer_is_late_is_resolved),
        cmocka_unit_test(a_put_to_a_server_that_stays_hung_times_out),
        cmocka_unit_test(closing_interrupts_what_is_in_flight),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
