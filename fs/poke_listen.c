/* SPDX-License-Identifier: Apache-2.0 */
/* poke_listen.c - the changes of the buckets in which something is watched, see poke.h. Layer 5. */
#include "fs/poke_state.h"

#include "core/bucket_event.h"
#include "core/cleanup.h"

#include <string.h>

#define MOST_QUEUED 4096 /* pokes; more changes than that at once are not told one by one */

/* A bucket that is listened to, because something in it is watched. Both threads' and the
 * listener's. */
struct ear {
    struct ear *next; /* poke lock */
    struct poke *poke; /* counted */
    struct bucket *bucket; /* counted */
    struct bucket_listener *listener; /* poke lock */
    atomic_uint references;
    bool pending, unwanted, over; /* poke lock; over: it is to be listened to anew, or not */
};

static void ear_unref(void *arg)
{
    struct ear *ear = arg;

    if (atomic_fetch_sub(&ear->references, 1) != 1)
        return;
    bucket_unref(ear->bucket);
    poke_unref(ear->poke);
    free(ear);
}

/* The same file changes again before the poke for the time before was begun. */
static bool is_told_already_locked(const struct poke *poke, const struct poke_item *item)
{
    const struct poke_item *last = poke->newest;

    return last != NULL && item->before == item->after && last->after == item->after &&
           last->bucket == item->bucket && strcmp(last->path, item->path) == 0;
}

/* What this mount changes by itself has its events already. */
static void told(void *arg, const struct bucket_event *event)
{
    struct ear *ear = arg;
    struct poke *poke = ear->poke;
    struct poke_item *item;
    size_t size;

    if (event->operation == BUCKET_END) {
        SCOPED_LOCK(&poke->lock);
        ear->over = true;
    }
    if (event->path == NULL || event->own)
        return;
    size = strlen(event->path) + 1;
    item = malloc(sizeof(*item) + size);
    if (item == NULL)
        return;
    *item = (struct poke_item){.bucket = bucket_ref(ear->bucket),
                          .before = event->shown_before,
                          .after = event->shown_after};
    memcpy(item->path, event->path, size);
    pthread_mutex_lock(&poke->lock);
    bool take = !poke->ending && poke->queued < MOST_QUEUED &&
                !is_told_already_locked(poke, item) && poke_concerns_locked(poke, item);
    if (take) {
        *poke->last = item;
        poke->last = &item->next;
        poke->newest = item;
        poke->queued++;
        pthread_cond_broadcast(&poke->changed);
    }
    pthread_mutex_unlock(&poke->lock);
    if (!take)
        poke_item_free(item);
}

static void listening(void *arg, enum jsfs_status status, struct bucket_listener *listener)
{
    struct ear *ear = arg;
    struct poke *poke = ear->poke;

    pthread_mutex_lock(&poke->lock);
    ear->pending = false;
    ear->over = status != JSFS_OK;
    bool unwanted = poke->ending || ear->unwanted;
    if (!unwanted)
        ear->listener = listener;
    pthread_cond_broadcast(&poke->changed);
    pthread_mutex_unlock(&poke->lock);
    if (status != JSFS_OK)
        ear_unref(ear); /* the listener's */
    else if (unwanted)
        bucket_unlisten(listener);
    ear_unref(ear); /* this call's */
}

/* With the list's reference, and those of the listener and of the answer. */
static void ear_open(struct poke *poke, struct bucket *bucket)
{
    struct ear *ear = calloc(1, sizeof(*ear));
    struct bucket_listening what = {.told = told, .ended = ear_unref, .arg = ear};

    if (ear == NULL)
        return;
    atomic_fetch_add(&poke->references, 1);
    ear->poke = poke;
    ear->bucket = bucket_ref(bucket);
    ear->pending = true;
    atomic_init(&ear->references, 3);
    pthread_mutex_lock(&poke->lock);
    ear->next = poke->ears;
    poke->ears = ear;
    pthread_mutex_unlock(&poke->lock);
    bucket_listen(bucket, &what, listening, ear);
}

/* Ears are given up when nothing in their bucket is watched any more, when it has gone, or when
 * they could not listen: then the next look tries again. */
static struct ear *take_unwanted(struct poke *poke, bool all)
{
    SCOPED_LOCK(&poke->lock);

    for (struct ear **at = &poke->ears; *at != NULL; at = &(*at)->next) {
        struct ear *ear = *at;
        bool wanted = !all && !ear->over;

        if (wanted) {
            wanted = false;
            for (size_t i = 0; i < poke->watched_count && !wanted; i++)
                wanted = poke->watched[i]->bucket == ear->bucket;
        }
        if (wanted)
            continue;
        *at = ear->next;
        ear->unwanted = true;
        return ear;
    }
    return NULL;
}

static void close_unwanted(struct poke *poke, bool all)
{
    struct ear *ear;

    while ((ear = take_unwanted(poke, all)) != NULL) {
        pthread_mutex_lock(&poke->lock);
        struct bucket_listener *listener = ear->listener;
        ear->listener = NULL;
        pthread_mutex_unlock(&poke->lock);
        if (listener != NULL)
            bucket_unlisten(listener);
        ear_unref(ear);
    }
}

/* A bucket in which something is watched and that nobody listens to; counted, or NULL. */
static struct bucket *find_unheard(struct poke *poke)
{
    SCOPED_LOCK(&poke->lock);

    for (size_t i = 0; i < poke->watched_count; i++) {
        struct bucket *bucket = poke->watched[i]->bucket;
        struct ear *ear = poke->ears;

        while (ear != NULL && ear->bucket != bucket)
            ear = ear->next;
        if (ear == NULL && !bucket_is_gone(bucket))
            return bucket_ref(bucket);
    }
    return NULL;
}

void poke_listen(struct poke *poke)
{
    struct bucket *bucket;

    close_unwanted(poke, false);
    while ((bucket = find_unheard(poke)) != NULL) {
        ear_open(poke, bucket);
        bucket_unref(bucket);
    }
}

void poke_listen_end(struct poke *poke)
{
    close_unwanted(poke, true);
}

bool poke_listen_pending_locked(const struct poke *poke)
{
    for (const struct ear *ear = poke->ears; ear != NULL; ear = ear->next) {
        if (ear->pending)
            return true;
    }
    return false;
}
