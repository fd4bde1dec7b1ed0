/* SPDX-License-Identifier: Apache-2.0 */
/* kv_store.h - a KV bucket on the wire (ADR-8) behind store.h.
 * Layer 3.
 */
#ifndef JSFS_CORE_KV_STORE_H
#define JSFS_CORE_KV_STORE_H

#include "core/connection.h"
#include "core/store.h"

/* A store for an existing stream.
 *   info   of the stream KV_<bucket>: a mirror is read under its origin's subjects and takes
 *          no writes (JSFS_NOT_ALLOWED); without allow_direct every read asks the leader
 *   returns   for ops->close(); NULL without memory
 * Read-your-writes: the sequence of each own write is remembered per name until the watch or
 * an answer has passed it; an older direct-get answer is asked again of the leader.
 */
struct store *kv_store_open(struct connection *connection, const struct js_stream_info *info);

#endif
