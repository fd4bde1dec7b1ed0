/* SPDX-License-Identifier: Apache-2.0 */
/* request_table.h - what a requester awaits: slots found by token, oldest first.
 * Layer 3. Knows nothing of the network; requester.c holds its lock around every call.
 *
 * A slot is free, or awaited (in the list), or detached: then whoever detached it calls its
 * `done` and gives it back. Only one can detach a slot, so `done` is called once.
 */
#ifndef JSFS_CORE_REQUEST_TABLE_H
#define JSFS_CORE_REQUEST_TABLE_H

#include "core/requester.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A request that may be sent again, with its own copy of everything. */
struct request_copy {
    struct request request;
    uint64_t token;
    struct request_copy *next; /* the list of requester_reconnected() */
    atomic_uint references;
};

struct request_slot {
    requester_done *done;
    void *arg;
    struct request_copy *copy; /* NULL: not to be sent again; the slot's reference */
    uint64_t subject_hash;
    int64_t deadline_ms;       /* clock_monotonic_ms() */
    struct request_slot *next; /* awaited, detached or free */
    /* private to request_table.c */
    struct request_slot *previous;
    uint32_t index;
    uint32_t generation; /* counts the uses, so a late answer finds nobody */
    bool awaited;
};

struct request_table {
    struct request_slot *oldest; /* awaited; NULL: nothing is */
    /* private to request_table.c */
    struct request_slot *newest;
    struct request_slot *free;
    struct request_slot **blocks; /* slots never move */
    size_t block_count;
};

/* Release the slots; nothing may be awaited or detached. An empty table is all zero. */
void request_table_clear(struct request_table *table);

/* A slot, newest of what is awaited; its public fields are zero. NULL without memory. */
struct request_slot *request_table_add(struct request_table *table);

/* What names an awaited slot; never 0. */
uint64_t request_slot_token(const struct request_slot *slot);

/* The awaited slot of a token; NULL: it was detached before, or the token was never given. */
struct request_slot *request_table_find(struct request_table *table, uint64_t token);

/* Take an awaited slot out of the list. */
void request_table_detach(struct request_table *table, struct request_slot *slot);

/* Detach every slot that is chosen; they come linked by next, oldest first. */
typedef bool request_choice(const struct request_slot *slot, int64_t now_ms);
struct request_slot *request_table_detach_all(struct request_table *table,
                                              request_choice *chosen);

/* Give a detached slot back. */
void request_table_give(struct request_table *table, struct request_slot *slot);

/* A copy with one reference; NULL without memory. Needs no lock, as the next two. */
struct request_copy *request_copy_new(const struct request *request);
struct request_copy *request_copy_ref(struct request_copy *copy);
/* NULL is fine. */
void request_copy_unref(struct request_copy *copy);

#endif
