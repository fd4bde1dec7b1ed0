/* SPDX-License-Identifier: Apache-2.0 */
/* js_api_walk.c - see js_api_walk.h. Layer 3. */
#include "core/js_api_walk.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/delivery.h"
#include "core/js_api.h"
#include "core/nuid.h"
#include "core/status_fold.h"
#include "core/stream_config.h"
#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLICE_MS = 100 };

/* One consumer and how far it has come. */
struct walk {
    const struct walk_request *request;
    natsConnection *nats;
    natsInbox *inbox;
    natsSubscription *subscription;
    char consumer[sizeof("jsfs-") + NUID_SIZE];
    uint64_t received; /* = the last consumer sequence */
    bool complete;
};

static enum jsfs_status open_walk(struct connection *connection, struct walk *walk)
{
    const struct walk_request *request = walk->request;
    char nuid[NUID_SIZE];
    uint64_t pending = 0;

    walk->nats = connection_nats(connection, CONNECTION_CONTROL);
    natsStatus nats = natsInbox_Create(&walk->inbox);
    if (nats == NATS_OK)
        nats = natsConnection_SubscribeSync(&walk->subscription, walk->nats,
                                            (const char *)walk->inbox);
    if (nats == NATS_OK)
        nats = natsSubscription_SetPendingLimits(walk->subscription, -1, -1);
    if (nats != NATS_OK)
        return status_fold_nats(nats);

    nuid_next(nuid);
    snprintf(walk->consumer, sizeof(walk->consumer), "jsfs-%s", nuid);
    CLEANUP(cleanup_free)
    char *config = stream_config_consumer(
        request->stream, walk->consumer, (const char *)walk->inbox, request->subject,
        STREAM_DELIVER_ALL, 0, true, request->heartbeat_ms);
    if (config == NULL)
        return JSFS_NO_MEMORY;
    return js_api_consumer_create(connection, request->stream, walk->consumer,
                                  request->subject, config, &pending);
}

static void close_walk(struct connection *connection, struct walk *walk)
{
    if (walk->consumer[0] != '\0')
        js_api_consumer_delete(connection, walk->request->stream, walk->consumer);
    natsSubscription_Destroy(walk->subscription);
    natsInbox_Destroy(walk->inbox);
}

uint64_t js_api_stored_size(natsMsg *msg)
{
    const char **values = NULL;
    int count = 0;

    if (natsMsgHeader_Values(msg, "Nats-Msg-Size", &values, &count) != NATS_OK)
        return 0;
    uint64_t size = strtoull(values[count - 1], NULL, 10);
    free((void *)values);
    return size;
}

static const char *header_of(natsMsg *msg, const char *name)
{
    const char *value = NULL;

    return natsMsgHeader_Get(msg, name, &value) == NATS_OK ? value : NULL;
}

static enum jsfs_status take_message(struct walk *walk, natsMsg *msg,
                                     const struct delivery *delivery)
{
    struct walk_message message = {
        .sequence = delivery->stream_sequence,
        .time_ns = delivery->time_ns,
        .size_bytes = js_api_stored_size(msg),
        .operation = header_of(msg, "KV-Operation"),
        .marker = header_of(msg, "Nats-Marker-Reason"),
    };

    if (delivery->consumer_sequence != walk->received + 1)
        return JSFS_BUSY;
    walk->received++;
    walk->complete = delivery->stream_sequence >= walk->request->last_sequence;
    return walk->request->message(walk->request->arg, &message);
}

/* JSFS_STALE: the server has sent all there is, and the last message was not among it. */
static enum jsfs_status take_status(struct walk *walk, natsMsg *msg)
{
    const char *reply = natsMsg_GetReply(msg);

    if (reply != NULL) {
        natsConnection_Publish(walk->nats, reply, NULL, 0);
        return JSFS_OK;
    }
    const char *stalled = header_of(msg, "Nats-Consumer-Stalled");
    if (stalled != NULL) {
        natsConnection_Publish(walk->nats, stalled, NULL, 0);
        return JSFS_OK;
    }
    const char *last = header_of(msg, "Nats-Last-Consumer");
    if (last == NULL)
        return JSFS_BUSY;
    return strtoull(last, NULL, 10) == walk->received ? JSFS_STALE : JSFS_BUSY;
}

static enum jsfs_status receive(struct connection *connection, struct walk *walk)
{
    int64_t timeout_ms = connection_timeout_ms(connection);
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    enum jsfs_status status = JSFS_OK;

    while (status == JSFS_OK && !walk->complete) {
        natsMsg *msg = NULL;
        struct delivery delivery;

        natsStatus nats = natsSubscription_NextMsg(&msg, walk->subscription, SLICE_MS);
        if (nats == NATS_TIMEOUT) {
            if (!walk->request->wanted(walk->request->arg))
                return JSFS_INTERRUPTED;
            if (clock_monotonic_ms() >= deadline_ms)
                return JSFS_TIMEOUT;
            continue;
        }
        if (nats != NATS_OK)
            return status_fold_nats(nats);
        deadline_ms = clock_monotonic_ms() + timeout_ms;
        status = delivery_parse(natsMsg_GetReply(msg), &delivery)
                     ? take_message(walk, msg, &delivery)
                     : take_status(walk, msg);
        natsMsg_Destroy(msg);
    }
    return status;
}

enum jsfs_status js_api_walk(struct connection *connection,
                             const struct walk_request *request)
{
    struct walk walk = {.request = request};
    enum jsfs_status status = open_walk(connection, &walk);

    if (status == JSFS_OK)
        status = receive(connection, &walk);
    close_walk(connection, &walk);
    return status;
}
