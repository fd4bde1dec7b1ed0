/* SPDX-License-Identifier: Apache-2.0 */
/* ops_rename.c - rename(2) and renameat2(2). Layer 5.
 * Names of a bucket: what this mount has not committed yet is, then the store renames. The kernel
 * keeps the nodeids and moves them to the new names; they are led to the new inodes and the names
 * dropped, so that they are looked up again. Who writes the file goes on under its new name.
 */
#include "fs/ops.h"

#include "core/bucket_rename.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "fs/errno_map.h"
#include "fs/handle_move.h"
#include "fs/notifier.h"
#include "fs/scratch.h"
#include "fs/scratch_hold.h"
#include "fs/scratch_rename.h"

#include <errno.h>
#include <stdio.h>

/* A rename within a bucket on its way. */
struct renaming {
    struct op *op; /* op->path: of the old name */
    unsigned flags;
    char *to;                        /* path */
    struct inode *source, *replaced; /* counted; what the names led to; may be NULL */
    struct handle_moves *moves, *moves_back; /* of the old name; and, exchanged, of the new one */
};

static bool in_bucket(const struct inode *inode)
{
    return inode->kind == INODE_BUCKET || inode->kind == INODE_DIRECTORY;
}

/* An interrupted request has told the kernel nothing of what was done after all. */
static void reply_renamed(struct renaming *renaming, enum jsfs_status status)
{
    struct op *op = renaming->op;
    struct inode_table *inodes = op->fs->inodes;

    op_log(op, status);
    if (status == JSFS_OK || status == JSFS_TIMEOUT) {
        notifier_entry(op->fs->notifier, op->inode, op->name);
        notifier_entry(op->fs->notifier, op->other, op->other_name);
    }
    if (op_claim(op))
        fuse_reply_err(op->request, errno_of(status));
    handle_moves_end(renaming->moves, NULL);
    handle_moves_end(renaming->moves_back, NULL);
    inode_put(inodes, renaming->source);
    inode_put(inodes, renaming->replaced);
    free(renaming->to);
    free(renaming);
    op_done(op);
}

/* The old inode's requests are served as what is under the new name now. */
static void lead(struct op *op, struct inode *old, struct inode *directory, const char *name,
                 const char *path)
{
    struct inode_table *inodes = op->fs->inodes;
    struct tree_attr attr;

    if (old == NULL || tree_lookup(bucket_tree(directory->bucket), path, &attr) != JSFS_OK)
        return;
    object_meta_free(attr.meta);
    struct inode_target target = op_target(directory->bucket, path, &attr);
    struct inode *new = inode_bind(inodes, directory, name, &target);
    if (new != NULL && new != old && new->kind == old->kind)
        inode_move(inodes, old, new);
    inode_put(inodes, new);
}

/* Who still writes what was replaced writes nothing any more; who writes what was renamed goes on. */
static void move_handles(struct renaming *renaming, bool exchanged)
{
    struct op *op = renaming->op;

    if (!exchanged)
        handle_moves_forget(op->fs, op->inode->bucket, renaming->to);
    handle_moves_end(renaming->moves, renaming->to);
    handle_moves_end(renaming->moves_back, op->path);
    renaming->moves = NULL;
    renaming->moves_back = NULL;
}

static void renamed(void *arg, enum jsfs_status status)
{
    struct renaming *renaming = arg;
    struct op *op = renaming->op;
    struct inode *replaced = renaming->replaced;
    bool exchanged = (renaming->flags & RENAME_EXCHANGE) != 0;

    scratch_table_move(op->fs->scratch->table, op->inode->bucket, op->path,
                       status == JSFS_OK ? renaming->to : op->path);
    if (status == JSFS_OK) {
        move_handles(renaming, exchanged);
        if (replaced != NULL && !exchanged && replaced->kind == INODE_FILE)
            fs_forget_file(op->fs, replaced);
        else if (replaced != NULL && !exchanged)
            inode_unbind(op->fs->inodes, replaced);
        lead(op, renaming->source, op->other, op->other_name, renaming->to);
        if (exchanged)
            lead(op, replaced, op->inode, op->name, op->path);
    }
    reply_renamed(renaming, status);
}

static unsigned flags_of(unsigned flags)
{
    return ((flags & RENAME_NOREPLACE) != 0 ? BUCKET_RENAME_NOREPLACE : 0) |
           ((flags & RENAME_EXCHANGE) != 0 ? BUCKET_RENAME_EXCHANGE : 0);
}

/* A key at the new name whose removal is held back does not show: it is replaced. */
static void rename_names(struct renaming *renaming)
{
    struct op *op = renaming->op;
    struct bucket *bucket = op->inode->bucket;
    struct scratch_table *scratch = op->fs->scratch->table;
    unsigned flags = renaming->flags;

    if (scratch_table_holds(scratch, bucket, renaming->to)) {
        reply_renamed(renaming, JSFS_NOT_EMPTY);
        return;
    }
    if (scratch_hold_take(op->fs, bucket, renaming->to) != 0) {
        tree_unhide(bucket_tree(bucket), renaming->to);
        notifier_entry(op->fs->notifier, op->other, op->other_name); /* it fails: that shows */
        flags &= ~(unsigned)RENAME_NOREPLACE;
    }
    renaming->source = inode_bound(op->fs->inodes, op->inode, op->name);
    renaming->replaced = inode_bound(op->fs->inodes, op->other, op->other_name);
    renaming->moves = handle_moves_begin(op->fs, bucket, op->path);
    if ((flags & RENAME_EXCHANGE) != 0)
        renaming->moves_back = handle_moves_begin(op->fs, bucket, renaming->to);
    scratch_table_release(scratch, bucket, op->path); /* or they keep the old directories */
    bucket_rename(bucket, op->path, renaming->to, flags_of(flags), renamed, renaming);
}

static void target_committed(void *arg, enum jsfs_status status)
{
    struct renaming *renaming = arg;

    if (status != JSFS_OK)
        reply_renamed(renaming, status);
    else
        rename_names(renaming);
}

static void source_committed(void *arg, enum jsfs_status status)
{
    struct renaming *renaming = arg;
    struct op *op = renaming->op;

    if (status != JSFS_OK)
        reply_renamed(renaming, status);
    else if ((renaming->flags & RENAME_EXCHANGE) == 0)
        rename_names(renaming);
    else
        handle_list_commit_below(op->fs->handles, op->inode->bucket, renaming->to,
                                 target_committed, renaming);
}

static void rename_in_store(struct op *op, unsigned flags)
{
    struct renaming *renaming = calloc(1, sizeof(*renaming));

    if (renaming == NULL) {
        op_reply_status(op, JSFS_NO_MEMORY);
        return;
    }
    *renaming = (struct renaming){.op = op, .flags = flags};
    op->path = op_child_path(op->inode, op->name);
    renaming->to = op_child_path(op->other, op->other_name);
    if (op->path == NULL || renaming->to == NULL)
        reply_renamed(renaming, JSFS_NO_MEMORY);
    else
        handle_list_commit_below(op->fs->handles, op->inode->bucket, op->path,
                                 source_committed, renaming);
}

/* EXDEV makes mv(1) copy and remove, which is safe: the new name is committed first. */
static void refuse(struct op *op)
{
    jsfs_log(JSFS_LOG_INFO, "op=rename refused: objects are copied, not moved; use mv");
    op_reply_errno(op, EXDEV);
}

void op_rename(fuse_req_t request, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
               const char *new_name, unsigned flags)
{
    struct op *op = op_new_rename(request, parent, name, new_parent, new_name);

    if (op == NULL)
        return;
    if ((flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0)
        op_reply_errno(op, EINVAL);
    else if (op->inode->bucket == NULL || op->inode->bucket != op->other->bucket)
        op_reply_errno(op, EXDEV);
    else if (atomic_load(&op->fs->closing))
        op_reply_errno(op, EROFS);
    else if (scratch_rename(op, flags))
        ; /* it answers */
    else if (!in_bucket(op->inode) || !in_bucket(op->other))
        op_reply_errno(op, EPERM); /* .jsfs */
    else if (bucket_kind(op->inode->bucket) == STORE_OBJECT)
        refuse(op);
    else
        rename_in_store(op, flags);
    op_park(op);
}
