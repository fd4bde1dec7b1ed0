/* SPDX-License-Identifier: Apache-2.0 */
/* control.h - the directory .jsfs of a bucket: history, deleted keys, conflicts, configuration,
 * status, events.
 * Layer 5. Each part is a file control_PART.c with a table special_ops, listed in
 * control_parts.c. A part's top has the inode path ".jsfs/NAME"; what is below is the part's own,
 * through those ops. An op finds its context in op->inode->bucket and op->inode->path, what one
 * open has in op->info.fh.
 *
 * .jsfs is reached by path but in no listing, so that `cp -r` and `rm -r *` pass it by, unless
 * [mount] show_control says otherwise. Nothing can be made or removed there that a part does not
 * allow: EPERM. While the bucket is gone every name and open there is ESTALE (special.c).
 */
#ifndef JSFS_FS_CONTROL_H
#define JSFS_FS_CONTROL_H

#include "fs/special.h"

#define CONTROL_NAME ".jsfs"

struct control_part {
    const char *name; /* in .jsfs; NULL ends the table */
    mode_t mode;      /* S_IFDIR | 0555, S_IFREG | 0644 …; its type is what listings tell */
    const struct special_ops *ops;
    bool keys_only;   /* not in object stores */
    struct special special; /* of its top; never freed */
};

/* An entry of the table. */
#define CONTROL_PART(name_, mode_, ops_, keys_only_)                            \
    {                                                                           \
        .name = (name_), .mode = (mode_), .ops = (ops_), .keys_only = (keys_only_), \
        .special = {.ops = (ops_), .references = 1},                            \
    }

extern struct control_part control_parts[];

/* Is op->name in op->inode the control directory? */
bool control_takes(const struct op *op);

extern const struct special_ops control_ops;

/* The part of a path ".jsfs/PART/…" below PART, within it; "" for PART itself. */
const char *control_below(const char *path);

/* For a part's attr: a directory with these permissions (0555, or 0755 where names can be
 * removed) and the bucket's time; returns 0, how long that may be cached. out is as attr gets it.
 */
double control_directory_attr(struct inode *inode, mode_t permissions, struct stat *out);

#endif
