/* SPDX-License-Identifier: Apache-2.0 */
/* value_state.h - the inside of value_file.h.
 * Layer 4, private to value_file.c (the staged bytes) and value_commit.c (publishing them).
 */
#ifndef JSFS_CORE_VALUE_STATE_H
#define JSFS_CORE_VALUE_STATE_H

#include "core/bucket.h"
#include "core/buffer.h"
#include <pthread.h>

/* How the bytes came about; a later one overrides an earlier one as value_merge() says. */
enum value_intent {
    VALUE_KEPT,   /* nothing was changed */
    VALUE_APPEND, /* only behind `appended_at` */
    VALUE_EDIT,   /* existing bytes were changed */
    VALUE_REPLACE /* nothing of the base is left */
};

/* What waits for a commit, or is in one. */
struct value_change {
    enum value_intent intent;
    size_t appended_at; /* VALUE_APPEND: [bytes] of the base in front of it */
    bool written;       /* any commit publishes it; else only one by release does */
};

/* Somebody to be told. */
struct value_waiter {
    store_done *done;
    void *arg;
    bool release; /* of a commit */
    struct value_waiter *next;
};

/* A name that the file had before it was renamed. */
struct value_name {
    char *path, *raw;
    struct value_name *next;
};

struct value_file {
    atomic_uint references; /* the owners', one a load or commit that runs */
    struct bucket *bucket;
    _Atomic(char *) path, raw; /* changed under lock, read anywhere */

    pthread_mutex_t lock;
    struct value_name *former; /* lock; freed last, for those that have read them */
    struct buffer data; /* lock, as all below; the bytes, when loaded */
    bool loaded, loading, forgotten;
    bool appending; /* a base that is not kept any more gives way to the newest one */
    uint64_t revision; /* the base; 0: none */
    uint64_t base_size;
    int64_t base_modified_ns, changed_ns;
    struct value_change change; /* waits for a commit */
    uint64_t changes;           /* how many were made */
    enum jsfs_status failure;   /* of the last commit */
    uint64_t taken;             /* as many had been made when they were taken unsaved */
    struct value_waiter *loaders;
    bool fresh;     /* a new name, of which the server has no more than its exclusive creation */
    int64_t ttl_ns; /* of what is published; 0: none */

    bool committing;            /* from the snapshot until this mount shows it */
    struct value_change flight; /* in the commit; VALUE_KEPT once the server has it */
    bool exclusive;             /* the commit is an exclusive creation */
    bool resolving;             /* what landed was an earlier commit's: this one's may follow */
    uint64_t token;             /* of the commit */
    /* A put whose outcome nobody knows: its change stays in flight, and before anything else is
     * published it is found out what became of it. NULL: there is none. */
    struct bytes *unsure_value;
    struct store_write unsure_write;
    struct value_waiter *committers; /* of the commit that runs */
    struct value_waiter *next; /* they wait for it to end, then for one of their own */
    int64_t deadline_ms;       /* an append gives up then */
};

struct value_file *value_ref(struct value_file *file);

/* Call and free a list of waiters. */
void value_tell(struct value_waiter *waiters, enum jsfs_status status);

/* value_commit.c: publish what waits, for the waiters in `next`, or tell them. Takes the lock,
 * which the caller holds no more afterwards. */
void value_commit_next_unlock(struct value_file *file);

#endif
