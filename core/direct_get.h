/* SPDX-License-Identifier: Apache-2.0 */
/* direct_get.h - one stored message by DIRECT.GET, without copying its bytes.
 * Layer 3. May be answered by any replica or mirror: the caller compares sequences.
 * Source: ADR-31; reference nats.md §3.3.
 */
#ifndef JSFS_CORE_DIRECT_GET_H
#define JSFS_CORE_DIRECT_GET_H

#include "core/bytes.h"
#include "core/connection.h"
#include "core/status.h"
#include <stdint.h>

/* A stored message; strings and bytes are borrowed for the callback, keep bytes with
 * bytes_ref(). */
struct direct_message {
    struct bytes *bytes;
    const char *subject;
    uint64_t sequence;
    int64_t time_ns;
    const char *operation;  /* KV-Operation, or NULL */
    const char *marker;     /* Nats-Marker-Reason, or NULL */
    const char *message_id; /* Nats-Msg-Id, or NULL */
    const char *ttl;        /* Nats-TTL, or NULL */
};
/* JSFS_NOT_FOUND: 404. JSFS_UNAVAILABLE: no responders: no such stream, or no direct get
 * there (2.9 does not answer at all: JSFS_TIMEOUT). */
typedef void direct_get_done(void *arg, enum jsfs_status status,
                             const struct direct_message *message);

void direct_get_last(struct connection *connection, enum connection_link link,
                     const char *stream, const char *subject, direct_get_done *done, void *arg);
void direct_get_at(struct connection *connection, enum connection_link link,
                   const char *stream, uint64_t sequence, direct_get_done *done, void *arg);
/* The first message of a subject at or behind a sequence. */
void direct_get_next(struct connection *connection, enum connection_link link,
                     const char *stream, uint64_t sequence, const char *subject,
                     direct_get_done *done, void *arg);

#endif
