/* SPDX-License-Identifier: Apache-2.0 */
/* kv_private.h - what the parts of the KV store offer each other, for kv_*.c only.
 * Layer 3.
 */
#ifndef JSFS_CORE_KV_PRIVATE_H
#define JSFS_CORE_KV_PRIVATE_H

#include "core/js_reply.h"
#include "core/publication.h"
#include "core/store_core.h"

/* The subject of a key under a prefix, for free().
 *   JSFS_BAD_NAME       no subject: publishing it would break the protocol
 *   JSFS_NAME_TOO_LONG  the server would hang up
 */
enum jsfs_status kv_subject_of(const char *prefix, const char *name, char **subject);

/* What the headers KV-Operation and Nats-Marker-Reason say (NULL: not there); the size of the
 * data says nothing (reference nats.md §1.5). */
enum store_state kv_state_of(const char *operation, const char *marker);

/* The same of a message from the leader. */
enum store_state kv_stored_state(const struct js_stored_message *message);

struct store_entry kv_entry_of(enum store_state state, uint64_t sequence, int64_t time_ns,
                               uint64_t size_bytes, const char *message_id);

/* Publish under a key and remember the sequence as our own; p->subject and is_live are set here.
 */
void kv_write(struct store *store, const char *name, const struct publication *p,
              store_write_done *done, void *arg);

/* kv_batch.c: see store.h. */
void kv_batch(struct store *store, const struct store_batch_item *items, size_t count,
              store_write_done *done, void *arg);

/* kv_history.c: see store.h. */
void kv_history(struct store *store, const char *name, store_history_done *done,
                void *arg);
void kv_purge(struct store *store, const char *name, const struct store_write *write,
              store_write_done *done, void *arg);
void kv_erase(struct store *store, const char *name, store_write_done *done, void *arg);

#endif
