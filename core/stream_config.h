/* SPDX-License-Identifier: Apache-2.0 */
/* stream_config.h - the JSON bodies of JetStream API requests; pure.
 * Layer 2, over jansson. Every text is NUL-terminated, for free(); NULL without memory.
 */
#ifndef JSFS_CORE_STREAM_CONFIG_H
#define JSFS_CORE_STREAM_CONFIG_H

#include "core/config.h"
#include <stdbool.h>
#include <stdint.h>

/* STREAM.CREATE of a KV bucket as nats.go makes it (reference nats.md §1.3).
 *   bucket     checked with name_is_bucket()
 *   defaults   history, storage, replicas, ttl, limits
 *   api_level  0 for servers before 2.11; "compression" is only sent when asked for, and
 *              "allow_atomic" only from level 2 on
 */
char *stream_config_kv(const char *bucket, const struct config_bucket *defaults, int api_level);

/* STREAM.CREATE of an object store (reference nats.md §2.1). */
char *stream_config_object(const char *bucket, const struct config_bucket *defaults,
                           int api_level);

enum stream_deliver {
    STREAM_DELIVER_LAST_PER_SUBJECT, /* the newest of each subject, then all that comes */
    STREAM_DELIVER_FROM_SEQUENCE,    /* everything from start_sequence on */
    STREAM_DELIVER_ALL
};

/* CONSUMER.CREATE of an ordered push consumer (ADR-17; reference nats.md §3.5): no acks,
 * flow control, heartbeats, memory storage, one replica, inactive_threshold 5 s past loss.
 *   name, deliver, filter   consumer name, deliver subject, filter subject (NULL: none)
 *   heartbeat_ms            idle heartbeat, at least 100
 */
char *stream_config_consumer(const char *stream, const char *name, const char *deliver_subject,
                             const char *filter, enum stream_deliver deliver,
                             uint64_t start_sequence, bool headers_only, int64_t heartbeat_ms);

#endif
