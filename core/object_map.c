/* SPDX-License-Identifier: Apache-2.0 */
/* object_map.c - every chunk message of an object, from a walk over its subject.
 * Layer 3, part of the object store.
 *
 * The leader is asked for the last chunk message first: the map is complete when it holds that
 * sequence, whatever the consumer's pending count says. The rest is a task of the executor that
 * ends when no message comes for the connection's timeout, or when the store is closed.
 */
#include "core/buffer.h"
#include "core/js_api.h"
#include "core/js_api_walk.h"
#include "core/object_private.h"
#include <stdlib.h>
#include <string.h>

enum { ATTEMPTS = 3, HEARTBEAT_MS = 1000 };

struct map_op {
    struct store_op op;
    store_map_done *done;
    void *arg;
    char *subject;
    uint64_t last_sequence; /* of the subject, as the leader says */
    struct buffer chunks;   /* struct store_chunk each */
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
    buffer_clear(&map->chunks);
    free(map);
}

static void finish(struct map_op *map, enum jsfs_status status)
{
    size_t count = status == JSFS_OK ? map->chunks.size / sizeof(struct store_chunk) : 0;

    if (status == JSFS_OK && count == 0)
        status = JSFS_STALE;
    if (store_op_claim(&map->op))
        map->done(map->arg, status, count > 0 ? (const void *)map->chunks.data : NULL, count);
    store_op_release(&map->op);
}

static enum jsfs_status take_chunk(void *arg, const struct walk_message *message)
{
    struct map_op *map = arg;
    struct store_chunk chunk;

    if (message->size_bytes == 0)
        return JSFS_OK;
    memset(&chunk, 0, sizeof(chunk)); /* its padding too */
    chunk.sequence = message->sequence;
    chunk.size_bytes = (uint32_t)message->size_bytes;
    return buffer_append(&map->chunks, &chunk, sizeof(chunk));
}

static bool is_wanted(void *arg)
{
    struct map_op *map = arg;

    return store_op_is_open(&map->op);
}

/* Again after a lost message, and when the consumer runs on a replica that lags. */
static void make_map(void *arg)
{
    struct map_op *map = arg;
    struct store_core *core = store_op_enter(&map->op);
    enum jsfs_status status = JSFS_BUSY;

    if (core == NULL)
        return;
    struct walk_request request = {.stream = core->stream,
                                   .subject = map->subject,
                                   .last_sequence = map->last_sequence,
                                   .heartbeat_ms = HEARTBEAT_MS,
                                   .message = take_chunk,
                                   .wanted = is_wanted,
                                   .arg = map};
    for (int i = 0; i < ATTEMPTS && (status == JSFS_BUSY || status == JSFS_STALE); i++) {
        map->chunks.size = 0;
        status = js_api_walk(core->connection, &request);
    }
    finish(map, status);
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
        finish(map, status == JSFS_NOT_FOUND ? JSFS_STALE : status);
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
        .subject = subject,
        .chunks = BUFFER_INIT,
    };
    if (!store_op_start(core, &map->op))
        return;
    js_api_message_last(core->connection, core->stream, map->subject, got_last, map);
    store_op_leave(core);
}
