/* SPDX-License-Identifier: Apache-2.0 */
/* poke_ops.c - see poke_ops.h. Layer 5.
 * A file that the helper has open is known by its handle: its RELEASE comes from whoever
 * happens to close it.
 */
#include "fs/poke_ops.h"

#include "fs/attr.h"
#include "fs/ops.h"
#include "fs/poke.h"
#include "fs/special.h"

#include <errno.h>

static const char poke_file; /* its address is the handle */

static bool is_poke(fuse_req_t request)
{
    const struct fs *fs = fuse_req_userdata(request);

    return poke_asks(fs->poke, fuse_req_ctx(request)->pid);
}

static bool is_poke_file(const struct fuse_file_info *info)
{
    return info->fh == (uint64_t)(uintptr_t)&poke_file;
}

/* What a poke finds under a name that has gone and that nobody knew. */
static double ghost_attr(struct fs *fs, struct inode *inode, struct stat *out)
{
    (void)fs;
    attr_set_file(out, 0644, 0, inode->born_ns);
    return 0;
}

static double ghost_directory_attr(struct fs *fs, struct inode *inode, struct stat *out)
{
    (void)fs;
    attr_set_directory(out, 0755, inode->born_ns);
    return 0;
}

static const struct special_ops ghost_ops = {.attr = ghost_attr};
static const struct special_ops ghost_directory_ops = {.attr = ghost_directory_attr};
static struct special ghost = {.ops = &ghost_ops, .references = 1};
static struct special ghost_directory = {.ops = &ghost_directory_ops, .references = 1};

/* Nothing may be cached of it: it is there for the helper alone. */
static void reply_uncached(struct op *op)
{
    struct fs *fs = op->fs;
    struct fuse_entry_param entry = {.ino = op->child->number};

    attr_of(fs, op->child, &entry.attr);
    entry.attr.st_nlink = 1;
    if (op_claim(op)) {
        inode_remember(fs->inodes, op->child);
        if (fuse_reply_entry(op->request, &entry) < 0)
            inode_forget(fs->inodes, entry.ino, 1);
    }
    op_done(op);
}

/* A name that leads to nothing real does so for this answer only. */
static void reply_ghost(struct op *op, bool is_directory)
{
    op->path = op_child_path(op->inode, op->name);
    if (op->path == NULL ||
        !special_bind(op, op->path, is_directory ? &ghost_directory : &ghost)) {
        op_reply_status(op, JSFS_NO_MEMORY);
        return;
    }
    inode_unbind(op->fs->inodes, op->child);
    reply_uncached(op);
}

/* A bucket is what the kernel knows it as: the catalog might ask the server. */
static void reply_bucket(struct op *op)
{
    op->child = inode_bound(op->fs->inodes, op->inode, op->name);
    if (op->child != NULL)
        op_reply_entry(op);
    else
        op_reply_errno(op, ENOENT);
}

/* A directory on the way that has gone: the poke tells of what was in it. */
static bool find_directory(struct op *op)
{
    op->child = inode_bound(op->fs->inodes, op->inode, op->name);
    if (op->child != NULL && op->child->kind == INODE_DIRECTORY)
        return true;
    inode_put(op->fs->inodes, op->child);
    op->child = NULL;
    return false;
}

/* Answer the helper; false: as anybody. */
static bool answer_lookup(struct op *op)
{
    const struct inode *inode = op->inode;
    bool is_directory;

    switch (poke_find(op->fs->poke, inode->number, op->name, &op->child, &is_directory)) {
    case POKE_ABSENT: op_reply_errno(op, ENOENT); return true;
    case POKE_PRESENT:
        if (op->child != NULL)
            reply_uncached(op);
        else
            reply_ghost(op, is_directory);
        return true;
    case POKE_AS_IT_IS: break;
    }
    if (inode->kind == INODE_KV_ROOT || inode->kind == INODE_OBJECT_ROOT) {
        reply_bucket(op);
        return true;
    }
    if (find_directory(op)) {
        reply_uncached(op);
        return true;
    }
    if (inode->bucket != NULL && !bucket_is_live(inode->bucket)) {
        op_reply_errno(op, ESTALE);
        return true;
    }
    return false;
}

void poke_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
    struct op *op;

    if (!is_poke(request)) {
        op_lookup(request, parent, name);
        return;
    }
    op = op_new_named(request, "lookup", parent, name);
    if (op == NULL)
        return;
    if (!answer_lookup(op))
        op_lookup_in(op);
    op_park(op);
}

/* What was made elsewhere, as a lookup finds it. */
static void reply_made(fuse_req_t request, fuse_ino_t parent, const char *name)
{
    struct op *op = op_new_named(request, "poke", parent, name);

    if (op == NULL)
        return;
    if (op->inode->bucket == NULL || !bucket_is_live(op->inode->bucket))
        op_reply_errno(op, ESTALE);
    else
        op_lookup_in(op);
    op_park(op);
}

void poke_mknod(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode,
                dev_t device)
{
    if (is_poke(request))
        reply_made(request, parent, name);
    else
        op_mknod(request, parent, name, mode, device);
}

void poke_mkdir(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode)
{
    if (is_poke(request))
        reply_made(request, parent, name);
    else
        op_mkdir(request, parent, name, mode);
}

void poke_symlink(fuse_req_t request, const char *target, fuse_ino_t parent, const char *name)
{
    if (is_poke(request))
        reply_made(request, parent, name);
    else
        op_symlink(request, target, parent, name);
}

void poke_unlink(fuse_req_t request, fuse_ino_t parent, const char *name)
{
    if (is_poke(request))
        fuse_reply_err(request, 0);
    else
        op_unlink(request, parent, name);
}

void poke_rmdir(fuse_req_t request, fuse_ino_t parent, const char *name)
{
    if (is_poke(request))
        fuse_reply_err(request, 0);
    else
        op_rmdir(request, parent, name);
}

void poke_open(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
    if (!is_poke(request)) {
        op_open(request, number, info);
        return;
    }
    info->fh = (uint64_t)(uintptr_t)&poke_file;
    info->keep_cache = 1;
    info->noflush = 1;
    fuse_reply_open(request, info);
}

void poke_setattr(fuse_req_t request, fuse_ino_t number, struct stat *attr, int to_set,
                  struct fuse_file_info *info)
{
    struct stat now;
    struct op *op;

    if (!is_poke(request)) {
        op_setattr(request, number, attr, to_set, info);
        return;
    }
    op = op_new(request, "poke", number);
    if (op == NULL)
        return;
    attr_of(op->fs, op->inode, &now);
    op_reply_attr(op, &now, 0);
    op_park(op);
}

void poke_flush(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
    if (is_poke_file(info))
        fuse_reply_err(request, 0);
    else
        op_flush(request, number, info);
}

void poke_release(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
    if (is_poke_file(info))
        fuse_reply_err(request, 0);
    else
        op_release(request, number, info);
}
