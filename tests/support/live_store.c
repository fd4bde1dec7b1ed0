/* SPDX-License-Identifier: Apache-2.0 */
/* live_store.c - stores on a real nats-server, for tests. */
#include "tests/support/live_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/cleanup.h"
#include "core/js_api.h"
#include "core/kv_store.h"
#include "core/object_store.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PATIENCE_S = 30 };

void pause_ms(int ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

    nanosleep(&pause, NULL);
}

void live_begin(struct live *live, int timeout_ms)
{
    struct connection_options options = {.timeout_ms = timeout_ms};
    char error[256] = "";

    server_begin(&live->server, NULL);
    options.urls = live->server.url;
    live->executor = executor_new(4);
    assert_non_null(live->executor);
    if (connection_open(&options, live->executor, &live->connection, error,
                        sizeof(error)) != JSFS_OK)
        fail_msg("%s", error);
}

void live_end(struct live *live)
{
    connection_close(live->connection);
    executor_free(live->executor);
    server_end(&live->server);
}

static void make(struct live *live, const char *prefix, const char *bucket,
                 const char *config)
{
    char stream[128];

    snprintf(stream, sizeof(stream), "%s%s", prefix, bucket);
    assert_int_equal(js_api_stream_create(live->connection, stream, config), JSFS_OK);
}

void live_make_kv(struct live *live, const char *bucket, const char *more)
{
    char config[1024];

    snprintf(config, sizeof(config),
             "{\"name\":\"KV_%s\",\"subjects\":[\"$KV.%s.>\"],\"max_msgs_per_subject\":1,"
             "\"discard\":\"new\",\"allow_rollup_hdrs\":true,\"allow_direct\":true,"
             "\"storage\":\"file\"%s}",
             bucket, bucket, more);
    make(live, "KV_", bucket, config);
}

void live_make_object(struct live *live, const char *bucket, const char *more)
{
    char config[1024];

    snprintf(config, sizeof(config),
             "{\"name\":\"OBJ_%s\",\"subjects\":[\"$O.%s.C.>\",\"$O.%s.M.>\"],"
             "\"discard\":\"new\",\"allow_rollup_hdrs\":true,\"allow_direct\":true,"
             "\"storage\":\"file\"%s}",
             bucket, bucket, bucket, more);
    make(live, "OBJ_", bucket, config);
}

static void read_info(struct live *live, const char *prefix, const char *bucket,
                      struct js_stream_info *info)
{
    char stream[128];

    snprintf(stream, sizeof(stream), "%s%s", prefix, bucket);
    assert_int_equal(js_api_stream_info(live->connection, stream, info), JSFS_OK);
}

struct store *live_open_kv(struct live *live, const char *bucket)
{
    struct js_stream_info info;

    read_info(live, "KV_", bucket, &info);
    struct store *store = kv_store_open(live->connection, &info);
    assert_non_null(store);
    return store;
}

struct store *live_open_object(struct live *live, const char *bucket)
{
    struct js_stream_info info;

    read_info(live, "OBJ_", bucket, &info);
    struct store *store = object_store_open(live->connection, &info);
    assert_non_null(store);
    return store;
}

uint64_t live_publish(struct live *live, const char *subject, const char *const *headers,
                      const void *data, size_t size)
{
    struct request request = {
        .subject = subject, .headers = headers, .data = data, .size = size};
    struct js_pub_ack ack;
    natsMsg *reply = NULL;

    assert_int_equal(
        requester_call(connection_requester(live->connection, CONNECTION_CONTROL),
                       &request, &reply),
        JSFS_OK);
    assert_int_equal(js_reply_pub_ack(natsMsg_GetData(reply),
                                      (size_t)natsMsg_GetDataLength(reply), &ack),
                     JSFS_OK);
    natsMsg_Destroy(reply);
    assert_int_equal(ack.error.err_code, 0);
    assert_true(ack.sequence > 0);
    return ack.sequence;
}

uint64_t live_publish_text(struct live *live, const char *subject, const char *text)
{
    return live_publish(live, subject, NULL, text, strlen(text));
}

/* --- outcomes ------------------------------------------------------------------------------ */

static struct timespec patience(void)
{
    struct timespec deadline;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += PATIENCE_S;
    return deadline;
}

void outcome_begin(struct outcome *outcome)
{
    memset(outcome, 0, sizeof(*outcome));
    pthread_mutex_init(&outcome->lock, NULL);
    pthread_cond_init(&outcome->ended, NULL);
}

void outcome_end(struct outcome *outcome)
{
    bytes_unref(outcome->bytes);
    pthread_cond_destroy(&outcome->ended);
    pthread_mutex_destroy(&outcome->lock);
}

enum jsfs_status outcome_wait(struct outcome *outcome)
{
    struct timespec deadline = patience();
    int error = 0;

    pthread_mutex_lock(&outcome->lock);
    while (outcome->count == 0 && error == 0)
        error = pthread_cond_timedwait(&outcome->ended, &outcome->lock, &deadline);
    int count = outcome->count;
    enum jsfs_status status = outcome->status;
    pthread_mutex_unlock(&outcome->lock);
    assert_int_equal(count, 1);
    return status;
}

/* The lock is held from here until the enclosing block of the caller ends. */
static void end(struct outcome *outcome, enum jsfs_status status)
{
    outcome->count++;
    outcome->status = status;
    pthread_cond_broadcast(&outcome->ended);
}

void outcome_plain(void *arg, enum jsfs_status status)
{
    struct outcome *outcome = arg;

    SCOPED_LOCK(&outcome->lock);
    end(outcome, status);
}

void outcome_entry(void *arg, enum jsfs_status status, const struct store_entry *entry)
{
    struct outcome *outcome = arg;

    SCOPED_LOCK(&outcome->lock);
    if (entry != NULL) {
        outcome->entry = *entry;
        outcome->entry.meta = NULL;
    }
    if (entry != NULL && entry->meta != NULL) {
        snprintf(outcome->name, sizeof(outcome->name), "%s", entry->meta->name);
        snprintf(outcome->nuid, sizeof(outcome->nuid), "%s",
                 entry->meta->nuid != NULL ? entry->meta->nuid : "");
    }
    end(outcome, status);
}

void outcome_write(void *arg, enum jsfs_status status, uint64_t sequence)
{
    struct outcome *outcome = arg;

    SCOPED_LOCK(&outcome->lock);
    outcome->sequence = sequence;
    end(outcome, status);
}

void outcome_bytes(void *arg, enum jsfs_status status, struct bytes *bytes,
                   uint64_t sequence)
{
    struct outcome *outcome = arg;

    SCOPED_LOCK(&outcome->lock);
    if (bytes != NULL)
        outcome->bytes = bytes_ref(bytes);
    outcome->sequence = sequence;
    end(outcome, status);
}

void outcome_map(void *arg, enum jsfs_status status, const struct store_chunk *chunks,
                 size_t count)
{
    struct outcome *outcome = arg;
    size_t most = sizeof(outcome->chunks) / sizeof(outcome->chunks[0]);

    SCOPED_LOCK(&outcome->lock);
    for (size_t i = 0; i < count && i < most; i++)
        outcome->chunks[i] = chunks[i];
    outcome->chunk_count = count;
    end(outcome, status);
}

void outcome_info(void *arg, enum jsfs_status status, const struct js_stream_info *info)
{
    struct outcome *outcome = arg;

    SCOPED_LOCK(&outcome->lock);
    if (info != NULL)
        outcome->info = *info;
    end(outcome, status);
}

enum jsfs_status live_put(struct store *store, const char *name, const char *text,
                          enum store_expect expect, uint64_t expected, uint64_t *sequence)
{
    struct store_write write = {.expect = expect, .sequence = expected, .token = store_token()};
    struct bytes *value = bytes_copy(text, strlen(text));
    struct outcome outcome;

    outcome_begin(&outcome);
    store->ops->value_put(store, name, value, &write, outcome_write, &outcome);
    enum jsfs_status status = outcome_wait(&outcome);
    if (sequence != NULL && status == JSFS_OK)
        *sequence = outcome.sequence;
    bytes_unref(value);
    outcome_end(&outcome);
    return status;
}

enum jsfs_status live_remove(struct store *store, const char *name,
                             enum store_expect expect, uint64_t expected,
                             uint64_t *sequence)
{
    struct store_write write = {.expect = expect, .sequence = expected, .token = store_token()};
    struct outcome outcome;

    outcome_begin(&outcome);
    store->ops->remove(store, name, &write, outcome_write, &outcome);
    enum jsfs_status status = outcome_wait(&outcome);
    if (sequence != NULL && status == JSFS_OK)
        *sequence = outcome.sequence;
    outcome_end(&outcome);
    return status;
}

enum jsfs_status live_lookup(struct store *store, const char *name, bool leader,
                             struct store_entry *entry)
{
    struct outcome outcome;

    outcome_begin(&outcome);
    store->ops->lookup(store, name, leader, outcome_entry, &outcome);
    enum jsfs_status status = outcome_wait(&outcome);
    if (entry != NULL)
        *entry = outcome.entry;
    outcome_end(&outcome);
    return status;
}

/* --- the recorder ---------------------------------------------------------------------------- */

void recorder_begin(struct recorder *recorder)
{
    memset(recorder, 0, sizeof(*recorder));
    pthread_mutex_init(&recorder->lock, NULL);
    pthread_cond_init(&recorder->changed, NULL);
}

void recorder_end(struct recorder *recorder)
{
    free(recorder->names);
    pthread_cond_destroy(&recorder->changed);
    pthread_mutex_destroy(&recorder->lock);
}

static void record_begin(void *arg, bool full)
{
    struct recorder *recorder = arg;

    SCOPED_LOCK(&recorder->lock);
    recorder->begins++;
    recorder->fulls += full;
    pthread_cond_broadcast(&recorder->changed);
}

/* Names are few in these tests; test_watcher.c counts many by itself. */
static struct told *find(struct recorder *recorder, const char *name)
{
    for (size_t i = recorder->count; i-- > 0;)
        if (strcmp(recorder->names[i].name, name) == 0)
            return &recorder->names[i];
    return NULL;
}

static struct told *add(struct recorder *recorder, const char *name)
{
    if (recorder->count == recorder->capacity) {
        recorder->capacity = recorder->capacity * 2 + 64;
        recorder->names =
            realloc(recorder->names, recorder->capacity * sizeof(*recorder->names));
    }
    struct told *told = &recorder->names[recorder->count++];
    memset(told, 0, sizeof(*told));
    snprintf(told->name, sizeof(told->name), "%s", name);
    return told;
}

static void record_entry(void *arg, const char *name, const struct store_entry *entry)
{
    struct recorder *recorder = arg;

    SCOPED_LOCK(&recorder->lock);
    struct told *told = find(recorder, name);
    if (told == NULL)
        told = add(recorder, name);
    if (recorder->begins == 0 || entry->sequence < told->sequence)
        recorder->out_of_order = true;
    told->state = entry->state;
    told->sequence = entry->sequence;
    told->size_bytes = entry->size_bytes;
    told->own_token = entry->own_token;
    told->list = recorder->fulls;
    recorder->messages++;
    pthread_cond_broadcast(&recorder->changed);
}

static void record_live(void *arg)
{
    struct recorder *recorder = arg;

    SCOPED_LOCK(&recorder->lock);
    recorder->lives++;
    if (recorder->lives > recorder->begins)
        recorder->out_of_order = true;
    pthread_cond_broadcast(&recorder->changed);
}

static void record_lost(void *arg)
{
    struct recorder *recorder = arg;

    SCOPED_LOCK(&recorder->lock);
    recorder->losts++;
    pthread_cond_broadcast(&recorder->changed);
}

static void record_failed(void *arg, enum jsfs_status status)
{
    struct recorder *recorder = arg;

    SCOPED_LOCK(&recorder->lock);
    recorder->failures++;
    recorder->failure = status;
    pthread_cond_broadcast(&recorder->changed);
}

static void record_gone(void *arg)
{
    struct recorder *recorder = arg;

    SCOPED_LOCK(&recorder->lock);
    recorder->gones++;
    pthread_cond_broadcast(&recorder->changed);
}

const struct store_watch_events recorder_events = {
    record_begin, record_entry, record_live, record_lost, record_failed, record_gone};

static int count_of(const struct recorder *recorder, enum recorded event)
{
    switch (event) {
    case RECORDED_BEGIN: return recorder->begins;
    case RECORDED_LIVE: return recorder->lives;
    case RECORDED_LOST: return recorder->losts;
    case RECORDED_FAILED: return recorder->failures;
    case RECORDED_GONE: return recorder->gones;
    }
    return 0;
}

bool recorder_reaches(struct recorder *recorder, enum recorded event, int count)
{
    struct timespec deadline = patience();
    int error = 0;

    pthread_mutex_lock(&recorder->lock);
    while (count_of(recorder, event) < count && error == 0)
        error = pthread_cond_timedwait(&recorder->changed, &recorder->lock, &deadline);
    pthread_mutex_unlock(&recorder->lock);
    return error == 0;
}

void recorder_wait(struct recorder *recorder, enum recorded event, int count)
{
    if (!recorder_reaches(recorder, event, count))
        fail_msg("event %d did not come %d times: begins %d lives %d losts %d failures "
                 "%d gones %d",
                 (int)event, count, recorder->begins, recorder->lives, recorder->losts,
                 recorder->failures, recorder->gones);
}

void recorder_wait_name(struct recorder *recorder, const char *name, uint64_t sequence,
                        struct told *told)
{
    struct timespec deadline = patience();
    struct told *found = NULL;
    int error = 0;

    pthread_mutex_lock(&recorder->lock);
    while (((found = find(recorder, name)) == NULL || found->sequence < sequence) &&
           error == 0)
        error = pthread_cond_timedwait(&recorder->changed, &recorder->lock, &deadline);
    if (error == 0)
        *told = *found;
    pthread_mutex_unlock(&recorder->lock);
    if (error != 0)
        fail_msg("%s was not told", name);
}

size_t recorder_live_names(struct recorder *recorder)
{
    size_t count = 0;

    SCOPED_LOCK(&recorder->lock);
    for (size_t i = 0; i < recorder->count; i++)
        count += recorder->names[i].state == STORE_LIVE &&
                 recorder->names[i].list == recorder->fulls;
    return count;
}

bool recorder_find(struct recorder *recorder, const char *name, struct told *told)
{
    SCOPED_LOCK(&recorder->lock);
    struct told *found = find(recorder, name);
    if (found != NULL)
        *told = *found;
    return found != NULL;
}
