/* SPDX-License-Identifier: Apache-2.0 */
/* object_chunks.c - one chunk message: by sequence, the first, the last, and a new one.
 * Layer 3, part of the object store. Data comes over the FETCH connection and goes over UPLOAD.
 */
#include "core/cleanup.h"
#include "core/direct_get.h"
#include "core/js_api.h"
#include "core/object_private.h"
#include "core/publication.h"
#include "core/status_fold.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum wanted { CHUNK_AT, CHUNK_FIRST, CHUNK_LAST };

struct chunk_op {
    struct store_op op;
    store_bytes_done *done;
    void *arg;
    char *subject;
    enum wanted wanted;
    uint64_t sequence; /* CHUNK_AT */
};

static void end_chunk(struct store_op *op, enum jsfs_status status)
{
    struct chunk_op *chunk = (struct chunk_op *)op;

    chunk->done(chunk->arg, status, NULL, 0);
}

static void destroy_chunk(struct store_op *op)
{
    struct chunk_op *chunk = (struct chunk_op *)op;

    free(chunk->subject);
    free(chunk);
}

static void finish(struct chunk_op *chunk, enum jsfs_status status, struct bytes *bytes,
                   uint64_t sequence)
{
    bool ok = status == JSFS_OK;

    if (store_op_claim(&chunk->op))
        chunk->done(chunk->arg, status, ok ? bytes : NULL, ok ? sequence : 0);
    store_op_release(&chunk->op);
}

static void take_stored(struct chunk_op *chunk, enum jsfs_status status,
                        const struct js_stored_message *stored)
{
    CLEANUP(cleanup_bytes) struct bytes *bytes = NULL;

    if (status == JSFS_NOT_FOUND) {
        status = JSFS_STALE;
    } else if (status == JSFS_OK && strcmp(stored->subject, chunk->subject) != 0) {
        status = JSFS_CONFLICT;
    } else if (status == JSFS_OK) {
        bytes = bytes_copy(stored->data, stored->size);
        status = bytes != NULL ? JSFS_OK : JSFS_NO_MEMORY;
    }
    finish(chunk, status, bytes, status == JSFS_OK ? stored->sequence : 0);
}

static void got_leader(void *arg, enum jsfs_status status,
                       const struct js_stored_message *stored)
{
    struct chunk_op *chunk = arg;
    struct store_core *core = store_op_enter(&chunk->op);

    if (core == NULL)
        return;
    take_stored(chunk, status, stored);
    store_op_leave(core);
}

static void got_first(void *arg, enum jsfs_status status, natsMsg *reply)
{
    struct chunk_op *chunk = arg;
    struct js_stored_message stored = {0};
    struct js_error error;
    struct store_core *core = store_op_enter(&chunk->op);

    if (core != NULL) {
        if (status == JSFS_OK)
            status =
                js_reply_message(natsMsg_GetData(reply),
                                 (size_t)natsMsg_GetDataLength(reply), &error, &stored);
        if (status == JSFS_OK)
            status = status_fold_js(&error);
        take_stored(chunk, status, &stored);
        js_stored_message_clear(&stored);
        store_op_leave(core);
    }
    natsMsg_Destroy(reply);
}

/* MSG.GET of the first message of a subject; js_api.h has the last and the one at a sequence. */
static void ask_leader_first(struct store_core *core, struct chunk_op *chunk)
{
    char subject[sizeof("$JS.API.STREAM.MSG.GET.") + sizeof(core->stream)];
    char body[640]; /* prefix and nuid are at most 480 bytes, without any to be escaped */

    snprintf(subject, sizeof(subject), "$JS.API.STREAM.MSG.GET.%s", core->stream);
    snprintf(body, sizeof(body), "{\"seq\":1,\"next_by_subj\":\"%s\"}", chunk->subject);
    struct request request = {
        .subject = subject, .data = body, .size = strlen(body), .resend = true};
    requester_send(connection_requester(core->connection, CONNECTION_CONTROL), &request,
                   got_first, chunk);
}

static void ask_leader(struct store_core *core, struct chunk_op *chunk)
{
    if (chunk->wanted == CHUNK_AT)
        js_api_message_at(core->connection, core->stream, chunk->sequence, got_leader,
                          chunk);
    else if (chunk->wanted == CHUNK_LAST)
        js_api_message_last(core->connection, core->stream, chunk->subject, got_leader,
                            chunk);
    else
        ask_leader_first(core, chunk);
}

/* 404 can be a replica that lags, 503 a stream without direct get: the leader knows. */
static void got_direct(void *arg, enum jsfs_status status,
                       const struct direct_message *message)
{
    struct chunk_op *chunk = arg;
    struct store_core *core = store_op_enter(&chunk->op);

    if (core == NULL)
        return;
    if (status == JSFS_NOT_FOUND || status == JSFS_UNAVAILABLE)
        ask_leader(core, chunk);
    else if (status == JSFS_OK && strcmp(message->subject, chunk->subject) != 0)
        finish(chunk, JSFS_CONFLICT, NULL, 0);
    else if (status == JSFS_OK)
        finish(chunk, JSFS_OK, message->bytes, message->sequence);
    else
        finish(chunk, status, NULL, 0);
    store_op_leave(core);
}

static void ask_direct(struct store_core *core, struct chunk_op *chunk)
{
    if (chunk->wanted == CHUNK_AT)
        direct_get_at(core->connection, CONNECTION_FETCH, core->stream, chunk->sequence,
                      got_direct, chunk);
    else if (chunk->wanted == CHUNK_LAST)
        direct_get_last(core->connection, CONNECTION_FETCH, core->stream, chunk->subject,
                        got_direct, chunk);
    else
        direct_get_next(core->connection, CONNECTION_FETCH, core->stream, 1,
                        chunk->subject, got_direct, chunk);
}

static void get_chunk(struct store *store, const char *nuid, enum wanted wanted,
                      uint64_t sequence, store_bytes_done *done, void *arg)
{
    struct store_core *core = (struct store_core *)store;
    char *subject = NULL;
    enum jsfs_status status =
        object_chunk_subject((struct object_store *)store, nuid, &subject);
    struct chunk_op *chunk = status == JSFS_OK ? calloc(1, sizeof(*chunk)) : NULL;

    if (chunk == NULL) {
        free(subject);
        done(arg, status != JSFS_OK ? status : JSFS_NO_MEMORY, NULL, 0);
        return;
    }
    *chunk = (struct chunk_op){
        .op = {.end = end_chunk, .destroy = destroy_chunk},
        .done = done,
        .arg = arg,
        .subject = subject,
        .wanted = wanted,
        .sequence = sequence
    };
    if (!store_op_start(core, &chunk->op))
        return;
    if (core->allow_direct)
        ask_direct(core, chunk);
    else
        ask_leader(core, chunk);
    store_op_leave(core);
}

void object_chunk_get(struct store *store, const char *nuid, uint64_t sequence,
                      store_bytes_done *done, void *arg)
{
    get_chunk(store, nuid, CHUNK_AT, sequence, done, arg);
}

void object_chunk_first(struct store *store, const char *nuid, store_bytes_done *done,
                        void *arg)
{
    get_chunk(store, nuid, CHUNK_FIRST, 0, done, arg);
}

void object_chunk_last(struct store *store, const char *nuid, store_bytes_done *done,
                       void *arg)
{
    get_chunk(store, nuid, CHUNK_LAST, 0, done, arg);
}

/* --- a new chunk ------------------------------------------------------------------------------- */

struct chunk_put {
    struct store_op op;
    store_write_done *done;
    void *arg;
    struct bytes *chunk;
};

static void end_put(struct store_op *op, enum jsfs_status status)
{
    struct chunk_put *put = (struct chunk_put *)op;

    put->done(put->arg, status, 0);
}

static void destroy_put(struct store_op *op)
{
    struct chunk_put *put = (struct chunk_put *)op;

    bytes_unref(put->chunk);
    free(put);
}

static void got_ack(void *arg, enum jsfs_status status, natsMsg *reply)
{
    struct chunk_put *put = arg;
    struct store_core *core = store_op_enter(&put->op);
    uint64_t sequence = 0;

    if (core == NULL) {
        natsMsg_Destroy(reply);
        return;
    }
    status = publication_acked(core, status, reply, &sequence);
    if (store_op_claim(&put->op))
        put->done(put->arg, status, status == JSFS_OK ? sequence : 0);
    store_op_release(&put->op);
    store_op_leave(core);
}

void object_chunk_put(struct store *store, const char *nuid, struct bytes *chunk,
                      store_write_done *done, void *arg)
{
    struct store_core *core = (struct store_core *)store;
    CLEANUP(cleanup_free) char *subject = NULL;
    enum jsfs_status status =
        object_chunk_subject((struct object_store *)store, nuid, &subject);
    struct chunk_put *put = NULL;

    if (status == JSFS_OK && core->read_only)
        status = JSFS_READ_ONLY;
    if (status == JSFS_OK && chunk->size > store_core_message_max(core))
        status = JSFS_TOO_LARGE;
    if (status == JSFS_OK && (put = malloc(sizeof(*put))) == NULL)
        status = JSFS_NO_MEMORY;
    if (status != JSFS_OK) {
        done(arg, status, 0);
        return;
    }
    *put = (struct chunk_put){
        .op = {.end = end_put, .destroy = destroy_put},
        .done = done,
        .arg = arg,
        .chunk = bytes_ref(chunk)
    };
    if (!store_op_start(core, &put->op))
        return;
    struct request request = {
        .subject = subject, .data = chunk->data, .size = chunk->size};
    requester_send(connection_requester(core->connection, CONNECTION_UPLOAD), &request,
                   got_ack, put);
    store_op_leave(core);
}
