/* SPDX-License-Identifier: Apache-2.0 */
/* fake_store_private.h - what the parts of the fake share: messages, and telling of them.
 * Test support. Functions that end in _locked want fake->lock held.
 */
#ifndef JSFS_TESTS_FAKE_STORE_PRIVATE_H
#define JSFS_TESTS_FAKE_STORE_PRIVATE_H

#include "tests/support/fake_store.h"
#include <pthread.h>

enum fake_kind { FAKE_NAME, FAKE_CHUNK };

struct fake_message {
    enum fake_kind kind;
    char *name; /* or nuid */
    struct store_entry entry;
    struct object_meta *meta; /* entry.meta */
    struct bytes *bytes;      /* value or chunk; NULL for markers and metas */
    bool forgotten;
    struct fake_message *next_newest; /* of the same hash */
};

enum fake_event_type {
    EVENT_BEGIN,
    EVENT_ENTRY,
    EVENT_LIVE,
    EVENT_LOST,
    EVENT_FAILED,
    EVENT_GONE
};

struct fake_event {
    enum fake_event_type type;
    bool full;
    enum jsfs_status status;
    char *name; /* owned; NULL unless EVENT_ENTRY */
    struct store_entry entry;
    struct fake_event *next;
};

struct fake_answer {
    struct fake_store *fake;
    enum fake_op op;
    void (*give)(struct fake_answer *answer);
    union {
        store_done *plain;
        store_entry_done *entry;
        store_write_done *write;
        store_bytes_done *bytes;
        store_info_done *info;
        store_map_done *map;
    } done;
    void *arg;
    enum jsfs_status status;
    uint64_t sequence;
    const struct store_entry *entry;
    struct bytes *bytes;
    struct js_stream_info info;
    struct store_chunk *chunks;
    size_t count;
    struct fake_answer *next;
};

#define FAKE_HASH_SIZE 4096

struct fake_store {
    struct store store;
    pthread_mutex_t lock;
    pthread_cond_t idle; /* nobody delivers an event; no answer is on the executor */

    struct fake_message **messages;              /* lock; [sequence - 1] */
    size_t count, capacity;                      /* lock */
    struct fake_message *newest[FAKE_HASH_SIZE]; /* lock */
    int64_t time_ns;                             /* lock */
    struct js_stream_info info;                  /* the test's */
    size_t message_max;                          /* lock */
    bool full;
    bool half_batches; /* lock */
    bool vanished, closed; /* lock */

    const struct store_watch_events *events; /* lock; NULL: no watch */
    void *events_arg;
    bool manual, telling;                  /* lock */
    uint64_t told;                         /* lock; the last sequence that was told */
    struct fake_event *queue, *queue_last; /* lock */
    bool delivering;                       /* lock */
    pthread_t deliverer;

    struct fake_answer *held;  /* lock; oldest first */
    struct executor *executor; /* lock */
    unsigned on_executor;      /* lock */
    bool holding[FAKE_OP_COUNT];
    unsigned calls[FAKE_OP_COUNT];
    struct {
        unsigned count;
        enum jsfs_status status;
        bool done;
    } failures[FAKE_OP_COUNT];
    struct {
        void (*call)(void *arg);
        void *arg;
    } hooks[FAKE_OP_COUNT];
};

extern const struct store_ops fake_kv_ops, fake_object_ops;

/* fake_store_watch.c: queue an event, give what is queued and not held. */
void fake_event_push_locked(struct fake_store *fake, enum fake_event_type type, bool full,
                            enum jsfs_status status, const struct fake_message *message);
void fake_events_deliver(struct fake_store *fake, bool one);
void fake_events_clear_locked(struct fake_store *fake);
void fake_watch(struct store *store, const struct store_watch_events *events, void *arg);
void fake_unwatch(struct store *store);

/* fake_store.c: messages. */
struct fake_message *fake_newest_locked(struct fake_store *fake, const char *name);
uint64_t fake_append_locked(struct fake_store *fake, enum fake_kind kind,
                            const char *name, enum store_state state,
                            const struct object_meta *meta, struct bytes *bytes,
                            uint64_t token);
void fake_forget_locked(struct fake_store *fake, struct fake_message *message);

/* A call on its way. A failed call's place is taken by its status; a lost acknowledgement did its
 * work. */
struct fake_call {
    struct fake_answer *answer;
    bool work;
    enum jsfs_status status;
};

/* fake_store_ops.c: count the call, let a concurrent writer go first, take the lock. */
struct fake_call fake_enter(struct fake_store *fake, enum fake_op op,
                            void (*give)(struct fake_answer *answer), void *arg);
/* Release the lock, tell what was written, then answer. */
void fake_leave(struct fake_store *fake, struct fake_call *call);
/* What the server says to a write's condition. */
enum jsfs_status fake_check_locked(struct fake_store *fake, const char *name,
                                   const struct store_write *write);

void fake_give_write(struct fake_answer *answer);

/* fake_store_batch.c */
void fake_value_put(struct store *store, const char *name, struct bytes *value,
                    const struct store_write *write, store_write_done *done, void *arg);
void fake_batch(struct store *store, const struct store_batch_item *items, size_t count,
                store_write_done *done, void *arg);

/* fake_store_ops.c: give an answer, here or on the executor, and free it. */
void fake_answer_send(struct fake_store *fake, struct fake_answer *answer);

#endif
