/* SPDX-License-Identifier: Apache-2.0 */
/* scratch_rename.c - see scratch_rename.h. Layer 5.
 *
 * Scratch to scratch is a matter of the table. Scratch to key is one publication of the bytes; the
 * scratch file goes only after the server has them. Key to scratch copies the value here first,
 * and then hides the key (scratch_hold.h). A file of .jsfs is saved and copied by its own means.
 *
 * jsfs stops in between: the scratch file is lost, as it always is then; the key has its old value
 * or the new one.
 */
#include "fs/scratch_rename.h"

#include "core/bucket_put.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "fs/errno_map.h"
#include "fs/handle_move.h"
#include "fs/notifier.h"
#include "fs/ops.h"
#include "fs/scratch.h"
#include "fs/scratch_hold.h"

#include <errno.h>
#include <stdio.h>

#define KEY_MODE 0644 /* what a key shows */
#define TRIES 4       /* a key that others change all the time is not copied for ever */

/* A rename on its way. */
struct renaming {
    struct op *op;
    unsigned flags;
    struct scratch_file *file; /* the scratch file at the old name; counted */
    uint64_t sequence;         /* of the key at the old name */
    int64_t modified_ns;
    unsigned tries;
};

/* An interrupted request has told the kernel nothing of what was done after all. */
static void reply_renamed(struct renaming *renaming, enum jsfs_status status)
{
    struct op *op = renaming->op;
    struct notifier *notifier = op->fs->notifier;

    op_log(op, status);
    if (op_claim(op)) {
        fuse_reply_err(op->request, errno_of(status));
    } else if (status == JSFS_OK) {
        notifier_entry(notifier, op->inode, op->name);
        notifier_entry(notifier, op->other, op->other_name);
    }
    if (renaming->file != NULL)
        special_unref(&renaming->file->special);
    free(renaming);
    op_done(op);
}

/* The kernel has given the new name the old inode, which is that of the key, or of a part. */
static void correct_names(const struct op *op)
{
    notifier_entry(op->fs->notifier, op->inode, op->name);
    notifier_entry(op->fs->notifier, op->other, op->other_name);
}

/* Scratch to scratch ------------------------------------------------------------------------- */

static void rename_here(struct renaming *renaming)
{
    struct op *op = renaming->op;
    struct inode_table *inodes = op->fs->inodes;
    struct scratch_place to = scratch_place_of(op->other, op->other_name);
    struct inode *old = inode_bound(inodes, op->inode, op->name);
    struct inode *replaced = inode_bound(inodes, op->other, op->other_name);
    enum scratch_rename how = SCRATCH_REPLACE;

    if ((renaming->flags & RENAME_EXCHANGE) != 0)
        how = SCRATCH_EXCHANGE;
    else if ((renaming->flags & RENAME_NOREPLACE) != 0)
        how = SCRATCH_KEEP;
    enum jsfs_status status =
        scratch_table_rename(renaming->file, &to, scratch_in_tree(op->other), how);
    if (status == JSFS_OK && old != NULL)
        inode_unbind(inodes, old);
    if (status == JSFS_OK && replaced != NULL)
        inode_unbind(inodes, replaced);
    inode_put(inodes, old);
    inode_put(inodes, replaced);
    reply_renamed(renaming, status);
}

/* Scratch to key ----------------------------------------------------------------------------- */

static void published(struct renaming *renaming, enum jsfs_status status)
{
    struct op *op = renaming->op;

    if (status == JSFS_OK) {
        scratch_forget(op->fs, op->inode, op->name, renaming->file);
        if (op->child != NULL)
            fs_forget_file(op->fs, op->child);
        handle_moves_forget(op->fs, op->other->bucket, op->path);
    }
    reply_renamed(renaming, status);
}

static void put_done(void *arg, enum jsfs_status status, const struct tree_attr *attr)
{
    (void)attr;
    published(arg, status);
}

/* A backup that is renamed back unchanged while its key is hidden is the key again. */
static void publish(struct renaming *renaming)
{
    struct op *op = renaming->op;
    struct bucket *bucket = op->other->bucket;
    bool exclusive = (renaming->flags & RENAME_NOREPLACE) != 0;
    uint64_t revision;
    CLEANUP(cleanup_bytes)
    struct bytes *bytes = scratch_file_bytes(renaming->file, &revision);

    op->path = op_child_path(op->other, op->other_name);
    if (bytes == NULL || op->path == NULL) {
        reply_renamed(renaming, JSFS_NO_MEMORY);
        return;
    }
    op->child = inode_bound(op->fs->inodes, op->other, op->other_name);
    uint64_t held = scratch_hold_take(op->fs, bucket, op->path);
    if (held != 0) {
        tree_unhide(bucket_tree(bucket), op->path);
        notifier_entry(op->fs->notifier, op->other, op->other_name); /* it fails: the key shows */
    }
    if (held != 0 && held == revision)
        published(renaming, JSFS_OK);
    else
        bucket_put(bucket, op->path, bytes, exclusive && held == 0, put_done, renaming);
}

static void save_done(struct op *op, enum jsfs_status status)
{
    struct renaming *renaming = op->arg;

    if (status == JSFS_OK) {
        scratch_forget(op->fs, op->inode, op->name, renaming->file);
        correct_names(op);
    }
    reply_renamed(renaming, status);
}

/* A part of .jsfs that can be saved takes the bytes. */
static void save_part(struct renaming *renaming)
{
    struct op *op = renaming->op;
    uint64_t revision;
    CLEANUP(cleanup_bytes)
    struct bytes *bytes = scratch_file_bytes(renaming->file, &revision);

    if (bytes == NULL) {
        reply_renamed(renaming, JSFS_NO_MEMORY);
        return;
    }
    op->arg = renaming;
    op->resume = save_done;
    op->other->special->ops->replace(op, bytes->data, bytes->size);
}

static void refuse(struct renaming *renaming, const char *why)
{
    struct op *op = renaming->op;

    jsfs_log(JSFS_LOG_INFO, "op=rename bucket=%s path=%s refused: %s",
             bucket_name(op->inode->bucket), op->other_name, why);
    reply_renamed(renaming, JSFS_NOT_ALLOWED);
}

static void rename_to_store(struct renaming *renaming)
{
    struct op *op = renaming->op;

    if ((renaming->flags & RENAME_EXCHANGE) != 0) {
        reply_renamed(renaming, JSFS_INVALID);
        return;
    }
    if (!S_ISREG(renaming->file->attr.st_mode)) {
        refuse(renaming, "a key cannot be a link or a fifo");
        return;
    }
    if (scratch_in_tree(op->other) && bucket_is_read_only(op->other->bucket)) {
        reply_renamed(renaming, JSFS_SEALED);
        return;
    }
    if (scratch_in_tree(op->other)) {
        publish(renaming);
        return;
    }
    if (op->other->special->ops->replace != NULL)
        save_part(renaming);
    else
        refuse(renaming, "nothing can be put here");
}

/* Key to scratch ----------------------------------------------------------------------------- */

static void look(struct renaming *renaming);

static void look_again(struct renaming *renaming)
{
    if (++renaming->tries < TRIES)
        look(renaming);
    else
        reply_renamed(renaming, JSFS_STALE);
}

static enum jsfs_status make_copy(struct renaming *renaming, struct bytes *bytes)
{
    struct op *op = renaming->op;
    struct scratch_place to = scratch_place_of(op->other, op->other_name);
    struct scratch_make make = {
        .ops = &scratch_ops,
        .mode = S_IFREG | KEY_MODE,
        .uid = op->fs->uid,
        .gid = op->fs->gid,
        .bytes = bytes,
        .revision = renaming->sequence,
        .modified_ns = renaming->modified_ns,
        .replace = (renaming->flags & RENAME_NOREPLACE) == 0,
        .in_tree = scratch_in_tree(op->other),
    };

    return scratch_table_make(op->fs->scratch->table, &to, &make, &renaming->file);
}

/* Until the kernel has looked the new name up, what it asks of the key's inode is the copy's. */
static void lead_to_copy(struct renaming *renaming)
{
    struct op *op = renaming->op;
    struct inode_table *inodes = op->fs->inodes;
    CLEANUP(cleanup_free) char *path = op_child_path(op->other, op->other_name);
    struct inode_target target = {
        .kind = INODE_SPECIAL,
        .bucket = op->other->bucket,
        .path = path,
        .special = &renaming->file->special,
    };
    struct inode *old = inode_bound(inodes, op->inode, op->name);
    struct inode *copy =
        path != NULL ? inode_bind(inodes, op->other, op->other_name, &target) : NULL;

    if (old != NULL && copy != NULL)
        inode_move(inodes, old, copy);
    else if (old != NULL)
        inode_unbind(inodes, old);
    inode_put(inodes, old);
    inode_put(inodes, copy);
}

/* The bytes are here before the key is hidden. Handles on the key stay what they are: what they
 * still write goes to the key.
 */
static void value_came(void *arg, enum jsfs_status status, struct bytes *bytes,
                       uint64_t sequence)
{
    struct renaming *renaming = arg;
    struct op *op = renaming->op;

    (void)sequence;
    if (status == JSFS_STALE) {
        look_again(renaming);
        return;
    }
    if (status == JSFS_OK)
        status = make_copy(renaming, bytes);
    if (status != JSFS_OK) {
        reply_renamed(renaming, status);
        return;
    }
    status = scratch_hold(op->fs, op->inode, op->name, renaming->sequence);
    if (status != JSFS_OK) {
        scratch_table_unlink(renaming->file);
        special_unref(&renaming->file->special);
        renaming->file = NULL;
        if (status == JSFS_CONFLICT)
            look_again(renaming);
        else
            reply_renamed(renaming, status);
        return;
    }
    lead_to_copy(renaming);
    correct_names(op);
    reply_renamed(renaming, JSFS_OK);
}

static void key_found(void *arg, enum jsfs_status status, const struct tree_attr *attr)
{
    struct renaming *renaming = arg;
    struct op *op = renaming->op;
    struct store *store = bucket_store(op->inode->bucket);
    CLEANUP(cleanup_free) char *raw = NULL;

    if (status == JSFS_OK && attr->type == TREE_DIRECTORY)
        status = JSFS_BAD_NAME; /* as for any name that keys below it could not have */
    if (status == JSFS_OK)
        status = bucket_raw_name(op->inode->bucket, op->path, false, &raw);
    if (status != JSFS_OK) {
        reply_renamed(renaming, status);
        return;
    }
    renaming->sequence = attr->sequence;
    renaming->modified_ns = attr->modified_ns;
    store->ops->value_get(store, raw, attr->sequence, value_came, renaming);
}

static void look(struct renaming *renaming)
{
    struct op *op = renaming->op;

    bucket_lookup(op->inode->bucket, op->path, key_found, renaming);
}

static void handles_committed(void *arg, enum jsfs_status status)
{
    struct renaming *renaming = arg;

    if (status != JSFS_OK)
        reply_renamed(renaming, status);
    else
        look(renaming);
}

static void rename_from_store(struct renaming *renaming)
{
    struct op *op = renaming->op;

    op->path = op_child_path(op->inode, op->name);
    if (op->path == NULL)
        reply_renamed(renaming, JSFS_NO_MEMORY);
    else if ((renaming->flags & RENAME_EXCHANGE) != 0)
        reply_renamed(renaming, JSFS_INVALID);
    else if (bucket_is_read_only(op->inode->bucket))
        reply_renamed(renaming, JSFS_SEALED);
    else
        handle_list_commit_below(op->fs->handles, op->inode->bucket, op->path,
                                 handles_committed, renaming);
}

static void part_came(void *arg, enum jsfs_status status, struct bytes *bytes,
                      uint64_t sequence)
{
    struct renaming *renaming = arg;

    (void)sequence;
    if (status == JSFS_OK)
        status = make_copy(renaming, bytes);
    if (status == JSFS_OK)
        correct_names(renaming->op);
    reply_renamed(renaming, status);
}

/* A part stays where it is: its editor makes a backup, and opens it again. */
static void copy_part(struct renaming *renaming)
{
    struct op *op = renaming->op;

    if ((renaming->flags & RENAME_EXCHANGE) != 0)
        reply_renamed(renaming, JSFS_INVALID);
    else if (op->inode->special->ops->copy != NULL)
        op->inode->special->ops->copy(op, part_came, renaming);
    else
        refuse(renaming, "it cannot be renamed");
}

/* Which of them ------------------------------------------------------------------------------ */

static bool leads_to_scratch(struct op *op)
{
    struct scratch_file *there = scratch_find(op->fs, op->other, op->other_name);

    if (there == NULL)
        return scratch_fits(op->fs, op->other, op->other_name);
    special_unref(&there->special);
    return true;
}

bool scratch_rename(struct op *op, unsigned flags)
{
    struct scratch_file *file = scratch_find(op->fs, op->inode, op->name);
    bool to_scratch = leads_to_scratch(op);

    if (file == NULL && !to_scratch)
        return false;
    struct renaming *renaming = calloc(1, sizeof(*renaming));
    if (renaming == NULL) {
        if (file != NULL)
            special_unref(&file->special);
        op_reply_status(op, JSFS_NO_MEMORY);
        return true;
    }
    *renaming = (struct renaming){.op = op, .flags = flags, .file = file};
    if (file != NULL && to_scratch)
        rename_here(renaming);
    else if (file != NULL)
        rename_to_store(renaming);
    else if (scratch_in_tree(op->inode))
        rename_from_store(renaming);
    else
        copy_part(renaming);
    return true;
}
