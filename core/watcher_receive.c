/* SPDX-License-Identifier: Apache-2.0 */
/* watcher_receive.c - what a consumer delivers: stored messages, heartbeats, flow control; and
 * when a list is complete.
 * Layer 3.
 */
#include "core/clock.h"
#include "core/delivery.h"
#include "core/js_api_walk.h"
#include "core/log.h"
#include "core/watcher_private.h"
#include <stdlib.h>
#include <string.h>

enum { SETTLE_MS = 1000, ASK_INTERVAL_MS = 20 };

static const char *header_of(natsMsg *msg, const char *name)
{
    const char *value = NULL;

    return natsMsgHeader_Get(msg, name, &value) == NATS_OK ? value : NULL;
}

/* Ask the stream whether all of it has been told: nothing was stored behind our last message, or
 * nothing since it was last asked. Without an answer: not yet. */
static bool confirm(struct watcher *watcher, struct consumer *consumer)
{
    struct js_stream_info info;

    if (watcher_ask_info(watcher, consumer->link_changes, &info) != JSFS_OK)
        return false;
    bool unchanged =
        info.last_sequence == consumer->stream_last && consumer->pending == 0;
    consumer->stream_last = info.last_sequence;
    if (consumer->closing_last == 0)
        consumer->closing_last = info.last_sequence;
    return unchanged || info.last_sequence <= watcher->last_sequence;
}

static bool is_passed(const struct watcher *watcher, const struct consumer *consumer)
{
    return watcher->last_sequence >= consumer->stream_last;
}

static bool is_counted(const struct consumer *consumer)
{
    return consumer->pending == 0 && consumer->received >= consumer->expected;
}

/* See watcher.h: when a list is complete. Pending 0 alone is wrong while keys are rewritten: a key
 * that was not told yet has moved behind what pending counted. */
static bool is_complete(struct watcher *watcher, struct consumer *consumer)
{
    bool passed = is_passed(watcher, consumer);
    bool counted = is_counted(consumer);

    if (!passed && !counted && consumer->closing_ms == 0)
        return false;
    if (!consumer->full)
        return passed || counted;

    int64_t now_ms = clock_monotonic_ms();
    if (consumer->closing_ms == 0)
        consumer->closing_ms = consumer->heard_ms = now_ms;
    /* The stream's end moves on as fast as we do where others write all the time; where it was
     * when the list first claimed to be complete does not. */
    bool caught_up = consumer->closing_last > 0 &&
                     watcher->last_sequence >= consumer->closing_last;
    if (now_ms - consumer->closing_ms >= SETTLE_MS &&
        (passed || consumer->pending == 0 || caught_up))
        return true;
    if (now_ms - consumer->asked_ms < ASK_INTERVAL_MS)
        return false;
    consumer->asked_ms = now_ms;
    return confirm(watcher, consumer);
}

static void tell_message(struct watcher *watcher, natsMsg *msg,
                         const struct delivery *delivery)
{
    struct watcher_message message = {
        .subject = natsMsg_GetSubject(msg),
        .sequence = delivery->stream_sequence,
        .time_ns = delivery->time_ns,
        .data = natsMsg_GetData(msg),
        .size = (size_t)natsMsg_GetDataLength(msg),
        .operation = header_of(msg, "KV-Operation"),
        .marker = header_of(msg, "Nats-Marker-Reason"),
        .message_id = header_of(msg, "Nats-Msg-Id"),
        .ttl = header_of(msg, "Nats-TTL"),
    };

    message.stored_bytes = watcher->headers_only ? js_api_stored_size(msg) : message.size;
    watcher->events.message(watcher->arg, &message);
}

static enum verdict take_message(struct watcher *watcher, struct consumer *consumer,
                                 natsMsg *msg, const struct delivery *delivery)
{
    if (delivery->consumer_sequence != consumer->delivered + 1)
        return LOST;
    consumer->delivered++;
    consumer->pending = delivery->pending;

    /* While keys are rewritten, nats-server 2.9 sends a message again in place of one that is
     * gone: it is told, and counted, once. */
    if (delivery->stream_sequence != watcher->last_sequence) {
        consumer->received++;
        if (delivery->stream_sequence > watcher->last_sequence)
            watcher->last_sequence = delivery->stream_sequence;
        tell_message(watcher, msg, delivery);
    }
    if (consumer->listing && is_complete(watcher, consumer))
        watcher_set_live(watcher, consumer);
    return GO_ON;
}

static enum verdict take_heartbeat(struct watcher *watcher, struct consumer *consumer,
                                   natsMsg *msg)
{
    const char *stalled = header_of(msg, "Nats-Consumer-Stalled");
    const char *last = header_of(msg, "Nats-Last-Consumer");
    uint64_t sent = last != NULL ? strtoull(last, NULL, 10) : consumer->delivered;

    if (stalled != NULL)
        natsConnection_Publish(connection_nats(watcher->connection, CONNECTION_CONTROL),
                               stalled, NULL, 0);
    if (sent > consumer->delivered)
        return LOST;
    if (!consumer->listing || last == NULL || stalled != NULL ||
        sent != consumer->delivered)
        return GO_ON;

    /* It rests: the list is over, or the server stopped short of it, as 2.9 does when subjects
     * are purged meanwhile. */
    if (!is_passed(watcher, consumer) && !is_counted(consumer))
        return STALLED;
    watcher_set_live(watcher, consumer);
    return GO_ON;
}

/* What is no stored message: a heartbeat, a flow control request (answered now, when all before
 * it was processed), or the news that the consumer ended. */
static enum verdict take_status(struct watcher *watcher, struct consumer *consumer,
                                natsMsg *msg)
{
    const char *status = header_of(msg, "Status");
    const char *reply = natsMsg_GetReply(msg);

    if (status == NULL)
        return GO_ON;
    if (strcmp(status, "100") != 0) {
        const char *text = header_of(msg, "Description");
        jsfs_debug("watch stream=%s consumer=%s status=%s text=\"%s\"", watcher->stream,
                   consumer->name, status, text != NULL ? text : "");
        return LOST;
    }
    if (reply == NULL)
        return take_heartbeat(watcher, consumer, msg);
    natsConnection_Publish(connection_nats(watcher->connection, CONNECTION_CONTROL),
                           reply, NULL, 0);
    return GO_ON;
}

static void run_tasks(struct watcher *watcher)
{
    pthread_mutex_lock(&watcher->lock);
    struct task *tasks = watcher->tasks;
    watcher->tasks = NULL;
    watcher->last_task = &watcher->tasks;
    pthread_mutex_unlock(&watcher->lock);

    for (struct task *task = tasks, *next = NULL; task != NULL; task = next) {
        next = task->next;
        task->run(task->arg);
        free(task);
    }
}

/* No message came in time.
 * A closing list waits in small steps, to ask the stream again.
 */
static enum verdict take_silence(struct watcher *watcher, struct consumer *consumer)
{
    if (!consumer->listing)
        return LOST;
    if (consumer->closing_ms > 0 &&
        clock_monotonic_ms() - consumer->heard_ms < WATCHER_SILENCE_MS) {
        if (is_complete(watcher, consumer))
            watcher_set_live(watcher, consumer);
        return GO_ON;
    }
    watcher->events.failed(watcher->arg, JSFS_TIMEOUT);
    return FAILED;
}

static enum verdict take(struct watcher *watcher, struct consumer *consumer, natsMsg *msg)
{
    struct delivery delivery;

    if (consumer->closing_ms > 0 && consumer->listing)
        consumer->heard_ms = clock_monotonic_ms();
    return delivery_parse(natsMsg_GetReply(msg), &delivery)
               ? take_message(watcher, consumer, msg, &delivery)
               : take_status(watcher, consumer, msg);
}

enum verdict watcher_receive(struct watcher *watcher, struct consumer *consumer)
{
    enum verdict verdict = GO_ON;

    if (consumer->expected == 0 && is_complete(watcher, consumer))
        watcher_set_live(watcher, consumer);
    while (verdict == GO_ON && watcher_is_undisturbed(watcher, consumer->link_changes)) {
        bool closing = consumer->listing && consumer->closing_ms > 0;
        natsMsg *msg = NULL;

        run_tasks(watcher);
        natsStatus status = natsSubscription_NextMsg(
            &msg, consumer->subscription, closing ? ASK_INTERVAL_MS : WATCHER_SILENCE_MS);
        if (status == NATS_TIMEOUT)
            verdict = take_silence(watcher, consumer);
        else if (status != NATS_OK)
            verdict = LOST;
        else
            verdict = take(watcher, consumer, msg);
        natsMsg_Destroy(msg);
    }
    return verdict == GO_ON ? LOST : verdict;
}
