/* SPDX-License-Identifier: Apache-2.0 */
/* ops_xattr.h - answering what extended attributes a special has.
 * Layer 5. The handlers themselves are in ops.h.
 */
#ifndef JSFS_FS_OPS_XATTR_H
#define JSFS_FS_OPS_XATTR_H

#include "fs/op.h"
#include "fs/xattr.h"

/* Answer GETXATTR of op->name from a set, or LISTXATTR (op->name NULL) with its names. */
void xattr_reply(struct op *op, const struct xattr_set *set);

/* The same for a revision of the key at path, which also has user.nats.delta: how many messages
 * newer than it the server keeps. The tree or, if it is not the newest, the server is asked for
 * that when it is wanted. set is the caller's. */
void xattr_reply_revision(struct op *op, struct xattr_set *set, const char *path,
                          uint64_t revision);

#endif
