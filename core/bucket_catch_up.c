/* SPDX-License-Identifier: Apache-2.0 */
/* bucket_catch_up.c - wait until the tree shows all that the server has now.
 * Layer 4, a part of bucket.h. The watch may be behind: what counts is whether the stream has a
 * message of a name behind the last one that was told, up to the stream's last one at the start.
 */
#include "core/bucket_state.h"
#include "core/cleanup.h"
#include "core/clock.h"

#define LOOK_AGAIN_MS 5
#define ASK_AGAIN_MS 100 /* what was behind may be purged before it is told */

struct chase {
    struct bucket *bucket; /* a reference */
    store_done *done;
    void *arg;
    int64_t give_up_ms;
    uint64_t until; /* the stream's last sequence when it began */
    uint64_t seen;  /* what had been told when it was asked what is behind that */
    int64_t asked_ms;
};

static void end(struct chase *chase, enum jsfs_status status)
{
    chase->done(chase->arg, status);
    bucket_unref(chase->bucket);
    free(chase);
}

static void look(void *arg);

static void look_soon(void *arg)
{
    struct chase *chase = arg;

    executor_run(chase->bucket->executor, look, chase);
}

static void drop(void *arg)
{
    end(arg, JSFS_INTERRUPTED);
}

static void wait_a_moment(struct chase *chase)
{
    if (clock_monotonic_ms() >= chase->give_up_ms)
        end(chase, JSFS_TIMEOUT);
    else
        executor_after(chase->bucket->executor, LOOK_AGAIN_MS, look_soon, drop, chase);
}

static void got_next(void *arg, enum jsfs_status status, uint64_t sequence)
{
    struct chase *chase = arg;

    if (status == JSFS_NOT_FOUND || (status == JSFS_OK && sequence > chase->until))
        end(chase, JSFS_OK);
    else if (status == JSFS_OK)
        wait_a_moment(chase);
    else
        end(chase, status);
}

static enum jsfs_status state_of(struct bucket *bucket, uint64_t *seen)
{
    SCOPED_LOCK(&bucket->lock);

    *seen = bucket->seen;
    if (bucket->stopped)
        return JSFS_INTERRUPTED;
    if (bucket->state == BUCKET_GONE)
        return JSFS_STALE;
    return bucket->state == BUCKET_LIVE ? JSFS_OK : JSFS_UNAVAILABLE;
}

/* On the executor, or a delivery thread. */
static void look(void *arg)
{
    struct chase *chase = arg;
    struct bucket *bucket = chase->bucket;
    uint64_t seen;
    enum jsfs_status status = state_of(bucket, &seen);

    if (status != JSFS_OK || seen >= chase->until) {
        end(chase, status);
    } else if (seen == chase->seen && clock_monotonic_ms() < chase->asked_ms + ASK_AGAIN_MS) {
        wait_a_moment(chase);
    } else {
        chase->seen = seen;
        chase->asked_ms = clock_monotonic_ms();
        bucket->store->ops->next(bucket->store, seen + 1, got_next, chase);
    }
}

static void got_info(void *arg, enum jsfs_status status, const struct js_stream_info *info)
{
    struct chase *chase = arg;

    if (status != JSFS_OK) {
        end(chase, status);
        return;
    }
    chase->until = info->last_sequence;
    look(chase);
}

static void listed(void *arg, enum jsfs_status status)
{
    struct chase *chase = arg;

    if (status == JSFS_OK)
        chase->bucket->store->ops->info(chase->bucket->store, got_info, chase);
    else
        end(chase, status);
}

void bucket_catch_up(struct bucket *bucket, store_done *done, void *arg)
{
    struct chase *chase = calloc(1, sizeof(*chase));

    if (chase == NULL) {
        done(arg, JSFS_NO_MEMORY);
        return;
    }
    *chase = (struct chase){.bucket = bucket_ref(bucket),
                            .done = done,
                            .arg = arg,
                            .give_up_ms = clock_monotonic_ms() + bucket->options.load_timeout_ms,
                            .seen = UINT64_MAX};
    bucket_wait_listed(bucket, listed, chase);
}
