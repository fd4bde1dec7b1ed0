/* SPDX-License-Identifier: Apache-2.0 */
/* delivery.h - what a consumer's message says of itself in its reply subject; pure.
 * Layer 2.
 */
#ifndef JSFS_CORE_DELIVERY_H
#define JSFS_CORE_DELIVERY_H

#include <stdbool.h>
#include <stdint.h>

struct delivery {
    uint64_t stream_sequence;
    uint64_t consumer_sequence; /* counts this consumer's messages from 1 */
    int64_t time_ns;            /* when the message was stored [ns since 1970] */
    uint64_t pending; /* matching messages behind this one, as the server counts */
};

/* Read "$JS.ACK.<stream>.<consumer>.<delivered>.<sseq>.<cseq>.<ns>.<pending>", or the form with
 * "<domain>.<account hash>" behind ACK and further tokens at the end (11 tokens or more).
 *   reply   may be NULL
 *   returns false, and out untouched, for anything else: a status message, a flow control
 *           request
 * Source: ADR-15; reference nats.md §3.5.
 */
bool delivery_parse(const char *reply, struct delivery *out);

#endif
