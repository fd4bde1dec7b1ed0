/* SPDX-License-Identifier: Apache-2.0 */
/* watcher.c - the thread that keeps one ordered consumer alive and tells what it delivers.
 * Layer 3. The thread alone calls events; what it waits for (an answer, the connection, a
 * message) ends at once when the watcher is stopped or the connection is lost.
 */
#include "core/watcher_private.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/js_api.h"
#include "core/log.h"
#include "core/status_fold.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BACKOFF_FIRST_MS = 100, BACKOFF_LAST_MS = 2000 };

void watcher_unref(struct watcher *watcher)
{
    pthread_mutex_lock(&watcher->lock);
    bool last = --watcher->references == 0;
    pthread_mutex_unlock(&watcher->lock);
    if (!last)
        return;
    pthread_cond_destroy(&watcher->changed);
    pthread_mutex_destroy(&watcher->lock);
    free(watcher->stream);
    free(watcher->filter);
    free(watcher);
}

/* End the thread's wait for a message. */
static void wake(struct watcher *watcher)
{
    pthread_mutex_lock(&watcher->lock);
    natsSubscription *subscription = watcher->subscription;
    if (subscription != NULL)
        watcher->wakers++;
    pthread_cond_broadcast(&watcher->changed);
    pthread_mutex_unlock(&watcher->lock);
    if (subscription == NULL)
        return;

    natsSubscription_Unsubscribe(subscription);
    SCOPED_LOCK(&watcher->lock);
    watcher->wakers--;
    pthread_cond_broadcast(&watcher->changed);
}

static void note_link(void *arg, bool up)
{
    struct watcher *watcher = arg;

    pthread_mutex_lock(&watcher->lock);
    watcher->up = up;
    watcher->link_changes++;
    pthread_mutex_unlock(&watcher->lock);
    wake(watcher);
}

bool watcher_is_undisturbed(struct watcher *watcher, unsigned link_changes)
{
    SCOPED_LOCK(&watcher->lock);
    return !watcher->stopping && watcher->link_changes == link_changes;
}

/* Subscribe before the consumer exists: its first messages can come before the answer. */
static enum jsfs_status subscribe(struct watcher *watcher, struct consumer *consumer)
{
    natsConnection *nats = connection_nats(watcher->connection, CONNECTION_CONTROL);
    char nuid[NUID_SIZE];

    nuid_next(nuid);
    snprintf(consumer->name, sizeof(consumer->name), "jsfs-%s", nuid);
    natsStatus status = natsInbox_Create(&consumer->inbox);
    if (status == NATS_OK)
        status = natsConnection_SubscribeSync(&consumer->subscription, nats,
                                              (const char *)consumer->inbox);
    if (status == NATS_OK)
        status = natsSubscription_SetPendingLimits(consumer->subscription, -1, -1);
    if (status != NATS_OK)
        return status_fold_nats(status);

    SCOPED_LOCK(&watcher->lock);
    watcher->subscription = consumer->subscription;
    return JSFS_OK;
}

/* Is it still the stream that was watched, with what it had? */
static bool is_same(const struct watcher *watcher, const struct js_stream_info *info)
{
    return info->created_ns == watcher->created_ns &&
           info->last_sequence >= watcher->last_sequence;
}

/* Few older messages cost less to send than the search for the last ones, for which the server
 * locks the stream: 1 to 3 s for a million subjects, while nobody reads from it. */
static bool is_mostly_single(const struct js_stream_info *info)
{
    return info->messages <= info->subjects + info->subjects / 2;
}

/* Decide where the consumer begins: behind what was told, or with a full list. Of a list that
 * stalled only the rest is missing; what vanished from it is not told, as it should be. */
static void choose_start(struct watcher *watcher, struct consumer *consumer,
                         const struct js_stream_info *info)
{
    bool goes_on = consumer->begun && is_same(watcher, info);
    bool resumes = watcher->listed && is_same(watcher, info) &&
                   info->first_sequence <= watcher->last_sequence + 1;

    consumer->begun = goes_on;
    consumer->full = goes_on || !resumes;
    consumer->from_start = !goes_on && !resumes;
    consumer->all = watcher->one_each || is_mostly_single(info);
    consumer->stream_last = info->last_sequence;
}

void watcher_set_live(struct watcher *watcher, struct consumer *consumer)
{
    consumer->listing = false;
    watcher->listed = true;
    watcher->failures = 0;
    watcher->events.live(watcher->arg);
}

static enum verdict open_consumer(struct watcher *watcher, struct consumer *consumer)
{
    struct js_stream_info info;
    enum jsfs_status status = watcher_ask_info(watcher, consumer->link_changes, &info);

    if (status == JSFS_NOT_FOUND)
        return GONE;
    if (status == JSFS_OK) {
        choose_start(watcher, consumer, &info);
        status = subscribe(watcher, consumer);
    }
    if (status == JSFS_OK)
        status = watcher_ask_consumer(watcher, consumer);
    if (status == JSFS_DENIED && watcher->whole) {
        /* The user may be allowed to make only consumers with the filter in the subject. */
        watcher->whole = false;
        status = watcher_ask_consumer(watcher, consumer);
    }
    if (status == JSFS_INTERRUPTED)
        return LOST;
    if (status != JSFS_OK) {
        watcher->events.failed(watcher->arg, status);
        return FAILED;
    }

    if (consumer->from_start) {
        watcher->listed = false;
        watcher->last_sequence = 0;
        watcher->created_ns = info.created_ns;
    }
    if (!consumer->begun)
        watcher->events.begin(watcher->arg, consumer->full);
    consumer->begun = consumer->listing = true;
    return GO_ON;
}

static void close_consumer(struct watcher *watcher, struct consumer *consumer)
{
    pthread_mutex_lock(&watcher->lock);
    watcher->subscription = NULL;
    while (watcher->wakers > 0)
        pthread_cond_wait(&watcher->changed, &watcher->lock);
    bool up = watcher->up;
    pthread_mutex_unlock(&watcher->lock);

    if (consumer->subscription != NULL && up)
        js_api_consumer_delete(watcher->connection, watcher->stream, consumer->name);
    natsSubscription_Destroy(consumer->subscription);
    natsInbox_Destroy(consumer->inbox);
}

static bool is_stopping(struct watcher *watcher)
{
    SCOPED_LOCK(&watcher->lock);
    return watcher->stopping;
}

static enum verdict watch_once(struct watcher *watcher, unsigned link_changes)
{
    struct consumer consumer = {.link_changes = link_changes, .begun = watcher->stalled};
    enum verdict verdict = open_consumer(watcher, &consumer);

    if (verdict == GO_ON)
        verdict = watcher_receive(watcher, &consumer);
    close_consumer(watcher, &consumer);
    watcher->stalled = verdict == STALLED;
    jsfs_debug("watch ended stream=%s consumer=%s received=%" PRIu64
               " last_sequence=%" PRIu64,
               watcher->stream, consumer.name, consumer.received, watcher->last_sequence);
    if (verdict == LOST && consumer.begun && !is_stopping(watcher))
        watcher->events.lost(watcher->arg);
    if (verdict == GONE)
        watcher->events.gone(watcher->arg);
    return verdict;
}

/* Wait for the connection.
 *   returns false: the watcher is to end
 */
static bool wait_until_up(struct watcher *watcher, unsigned *link_changes)
{
    SCOPED_LOCK(&watcher->lock);
    while (!watcher->stopping && !watcher->up) {
        if (watcher->told_down) {
            pthread_cond_wait(&watcher->changed, &watcher->lock);
            continue;
        }
        watcher->told_down = true;
        pthread_mutex_unlock(&watcher->lock);
        watcher->events.failed(watcher->arg, JSFS_UNAVAILABLE);
        pthread_mutex_lock(&watcher->lock);
    }
    watcher->told_down = false;
    *link_changes = watcher->link_changes;
    return !watcher->stopping;
}

/* The first new attempt comes at once, the others later and later; a change of the connection
 * ends the wait. */
static void back_off(struct watcher *watcher, unsigned link_changes)
{
    int64_t delay_ms = BACKOFF_FIRST_MS;

    if (watcher->failures++ == 0)
        return;
    for (unsigned i = 2; i < watcher->failures && delay_ms < BACKOFF_LAST_MS; i++)
        delay_ms *= 2;
    struct timespec deadline =
        clock_deadline(delay_ms < BACKOFF_LAST_MS ? delay_ms : BACKOFF_LAST_MS);

    SCOPED_LOCK(&watcher->lock);
    while (!watcher->stopping && watcher->link_changes == link_changes)
        if (pthread_cond_timedwait(&watcher->changed, &watcher->lock, &deadline) != 0)
            return;
}

static void *run(void *arg)
{
    struct watcher *watcher = arg;
    unsigned link_changes = 0;

    while (wait_until_up(watcher, &link_changes)) {
        enum verdict verdict = watch_once(watcher, link_changes);
        if (verdict == GONE)
            break;
        if (verdict != STALLED)
            back_off(watcher, link_changes);
    }
    nats_ReleaseThreadMemory();
    return NULL;
}

static struct watcher *new_watcher(struct connection *connection,
                                   const struct watcher_options *options)
{
    struct watcher *watcher = calloc(1, sizeof(*watcher));
    pthread_condattr_t monotonic;

    if (watcher == NULL)
        return NULL;
    pthread_mutex_init(&watcher->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&watcher->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    watcher->connection = connection;
    watcher->stream = strdup(options->stream);
    watcher->filter = strdup(options->filter);
    watcher->headers_only = options->headers_only;
    watcher->one_each = options->one_each;
    watcher->whole = options->whole;
    watcher->last_task = &watcher->tasks;
    watcher->references = 1;
    if (watcher->stream != NULL && watcher->filter != NULL)
        return watcher;
    watcher_unref(watcher);
    return NULL;
}

enum jsfs_status watcher_start(struct connection *connection,
                               const struct watcher_options *options,
                               const struct watcher_events *events, void *arg,
                               struct watcher **out)
{
    struct watcher *watcher = new_watcher(connection, options);

    if (watcher == NULL)
        return JSFS_NO_MEMORY;
    watcher->events = *events;
    watcher->arg = arg;
    watcher->observer =
        (struct connection_observer){.changed = note_link, .arg = watcher};
    connection_observe(connection, &watcher->observer);
    bool up = connection_is_up(connection);
    pthread_mutex_lock(&watcher->lock);
    if (watcher->link_changes == 0)
        watcher->up = up; /* else the observer knows better */
    pthread_mutex_unlock(&watcher->lock);

    if (pthread_create(&watcher->thread, NULL, run, watcher) != 0) {
        connection_unobserve(connection, &watcher->observer);
        watcher_unref(watcher);
        return JSFS_NO_MEMORY;
    }
    *out = watcher;
    return JSFS_OK;
}

bool watcher_post(struct watcher *watcher, void (*task)(void *arg),
                  void (*drop)(void *arg), void *arg)
{
    struct task *posted = malloc(sizeof(*posted));

    if (posted == NULL)
        return false;
    *posted = (struct task){NULL, task, drop, arg};
    SCOPED_LOCK(&watcher->lock);
    *watcher->last_task = posted;
    watcher->last_task = &posted->next;
    return true;
}

void watcher_stop(struct watcher *watcher)
{
    if (watcher == NULL)
        return;
    connection_unobserve(watcher->connection, &watcher->observer);
    pthread_mutex_lock(&watcher->lock);
    watcher->stopping = true;
    pthread_mutex_unlock(&watcher->lock);
    wake(watcher);
    pthread_join(watcher->thread, NULL);

    for (struct task *task = watcher->tasks, *next = NULL; task != NULL; task = next) {
        next = task->next;
        task->drop(task->arg);
        free(task);
    }
    watcher_unref(watcher);
}
