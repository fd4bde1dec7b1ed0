/* SPDX-License-Identifier: Apache-2.0 */
/* bucket_watch.c - the watch of a bucket: what it tells, and when it runs.
 * Layer 4, a part of bucket.h.
 */
#include "core/bucket_state.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/name_codec.h"
#include <string.h>

/* What the watch tells ---------------------------------------------------------------------- */

static bool is_deaf_locked(const struct bucket *bucket)
{
    return bucket->deaf || bucket->state == BUCKET_GONE || bucket->state == BUCKET_IDLE;
}

static void set_lost_locked(struct bucket *bucket)
{
    if (bucket->state != BUCKET_LIVE)
        return;
    bucket->state = BUCKET_LOST;
    bucket_tell_lost_locked(bucket);
}

static void on_begin(void *arg, bool full)
{
    struct bucket *bucket = arg;

    pthread_mutex_lock(&bucket->lock);
    if (!is_deaf_locked(bucket)) {
        set_lost_locked(bucket);
        bucket->list_full = full;
        bucket->list_gap_told = false;
        bucket->list_began_ms = clock_monotonic_ms();
        if (full)
            tree_list_begin(bucket->tree);
    }
    pthread_mutex_unlock(&bucket->lock);
    bucket_give_notices(bucket);
}

static bool is_own_removal_locked(const struct bucket *bucket, uint64_t token)
{
    for (const struct removal_token *at = bucket->removals; at != NULL; at = at->next) {
        if (at->token == token)
            return true;
    }
    return false;
}

/* Nobody knows a name yet that the first list tells. */
static enum jsfs_status take_entry_locked(struct bucket *bucket, const char *path,
                                          const char *name,
                                          const struct store_entry *entry)
{
    unsigned shown = 0;
    bool is_event = bucket_is_event_locked(bucket, path, entry, &shown);
    bool tell = bucket->listed || entry->own_token != 0;
    bool own_removal =
        entry->own_token != 0 && is_own_removal_locked(bucket, entry->own_token);
    enum jsfs_status status = bucket_apply_locked(bucket, path, entry, own_removal, tell);

    if (is_event)
        bucket_tell_entry_locked(bucket, path, name, entry, shown);
    bucket->events++;
    if (entry->sequence > bucket->seen)
        bucket->seen = entry->sequence;
    bucket_verify_told_locked(bucket, entry->sequence);
    if (status == JSFS_OK && bucket->waiters != NULL)
        waiters_told_locked(bucket, path, entry);
    return status;
}

static void on_entry(void *arg, const char *name, const struct store_entry *entry)
{
    struct bucket *bucket = arg;
    struct buffer *path = &bucket->event_path;
    enum jsfs_status status;
    int64_t look_ms;
    bool quiet;

    path->size = 0;
    status = name_encode(name, strlen(name), path);
    pthread_mutex_lock(&bucket->lock);
    if (status == JSFS_OK)
        status = take_entry_locked(bucket, path->data, name, entry);
    look_ms = bucket_due_in_locked(bucket, entry);
    if (status == JSFS_NO_MEMORY) {
        bucket_restart_locked(bucket);
        look_ms = bucket->poll_ms;
    }
    quiet = bucket->queue == NULL;
    pthread_mutex_unlock(&bucket->lock);
    if (look_ms >= 0)
        bucket_tick_within(bucket, look_ms);
    if (!quiet)
        bucket_give_notices(bucket);
}

/* Returns when to look at the stream [ms from now]: at once after a list that followed a gap,
 * which may be that of another, or an older, stream. */
static int64_t go_live_locked(struct bucket *bucket)
{
    int64_t now_ms = clock_monotonic_ms();
    int64_t rest_ms = 8 * (now_ms - bucket->list_began_ms);
    int64_t delay_ms = bucket->listed && bucket->list_full ? 0 : bucket->poll_ms;

    if (bucket->list_full) {
        bucket->doubtful = false;
        tree_take_outdated(bucket->tree, bucket_take_outdated, bucket);
        bucket->doubtful |=
            tree_list_end(bucket->tree, bucket_tell_vanished, bucket) > 0;
    }
    bucket->list_full = false;
    bucket->listed = true;
    bucket->state = BUCKET_LIVE;
    bucket_verify_reset_locked(bucket);
    bucket->poll_at_ms = now_ms + delay_ms;
    bucket->relist_after_ms =
        now_ms + (rest_ms > 2 * bucket->poll_ms ? rest_ms : 2 * bucket->poll_ms);
    waiters_listed_locked(bucket);
    return delay_ms;
}

static void on_live(void *arg)
{
    struct bucket *bucket = arg;
    int64_t delay_ms = bucket->poll_ms;

    pthread_mutex_lock(&bucket->lock);
    if (!is_deaf_locked(bucket))
        delay_ms = go_live_locked(bucket);
    pthread_mutex_unlock(&bucket->lock);
    bucket_give_notices(bucket);
    bucket_tick_within(bucket, delay_ms);
}

static void on_lost(void *arg)
{
    struct bucket *bucket = arg;

    pthread_mutex_lock(&bucket->lock);
    if (!is_deaf_locked(bucket)) {
        set_lost_locked(bucket);
        bucket->list_full = false;
    }
    pthread_mutex_unlock(&bucket->lock);
    bucket_give_notices(bucket);
}

static void on_failed(void *arg, enum jsfs_status status)
{
    struct bucket *bucket = arg;
    bool offline = bucket_is_offline(bucket);

    pthread_mutex_lock(&bucket->lock);
    if (!is_deaf_locked(bucket))
        waiters_list_failed_locked(bucket, status, offline);
    pthread_mutex_unlock(&bucket->lock);
    bucket_give_notices(bucket);
}

static void on_gone(void *arg)
{
    struct bucket *bucket = arg;

    pthread_mutex_lock(&bucket->lock);
    if (!is_deaf_locked(bucket))
        bucket_become_gone_locked(bucket);
    pthread_mutex_unlock(&bucket->lock);
    bucket_give_notices(bucket);
    bucket_tick_within(bucket, 0);
}

const struct store_watch_events bucket_watch_events = {.begin = on_begin,
                                                       .entry = on_entry,
                                                       .live = on_live,
                                                       .lost = on_lost,
                                                       .failed = on_failed,
                                                       .gone = on_gone};

/* When it runs ------------------------------------------------------------------------------ */

static void stop_watch_locked(struct bucket *bucket)
{
    bucket->deaf = true;
    pthread_mutex_unlock(&bucket->lock);
    bucket->store->ops->unwatch(bucket->store);
    pthread_mutex_lock(&bucket->lock);
    bucket->watching = false;
    bucket->want_restart = false;
    bucket->list_full = false;
}

static void start_watch_locked(struct bucket *bucket)
{
    bucket->watching = true;
    bucket->want_restart = false;
    bucket->deaf = false;
    pthread_mutex_unlock(&bucket->lock);
    jsfs_debug("watch bucket=%s", bucket->name);
    bucket->store->ops->watch(bucket->store, &bucket_watch_events, bucket);
    pthread_mutex_lock(&bucket->lock);
}

static bool wants_stop_locked(const struct bucket *bucket)
{
    return bucket->watching && (bucket->want_restart || !bucket->want_watch);
}

static bool wants_start_locked(const struct bucket *bucket)
{
    return bucket->want_watch && !bucket->watching;
}

/* On the executor, one at a time for each bucket. */
static void settle(void *arg)
{
    struct bucket *bucket = arg;

    pthread_mutex_lock(&bucket->lock);
    while (!bucket->stopped) {
        if (wants_stop_locked(bucket))
            stop_watch_locked(bucket);
        else if (wants_start_locked(bucket))
            start_watch_locked(bucket);
        else
            break;
    }
    bucket->task_running = false;
    pthread_cond_broadcast(&bucket->quiet);
    pthread_mutex_unlock(&bucket->lock);
    bucket_give_notices(bucket);
    bucket_unref(bucket);
}

void bucket_settle_watch(struct bucket *bucket)
{
    bool run;

    pthread_mutex_lock(&bucket->lock);
    run = !bucket->stopped && !bucket->task_running &&
          (wants_stop_locked(bucket) || wants_start_locked(bucket));
    if (run) {
        bucket->task_running = true;
        bucket_ref(bucket);
    }
    pthread_mutex_unlock(&bucket->lock);
    if (run)
        executor_run(bucket->executor, settle, bucket);
}

void bucket_restart_locked(struct bucket *bucket)
{
    if (!bucket->watching || bucket->state == BUCKET_GONE)
        return;
    set_lost_locked(bucket);
    bucket->want_restart = true;
    bucket->deaf = true;
}

void bucket_hurry_locked(struct bucket *bucket)
{
    if (bucket->start_at_ms != 0 && bucket->state == BUCKET_LOADING)
        bucket->want_watch = true;
    bucket->start_at_ms = 0;
}

/* Returns whether the watch was idle. */
static bool begin_loading_locked(struct bucket *bucket)
{
    if (bucket->state != BUCKET_IDLE || bucket->stopped)
        return false;
    bucket->state = BUCKET_LOADING;
    bucket->used_at_ms = clock_monotonic_ms();
    bucket->start_at_ms = bucket->used_at_ms + BUCKET_HEAD_START_MS;
    return true;
}

void bucket_start(struct bucket *bucket)
{
    bool start;

    pthread_mutex_lock(&bucket->lock);
    start = begin_loading_locked(bucket) || bucket->start_at_ms != 0;
    bucket_hurry_locked(bucket);
    pthread_mutex_unlock(&bucket->lock);
    if (start)
        bucket_settle_watch(bucket);
}

void bucket_start_soon(struct bucket *bucket)
{
    bool start;

    if (bucket->short_list) {
        bucket_start(bucket);
        return;
    }
    pthread_mutex_lock(&bucket->lock);
    start = begin_loading_locked(bucket);
    pthread_mutex_unlock(&bucket->lock);
    if (start)
        bucket_tick_within(bucket, BUCKET_HEAD_START_MS);
}
