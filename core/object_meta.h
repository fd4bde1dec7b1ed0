/* SPDX-License-Identifier: Apache-2.0 */
/* object_meta.h - an object's meta message (ADR-20 ObjectInfo) as a struct, and as JSON; pure.
 * Layer 2, over jansson. Reads what any client writes (reference nats.md §2.2); writes what
 * every client reads.
 */
#ifndef JSFS_CORE_OBJECT_META_H
#define JSFS_CORE_OBJECT_META_H

#include "core/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct object_meta {
    char *name;               /* UTF-8, not empty */
    char *nuid;               /* names the chunk subject; NULL when the meta has none */
    uint64_t size_bytes;
    uint32_t chunks;          /* messages with bytes in them, as the writer counted */
    uint32_t max_chunk_bytes; /* 131072 when options are missing */
    bool deleted;             /* a tombstone */
    bool has_digest;
    unsigned char digest[32];
    char *link_bucket;        /* not NULL for a link */
    char *link_name;          /* NULL for a bucket link */
    char *extra;              /* JSON object text of description, headers and metadata as they
                                 were read (without Rust's "inner" around headers), to be kept
                                 when jsfs rewrites a meta; NULL if none */
};

/* Read a meta message.
 *   json   size bytes, not NUL-terminated
 *   out    for object_meta_free(); untouched unless JSFS_OK
 *   JSFS_CORRUPT   not JSON, no name, or a number that cannot be (negative, not a number)
 *   JSFS_NO_MEMORY
 */
enum jsfs_status object_meta_parse(const char *json, size_t size, struct object_meta **out);

/* Write a meta message as every client can read it: raw UTF-8, all of name, bucket, nuid, size,
 * chunks, mtime, digest ("SHA-256=…"), options.max_chunk_size, and extra's fields.
 *   bucket   without its stream prefix
 *   now_ns   for "mtime", RFC 3339 UTC
 *   out      NUL-terminated, for free(); untouched unless JSFS_OK
 *   JSFS_NOT_UTF8   the name is not UTF-8
 *   JSFS_INVALID    no nuid (other clients refuse such a meta), a size above INT64_MAX, or
 *                   an extra that is no JSON object
 *   JSFS_NO_MEMORY  also when bucket, nuid or a link is not UTF-8, which no parsed meta has
 * A deleted meta is a tombstone: size and chunks 0, no digest, and the nuid given, which must
 * not name chunks that live (reference nats.md §2.7).
 */
enum jsfs_status object_meta_format(const struct object_meta *meta, const char *bucket,
                                    int64_t now_ns, char **out);

/* NULL is fine. */
void object_meta_free(struct object_meta *meta);

/* For CLEANUP(cleanup_object_meta) struct object_meta *m = NULL. */
static inline void cleanup_object_meta(struct object_meta **meta)
{
    object_meta_free(*meta);
}

#endif
