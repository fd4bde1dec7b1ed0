/* SPDX-License-Identifier: Apache-2.0 */
/* publication.c - publish, read the ack, and ask the leader when the ack does not tell.
 * Layer 3.
 */
#include "core/publication.h"
#include "core/clock.h"
#include "core/header_block.h"
#include "core/js_api.h"
#include "core/log.h"
#include "core/status_fold.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S INT64_C(1000000000)

enum {
    MOST_ROUNDS = 8,
    MOST_REPEATS = 2,
    NUMBER_SIZE = PUBLICATION_NUMBER_SIZE,
    HEADERS_MOST = 11 /* a name and a value each, and the NULL */
};
enum { WRONG_LAST_MESSAGE_ID = 10070 };

struct publish_op {
    struct store_op op;
    struct publication p; /* subject and data are our own */
    char *sent_subject;   /* p.subject behind the prefix of the origin's API, if it has one */
    store_write_done *done;
    void *arg;
    char message_id[STORE_MESSAGE_ID_SIZE];
    enum jsfs_status outcome; /* what the ack said: why the leader is asked */
    bool again;               /* it may have been stored by an earlier try */
    int repeats;              /* after lost answers */
    unsigned reconnects;      /* of the requester, when it was sent */
    int64_t tried_ms;         /* when it was sent first */
    int rounds;               /* of EXPECT_ABSENT */
    uint64_t newest;          /* what the leader has under the subject; 0: nothing */
    bool newest_lives;
    uint64_t expected;        /* the expected sequence that is sent, unless EXPECT_ANY */
};

static void end_publish(struct store_op *op, enum jsfs_status status)
{
    struct publish_op *publish = (struct publish_op *)op;

    publish->done(publish->arg, status, 0);
}

static void destroy_publish(struct store_op *op)
{
    struct publish_op *publish = (struct publish_op *)op;

    bytes_unref(publish->p.data);
    free((char *)publish->p.subject);
    free(publish->sent_subject);
    free(publish);
}

static void finish(struct publish_op *publish, enum jsfs_status status, uint64_t sequence)
{
    if (store_op_claim(&publish->op))
        publish->done(publish->arg, status, status == JSFS_OK ? sequence : 0);
    store_op_release(&publish->op);
}

/* --- sending --------------------------------------------------------------------------------- */

void publication_ttl(int64_t ttl_ns, char out[PUBLICATION_NUMBER_SIZE])
{
    snprintf(out, PUBLICATION_NUMBER_SIZE, "%" PRId64 "s",
             ttl_ns / NS_PER_S + (ttl_ns % NS_PER_S > 0));
}

/* Header values that are made. */
struct numbers {
    char expected[NUMBER_SIZE], ttl[NUMBER_SIZE];
};

/* Fill the headers: name, value, ..., NULL. */
static void list_headers(const struct publish_op *publish, struct numbers *numbers,
                         const char *headers[HEADERS_MOST])
{
    int64_t ttl_ns = publish->p.write.ttl_ns;
    size_t count = 0;

    headers[count++] = "Nats-Msg-Id";
    headers[count++] = publish->message_id;
    if (publish->p.write.expect != STORE_EXPECT_ANY) {
        snprintf(numbers->expected, NUMBER_SIZE, "%" PRIu64, publish->expected);
        headers[count++] = "Nats-Expected-Last-Subject-Sequence";
        headers[count++] = numbers->expected;
    }
    if (publish->p.header_name != NULL) {
        headers[count++] = publish->p.header_name;
        headers[count++] = publish->p.header_value;
    }
    if (ttl_ns > 0) {
        publication_ttl(ttl_ns, numbers->ttl);
        headers[count++] = "Nats-TTL";
        headers[count++] = numbers->ttl;
    }
    if (publish->p.rollup) {
        headers[count++] = "Nats-Rollup";
        headers[count++] = "sub";
    }
    headers[count] = NULL;
}

static void got_ack(void *arg, enum jsfs_status status, natsMsg *reply);

static struct requester *requester_of(struct store_core *core)
{
    return connection_requester(core->connection, CONNECTION_CONTROL);
}

bool publication_is_remembered(struct store_core *core, int64_t tried_ms)
{
    int64_t ends_ms = clock_boot_ms() + connection_timeout_ms(core->connection);

    return ends_ms - tried_ms <= atomic_load(&core->duplicate_window_ms);
}

static void send_it(struct store_core *core, struct publish_op *publish)
{
    struct bytes *data = publish->p.data;
    struct numbers numbers;
    const char *headers[HEADERS_MOST];

    list_headers(publish, &numbers, headers);
    struct request request = {
        .subject = publish->sent_subject,
        .headers = headers,
        .data = data != NULL ? data->data : NULL,
        .size = data != NULL ? data->size : 0,
        /* The message id tells the server that it is the same, while it remembers. */
        .resend = publication_is_remembered(core, publish->tried_ms),
    };
    if (request.size + header_block_size(headers) > store_core_message_max(core)) {
        finish(publish, JSFS_TOO_LARGE, 0);
        return;
    }
    publish->reconnects = requester_reconnects(requester_of(core));
    requester_send(requester_of(core), &request, got_ack, publish);
}

/* --- asking the leader ----------------------------------------------------------------------- */

/* May the server have got it more than once, so that its first copy is what a later one met? */
static bool is_maybe_twice(struct store_core *core, const struct publish_op *publish)
{
    return publish->again ||
           publish->reconnects != requester_reconnects(requester_of(core));
}

/* Something else is in the way, and what we wrote is not stored. */
static void settle_conflict(struct store_core *core, struct publish_op *publish)
{
    if (publish->p.write.expect != STORE_EXPECT_ABSENT) {
        finish(publish, JSFS_CONFLICT, 0);
    } else if (publish->newest_lives) {
        finish(publish, JSFS_EXISTS, 0);
    } else if (++publish->rounds >= MOST_ROUNDS) {
        finish(publish, JSFS_CONFLICT, 0);
    } else {
        publish->expected = publish->newest;
        send_it(core, publish);
    }
}

/* Our message is not stored: there is an answer to what became of it. */
static void settle_absent(struct store_core *core, struct publish_op *publish)
{
    if (publish->outcome == JSFS_CONFLICT) {
        settle_conflict(core, publish);
    } else if (publish->repeats++ < MOST_REPEATS) {
        publish->again = true;
        send_it(core, publish);
    } else {
        finish(publish, JSFS_TIMEOUT, 0);
    }
}

static void got_known(void *arg, enum jsfs_status status, natsMsg *reply)
{
    struct publish_op *publish = arg;
    struct store_core *core = store_op_enter(&publish->op);
    struct js_pub_ack ack;

    if (core == NULL) {
        natsMsg_Destroy(reply);
        return;
    }
    if (status == JSFS_OK)
        status = js_reply_pub_ack(natsMsg_GetData(reply),
                                  (size_t)natsMsg_GetDataLength(reply), &ack);
    natsMsg_Destroy(reply);
    if (status == JSFS_OK && ack.duplicate)
        finish(publish, JSFS_OK, ack.sequence);
    else if (status == JSFS_OK && ack.error.err_code == WRONG_LAST_MESSAGE_ID)
        settle_absent(core, publish);
    else
        finish(publish, JSFS_TIMEOUT, 0);
    store_op_leave(core);
}

/* Does the stream know our message id? Asked by a message that it never stores: with that id it
 * is a duplicate, and else it expects an id before it that nobody has. A repetition of the write
 * itself is no question: servers from 2.12 on look at the expected sequence first, and call it a
 * conflict with its own first copy. */
static void ask_by_id(struct store_core *core, struct publish_op *publish)
{
    const char *headers[] = {"Nats-Msg-Id", publish->message_id,
                             "Nats-Expected-Last-Msg-Id", "jsfs-nobody", NULL};
    struct request request = {
        .subject = publish->sent_subject, .headers = headers, .resend = true};

    if (publication_is_remembered(core, publish->tried_ms))
        requester_send(requester_of(core), &request, got_known, publish);
    else
        finish(publish, JSFS_TIMEOUT, 0);
}

static bool is_ours(const struct publish_op *publish, enum jsfs_status status,
                    const struct js_stored_message *message)
{
    char id[STORE_MESSAGE_ID_SIZE];

    return status == JSFS_OK &&
           header_block_copy(message->headers, message->headers_size, "Nats-Msg-Id", id,
                             sizeof(id)) &&
           strcmp(id, publish->message_id) == 0;
}

static void got_last(void *arg, enum jsfs_status status,
                     const struct js_stored_message *message)
{
    struct publish_op *publish = arg;
    struct store_core *core = store_op_enter(&publish->op);

    if (core == NULL)
        return;
    bool known = status == JSFS_OK || status == JSFS_NOT_FOUND;
    bool unsure = publish->outcome == JSFS_TIMEOUT || is_maybe_twice(core, publish);
    publish->newest = status == JSFS_OK ? message->sequence : 0;
    publish->newest_lives = status == JSFS_OK && publish->p.is_live(message);
    if (is_ours(publish, status, message))
        finish(publish, JSFS_OK, message->sequence);
    else if (!known)
        finish(publish, unsure ? JSFS_TIMEOUT : status, 0);
    else if (unsure)
        ask_by_id(core, publish);
    else
        settle_conflict(core, publish);
    store_op_leave(core);
}

static void ask_leader(struct store_core *core, struct publish_op *publish)
{
    js_api_origin_last(core->connection, core->origin_api, core->origin, publish->p.subject,
                       got_last, publish);
}

/* Nobody took the publish: is it that the stream is gone? A mirror outlives its origin. */
static void got_info(void *arg, enum jsfs_status status,
                     const struct js_stream_info *info)
{
    struct publish_op *publish = arg;
    struct store_core *core = store_op_enter(&publish->op);

    (void)info;
    if (core == NULL)
        return;
    if (status != JSFS_NOT_FOUND)
        status = publish->outcome;
    else if (core->mirror)
        status = JSFS_READ_ONLY;
    finish(publish, status, 0);
    store_op_leave(core);
}

enum jsfs_status publication_acked(struct store_core *core, enum jsfs_status status,
                                   natsMsg *reply, uint64_t *sequence)
{
    struct js_pub_ack ack;

    if (status == JSFS_OK)
        status = js_reply_pub_ack(natsMsg_GetData(reply),
                                  (size_t)natsMsg_GetDataLength(reply), &ack);
    natsMsg_Destroy(reply);
    if (status == JSFS_OK)
        status = status_fold_js(&ack.error);
    if (status != JSFS_OK)
        return status;
    if (strcmp(ack.stream, core->origin) != 0) {
        jsfs_debug("publish stored elsewhere stream=%s by=%s", core->origin, ack.stream);
        return JSFS_FAILED;
    }
    *sequence = ack.sequence;
    return JSFS_OK;
}

static void got_ack(void *arg, enum jsfs_status status, natsMsg *reply)
{
    struct publish_op *publish = arg;
    uint64_t sequence = 0;
    struct store_core *core = store_op_enter(&publish->op);

    if (core == NULL) {
        natsMsg_Destroy(reply);
        return;
    }
    status = publication_acked(core, status, reply, &sequence);
    bool twice = is_maybe_twice(core, publish);
    if (status == JSFS_UNAVAILABLE && twice)
        status = JSFS_TIMEOUT; /* that is said of the last copy */
    publish->outcome = status;
    if (status == JSFS_CONFLICT && !twice && publish->p.write.expect == STORE_EXPECT_AT)
        finish(publish, JSFS_CONFLICT, 0);
    else if (status == JSFS_TIMEOUT || status == JSFS_CONFLICT)
        ask_leader(core, publish);
    else if (status == JSFS_UNAVAILABLE && connection_is_up(core->connection))
        js_api_origin_info(core->connection, core->origin_api, core->origin, got_info,
                           publish);
    else
        finish(publish, status, sequence);
    store_op_leave(core);
}

/* --- start ------------------------------------------------------------------------------------ */

/* JSFS_NO_MEMORY: the caller destroys what there is. */
static enum jsfs_status copy_subject(struct store_core *core, const char *subject,
                                     struct publish_op *publish)
{
    const char *api = core->origin_api;

    publish->p.subject = strdup(subject);
    if (asprintf(&publish->sent_subject, "%s%s%s", api, api[0] != '\0' ? "." : "", subject) <
        0)
        publish->sent_subject = NULL; /* asprintf leaves it undefined */
    return publish->p.subject != NULL && publish->sent_subject != NULL ? JSFS_OK
                                                                       : JSFS_NO_MEMORY;
}

void publication_start(struct store_core *core, const struct publication *p,
                       store_write_done *done, void *arg)
{
    struct publish_op *publish = core->read_only ? NULL : calloc(1, sizeof(*publish));

    if (publish == NULL) {
        done(arg, core->read_only ? JSFS_READ_ONLY : JSFS_NO_MEMORY, 0);
        return;
    }
    *publish = (struct publish_op){
        .op = {.end = end_publish, .destroy = destroy_publish},
        .p = *p,
        .done = done,
        .arg = arg,
        .expected = p->write.expect == STORE_EXPECT_AT ? p->write.sequence : 0,
        .tried_ms = p->write.tried_ms != 0 ? p->write.tried_ms : clock_boot_ms(),
        .outcome = JSFS_TIMEOUT,
        .again = p->write.tried_ms != 0,
    };
    if (p->data != NULL)
        bytes_ref(p->data);
    store_message_id(p->write.token, publish->message_id);
    if (copy_subject(core, p->subject, publish) != JSFS_OK) {
        destroy_publish(&publish->op);
        done(arg, JSFS_NO_MEMORY, 0);
        return;
    }
    if (!store_op_start(core, &publish->op))
        return;
    if (p->write.tried_ms != 0)
        ask_leader(core, publish);
    else
        send_it(core, publish);
    store_op_leave(core);
}
