/* SPDX-License-Identifier: Apache-2.0 */
/* link.h - one nats.c connection with its requester, as connection.c needs three.
 * Layer 3. Connects again by itself for ever; tells when it is lost and when it is back.
 */
#ifndef JSFS_CORE_LINK_H
#define JSFS_CORE_LINK_H

#include "core/executor.h"
#include "core/requester.h"
#include "core/status.h"
#include <nats/nats.h>
#include <stdbool.h>
#include <stddef.h>

struct link;

struct link_options {
    const char *urls; /* "nats://host:port[,…]" */
    const char *name; /* what the server's list of connections shows */
    int timeout_ms;   /* one request; connecting, all servers together */
    int buffer_bytes; /* nats.c's read buffer, and its write buffer */
    /* Called after each loss and return, on nats.c's callback thread; must not block. May be
     * NULL. */
    void (*changed)(void *arg, bool up);
    void *arg;
};

/* Connect.
 *   error   on failure one line for the user, cut to error_size
 *   JSFS_UNAVAILABLE   no server answers;  JSFS_DENIED   the server refuses the user;
 *   JSFS_INVALID       a URL, or TLS where the other side has none
 * Blocks: at most timeout_ms and name resolution.
 */
enum jsfs_status link_open(const struct link_options *options, struct executor *executor,
                           struct link **out, char *error, size_t error_size);

/* Close and free; what is in flight ends with JSFS_INTERRUPTED. `changed` is not called any
 * more once it has returned. Blocks: for running callbacks. NULL is fine.
 */
void link_close(struct link *link);

/* Both are fixed for the life of the link. */
natsConnection *link_nats(struct link *link);
struct requester *link_requester(struct link *link);

/* True while connected. Blocks: no (nats.c's own question waits for a reconnect attempt). */
bool link_is_up(struct link *link);

/* True when the server refused the subscription that all answers come through. */
bool link_is_deaf(struct link *link);

/* The server's max_payload when it was last connected [bytes]. Blocks: no. */
size_t link_max_payload(struct link *link);

/* The URL of the server it is or was last connected to, without credentials, cut to size. */
void link_url(struct link *link, char *out, size_t size);

/* URLs, comma-separated, without their credentials, cut to size. */
void link_hide_credentials(const char *urls, char *out, size_t size);

#endif
