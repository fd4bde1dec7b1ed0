/* SPDX-License-Identifier: Apache-2.0 */
/* object_private.h - the object store's struct and what its parts offer each other, for
 * object_*.c of the store only.
 * Layer 3.
 */
#ifndef JSFS_CORE_OBJECT_PRIVATE_H
#define JSFS_CORE_OBJECT_PRIVATE_H

#include "core/name_set.h"
#include "core/object_meta.h"
#include "core/store_core.h"

struct object_store {
    struct store_core core; /* first; its prefix is "$O.<bucket>." */
    char bucket[256];
    char meta_prefix[280], chunk_prefix[280]; /* with the last '.' */
    struct name_set
        canonical; /* the watch's: names with a live meta on the canonical subject */
};

/* How clients write a name as a subject token (reference nats.md §2.1). */
enum object_encoding {
    OBJECT_CANONICAL, /* URL-safe, padded */
    OBJECT_STANDARD,  /* '+' and '/', padded */
    OBJECT_UNPADDED,  /* URL-safe */
    OBJECT_ENCODINGS
};

/* A stored meta message, from wherever it came; all borrowed. */
struct object_message {
    const char *data;
    size_t size; /* [bytes] */
    uint64_t sequence;
    int64_t time_ns;
    const char *marker;     /* Nats-Marker-Reason, or NULL */
    const char *message_id; /* Nats-Msg-Id, or NULL */
};

/* The meta subject of a name, for free().
 *   JSFS_BAD_NAME   empty;   JSFS_NOT_UTF8;   JSFS_NAME_TOO_LONG;   JSFS_NO_MEMORY
 */
enum jsfs_status object_meta_subject(const struct object_store *store, const char *name,
                                     enum object_encoding encoding, char **subject);

/* The name that a token stands for, or the token itself when it stands for none; for free(),
 * NULL without memory. */
char *object_name_of_token(const char *token);

/* The chunk subject of a nuid.
 *   JSFS_CORRUPT   the nuid is no subject token (foreign metas hold anything)
 */
enum jsfs_status object_chunk_subject(const struct object_store *store, const char *nuid,
                                      char **subject);

/* What a meta message says. meta is for object_meta_free(), NULL unless LIVE or DELETED, and
 * entry->meta points to it.
 *   JSFS_NO_MEMORY
 */
enum jsfs_status object_read_entry(const struct object_message *message,
                                   struct store_entry *entry, struct object_meta **meta);

/* The same of a message from the leader, whose headers are copied into ids. */
struct object_headers {
    char marker[64];
    char message_id[STORE_MESSAGE_ID_SIZE];
};
struct object_message object_leader_message(const struct js_stored_message *stored,
                                            struct object_headers *headers);

/* object_change.c: see store.h. */
void object_meta_put(struct store *store, const struct object_meta *meta,
                     const struct store_write *write, store_write_done *done, void *arg);
void object_remove(struct store *store, const char *name, const struct store_write *write,
                   store_write_done *done, void *arg);
void object_chunks_purge(struct store *store, const char *nuid, store_done *done,
                         void *arg);

/* object_chunks.c: see store.h. */
void object_chunk_get(struct store *store, const char *nuid, uint64_t sequence,
                      store_bytes_done *done, void *arg);
void object_chunk_first(struct store *store, const char *nuid, store_bytes_done *done,
                        void *arg);
void object_chunk_last(struct store *store, const char *nuid, store_bytes_done *done,
                       void *arg);
void object_chunk_put(struct store *store, const char *nuid, struct bytes *chunk,
                      store_write_done *done, void *arg);

/* object_map.c: see store.h. */
void object_chunk_map(struct store *store, const char *nuid, store_map_done *done,
                      void *arg);

#endif
