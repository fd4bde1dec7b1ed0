/* SPDX-License-Identifier: Apache-2.0 */
/* test_object_store.c - object stores against a real nats-server, with metas of all clients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/js_api.h"
#include "core/object_store.h"
#include "tests/support/live_group.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum jsfs_status put_meta(struct store *store, const char *name, const char *nuid,
                                 enum store_expect expect, uint64_t expected,
                                 uint64_t *sequence)
{
    struct store_write write = {.expect = expect, .sequence = expected, .token = store_token()};
    char *name_copy = strdup(name), *nuid_copy = strdup(nuid);
    struct object_meta meta = {.name = name_copy,
                               .nuid = nuid_copy,
                               .size_bytes = 10,
                               .chunks = 1,
                               .max_chunk_bytes = 131072};
    struct outcome outcome;

    outcome_begin(&outcome);
    store->ops->meta_put(store, &meta, &write, outcome_write, &outcome);
    enum jsfs_status status = outcome_wait(&outcome);
    if (sequence != NULL && status == JSFS_OK)
        *sequence = outcome.sequence;
    outcome_end(&outcome);
    free(name_copy);
    free(nuid_copy);
    return status;
}

/* A meta as another client writes it, on any subject; nuid is "foreign". */
static uint64_t publish_meta(const char *bucket, const char *token, const char *name,
                             bool deleted)
{
    const char *headers[] = {"Nats-Rollup", "sub", NULL};
    char subject[256], json[512];

    snprintf(subject, sizeof(subject), "$O.%s.M.%s", bucket, token);
    snprintf(
        json, sizeof(json),
        "{\"name\":\"%s\",\"bucket\":\"%s\",\"nuid\":\"foreign\",\"size\":7,\"chunks\":1,"
        "\"deleted\":%s}",
        name, bucket, deleted ? "true" : "false");
    return live_publish(&live, subject, headers, json, strlen(json));
}

static enum jsfs_status look_up(struct store *store, const char *name,
                                struct outcome *outcome)
{
    outcome_begin(outcome);
    store->ops->lookup(store, name, false, outcome_entry, outcome);
    enum jsfs_status status = outcome_wait(outcome);
    outcome_end(outcome);
    return status;
}

static uint64_t put_chunk(struct store *store, const char *nuid, const void *data,
                          size_t size)
{
    struct bytes *chunk = bytes_copy(data, size);
    struct outcome outcome;

    outcome_begin(&outcome);
    store->ops->chunk_put(store, nuid, chunk, outcome_write, &outcome);
    assert_int_equal(outcome_wait(&outcome), JSFS_OK);
    uint64_t sequence = outcome.sequence;
    outcome_end(&outcome);
    bytes_unref(chunk);
    return sequence;
}

static uint64_t messages_of(struct store *store)
{
    struct outcome outcome;

    outcome_begin(&outcome);
    store->ops->info(store, outcome_info, &outcome);
    assert_int_equal(outcome_wait(&outcome), JSFS_OK);
    outcome_end(&outcome);
    return outcome.info.messages;
}

static void a_meta_comes_back_and_rolls_up(void **state)
{
    struct outcome found;
    uint64_t first = 0, second = 0;

    (void)state;
    live_make_object(&live, "metas", "");
    struct store *store = live_open_object(&live, "metas");
    assert_int_equal(look_up(store, "dir/a b", &found), JSFS_NOT_FOUND);
    assert_int_equal(put_meta(store, "dir/a b", "one", STORE_EXPECT_ANY, 0, &first),
                     JSFS_OK);
    assert_int_equal(put_meta(store, "dir/a b", "two", STORE_EXPECT_AT, first, &second),
                     JSFS_OK);
    assert_int_equal(put_meta(store, "dir/a b", "three", STORE_EXPECT_AT, first, NULL),
                     JSFS_CONFLICT);
    assert_int_equal(look_up(store, "dir/a b", &found), JSFS_OK);
    assert_int_equal(found.entry.state, STORE_LIVE);
    assert_int_equal(found.entry.sequence, second);
    assert_int_equal(found.entry.size_bytes, 10);
    assert_true(found.entry.own_token != 0);
    assert_string_equal(found.nuid, "two");
    assert_int_equal(messages_of(store), 1);
    store->ops->close(store);
}

static void a_tombstone_is_absent_and_names_no_chunks(void **state)
{
    struct outcome found;
    uint64_t sequence = 0;

    (void)state;
    live_make_object(&live, "tombs", "");
    struct store *store = live_open_object(&live, "tombs");
    assert_int_equal(put_meta(store, "x", "mine", STORE_EXPECT_ABSENT, 0, &sequence),
                     JSFS_OK);
    assert_int_equal(put_meta(store, "x", "other", STORE_EXPECT_ABSENT, 0, NULL),
                     JSFS_EXISTS);
    put_chunk(store, "mine", "data", 4);
    assert_int_equal(live_remove(store, "x", STORE_EXPECT_AT, sequence, NULL), JSFS_OK);
    assert_int_equal(look_up(store, "x", &found), JSFS_OK);
    assert_int_equal(found.entry.state, STORE_DELETED);
    assert_int_equal(found.entry.size_bytes, 0);
    assert_string_not_equal(found.nuid, "mine");
    assert_int_equal(messages_of(store), 2); /* the chunk stays for local readers */
    assert_int_equal(put_meta(store, "x", "again", STORE_EXPECT_ABSENT, 0, NULL),
                     JSFS_OK);
    store->ops->close(store);
}

static void odd_metas_show_and_hide_nothing(void **state)
{
    struct recorder recorder;
    struct outcome found;
    struct told told;

    (void)state;
    live_make_object(&live, "odd", "");
    struct store *store = live_open_object(&live, "odd");
    live_publish_text(
        &live, "$O.odd.M.Z29vZA==", "{\"name\":\"good\",\"nuid\":\"n\",\"size\":3}");
    live_publish_text(&live, "$O.odd.M.YmFk", "{\"name\":\"bad\","); /* "bad" */
    live_publish_text(&live, "$O.odd.M.not~base64", "[]");
    live_publish_text(&live, "$O.odd.M.ZW1wdHk=", ""); /* "empty" */
    live_publish_text(&live, "$O.odd.M.AGE=", "null"); /* "\0a" */
    live_publish_text(&live, "$O.odd.M.bGluaw==",
                      "{\"name\":\"link\",\"options\":{\"link\":{\"bucket\":\"b\"}}}");
    recorder_begin(&recorder);
    store->ops->watch(store, &recorder_events, &recorder);
    recorder_wait(&recorder, RECORDED_LIVE, 1);

    const char *const corrupt[] = {"bad", "not~base64", "empty", "AGE="};
    for (size_t i = 0; i < 4; i++) {
        assert_true(recorder_find(&recorder, corrupt[i], &told));
        assert_int_equal(told.state, STORE_CORRUPT);
    }
    assert_true(recorder_find(&recorder, "good", &told));
    assert_int_equal(told.state, STORE_LIVE);
    assert_int_equal(told.size_bytes, 3);
    assert_true(recorder_find(&recorder, "link", &told));
    assert_int_equal(told.state, STORE_LIVE);
    assert_int_equal(look_up(store, "bad", &found), JSFS_OK);
    assert_int_equal(found.entry.state, STORE_CORRUPT);
    assert_int_equal(put_meta(store, "bad", "n", STORE_EXPECT_ABSENT, 0, NULL),
                     JSFS_EXISTS);
    store->ops->close(store);
    recorder_end(&recorder);
}

/* "a>?b" is YT4_Yg== URL-safe, YT4/Yg== as Java writes it, YT4_Yg as nats.c 3.11 did. */
static void metas_under_other_encodings_are_found(void **state)
{
    static const char *const tokens[] = {"YT4_Yg==", "YT4/Yg==", "YT4_Yg"};
    char bucket[16];

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct outcome found;
        snprintf(bucket, sizeof(bucket), "enc%d", i);
        live_make_object(&live, bucket, "");
        struct store *store = live_open_object(&live, bucket);
        uint64_t sequence = publish_meta(bucket, tokens[i], "a>?b", false);
        assert_int_equal(look_up(store, "a>?b", &found), JSFS_OK);
        assert_int_equal(found.entry.sequence, sequence);
        assert_int_equal(found.entry.state, STORE_LIVE);
        store->ops->close(store);
    }
}

static void of_two_metas_the_canonical_one_counts_while_it_lives(void **state)
{
    struct recorder recorder;
    struct outcome found;
    struct told told;

    (void)state;
    live_make_object(&live, "twice", "");
    struct store *store = live_open_object(&live, "twice");
    uint64_t canonical = publish_meta("twice", "YT4_Yg==", "a>?b", false);
    publish_meta("twice", "YT4/Yg==", "a>?b", false);
    recorder_begin(&recorder);
    store->ops->watch(store, &recorder_events, &recorder);
    recorder_wait(&recorder, RECORDED_LIVE, 1);
    assert_true(recorder_find(&recorder, "a>?b", &told));
    assert_int_equal(told.sequence, canonical);
    assert_int_equal(look_up(store, "a>?b", &found), JSFS_OK);
    assert_int_equal(found.entry.sequence, canonical);

    uint64_t tombstone = publish_meta("twice", "YT4_Yg==", "a>?b", true);
    recorder_wait_name(&recorder, "a>?b", tombstone, &told);
    assert_int_equal(told.state, STORE_DELETED);
    assert_int_equal(look_up(store, "a>?b", &found), JSFS_OK);
    assert_int_equal(found.entry.state, STORE_DELETED);

    uint64_t newer = publish_meta("twice", "YT4/Yg==", "a>?b", false);
    recorder_wait_name(&recorder, "a>?b", newer, &told);
    assert_int_equal(told.state, STORE_LIVE);
    assert_int_equal(look_up(store, "a>?b", &found), JSFS_OK);
    assert_int_equal(found.entry.sequence, newer);
    store->ops->close(store);
    recorder_end(&recorder);
}

static void a_foreign_meta_can_be_replaced_and_removed(void **state)
{
    struct outcome found;

    (void)state;
    live_make_object(&live, "foreign", "");
    struct store *store = live_open_object(&live, "foreign");
    uint64_t theirs = publish_meta("foreign", "YT4/Yg==", "a>?b", false);
    assert_int_equal(put_meta(store, "a>?b", "ours", STORE_EXPECT_AT, theirs + 7, NULL),
                     JSFS_CONFLICT);
    assert_int_equal(put_meta(store, "a>?b", "ours", STORE_EXPECT_AT, theirs, NULL),
                     JSFS_OK);
    assert_int_equal(look_up(store, "a>?b", &found), JSFS_OK);
    assert_string_equal(found.nuid, "ours");
    assert_int_equal(messages_of(store), 1);

    theirs = publish_meta("foreign", "Yj4/Yg==", "b>?b", false);
    assert_int_equal(live_remove(store, "b>?b", STORE_EXPECT_AT, theirs, NULL), JSFS_OK);
    assert_int_equal(look_up(store, "b>?b", &found), JSFS_OK);
    assert_int_equal(found.entry.state, STORE_DELETED);
    assert_int_equal(messages_of(store), 2);
    store->ops->close(store);
}

static void chunks_come_back_and_never_from_another_subject(void **state)
{
    struct outcome outcome;

    (void)state;
    live_make_object(&live, "chunks", "");
    struct store *store = live_open_object(&live, "chunks");
    uint64_t first = put_chunk(store, "A", "first", 5);
    uint64_t other = put_chunk(store, "B", "other", 5);
    uint64_t last = put_chunk(store, "A", "last", 4);
    const struct {
        uint64_t sequence;
        enum jsfs_status status;
        const char *text;
    } rows[] = {
        {first,    JSFS_OK,       "first"},
        {other,    JSFS_CONFLICT, NULL   },
        {last,     JSFS_OK,       "last" },
        {last + 1, JSFS_STALE,    NULL   }
    };
    for (size_t i = 0; i < 4; i++) {
        outcome_begin(&outcome);
        store->ops->chunk_get(store, "A", rows[i].sequence, outcome_bytes, &outcome);
        assert_int_equal(outcome_wait(&outcome), rows[i].status);
        if (rows[i].text != NULL)
            assert_memory_equal(outcome.bytes->data, rows[i].text, strlen(rows[i].text));
        outcome_end(&outcome);
    }
    outcome_begin(&outcome);
    store->ops->chunk_first(store, "A", outcome_bytes, &outcome);
    assert_int_equal(outcome_wait(&outcome), JSFS_OK);
    assert_int_equal(outcome.sequence, first);
    outcome_end(&outcome);
    outcome_begin(&outcome);
    store->ops->chunk_last(store, "A", outcome_bytes, &outcome);
    assert_int_equal(outcome_wait(&outcome), JSFS_OK);
    assert_int_equal(outcome.sequence, last);
    outcome_end(&outcome);
    store->ops->close(store);
}

static void the_leader_serves_chunks_without_direct_get(void **state)
{
    struct outcome outcome;

    (void)state;
    live_make_object(&live, "indirect", ",\"allow_direct\":false");
    struct store *store = live_open_object(&live, "indirect");
    uint64_t first = put_chunk(store, "A", "first", 5);
    uint64_t last = put_chunk(store, "A", "last", 4);
    outcome_begin(&outcome);
    store->ops->chunk_first(store, "A", outcome_bytes, &outcome);
    assert_int_equal(outcome_wait(&outcome), JSFS_OK);
    assert_int_equal(outcome.sequence, first);
    assert_memory_equal(outcome.bytes->data, "first", 5);
    outcome_end(&outcome);
    outcome_begin(&outcome);
    store->ops->chunk_get(store, "A", last, outcome_bytes, &outcome);
    assert_int_equal(outcome_wait(&outcome), JSFS_OK);
    assert_memory_equal(outcome.bytes->data, "last", 4);
    outcome_end(&outcome);
    store->ops->close(store);
}

static void missing_chunks_are_stale(void **state)
{
    struct outcome outcome;

    (void)state;
    live_make_object(&live, "missing", "");
    struct store *store = live_open_object(&live, "missing");
    put_chunk(store, "other", "data", 4);
    outcome_begin(&outcome);
    store->ops->chunk_first(store, "A", outcome_bytes, &outcome);
    assert_int_equal(outcome_wait(&outcome), JSFS_STALE);
    outcome_end(&outcome);
    outcome_begin(&outcome);
    store->ops->chunk_last(store, "A", outcome_bytes, &outcome);
    assert_int_equal(outcome_wait(&outcome), JSFS_STALE);
    outcome_end(&outcome);
    outcome_begin(&outcome);
    store->ops->chunk_map(store, "A", outcome_map, &outcome);
    assert_int_equal(outcome_wait(&outcome), JSFS_STALE);
    outcome_end(&outcome);
    store->ops->close(store);
}

static void a_map_holds_interleaved_and_unequal_chunks(void **state)
{
    static const size_t sizes[] = {100, 1, 0, 4096, 7, 0};
    uint64_t sequences[6];
    struct outcome outcome;
    char data[4096] = "";

    (void)state;
    live_make_object(&live, "map", "");
    struct store *store = live_open_object(&live, "map");
    for (size_t i = 0; i < 6; i++) {
        put_chunk(store, "B", data, 50);
        sequences[i] = put_chunk(store, "A", data, sizes[i]);
    }
    put_chunk(store, "B", data, 50);
    outcome_begin(&outcome);
    store->ops->chunk_map(store, "A", outcome_map, &outcome);
    assert_int_equal(outcome_wait(&outcome), JSFS_OK);
    assert_int_equal(outcome.chunk_count, 4);
    for (size_t i = 0, row = 0; i < 6; i++) {
        if (sizes[i] == 0)
            continue;
        assert_int_equal(outcome.chunks[row].sequence, sequences[i]);
        assert_int_equal(outcome.chunks[row].size_bytes, sizes[i]);
        row++;
    }
    outcome_end(&outcome);
    store->ops->close(store);
}

static void a_map_of_many_chunks_is_complete(void **state)
{
    enum { CHUNKS = 3000 };
    natsConnection *nats = connection_nats(live.connection, CONNECTION_UPLOAD);
    struct outcome outcome;

    (void)state;
    live_make_object(&live, "many", "");
    struct store *store = live_open_object(&live, "many");
    for (int i = 0; i < CHUNKS - 1; i++)
        assert_int_equal(natsConnection_Publish(nats, "$O.many.C.A", "xx", 2), NATS_OK);
    put_chunk(store, "A", "end",
              3); /* over the same connection: the others are before it */
    outcome_begin(&outcome);
    store->ops->chunk_map(store, "A", outcome_map, &outcome);
    assert_int_equal(outcome_wait(&outcome), JSFS_OK);
    assert_int_equal(outcome.chunk_count, CHUNKS);
    outcome_end(&outcome);
    store->ops->close(store);
}

static void purging_takes_the_chunks_of_one_nuid(void **state)
{
    struct outcome outcome;

    (void)state;
    live_make_object(&live, "purge", "");
    struct store *store = live_open_object(&live, "purge");
    put_chunk(store, "A", "a", 1);
    put_chunk(store, "B", "b", 1);
    outcome_begin(&outcome);
    store->ops->chunks_purge(store, "A", outcome_plain, &outcome);
    assert_int_equal(outcome_wait(&outcome), JSFS_OK);
    outcome_end(&outcome);
    assert_int_equal(messages_of(store), 1);

    const char *const bad[] = {"", ">", "*", "a.b", "a b", "a\"b"};
    for (size_t i = 0; i < 6; i++) {
        outcome_begin(&outcome);
        store->ops->chunks_purge(store, bad[i], outcome_plain, &outcome);
        assert_int_equal(outcome_wait(&outcome), JSFS_CORRUPT);
        outcome_end(&outcome);
    }
    assert_int_equal(messages_of(store), 1);
    store->ops->close(store);
}

/* No tombstone fits: the meta is purged, and the watch is told although the server says nothing. */
static void a_removal_from_a_full_store_purges(void **state)
{
    struct store_write write = {.expect = STORE_EXPECT_AT, .token = store_token()};
    struct bytes *chunk = bytes_copy("0123456789012345678901234567890123456789", 40);
    struct recorder recorder;
    struct outcome outcome;
    struct told told;

    (void)state;
    live_make_object(&live, "full", ",\"max_bytes\":2000");
    struct store *store = live_open_object(&live, "full");
    recorder_begin(&recorder);
    store->ops->watch(store, &recorder_events, &recorder);
    assert_int_equal(put_meta(store, "x", "A", STORE_EXPECT_ANY, 0, &write.sequence),
                     JSFS_OK);
    recorder_wait_name(&recorder, "x", write.sequence, &told);
    for (enum jsfs_status status = JSFS_OK; status != JSFS_NO_SPACE;) {
        outcome_begin(&outcome);
        store->ops->chunk_put(store, "A", chunk, outcome_write, &outcome);
        status = outcome_wait(&outcome);
        assert_true(status == JSFS_OK || status == JSFS_NO_SPACE);
        outcome_end(&outcome);
    }
    outcome_begin(&outcome);
    store->ops->remove(store, "x", &write, outcome_write, &outcome);
    assert_int_equal(outcome_wait(&outcome), JSFS_OK);
    assert_int_equal(outcome.sequence, write.sequence);
    outcome_end(&outcome);
    for (int i = 0; i < 3000 && told.state != STORE_PURGED; i++) {
        pause_ms(10);
        assert_true(recorder_find(&recorder, "x", &told));
    }
    assert_int_equal(told.state, STORE_PURGED);
    assert_int_equal(told.sequence, write.sequence);
    assert_int_equal(told.own_token, write.token);
    assert_int_equal(look_up(store, "x", &outcome), JSFS_NOT_FOUND);
    store->ops->close(store);
    recorder_end(&recorder);
    bytes_unref(chunk);
}

static void a_sealed_store_takes_no_change(void **state)
{
    struct outcome outcome;
    natsMsg *reply = NULL;
    const char *config =
        "{\"name\":\"OBJ_sealed\",\"subjects\":[\"$O.sealed.C.>\",\"$O.sealed.M.>\"],"
        "\"storage\":\"file\",\"num_replicas\":1,\"discard\":\"new\",\"allow_direct\":"
        "true,"
        "\"retention\":\"limits\",\"sealed\":true}";
    struct request request = {.subject = "$JS.API.STREAM.UPDATE.OBJ_sealed",
                              .data = config,
                              .size = strlen(config)};

    (void)state;
    live_make_object(&live, "sealed", "");
    struct store *store = live_open_object(&live, "sealed");
    put_chunk(store, "A", "a", 1);
    assert_int_equal(put_meta(store, "x", "A", STORE_EXPECT_ANY, 0, NULL), JSFS_OK);
    assert_int_equal(
        requester_call(connection_requester(live.connection, CONNECTION_CONTROL),
                       &request, &reply),
        JSFS_OK);
    assert_null(strstr(natsMsg_GetData(reply), "\"error\""));
    natsMsg_Destroy(reply);
    assert_int_equal(put_meta(store, "x", "B", STORE_EXPECT_ANY, 0, NULL), JSFS_SEALED);
    assert_int_equal(live_remove(store, "x", STORE_EXPECT_ANY, 0, NULL), JSFS_SEALED);
    outcome_begin(&outcome);
    store->ops->chunks_purge(store, "A", outcome_plain, &outcome);
    assert_int_equal(outcome_wait(&outcome), JSFS_SEALED);
    outcome_end(&outcome);
    store->ops->close(store);
}

static void the_watch_tells_metas_and_not_chunks(void **state)
{
    struct recorder recorder;
    struct told told;
    uint64_t sequence = 0;

    (void)state;
    live_make_object(&live, "watch", "");
    struct store *store = live_open_object(&live, "watch");
    put_chunk(store, "A", "a", 1);
    assert_int_equal(put_meta(store, "x", "A", STORE_EXPECT_ANY, 0, NULL), JSFS_OK);
    put_chunk(store, "orphan", "o", 1);
    recorder_begin(&recorder);
    store->ops->watch(store, &recorder_events, &recorder);
    recorder_wait(&recorder, RECORDED_LIVE, 1);
    assert_int_equal(recorder.messages, 1);
    assert_int_equal(recorder_live_names(&recorder), 1);
    put_chunk(store, "B", "b", 1);
    assert_int_equal(put_meta(store, "y", "B", STORE_EXPECT_ANY, 0, &sequence), JSFS_OK);
    recorder_wait_name(&recorder, "y", sequence, &told);
    assert_true(told.own_token != 0);
    assert_int_equal(recorder.messages, 2);

    store->ops->unwatch(store);
    publish_meta("watch", "eg==", "z", false);
    pause_ms(200);
    assert_int_equal(recorder.messages, 2);
    store->ops->watch(store, &recorder_events, &recorder);
    recorder_wait(&recorder, RECORDED_LIVE, 2);
    assert_int_equal(recorder_live_names(&recorder), 3);
    assert_false(recorder.out_of_order);
    store->ops->close(store);
    recorder_end(&recorder);
}

static void names_that_no_client_could_read_are_refused(void **state)
{
    char longest[3100];
    struct outcome found;

    (void)state;
    live_make_object(&live, "names", "");
    struct store *store = live_open_object(&live, "names");
    assert_int_equal(put_meta(store, "", "n", STORE_EXPECT_ANY, 0, NULL), JSFS_BAD_NAME);
    assert_int_equal(put_meta(store, "\xff", "n", STORE_EXPECT_ANY, 0, NULL),
                     JSFS_NOT_UTF8);
    assert_int_equal(look_up(store, "\xff", &found), JSFS_NOT_FOUND);
    memset(longest, 'n', sizeof(longest));
    longest[3050] = '\0';
    assert_int_equal(put_meta(store, longest, "n", STORE_EXPECT_ANY, 0, NULL),
                     JSFS_NAME_TOO_LONG);
    longest[2950] = '\0';
    assert_int_equal(put_meta(store, longest, "n", STORE_EXPECT_ANY, 0, NULL), JSFS_OK);
    assert_int_equal(look_up(store, longest, &found), JSFS_OK);
    store->ops->close(store);
}

static void a_meta_whose_answer_is_late_is_resolved(void **state)
{
    struct store_write write = {.expect = STORE_EXPECT_ABSENT, .token = store_token()};
    char name[] = "x", nuid[] = "late";
    struct object_meta meta = {.name = name, .nuid = nuid};
    struct outcome outcome, found;

    (void)state;
    live_make_object(&live, "late", "");
    struct store *store = live_open_object(&live, "late");
    outcome_begin(&outcome);
    server_freeze(&live.server);
    store->ops->meta_put(store, &meta, &write, outcome_write, &outcome);
    pause_ms(TIMEOUT_MS + 400);
    kill(live.server.pid, SIGCONT);
    assert_int_equal(outcome_wait(&outcome), JSFS_OK);
    assert_int_equal(look_up(store, "x", &found), JSFS_OK);
    assert_int_equal(found.entry.sequence, outcome.sequence);
    assert_int_equal(found.entry.own_token, write.token);
    outcome_end(&outcome);
    store->ops->close(store);
}

static void closing_interrupts_reads_and_maps(void **state)
{
    struct outcome outcomes[4];
    struct bytes *chunk = bytes_copy("x", 1);

    (void)state;
    live_make_object(&live, "close", "");
    struct store *store = live_open_object(&live, "close");
    put_chunk(store, "A", "a", 1);
    for (int i = 0; i < 4; i++)
        outcome_begin(&outcomes[i]);
    server_freeze(&live.server);
    store->ops->chunk_get(store, "A", 1, outcome_bytes, &outcomes[0]);
    store->ops->chunk_map(store, "A", outcome_map, &outcomes[1]);
    store->ops->chunk_put(store, "A", chunk, outcome_write, &outcomes[2]);
    store->ops->chunks_purge(store, "A", outcome_plain, &outcomes[3]);
    store->ops->close(store);
    kill(live.server.pid, SIGCONT);
    for (int i = 0; i < 4; i++)
        assert_int_equal(outcome_wait(&outcomes[i]), JSFS_INTERRUPTED);
    pause_ms(300);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(outcomes[i].count, 1);
        outcome_end(&outcomes[i]);
    }
    bytes_unref(chunk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_meta_comes_back_and_rolls_up),
        cmocka_unit_test(a_tombstone_is_absent_and_names_no_chunks),
        cmocka_unit_test(odd_metas_show_and_hide_nothing),
        cmocka_unit_test(metas_under_other_encodings_are_found),
        cmocka_unit_test(of_two_metas_the_canonical_one_counts_while_it_lives),
        cmocka_unit_test(a_foreign_meta_can_be_replaced_and_removed),
        cmocka_unit_test(chunks_come_back_and_never_from_another_subject),
        cmocka_unit_test(the_leader_serves_chunks_without_direct_get),
        cmocka_unit_test(missing_chunks_are_stale),
        cmocka_unit_test(a_map_holds_interleaved_and_unequal_chunks),
        cmocka_unit_test(a_map_of_many_chunks_is_complete),
        cmocka_unit_test(purging_takes_the_chunks_of_one_nuid),
        cmocka_unit_test(a_removal_from_a_full_store_purges),
        cmocka_unit_test(a_sealed_store_takes_no_change),
        cmocka_unit_test(the_watch_tells_metas_and_not_chunks),
        cmocka_unit_test(names_that_no_client_could_read_are_refused),
        cmocka_unit_test(a_meta_whose_answer_is_late_is_resolved),
        cmocka_unit_test(closing_interrupts_reads_and_maps),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
