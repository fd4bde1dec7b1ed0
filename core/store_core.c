/* SPDX-License-Identifier: Apache-2.0 */
/* store_core.c - operations in flight, the watch and the stream's limits, for both stores.
 * Layer 3.
 */
#include "core/store_core.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/js_api.h"
#include <stdio.h>
#include <string.h>

enum { DEFAULT_MAX_PAYLOAD = 1048576, USUAL_DUPLICATE_WINDOW_MS = 120000, NS_PER_MS = 1000000 };
enum { BUSY_MESSAGES = 256, BUSY_MS = 50 }; /* so many in less time are many */

void store_core_init(struct store_core *core, struct connection *connection,
                     const struct js_stream_info *info, const char *kind_prefix,
                     const char *subject_prefix)
{
    bool mirror = info->mirror[0] != '\0';
    const char *origin = mirror ? info->mirror : info->name;

    snprintf(core->origin, sizeof(core->origin), "%s", origin);
    if (strncmp(origin, kind_prefix, strlen(kind_prefix)) == 0)
        origin += strlen(kind_prefix);
    core->connection = connection;
    snprintf(core->stream, sizeof(core->stream), "%s", info->name);
    snprintf(core->prefix, sizeof(core->prefix), "%s%s.", subject_prefix, origin);
    memcpy(core->origin_api, info->mirror_api, sizeof(core->origin_api));
    memcpy(core->sources, info->sources, sizeof(core->sources));
    core->mirror = mirror;
    core->read_only = mirror || !info->has_subjects;
    store_core_take_info(core, info);
    own_writes_init(&core->own_writes);
    pthread_mutex_init(&core->lock, NULL);
    pthread_cond_init(&core->quiet, NULL);
    core->references = 1;
}

void store_core_take_info(struct store_core *core, const struct js_stream_info *info)
{
    atomic_store(&core->allow_direct, info->allow_direct);
    atomic_store(&core->allow_atomic, info->allow_atomic);
    atomic_store(&core->one_each, info->max_messages_per_subject == 1);
    atomic_store(&core->max_message_bytes, info->max_message_bytes);
    atomic_store(&core->heeds_ttl, info->allow_message_ttl);
    atomic_store(&core->duplicate_window_ms, info->duplicate_window_ns > 0
                                                 ? info->duplicate_window_ns / NS_PER_MS
                                                 : USUAL_DUPLICATE_WINDOW_MS);
}

/* Give back a reference; frees with the last one. Called without the lock. */
static void unref(struct store_core *core)
{
    pthread_mutex_lock(&core->lock);
    bool last = --core->references == 0;
    pthread_mutex_unlock(&core->lock);
    if (!last)
        return;
    own_writes_clear(&core->own_writes);
    pthread_cond_destroy(&core->quiet);
    pthread_mutex_destroy(&core->lock);
    core->destroy(core);
}

void store_core_close(struct store_core *core)
{
    store_core_unwatch(core);

    pthread_mutex_lock(&core->lock);
    core->closed = true;
    struct store_op *ended = core->ops;
    core->ops = NULL;
    for (struct store_op *op = ended; op != NULL; op = op->next)
        op->open = false;
    pthread_mutex_unlock(&core->lock);

    /* The list's references keep them; nobody links or unlinks what is not open. */
    for (struct store_op *op = ended, *next = NULL; op != NULL; op = next) {
        next = op->next;
        op->end(op, JSFS_INTERRUPTED);
        store_op_release(op);
    }

    pthread_mutex_lock(&core->lock);
    while (core->busy > 0)
        pthread_cond_wait(&core->quiet, &core->lock);
    pthread_mutex_unlock(&core->lock);
    unref(core);
}

size_t store_core_message_max(struct store_core *core)
{
    size_t max = connection_max_payload(core->connection);
    int64_t limit = atomic_load(&core->max_message_bytes);

    if (max == 0)
        max = DEFAULT_MAX_PAYLOAD;
    return limit >= 0 && (size_t)limit < max ? (size_t)limit : max;
}

bool store_op_start(struct store_core *core, struct store_op *op)
{
    op->core = core;
    op->references = 2;
    pthread_mutex_lock(&core->lock);
    core->references++;
    bool closed = core->closed;
    if (!closed) {
        op->open = true;
        op->next = core->ops;
        if (op->next != NULL)
            op->next->previous = op;
        core->ops = op;
        core->busy++;
    }
    pthread_mutex_unlock(&core->lock);
    if (!closed)
        return true;
    op->end(op, JSFS_INTERRUPTED);
    store_op_release(op);
    store_op_release(op);
    return false;
}

struct store_core *store_op_enter(struct store_op *op)
{
    struct store_core *core = op->core;

    pthread_mutex_lock(&core->lock);
    bool open = op->open;
    if (open)
        core->busy++;
    pthread_mutex_unlock(&core->lock);
    if (open)
        return core;
    store_op_release(op);
    return NULL;
}

void store_op_leave(struct store_core *core)
{
    SCOPED_LOCK(&core->lock);
    if (--core->busy == 0)
        pthread_cond_broadcast(&core->quiet);
}

bool store_op_is_open(struct store_op *op)
{
    SCOPED_LOCK(&op->core->lock);
    return op->open;
}

bool store_op_claim(struct store_op *op)
{
    struct store_core *core = op->core;

    SCOPED_LOCK(&core->lock);
    if (!op->open)
        return false;
    op->open = false;
    if (op->previous != NULL)
        op->previous->next = op->next;
    else
        core->ops = op->next;
    if (op->next != NULL)
        op->next->previous = op->previous;
    op->references--; /* the list's; the chain still has its own */
    return true;
}

void store_op_release(struct store_op *op)
{
    struct store_core *core = op->core;

    pthread_mutex_lock(&core->lock);
    bool last = --op->references == 0;
    pthread_mutex_unlock(&core->lock);
    if (!last)
        return;
    op->destroy(op);
    unref(core);
}

enum connection_link store_core_link(struct store_core *core)
{
    bool full = atomic_load(&core->listing) || atomic_load(&core->busy_watch);

    return full ? CONNECTION_FETCH : CONNECTION_CONTROL;
}

/* --- the watch: a watcher's events, passed on ------------------------------------------- */

static void pass_begin(void *arg, bool full)
{
    struct store_core *core = arg;

    atomic_store(&core->listing, full);
    if (core->begin != NULL)
        core->begin(core, full);
    core->events.begin(core->events_arg, full);
}

/* Look at the clock once in a while. */
static void note_load(struct store_core *core)
{
    int64_t now_ms;

    if (++core->told < BUSY_MESSAGES)
        return;
    now_ms = clock_monotonic_ms();
    atomic_store(&core->busy_watch, now_ms - core->told_ms < BUSY_MS);
    core->told = 0;
    core->told_ms = now_ms;
}

static void pass_message(void *arg, const struct watcher_message *message)
{
    struct store_core *core = arg;

    note_load(core);
    core->message(core, message);
}

static void pass_live(void *arg)
{
    struct store_core *core = arg;

    atomic_store(&core->listing, false);
    core->events.live(core->events_arg);
}

static void pass_lost(void *arg)
{
    struct store_core *core = arg;

    core->events.lost(core->events_arg);
}

static void pass_failed(void *arg, enum jsfs_status status)
{
    struct store_core *core = arg;

    core->events.failed(core->events_arg, status);
}

static void pass_gone(void *arg)
{
    struct store_core *core = arg;

    core->events.gone(core->events_arg);
}

void store_core_watch(struct store_core *core, bool whole,
                      const struct store_watch_events *events, void *arg)
{
    static const struct watcher_events passing = {pass_begin, pass_message, pass_live,
                                                  pass_lost,  pass_failed,  pass_gone};
    struct watcher_options options = {.stream = core->stream,
                                      .filter = core->filter,
                                      .headers_only = whole,
                                      .one_each = core->rolls_up || core->one_each,
                                      .whole = whole};
    struct watcher *watcher = NULL;

    core->events = *events;
    core->events_arg = arg;
    enum jsfs_status status =
        watcher_start(core->connection, &options, &passing, core, &watcher);
    if (status != JSFS_OK) {
        events->failed(arg, status);
        return;
    }
    SCOPED_LOCK(&core->lock);
    core->watcher = watcher;
}

void store_core_unwatch(struct store_core *core)
{
    pthread_mutex_lock(&core->lock);
    struct watcher *watcher = core->watcher;
    core->watcher = NULL;
    pthread_mutex_unlock(&core->lock);
    watcher_stop(watcher);
}

void store_core_post(struct store_core *core, void (*task)(void *arg),
                     void (*drop)(void *arg), void *arg)
{
    pthread_mutex_lock(&core->lock);
    bool posted = core->watcher != NULL && watcher_post(core->watcher, task, drop, arg);
    pthread_mutex_unlock(&core->lock);
    if (!posted)
        drop(arg);
}

/* --- STREAM.INFO ------------------------------------------------------------------------- */

struct info_op {
    struct store_op op;
    store_info_done *done;
    void *arg;
};

static void end_info(struct store_op *op, enum jsfs_status status)
{
    struct info_op *info = (struct info_op *)op;

    info->done(info->arg, status, NULL);
}

static void destroy_info(struct store_op *op)
{
    free(op);
}

static void got_info(void *arg, enum jsfs_status status,
                     const struct js_stream_info *stream)
{
    struct info_op *info = arg;
    struct store_core *core = store_op_enter(&info->op);

    if (core == NULL)
        return;
    if (status == JSFS_OK)
        store_core_take_info(core, stream);
    if (store_op_claim(&info->op))
        info->done(info->arg, status, status == JSFS_OK ? stream : NULL);
    store_op_release(&info->op);
    store_op_leave(core);
}

void store_core_info(struct store *store, store_info_done *done, void *arg)
{
    struct store_core *core = (struct store_core *)store;
    struct info_op *info = calloc(1, sizeof(*info));

    if (info == NULL) {
        done(arg, JSFS_NO_MEMORY, NULL);
        return;
    }
    info->op.end = end_info;
    info->op.destroy = destroy_info;
    info->done = done;
    info->arg = arg;
    if (!store_op_start(core, &info->op))
        return;
    js_api_stream_info_async(core->connection, core->stream, got_info, info);
    store_op_leave(core);
}
