/* SPDX-License-Identifier: Apache-2.0 */
/* kv_store.h - a KV bucket on the wire (ADR-8) behind store.h.
 * Layer 3.
 */
#ifndef JSFS_CORE_KV_STORE_H
#define JSFS_CORE_KV_STORE_H

#include "core/connection.h"
#include "core/store.h"

/* A store for an existing stream.
 *   info   of the stream KV_<bucket>; without allow_direct every read asks the leader
 *   returns   for ops->close(); NULL without memory
 * A mirror is read under its origin's subjects, and its writes are the origin's; what this mount
 * wrote and the mirror has not copied yet is read at the origin.
 * Keys that were copied from another bucket without a transform keep that bucket's subjects and
 * are shown under their own name, as kv_sources.h says. A bucket into which nothing can be
 * published takes no writes (JSFS_READ_ONLY).
 * Read-your-writes: the sequence of each own write is remembered per name until the watch or
 * an answer has passed it; an older direct-get answer is asked again of the leader.
 */
struct store *kv_store_open(struct connection *connection, const struct js_stream_info *info);

#endif
