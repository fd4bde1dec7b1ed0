/* SPDX-License-Identifier: Apache-2.0 */
/* bucket_lookup.c - what a path is: from the tree, from the server, or when the list tells.
 * Layer 4, a part of bucket.h.
 */
#include "core/bucket_state.h"
#include "core/buffer.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/name_codec.h"
#include <string.h>

static bool is_a_name(const char *path)
{
    CLEANUP(buffer_clear) struct buffer raw = BUFFER_INIT;

    return name_decode(path, &raw) != JSFS_BAD_NAME;
}

void bucket_answer_from_tree(struct bucket *bucket, const char *path,
                             bucket_lookup_done *done, void *arg)
{
    struct tree_attr attr;
    enum jsfs_status status = tree_lookup(bucket->tree, path, &attr);

    if (status == JSFS_NOT_FOUND && !is_a_name(path))
        status = JSFS_BAD_NAME;
    if (status != JSFS_OK) {
        done(arg, status, NULL);
        return;
    }
    done(arg, JSFS_OK, &attr);
    object_meta_free(attr.meta);
}

/* [bytes] of the subject that holds a name. */
static size_t subject_size(const struct bucket *bucket, size_t raw_size)
{
    size_t name = strlen(bucket->name);

    if (bucket_kind(bucket) == STORE_KV)
        return strlen("$KV..") + name + raw_size;
    return strlen("$O..M.") + name + (raw_size + 2) / 3 * 4;
}

bool bucket_is_askable(const struct bucket *bucket, const char *raw, size_t size)
{
    if (size == 0 || memchr(raw, '\0', size) != NULL ||
        subject_size(bucket, size) > BUCKET_SUBJECT_MAX)
        return false;
    return bucket_kind(bucket) == STORE_OBJECT || name_is_legal_key(raw, size);
}

static bool is_directory_now(struct bucket *bucket, const char *path)
{
    struct tree_attr attr;

    if (tree_lookup(bucket->tree, path, &attr) != JSFS_OK)
        return false;
    object_meta_free(attr.meta);
    return attr.type == TREE_DIRECTORY;
}

/* No message has the name: it is a directory or nothing, which a list that runs will tell. */
static void take_negative_locked(struct waiter *waiter)
{
    struct bucket *bucket = waiter->bucket;

    if (is_directory_now(bucket, waiter->path)) {
        bucket_answer_locked(waiter, JSFS_OK);
    } else if (bucket->state == BUCKET_LOADING || bucket->state == BUCKET_IDLE) {
        waiter->negative = true;
        bucket_hurry_locked(bucket);
    } else {
        bucket_answer_locked(waiter, JSFS_NOT_FOUND);
    }
}

/* The server could not be asked. */
static void take_failure_locked(struct waiter *waiter, enum jsfs_status status)
{
    struct bucket *bucket = waiter->bucket;
    bool away =
        status == JSFS_TIMEOUT || status == JSFS_UNAVAILABLE || status == JSFS_BUSY;

    if (bucket->listed && away)
        bucket_answer_locked(waiter, JSFS_OK);
    else if (!bucket->listed && bucket->state != BUCKET_GONE && !bucket->stopped)
        waiter->status = status; /* the list may still tell */
    else
        bucket_answer_locked(waiter, status);
}

static bool is_live(const struct store_entry *entry)
{
    return entry->state == STORE_LIVE || entry->state == STORE_CORRUPT;
}

/* A name that lives may be a directory too, which only the list can tell: a short list is waited
 * for, so that in small buckets the first look is right; a long one is not.
 */
static void take_positive_locked(struct waiter *waiter)
{
    struct bucket *bucket = waiter->bucket;

    if (bucket->state != BUCKET_LOADING || bucket->listed || !bucket->short_list ||
        is_directory_now(bucket, waiter->path)) {
        bucket_answer_locked(waiter, JSFS_OK);
        return;
    }
    waiter->found = true;
    waiter->deadline_ms = clock_monotonic_ms() + BUCKET_GRACE_MS;
}

static void got_name(void *arg, enum jsfs_status status, const struct store_entry *entry)
{
    struct waiter *waiter = arg;
    struct bucket *bucket = waiter->bucket;

    pthread_mutex_lock(&bucket->lock);
    waiter->asking = false;
    if (status == JSFS_OK)
        status = bucket_apply_locked(bucket, waiter->name_path, entry, false, true);
    if (!waiter->linked)
        ; /* the list was faster */
    else if (status == JSFS_OK && is_live(entry))
        take_positive_locked(waiter);
    else if (status == JSFS_OK || status == JSFS_NOT_FOUND)
        take_negative_locked(waiter);
    else
        take_failure_locked(waiter, status);
    bool graced = waiter->linked && waiter->found;
    pthread_mutex_unlock(&bucket->lock);
    bucket_settle_watch(bucket);
    bucket_give_notices(bucket);
    if (graced)
        bucket_tick_within(bucket, BUCKET_GRACE_MS);
    waiter_unref(waiter);
}

/* Ask for a name; the list answers too, when one runs. */
static void ask(struct bucket *bucket, struct waiter *waiter)
{
    bool askable = waiter->raw != NULL;

    waiter->asking = askable;
    waiter_ref(waiter);
    pthread_mutex_lock(&bucket->lock);
    waiter_link_locked(waiter, clock_monotonic_ms());
    if (bucket->state == BUCKET_LIVE)
        bucket_answer_locked(waiter, JSFS_OK);
    else if (bucket->state == BUCKET_GONE || bucket->stopped)
        bucket_answer_locked(waiter, bucket->stopped ? JSFS_INTERRUPTED : JSFS_STALE);
    else if (!askable || is_directory_now(bucket, waiter->path))
        take_negative_locked(waiter);
    askable = askable && waiter->linked;
    pthread_mutex_unlock(&bucket->lock);
    bucket_settle_watch(bucket);
    bucket_give_notices(bucket);
    bucket_tick_within(bucket, BUCKET_LOOK_MS);
    if (askable)
        bucket->store->ops->lookup(bucket->store, waiter->raw, false, got_name, waiter);
    else
        waiter_unref(waiter);
}

void bucket_lookup(struct bucket *bucket, const char *path, bucket_lookup_done *done,
                   void *arg)
{
    struct waiter *waiter;

    atomic_store_explicit(&bucket->used, true, memory_order_relaxed);
    if (bucket->state == BUCKET_LIVE) {
        bucket_answer_from_tree(bucket, path, done, arg);
        return;
    }
    if (bucket->state == BUCKET_GONE) {
        done(arg, JSFS_STALE, NULL);
        return;
    }
    bucket_start_soon(bucket);
    if (*path == '\0' || bucket->state == BUCKET_LIVE || bucket_is_offline(bucket)) {
        bucket_answer_from_tree(bucket, path, done, arg);
        return;
    }
    if (!is_a_name(path)) {
        done(arg, JSFS_BAD_NAME, NULL);
        return;
    }
    waiter = waiter_new(bucket, WAIT_NAME, path, arg);
    if (waiter == NULL) {
        done(arg, JSFS_NO_MEMORY, NULL);
        return;
    }
    waiter->done.lookup = done;
    ask(bucket, waiter);
}

void bucket_wait_listed(struct bucket *bucket, store_done *done, void *arg)
{
    struct waiter *waiter;

    atomic_store_explicit(&bucket->used, true, memory_order_relaxed);
    bucket_start(bucket);
    if (bucket->state == BUCKET_LIVE || bucket_is_offline(bucket)) {
        done(arg, bucket->state == BUCKET_GONE ? JSFS_STALE : JSFS_OK);
        return;
    }
    waiter = waiter_new(bucket, WAIT_LIST, "", arg);
    if (waiter == NULL) {
        done(arg, JSFS_NO_MEMORY);
        return;
    }
    waiter->done.plain = done;
    pthread_mutex_lock(&bucket->lock);
    waiter_link_locked(waiter, clock_monotonic_ms() + BUCKET_LOOK_MS);
    if (bucket->state == BUCKET_LIVE)
        bucket_answer_locked(waiter, JSFS_OK);
    else if (bucket->state == BUCKET_GONE || bucket->stopped)
        bucket_answer_locked(waiter, bucket->stopped ? JSFS_INTERRUPTED : JSFS_STALE);
    pthread_mutex_unlock(&bucket->lock);
    bucket_give_notices(bucket);
    bucket_tick_within(bucket, BUCKET_LOOK_MS);
}
