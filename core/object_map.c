/* SPDX-License-Identifier: Apache-2.0 */
/* object_map.c - every chunk message of an object, from a headers-only ordered consumer.
 * Layer 3, part of the object store.
 *
 * The leader is asked for the last chunk message first: the map is complete when it holds that
 * sequence, whatever the consumer's pending count says. The rest is a task of the executor that
 * ends when no message comes for the connection's timeout, or when the store is closed.
 */
#include "core/buffer.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/delivery.h"
#include "core/js_api.h"
#include "core/nuid.h"
#include "core/object_private.h"
#include "core/status_fold.h"
#include "core/stream_config.h"
#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ATTEMPTS = 3, HEARTBEAT_MS = 1000, SLICE_MS = 100 };

struct map_op {
    struct store_op op;
    store_map_done *done;
    void *arg;
    char *subject;
    uint64_t last_sequence; /* of the subject, as the leader says */
};

/* One consumer and what it delivered. */
struct walk {
    natsConnection *nats;
    natsInbox *inbox;
    natsSubscription *subscription;
    char consumer[sizeof("jsfs-") + NUID_SIZE];
    uint64_t received;    /* = the last consumer sequence */
    struct buffer chunks; /* struct store_chunk each */
    bool complete;
};

static void end_map(struct store_op *op, enum jsfs_status status)
{
    struct map_op *map = (struct map_op *)op;

    map->done(map->arg, status, NULL, 0);
}

static void destroy_map(struct store_op *op)
{
    struct map_op *map = (struct map_op *)op;

    free(map->subject);
    free(map);
}

/* chunks: read only with JSFS_OK. */
static void finish(struct map_op *map, enum jsfs_status status,
                   const struct buffer *chunks)
{
    size_t count = status == JSFS_OK ? chunks->size / sizeof(struct store_chunk) : 0;

    if (status == JSFS_OK && count == 0)
        status = JSFS_STALE;
    if (store_op_claim(&map->op))
        map->done(map->arg, status, count > 0 ? (const void *)chunks->data : NULL, count);
    store_op_release(&map->op);
}

static enum jsfs_status open_walk(struct store_core *core, const struct map_op *map,
                                  struct walk *walk)
{
    char nuid[NUID_SIZE];
    uint64_t pending = 0;

    walk->nats = connection_nats(core->connection, CONNECTION_CONTROL);
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
    char *config =
        stream_config_consumer(core->stream, walk->consumer, (const char *)walk->inbox,
                               map->subject, STREAM_DELIVER_ALL, 0, true, HEARTBEAT_MS);
    if (config == NULL)
        return JSFS_NO_MEMORY;
    return js_api_consumer_create(core->connection, core->stream, walk->consumer,
                                  map->subject, config, &pending);
}

static void close_walk(struct store_core *core, struct walk *walk)
{
    if (walk->consumer[0] != '\0')
        js_api_consumer_delete(core->connection, core->stream, walk->consumer);
    natsSubscription_Destroy(walk->subscription);
    natsInbox_Destroy(walk->inbox);
}

/* The last Nats-Msg-Size: the server appends its own. */
static uint32_t size_of(natsMsg *msg)
{
    const char **values = NULL;
    int count = 0;

    if (natsMsgHeader_Values(msg, "Nats-Msg-Size", &values, &count) != NATS_OK)
        return 0;
    uint32_t size = (uint32_t)strtoul(values[count - 1], NULL, 10);
    free((void *)values);
    return size;
}

/* A chunk message, with bytes or empty. JSFS_BUSY: one before it was lost, walk again. */
static enum jsfs_status take_chunk(const struct map_op *map, struct walk *walk,
                                   natsMsg *msg, const struct delivery *delivery)
{
    struct store_chunk chunk;

    if (delivery->consumer_sequence != walk->received + 1)
        return JSFS_BUSY;
    walk->received++;
    walk->complete = delivery->stream_sequence >= map->last_sequence;
    memset(&chunk, 0, sizeof(chunk)); /* its padding too */
    chunk.sequence = delivery->stream_sequence;
    chunk.size_bytes = size_of(msg);
    return chunk.size_bytes > 0 ? buffer_append(&walk->chunks, &chunk, sizeof(chunk))
                                : JSFS_OK;
}

/* JSFS_STALE: the server has sent all there is, and the last chunk was not among it. */
static enum jsfs_status take_status(struct walk *walk, natsMsg *msg)
{
    const char *reply = natsMsg_GetReply(msg);
    const char *last = NULL, *stalled = NULL;

    if (reply != NULL) {
        natsConnection_Publish(walk->nats, reply, NULL, 0);
        return JSFS_OK;
    }
    if (natsMsgHeader_Get(msg, "Nats-Consumer-Stalled", &stalled) == NATS_OK) {
        natsConnection_Publish(walk->nats, stalled, NULL, 0);
        return JSFS_OK;
    }
    if (natsMsgHeader_Get(msg, "Nats-Last-Consumer", &last) != NATS_OK)
        return JSFS_BUSY;
    return strtoull(last, NULL, 10) == walk->received ? JSFS_STALE : JSFS_BUSY;
}

static enum jsfs_status receive(struct store_core *core, struct map_op *map,
                                struct walk *walk)
{
    int64_t timeout_ms = connection_timeout_ms(core->connection);
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    enum jsfs_status status = JSFS_OK;

    while (status == JSFS_OK && !walk->complete) {
        natsMsg *msg = NULL;
        struct delivery delivery;

        natsStatus nats = natsSubscription_NextMsg(&msg, walk->subscription, SLICE_MS);
        if (nats == NATS_TIMEOUT) {
            if (!store_op_is_open(&map->op))
                return JSFS_INTERRUPTED;
            if (clock_monotonic_ms() >= deadline_ms)
                return JSFS_TIMEOUT;
            continue;
        }
        if (nats != NATS_OK)
            return status_fold_nats(nats);
        deadline_ms = clock_monotonic_ms() + timeout_ms;
        status = delivery_parse(natsMsg_GetReply(msg), &delivery)
                     ? take_chunk(map, walk, msg, &delivery)
                     : take_status(walk, msg);
        natsMsg_Destroy(msg);
    }
    return status;
}

/* One walk over the chunks; chunks is the caller's to clear. */
static enum jsfs_status walk_once(struct store_core *core, struct map_op *map,
                                  struct buffer *chunks)
{
    struct walk walk = {.chunks = BUFFER_INIT};
    enum jsfs_status status = open_walk(core, map, &walk);

    if (status == JSFS_OK)
        status = receive(core, map, &walk);
    close_walk(core, &walk);
    *chunks = walk.chunks;
    return status;
}

/* Again after a lost message, and when the consumer runs on a replica that lags. */
static void make_map(void *arg)
{
    struct map_op *map = arg;
    struct store_core *core = store_op_enter(&map->op);
    CLEANUP(buffer_clear) struct buffer chunks = BUFFER_INIT;
    enum jsfs_status status = JSFS_BUSY;

    if (core == NULL)
        return;
    for (int i = 0; i < ATTEMPTS && (status == JSFS_BUSY || status == JSFS_STALE); i++) {
        buffer_clear(&chunks);
        status = walk_once(core, map, &chunks);
    }
    finish(map, status, &chunks);
    store_op_leave(core);
}

static void got_last(void *arg, enum jsfs_status status,
                     const struct js_stored_message *stored)
{
    struct map_op *map = arg;
    struct store_core *core = store_op_enter(&map->op);

    if (core == NULL)
        return;
    if (status == JSFS_OK) {
        map->last_sequence = stored->sequence;
        executor_run(connection_executor(core->connection), make_map, map);
    } else {
        finish(map, status == JSFS_NOT_FOUND ? JSFS_STALE : status, NULL);
    }
    store_op_leave(core);
}

void object_chunk_map(struct store *store, const char *nuid, store_map_done *done,
                      void *arg)
{
    struct store_core *core = (struct store_core *)store;
    char *subject = NULL;
    enum jsfs_status status =
        object_chunk_subject((struct object_store *)store, nuid, &subject);
    struct map_op *map = status == JSFS_OK ? calloc(1, sizeof(*map)) : NULL;

    if (map == NULL) {
        free(subject);
        done(arg, status != JSFS_OK ? status : JSFS_NO_MEMORY, NULL, 0);
        return;
    }
    *map = (struct map_op){
        .op = {.end = end_map, .destroy = destroy_map},
        .done = done,
        .arg = arg,
        .subject = subject
    };
    if (!store_op_start(core, &map->op))
        return;
    js_api_message_last(core->connection, core->stream, map->subject, got_last, map);
    store_op_leave(core);
}
