/* SPDX-License-Identifier: Apache-2.0 */
/* bucket_write.c - until this mount shows what it wrote, and removing a name.
 * Layer 4, a part of bucket.h.
 */
#include "core/bucket_rename.h"
#include "core/bucket_state.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include <string.h>

/* What the leader holds under the name of a write. */
static void take_answer_locked(struct waiter *waiter, enum jsfs_status status,
                               const struct store_entry *entry)
{
    struct bucket *bucket = waiter->bucket;
    bool vanished = status == JSFS_NOT_FOUND;
    uint64_t known = tree_sequence(bucket->tree, waiter->name_path, NULL);

    if (status == JSFS_OK)
        (void)bucket_apply_locked(bucket, waiter->name_path, entry, waiter->removal,
                                  true);
    else if (vanished && tree_forget(bucket->tree, waiter->name_path, waiter->sequence,
                                     waiter->removal))
        bucket_tell_forgotten_locked(bucket, waiter->name_path, known, waiter->token);
    if (waiter->linked && (vanished || waiter_is_echoed(waiter)))
        bucket_answer_locked(waiter, JSFS_OK);
}

static void got_leader(void *arg, enum jsfs_status status,
                       const struct store_entry *entry)
{
    struct waiter *waiter = arg;
    struct bucket *bucket = waiter->bucket;

    pthread_mutex_lock(&bucket->lock);
    waiter->asking = false;
    take_answer_locked(waiter, status, entry);
    pthread_mutex_unlock(&bucket->lock);
    bucket_give_notices(bucket);
    waiter_unref(waiter);
}

void bucket_ask_leader(void *arg)
{
    struct waiter *waiter = arg;
    struct store *store = waiter->bucket->store;

    if (waiter->raw != NULL)
        store->ops->lookup(store, waiter->raw, true, got_leader, waiter);
    else
        got_leader(waiter, JSFS_NOT_FOUND, NULL);
}

/* Answer at once, ask at once, or wait for the echo.
 *   returns true when the leader is to be asked */
static bool link_echo_locked(struct waiter *waiter)
{
    struct bucket *bucket = waiter->bucket;

    waiter_link_locked(waiter, clock_monotonic_ms() + BUCKET_ECHO_MS);
    if (waiter_is_echoed(waiter)) {
        bucket_answer_locked(waiter, JSFS_OK);
    } else if (bucket->stopped || bucket->state == BUCKET_GONE) {
        bucket_answer_locked(waiter, bucket->stopped ? JSFS_INTERRUPTED : JSFS_STALE);
    } else if (bucket->state != BUCKET_LIVE) {
        waiter->asking = true;
        waiter_ref(waiter);
        return true;
    }
    return false;
}

static void wait_for_echo(struct bucket *bucket, const char *path,
                          const struct waiter *template, bucket_lookup_done *done,
                          void *arg)
{
    struct waiter *waiter = waiter_new(bucket, WAIT_ECHO, path, arg);
    bool ask;

    if (waiter == NULL) {
        done(arg, JSFS_NO_MEMORY, NULL);
        return;
    }
    waiter->done.lookup = done;
    waiter->sequence = template->sequence;
    waiter->token = template->token;
    waiter->removal = template->removal;
    pthread_mutex_lock(&bucket->lock);
    ask = link_echo_locked(waiter);
    pthread_mutex_unlock(&bucket->lock);
    bucket_give_notices(bucket);
    bucket_tick_within(bucket, BUCKET_ECHO_MS);
    if (ask)
        bucket_ask_leader(waiter);
}

void bucket_written(struct bucket *bucket, const char *path, uint64_t sequence,
                    uint64_t token, bucket_lookup_done *done, void *arg)
{
    struct waiter template = {.sequence = sequence, .token = token};

    atomic_store_explicit(&bucket->used, true, memory_order_relaxed);
    wait_for_echo(bucket, path, &template, done, arg);
}

void bucket_forget(struct bucket *bucket, const char *path, uint64_t sequence)
{
    uint64_t known;

    pthread_mutex_lock(&bucket->lock);
    known = tree_sequence(bucket->tree, path, NULL);
    if (tree_forget(bucket->tree, path, sequence, false))
        bucket_tell_forgotten_locked(bucket, path, known, 0);
    pthread_mutex_unlock(&bucket->lock);
    bucket_give_notices(bucket);
}

/* Removal ----------------------------------------------------------------------------------- */

struct removal {
    struct removal_token token; /* first; in bucket->removals while in flight */
    struct bucket *bucket;      /* a reference */
    char *path, *raw;
    store_done *done;
    void *arg;
};

void bucket_unlink_removal(struct bucket *bucket, struct removal_token *token)
{
    SCOPED_LOCK(&bucket->lock);

    for (struct removal_token **at = &bucket->removals; *at != NULL; at = &(*at)->next) {
        if (*at == token) {
            *at = token->next;
            return;
        }
    }
}

void bucket_link_removal(struct bucket *bucket, struct removal_token *token)
{
    SCOPED_LOCK(&bucket->lock);

    token->next = bucket->removals;
    bucket->removals = token;
}

bool bucket_is_rename(struct bucket *bucket, uint64_t token)
{
    SCOPED_LOCK(&bucket->lock);

    for (const struct removal_token *at = bucket->removals; at != NULL; at = at->next) {
        if (at->token == token)
            return at->rename;
    }
    return false;
}

void bucket_removed(struct bucket *bucket, const char *path, uint64_t sequence,
                    uint64_t token, bucket_lookup_done *done, void *arg)
{
    struct waiter template = {.sequence = sequence, .token = token, .removal = true};

    wait_for_echo(bucket, path, &template, done, arg);
}

static void finish(struct removal *removal, enum jsfs_status status)
{
    bucket_unlink_removal(removal->bucket, &removal->token);
    removal->done(removal->arg, status);
    bucket_unref(removal->bucket);
    free(removal->path);
    free(removal->raw);
    free(removal);
}

/* The server has removed it, whatever is there by now. */
static void shown(void *arg, enum jsfs_status status, const struct tree_attr *attr)
{
    (void)status;
    (void)attr;
    finish(arg, JSFS_OK);
}

static void removed(void *arg, enum jsfs_status status, uint64_t sequence)
{
    struct removal *removal = arg;

    if (status != JSFS_OK)
        finish(removal, status);
    else
        bucket_removed(removal->bucket, removal->path, sequence, removal->token.token, shown,
                       removal);
}

static void send_removal(struct removal *removal, enum store_expect expect,
                         uint64_t sequence)
{
    struct bucket *bucket = removal->bucket;
    struct store_write write = {.expect = expect, .sequence = sequence, .token = store_token()};
    enum jsfs_status status =
        bucket_raw_name(bucket, removal->path, false, &removal->raw);

    if (status != JSFS_OK) {
        finish(removal, status);
        return;
    }
    removal->token.token = write.token;
    bucket_link_removal(bucket, &removal->token);
    bucket->store->ops->remove(bucket->store, removal->raw, &write, removed, removal);
}

static void found(void *arg, enum jsfs_status status, const struct tree_attr *attr)
{
    struct removal *removal = arg;

    if (status == JSFS_OK && attr->type == TREE_DIRECTORY)
        status = JSFS_IS_DIRECTORY;
    else if (status == JSFS_OK && attr->local)
        status = JSFS_NOT_FOUND;
    if (status != JSFS_OK)
        finish(removal, status);
    else
        send_removal(removal, STORE_EXPECT_ANY, 0);
}

/* NULL without memory; then done was called. */
static struct removal *new_removal(struct bucket *bucket, const char *path,
                                   store_done *done, void *arg)
{
    struct removal *removal = calloc(1, sizeof(*removal));
    char *copy = strdup(path);

    if (removal == NULL || copy == NULL) {
        free(removal);
        free(copy);
        done(arg, JSFS_NO_MEMORY);
        return NULL;
    }
    removal->bucket = bucket_ref(bucket);
    removal->path = copy;
    removal->done = done;
    removal->arg = arg;
    return removal;
}

void bucket_remove(struct bucket *bucket, const char *path, store_done *done, void *arg)
{
    struct removal *removal = new_removal(bucket, path, done, arg);

    if (removal != NULL)
        bucket_lookup(bucket, removal->path, found, removal);
}

void bucket_remove_at(struct bucket *bucket, const char *path, uint64_t sequence,
                      store_done *done, void *arg)
{
    struct removal *removal = new_removal(bucket, path, done, arg);

    if (removal != NULL)
        send_removal(removal, STORE_EXPECT_AT, sequence);
}
