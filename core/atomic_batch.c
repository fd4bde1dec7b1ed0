/* SPDX-License-Identifier: Apache-2.0 */
/* atomic_batch.c - several messages of one stream, published all or none.
 * Layer 3.
 */
#include "core/atomic_batch.h"
#include "core/clock.h"
#include "core/header_block.h"
#include "core/js_api.h"
#include "core/nuid.h"
#include "core/publication.h"
#include "core/status_fold.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define API_LEVEL_ATOMIC 2      /* nats-server 2.12 */
#define ERROR_DUPLICATE 10201   /* a message id of the batch is stored already */

enum { NUMBER_SIZE = PUBLICATION_NUMBER_SIZE, HEADERS_MOST = 15 /* a name and a value each, and the NULL */ };

struct batch {
    struct store_op op;
    struct atomic_message *messages;
    size_t count;
    store_write_done *done;
    void *arg;
    char id[NUID_SIZE];
    size_t asked;  /* the message whose subject the leader is asked for */
    bool repeated; /* sent again after a lost answer */
    int64_t tried_ms; /* when it was sent first */
};

void atomic_batch_free(struct atomic_message *messages, size_t count)
{
    for (size_t i = 0; messages != NULL && i < count; i++) {
        free(messages[i].subject);
        bytes_unref(messages[i].data);
    }
    free(messages);
}

static void end_batch(struct store_op *op, enum jsfs_status status)
{
    struct batch *batch = (struct batch *)op;

    batch->done(batch->arg, status, 0);
}

static void destroy_batch(struct store_op *op)
{
    struct batch *batch = (struct batch *)op;

    atomic_batch_free(batch->messages, batch->count);
    free(batch);
}

/* A repetition that is refused for another reason than a condition says nothing of the first. */
static void finish(struct batch *batch, enum jsfs_status status, uint64_t sequence)
{
    if (batch->repeated && status != JSFS_OK && status != JSFS_CONFLICT)
        status = JSFS_TIMEOUT;
    if (store_op_claim(&batch->op))
        batch->done(batch->arg, status, sequence);
    store_op_release(&batch->op);
}

/* --- sending --------------------------------------------------------------------------------- */

struct texts {
    char id[STORE_MESSAGE_ID_SIZE];
    char expected[NUMBER_SIZE], position[NUMBER_SIZE], ttl[NUMBER_SIZE];
};

/* Fill the headers of a message: name, value, ..., NULL. */
static void list_headers(const struct batch *batch, size_t index, struct texts *texts,
                         const char *headers[HEADERS_MOST])
{
    const struct atomic_message *message = &batch->messages[index];
    size_t count = 0;

    store_message_id(message->token, texts->id);
    snprintf(texts->position, NUMBER_SIZE, "%zu", index + 1);
    headers[count++] = "Nats-Msg-Id";
    headers[count++] = texts->id;
    headers[count++] = "Nats-Batch-Id";
    headers[count++] = batch->id;
    headers[count++] = "Nats-Batch-Sequence";
    headers[count++] = texts->position;
    if (message->conditional) {
        snprintf(texts->expected, NUMBER_SIZE, "%" PRIu64, message->expected);
        headers[count++] = "Nats-Expected-Last-Subject-Sequence";
        headers[count++] = texts->expected;
    }
    if (message->ttl_ns > 0) {
        publication_ttl(message->ttl_ns, texts->ttl);
        headers[count++] = "Nats-TTL";
        headers[count++] = texts->ttl;
    }
    if (message->header_name != NULL) {
        headers[count++] = message->header_name;
        headers[count++] = message->header_value;
    }
    if (index + 1 == batch->count) {
        headers[count++] = "Nats-Batch-Commit";
        headers[count++] = "1";
    }
    headers[count] = NULL;
}

static enum jsfs_status check_sizes(struct store_core *core, const struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        const struct bytes *data = batch->messages[i].data;
        const char *headers[HEADERS_MOST];
        struct texts texts;

        list_headers(batch, i, &texts, headers);
        if ((data != NULL ? data->size : 0) + header_block_size(headers) >
            store_core_message_max(core))
            return JSFS_TOO_LARGE;
    }
    return JSFS_OK;
}

static struct requester *requester_of(struct store_core *core)
{
    return connection_requester(core->connection, CONNECTION_CONTROL);
}

/* A batch is never sent anew by a reconnect: half of it would be missing. */
static struct request request_of(const struct batch *batch, size_t index, struct texts *texts,
                                 const char *headers[HEADERS_MOST])
{
    const struct bytes *data = batch->messages[index].data;

    list_headers(batch, index, texts, headers);
    return (struct request){
        .subject = batch->messages[index].subject,
        .headers = headers,
        .data = data != NULL ? data->data : NULL,
        .size = data != NULL ? data->size : 0,
    };
}

static void send_message(struct store_core *core, struct batch *batch, size_t index,
                         requester_done *done, void *arg)
{
    const char *headers[HEADERS_MOST];
    struct texts texts;
    struct request request = request_of(batch, index, &texts, headers);

    requester_send(requester_of(core), &request, done, arg);
}

/* A message in the middle: what is wrong with it the commit will say. */
static void passed(void *arg, enum jsfs_status status, natsMsg *reply)
{
    (void)arg;
    (void)status;
    natsMsg_Destroy(reply);
}

static void got_commit(void *arg, enum jsfs_status status, natsMsg *reply);

static void send_rest(struct store_core *core, struct batch *batch)
{
    for (size_t i = 1; i + 1 < batch->count; i++)
        send_message(core, batch, i, passed, NULL);
    send_message(core, batch, batch->count - 1, got_commit, batch);
}

/* The answer to the first message must be empty: then the server has put it aside. A server that
 * knows no batches stores it, and says where. */
static void take_first(struct store_core *core, struct batch *batch, enum jsfs_status status,
                       natsMsg *reply)
{
    uint64_t sequence = 0;

    if (status == JSFS_OK && natsMsg_GetDataLength(reply) == 0) {
        natsMsg_Destroy(reply);
        if (batch->repeated && !publication_is_remembered(core, batch->tried_ms))
            finish(batch, JSFS_TIMEOUT, 0);
        else
            send_rest(core, batch);
        return;
    }
    status = publication_acked(core, status, reply, &sequence);
    finish(batch, status == JSFS_OK ? JSFS_UNSUPPORTED : status, sequence);
}

static void got_first(void *arg, enum jsfs_status status, natsMsg *reply)
{
    struct batch *batch = arg;
    struct store_core *core = store_op_enter(&batch->op);

    if (core == NULL) {
        natsMsg_Destroy(reply);
        return;
    }
    take_first(core, batch, status, reply);
    store_op_leave(core);
}

/* The caller's thread waits for the first answer and then for the socket, if it must: it is a
 * task's. */
static void send_batch(struct store_core *core, struct batch *batch)
{
    const char *headers[HEADERS_MOST];
    struct texts texts;
    natsMsg *reply = NULL;

    nuid_next(batch->id);
    if (batch->count == 1) {
        send_message(core, batch, 0, got_commit, batch);
        return;
    }
    struct request request = request_of(batch, 0, &texts, headers);
    enum jsfs_status status = requester_call(requester_of(core), &request, &reply);
    take_first(core, batch, status, reply);
}

/* The same from the thread that brought an answer, which must not wait for another. */
static void send_again(struct store_core *core, struct batch *batch)
{
    batch->repeated = true;
    nuid_next(batch->id);
    send_message(core, batch, 0, batch->count == 1 ? got_commit : got_first, batch);
}

/* --- what became of it ------------------------------------------------------------------------ */

static void got_newest(void *arg, enum jsfs_status status,
                       const struct js_stored_message *message);

static void ask_leader(struct store_core *core, struct batch *batch, size_t index)
{
    batch->asked = index;
    js_api_message_last(core->connection, core->stream, batch->messages[index].subject,
                        got_newest, batch);
}

static bool is_ours(const struct batch *batch, const struct js_stored_message *message)
{
    char id[STORE_MESSAGE_ID_SIZE];

    return header_block_copy(message->headers, message->headers_size, "Nats-Msg-Id", id,
                             sizeof(id)) &&
           store_message_token(id) == batch->messages[batch->asked].token;
}

/* The first and the last subject are asked for: what else is newest there may have come on top,
 * and then a repetition tells. */
static void got_newest(void *arg, enum jsfs_status status,
                       const struct js_stored_message *message)
{
    struct batch *batch = arg;
    struct store_core *core = store_op_enter(&batch->op);

    if (core == NULL)
        return;
    if (status == JSFS_OK && is_ours(batch, message))
        finish(batch, JSFS_OK, message->sequence + (batch->count - 1 - batch->asked));
    else if (status != JSFS_OK && status != JSFS_NOT_FOUND)
        finish(batch, JSFS_TIMEOUT, 0);
    else if (batch->asked == 0 && batch->count > 1)
        ask_leader(core, batch, batch->count - 1);
    else if (batch->repeated || !publication_is_remembered(core, batch->tried_ms))
        finish(batch, JSFS_TIMEOUT, 0);
    else
        send_again(core, batch);
    store_op_leave(core);
}

/* True when the server has refused a repetition because it has stored the first one. */
static bool is_stored_before(const struct batch *batch, enum jsfs_status status, natsMsg *reply)
{
    struct js_pub_ack ack;

    return batch->repeated && status == JSFS_OK &&
           js_reply_pub_ack(natsMsg_GetData(reply), (size_t)natsMsg_GetDataLength(reply),
                            &ack) == JSFS_OK &&
           ack.error.err_code == ERROR_DUPLICATE;
}

static void got_commit(void *arg, enum jsfs_status status, natsMsg *reply)
{
    struct batch *batch = arg;
    struct store_core *core = store_op_enter(&batch->op);
    uint64_t sequence = 0;

    if (core == NULL) {
        natsMsg_Destroy(reply);
        return;
    }
    if (is_stored_before(batch, status, reply)) {
        natsMsg_Destroy(reply);
        finish(batch, JSFS_OK, 0);
    } else {
        status = publication_acked(core, status, reply, &sequence);
        if (status == JSFS_TIMEOUT)
            ask_leader(core, batch, 0);
        else
            finish(batch, status, sequence);
    }
    store_op_leave(core);
}

/* --- start ------------------------------------------------------------------------------------ */

/* Can this stream take batches? A mirror's are another stream's. */
static enum jsfs_status check_stream(struct store_core *core, size_t count)
{
    if (core->read_only)
        return JSFS_READ_ONLY;
    if (count == 0 || count > STORE_BATCH_MOST)
        return JSFS_INVALID;
    if (core->mirror || !atomic_load(&core->allow_atomic) ||
        connection_api_level(core->connection) < API_LEVEL_ATOMIC)
        return JSFS_UNSUPPORTED;
    return JSFS_OK;
}

void atomic_batch_start(struct store_core *core, struct atomic_message *messages, size_t count,
                        store_write_done *done, void *arg)
{
    enum jsfs_status status = check_stream(core, count);
    struct batch *batch = status == JSFS_OK ? calloc(1, sizeof(*batch)) : NULL;

    if (batch == NULL) {
        atomic_batch_free(messages, count);
        done(arg, status != JSFS_OK ? status : JSFS_NO_MEMORY, 0);
        return;
    }
    *batch = (struct batch){
        .op = {.end = end_batch, .destroy = destroy_batch},
        .messages = messages,
        .count = count,
        .tried_ms = clock_boot_ms(),
        .done = done,
        .arg = arg,
    };
    status = check_sizes(core, batch);
    if (status != JSFS_OK) {
        destroy_batch(&batch->op);
        done(arg, status, 0);
        return;
    }
    if (!store_op_start(core, &batch->op))
        return;
    send_batch(core, batch);
    store_op_leave(core);
}
