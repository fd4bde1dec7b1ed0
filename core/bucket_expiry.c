/* SPDX-License-Identifier: Apache-2.0 */
/* bucket_expiry.c - names that end at their time: by the bucket's max_age or by a TTL of their own;
 * and names whose newest message is gone, whatever took it away.
 * Layer 4, a part of bucket.h. Both are computed, on the server's clock, and no key is polled.
 *
 * With max_age the newest message of a name is the last to go. Of a name whose newest message had a
 * TTL, an older one may show again: it is hidden at its time, and then the leader is asked once what
 * is there now. Servers remove such a message up to half a second late; as long as the leader still
 * has it, it is asked again, and shown again when it stays (the bucket does not heed TTLs any more).
 *
 * When the server or the connection goes away meanwhile, the name stays hidden and the question is
 * asked when the watch is live again. A message that somebody stores in between comes by the watch
 * and is newer; the answer is then dropped.
 */
#include "core/bucket_state.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/name_codec.h"
#include <stdlib.h>
#include <string.h>

enum { CHECK_MS = 250, CHECK_TRIES = 12, CHECKS_OUT_MOST = 64, ROUND_TRIP_MOST_MS = 250 };

/* A name whose newest message has expired: what is there now? */
struct expiry_check {
    struct expiry_check *next;
    struct bucket *bucket; /* a reference, while the leader is asked */
    uint64_t sequence;     /* of the expired message */
    int64_t at_ms;
    unsigned tries;
    char path[];
};

int64_t bucket_server_now_ns(struct bucket *bucket)
{
    return clock_realtime_ns() + atomic_load(&bucket->clock_ahead_ns);
}

void bucket_take_clock_locked(struct bucket *bucket, const struct js_stream_info *info,
                              int64_t round_trip_ms)
{
    if (info->told_ns == 0 || round_trip_ms > ROUND_TRIP_MOST_MS)
        return;
    atomic_store(&bucket->clock_ahead_ns, info->clock_ahead_ns);
    tree_set_clock(bucket->tree, info->clock_ahead_ns);
}

int64_t bucket_lifetime_ms(struct bucket *bucket, int64_t modified_ns, int64_t expires_ns)
{
    int64_t max_age_ns = atomic_load(&bucket->max_age_ns);
    int64_t end_ns = expires_ns == 0 ? INT64_MAX : expires_ns;

    if (bucket->state != BUCKET_LIVE)
        return 0;
    if (max_age_ns > 0 && expires_ns != INT64_MAX && modified_ns + max_age_ns < end_ns)
        end_ns = modified_ns + max_age_ns;
    if (end_ns == INT64_MAX)
        return INT64_MAX;
    end_ns -= bucket_server_now_ns(bucket);
    return end_ns > 0 ? end_ns / 1000000 : 0;
}

/* When it is over ------------------------------------------------------------------------- */

static void queue_check_locked(struct bucket *bucket, struct expiry_check *check)
{
    check->next = NULL;
    check->at_ms = clock_monotonic_ms() + CHECK_MS;
    if (bucket->checks == NULL)
        bucket->checks = check;
    else
        bucket->last_check->next = check;
    bucket->last_check = check;
}

/* Without memory for the question everything is listed anew. */
static void ask_later_locked(struct bucket *bucket, const char *path, uint64_t sequence)
{
    size_t size = strlen(path) + 1;
    struct expiry_check *check = malloc(sizeof(*check) + size);

    if (check == NULL) {
        bucket->doubtful = true;
        return;
    }
    *check = (struct expiry_check){.sequence = sequence};
    memcpy(check->path, path, size);
    queue_check_locked(bucket, check);
}

static void take_due(void *arg, const char *path, uint64_t sequence, int64_t due_ns)
{
    struct bucket *bucket = arg;

    if (due_ns != 0)
        bucket_tell_expired_locked(bucket, path, sequence, due_ns);
    if (bucket->info.max_messages_per_subject != 1)
        ask_later_locked(bucket, path, sequence);
}

void bucket_take_outdated(void *arg, const char *path, uint64_t sequence,
                          int64_t modified_ns)
{
    bucket_tell_vanished(arg, path, sequence, modified_ns);
    ask_later_locked(arg, path, sequence);
}

static bool checks_are_due_locked(const struct bucket *bucket, int64_t now_ms)
{
    return bucket->checks != NULL && bucket->checks->at_ms <= now_ms &&
           bucket->state == BUCKET_LIVE && !bucket->stopped &&
           bucket->checks_out < CHECKS_OUT_MOST;
}

static int64_t earlier(int64_t one, int64_t other)
{
    return one < other ? one : other;
}

int64_t bucket_expire_locked(struct bucket *bucket, int64_t now_ms, bool *ask)
{
    int64_t now_ns = bucket_server_now_ns(bucket), next_ms = INT64_MAX;
    bool forget = bucket->info.max_messages_per_subject == 1;
    int64_t next_ns = earlier(
        tree_expire(bucket->tree, now_ns, bucket_tell_vanished, bucket),
        tree_take_due(bucket->tree, now_ns, forget, take_due, bucket));

    *ask = checks_are_due_locked(bucket, now_ms) && !bucket->asking_checks;
    bucket->asking_checks |= *ask;
    if (next_ns != INT64_MAX)
        next_ms = next_ns <= now_ns ? now_ms : now_ms + (next_ns - now_ns) / 1000000 + 1;
    if (bucket->checks != NULL && bucket->state == BUCKET_LIVE &&
        bucket->checks_out < CHECKS_OUT_MOST && !bucket->asking_checks)
        next_ms = earlier(next_ms, bucket->checks->at_ms);
    return next_ms;
}

int64_t bucket_due_in_locked(struct bucket *bucket, const struct store_entry *entry)
{
    int64_t max_age_ns = atomic_load(&bucket->max_age_ns), end_ns = INT64_MAX, left_ms;

    if (entry->expires_ns != 0)
        end_ns = entry->expires_ns;
    if (max_age_ns > 0 && entry->expires_ns != INT64_MAX)
        end_ns = earlier(end_ns, entry->modified_ns + max_age_ns);
    if (end_ns == INT64_MAX)
        return -1;
    left_ms = (end_ns - bucket_server_now_ns(bucket)) / 1000000 + 1;
    if (left_ms > bucket->poll_ms ||
        (bucket->tick_at_ms != 0 && bucket->tick_at_ms <= clock_monotonic_ms() + left_ms))
        return -1;
    return left_ms > 0 ? left_ms : 0;
}

/* What is there now ----------------------------------------------------------------------- */

/* The leader still has the expired message: later it has not, or it is to be shown again. */
static void take_late_locked(struct bucket *bucket, struct expiry_check *check,
                             const struct store_entry *entry)
{
    struct store_entry kept = *entry;

    if (++check->tries < CHECK_TRIES) {
        queue_check_locked(bucket, check);
        return;
    }
    kept.expires_ns = 0;
    tree_forget(bucket->tree, check->path, check->sequence, false);
    if (bucket_apply_locked(bucket, check->path, &kept, false, true) != JSFS_OK)
        bucket->doubtful = true;
    free(check);
}

static void take_answer_locked(struct bucket *bucket, struct expiry_check *check,
                               enum jsfs_status status, const struct store_entry *entry)
{
    bool live;
    bool newer = tree_sequence(bucket->tree, check->path, &live) != check->sequence || live;

    if (bucket->stopped || newer) {
        free(check);
    } else if (status == JSFS_OK && entry->sequence == check->sequence) {
        take_late_locked(bucket, check, entry);
    } else if (status == JSFS_OK || status == JSFS_NOT_FOUND) {
        tree_forget(bucket->tree, check->path, check->sequence, false);
        if (status == JSFS_OK &&
            bucket_apply_locked(bucket, check->path, entry, false, true) != JSFS_OK)
            bucket->doubtful = true;
        free(check);
    } else {
        queue_check_locked(bucket, check);
    }
}

static void got_answer(void *arg, enum jsfs_status status, const struct store_entry *entry)
{
    struct expiry_check *check = arg;
    struct bucket *bucket = check->bucket;
    bool ask;

    pthread_mutex_lock(&bucket->lock);
    bucket->checks_out--;
    take_answer_locked(bucket, check, status, entry);
    ask = bucket->checks_out <= CHECKS_OUT_MOST / 2 && !bucket->asking_checks &&
          checks_are_due_locked(bucket, clock_monotonic_ms());
    bucket->asking_checks |= ask;
    pthread_mutex_unlock(&bucket->lock);
    bucket_give_notices(bucket);
    if (ask)
        executor_run(bucket->executor, bucket_ask_expired, bucket_ref(bucket));
    bucket_tick_within(bucket, CHECK_MS);
    bucket_unref(bucket);
}

static void ask_for(struct expiry_check *check)
{
    struct bucket *bucket = check->bucket;
    CLEANUP(buffer_clear) struct buffer raw = BUFFER_INIT;

    if (name_decode(check->path, &raw) != JSFS_OK)
        got_answer(check, JSFS_NO_MEMORY, NULL);
    else
        bucket->store->ops->lookup(bucket->store, raw.data, true, got_answer, check);
}

static struct expiry_check *next_check_locked(struct bucket *bucket)
{
    struct expiry_check *check = bucket->checks;

    if (!checks_are_due_locked(bucket, clock_monotonic_ms())) {
        bucket->asking_checks = false;
        return NULL;
    }
    bucket->checks = check->next;
    bucket->checks_out++;
    check->bucket = bucket_ref(bucket);
    return check;
}

void bucket_ask_expired(void *arg)
{
    struct bucket *bucket = arg;
    struct expiry_check *check;

    do {
        pthread_mutex_lock(&bucket->lock);
        check = next_check_locked(bucket);
        pthread_mutex_unlock(&bucket->lock);
        if (check != NULL)
            ask_for(check);
    } while (check != NULL);
    bucket_unref(bucket);
}

void bucket_free_checks(struct bucket *bucket)
{
    while (bucket->checks != NULL) {
        struct expiry_check *next = bucket->checks->next;

        free(bucket->checks);
        bucket->checks = next;
    }
}
