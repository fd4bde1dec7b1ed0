/* SPDX-License-Identifier: Apache-2.0 */
/* connection.c - the mount's connections to NATS and what is known of the server.
 * Layer 3.
 */
#include "core/connection.h"
#include "core/cleanup.h"
#include "core/js_reply.h"
#include "core/link.h"
#include "core/log.h"
#include "core/status_fold.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define LINKS 3

struct connection {
    struct link *links[LINKS]; /* by enum connection_link */
    struct executor *executor;
    int timeout_ms;
    atomic_int api_level;

    pthread_mutex_t lock;
    pthread_cond_t called;                 /* lock; calling has become NULL */
    struct connection_observer *observers; /* lock */
    struct connection_observer *cursor;    /* lock; whom notify() calls next */
    struct connection_observer *calling;   /* lock; whom it calls now */
};

/* 32 KiB to 1 MiB differ by less than the noise in 128 KiB chunks a second; a chunk that fits
 * whole into the read buffer is copied once instead of twice. */
static const struct {
    const char *name;
    int buffer_bytes;
} kinds[LINKS] = {
    [CONNECTION_CONTROL] = {"jsfs",        64 * 1024 },
    [CONNECTION_FETCH] = {"jsfs fetch",  512 * 1024},
    [CONNECTION_UPLOAD] = {"jsfs upload", 32 * 1024 },
};

static const struct request account_question = {.subject = "$JS.API.INFO",
                                                .resend = true};

static void notify(struct connection *connection, bool up)
{
    pthread_mutex_lock(&connection->lock);
    connection->cursor = connection->observers;
    while (connection->cursor != NULL) {
        struct connection_observer *observer = connection->cursor;
        connection->cursor = observer->next;
        connection->calling = observer;
        pthread_mutex_unlock(&connection->lock);
        observer->changed(observer->arg, up);
        pthread_mutex_lock(&connection->lock);
        connection->calling = NULL;
        pthread_cond_broadcast(&connection->called);
    }
    pthread_mutex_unlock(&connection->lock);
}

/* The server may be another one, or a newer one, after a reconnect. */
static void learn_level(void *arg, enum jsfs_status status, natsMsg *reply)
{
    struct connection *connection = arg;
    struct js_account_info account;
    struct js_error js_error;

    if (status == JSFS_OK &&
        js_reply_account(natsMsg_GetData(reply), (size_t)natsMsg_GetDataLength(reply),
                         &js_error, &account) == JSFS_OK &&
        status_fold_js(&js_error) == JSFS_OK)
        atomic_store(&connection->api_level, account.api_level);
    natsMsg_Destroy(reply);
}

static void control_changed(void *arg, bool up)
{
    struct connection *connection = arg;

    jsfs_debug("connection=%s", up ? "up" : "down");
    if (up)
        requester_send(link_requester(connection->links[CONNECTION_CONTROL]),
                       &account_question, learn_level, connection);
    notify(connection, up);
}

static void describe_account(enum jsfs_status status, const struct js_error *js_error,
                             bool deaf, char *error, size_t error_size)
{
    if (js_error->code != 0)
        snprintf(error, error_size, "JetStream does not work on this server: %s",
                 js_error->description);
    else if (status == JSFS_UNSUPPORTED)
        snprintf(error, error_size, "JetStream is not enabled on this server");
    else if (deaf)
        snprintf(error, error_size, "this user may not subscribe to _INBOX.>");
    else if (status == JSFS_DENIED)
        snprintf(error, error_size, "this user may not publish to %s",
                 account_question.subject);
    else
        snprintf(error, error_size, "JetStream does not answer: %s",
                 jsfs_status_text(status));
}

static enum jsfs_status ask_account(struct connection *connection, char *error,
                                    size_t error_size)
{
    struct link *control = connection->links[CONNECTION_CONTROL];
    struct js_account_info account = {0};
    struct js_error js_error = {0};
    natsMsg *reply = NULL;

    enum jsfs_status status =
        requester_call(link_requester(control), &account_question, &reply);
    if (status == JSFS_OK)
        status =
            js_reply_account(natsMsg_GetData(reply), (size_t)natsMsg_GetDataLength(reply),
                             &js_error, &account);
    else if (status == JSFS_UNAVAILABLE && link_is_up(control))
        status = JSFS_UNSUPPORTED; /* nobody listens to the API: JetStream is off */
    if (status == JSFS_OK)
        status = status_fold_js(&js_error);
    natsMsg_Destroy(reply);

    bool deaf = link_is_deaf(control);
    if (status != JSFS_OK)
        describe_account(status, &js_error, deaf, error, error_size);
    else
        atomic_store(&connection->api_level, account.api_level);
    return status == JSFS_TIMEOUT && deaf ? JSFS_DENIED : status;
}

static enum jsfs_status open_links(struct connection *connection,
                                   const struct connection_options *options, char *error,
                                   size_t error_size)
{
    enum jsfs_status status = JSFS_OK;

    for (int i = 0; i < LINKS && status == JSFS_OK; i++) {
        struct link_options link = {.urls = options->urls,
                                    .name = kinds[i].name,
                                    .timeout_ms = options->timeout_ms,
                                    .buffer_bytes = kinds[i].buffer_bytes,
                                    .changed =
                                        i == CONNECTION_CONTROL ? control_changed : NULL,
                                    .arg = connection};
        status = link_open(&link, connection->executor, &connection->links[i], error,
                           error_size);
    }
    return status;
}

static enum jsfs_status check_server(struct connection *connection, char *error,
                                     size_t error_size)
{
    if (natsConnection_HasHeaderSupport(
            connection_nats(connection, CONNECTION_CONTROL)) != NATS_OK) {
        snprintf(error, error_size, "this server has no message headers");
        return JSFS_UNSUPPORTED;
    }
    return ask_account(connection, error, error_size);
}

enum jsfs_status connection_open(const struct connection_options *options,
                                 struct executor *executor, struct connection **out,
                                 char *error, size_t error_size)
{
    struct connection *connection = calloc(1, sizeof(*connection));

    if (connection == NULL) {
        snprintf(error, error_size, "out of memory");
        return JSFS_NO_MEMORY;
    }
    connection->executor = executor;
    connection->timeout_ms = options->timeout_ms;
    pthread_mutex_init(&connection->lock, NULL);
    pthread_cond_init(&connection->called, NULL);

    enum jsfs_status status = open_links(connection, options, error, error_size);
    if (status == JSFS_OK)
        status = check_server(connection, error, error_size);
    if (status != JSFS_OK) {
        connection_close(connection);
        return status;
    }
    *out = connection;
    return JSFS_OK;
}

void connection_interrupt(struct connection *connection)
{
    for (int i = 0; i < LINKS; i++)
        requester_stop(link_requester(connection->links[i]));
}

void connection_close(struct connection *connection)
{
    if (connection == NULL)
        return;

    for (int i = 0; i < LINKS; i++)
        link_close(connection->links[i]);
    pthread_cond_destroy(&connection->called);
    pthread_mutex_destroy(&connection->lock);
    free(connection);
}

bool connection_is_up(struct connection *connection)
{
    return link_is_up(connection->links[CONNECTION_CONTROL]);
}

void connection_observe(struct connection *connection,
                        struct connection_observer *observer)
{
    SCOPED_LOCK(&connection->lock);
    observer->next = connection->observers;
    connection->observers = observer;
}

void connection_unobserve(struct connection *connection,
                          struct connection_observer *observer)
{
    SCOPED_LOCK(&connection->lock);
    struct connection_observer **at = &connection->observers;
    while (*at != NULL && *at != observer)
        at = &(*at)->next;
    if (*at != NULL)
        *at = observer->next;
    if (connection->cursor == observer)
        connection->cursor = observer->next;
    while (connection->calling == observer)
        pthread_cond_wait(&connection->called, &connection->lock);
}

struct requester *connection_requester(struct connection *connection,
                                       enum connection_link link)
{
    return link_requester(connection->links[link]);
}

natsConnection *connection_nats(struct connection *connection, enum connection_link link)
{
    return link_nats(connection->links[link]);
}

struct executor *connection_executor(struct connection *connection)
{
    return connection->executor;
}

size_t connection_max_payload(struct connection *connection)
{
    return link_max_payload(connection->links[CONNECTION_CONTROL]);
}

int connection_api_level(struct connection *connection)
{
    return atomic_load(&connection->api_level);
}

int connection_timeout_ms(struct connection *connection)
{
    return connection->timeout_ms;
}

void connection_url(struct connection *connection, char *out, size_t size)
{
    link_url(connection->links[CONNECTION_CONTROL], out, size);
}
