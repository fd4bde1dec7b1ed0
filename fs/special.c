/* SPDX-License-Identifier: Apache-2.0 */
/* special.c - see special.h. Layer 5. */
#include "fs/special.h"

#include "fs/control.h"
#include "fs/ops.h"
#include "fs/scratch.h"

#include <errno.h>

void special_init(struct special *special, const struct special_ops *ops)
{
    special->ops = ops;
    atomic_init(&special->references, 1);
}

struct special *special_ref(struct special *special)
{
    atomic_fetch_add(&special->references, 1);
    return special;
}

void special_unref(struct special *special)
{
    if (special != NULL && atomic_fetch_sub(&special->references, 1) == 1)
        special->ops->free(special);
}

/* For requests that come to a bucket which is gone; what is open is its kind's to end. */
static void reply_stale(struct op *op)
{
    op_reply_errno(op, ESTALE);
}

static void stale_making(struct op *op, mode_t mode)
{
    (void)mode;
    reply_stale(op);
}

static void stale_symlink(struct op *op, const char *target)
{
    (void)target;
    reply_stale(op);
}

static const struct special_ops gone_ops = {
    .lookup = reply_stale,
    .create = stale_making,
    .mknod = stale_making,
    .symlink = stale_symlink,
    .mkdir = stale_making,
    .unlink = reply_stale,
    .rmdir = reply_stale,
    .opendir = reply_stale,
    .readlink = reply_stale,
    .open = reply_stale,
    .xattr = reply_stale,
};

static const struct special_ops *find_ops(struct op *op, enum special_use use)
{
    const struct inode *inode = op->inode;
    bool in_bucket = inode->kind == INODE_BUCKET || inode->kind == INODE_DIRECTORY;

    if (use == SPECIAL_INODE)
        return inode->special != NULL ? inode->special->ops : NULL;
    if ((in_bucket || inode->special != NULL) && scratch_takes(op, use))
        return &scratch_ops;
    if (inode->special != NULL)
        return inode->special->ops;
    return control_takes(op) ? &control_ops : NULL;
}

const struct special_ops *special_of(struct op *op, enum special_use use)
{
    const struct special_ops *ops = find_ops(op, use);
    struct bucket *bucket = op->inode->bucket;

    return ops != NULL && bucket != NULL && bucket_is_gone(bucket) ? &gone_ops : ops;
}

bool special_bind(struct op *op, const char *path, struct special *special)
{
    struct inode_target target = {
        .kind = INODE_SPECIAL,
        .bucket = op->inode->bucket,
        .path = path,
        .special = special,
    };

    op->child = inode_bind(op->fs->inodes, op->inode, op->name, &target);
    return op->child != NULL;
}

void special_reply_entry(struct op *op, const char *path, struct special *special)
{
    if (special_bind(op, path, special))
        op_reply_entry(op);
    else
        op_reply_status(op, JSFS_NO_MEMORY);
}
