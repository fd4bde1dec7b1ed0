/* SPDX-License-Identifier: Apache-2.0 */
/* test_js_api.c - the JetStream API and direct gets, against a real nats-server. */
#include "core/cleanup.h"
#include "core/direct_get.h"
#include "core/header_block.h"
#include "core/js_api.h"
#include "tests/support/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STREAM "KV_b"

static const char config[] =
    "{\"name\":\"" STREAM "\",\"subjects\":[\"$KV.b.>\"],\"max_msgs_per_subject\":5,"
    "\"allow_direct\":true,\"allow_rollup_hdrs\":true,\"storage\":\"memory\"}";

struct bench {
    struct server server;
    struct executor *executor;
    struct connection *connection;
};

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    char error[256] = "";

    server_begin(&bench->server, NULL);
    bench->executor = executor_new(2);
    struct connection_options options = {.urls = bench->server.url, .timeout_ms = 5000};
    if (connection_open(&options, bench->executor, &bench->connection, error,
                        sizeof(error)) != JSFS_OK)
        fail_msg("%s", error);
    assert_int_equal(js_api_stream_create(bench->connection, STREAM, config), JSFS_OK);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;

    connection_close(bench->connection);
    executor_free(bench->executor);
    server_end(&bench->server);
    free(bench);
    return 0;
}

/* Publish and wait until it is stored. */
static void put(struct bench *bench, const char *subject, const char *value,
                const char *const *headers)
{
    struct request request = {
        .subject = subject, .headers = headers, .data = value, .size = strlen(value)};
    struct js_pub_ack ack;
    natsMsg *reply = NULL;

    assert_int_equal(
        requester_call(connection_requester(bench->connection, CONNECTION_CONTROL),
                       &request, &reply),
        JSFS_OK);
    assert_int_equal(js_reply_pub_ack(natsMsg_GetData(reply),
                                      (size_t)natsMsg_GetDataLength(reply), &ack),
                     JSFS_OK);
    assert_int_equal(ack.error.code, 0);
    natsMsg_Destroy(reply);
}

/* What an asynchronous call answered. */
struct got {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* lock */
    bool ended;             /* lock */
    enum jsfs_status status;
    uint64_t sequence;
    int64_t time_ns;
    char subject[64];
    char operation[16];
    char message_id[32];
    char data[64];
    struct bytes *bytes;
};

#define GOT_INIT                                                                         \
    {                                                                                    \
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER           \
    }

static void end(struct got *got, enum jsfs_status status)
{
    SCOPED_LOCK(&got->lock);
    got->status = status;
    got->ended = true;
    pthread_cond_signal(&got->changed);
}

static enum jsfs_status await(struct got *got)
{
    SCOPED_LOCK(&got->lock);
    while (!got->ended)
        pthread_cond_wait(&got->changed, &got->lock);
    return got->status;
}

static void take_text(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text != NULL ? text : "(none)");
}

static void take_direct(void *arg, enum jsfs_status status,
                        const struct direct_message *message)
{
    struct got *got = arg;

    if (status == JSFS_OK) {
        got->sequence = message->sequence;
        got->time_ns = message->time_ns;
        take_text(got->subject, sizeof(got->subject), message->subject);
        take_text(got->operation, sizeof(got->operation), message->operation);
        take_text(got->message_id, sizeof(got->message_id), message->message_id);
        got->bytes = bytes_ref(message->bytes);
    }
    end(got, status);
}

static void take_stored(void *arg, enum jsfs_status status,
                        const struct js_stored_message *message)
{
    struct got *got = arg;

    if (status == JSFS_OK) {
        got->sequence = message->sequence;
        got->time_ns = message->time_ns;
        take_text(got->subject, sizeof(got->subject), message->subject);
        snprintf(got->data, sizeof(got->data), "%.*s", (int)message->size,
                 message->data != NULL ? message->data : "");
        take_text(got->message_id, sizeof(got->message_id), NULL);
        (void)header_block_copy(message->headers, message->headers_size, "Nats-Msg-Id",
                                got->message_id, sizeof(got->message_id));
    }
    end(got, status);
}

static void take_info(void *arg, enum jsfs_status status,
                      const struct js_stream_info *info)
{
    struct got *got = arg;

    if (status == JSFS_OK)
        got->sequence = info->messages;
    end(got, status);
}

static void take_status(void *arg, enum jsfs_status status)
{
    end(arg, status);
}

static void the_account_tells_its_limits(void **state)
{
    struct bench *bench = *state;
    struct js_account_info account;

    assert_int_equal(js_api_account(bench->connection, &account), JSFS_OK);
    assert_int_equal(account.memory_limit, -1);
    assert_int_equal(account.api_level, connection_api_level(bench->connection));
}

static void an_equal_stream_is_made_again_and_another_one_is_not(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(js_api_stream_create(bench->connection, STREAM, config), JSFS_OK);
    assert_int_equal(js_api_stream_create(bench->connection, STREAM,
                                          "{\"name\":\"" STREAM
                                          "\",\"subjects\":[\"other\"]}"),
                     JSFS_EXISTS);
    assert_int_equal(js_api_stream_create(bench->connection, "X",
                                          "{\"name\":\"X\",\"subjects\":[\"$KV.b.a\"]}"),
                     JSFS_EXISTS);
}

static void a_stream_tells_about_itself_until_it_is_deleted(void **state)
{
    struct bench *bench = *state;
    struct js_stream_info info;
    struct got got = GOT_INIT;
    struct got gone = GOT_INIT;

    put(bench, "$KV.b.a", "1", NULL);
    assert_int_equal(js_api_stream_info(bench->connection, STREAM, &info), JSFS_OK);
    assert_string_equal(info.name, STREAM);
    assert_int_equal(info.last_sequence, 1);
    assert_int_equal(info.max_messages_per_subject, 5);
    js_api_stream_info_async(bench->connection, STREAM, take_info, &got);
    assert_int_equal(await(&got), JSFS_OK);
    assert_int_equal(got.sequence, 1);

    assert_int_equal(js_api_stream_delete(bench->connection, STREAM), JSFS_OK);
    assert_int_equal(js_api_stream_info(bench->connection, STREAM, &info),
                     JSFS_NOT_FOUND);
    assert_int_equal(js_api_stream_delete(bench->connection, STREAM), JSFS_NOT_FOUND);
    js_api_stream_info_async(bench->connection, STREAM, take_info, &gone);
    assert_int_equal(await(&gone), JSFS_NOT_FOUND);
}

static void tick_off(void *arg, const struct js_stream_info *info)
{
    int *seen = arg;
    int number = 0;

    if (sscanf(info->name, "S%d", &number) == 1)
        seen[number]++;
}

#define STREAMS 300 /* more than one page of 256 */

static void every_stream_is_listed_once_over_all_pages(void **state)
{
    struct bench *bench = *state;
    int seen[STREAMS] = {0};
    char name[16];
    char body[128];

    for (int i = 0; i < STREAMS; i++) {
        snprintf(name, sizeof(name), "S%d", i);
        snprintf(body, sizeof(body),
                 "{\"name\":\"S%d\",\"subjects\":[\"s.%d\"],\"storage\":\"memory\"}", i,
                 i);
        assert_int_equal(js_api_stream_create(bench->connection, name, body), JSFS_OK);
    }
    assert_int_equal(js_api_stream_list(bench->connection, tick_off, seen), JSFS_OK);
    for (int i = 0; i < STREAMS; i++)
        assert_int_equal(seen[i], 1);
}

static void a_purge_removes_one_subject_only(void **state)
{
    struct bench *bench = *state;
    struct js_stream_info info;
    struct got got = GOT_INIT;

    put(bench, "$KV.b.a", "1", NULL);
    put(bench, "$KV.b.a", "2", NULL);
    put(bench, "$KV.b.b", "3", NULL);
    put(bench, "$KV.b.c", "4", NULL);
    assert_int_equal(js_api_stream_purge(bench->connection, STREAM, "$KV.b.a"), JSFS_OK);
    js_api_stream_purge_async(bench->connection, STREAM, "$KV.b.c", take_status, &got);
    assert_int_equal(await(&got), JSFS_OK);
    assert_int_equal(js_api_stream_info(bench->connection, STREAM, &info), JSFS_OK);
    assert_int_equal(info.messages, 1);
    assert_int_equal(js_api_stream_purge(bench->connection, "NONE", "a"), JSFS_NOT_FOUND);
    assert_int_equal(js_api_stream_purge(bench->connection, STREAM, "\xff"),
                     JSFS_NOT_UTF8);
}

static void the_leader_gives_a_stored_message(void **state)
{
    struct bench *bench = *state;
    const char *const headers[] = {"Nats-Msg-Id", "id-7", NULL};
    const char *const awkward = "$KV.b.\"q\\\xc3\xa4";
    struct got last = GOT_INIT;
    struct got at = GOT_INIT;
    struct got none = GOT_INIT;
    struct got no_sequence = GOT_INIT;

    put(bench, "$KV.b.a", "old", NULL);
    put(bench, awkward, "new", headers);
    js_api_message_last(bench->connection, STREAM, awkward, take_stored, &last);
    assert_int_equal(await(&last), JSFS_OK);
    assert_int_equal(last.sequence, 2);
    assert_string_equal(last.subject, awkward);
    assert_string_equal(last.data, "new");
    assert_string_equal(last.message_id, "id-7");

    js_api_message_at(bench->connection, STREAM, 1, take_stored, &at);
    assert_int_equal(await(&at), JSFS_OK);
    assert_string_equal(at.data, "old");
    assert_string_equal(at.message_id, "(none)");

    js_api_message_last(bench->connection, STREAM, "$KV.b.none", take_stored, &none);
    assert_int_equal(await(&none), JSFS_NOT_FOUND);
    js_api_message_at(bench->connection, STREAM, 99, take_stored, &no_sequence);
    assert_int_equal(await(&no_sequence), JSFS_NOT_FOUND);
}

static void check_bytes(struct got *got, const char *text)
{
    assert_int_equal(got->bytes->size, strlen(text));
    assert_memory_equal(got->bytes->data, text, strlen(text));
    bytes_unref(got->bytes);
}

static void direct_gets_find_the_last_the_exact_and_the_next(void **state)
{
    struct bench *bench = *state;
    const char *const headers[] = {"KV-Operation", "DEL", "Nats-Msg-Id", "id", NULL};
    struct got last = GOT_INIT;
    struct got at = GOT_INIT;
    struct got next = GOT_INIT;

    put(bench, "$KV.b.a", "one", NULL);
    put(bench, "$KV.b.b", "two", NULL);
    put(bench, "$KV.b.a", "", headers);
    direct_get_last(bench->connection, CONNECTION_CONTROL, STREAM, "$KV.b.a", take_direct,
                    &last);
    assert_int_equal(await(&last), JSFS_OK);
    assert_int_equal(last.sequence, 3);
    assert_string_equal(last.subject, "$KV.b.a");
    assert_string_equal(last.operation, "DEL");
    assert_string_equal(last.message_id, "id");
    assert_true(last.time_ns / 1000000000 >= time(NULL) - 60);
    assert_true(last.time_ns / 1000000000 <= time(NULL) + 60);
    check_bytes(&last, "");

    direct_get_at(bench->connection, CONNECTION_FETCH, STREAM, 1, take_direct, &at);
    assert_int_equal(await(&at), JSFS_OK);
    assert_string_equal(at.operation, "(none)");
    check_bytes(&at, "one");

    direct_get_next(bench->connection, CONNECTION_FETCH, STREAM, 2, "$KV.b.a",
                    take_direct, &next);
    assert_int_equal(await(&next), JSFS_OK);
    assert_int_equal(next.sequence, 3);
    check_bytes(&next, "");
}

static void a_direct_get_of_nothing_is_not_found(void **state)
{
    struct bench *bench = *state;
    struct got last = GOT_INIT;
    struct got at = GOT_INIT;
    struct got next = GOT_INIT;
    struct got space = GOT_INIT;

    put(bench, "$KV.b.a", "one", NULL);
    direct_get_last(bench->connection, CONNECTION_CONTROL, STREAM, "$KV.b.x", take_direct,
                    &last);
    assert_int_equal(await(&last), JSFS_NOT_FOUND);
    direct_get_at(bench->connection, CONNECTION_CONTROL, STREAM, 2, take_direct, &at);
    assert_int_equal(await(&at), JSFS_NOT_FOUND);
    direct_get_next(bench->connection, CONNECTION_CONTROL, STREAM, 2, "$KV.b.a",
                    take_direct, &next);
    assert_int_equal(await(&next), JSFS_NOT_FOUND);
    direct_get_last(bench->connection, CONNECTION_CONTROL, STREAM, "a b", take_direct,
                    &space);
    assert_int_equal(await(&space), JSFS_BAD_NAME);
}

static void a_message_cannot_lie_about_where_it_is_stored(void **state)
{
    struct bench *bench = *state;
    const char *const headers[] = {"Nats-Sequence",
                                   "77",
                                   "Nats-Subject",
                                   "$KV.b.forged",
                                   "Nats-Time-Stamp",
                                   "1999-01-01T00:00:00Z",
                                   "Status",
                                   "404",
                                   NULL};
    struct got got = GOT_INIT;

    put(bench, "$KV.b.a", "value", headers);
    direct_get_last(bench->connection, CONNECTION_CONTROL, STREAM, "$KV.b.a", take_direct,
                    &got);
    assert_int_equal(await(&got), JSFS_OK);
    assert_int_equal(got.sequence, 1);
    assert_string_equal(got.subject, "$KV.b.a");
    assert_true(got.time_ns / 1000000000 >= time(NULL) - 60);
    check_bytes(&got, "value");
}

static void a_name_near_the_control_line_is_asked_in_the_payload(void **state)
{
    struct bench *bench = *state;
    char subject[3800];
    struct got got = GOT_INIT;

    memset(subject, 'k', sizeof(subject));
    memcpy(subject, "$KV.b.", 6);
    subject[sizeof(subject) - 1] = '\0';
    put(bench, subject, "long", NULL);
    direct_get_last(bench->connection, CONNECTION_CONTROL, STREAM, subject, take_direct,
                    &got);
    assert_int_equal(await(&got), JSFS_OK);
    check_bytes(&got, "long");
}

static enum jsfs_status make_consumer(struct bench *bench, const char *stream,
                                      uint64_t *pending)
{
    char body[512];

    snprintf(
        body, sizeof(body),
        "{\"stream_name\":\"%s\",\"config\":{\"name\":\"c\",\"deliver_subject\":\"d\","
        "\"filter_subject\":\"$KV.b.>\",\"deliver_policy\":\"last_per_subject\","
        "\"ack_policy\":\"none\",\"mem_storage\":true}}",
        stream);
    return js_api_consumer_create(bench->connection, stream, "c", "$KV.b.>", body,
                                  pending);
}

static void a_consumer_counts_what_it_will_deliver(void **state)
{
    struct bench *bench = *state;
    uint64_t pending = 0;

    put(bench, "$KV.b.a", "one", NULL);
    put(bench, "$KV.b.b", "two", NULL);
    put(bench, "$KV.b.b", "three", NULL);
    assert_int_equal(make_consumer(bench, STREAM, &pending), JSFS_OK);
    assert_int_equal(pending, 2);
    js_api_consumer_delete(bench->connection, STREAM, "c");
    assert_int_equal(make_consumer(bench, "NONE", &pending), JSFS_NOT_FOUND);
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(the_account_tells_its_limits),
        BENCH_TEST(an_equal_stream_is_made_again_and_another_one_is_not),
        BENCH_TEST(a_stream_tells_about_itself_until_it_is_deleted),
        BENCH_TEST(every_stream_is_listed_once_over_all_pages),
        BENCH_TEST(a_purge_removes_one_subject_only),
        BENCH_TEST(the_leader_gives_a_stored_message),
        BENCH_TEST(direct_gets_find_the_last_the_exact_and_the_next),
        BENCH_TEST(a_direct_get_of_nothing_is_not_found),
        BENCH_TEST(a_message_cannot_lie_about_where_it_is_stored),
        BENCH_TEST(a_name_near_the_control_line_is_asked_in_the_payload),
        BENCH_TEST(a_consumer_counts_what_it_will_deliver),
    };

    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    nats_CloseAndWait(10000);
    return failed;
}
