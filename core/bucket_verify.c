/* SPDX-License-Identifier: Apache-2.0 */
/* bucket_verify.c - names that vanish without a word (a purge, a removed message): found by what
 * the server counts.
 * Layer 4, a part of bucket.h.
 *
 * STREAM.INFO tells how many subjects there were at its last sequence. The tree's count is compared
 * as it was at that very sequence, so others may write all the time: while the question is out, each
 * message that changes the count is noted with the count behind it; and where the watch is not yet as
 * far, its coming there is waited for. Fewer subjects than names, twice in a row: list everything
 * anew. More of them may be late expiries, or are none of ours (sources without a transform): only
 * when the same difference stays, and once.
 *
 * A removed message that was not the only one of its key does not change that count: where messages
 * may be removed, a list follows when more are missing inside the stream than before, although nothing
 * was stored meanwhile.
 */
#include "core/bucket_state.h"
#include "core/clock.h"
#include "core/log.h"
#include <inttypes.h>

enum { LOG_MOST = 4096, BELOW_OFTEN = 2, ABOVE_OFTEN = 3 };

struct told_count {
    uint64_t sequence, known;
};

static uint64_t count_names(struct bucket *bucket)
{
    uint64_t known, shown;

    tree_count(bucket->tree, &known, &shown);
    return known;
}

static void end_log(struct bucket_verify *verify)
{
    verify->logging = verify->waiting = false;
    buffer_clear(&verify->log);
}

void bucket_verify_begin_locked(struct bucket *bucket)
{
    struct bucket_verify *verify = &bucket->verify;

    if (verify->waiting)
        return;
    end_log(verify);
    verify->logging = true;
    verify->overflown = false;
    verify->known_at_begin = verify->known_last = count_names(bucket);
}

void bucket_verify_reset_locked(struct bucket *bucket)
{
    end_log(&bucket->verify);
    bucket->verify.delta_often = bucket->verify.below_often = 0;
    bucket->verify.asked_before = false;
}

/* How many names there were at the sequence that the server has counted at. */
static uint64_t known_then(struct bucket *bucket)
{
    const struct bucket_verify *verify = &bucket->verify;
    const struct told_count *told = (const void *)verify->log.data;
    size_t count = verify->log.size / sizeof(*told);
    uint64_t known = count == 0 ? count_names(bucket) : verify->known_at_begin;

    for (size_t i = 0; i < count && told[i].sequence <= verify->last_sequence; i++)
        known = told[i].known;
    return known;
}

static void restart_for(struct bucket *bucket, int64_t delta)
{
    if (clock_monotonic_ms() < bucket->relist_after_ms)
        return;
    jsfs_debug("names differ bucket=%s by=%" PRId64 " subjects=%" PRIu64, bucket->name,
               delta, bucket->verify.subjects);
    bucket->delta_tried = delta;
    bucket_restart_locked(bucket);
}

static void compare_locked(struct bucket *bucket)
{
    struct bucket_verify *verify = &bucket->verify;
    int64_t delta = (int64_t)(verify->subjects - known_then(bucket));

    if (verify->overflown)
        return;
    verify->delta_often = delta == verify->delta ? verify->delta_often + 1 : 1;
    verify->below_often = delta < 0 ? verify->below_often + 1 : 0;
    verify->delta = delta;
    if (delta == bucket->delta_accepted)
        return;
    if (delta < 0 && verify->below_often >= BELOW_OFTEN)
        restart_for(bucket, delta);
    else if (delta > 0 && verify->delta_often >= ABOVE_OFTEN && delta == bucket->delta_tried)
        bucket->delta_accepted = delta;
    else if (delta > 0 && verify->delta_often >= ABOVE_OFTEN)
        restart_for(bucket, delta);
}

void bucket_verify_told_locked(struct bucket *bucket, uint64_t sequence)
{
    struct bucket_verify *verify = &bucket->verify;
    struct told_count told = {.sequence = sequence};

    if (!verify->logging)
        return;
    told.known = count_names(bucket);
    if (told.known != verify->known_last) {
        verify->overflown |= verify->log.size >= LOG_MOST * sizeof(told) ||
                             buffer_append(&verify->log, &told, sizeof(told)) != JSFS_OK;
        verify->known_last = told.known;
    }
    if (!verify->waiting || sequence < verify->last_sequence)
        return;
    compare_locked(bucket);
    end_log(verify);
}

/* See above: a key may have an older newest message now. */
static bool has_lost_messages(struct bucket *bucket, const struct js_stream_info *info)
{
    struct bucket_verify *verify = &bucket->verify;
    uint64_t missing = info->last_sequence + 1 - info->first_sequence - info->messages;
    bool lost = verify->asked_before && verify->last_asked == info->last_sequence &&
                missing > verify->missing && !info->deny_delete &&
                !info->allow_message_ttl && info->max_messages_per_subject != 1;

    verify->asked_before = true;
    verify->last_asked = info->last_sequence;
    verify->missing = missing;
    return lost;
}

void bucket_verify_info_locked(struct bucket *bucket, const struct js_stream_info *info)
{
    struct bucket_verify *verify = &bucket->verify;
    bool still = bucket->events == verify->events;

    verify->events = bucket->events;
    if (has_lost_messages(bucket, info)) {
        jsfs_debug("messages were removed bucket=%s", bucket->name);
        bucket_restart_locked(bucket);
        return;
    }
    if ((verify->waiting && !still) || (info->subjects == 0 && info->messages > 0))
        return;
    verify->last_sequence = info->last_sequence;
    verify->subjects = info->subjects;
    verify->waiting = bucket->seen < info->last_sequence && !still;
    if (verify->waiting)
        return;
    compare_locked(bucket);
    end_log(verify);
}
