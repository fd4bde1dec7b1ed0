/* SPDX-License-Identifier: Apache-2.0 */
/* fake_store_watch.c - the one watch of the fake: a queue of events and who delivers them.
 * Test support. Whoever puts events into the queue delivers them, unless another thread is
 * already doing so: then that one does. So events come one at a time and in order.
 */
#include "tests/support/fake_store_private.h"
#include "core/cleanup.h"
#include <string.h>

void fake_event_push_locked(struct fake_store *fake, enum fake_event_type type, bool full,
                            enum jsfs_status status, const struct fake_message *message)
{
    struct fake_event *event;

    if (fake->events == NULL)
        return;
    event = calloc(1, sizeof(*event));
    if (event == NULL)
        abort();
    event->type = type;
    event->full = full;
    event->status = status;
    if (message != NULL) {
        event->name = strdup(message->name);
        event->entry = message->entry;
        if (message->entry.sequence > fake->told)
            fake->told = message->entry.sequence;
    }
    if (fake->queue == NULL)
        fake->queue = event;
    else
        fake->queue_last->next = event;
    fake->queue_last = event;
}

static void deliver_one(const struct store_watch_events *events, void *arg,
                        const struct fake_event *event)
{
    switch (event->type) {
    case EVENT_BEGIN: events->begin(arg, event->full); break;
    case EVENT_ENTRY: events->entry(arg, event->name, &event->entry); break;
    case EVENT_LIVE: events->live(arg); break;
    case EVENT_LOST: events->lost(arg); break;
    case EVENT_FAILED: events->failed(arg, event->status); break;
    case EVENT_GONE: events->gone(arg); break;
    }
}

static void event_free(struct fake_event *event)
{
    free(event->name);
    free(event);
}

void fake_events_deliver(struct fake_store *fake, bool one)
{
    pthread_mutex_lock(&fake->lock);
    while (!fake->delivering && fake->queue != NULL &&
           (one || !fake->holding[FAKE_EVENTS])) {
        struct fake_event *event = fake->queue;
        const struct store_watch_events *events = fake->events;
        void *arg = fake->events_arg;

        fake->queue = event->next;
        fake->delivering = true;
        fake->deliverer = pthread_self();
        pthread_mutex_unlock(&fake->lock);
        deliver_one(events, arg, event);
        event_free(event);
        pthread_mutex_lock(&fake->lock);
        fake->delivering = false;
        pthread_cond_broadcast(&fake->idle);
        if (one)
            break;
    }
    pthread_mutex_unlock(&fake->lock);
}

void fake_events_clear_locked(struct fake_store *fake)
{
    while (fake->queue != NULL) {
        struct fake_event *event = fake->queue;

        fake->queue = event->next;
        event_free(event);
    }
}

/* begin, the newest messages behind `after`, live. */
static void push_list_locked(struct fake_store *fake, bool full, uint64_t after)
{
    fake_event_push_locked(fake, EVENT_BEGIN, full, JSFS_OK, NULL);
    for (size_t i = after; i < fake->count; i++) {
        struct fake_message *message = fake->messages[i];

        if (message->kind == FAKE_NAME &&
            fake_newest_locked(fake, message->name) == message)
            fake_event_push_locked(fake, EVENT_ENTRY, false, JSFS_OK, message);
    }
    fake_event_push_locked(fake, EVENT_LIVE, false, JSFS_OK, NULL);
    fake->telling = true;
}

void fake_watch(struct store *store, const struct store_watch_events *events, void *arg)
{
    struct fake_store *fake = (struct fake_store *)store;

    pthread_mutex_lock(&fake->lock);
    fake->calls[FAKE_WATCH]++;
    if (fake->events != NULL)
        abort(); /* one watch at a time */
    fake->events = events;
    fake->events_arg = arg;
    if (fake->vanished)
        fake_event_push_locked(fake, EVENT_GONE, false, JSFS_OK, NULL);
    else if (!fake->manual)
        push_list_locked(fake, true, 0);
    pthread_mutex_unlock(&fake->lock);
    fake_events_deliver(fake, false);
}

void fake_unwatch(struct store *store)
{
    struct fake_store *fake = (struct fake_store *)store;
    SCOPED_LOCK(&fake->lock);

    fake->calls[FAKE_UNWATCH]++;
    fake_events_clear_locked(fake);
    while (fake->delivering) {
        if (pthread_equal(fake->deliverer, pthread_self()))
            abort(); /* not to be called from an event */
        pthread_cond_wait(&fake->idle, &fake->lock);
    }
    fake_events_clear_locked(fake);
    fake->events = NULL;
    fake->telling = false;
}

void fake_store_manual(struct fake_store *fake)
{
    SCOPED_LOCK(&fake->lock);
    fake->manual = true;
}

bool fake_store_is_watched(struct fake_store *fake)
{
    SCOPED_LOCK(&fake->lock);
    return fake->events != NULL;
}

bool fake_store_is_quiet(struct fake_store *fake)
{
    SCOPED_LOCK(&fake->lock);
    return !fake->delivering && (fake->queue == NULL || fake->holding[FAKE_EVENTS]);
}

static void push(struct fake_store *fake, enum fake_event_type type, bool full,
                 enum jsfs_status status)
{
    pthread_mutex_lock(&fake->lock);
    if (type == EVENT_LIVE)
        fake->telling = true;
    if (type == EVENT_LOST || type == EVENT_GONE)
        fake->telling = false;
    fake_event_push_locked(fake, type, full, status, NULL);
    pthread_mutex_unlock(&fake->lock);
    fake_events_deliver(fake, false);
}

void fake_store_begin(struct fake_store *fake, bool full)
{
    push(fake, EVENT_BEGIN, full, JSFS_OK);
}

void fake_store_tell(struct fake_store *fake, const char *name)
{
    pthread_mutex_lock(&fake->lock);
    struct fake_message *message = fake_newest_locked(fake, name);

    if (message != NULL)
        fake_event_push_locked(fake, EVENT_ENTRY, false, JSFS_OK, message);
    pthread_mutex_unlock(&fake->lock);
    fake_events_deliver(fake, false);
}

void fake_store_tell_entry(struct fake_store *fake, const char *name,
                           const struct store_entry *entry)
{
    struct fake_message message = {.name = (char *)name, .entry = *entry};

    pthread_mutex_lock(&fake->lock);
    fake_event_push_locked(fake, EVENT_ENTRY, false, JSFS_OK, &message);
    pthread_mutex_unlock(&fake->lock);
    fake_events_deliver(fake, false);
}

void fake_store_live(struct fake_store *fake)
{
    push(fake, EVENT_LIVE, false, JSFS_OK);
}

void fake_store_lost(struct fake_store *fake)
{
    push(fake, EVENT_LOST, false, JSFS_OK);
}

void fake_store_resume(struct fake_store *fake, bool full)
{
    pthread_mutex_lock(&fake->lock);
    push_list_locked(fake, full, full ? 0 : (size_t)fake->told);
    pthread_mutex_unlock(&fake->lock);
    fake_events_deliver(fake, false);
}

void fake_store_list_failed(struct fake_store *fake, enum jsfs_status status)
{
    push(fake, EVENT_FAILED, false, status);
}

void fake_store_vanish(struct fake_store *fake, bool tell)
{
    pthread_mutex_lock(&fake->lock);
    fake->vanished = true;
    fake->telling = false;
    pthread_mutex_unlock(&fake->lock);
    if (tell)
        push(fake, EVENT_GONE, false, JSFS_OK);
}
