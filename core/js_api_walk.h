/* SPDX-License-Identifier: Apache-2.0 */
/* js_api_walk.h - every stored message of one subject without its data, in order.
 * Layer 3. One ordered consumer of its own, gone afterwards; it never gives a short list:
 * the walk is complete when it has come to a sequence that the leader called the subject's last,
 * whatever the server says is pending (reference nats.md §1.6).
 */
#ifndef JSFS_CORE_JS_API_WALK_H
#define JSFS_CORE_JS_API_WALK_H

#include "core/connection.h"
#include "core/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A stored message; texts are borrowed for the call. */
struct walk_message {
    uint64_t sequence;
    int64_t time_ns;
    uint64_t size_bytes;   /* of its data */
    const char *operation; /* KV-Operation, or NULL */
    const char *marker;    /* Nats-Marker-Reason, or NULL */
};

struct walk_request {
    const char *stream, *subject;
    uint64_t last_sequence; /* of the subject, as the leader says */
    int heartbeat_ms;       /* at least 100; how soon a walk that cannot end is noticed */
    /* A message; anything but JSFS_OK ends the walk with that. */
    enum jsfs_status (*message)(void *arg, const struct walk_message *message);
    /* False: nobody wants the answer any more. */
    bool (*wanted)(void *arg);
    void *arg;
};

/* Walk once.
 *   JSFS_OK       every message up to last_sequence was told
 *   JSFS_BUSY     one was lost on the way: walk again
 *   JSFS_STALE    the server has sent all there is, and last_sequence was not among it: the
 *                 subject was purged, or the consumer is on a replica that lags; look at the
 *                 leader again
 *   JSFS_INTERRUPTED   not wanted any more
 *   JSFS_TIMEOUT  no message came for the connection's timeout;   and what js_api.h says
 * Blocks; for executor tasks.
 */
enum jsfs_status js_api_walk(struct connection *connection,
                             const struct walk_request *request);

/* How long the body is of a message that came headers-only [bytes]: the last Nats-Msg-Size, for the
 * server appends its own to the headers that were stored; 0 without one. */
uint64_t js_api_stored_size(natsMsg *msg);

#endif
