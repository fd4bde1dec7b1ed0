/* SPDX-License-Identifier: Apache-2.0 */
/* js_api.c - the JetStream API as calls: streams, consumers, stored messages.
 * Layer 3. Questions are sent again after a reconnect; what changes something is not, unless
 * doing it twice is the same as doing it once.
 */
#include "core/js_api.h"
#include "core/buffer.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/status_fold.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUBJECT_MAX                                                                      \
    512 /* [bytes] an API subject with a stream name; a longer one is cut to
                            a name that no stream has */
#define LIST_ATTEMPTS 5

static struct requester *control(struct connection *connection)
{
    return connection_requester(connection, CONNECTION_CONTROL);
}

static const char *text_of(natsMsg *reply)
{
    return natsMsg_GetData(reply);
}

static size_t size_of(natsMsg *reply)
{
    return (size_t)natsMsg_GetDataLength(reply);
}

static void cleanup_message(natsMsg **message)
{
    natsMsg_Destroy(*message);
}

/* "<api>.<verb>.<stream>"; api "": our own. */
static const char *subject_at(char out[SUBJECT_MAX], const char *api, const char *verb,
                              const char *stream)
{
    snprintf(out, SUBJECT_MAX, "%s.%s.%s", api[0] != '\0' ? api : "$JS.API", verb, stream);
    return out;
}

static const char *subject_of(char out[SUBJECT_MAX], const char *verb, const char *stream)
{
    return subject_at(out, "", verb, stream);
}

/* Ask and wait. reply is for natsMsg_Destroy(). */
static enum jsfs_status call(struct connection *connection, const char *subject,
                             const char *body, bool resend, natsMsg **reply)
{
    struct request request = {.subject = subject,
                              .data = body,
                              .size = body != NULL ? strlen(body) : 0,
                              .resend = resend};

    return requester_call(control(connection), &request, reply);
}

/* Ask and wait for success; only the error part of the reply is read. */
static enum jsfs_status command(struct connection *connection, const char *subject,
                                const char *body, bool resend)
{
    CLEANUP(cleanup_message) natsMsg *reply = NULL;
    struct js_error error;

    enum jsfs_status status = call(connection, subject, body, resend, &reply);
    if (status == JSFS_OK)
        status = js_reply_error(text_of(reply), size_of(reply), &error);
    return status == JSFS_OK ? status_fold_js(&error) : status;
}

enum jsfs_status js_api_account(struct connection *connection,
                                struct js_account_info *out)
{
    CLEANUP(cleanup_message) natsMsg *reply = NULL;
    struct js_account_info account;
    struct js_error error;

    enum jsfs_status status = call(connection, "$JS.API.INFO", NULL, true, &reply);
    if (status == JSFS_OK)
        status = js_reply_account(text_of(reply), size_of(reply), &error, &account);
    if (status == JSFS_OK)
        status = status_fold_js(&error);
    if (status == JSFS_OK)
        *out = account;
    return status;
}

static void note_clock(struct js_stream_info *info)
{
    if (info->told_ns != 0)
        info->clock_ahead_ns = info->told_ns - clock_realtime_ns();
}

static enum jsfs_status parse_info(natsMsg *reply, struct js_stream_info *out)
{
    struct js_stream_info info;
    struct js_error error;

    enum jsfs_status status =
        js_reply_stream_info(text_of(reply), size_of(reply), &error, &info);
    if (status == JSFS_OK)
        status = status_fold_js(&error);
    if (status == JSFS_OK) {
        note_clock(&info);
        *out = info;
    }
    return status;
}

enum jsfs_status js_api_stream_info(struct connection *connection, const char *stream,
                                    struct js_stream_info *out)
{
    CLEANUP(cleanup_message) natsMsg *reply = NULL;
    char subject[SUBJECT_MAX];

    enum jsfs_status status =
        call(connection, subject_of(subject, "STREAM.INFO", stream), NULL, true, &reply);
    return status == JSFS_OK ? parse_info(reply, out) : status;
}

/* What an asynchronous call answers to, and with. */
struct pending {
    union {
        store_info_done *info;
        store_done *plain;
        js_api_message_done *message;
    } done;
    void *arg;
};

/* Ask without waiting. body may be NULL.
 *   returns   false: without memory, nothing was asked and nothing will be answered
 */
static bool send(struct connection *connection, const struct request *request,
                 const struct pending *wanted, requester_done *answer)
{
    struct pending *pending = malloc(sizeof(*pending));

    if (pending == NULL)
        return false;
    *pending = *wanted;
    requester_send(control(connection), request, answer, pending);
    return true;
}

static void answer_info(void *arg, enum jsfs_status status, natsMsg *reply)
{
    CLEANUP(cleanup_free) struct pending *pending = arg;
    struct js_stream_info info;

    if (status == JSFS_OK)
        status = parse_info(reply, &info);
    natsMsg_Destroy(reply);
    pending->done.info(pending->arg, status, status == JSFS_OK ? &info : NULL);
}

void js_api_stream_info_async(struct connection *connection, const char *stream,
                              store_info_done *done, void *arg)
{
    js_api_origin_info(connection, "", stream, done, arg);
}

void js_api_origin_info(struct connection *connection, const char *api, const char *stream,
                        store_info_done *done, void *arg)
{
    char subject[SUBJECT_MAX];
    struct request request = {.subject = subject_at(subject, api, "STREAM.INFO", stream),
                              .resend = true};
    struct pending wanted = {.done.info = done, .arg = arg};

    if (!send(connection, &request, &wanted, answer_info))
        done(arg, JSFS_NO_MEMORY, NULL);
}

struct listing {
    struct buffer streams; /* of struct js_stream_info */
    uint64_t count;        /* read so far */
    uint64_t total;
    bool no_memory;
};

static void add_stream(void *arg, const struct js_stream_info *info)
{
    struct listing *listing = arg;
    struct js_stream_info stream = *info;

    note_clock(&stream);
    if (buffer_append(&listing->streams, &stream, sizeof(stream)) != JSFS_OK)
        listing->no_memory = true;
}

/* Read the page at listing->count. *moved: streams came or went since the first page, so that
 * one may have been passed over. */
static enum jsfs_status read_page(struct connection *connection, struct listing *listing,
                                  bool *moved)
{
    CLEANUP(cleanup_message) natsMsg *reply = NULL;
    struct js_error error;
    uint64_t total = 0;
    uint64_t count = 0;
    char body[64];

    snprintf(body, sizeof(body), "{\"offset\":%" PRIu64 "}", listing->count);
    enum jsfs_status status = call(connection, "$JS.API.STREAM.LIST", body, true, &reply);
    if (status == JSFS_OK)
        status = js_reply_stream_list(text_of(reply), size_of(reply), &error, add_stream,
                                      listing, &total, &count);
    if (status == JSFS_OK)
        status = status_fold_js(&error);
    if (status == JSFS_OK && listing->no_memory)
        status = JSFS_NO_MEMORY;
    if (status != JSFS_OK)
        return status;

    *moved = (listing->count > 0 && total != listing->total) ||
             (count == 0 && listing->count < total);
    listing->total = total;
    listing->count += count;
    return JSFS_OK;
}

static enum jsfs_status read_list(struct connection *connection, struct listing *listing,
                                  bool *moved)
{
    enum jsfs_status status = JSFS_OK;

    buffer_clear(&listing->streams);
    listing->count = 0;
    do {
        status = read_page(connection, listing, moved);
    } while (status == JSFS_OK && !*moved && listing->count < listing->total);
    return status;
}

enum jsfs_status
js_api_stream_list(struct connection *connection,
                   void (*each)(void *arg, const struct js_stream_info *), void *arg)
{
    struct listing listing = {.streams = BUFFER_INIT};
    enum jsfs_status status = JSFS_OK;
    bool moved = true;

    for (int i = 0; i < LIST_ATTEMPTS && status == JSFS_OK && moved; i++)
        status = read_list(connection, &listing, &moved);
    if (status == JSFS_OK && moved)
        status = JSFS_BUSY;
    if (status == JSFS_OK) {
        const struct js_stream_info *streams = (const void *)listing.streams.data;
        for (size_t i = 0; i < listing.streams.size / sizeof(*streams); i++)
            each(arg, &streams[i]);
    }
    buffer_clear(&listing.streams);
    return status;
}

enum jsfs_status js_api_stream_create(struct connection *connection, const char *stream,
                                      const char *config)
{
    char subject[SUBJECT_MAX];

    return command(connection, subject_of(subject, "STREAM.CREATE", stream), config,
                   true);
}

enum jsfs_status js_api_stream_delete(struct connection *connection, const char *stream)
{
    char subject[SUBJECT_MAX];

    return command(connection, subject_of(subject, "STREAM.DELETE", stream), NULL, false);
}

/* {"<key>":"<text>"}, for free().
 *   JSFS_NOT_UTF8   JSON cannot carry the text
 */
static enum jsfs_status make_body(const char *key, const char *text, char **out)
{
    json_t *object = json_pack("{s:s}", key, text);

    if (object == NULL)
        return JSFS_NOT_UTF8;
    *out = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    return *out != NULL ? JSFS_OK : JSFS_NO_MEMORY;
}

enum jsfs_status js_api_stream_purge(struct connection *connection, const char *stream,
                                     const char *filter)
{
    CLEANUP(cleanup_free) char *body = NULL;
    char subject[SUBJECT_MAX];

    enum jsfs_status status = make_body("filter", filter, &body);
    if (status != JSFS_OK)
        return status;
    return command(connection, subject_of(subject, "STREAM.PURGE", stream), body, false);
}

static void answer_plain(void *arg, enum jsfs_status status, natsMsg *reply)
{
    CLEANUP(cleanup_free) struct pending *pending = arg;
    struct js_error error;

    if (status == JSFS_OK)
        status = js_reply_error(text_of(reply), size_of(reply), &error);
    if (status == JSFS_OK)
        status = status_fold_js(&error);
    natsMsg_Destroy(reply);
    pending->done.plain(pending->arg, status);
}

void js_api_stream_purge_async(struct connection *connection, const char *stream,
                               const char *filter, store_done *done, void *arg)
{
    CLEANUP(cleanup_free) char *body = NULL;
    char subject[SUBJECT_MAX];
    struct pending wanted = {.done.plain = done, .arg = arg};

    enum jsfs_status status = make_body("filter", filter, &body);
    if (status != JSFS_OK) {
        done(arg, status);
        return;
    }
    struct request request = {.subject = subject_of(subject, "STREAM.PURGE", stream),
                              .data = body,
                              .size = strlen(body)};
    if (!send(connection, &request, &wanted, answer_plain))
        done(arg, JSFS_NO_MEMORY);
}

void js_api_stream_purge_to_async(struct connection *connection, const char *stream,
                                  const char *filter, uint64_t last_sequence,
                                  store_done *done, void *arg)
{
    CLEANUP(cleanup_free) char *body = NULL;
    char subject[SUBJECT_MAX];
    struct pending wanted = {.done.plain = done, .arg = arg};
    json_t *object =
        json_pack("{s:s,s:I}", "filter", filter, "seq", (json_int_t)(last_sequence + 1));

    if (object == NULL) {
        done(arg, JSFS_NOT_UTF8);
        return;
    }
    body = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    struct request request = {.subject = subject_of(subject, "STREAM.PURGE", stream),
                              .data = body,
                              .size = body != NULL ? strlen(body) : 0,
                              .resend = true};
    if (body == NULL || !send(connection, &request, &wanted, answer_plain))
        done(arg, JSFS_NO_MEMORY);
}

static void answer_message(void *arg, enum jsfs_status status, natsMsg *reply)
{
    CLEANUP(cleanup_free) struct pending *pending = arg;
    struct js_stored_message message = {0};
    struct js_error error;

    if (status == JSFS_OK)
        status = js_reply_message(text_of(reply), size_of(reply), &error, &message);
    if (status == JSFS_OK)
        status = status_fold_js(&error);
    natsMsg_Destroy(reply);
    pending->done.message(pending->arg, status, status == JSFS_OK ? &message : NULL);
    js_stored_message_clear(&message);
}

static void get_message(struct connection *connection, const char *api, const char *stream,
                        const char *body, js_api_message_done *done, void *arg)
{
    char subject[SUBJECT_MAX];
    struct pending wanted = {.done.message = done, .arg = arg};
    struct request request = {.subject = subject_at(subject, api, "STREAM.MSG.GET", stream),
                              .data = body,
                              .size = strlen(body),
                              .resend = true};

    if (!send(connection, &request, &wanted, answer_message))
        done(arg, JSFS_NO_MEMORY, NULL);
}

void js_api_message_last(struct connection *connection, const char *stream,
                         const char *subject, js_api_message_done *done, void *arg)
{
    js_api_origin_last(connection, "", stream, subject, done, arg);
}

void js_api_origin_last(struct connection *connection, const char *api, const char *stream,
                        const char *subject, js_api_message_done *done, void *arg)
{
    CLEANUP(cleanup_free) char *body = NULL;
    enum jsfs_status status = make_body("last_by_subj", subject, &body);

    if (status == JSFS_OK)
        get_message(connection, api, stream, body, done, arg);
    else
        done(arg, status, NULL);
}

void js_api_message_at(struct connection *connection, const char *stream,
                       uint64_t sequence, js_api_message_done *done, void *arg)
{
    js_api_origin_at(connection, "", stream, sequence, done, arg);
}

void js_api_origin_at(struct connection *connection, const char *api, const char *stream,
                      uint64_t sequence, js_api_message_done *done, void *arg)
{
    char body[64];

    snprintf(body, sizeof(body), "{\"seq\":%" PRIu64 "}", sequence);
    get_message(connection, api, stream, body, done, arg);
}

void js_api_message_next(struct connection *connection, const char *stream,
                         uint64_t sequence, const char *filter, js_api_message_done *done,
                         void *arg)
{
    json_t *json = json_pack("{s:I,s:s}", "seq", (json_int_t)sequence, "next_by_subj", filter);
    CLEANUP(cleanup_free) char *body = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;

    json_decref(json);
    if (body != NULL)
        get_message(connection, "", stream, body, done, arg);
    else
        done(arg, JSFS_NO_MEMORY, NULL);
}

enum jsfs_status js_api_consumer_create(struct connection *connection, const char *stream,
                                        const char *name, const char *filter,
                                        const char *config, uint64_t *pending)
{
    CLEANUP(cleanup_free) char *subject = NULL;
    CLEANUP(cleanup_message) natsMsg *reply = NULL;
    struct js_error error;
    char created[256];
    uint64_t count = 0;

    if (asprintf(&subject, "$JS.API.CONSUMER.CREATE.%s.%s.%s", stream, name, filter) <
        0) {
        subject = NULL; /* asprintf leaves it undefined */
        return JSFS_NO_MEMORY;
    }
    enum jsfs_status status = call(connection, subject, config, false, &reply);
    if (status == JSFS_OK)
        status =
            js_reply_consumer(text_of(reply), size_of(reply), &error, created, &count);
    if (status == JSFS_OK)
        status = status_fold_js(&error);
    if (status == JSFS_OK)
        *pending = count;
    return status;
}

static void ignore(void *arg, enum jsfs_status status, natsMsg *reply)
{
    (void)arg;
    (void)status;
    natsMsg_Destroy(reply);
}

void js_api_consumer_delete(struct connection *connection, const char *stream,
                            const char *name)
{
    CLEANUP(cleanup_free) char *subject = NULL;

    if (asprintf(&subject, "$JS.API.CONSUMER.DELETE.%s.%s", stream, name) < 0) {
        subject = NULL; /* asprintf leaves it undefined */
        return;         /* the server deletes it when it sees that nobody listens */
    }
    struct request request = {.subject = subject};
    requester_send(control(connection), &request, ignore, NULL);
}
