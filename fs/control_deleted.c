/* SPDX-License-Identifier: Apache-2.0 */
/* control_deleted.c - see control_deleted.h. Layer 5.
 * Which keys are deleted is the tree's to say; what is left of one is asked for when it is looked
 * up. A directory that this mount has emptied stays, by path only, until it is removed or the
 * kernel forgets it: rm -r removes what is in a directory, then the directory.
 */
#include "fs/control_deleted.h"

#include "core/cleanup.h"
#include "core/history.h"
#include "core/name_codec.h"
#include "core/tree_held.h"
#include "fs/attr.h"
#include "fs/control.h"
#include "fs/control_revision.h"
#include "fs/ops.h"

#include <errno.h>
#include <string.h>

#define PAGE_MOST 512 /* names taken from the tree at once */

/* A directory below the top. */
struct deleted_directory {
    struct special special; /* first */
    atomic_bool emptied;    /* this mount has removed something from it */
};

static const struct special_ops directory_ops;

static bool is_directory(const struct inode *inode)
{
    return inode->special != NULL && inode->special->ops == &directory_ops;
}

static enum jsfs_status look(const struct op *op, const char *path,
                             struct tree_held *held)
{
    return tree_held_lookup(bucket_tree(op->inode->bucket), path, TREE_DELETED, held);
}

/* The key of the file op->path: without "@value"; for free(). */
static char *key_of(const struct op *op)
{
    const char *path = control_below(op->path);
    const char *slash = strrchr(path, '/');

    if (slash != NULL && strcmp(slash + 1, NAME_CODEC_VALUE) == 0)
        return strndup(path, (size_t)(slash - path));
    return strdup(path);
}

/* Names -------------------------------------------------------------------------------------- */

static void reply_special(struct op *op, struct special *special)
{
    if (special == NULL)
        op_reply_status(op, JSFS_NO_MEMORY);
    else
        special_reply_entry(op, op->path, special);
    special_unref(special);
}

static void reply_directory(struct op *op)
{
    struct deleted_directory *directory = calloc(1, sizeof(*directory));

    if (directory != NULL)
        special_init(&directory->special, &directory_ops);
    reply_special(op, directory != NULL ? &directory->special : NULL);
}

/* The server says what is left, and whether it is deleted still. */
static void history_listed(void *arg, enum jsfs_status status,
                           const struct store_entry *entries, size_t count)
{
    struct op *op = arg;
    CLEANUP(cleanup_free) char *key = key_of(op);

    if (status == JSFS_OK && key == NULL)
        status = JSFS_NO_MEMORY;
    if (status == JSFS_OK && entries[count - 1].state == STORE_LIVE)
        status = JSFS_NOT_FOUND;
    if (status != JSFS_OK)
        op_reply_status(op, status);
    else
        reply_special(op, control_revision_new(key, history_last_value(entries, count),
                                               entries[count - 1].modified_ns));
}

/* Nothing deleted has the name: a directory that this mount has emptied, or nothing. */
static void reply_emptied(struct op *op, enum jsfs_status status)
{
    struct inode *bound = inode_bound(op->fs->inodes, op->inode, op->name);

    if (bound != NULL && is_directory(bound) &&
        atomic_load(&((struct deleted_directory *)bound->special)->emptied)) {
        op->child = bound;
        op_reply_entry(op);
        return;
    }
    inode_put(op->fs->inodes, bound);
    if (status == JSFS_OK || status == JSFS_BAD_NAME || status == JSFS_NOT_DIRECTORY)
        status = JSFS_NOT_FOUND;
    op_reply_status(op, status);
}

/* The tree has heard of the name by now, if there is anything of it. "@value" is the file of a
 * name that is a directory, and of no other. */
static void looked_up(void *arg, enum jsfs_status status, const struct tree_attr *attr)
{
    struct op *op = arg;
    bool value = strcmp(op->name, NAME_CODEC_VALUE) == 0;
    CLEANUP(cleanup_free) char *key = key_of(op);
    struct tree_held held;

    (void)attr;
    if (key == NULL)
        op_reply_status(op, JSFS_NO_MEMORY);
    else if (look(op, key, &held) != JSFS_OK || (value && !(held.name && held.directory)))
        reply_emptied(op, status);
    else if (held.directory && !value)
        reply_directory(op);
    else
        history_list(op->inode->bucket, key, history_listed, op);
}

static void deleted_lookup(struct op *op)
{
    op->path = op_child_path(op->inode, op->name);
    if (op->path == NULL)
        op_reply_status(op, JSFS_NO_MEMORY);
    else
        bucket_lookup(op->inode->bucket, control_below(op->path), looked_up, op);
}

/* Removal ------------------------------------------------------------------------------------ */

static void unbind(struct op *op)
{
    struct inode *bound = inode_bound(op->fs->inodes, op->inode, op->name);

    if (bound != NULL)
        inode_unbind(op->fs->inodes, bound);
    inode_put(op->fs->inodes, bound);
}

static void erased(void *arg, enum jsfs_status status)
{
    struct op *op = arg;

    if (status == JSFS_OK) {
        unbind(op);
        for (struct inode *up = op->inode; is_directory(up); up = up->parent)
            atomic_store(&((struct deleted_directory *)up->special)->emptied, true);
    }
    op_reply_removed(op, status);
}

static void deleted_unlink(struct op *op)
{
    CLEANUP(cleanup_free) char *key = NULL;
    struct tree_held held;

    op->path = op_child_path(op->inode, op->name);
    if (op->path != NULL)
        key = key_of(op);
    if (key == NULL)
        op_reply_status(op, JSFS_NO_MEMORY);
    else if (look(op, key, &held) != JSFS_OK || !held.name)
        op_reply_errno(op, ENOENT);
    else
        history_erase(op->inode->bucket, key, erased, op);
}

static void deleted_rmdir(struct op *op)
{
    struct tree_held held;

    op->path = op_child_path(op->inode, op->name);
    if (op->path == NULL) {
        op_reply_status(op, JSFS_NO_MEMORY);
    } else if (look(op, control_below(op->path), &held) == JSFS_OK) {
        op_reply_errno(op, held.directory ? ENOTEMPTY : ENOTDIR);
    } else {
        unbind(op);
        op_reply_removed(op, JSFS_OK);
    }
}

/* Listings ----------------------------------------------------------------------------------- */

static void tree_ready(void *arg, enum jsfs_status status)
{
    struct op *op = arg;

    if (status != JSFS_OK)
        op_reply_status(op, status);
    else
        dir_open_pages(op, NULL, 0);
}

static void deleted_opendir(struct op *op)
{
    bucket_wait_listed(op->inode->bucket, tree_ready, op);
}

static enum jsfs_status deleted_page(struct inode *inode, uint64_t *cookie,
                                     struct tree_page *page)
{
    return tree_held_list(bucket_tree(inode->bucket), control_below(inode->path),
                          TREE_DELETED, cookie, PAGE_MOST, page);
}

static double deleted_attr(struct fs *fs, struct inode *inode, struct stat *out)
{
    (void)fs;
    return control_directory_attr(inode, 0755, out);
}

static bool directory_same(const struct special *one, const struct special *other)
{
    (void)one;
    (void)other;
    return true;
}

static void directory_free(struct special *special)
{
    free(special);
}

static const struct special_ops directory_ops = {
    .lookup = deleted_lookup,
    .unlink = deleted_unlink,
    .rmdir = deleted_rmdir,
    .opendir = deleted_opendir,
    .list = deleted_page,
    .attr = deleted_attr,
    .same = directory_same,
    .free = directory_free,
};

const struct special_ops control_deleted_ops = {
    .lookup = deleted_lookup,
    .unlink = deleted_unlink,
    .rmdir = deleted_rmdir,
    .opendir = deleted_opendir,
    .list = deleted_page,
    .attr = deleted_attr,
};
