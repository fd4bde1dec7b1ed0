/* SPDX-License-Identifier: Apache-2.0 */
/* late.c - see late.h. Layer 5.
 * One timer for all. A handle is in the list once, first come first served.
 */
#include "fs/late.h"

#include "core/cleanup.h"
#include "core/clock.h"
#include "fs/handle.h"

struct late {
    struct executor *executor;
    pthread_mutex_t lock;
    struct handle *first, **last; /* lock; linked by late_next */
    bool ticking;                 /* lock; the timer runs */
};

struct late *late_new(struct executor *executor)
{
    struct late *late = calloc(1, sizeof(*late));

    if (late == NULL)
        return NULL;
    late->executor = executor;
    late->last = &late->first;
    pthread_mutex_init(&late->lock, NULL);
    return late;
}

void late_free(struct late *late)
{
    if (late == NULL)
        return;
    pthread_mutex_destroy(&late->lock);
    free(late);
}

static void unlink_locked(struct late *late, struct handle **at)
{
    struct handle *handle = *at;

    *at = handle->late_next;
    if (late->last == &handle->late_next)
        late->last = at;
    handle->late_next = NULL;
    handle->late_ms = 0;
}

void late_forget(struct late *late, struct handle *handle)
{
    if (late == NULL)
        return;
    SCOPED_LOCK(&late->lock);
    for (struct handle **at = &late->first; *at != NULL; at = &(*at)->late_next) {
        if (*at == handle) {
            unlink_locked(late, at);
            return;
        }
    }
}

/* A failure stays in the handle's file; the close that is to come tells of it. */
static void committed(void *arg, enum jsfs_status status)
{
    (void)status;
    handle_unref(arg);
}

/* The next handle whose time has come, counted; NULL: none, and *wait_ms tells when to look
 * again, 0: no more. */
static struct handle *take_due(struct late *late, int64_t *wait_ms)
{
    SCOPED_LOCK(&late->lock);

    while (late->first != NULL && late->first->late_ms <= clock_monotonic_ms()) {
        struct handle *handle = late->first;
        unlink_locked(late, &late->first);
        if (handle_try_ref(handle))
            return handle;
    }
    *wait_ms = late->first != NULL ? late->first->late_ms - clock_monotonic_ms() + 1 : 0;
    late->ticking = late->first != NULL;
    return NULL;
}

static void tick(void *arg)
{
    struct late *late = arg;
    struct handle *handle;
    int64_t wait_ms;

    while ((handle = take_due(late, &wait_ms)) != NULL)
        handle_commit(handle, false, committed, handle);
    if (wait_ms > 0)
        executor_after(late->executor, wait_ms, tick, NULL, late);
}

void late_commit(struct late *late, struct handle *handle)
{
    pthread_mutex_lock(&late->lock);
    bool add = handle->late_ms == 0, start = add && !late->ticking;
    if (add) {
        handle->late_ms = clock_monotonic_ms() + LATE_MS;
        *late->last = handle;
        late->last = &handle->late_next;
        late->ticking = true;
    }
    pthread_mutex_unlock(&late->lock);
    if (start)
        executor_after(late->executor, LATE_MS, tick, NULL, late);
}
