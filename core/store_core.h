/* SPDX-License-Identifier: Apache-2.0 */
/* store_core.h - what kv_store.c and object_store.c share: the stream they work on, operations
 * in flight that end exactly once, and the one watch.
 * Layer 3, private to the stores.
 *
 * An operation is a chain of requests, one under way at a time, each answered by a callback.
 * Every callback enters the operation before it does anything and leaves when it is done;
 * store_core_close() ends the open operations with JSFS_INTERRUPTED, waits until nobody is
 * inside one, and what is answered later finds it cannot enter any more.
 */
#ifndef JSFS_CORE_STORE_CORE_H
#define JSFS_CORE_STORE_CORE_H

#include "core/connection.h"
#include "core/own_writes.h"
#include "core/store.h"
#include "core/watcher.h"
#include <pthread.h>
#include <stdatomic.h>

/* Longest subject that a publish's control line (4096 bytes) carries beside its reply subject
 * and its sizes [bytes]; longer ones make the server hang up (reference nats.md §1.2). */
#define STORE_CORE_SUBJECT_MAX 3968

struct store_op;

struct store_core {
    struct store store; /* first: the callers' handle */
    struct connection *connection;
    char stream[256];
    char prefix[272]; /* of the names' subjects, with the last '.' */
    char origin[256]; /* the stream that writes are stored in: a mirror's origin, else our own */
    char origin_api[128];          /* where the origin is asked; "": our own API */
    char sources[JS_SOURCES_SIZE]; /* see js_reply.h */
    bool mirror;
    bool rolls_up;               /* a name has one message, whatever the stream keeps */
    bool read_only;              /* nothing can be published into it */
    atomic_bool allow_direct;    /* as the stream's description said last: */
    atomic_bool allow_atomic;
    atomic_bool one_each;        /* the stream keeps one message a subject */
    atomic_int_fast64_t duplicate_window_ms; /* how long the stream knows a message id */
    atomic_int_fast64_t max_message_bytes; /* the stream's limit; -1: none */
    struct own_writes own_writes;
    void (*destroy)(struct store_core *core); /* frees the store */

    char filter[288];                 /* the subjects of all names */
    struct store_watch_events events; /* set before the watcher starts */
    void *events_arg;
    /* Translates a watcher's message into events.entry. */
    void (*message)(struct store_core *core, const struct watcher_message *message);
    /* A list begins; may be NULL. */
    void (*begin)(struct store_core *core, bool full);

    pthread_mutex_t lock;    /* the only lock here; nothing is called with it held */
    pthread_cond_t quiet;    /* busy became 0 */
    struct watcher *watcher; /* lock */
    struct store_op *ops;    /* lock: the open operations */
    unsigned busy;           /* lock: callbacks inside an operation */
    unsigned references;     /* lock: the owner's, and one an operation */
    bool closed;             /* lock */

    atomic_bool heeds_ttl; /* a message's Nats-TTL counts */
    atomic_bool listing; /* a list comes through CONNECTION_CONTROL: answers would wait for it */
    atomic_bool busy_watch; /* so many changes come there that the same is true */
    unsigned told;          /* the watch's thread's own: messages since told_ms */
    int64_t told_ms;
};

/* The head of each operation's struct. */
struct store_op {
    void (*end)(struct store_op *op,
                enum jsfs_status status); /* calls its done, frees nothing */
    void (*destroy)(struct store_op *op); /* frees the struct */
    /* private to store_core.c */
    struct store_core *core;
    struct store_op *next, *previous; /* core->lock */
    unsigned references;              /* core->lock: the list's and the chain's */
    bool open;                        /* core->lock */
};

/* Fill a zeroed core from a stream's description.
 *   kind_prefix, subject_prefix   "KV_", "$KV." or "OBJ_", "$O.": a mirror gets its origin's
 */
void store_core_init(struct store_core *core, struct connection *connection,
                     const struct js_stream_info *info, const char *kind_prefix,
                     const char *subject_prefix);

/* What a newer description of the stream changes: limits, direct gets.   Threads: any. */
void store_core_take_info(struct store_core *core, const struct js_stream_info *info);

/* Stop the watch, end what is open, give back the owner's reference: the last operation to be
 * answered frees the store. Blocks until nobody is inside an operation; not from one. */
void store_core_close(struct store_core *core);

/* Largest message, headers and all, that connection and stream take now [bytes]. */
size_t store_core_message_max(struct store_core *core);

/* The connection for what a user waits for. */
enum connection_link store_core_link(struct store_core *core);

/* The watch of store.h, over core->filter. whole: of headers only, over nearly all
 * of the stream (watcher.h). */
void store_core_watch(struct store_core *core, bool whole,
                      const struct store_watch_events *events, void *arg);
void store_core_unwatch(struct store_core *core);

/* Run a task on the watch's thread, between two events; drop instead when no watch is on. */
void store_core_post(struct store_core *core, void (*task)(void *arg),
                     void (*drop)(void *arg), void *arg);

/* Open an operation and enter it; end and destroy of op must be set, the rest of its head zero.
 *   returns false: the store is closed; the operation was ended and destroyed
 */
bool store_op_start(struct store_core *core, struct store_op *op);

/* Enter an operation from a callback of its chain.
 *   returns its core, for store_op_leave(); NULL: it has ended, and the chain's reference is gone
 */
struct store_core *store_op_enter(struct store_op *op);
void store_op_leave(struct store_core *core);

/* False once it has ended: a task that takes its time asks now and then. */
bool store_op_is_open(struct store_op *op);

/* Decide who calls done: true once. The chain calls it and then store_op_release()s. */
bool store_op_claim(struct store_op *op);
void store_op_release(struct store_op *op);

/* store_describe.c: store.h's next, describe and configure. */
void store_core_next(struct store *store, uint64_t sequence, store_write_done *done, void *arg);
void store_core_describe(struct store *store, store_text_done *done, void *arg);
void store_core_configure(struct store *store, const char *config, store_text_done *done,
                          void *arg);

/* STREAM.INFO for store.h's info. */
void store_core_info(struct store *store, store_info_done *done, void *arg);

#endif
