/* SPDX-License-Identifier: Apache-2.0 */
/* ops_name.c - making and removing names. Layer 5.
 * Above the buckets a name is a bucket; in a bucket a directory is local to the mount until a
 * key is put under it.
 */
#include "fs/ops.h"

#include "core/cleanup.h"
#include "core/log.h"
#include "fs/errno_map.h"
#include "fs/handle_move.h"
#include "fs/notifier.h"
#include "fs/scratch.h"
#include "fs/special.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define TOLD_PATIENCE_MS 250 /* what is usually over in a millisecond */

static enum store_kind kind_below(const struct inode *root)
{
    return root->kind == INODE_KV_ROOT ? STORE_KV : STORE_OBJECT;
}

static bool is_store_root(const struct inode *inode)
{
    return inode->kind == INODE_KV_ROOT || inode->kind == INODE_OBJECT_ROOT;
}

static bool in_bucket(const struct inode *inode)
{
    return inode->kind == INODE_BUCKET || inode->kind == INODE_DIRECTORY;
}

/* A directory may be made where a name below it could be: the shortest one stands for all. */
static enum jsfs_status check_directory(struct op *op)
{
    CLEANUP(cleanup_free) char *below = NULL;
    CLEANUP(cleanup_free) char *raw = NULL;

    op->path = op_child_path(op->inode, op->name);
    if (op->path == NULL || asprintf(&below, "%s/x", op->path) < 0) {
        below = NULL; /* asprintf leaves it undefined */
        return JSFS_NO_MEMORY;
    }
    return bucket_raw_name(op->inode->bucket, below, true, &raw);
}

/* An answer that waits, but not for ever: the kernel may hold a lock for this request that
 * somebody waits for who holds the one that the notification needs.
 */
struct late_answer {
    struct op *op;
    atomic_bool given;
    atomic_uint references; /* the notifier's and the timer's */
};

static void give_late(void *arg)
{
    struct late_answer *late = arg;

    if (!atomic_exchange(&late->given, true))
        op_reply_removed(late->op, JSFS_OK);
    if (atomic_fetch_sub(&late->references, 1) == 1)
        free(late);
}

void op_reply_told(struct op *op)
{
    struct fs *fs = op->fs;
    struct late_answer *late = malloc(sizeof(*late));

    if (late == NULL) {
        op_reply_removed(op, JSFS_OK);
        return;
    }
    *late = (struct late_answer){.op = op};
    atomic_init(&late->references, 2);
    executor_after(fs->executor, TOLD_PATIENCE_MS, give_late, give_late, late);
    notifier_flush(fs->notifier, give_late, late);
}

void op_reply_removed(struct op *op, enum jsfs_status status)
{
    op_log(op, status);
    if (op_claim(op))
        fuse_reply_err(op->request, errno_of(status));
    else if (status == JSFS_OK)
        notifier_entry(op->fs->notifier, op->inode, op->name);
    op_done(op);
}

static void bucket_made(void *arg, enum jsfs_status status)
{
    struct op *op = arg;

    if (status != JSFS_OK)
        op_reply_status(op, status);
    else
        op_lookup_bucket(op);
}

static void make_directory(struct op *op)
{
    static const struct tree_attr directory = {.type = TREE_DIRECTORY};
    enum jsfs_status status =
        tree_make_directory(bucket_tree(op->inode->bucket), op->path);

    if (status != JSFS_OK) {
        op_reply_status(op, status);
        return;
    }
    struct inode_target target = op_target(op->inode->bucket, op->path, &directory);
    op->child = inode_bind(op->fs->inodes, op->inode, op->name, &target);
    if (op->child == NULL)
        op_reply_status(op, JSFS_NO_MEMORY);
    else
        op_reply_entry(op);
}

static void listed_for_mkdir(void *arg, enum jsfs_status status)
{
    struct op *op = arg;

    if (status != JSFS_OK)
        op_reply_status(op, status);
    else
        make_directory(op);
}

/* Have a special serve a request, if it does. */
#define SERVE(op, special, call, ...)                   \
    do {                                                \
        if ((special)->call != NULL)                    \
            (special)->call((op)__VA_OPT__(, ) __VA_ARGS__); \
        else                                            \
            op_reply_errno((op), EPERM);                \
    } while (0)

void op_mkdir(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode)
{
    struct op *op = op_new_named(request, "mkdir", parent, name);
    enum jsfs_status status;

    if (op == NULL)
        return;
    const struct special_ops *special = special_of(op, SPECIAL_FIND);
    if (special != NULL)
        SERVE(op, special, mkdir, mode);
    else if (is_store_root(op->inode))
        catalog_create(op->fs->catalog, kind_below(op->inode), name, bucket_made, op);
    else if (!in_bucket(op->inode))
        op_reply_errno(op, EPERM); /* the top holds kv and obj only */
    else if ((status = check_directory(op)) != JSFS_OK)
        op_reply_status(op, status);
    else
        bucket_wait_listed(op->inode->bucket, listed_for_mkdir, op);
    op_park(op);
}

static void unbind_name(struct op *op)
{
    struct inode *bound = inode_bound(op->fs->inodes, op->inode, op->name);

    if (bound != NULL)
        inode_unbind(op->fs->inodes, bound);
    inode_put(op->fs->inodes, bound);
}

static void directory_removed(void *arg, enum jsfs_status status)
{
    struct op *op = arg;

    if (status == JSFS_OK)
        unbind_name(op);
    op_reply_removed(op, status);
}

static void listed_for_rmdir(void *arg, enum jsfs_status status)
{
    struct op *op = arg;

    if (status == JSFS_OK)
        status = tree_remove_directory(bucket_tree(op->inode->bucket), op->path);
    directory_removed(op, status);
}

void op_rmdir(fuse_req_t request, fuse_ino_t parent, const char *name)
{
    struct op *op = op_new_named(request, "rmdir", parent, name);

    if (op == NULL)
        return;
    const struct special_ops *special = special_of(op, SPECIAL_FIND);
    if (special != NULL) {
        SERVE(op, special, rmdir);
    } else if (is_store_root(op->inode) &&
               scratch_table_has(op->fs->scratch->table, kind_below(op->inode), name)) {
        op_reply_errno(op, ENOTEMPTY);
    } else if (is_store_root(op->inode)) {
        catalog_remove(op->fs->catalog, kind_below(op->inode), name, directory_removed, op);
    } else if (!in_bucket(op->inode)) {
        op_reply_errno(op, EPERM);
    } else {
        op->path = op_child_path(op->inode, name);
        if (op->path == NULL)
            op_reply_status(op, JSFS_NO_MEMORY);
        else
            bucket_wait_listed(op->inode->bucket, listed_for_rmdir, op);
    }
    op_park(op);
}

void fs_forget_file(struct fs *fs, struct inode *file)
{
    inode_unlink(fs->inodes, file);
    pthread_mutex_lock(&file->lock);
    struct value_file *value = file->value != NULL ? value_file_ref(file->value) : NULL;
    pthread_mutex_unlock(&file->lock);
    if (value != NULL)
        value_file_forget(value);
    value_file_unref(value);
}

/* The inode is the one that had the name before the removal: its echo has unbound it by now. */
static void forget_file(struct op *op)
{
    if (op->child != NULL)
        fs_forget_file(op->fs, op->child);
    handle_moves_forget(op->fs, op->inode->bucket, op->path);
}

/* The tombstone is acknowledged: only now may the chunks go. op->nuid names them. */
static void file_removed(void *arg, enum jsfs_status status)
{
    struct op *op = arg;

    if (status == JSFS_OK) {
        forget_file(op);
        if (op->nuid != NULL)
            bucket_discard_chunks(op->inode->bucket, op->nuid);
    }
    op_reply_removed(op, status);
}

/* No commit of the file is in flight any more. One that has landed, or a key that the file was to
 * replace (scratch_hold.h), goes as any other.
 */
static void commits_ended(void *arg, enum jsfs_status status)
{
    struct op *op = arg;
    struct bucket *bucket = op->inode->bucket;
    bool lives;

    (void)status;
    tree_drop_local(bucket_tree(bucket), op->path);
    tree_unhide(bucket_tree(bucket), op->path);
    tree_sequence(bucket_tree(bucket), op->path, &lives);
    if (lives)
        bucket_remove(bucket, op->path, file_removed, op);
    else
        op_reply_status(op, JSFS_OK);
}

/* A file that this mount has not committed yet: nothing more of it is, but a commit that is on
 * its way must not land after the removal.
 */
static void remove_local(struct op *op)
{
    struct inode *file = op->child;

    forget_file(op);
    if (file != NULL) {
        pthread_mutex_lock(&file->lock);
        if (file->value != NULL)
            op->value = value_file_ref(file->value);
        pthread_mutex_unlock(&file->lock);
    }
    if (op->value != NULL)
        value_file_commit(op->value, false, commits_ended, op);
    else
        commits_ended(op, JSFS_OK);
}

static void found_for_unlink(void *arg, enum jsfs_status status, const struct tree_attr *attr)
{
    struct op *op = arg;

    if (status == JSFS_OK && attr->type == TREE_DIRECTORY)
        status = JSFS_IS_DIRECTORY;
    if (status != JSFS_OK) {
        op_reply_status(op, status);
        return;
    }
    op->child = inode_bound(op->fs->inodes, op->inode, op->name);
    if (attr->local) { /* created here and never committed */
        remove_local(op);
        return;
    }
    if (attr->type == TREE_FILE && attr->meta != NULL && attr->meta->nuid != NULL)
        op->nuid = strdup(attr->meta->nuid);
    bucket_remove(op->inode->bucket, op->path, file_removed, op);
}

void op_unlink(fuse_req_t request, fuse_ino_t parent, const char *name)
{
    struct op *op = op_new_named(request, "unlink", parent, name);

    if (op == NULL)
        return;
    const struct special_ops *special = special_of(op, SPECIAL_FIND);
    if (special != NULL) {
        SERVE(op, special, unlink);
    } else if (!in_bucket(op->inode)) {
        op_reply_errno(op, EISDIR);
    } else {
        op->path = op_child_path(op->inode, name);
        if (op->path == NULL)
            op_reply_status(op, JSFS_NO_MEMORY);
        else
            bucket_lookup(op->inode->bucket, op->path, found_for_unlink, op);
    }
    op_park(op);
}

static void refuse(struct op *op, const char *why)
{
    jsfs_log(JSFS_LOG_INFO, "op=%s path=%s/%s refused: %s", op->what,
             op->inode->path != NULL ? op->inode->path : "", op->name, why);
    op_reply_errno(op, EPERM);
}

void op_mknod(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
    struct op *op = op_new_named(request, "mknod", parent, name);

    (void)device;
    if (op == NULL)
        return;
    const struct special_ops *special = special_of(op, SPECIAL_MAKE);
    if (special != NULL)
        SERVE(op, special, mknod, mode);
    else
        refuse(op, "a bucket holds files and directories only");
    op_park(op);
}

void op_symlink(fuse_req_t request, const char *target, fuse_ino_t parent, const char *name)
{
    struct op *op = op_new_named(request, "symlink", parent, name);

    if (op == NULL)
        return;
    const struct special_ops *special = special_of(op, SPECIAL_MAKE);
    if (special != NULL)
        SERVE(op, special, symlink, target);
    else
        refuse(op, "symbolic links cannot be made here");
    op_park(op);
}

void op_link(fuse_req_t request, fuse_ino_t number, fuse_ino_t parent, const char *name)
{
    struct op *op = op_new_named(request, "link", parent, name);

    (void)number;
    if (op == NULL)
        return;
    refuse(op, "a name has a value of its own; hard links cannot be");
    op_park(op);
}
