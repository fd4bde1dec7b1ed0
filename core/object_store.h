/* SPDX-License-Identifier: Apache-2.0 */
/* object_store.h - an object store on the wire (ADR-20) behind store.h.
 * Layer 3.
 */
#ifndef JSFS_CORE_OBJECT_STORE_H
#define JSFS_CORE_OBJECT_STORE_H

#include "core/connection.h"
#include "core/store.h"

/* A store for an existing stream OBJ_<bucket>; NULL without memory. lookup tries the canonical
 * meta subject, then standard base64, then the unpadded form (reference nats.md §2.1); writes go
 * to the canonical one only. The watch trusts the JSON's name.
 */
struct store *object_store_open(struct connection *connection,
                                const struct js_stream_info *info);

#endif
