/* SPDX-License-Identifier: Apache-2.0 */
/* requester.h - many requests at once over one nats.c connection, answered by callback.
 * Layer 3. One wildcard inbox subscription; a table of what is awaited; deadlines from a timer.
 */
#ifndef JSFS_CORE_REQUESTER_H
#define JSFS_CORE_REQUESTER_H

#include "core/executor.h"
#include "core/status.h"
#include <nats/nats.h>
#include <stdbool.h>
#include <stddef.h>

struct requester;

/* The answer.
 *   status   JSFS_OK with a reply; JSFS_TIMEOUT: no answer (it may have been done);
 *            JSFS_UNAVAILABLE: nobody listens (503), or it could not be sent;
 *            JSFS_DENIED: the server refused the publish; JSFS_INTERRUPTED: closed
 *   reply    taken by the callee: natsMsg_Destroy(); NULL unless JSFS_OK
 * Runs on a delivery thread, the timer thread or the caller's; must not block.
 */
typedef void requester_done(void *arg, enum jsfs_status status, natsMsg *reply);

struct request {
    const char *subject;
    const char *const *headers; /* name, value, name, value …, NULL; NULL: none */
    const void *data;
    size_t size;    /* [bytes] */
    int timeout_ms; /* 0: the requester's */
    bool resend;    /* safe to send twice: kept, and sent again after a reconnect */
};

/* Subscribe the inbox. connection and executor must outlive it. timeout_ms: default deadline. */
enum jsfs_status requester_open(natsConnection *connection, struct executor *executor,
                                int timeout_ms, struct requester **out);

/* Send a request; everything in it is copied or sent before it returns. May block while the
 * socket is full, at most the write deadline.   Threads: any.
 */
void requester_send(struct requester *requester, const struct request *request,
                    requester_done *done, void *arg);

/* Send and wait. Blocks at most the deadline; never call it from a delivery thread. */
enum jsfs_status requester_call(struct requester *requester,
                                const struct request *request, natsMsg **reply);

/* The connection was lost: what is not `resend` fails with JSFS_TIMEOUT now. */
void requester_disconnected(struct requester *requester);

/* The connection is back: send again what waits and is `resend`. */
void requester_reconnected(struct requester *requester);

/* How often it was back so far: a `resend` request may have been sent once more each time. */
unsigned requester_reconnects(struct requester *requester);

/* The server refused a publish to a subject (-ERR Permissions Violation): fail the oldest
 * request to it with JSFS_DENIED. */
void requester_denied(struct requester *requester, const char *subject);

/* Fail what is awaited, and all that is sent from now on, with JSFS_INTERRUPTED: for the time
 * in which the connection is closed. NULL is fine. Runs callbacks. */
void requester_stop(struct requester *requester);

/* requester_stop(), unsubscribe, free. NULL is fine.
 * Blocks until no callback runs.
 */
void requester_close(struct requester *requester);

#endif
