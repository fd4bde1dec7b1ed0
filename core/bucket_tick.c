/* SPDX-License-Identifier: Apache-2.0 */
/* bucket_tick.c - the clock of a bucket: deadlines, expiry, idleness, and a look at the stream.
 * Layer 4, a part of bucket.h. One timer at a time counts, the one that fires first.
 */
#include "core/bucket_state.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include <inttypes.h>

/* The timer --------------------------------------------------------------------------------- */

struct ticker *ticker_new(struct bucket *bucket)
{
    struct ticker *ticker = calloc(1, sizeof(*ticker));

    if (ticker == NULL)
        return NULL;
    pthread_mutex_init(&ticker->lock, NULL);
    ticker->bucket = bucket;
    atomic_init(&ticker->references, 1);
    return ticker;
}

static void unref_ticker(struct ticker *ticker)
{
    if (atomic_fetch_sub(&ticker->references, 1) != 1)
        return;
    pthread_mutex_destroy(&ticker->lock);
    free(ticker);
}

void ticker_end(struct ticker *ticker)
{
    if (ticker == NULL)
        return;
    pthread_mutex_lock(&ticker->lock);
    ticker->bucket = NULL;
    pthread_mutex_unlock(&ticker->lock);
    unref_ticker(ticker);
}

/* What a stream.info has told ---------------------------------------------------------------- */

static void take_info_locked(struct bucket *bucket, const struct js_stream_info *info)
{
    if (info->created_ns != 0 && bucket->created_ns != 0 &&
        info->created_ns != bucket->created_ns) {
        bucket_become_gone_locked(bucket);
        return;
    }
    bucket_take_info_locked(bucket, info);
    if (bucket->state != BUCKET_LIVE)
        return;
    if (info->last_sequence < bucket->seen_at_poll) {
        jsfs_debug("stream went back bucket=%s last=%" PRIu64 " seen=%" PRIu64,
                   bucket->name, info->last_sequence, bucket->seen_at_poll);
        bucket_tell_went_back_locked(bucket, info->last_sequence);
        bucket->seen = info->last_sequence;
        tree_drop_above(bucket->tree, info->last_sequence, bucket_tell_vanished, bucket);
        bucket_restart_locked(bucket);
        return;
    }
    tree_drop_below(bucket->tree, info->first_sequence, bucket_tell_vanished, bucket);
    if (bucket->doubtful)
        bucket_restart_locked(bucket);
    else if (bucket_kind(bucket) == STORE_KV)
        bucket_verify_info_locked(bucket, info);
}

static void polled(void *arg, enum jsfs_status status, const struct js_stream_info *info)
{
    struct bucket *bucket = arg;

    pthread_mutex_lock(&bucket->lock);
    bucket->polling = false;
    bucket->poll_at_ms = clock_monotonic_ms() + bucket->poll_ms;
    if (!bucket->stopped && status == JSFS_OK) {
        bucket_take_clock_locked(bucket, info, clock_monotonic_ms() - bucket->polled_at_ms);
        take_info_locked(bucket, info);
    } else if (!bucket->stopped && status == JSFS_NOT_FOUND) {
        bucket_become_gone_locked(bucket);
    }
    pthread_mutex_unlock(&bucket->lock);
    bucket_give_notices(bucket);
    bucket_tick_within(bucket, 0);
    bucket_unref(bucket);
}

/* On the executor, as a request may block while the socket is full. */
static void poll_stream(void *arg)
{
    struct bucket *bucket = arg;

    bucket_retry_purges(bucket);
    bucket->store->ops->info(bucket->store, polled, bucket);
}

/* The tick ---------------------------------------------------------------------------------- */

static void note_use_locked(struct bucket *bucket, int64_t now_ms)
{
    if (atomic_exchange_explicit(&bucket->used, false, memory_order_relaxed))
        bucket->used_at_ms = now_ms;
}

static void check_idle_locked(struct bucket *bucket, int64_t now_ms)
{
    if (bucket->options.idle_ms <= 0 || !bucket->watching || bucket->waiters != NULL ||
        bucket->listeners != NULL || bucket->state == BUCKET_GONE ||
        now_ms - bucket->used_at_ms < bucket->options.idle_ms)
        return;
    jsfs_debug("idle bucket=%s", bucket->name);
    bucket_restart_locked(bucket); /* should it be wanted again before it has ended */
    bucket->want_watch = false;
    bucket->state = BUCKET_IDLE;
}

/* Whether the stream is to be asked for. */
static bool begin_poll_locked(struct bucket *bucket, int64_t now_ms)
{
    if (bucket->state != BUCKET_LIVE || bucket->polling || now_ms < bucket->poll_at_ms)
        return false;
    bucket->polling = true;
    bucket->seen_at_poll = bucket->seen;
    bucket->polled_at_ms = now_ms;
    bucket_verify_begin_locked(bucket);
    return true;
}

/* Everything that is due; returns when to look again, INT64_MAX: not before something else
 * asks for it. */
static int64_t look(struct bucket *bucket, int64_t now_ms, struct waiter **ask,
                    bool *poll, bool *expired)
{
    bool offline = bucket_is_offline(bucket);
    SCOPED_LOCK(&bucket->lock);
    int64_t next_ms, expiry_ms;

    *ask = NULL;
    *poll = *expired = false;
    if (bucket->stopped)
        return INT64_MAX;
    note_use_locked(bucket, now_ms);
    next_ms = waiters_check_locked(bucket, now_ms, offline, ask);
    expiry_ms = bucket_expire_locked(bucket, now_ms, expired);
    if (expiry_ms < next_ms)
        next_ms = expiry_ms;
    check_idle_locked(bucket, now_ms);
    if (bucket->start_at_ms != 0 && now_ms >= bucket->start_at_ms)
        bucket_hurry_locked(bucket);
    if (bucket->start_at_ms != 0 && bucket->start_at_ms < next_ms)
        next_ms = bucket->start_at_ms;
    *poll = begin_poll_locked(bucket, now_ms);
    if (*ask != NULL)
        return now_ms;
    if (bucket->want_watch && now_ms + bucket->poll_ms < next_ms)
        next_ms = now_ms + bucket->poll_ms;
    return next_ms;
}

static void work(struct bucket *bucket)
{
    int64_t now_ms = clock_monotonic_ms(), next_ms;
    struct waiter *ask;
    bool poll, expired;

    pthread_mutex_lock(&bucket->lock);
    if (bucket->tick_at_ms != 0 && now_ms < bucket->tick_at_ms) {
        pthread_mutex_unlock(&bucket->lock); /* another timer will be the right one */
        return;
    }
    bucket->tick_at_ms = 0;
    pthread_mutex_unlock(&bucket->lock);
    next_ms = look(bucket, now_ms, &ask, &poll, &expired);
    bucket_give_notices(bucket);
    if (ask != NULL)
        executor_run(bucket->executor, bucket_ask_leader, ask);
    if (poll)
        executor_run(bucket->executor, poll_stream, bucket_ref(bucket));
    if (expired)
        executor_run(bucket->executor, bucket_ask_expired, bucket_ref(bucket));
    bucket_settle_watch(bucket);
    if (next_ms != INT64_MAX)
        bucket_tick_within(bucket, next_ms - now_ms);
}

static void tick(void *arg)
{
    struct ticker *ticker = arg;
    struct bucket *bucket;

    pthread_mutex_lock(&ticker->lock);
    bucket = ticker->bucket;
    if (bucket != NULL && !bucket_try_ref(bucket))
        bucket = NULL;
    pthread_mutex_unlock(&ticker->lock);
    if (bucket != NULL) {
        work(bucket);
        bucket_unref(bucket);
    }
    unref_ticker(ticker);
}

/* The executor ends, or had no memory: then the next one who needs a timer starts it. */
static void drop_tick(void *arg)
{
    struct ticker *ticker = arg;

    pthread_mutex_lock(&ticker->lock);
    if (ticker->bucket != NULL) {
        pthread_mutex_lock(&ticker->bucket->lock);
        ticker->bucket->tick_at_ms = 0;
        pthread_mutex_unlock(&ticker->bucket->lock);
    }
    pthread_mutex_unlock(&ticker->lock);
    unref_ticker(ticker);
}

void bucket_tick_within(struct bucket *bucket, int64_t delay_ms)
{
    int64_t at_ms = clock_monotonic_ms() + delay_ms;
    bool start;

    pthread_mutex_lock(&bucket->lock);
    start = !bucket->stopped && (bucket->tick_at_ms == 0 || at_ms < bucket->tick_at_ms);
    if (start)
        bucket->tick_at_ms = at_ms;
    pthread_mutex_unlock(&bucket->lock);
    if (!start)
        return;
    atomic_fetch_add(&bucket->ticker->references, 1);
    executor_after(bucket->executor, delay_ms, tick, drop_tick, bucket->ticker);
}
