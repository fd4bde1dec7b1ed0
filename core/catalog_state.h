/* SPDX-License-Identifier: Apache-2.0 */
/* catalog_state.h - what the parts of a catalog share.
 * Layer 4, private to catalog*.c.
 */
#ifndef JSFS_CORE_CATALOG_STATE_H
#define JSFS_CORE_CATALOG_STATE_H

#include "core/advisories.h"
#include "core/catalog.h"
#include <pthread.h>
#include <stdatomic.h>

/* A bucket that exists. */
struct catalog_entry {
    enum store_kind kind;
    struct js_stream_info info; /* as of the list that showed it first */
    struct bucket *bucket;      /* counted; NULL until it is used */
};

/* Somebody who waits for a list; runs once, without the lock. */
struct catalog_waiter {
    struct catalog_waiter *next;
    void (*run)(struct catalog *catalog, struct catalog_waiter *waiter,
                enum jsfs_status status);
    enum store_kind kind;
    int64_t begun_ms; /* when somebody asked */
    char *name; /* owned; NULL for a list of names */
    union {
        catalog_bucket_done *bucket;
        catalog_list_done *list;
        store_done *plain;
    } done;
    void *arg;
};

struct catalog {
    struct connection *connection;
    struct executor *executor;
    const struct config *config;
    struct catalog_observer observer;
    struct advisories *advisories; /* NULL: not to be had */

    pthread_mutex_t lock;
    pthread_cond_t settled;         /* lock; a task or the listing has ended */
    struct catalog_entry **entries; /* lock; sorted by kind and name */
    size_t count;                   /* lock */
    struct catalog_waiter *waiters; /* lock; for the list being asked */
    int64_t listed_ms; /* lock; when the list was asked that is known; 0: never */
    bool listing;      /* lock; a task is asking */
    bool again;        /* lock; something changed since it began */
    bool closing;      /* lock */
    unsigned tasks;    /* lock; tasks that use the catalog */
};

#define CATALOG_LISTED_MS 1000 /* how old a list may be */

/* The bucket's name within its stream's. */
const char *catalog_name(const struct catalog_entry *entry);

/* Run a waiter when a list is there that is at most CATALOG_LISTED_MS old, or the newest one that
 * can be had while disconnected. Takes the waiter. */
void catalog_when_listed(struct catalog *catalog, struct catalog_waiter *waiter);

/* A waiter for a copy of a name (NULL: none); NULL without memory. */
struct catalog_waiter *catalog_waiter_new(enum store_kind kind, const char *name,
                                          void *arg);
void catalog_waiter_free(struct catalog_waiter *waiter);

/* Ask for a new list, now or right after the one that is being asked. */
void catalog_refresh(struct catalog *catalog);

/* The entry of a name, or NULL. Lock held. */
struct catalog_entry *catalog_find_locked(struct catalog *catalog, enum store_kind kind,
                                          const char *name);

/* Take over a bucket that was asked for by name, since this user may not list streams.
 *   JSFS_BUSY   a list is being asked after all: wait for that;   JSFS_NO_MEMORY */
enum jsfs_status catalog_adopt(struct catalog *catalog, enum store_kind kind,
                               const struct js_stream_info *info);

/* Begin and end a task that uses the catalog; false: it is being freed. */
bool catalog_task_begin(struct catalog *catalog);
void catalog_task_end(struct catalog *catalog);

#endif
