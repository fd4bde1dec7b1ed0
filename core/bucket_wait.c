/* SPDX-License-Identifier: Apache-2.0 */
/* bucket_wait.c - those who wait for the list, for a name, for the echo of a write.
 * Layer 4, a part of bucket.h. A waiter is answered once: by whoever unlinks it.
 */
#include "core/bucket_state.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/name_codec.h"
#include <string.h>

char *bucket_name_path(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash != NULL && strcmp(slash + 1, NAME_CODEC_VALUE) == 0)
        return strndup(path, (size_t)(slash - path));
    return strdup(path);
}

/* raw stays NULL when no message can have the name; false without memory. */
static bool make_raw(struct waiter *waiter)
{
    CLEANUP(buffer_clear) struct buffer raw = BUFFER_INIT;
    enum jsfs_status status = name_decode(waiter->path, &raw);

    if (status == JSFS_OK && bucket_is_askable(waiter->bucket, raw.data, raw.size)) {
        waiter->raw = buffer_take(&raw);
        return waiter->raw != NULL;
    }
    return status != JSFS_NO_MEMORY;
}

struct waiter *waiter_new(struct bucket *bucket, enum waiter_kind kind, const char *path,
                          void *arg)
{
    struct waiter *waiter = calloc(1, sizeof(*waiter));

    if (waiter == NULL)
        return NULL;
    atomic_init(&waiter->references, 1);
    waiter->bucket = bucket_ref(bucket);
    waiter->kind = kind;
    waiter->arg = arg;
    if (kind == WAIT_LIST)
        return waiter;
    waiter->path = strdup(path);
    waiter->name_path = bucket_name_path(path);
    if (waiter->path != NULL && waiter->name_path != NULL && make_raw(waiter))
        return waiter;
    waiter_unref(waiter);
    return NULL;
}

void waiter_ref(struct waiter *waiter)
{
    atomic_fetch_add(&waiter->references, 1);
}

void waiter_unref(struct waiter *waiter)
{
    if (atomic_fetch_sub(&waiter->references, 1) != 1)
        return;
    bucket_unref(waiter->bucket);
    free(waiter->path);
    free(waiter->name_path);
    free(waiter->raw);
    free(waiter);
}

void waiter_link_locked(struct waiter *waiter, int64_t deadline_ms)
{
    struct bucket *bucket = waiter->bucket;
    int64_t now_ms = clock_monotonic_ms();

    waiter->deadline_ms = deadline_ms;
    waiter->give_up_ms = now_ms + bucket->options.load_timeout_ms;
    waiter->events = bucket->events;
    waiter->linked = true;
    waiter->previous = NULL;
    waiter->next = bucket->waiters;
    if (waiter->next != NULL)
        waiter->next->previous = waiter;
    bucket->waiters = waiter;
}

void waiter_unlink_locked(struct waiter *waiter)
{
    if (waiter->next != NULL)
        waiter->next->previous = waiter->previous;
    if (waiter->previous != NULL)
        waiter->previous->next = waiter->next;
    else
        waiter->bucket->waiters = waiter->next;
    waiter->linked = false;
}

void waiter_give(struct waiter *waiter)
{
    enum jsfs_status status = waiter->status;

    if (waiter->kind == WAIT_LIST)
        waiter->done.plain(waiter->arg, status);
    else if (status == JSFS_OK)
        bucket_answer_from_tree(waiter->bucket, waiter->path, waiter->done.lookup,
                                waiter->arg);
    else
        waiter->done.lookup(waiter->arg, status, NULL);
    waiter_unref(waiter);
}

bool waiter_is_echoed(const struct waiter *waiter)
{
    bool live;
    uint64_t known = tree_sequence(waiter->bucket->tree, waiter->name_path, &live);

    if (waiter->removal && known == waiter->sequence)
        return !live; /* a purge: it is told with the sequence of what it removed */
    return known >= waiter->sequence;
}

/* What happened ----------------------------------------------------------------------------- */

void waiters_listed_locked(struct bucket *bucket)
{
    struct waiter *next;

    for (struct waiter *waiter = bucket->waiters; waiter != NULL; waiter = next) {
        next = waiter->next;
        if (waiter->kind != WAIT_ECHO)
            bucket_answer_locked(waiter, JSFS_OK);
    }
}

/* Names that the server is still asked for may yet get an answer. */
void waiters_list_failed_locked(struct bucket *bucket, enum jsfs_status status,
                                bool offline)
{
    struct waiter *next;

    for (struct waiter *waiter = bucket->waiters; waiter != NULL; waiter = next) {
        next = waiter->next;
        if (waiter->kind == WAIT_LIST || (waiter->kind == WAIT_NAME && !waiter->asking))
            bucket_answer_locked(waiter, offline || waiter->found ? JSFS_OK : status);
    }
}

static bool is_below(const char *path, const char *directory)
{
    size_t size = strlen(directory);

    return strncmp(path, directory, size) == 0 && path[size] == '/';
}

void waiters_told_locked(struct bucket *bucket, const char *path,
                         const struct store_entry *entry)
{
    bool live = entry->state == STORE_LIVE || entry->state == STORE_CORRUPT;
    struct waiter *next;

    for (struct waiter *waiter = bucket->waiters; waiter != NULL; waiter = next) {
        next = waiter->next;
        if (waiter->kind == WAIT_NAME && live && is_below(path, waiter->path))
            bucket_answer_locked(waiter, JSFS_OK);
        else if (waiter->kind == WAIT_ECHO && strcmp(path, waiter->name_path) == 0 &&
                 waiter_is_echoed(waiter))
            bucket_answer_locked(waiter, JSFS_OK);
    }
}

void waiters_fail_locked(struct bucket *bucket, enum jsfs_status status)
{
    while (bucket->waiters != NULL)
        bucket_answer_locked(bucket->waiters, status);
}

/* Deadlines --------------------------------------------------------------------------------- */

/* A list that makes progress is waited for, however long it is. */
static void check_list(struct waiter *waiter, int64_t now_ms, bool offline)
{
    struct bucket *bucket = waiter->bucket;

    if (waiter->events != bucket->events) {
        waiter->events = bucket->events;
        waiter->give_up_ms = now_ms + bucket->options.load_timeout_ms;
    }
    if (offline || waiter->found)
        bucket_answer_locked(waiter, JSFS_OK);
    else if (now_ms >= waiter->give_up_ms)
        bucket_answer_locked(waiter,
                             waiter->status != JSFS_OK ? waiter->status : JSFS_TIMEOUT);
    else
        waiter->deadline_ms = now_ms + BUCKET_LOOK_MS;
}

/* True when the leader is to be asked. */
static bool check_echo(struct waiter *waiter, int64_t now_ms)
{
    waiter->deadline_ms = now_ms + BUCKET_ECHO_MS;
    if (now_ms >= waiter->give_up_ms)
        bucket_answer_locked(waiter, JSFS_TIMEOUT);
    else if (!waiter->asking)
        return true;
    return false;
}

int64_t waiters_check_locked(struct bucket *bucket, int64_t now_ms, bool offline,
                             struct waiter **ask)
{
    int64_t next_ms = INT64_MAX;
    struct waiter *next;

    *ask = NULL;
    for (struct waiter *waiter = bucket->waiters; waiter != NULL && *ask == NULL;
         waiter = next) {
        next = waiter->next;
        if (now_ms >= waiter->deadline_ms) {
            if (waiter->kind != WAIT_ECHO) {
                check_list(waiter, now_ms, offline);
            } else if (check_echo(waiter, now_ms)) {
                waiter->asking = true;
                waiter_ref(waiter);
                *ask = waiter;
            }
        }
        if (waiter->linked && waiter->deadline_ms < next_ms)
            next_ms = waiter->deadline_ms;
    }
    return next_ms;
}
