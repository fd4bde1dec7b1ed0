/* SPDX-License-Identifier: Apache-2.0 */
/* test_watcher.c - lists that are never short, and watches that survive what servers do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/js_api.h"
#include "core/watcher.h"
#include "tests/support/failing_malloc.h"
#include "tests/support/live_group.h"
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 20000 };

/* Keys are k.<index>; others are counted only. */
struct watched {
    struct recorder recorder; /* counts of events; its lock guards all here */
    unsigned char seen[KEYS]; /* in the running list */
    size_t distinct;          /* keys seen in the running list */
    size_t at_live;           /* the same, when live was told last */
    uint64_t sequence;        /* of the newest message */
    uint64_t messages;
    struct watcher *watcher;
};

static void note_begin(void *arg, bool full)
{
    struct watched *watched = arg;

    recorder_events.begin(&watched->recorder, full);
    SCOPED_LOCK(&watched->recorder.lock);
    if (full) {
        memset(watched->seen, 0, sizeof(watched->seen));
        watched->distinct = 0;
    }
}

static void note_message(void *arg, const struct watcher_message *message)
{
    struct watched *watched = arg;
    const char *index = strstr(message->subject, ".k.");

    SCOPED_LOCK(&watched->recorder.lock);
    if (index != NULL && watched->seen[atoi(index + 3)] == 0) {
        watched->seen[atoi(index + 3)] = 1;
        watched->distinct++;
    }
    if (message->sequence <= watched->sequence && watched->recorder.fulls < 2)
        watched->recorder.out_of_order = true;
    watched->sequence = message->sequence;
    watched->messages++;
    pthread_cond_broadcast(&watched->recorder.changed);
}

static void note_live(void *arg)
{
    struct watched *watched = arg;

    pthread_mutex_lock(&watched->recorder.lock);
    watched->at_live = watched->distinct;
    pthread_mutex_unlock(&watched->recorder.lock);
    recorder_events.live(&watched->recorder);
}

static void note_lost(void *arg)
{
    recorder_events.lost(&((struct watched *)arg)->recorder);
}

static void note_failed(void *arg, enum jsfs_status status)
{
    recorder_events.failed(&((struct watched *)arg)->recorder, status);
}

static void note_gone(void *arg)
{
    recorder_events.gone(&((struct watched *)arg)->recorder);
}

static const struct watcher_events events = {note_begin, note_message, note_live,
                                             note_lost,  note_failed,  note_gone};

static struct watched *start_as(const char *bucket, bool one_each)
{
    struct watched *watched = calloc(1, sizeof(*watched));
    char stream[64], filter[64];
    struct watcher_options options = {.stream = stream, .filter = filter,
                                      .headers_only = true,
                                      .one_each = one_each,
                                      .whole = true};

    snprintf(stream, sizeof(stream), "KV_%s", bucket);
    snprintf(filter, sizeof(filter), "$KV.%s.>", bucket);
    recorder_begin(&watched->recorder);
    assert_int_equal(
        watcher_start(live.connection, &options, &events, watched, &watched->watcher),
        JSFS_OK);
    return watched;
}

static struct watched *start(const char *bucket)
{
    return start_as(bucket, false);
}

static void stop(struct watched *watched)
{
    watcher_stop(watched->watcher);
    assert_false(watched->recorder.out_of_order);
    recorder_end(&watched->recorder);
    free(watched);
}

static void wait_sequence(struct watched *watched, uint64_t sequence)
{
    for (int i = 0; i < 3000; i++) {
        pthread_mutex_lock(&watched->recorder.lock);
        bool reached = watched->sequence >= sequence;
        pthread_mutex_unlock(&watched->recorder.lock);
        if (reached)
            return;
        pause_ms(10);
    }
    fail_msg("sequence %d was not told", (int)sequence);
}

/* Publish without waiting for acks, but wait until the stream has all. */
static void fill(const char *bucket, const char *token, int first, int count)
{
    natsConnection *nats = connection_nats(live.connection, CONNECTION_UPLOAD);
    char subject[64], stream[64];
    struct js_stream_info before, after;

    snprintf(stream, sizeof(stream), "KV_%s", bucket);
    assert_int_equal(js_api_stream_info(live.connection, stream, &before), JSFS_OK);
    for (int i = first; i < first + count; i++) {
        snprintf(subject, sizeof(subject), "$KV.%s.%s.%d", bucket, token, i);
        while (natsConnection_Publish(nats, subject, "v", 1) != NATS_OK)
            pause_ms(20); /* not connected again yet; ctest ends it if it never is */
    }
    do {
        pause_ms(5);
        assert_int_equal(js_api_stream_info(live.connection, stream, &after), JSFS_OK);
    } while (after.last_sequence < before.last_sequence + (uint64_t)count);
}

static size_t consumers_of(const char *bucket)
{
    char subject[128];
    struct request request = {.subject = subject, .data = "", .size = 0};
    natsMsg *reply = NULL;

    snprintf(subject, sizeof(subject), "$JS.API.CONSUMER.NAMES.KV_%s", bucket);
    assert_int_equal(
        requester_call(connection_requester(live.connection, CONNECTION_CONTROL),
                       &request, &reply),
        JSFS_OK);
    const char *total = strstr(natsMsg_GetData(reply), "\"total\":");
    assert_non_null(total);
    size_t count = strtoul(total + strlen("\"total\":"), NULL, 10);
    natsMsg_Destroy(reply);
    return count;
}

/* At once: before the first heartbeat. A busy machine may need some attempts to be that fast. */
static void an_empty_bucket_is_live_at_once(void **state)
{
    struct watched *watched = NULL;
    int64_t took_ms = INT64_MAX;

    (void)state;
    live_make_kv(&live, "empty", "");
    for (int i = 0; i < 10 && took_ms > 1000; i++) {
        if (watched != NULL)
            stop(watched);
        int64_t started_ms = clock_monotonic_ms();
        watched = start("empty");
        recorder_wait(&watched->recorder, RECORDED_LIVE, 1);
        took_ms = clock_monotonic_ms() - started_ms;
    }
    assert_in_range(took_ms, 0, 1000);
    assert_int_equal(watched->recorder.fulls, 1);
    assert_int_equal(watched->messages, 0);

    wait_sequence(watched, live_publish_text(&live, "$KV.empty.k.1", "v"));
    stop(watched);
}

static void a_bucket_of_markers_is_listed(void **state)
{
    const char *headers[] = {"KV-Operation", "DEL", NULL};

    (void)state;
    live_make_kv(&live, "markers", "");
    live_publish(&live, "$KV.markers.k.1", headers, "", 0);
    live_publish(&live, "$KV.markers.k.2", headers, "", 0);
    struct watched *watched = start("markers");
    recorder_wait(&watched->recorder, RECORDED_LIVE, 1);
    assert_int_equal(watched->at_live, 2);
    stop(watched);
}

/* A stream whose messages were all purged has sequences but nothing to list. */
static void a_purged_bucket_is_live_and_empty(void **state)
{
    (void)state;
    live_make_kv(&live, "purged", "");
    fill("purged", "k", 0, 100);
    assert_int_equal(js_api_stream_purge(live.connection, "KV_purged", "$KV.purged.>"),
                     JSFS_OK);
    struct watched *watched = start("purged");
    recorder_wait(&watched->recorder, RECORDED_LIVE, 1);
    assert_int_equal(watched->at_live, 0);
    stop(watched);
}

struct rewriter {
    atomic_bool ending;
    atomic_uint written;
    natsConnection *nats;
    pthread_t thread;
};

static void *rewrite(void *arg)
{
    struct rewriter *rewriter = arg;
    unsigned random = 1;
    char subject[64];

    while (!atomic_load(&rewriter->ending)) {
        for (int i = 0; i < 50; i++) {
            random = random * 1103515245u + 12345u;
            snprintf(subject, sizeof(subject), "$KV.busy.k.%u", random / 65536 % KEYS);
            natsConnection_Publish(rewriter->nats, subject, "again", 5);
        }
        natsConnection_Flush(rewriter->nats);
        atomic_fetch_add(&rewriter->written, 50);
    }
    nats_ReleaseThreadMemory();
    return NULL;
}

static void a_list_is_complete_while_keys_are_rewritten(void **state)
{
    enum { RUNS = 6 };
    struct rewriter rewriter = {.nats =
                                    connection_nats(live.connection, CONNECTION_UPLOAD)};

    (void)state;
    live_make_kv(&live, "busy", "");
    fill("busy", "k", 0, KEYS);
    assert_int_equal(pthread_create(&rewriter.thread, NULL, rewrite, &rewriter), 0);
    size_t listed[RUNS];
    for (int run = 0; run < RUNS; run++) { /* nothing fails before the thread has ended */
        struct watched *watched = start_as("busy", run % 2 == 0);
        listed[run] =
            recorder_reaches(&watched->recorder, RECORDED_LIVE, 1) ? watched->at_live : 0;
        stop(watched);
    }
    atomic_store(&rewriter.ending, true);
    pthread_join(rewriter.thread, NULL);
    assert_true(atomic_load(&rewriter.written) > 0);
    for (int run = 0; run < RUNS; run++)
        assert_int_equal(listed[run], KEYS);
}

struct purger {
    enum jsfs_status status;
    pthread_t thread;
};

static void *purge_half(void *arg)
{
    struct purger *purger = arg;

    purger->status = js_api_stream_purge(live.connection, "KV_halved", "$KV.halved.p.>");
    nats_ReleaseThreadMemory();
    return NULL;
}

static void a_list_completes_while_keys_are_purged(void **state)
{
    (void)state;
    live_make_kv(&live, "halved", "");
    for (int run = 0; run < 4; run++) {
        struct purger purger = {0};
        fill("halved", "p", 0, KEYS / 2);
        fill("halved", "k", 0, KEYS / 2);
        assert_int_equal(pthread_create(&purger.thread, NULL, purge_half, &purger), 0);
        struct watched *watched = start_as("halved", run % 2 == 0);
        bool listed = recorder_reaches(&watched->recorder, RECORDED_LIVE, 1);
        pthread_join(purger.thread, NULL);
        assert_true(listed);
        assert_int_equal(purger.status, JSFS_OK);
        assert_int_equal(watched->at_live, KEYS / 2);
        stop(watched);
    }
}

static void a_restart_of_the_server_is_resumed(void **state)
{
    (void)state;
    live_make_kv(&live, "restart", "");
    fill("restart", "k", 0, 1000);
    struct watched *watched = start("restart");
    recorder_wait(&watched->recorder, RECORDED_LIVE, 1);
    assert_int_equal(watched->messages, 1000);

    server_halt(&live.server);
    recorder_wait(&watched->recorder, RECORDED_LOST, 1);
    server_resume(&live.server);
    recorder_wait(&watched->recorder, RECORDED_LIVE, 2);
    assert_int_equal(watched->recorder.losts, 1);
    assert_int_equal(watched->recorder.fulls, 1); /* not told again */
    assert_int_equal(watched->messages, 1000);
    wait_sequence(watched, live_publish_text(&live, "$KV.restart.k.5", "v"));
    assert_int_equal(watched->messages, 1001);
    stop(watched);
}

static void a_deleted_consumer_is_made_again_and_nothing_is_missed(void **state)
{
    char names[512], subject[256];
    struct request request = {.subject = "$JS.API.CONSUMER.NAMES.KV_orphan"};
    natsMsg *reply = NULL;

    (void)state;
    live_make_kv(&live, "orphan", "");
    fill("orphan", "k", 0, 10);
    struct watched *watched = start("orphan");
    recorder_wait(&watched->recorder, RECORDED_LIVE, 1);
    assert_int_equal(
        requester_call(connection_requester(live.connection, CONNECTION_CONTROL),
                       &request, &reply),
        JSFS_OK);
    snprintf(names, sizeof(names), "%s", natsMsg_GetData(reply));
    natsMsg_Destroy(reply);
    char *name = strstr(names, "jsfs-");
    assert_non_null(name);
    name[strcspn(name, "\"")] = '\0';
    snprintf(subject, sizeof(subject), "$JS.API.CONSUMER.DELETE.KV_orphan.%s", name);
    request.subject = subject;
    assert_int_equal(
        requester_call(connection_requester(live.connection, CONNECTION_CONTROL),
                       &request, &reply),
        JSFS_OK);
    natsMsg_Destroy(reply);

    uint64_t missed = live_publish_text(&live, "$KV.orphan.k.11", "v");
    recorder_wait(&watched->recorder, RECORDED_LIVE, 2);
    wait_sequence(watched, missed);
    assert_int_equal(watched->recorder.fulls, 1);
    assert_int_equal(watched->recorder.losts, 1);
    assert_int_equal(watched->messages, 11);
    stop(watched);
}

static void a_hung_server_is_noticed_and_survived(void **state)
{
    (void)state;
    live_make_kv(&live, "hung", "");
    fill("hung", "k", 0, 10);
    struct watched *watched = start("hung");
    recorder_wait(&watched->recorder, RECORDED_LIVE, 1);
    server_freeze(&live.server);
    recorder_wait(&watched->recorder, RECORDED_LOST, 1);
    recorder_wait(&watched->recorder, RECORDED_FAILED, 1);
    kill(live.server.pid, SIGCONT);
    recorder_wait(&watched->recorder, RECORDED_LIVE, 2);
    wait_sequence(watched, live_publish_text(&live, "$KV.hung.k.11", "v"));
    stop(watched);
}

static void a_deleted_bucket_is_gone(void **state)
{
    (void)state;
    live_make_kv(&live, "doomed", "");
    fill("doomed", "k", 0, 10);
    struct watched *watched = start("doomed");
    recorder_wait(&watched->recorder, RECORDED_LIVE, 1);
    assert_int_equal(js_api_stream_delete(live.connection, "KV_doomed"), JSFS_OK);
    recorder_wait(&watched->recorder, RECORDED_GONE, 1);
    stop(watched);

    watched = start("doomed");
    recorder_wait(&watched->recorder, RECORDED_GONE, 1);
    assert_int_equal(watched->recorder.begins, 0);
    stop(watched);
}

/* Its sequences begin again: what is known is another bucket's. */
static void a_bucket_made_anew_is_listed_in_full(void **state)
{
    (void)state;
    live_make_kv(&live, "again", "");
    fill("again", "k", 0, 5);
    struct watched *watched = start("again");
    recorder_wait(&watched->recorder, RECORDED_LIVE, 1);
    assert_int_equal(js_api_stream_delete(live.connection, "KV_again"), JSFS_OK);
    live_make_kv(&live, "again", "");
    fill("again", "k", 100, 20);
    recorder_wait(&watched->recorder, RECORDED_LIVE, 2);
    assert_int_equal(watched->recorder.fulls, 2);
    assert_int_equal(watched->at_live, 20);
    stop(watched);
}

static void no_consumer_is_left_behind(void **state)
{
    (void)state;
    live_make_kv(&live, "clean", "");
    fill("clean", "k", 0, 10);
    for (int i = 0; i < 20; i++) {
        struct watched *watched = start("clean");
        if (i % 2 == 0)
            recorder_wait(&watched->recorder, RECORDED_LIVE, 1);
        stop(watched);
    }
    /* Those that were stopped before their creation was answered end by themselves. */
    for (int i = 0; i < 1000 && consumers_of("clean") > 0; i++)
        pause_ms(50);
    assert_int_equal(consumers_of("clean"), 0);
}

static void count_task(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void drop_task(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 100);
}

static void a_posted_task_runs_or_is_dropped_once(void **state)
{
    atomic_int ran = 0, either = 0;

    (void)state;
    live_make_kv(&live, "tasks", "");
    struct watched *watched = start("tasks");
    recorder_wait(&watched->recorder, RECORDED_LIVE, 1);
    assert_true(watcher_post(watched->watcher, count_task, drop_task, &ran));
    for (int i = 0; i < 3000 && atomic_load(&ran) == 0; i++)
        pause_ms(10);
    assert_int_equal(atomic_load(&ran), 1);
    assert_true(watcher_post(watched->watcher, count_task, drop_task, &either));
    stop(watched);
    assert_true(atomic_load(&either) == 1 || atomic_load(&either) == 100);
}

static void a_start_without_memory_says_so(void **state)
{
    struct watcher_options options = {
        .stream = "KV_none", .filter = "$KV.none.>", .headers_only = true, .one_each = true};
    struct watched watched;
    bool failed = true;

    (void)state;
    memset(&watched, 0, sizeof(watched));
    recorder_begin(&watched.recorder);
    for (unsigned n = 1; failed; n++) {
        struct watcher *watcher = NULL;
        failing_malloc_start(n);
        enum jsfs_status status =
            watcher_start(live.connection, &options, &events, &watched, &watcher);
        failed = failing_malloc_stop();
        assert_int_equal(status, failed ? JSFS_NO_MEMORY : JSFS_OK);
        watcher_stop(watcher);
    }
    recorder_end(&watched.recorder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_bucket_is_live_at_once),
        cmocka_unit_test(a_bucket_of_markers_is_listed),
        cmocka_unit_test(a_purged_bucket_is_live_and_empty),
        cmocka_unit_test(a_list_is_complete_while_keys_are_rewritten),
        cmocka_unit_test(a_list_completes_while_keys_are_purged),
        cmocka_unit_test(a_restart_of_the_server_is_resumed),
        cmocka_unit_test(a_deleted_consumer_is_made_again_and_nothing_is_missed),
        cmocka_unit_test(a_hung_server_is_noticed_and_survived),
        cmocka_unit_test(a_deleted_bucket_is_gone),
        cmocka_unit_test(a_bucket_made_anew_is_listed_in_full),
        cmocka_unit_test(no_consumer_is_left_behind),
        cmocka_unit_test(a_posted_task_runs_or_is_dropped_once),
        cmocka_unit_test(a_start_without_memory_says_so),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
