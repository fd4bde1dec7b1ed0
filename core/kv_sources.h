/* SPDX-License-Identifier: Apache-2.0 */
/* kv_sources.h - keys of a bucket that copies from other buckets without a transform: the copies
 * keep the subjects of where they come from, $KV.<origin>.<key> in the stream KV_<bucket>.
 * Layer 3, private to kv_store.c. nats.go and nats.js make buckets with transforms, whose keys
 * are ordinary; nats.c and others make them without, and servers before 2.10 know none.
 *
 * A key is shown under its own name. Where several subjects carry the same name, the newest
 * message is the key's, a marker too: so a write of ours, which goes to the bucket's own subject,
 * is what the key has then, until the origin changes.
 */
#ifndef JSFS_CORE_KV_SOURCES_H
#define JSFS_CORE_KV_SOURCES_H

#include "core/publication.h"
#include "core/store_core.h"

/* The key of a stored subject, within it; NULL: it is none of this bucket. */
const char *kv_sources_name(const struct store_core *core, const char *subject);

/* The prefixes under which a key may be stored: the own one is number 0, those of sources follow.
 *   returns   false: there are no more */
#define KV_PREFIX_SIZE 272
bool kv_sources_prefix(const struct store_core *core, unsigned number,
                       char out[KV_PREFIX_SIZE]);

/* store.h's lookup over all subjects of a name, one after the other. */
void kv_sources_lookup(struct store_core *core, const char *name, bool leader,
                       store_entry_done *done, void *arg);

/* Publish under the own subject what is conditional on the newest message of all subjects: the
 * leader is asked for it. A copy that comes between the answer and the write is not noticed: it
 * is older than the write, and the history has both.
 *   JSFS_EXISTS     STORE_EXPECT_ABSENT, and it lives;   JSFS_CONFLICT   STORE_EXPECT_AT */
void kv_sources_publish(struct store_core *core, const char *name,
                        const struct publication *p, store_write_done *done, void *arg);

/* kv_store.c: a lookup under one prefix; a write to the own subject. */
void kv_store_lookup_under(struct store_core *core, const char *prefix, const char *name,
                           bool leader, store_entry_done *done, void *arg);
void kv_store_publish(struct store_core *core, const char *name,
                      const struct publication *p, store_write_done *done, void *arg);

#endif
