/* SPDX-License-Identifier: Apache-2.0 */
/* direct_get.c - one stored message by DIRECT.GET, without copying its bytes.
 * Layer 3.
 */
#include "core/direct_get.h"
#include "core/cleanup.h"
#include "core/js_reply.h"
#include "core/status_fold.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The longest subject that is appended to the API's own; above it the payload carries it. */
#define APPENDED_MAX 3500

struct get {
    direct_get_done *done;
    void *arg;
    uint64_t sequence_min; /* what may answer */
    uint64_t sequence_max;
};

static void destroy_message(void *message)
{
    natsMsg_Destroy(message);
}

/* The last value of a header: a stored message may hold the name itself, and the server
 * appends its own. NULL: none. */
static const char *last_header(natsMsg *message, const char *name)
{
    const char **values = NULL;
    const char *last = NULL;
    int count = 0;

    if (natsMsgHeader_Values(message, name, &values, &count) == NATS_OK && count > 0)
        last = values[count - 1];
    free(values);
    return last;
}

static bool parse_sequence(const char *text, uint64_t *out)
{
    char *end = NULL;

    if (text == NULL || text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' && *out > 0;
}

/* A reply without the server's sequence is a status line: 404, 408 … */
static enum jsfs_status fold_status_line(natsMsg *message)
{
    struct js_error error = {0};
    const char *status = last_header(message, "Status");
    const char *description = last_header(message, "Description");

    if (status == NULL)
        return JSFS_CORRUPT;
    error.code = (int)strtol(status, NULL, 10);
    if (description != NULL)
        snprintf(error.description, sizeof(error.description), "%s", description);
    return error.code == 0 ? JSFS_CORRUPT : status_fold_js(&error);
}

static enum jsfs_status parse_message(natsMsg *message, const struct get *get,
                                      struct direct_message *out)
{
    const char *sequence = last_header(message, "Nats-Sequence");

    if (sequence == NULL)
        return fold_status_line(message);
    const char *time = last_header(message, "Nats-Time-Stamp");
    out->subject = last_header(message, "Nats-Subject");
    if (out->subject == NULL || time == NULL ||
        !parse_sequence(sequence, &out->sequence) || !js_time_parse(time, &out->time_ns))
        return JSFS_CORRUPT;
    if (out->sequence < get->sequence_min || out->sequence > get->sequence_max)
        return JSFS_CORRUPT;
    out->operation = last_header(message, "KV-Operation");
    out->marker = last_header(message, "Nats-Marker-Reason");
    out->message_id = last_header(message, "Nats-Msg-Id");
    out->ttl = last_header(message, "Nats-TTL");
    return JSFS_OK;
}

static void answer(void *arg, enum jsfs_status status, natsMsg *reply)
{
    CLEANUP(cleanup_free) struct get *get = arg;
    struct direct_message message = {0};

    if (status == JSFS_OK)
        status = parse_message(reply, get, &message);
    if (status == JSFS_OK) {
        message.bytes =
            bytes_wrap(natsMsg_GetData(reply), (size_t)natsMsg_GetDataLength(reply),
                       destroy_message, reply);
        if (message.bytes == NULL)
            status = JSFS_NO_MEMORY;
    }
    if (message.bytes == NULL)
        natsMsg_Destroy(reply);
    get->done(get->arg, status, status == JSFS_OK ? &message : NULL);
    bytes_unref(message.bytes);
}

static void send(struct connection *connection, enum connection_link link,
                 const char *subject, const char *body, const struct get *wanted)
{
    struct request request = {.subject = subject,
                              .data = body,
                              .size = body != NULL ? strlen(body) : 0,
                              .resend = true};
    struct get *get = malloc(sizeof(*get));

    if (get == NULL) {
        wanted->done(wanted->arg, JSFS_NO_MEMORY, NULL);
        return;
    }
    *get = *wanted;
    requester_send(connection_requester(connection, link), &request, answer, get);
}

/* Ask with a JSON body, which is freed; NULL: it could not be made. */
static void ask(struct connection *connection, enum connection_link link,
                const char *stream, json_t *body, const struct get *wanted)
{
    CLEANUP(cleanup_free) char *subject = NULL;
    CLEANUP(cleanup_free) char *text = NULL;

    if (body == NULL) {
        wanted->done(wanted->arg, JSFS_NOT_UTF8, NULL);
        return;
    }
    text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    if (asprintf(&subject, "$JS.API.DIRECT.GET.%s", stream) < 0)
        subject = NULL; /* asprintf leaves it undefined */
    if (text == NULL || subject == NULL) {
        wanted->done(wanted->arg, JSFS_NO_MEMORY, NULL);
        return;
    }
    send(connection, link, subject, text, wanted);
}

void direct_get_last(struct connection *connection, enum connection_link link,
                     const char *stream, const char *subject, direct_get_done *done,
                     void *arg)
{
    const struct get wanted = {done, arg, 1, UINT64_MAX};
    char name[APPENDED_MAX + 512];

    if (strlen(subject) > APPENDED_MAX) {
        ask(connection, link, stream, json_pack("{s:s}", "last_by_subj", subject),
            &wanted);
        return;
    }
    snprintf(name, sizeof(name), "$JS.API.DIRECT.GET.%s.%s", stream, subject);
    send(connection, link, name, NULL, &wanted);
}

void direct_get_at(struct connection *connection, enum connection_link link,
                   const char *stream, uint64_t sequence, direct_get_done *done,
                   void *arg)
{
    const struct get wanted = {done, arg, sequence, sequence};
    char subject[512];
    char body[64];

    snprintf(subject, sizeof(subject), "$JS.API.DIRECT.GET.%s", stream);
    snprintf(body, sizeof(body), "{\"seq\":%" PRIu64 "}", sequence);
    send(connection, link, subject, body, &wanted);
}

void direct_get_next(struct connection *connection, enum connection_link link,
                     const char *stream, uint64_t sequence, const char *subject,
                     direct_get_done *done, void *arg)
{
    const struct get wanted = {done, arg, sequence, UINT64_MAX};

    ask(connection, link, stream,
        json_pack("{s:I,s:s}", "seq", (json_int_t)sequence, "next_by_subj", subject),
        &wanted);
}
