/* SPDX-License-Identifier: Apache-2.0 */
/* connection.h - the mount's connections to NATS and what is known of the server.
 * Layer 3. Three nats.c connections, so that bulk data never delays an answer: CONTROL (KV,
 * API, watches), FETCH (object chunks in), UPLOAD (object chunks out; may block its sender).
 * Connects again by itself for ever.
 */
#ifndef JSFS_CORE_CONNECTION_H
#define JSFS_CORE_CONNECTION_H

#include "core/executor.h"
#include "core/js_reply.h"
#include "core/requester.h"
#include "core/status.h"
#include <stdbool.h>
#include <stddef.h>

struct connection;

enum connection_link { CONNECTION_CONTROL, CONNECTION_FETCH, CONNECTION_UPLOAD };

struct connection_options {
    const char *urls;  /* "nats://host:port[,…]" */
    int timeout_ms;    /* one request, and the first connect */
};

/* Connect and check that JetStream answers. nats.c's threads start here: not before fork(2).
 *   error   on failure one line for the user, cut to error_size
 *   JSFS_UNAVAILABLE   no server answers;  JSFS_UNSUPPORTED   JetStream is off (server or
 *                      account), or the server has no headers;  JSFS_DENIED;  JSFS_INVALID a URL
 * Blocks: at most timeout_ms for connecting and timeout_ms for the question.
 */
enum jsfs_status connection_open(const struct connection_options *options,
                                 struct executor *executor, struct connection **out,
                                 char *error, size_t error_size);

/* End all that is in flight with JSFS_INTERRUPTED, and from now on every request at once. */
void connection_interrupt(struct connection *connection);

/* Close all three. Everything opened on it must be closed. Blocks. NULL is fine. */
void connection_close(struct connection *connection);

/* True while CONTROL is connected. */
bool connection_is_up(struct connection *connection);

/* Called after each loss and return of CONTROL, on a nats.c thread; must not block. */
struct connection_observer {
    void (*changed)(void *arg, bool up);
    void *arg;
    struct connection_observer *next; /* private */
};
/* Add or remove an observer (the caller's struct, linked in). remove blocks until a running
 * call has returned. */
void connection_observe(struct connection *connection, struct connection_observer *observer);
void connection_unobserve(struct connection *connection, struct connection_observer *observer);

struct requester *connection_requester(struct connection *connection,
                                       enum connection_link link);
natsConnection *connection_nats(struct connection *connection, enum connection_link link);
struct executor *connection_executor(struct connection *connection);

/* The server's max_payload now [bytes]. */
size_t connection_max_payload(struct connection *connection);

/* JetStream API level; 0 below 2.11. */
int connection_api_level(struct connection *connection);

int connection_timeout_ms(struct connection *connection);

/* The URL that CONTROL is connected to, without credentials; copied into out, cut to size. */
void connection_url(struct connection *connection, char *out, size_t size);

#endif
