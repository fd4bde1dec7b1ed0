/* SPDX-License-Identifier: Apache-2.0 */
/* scratch.c - see scratch.h. Layer 5.
 * Requests about scratch files are answered at once, from memory. Names and attributes have no
 * lifetime in the kernel, so that whatever renames them need not tell it.
 */
#include "fs/scratch.h"

#include "core/bucket_put.h"
#include "core/cleanup.h"
#include "fs/attr.h"
#include "fs/notifier.h"
#include "fs/ops.h"
#include "fs/scratch_hold.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

struct scratch *scratch_new(const struct config *config)
{
    struct scratch *scratch = calloc(1, sizeof(*scratch));

    if (scratch == NULL)
        return NULL;
    scratch->table = scratch_table_new((uint64_t)config->scratch_bytes);
    scratch->holds = scratch_holds_new();
    if (scratch_patterns_init(&scratch->patterns, config) && scratch->table != NULL &&
        scratch->holds != NULL)
        return scratch;
    scratch_free(scratch);
    return NULL;
}

void scratch_free(struct scratch *scratch)
{
    if (scratch == NULL)
        return;
    scratch_holds_free(scratch->holds);
    scratch_table_free(scratch->table);
    scratch_patterns_clear(&scratch->patterns);
    free(scratch);
}

/* Whose file is it ------------------------------------------------------------------------- */

/* Objects are written beside and renamed by means of their own; but .jsfs is edited, too. */
static bool may_hold(const struct inode *directory)
{
    return directory->bucket != NULL &&
           (directory->special != NULL || bucket_kind(directory->bucket) == STORE_KV);
}

/* A name of the store, or a directory: it is shown whatever the patterns say. */
static bool is_taken(const struct inode *directory, const char *name)
{
    struct tree_attr attr;

    if (!scratch_in_tree(directory))
        return false;
    CLEANUP(cleanup_free) char *path = op_child_path(directory, name);
    if (path == NULL || tree_lookup(bucket_tree(directory->bucket), path, &attr) != JSFS_OK)
        return false;
    object_meta_free(attr.meta);
    return true;
}

struct scratch_file *scratch_find(struct fs *fs, const struct inode *directory,
                                  const char *name)
{
    struct scratch_place place = scratch_place_of(directory, name);

    if (!may_hold(directory) || !scratch_table_in_use(fs->scratch->table))
        return NULL;
    struct scratch_file *file = scratch_table_find(fs->scratch->table, &place);
    if (file == NULL || !is_taken(directory, name))
        return file;
    special_unref(&file->special);
    return NULL;
}

struct listing {
    const struct inode *directory;
    scratch_each *each;
    void *arg;
};

static bool list_one(void *arg, const char *name, mode_t type, uint64_t number, uint64_t cookie)
{
    const struct listing *listing = arg;

    return is_taken(listing->directory, name) ||
           listing->each(listing->arg, name, type, number, cookie);
}

void scratch_list(struct fs *fs, struct inode *directory, uint64_t cookie, scratch_each *each,
                  void *arg)
{
    struct listing listing = {directory, each, arg};

    if (may_hold(directory) && scratch_table_in_use(fs->scratch->table))
        scratch_table_list(fs->scratch->table, directory->bucket, directory->path, cookie,
                           list_one, &listing);
}

static bool exists(struct op *op)
{
    struct scratch_file *file = scratch_find(op->fs, op->inode, op->name);

    if (file == NULL)
        return false;
    special_unref(&file->special);
    return true;
}

bool scratch_fits(struct fs *fs, const struct inode *directory, const char *name)
{
    return may_hold(directory) &&
           scratch_patterns_match(&fs->scratch->patterns, name) == SCRATCH_ALWAYS &&
           !is_taken(directory, name);
}

static bool may_be_made(struct op *op, enum special_use use)
{
    enum scratch_class class = scratch_patterns_match(&op->fs->scratch->patterns, op->name);
    bool takes = use == SPECIAL_CREATE
                     ? scratch_class_takes(class, op->info.flags, (unsigned)op->number)
                     : class == SCRATCH_ALWAYS;

    return takes && may_hold(op->inode) && !is_taken(op->inode, op->name);
}

bool scratch_takes(struct op *op, enum special_use use)
{
    if (exists(op))
        return true;
    return use != SPECIAL_FIND && use != SPECIAL_INODE && may_be_made(op, use);
}

static struct scratch_file *file_of(const struct op *op)
{
    return (struct scratch_file *)op->inode->special;
}

/* Making and removing ---------------------------------------------------------------------- */

static void reply_found(struct op *op, struct scratch_file *file)
{
    CLEANUP(cleanup_free) char *path = op_child_path(op->inode, op->name);

    if (path == NULL)
        op_reply_status(op, JSFS_NO_MEMORY);
    else
        special_reply_entry(op, path, &file->special);
}

static void scratch_lookup(struct op *op)
{
    struct scratch_file *file = scratch_find(op->fs, op->inode, op->name);

    if (file == NULL) { /* renamed or unlinked a moment ago */
        op_reply_errno(op, ENOENT);
        return;
    }
    reply_found(op, file);
    special_unref(&file->special);
}

/* A request that is over has no context any more, so it is kept in the op. */
static void keep_caller(struct op *op, mode_t mode)
{
    const struct fuse_ctx *context = fuse_req_ctx(op->request);

    op->number = mode;
    op->offset = context->uid;
    op->size = context->gid;
}

static struct scratch_make make_of(const struct op *op, mode_t type)
{
    return (struct scratch_make){
        .ops = &scratch_ops,
        .mode = type | ((mode_t)op->number & 07777),
        .uid = (uid_t)op->offset,
        .gid = (gid_t)op->size,
        .in_tree = scratch_in_tree(op->inode),
    };
}

static enum jsfs_status make_file(struct op *op, const struct scratch_make *make,
                                  struct scratch_file **out)
{
    struct scratch_place place = scratch_place_of(op->inode, op->name);

    return scratch_table_make(op->fs->scratch->table, &place, make, out);
}

/* The kernel keeps the pages of an open only, because a file has another inode once renamed. */
static void set_open_flags(struct op *op, bool probe)
{
    op->info.fh = 0;
    op->info.keep_cache = 0;
    op->info.noflush = !probe;
}

static enum jsfs_status open_existing(struct op *op, struct scratch_file **out)
{
    struct scratch_file *file = scratch_find(op->fs, op->inode, op->name);

    if (file == NULL)
        return JSFS_STALE;
    if ((op->info.flags & O_TRUNC) != 0)
        scratch_file_resize(file, 0);
    *out = file;
    return JSFS_OK;
}

static void create_here(struct op *op)
{
    enum scratch_class class = scratch_patterns_match(&op->fs->scratch->patterns, op->name);
    struct scratch_make make = make_of(op, S_IFREG);
    struct scratch_file *file;

    make.probe = class == SCRATCH_PROBE;
    enum jsfs_status status = make_file(op, &make, &file);
    if (status == JSFS_EXISTS && (op->info.flags & O_EXCL) == 0)
        status = open_existing(op, &file);
    if (status != JSFS_OK) {
        op_reply_status(op, status);
        return;
    }
    CLEANUP(cleanup_free) char *path = op_child_path(op->inode, op->name);
    set_open_flags(op, make.probe);
    if (path != NULL && special_bind(op, path, &file->special))
        op_reply_create(op, NULL);
    else
        op_reply_status(op, JSFS_NO_MEMORY);
    special_unref(&file->special);
}

/* While the tree is not live only the server knows whether a key has the name. */
static void looked_for_create(void *arg, enum jsfs_status status, const struct tree_attr *attr)
{
    struct op *op = arg;

    (void)attr;
    if (status == JSFS_OK)
        op_create_key(op);
    else if (status == JSFS_NOT_FOUND || status == JSFS_BAD_NAME)
        create_here(op);
    else
        op_reply_status(op, status);
}

static void scratch_create(struct op *op, mode_t mode)
{
    keep_caller(op, mode);
    if (!scratch_in_tree(op->inode)) {
        create_here(op);
        return;
    }
    op->path = op_child_path(op->inode, op->name);
    if (op->path == NULL)
        op_reply_status(op, JSFS_NO_MEMORY);
    else
        bucket_lookup(op->inode->bucket, op->path, looked_for_create, op);
}

static void make_entry(struct op *op, const struct scratch_make *make)
{
    struct scratch_file *file;
    enum jsfs_status status = make_file(op, make, &file);

    if (status != JSFS_OK) {
        op_reply_status(op, status);
        return;
    }
    reply_found(op, file);
    special_unref(&file->special);
}

static void scratch_mknod(struct op *op, mode_t mode)
{
    keep_caller(op, mode);
    struct scratch_make make = make_of(op, mode & S_IFMT);

    if (S_ISREG(mode) || S_ISFIFO(mode))
        make_entry(op, &make);
    else
        op_reply_errno(op, EPERM);
}

static void scratch_symlink(struct op *op, const char *target)
{
    keep_caller(op, 0777);
    struct scratch_make make = make_of(op, S_IFLNK);

    make.target = target;
    make_entry(op, &make);
}

void scratch_forget(struct fs *fs, const struct inode *directory, const char *name,
                    struct scratch_file *file)
{
    struct inode *inode = inode_bound(fs->inodes, directory, name);

    scratch_table_unlink(file);
    if (inode != NULL && inode->special == &file->special)
        inode_unlink(fs->inodes, inode);
    inode_put(fs->inodes, inode);
}

static void scratch_unlink(struct op *op)
{
    struct scratch_file *file = scratch_find(op->fs, op->inode, op->name);

    if (file == NULL) {
        op_reply_errno(op, ENOENT);
        return;
    }
    scratch_forget(op->fs, op->inode, op->name, file);
    special_unref(&file->special);
    op_reply_errno(op, 0);
}

static void scratch_mkdir(struct op *op, mode_t mode)
{
    (void)mode;
    op_reply_errno(op, EEXIST);
}

static void scratch_rmdir(struct op *op)
{
    op_reply_errno(op, ENOTDIR);
}

/* One file ----------------------------------------------------------------------------------- */

static void scratch_open(struct op *op)
{
    struct scratch_file *file = file_of(op);

    if ((op->info.flags & O_TRUNC) != 0)
        scratch_file_resize(file, 0);
    set_open_flags(op, file->probe);
    op_reply_open(op, NULL);
}

static void scratch_read(struct op *op)
{
    CLEANUP(cleanup_free) char *data = malloc(op->size);

    if (data == NULL)
        op_reply_status(op, JSFS_NO_MEMORY);
    else
        op_reply_buffer(op, data,
                        scratch_file_read(file_of(op), op->offset, op->size, data));
}

/* The kernel's idea of the end is good enough only for pages that it writes back. */
static void scratch_write(struct op *op, const char *data)
{
    bool append = (op->info.flags & O_APPEND) != 0 && !op->info.writepage;
    enum jsfs_status status =
        scratch_file_write(file_of(op), op->offset, data, op->size, append);

    if (status != JSFS_OK)
        op_reply_status(op, status);
    else
        op_reply_write(op, op->size);
}

static void scratch_setattr(struct op *op, const struct stat *attr, int to_set)
{
    struct scratch_file *file = file_of(op);
    enum jsfs_status status = JSFS_OK;
    struct stat now;

    if ((to_set & FUSE_SET_ATTR_SIZE) != 0)
        status = scratch_file_resize(file, (uint64_t)attr->st_size);
    if (status != JSFS_OK) {
        op_reply_status(op, status);
        return;
    }
    scratch_file_set(file, attr, to_set);
    double timeout = attr_of(op->fs, op->inode, &now);
    op_reply_attr(op, &now, timeout);
}

static void scratch_readlink(struct op *op)
{
    if (file_of(op)->target != NULL)
        op_reply_link(op, file_of(op)->target);
    else
        op_reply_errno(op, EINVAL);
}

/* The bytes of a probe are a key's by now. */
static void probe_published(void *arg, enum jsfs_status status, const struct tree_attr *attr)
{
    struct op *op = arg;
    struct inode *inode = op->inode;

    (void)attr;
    if (status == JSFS_OK) {
        scratch_forget(op->fs, inode->parent, inode->name, file_of(op));
        notifier_entry(op->fs->notifier, inode->parent, inode->name);
    }
    op_reply_status(op, status);
}

static void scratch_flush(struct op *op)
{
    struct inode *inode = op->inode;
    uint64_t revision;

    if (!scratch_file_is_written_probe(file_of(op)) || !scratch_in_tree(inode->parent)) {
        op_reply_errno(op, 0);
        return;
    }
    CLEANUP(cleanup_bytes) struct bytes *bytes = scratch_file_bytes(file_of(op), &revision);
    if (bytes == NULL)
        op_reply_status(op, JSFS_NO_MEMORY);
    else
        bucket_put(inode->bucket, inode->path, bytes, true, probe_published, op);
}

static double scratch_attr(struct fs *fs, struct inode *inode, struct stat *out)
{
    (void)fs;
    scratch_file_stat((struct scratch_file *)inode->special, out);
    return 0;
}

const struct special_ops scratch_ops = {
    .lookup = scratch_lookup,
    .create = scratch_create,
    .mknod = scratch_mknod,
    .symlink = scratch_symlink,
    .mkdir = scratch_mkdir,
    .unlink = scratch_unlink,
    .rmdir = scratch_rmdir,
    .readlink = scratch_readlink,
    .open = scratch_open,
    .read = scratch_read,
    .write = scratch_write,
    .flush = scratch_flush,
    .fsync = scratch_flush,
    .setattr = scratch_setattr,
    .attr = scratch_attr,
    .free = scratch_file_free,
    .entry_timeout_s = 0,
};
