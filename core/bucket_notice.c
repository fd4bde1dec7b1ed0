/* SPDX-License-Identifier: Apache-2.0 */
/* bucket_notice.c - what leaves a bucket by itself: changes, losses, answers, one by one.
 * Layer 4, a part of bucket.h.
 */
#include "core/bucket_state.h"
#include "core/cleanup.h"
#include <stdlib.h>
#include <string.h>

void bucket_push_locked(struct bucket *bucket, struct notice *notice)
{
    notice->next = NULL;
    if (bucket->queue == NULL)
        bucket->queue = notice;
    else
        bucket->queue_last->next = notice;
    bucket->queue_last = notice;
}

void bucket_tell_lost_locked(struct bucket *bucket)
{
    if (bucket->lost_queued)
        return;
    bucket->lost_queued = true;
    bucket->lost_notice.type = NOTICE_LOST;
    bucket_push_locked(bucket, &bucket->lost_notice);
}

/* Without memory for one change everything is called stale. */
void bucket_tell_changed_locked(struct bucket *bucket, const char *path,
                                uint64_t sequence, uint64_t own_token)
{
    size_t size = strlen(path) + 1;
    struct change_notice *change = malloc(sizeof(*change) + size);

    if (change == NULL) {
        bucket_tell_lost_locked(bucket);
        return;
    }
    change->notice.type = NOTICE_CHANGED;
    change->sequence = sequence;
    change->own_token = own_token;
    memcpy(change->path, path, size);
    bucket_push_locked(bucket, &change->notice);
}

void bucket_become_gone_locked(struct bucket *bucket)
{
    if (bucket->state == BUCKET_GONE)
        return;
    bucket->state = BUCKET_GONE;
    bucket->want_watch = false;
    bucket->gone_notice.type = NOTICE_GONE;
    bucket_push_locked(bucket, &bucket->gone_notice);
    waiters_fail_locked(bucket, JSFS_STALE);
}

void bucket_answer_locked(struct waiter *waiter, enum jsfs_status status)
{
    waiter_unlink_locked(waiter);
    waiter->status = status;
    waiter->notice.type = NOTICE_ANSWER;
    bucket_push_locked(waiter->bucket, &waiter->notice);
}

enum jsfs_status bucket_apply_locked(struct bucket *bucket, const char *name_path,
                                     const struct store_entry *entry, bool keep_directory,
                                     bool tell)
{
    struct tree_change change;
    enum jsfs_status status =
        tree_apply(bucket->tree, name_path, entry, keep_directory, &change);

    if (status == JSFS_OK && change.shown && tell)
        bucket_tell_changed_locked(bucket, name_path, entry->sequence, entry->own_token);
    return status;
}

/* Take the oldest notice out; NULL when there is none. */
static struct notice *pop_locked(struct bucket *bucket)
{
    struct notice *notice = bucket->queue;

    if (notice == NULL)
        return NULL;
    bucket->queue = notice->next;
    if (notice == &bucket->lost_notice)
        bucket->lost_queued = false;
    return notice;
}

static void give_change(struct bucket *bucket, struct change_notice *change)
{
    const struct bucket_observer *observer = &bucket->observer;

    if (observer->changed != NULL)
        observer->changed(observer->arg, bucket, change->path, change->sequence,
                          change->own_token);
}

/* A bucket that was stopped tells its observer nothing more; waiters always get an answer. */
static void give(struct bucket *bucket, struct notice *notice, bool stopped)
{
    const struct bucket_observer *observer = &bucket->observer;

    switch (notice->type) {
    case NOTICE_CHANGED:
        if (!stopped)
            give_change(bucket, (struct change_notice *)notice);
        free(notice);
        break;
    case NOTICE_EVENT:
        if (!stopped)
            bucket_give_event(bucket, notice);
        free(notice);
        break;
    case NOTICE_LOST:
        if (!stopped && observer->lost != NULL)
            observer->lost(observer->arg, bucket);
        break;
    case NOTICE_GONE:
        if (!stopped && observer->gone != NULL)
            observer->gone(observer->arg, bucket);
        if (!stopped)
            bucket_give_end(bucket);
        break;
    case NOTICE_ANSWER: waiter_give((struct waiter *)notice); break;
    }
}

void bucket_free_notices(struct bucket *bucket)
{
    struct notice *notice;

    while ((notice = pop_locked(bucket)) != NULL)
        give(bucket, notice, true);
}

void bucket_give_notices(struct bucket *bucket)
{
    struct notice *notice;

    if (!bucket_try_ref(bucket))
        return;
    pthread_mutex_lock(&bucket->lock);
    if (!bucket->giving) {
        bucket->giving = true;
        bucket->giver = pthread_self();
        while ((notice = pop_locked(bucket)) != NULL) {
            bool stopped = bucket->stopped;

            pthread_mutex_unlock(&bucket->lock);
            give(bucket, notice, stopped);
            pthread_mutex_lock(&bucket->lock);
        }
        bucket->giving = false;
        pthread_cond_broadcast(&bucket->quiet);
    }
    pthread_mutex_unlock(&bucket->lock);
    bucket_unref(bucket);
}
