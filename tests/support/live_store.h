/* SPDX-License-Identifier: Apache-2.0 */
/* live_store.h - stores on a real nats-server, for tests: streams, raw messages as other clients
 * write them, asynchronous calls waited for, and a recorder of what a watch tells.
 * Everything asserts, on the test's own thread; nothing returns an error that a test does not
 * ask for.
 */
#ifndef JSFS_TESTS_SUPPORT_LIVE_STORE_H
#define JSFS_TESTS_SUPPORT_LIVE_STORE_H

#include "core/connection.h"
#include "core/executor.h"
#include "core/store.h"
#include "core/watcher.h"
#include "tests/support/server.h"
#include <pthread.h>

struct live {
    struct server server;
    struct executor *executor;
    struct connection *connection;
};

/* A server and a connection to it with a short timeout [ms]. */
void live_begin(struct live *live, int timeout_ms);
void live_end(struct live *live);

/* Create the stream KV_<bucket> or OBJ_<bucket>; more: further fields, ",\"x\":1", or "". */
void live_make_kv(struct live *live, const char *bucket, const char *more);
void live_make_object(struct live *live, const char *bucket, const char *more);

/* Open a store on a stream that exists. */
struct store *live_open_kv(struct live *live, const char *bucket);
struct store *live_open_object(struct live *live, const char *bucket);

/* Store a message as another client does; headers: name, value, ..., NULL, or NULL.
 *   returns its sequence */
uint64_t live_publish(struct live *live, const char *subject, const char *const *headers,
                      const void *data, size_t size);
uint64_t live_publish_text(struct live *live, const char *subject, const char *text);

/* What an asynchronous call ended in. Give its address as arg to the outcome_* callbacks. */
struct outcome {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    int count; /* lock: calls of done; from here on all lock */
    enum jsfs_status status;
    uint64_t sequence;
    struct bytes *bytes; /* for bytes_unref(); NULL: none */
    struct store_entry entry;
    char name[64], nuid[64]; /* of the entry's meta */
    struct store_chunk chunks[64];
    size_t chunk_count;
    struct js_stream_info info;
};
void outcome_begin(struct outcome *outcome);
void outcome_end(struct outcome *outcome);
/* Wait at most 20 s for done; asserts that it was called once.
 *   returns its status */
enum jsfs_status outcome_wait(struct outcome *outcome);
store_done outcome_plain;
store_entry_done outcome_entry;
store_write_done outcome_write;
store_bytes_done outcome_bytes;
store_map_done outcome_map;
store_info_done outcome_info;

/* Calls that wait. sequence, entry: out, may be NULL. */
enum jsfs_status live_put(struct store *store, const char *name, const char *text,
                          enum store_expect expect, uint64_t expected, uint64_t *sequence);
enum jsfs_status live_remove(struct store *store, const char *name, enum store_expect expect,
                             uint64_t expected, uint64_t *sequence);
enum jsfs_status live_lookup(struct store *store, const char *name, bool leader,
                             struct store_entry *entry);

/* What a watch told: counts, and the newest of each name that was told last. */
struct told {
    char name[64];
    enum store_state state;
    uint64_t sequence, size_bytes, own_token;
    int list; /* the number of the list, from 1, in which or after which it was told last */
};
struct recorder {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int begins, fulls, lives, losts, failures, gones; /* lock, all from here on */
    enum jsfs_status failure;
    bool out_of_order; /* an entry or live outside of begin, or a sequence that fell */
    uint64_t messages;
    struct told *names;
    size_t count, capacity;
};
void recorder_begin(struct recorder *recorder);
void recorder_end(struct recorder *recorder);
extern const struct store_watch_events recorder_events;

enum recorded { RECORDED_BEGIN, RECORDED_LIVE, RECORDED_LOST, RECORDED_FAILED, RECORDED_GONE };
/* Wait until an event came `count` times in all; false when it does not within half a minute. */
bool recorder_reaches(struct recorder *recorder, enum recorded event, int count);
/* The same, and the test fails when it does not: for where no thread of the test's runs on. */
void recorder_wait(struct recorder *recorder, enum recorded event, int count);
/* Wait until a name was told with this sequence or a later one; copied to told. */
void recorder_wait_name(struct recorder *recorder, const char *name, uint64_t sequence,
                        struct told *told);
/* How many names are live now: told as live, in the last full list or after it. */
size_t recorder_live_names(struct recorder *recorder);
/* The newest that was told of a name; false: nothing. */
bool recorder_find(struct recorder *recorder, const char *name, struct told *told);

void pause_ms(int ms);

#endif
