/* SPDX-License-Identifier: Apache-2.0 */
/* xattr.h - the extended attributes user.nats.*: their names and the text of their values; pure.
 * Layer 5. A set holds what one file has; its names are given without the prefix "user.nats.".
 */
#ifndef JSFS_FS_XATTR_H
#define JSFS_FS_XATTR_H

#include "core/buffer.h"
#include "core/js_reply.h"
#include "core/object_meta.h"
#include "core/store.h"
#include "core/tree.h"

#define XATTR_PREFIX "user.nats."
#define XATTR_TTL "ttl" /* the one that can be set */

struct xattr_set {
    struct buffer text; /* name, NUL, value, NUL … */
    bool failed;        /* no memory for all of them */
};

#define XATTR_SET_INIT                                                                   \
    {                                                                                    \
        BUFFER_INIT, false                                                               \
    }

/* For CLEANUP(xattr_clear) too. */
void xattr_clear(struct xattr_set *set);

/* Add one; without memory the set has failed. */
void xattr_add(struct xattr_set *set, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The value of a name, borrowed; NULL: it is not in the set. */
const char *xattr_get(const struct xattr_set *set, const char *name);

/* What listxattr(2) gives: full names, each with its NUL, appended. JSFS_NO_MEMORY. */
enum jsfs_status xattr_list(const struct xattr_set *set, struct buffer *out);

/* A key: bucket, key (raw) and, once it is at the server, revision, created, operation.
 *   revision   0: only this mount has it yet */
void xattr_of_key(struct xattr_set *set, const char *bucket, const char *key,
                  uint64_t revision, int64_t created_ns);

/* A kept message of a key: the same, of that message. */
void xattr_of_revision(struct xattr_set *set, const char *bucket, const char *key,
                       const struct store_entry *entry);

/* An object. meta: NULL while only this mount has it. */
void xattr_of_object(struct xattr_set *set, const char *bucket, const char *name,
                     const struct object_meta *meta);

/* A bucket's status. keys: its live names, counted by the caller. */
void xattr_of_bucket(struct xattr_set *set, enum store_kind kind, const char *bucket,
                     const struct js_stream_info *info, uint64_t keys);

/* The names of a bucket's, so that listing them asks nobody. */
void xattr_names_of_bucket(struct xattr_set *set, enum store_kind kind);

/* A time to live as people write it: 30, 30s, 15m, 1h30m, 7d.
 *   text      size bytes, without a NUL
 *   returns   [ns]; 0: it is none, or less than a second, the least that a server takes
 */
int64_t xattr_parse_ttl(const char *text, size_t size);

#endif
