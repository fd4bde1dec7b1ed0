/* SPDX-License-Identifier: Apache-2.0 */
/* bucket_chunks.c - chunks of replaced objects live as long as somebody here reads them.
 * Layer 4, a part of bucket.h.
 */
#include "core/bucket_state.h"
#include "core/cleanup.h"
#include "core/log.h"
#include <string.h>

static struct hold **slot_of(struct bucket *bucket, const char *nuid)
{
    size_t hash = 5381;

    for (const char *at = nuid; *at != '\0'; at++)
        hash = hash * 33 + (unsigned char)*at;
    return &bucket->holds[hash % BUCKET_HOLD_SLOTS];
}

/* The place of a hold, or of the NULL behind the last one of its slot. */
static struct hold **find_locked(struct bucket *bucket, const char *nuid)
{
    struct hold **at = slot_of(bucket, nuid);

    while (*at != NULL && strcmp((*at)->nuid, nuid) != 0)
        at = &(*at)->next;
    return at;
}

/* NULL without memory. */
static struct hold *reach_locked(struct bucket *bucket, const char *nuid)
{
    struct hold **at = find_locked(bucket, nuid);
    size_t size = strlen(nuid) + 1;

    if (*at == NULL) {
        *at = calloc(1, sizeof(struct hold) + size);
        if (*at != NULL)
            memcpy((*at)->nuid, nuid, size);
    }
    return *at;
}

/* Free a hold that means nothing any more. */
static void drop_if_unused_locked(struct bucket *bucket, struct hold *hold)
{
    struct hold **at = find_locked(bucket, hold->nuid);

    if (hold->holders > 0 || hold->discarded || hold->purging)
        return;
    *at = hold->next;
    free(hold);
}

static bool may_succeed_later(enum jsfs_status status)
{
    return status == JSFS_TIMEOUT || status == JSFS_UNAVAILABLE || status == JSFS_BUSY;
}

static void purged(void *arg, enum jsfs_status status)
{
    struct hold *hold = arg;
    struct bucket *bucket = hold->bucket;

    if (status != JSFS_OK)
        jsfs_debug("purge of chunks bucket=%s nuid=%s status=%s", bucket->name,
                   hold->nuid, jsfs_status_text(status));
    pthread_mutex_lock(&bucket->lock);
    hold->purging = false;
    hold->discarded = may_succeed_later(status);
    drop_if_unused_locked(bucket, hold);
    pthread_mutex_unlock(&bucket->lock);
    bucket_unref(bucket);
}

/* Whether the chunks are to be purged now; then nobody else will. */
static bool begin_purge_locked(struct bucket *bucket, struct hold *hold)
{
    if (!hold->discarded || hold->holders > 0 || hold->purging || bucket->stopped)
        return false;
    hold->purging = true;
    hold->bucket = bucket_ref(bucket);
    return true;
}

static void purge(struct hold *hold)
{
    struct store *store = hold->bucket->store;

    store->ops->chunks_purge(store, hold->nuid, purged, hold);
}

void bucket_hold_chunks(struct bucket *bucket, const char *nuid)
{
    SCOPED_LOCK(&bucket->lock);
    struct hold *hold = reach_locked(bucket, nuid);

    if (hold != NULL)
        hold->holders++;
}

void bucket_release_chunks(struct bucket *bucket, const char *nuid)
{
    struct hold *hold;
    bool now = false;

    pthread_mutex_lock(&bucket->lock);
    hold = *find_locked(bucket, nuid);
    if (hold != NULL && hold->holders > 0) {
        hold->holders--;
        now = begin_purge_locked(bucket, hold);
        drop_if_unused_locked(bucket, hold);
    }
    pthread_mutex_unlock(&bucket->lock);
    if (now)
        purge(hold);
}

static void forget_purge(void *arg, enum jsfs_status status)
{
    (void)arg;
    (void)status;
}

void bucket_discard_chunks(struct bucket *bucket, const char *nuid)
{
    struct hold *hold;
    bool now = false;

    if (bucket_kind(bucket) != STORE_OBJECT)
        return;
    pthread_mutex_lock(&bucket->lock);
    hold = reach_locked(bucket, nuid);
    if (hold != NULL) {
        hold->discarded = true;
        now = begin_purge_locked(bucket, hold);
    }
    pthread_mutex_unlock(&bucket->lock);
    if (now)
        purge(hold);
    else if (hold == NULL)
        bucket->store->ops->chunks_purge(bucket->store, nuid, forget_purge, NULL);
}

void bucket_retry_purges(struct bucket *bucket)
{
    struct hold *retry = NULL, *next;

    pthread_mutex_lock(&bucket->lock);
    for (size_t i = 0; i < BUCKET_HOLD_SLOTS; i++) {
        for (struct hold *hold = bucket->holds[i]; hold != NULL; hold = hold->next) {
            if (begin_purge_locked(bucket, hold)) {
                hold->retry = retry;
                retry = hold;
            }
        }
    }
    pthread_mutex_unlock(&bucket->lock);
    for (; retry != NULL; retry = next) {
        next = retry->retry;
        purge(retry);
    }
}

void bucket_free_holds(struct bucket *bucket)
{
    for (size_t i = 0; i < BUCKET_HOLD_SLOTS; i++) {
        while (bucket->holds[i] != NULL) {
            struct hold *hold = bucket->holds[i];

            bucket->holds[i] = hold->next;
            free(hold);
        }
    }
}
