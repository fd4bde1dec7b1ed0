/* SPDX-License-Identifier: Apache-2.0 */
/* ops_lookup.c - names and attributes. Layer 5.
 * Answered from the tree while it is live; nothing here waits on a worker thread.
 */
#include "fs/ops.h"

#include "core/cleanup.h"
#include "core/name_codec.h"
#include "fs/attr.h"
#include "fs/special.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define STATFS_BLOCK 4096
#define STATFS_UNLIMITED (1ULL << 50) /* [bytes] shown when the server names no limit */
#define STATFS_PATIENCE_MS 1000       /* then the answer is that nothing is known */
#define NAME_MOST 1024                /* what every kernel lets a component have [bytes] */

char *op_child_path(const struct inode *directory, const char *name)
{
    char *path;

    if (directory->path == NULL || directory->path[0] == '\0')
        return strdup(name);
    if (asprintf(&path, "%s/%s", directory->path, name) < 0)
        return NULL;
    return path;
}

/* The count goes up before the reply: a forget may come before fuse_reply_entry returns. */
void op_reply_entry(struct op *op)
{
    struct fs *fs = op->fs;
    struct inode *inode = op->child;
    struct fuse_entry_param entry = {.ino = inode->number};

    entry.attr_timeout = attr_of(fs, inode, &entry.attr);
    entry.entry_timeout = op->moved ? 0 : attr_entry_timeout(fs, inode);
    if (op_claim(op)) {
        inode_remember(fs->inodes, inode);
        if (fuse_reply_entry(op->request, &entry) < 0)
            inode_forget(fs->inodes, entry.ino, 1);
    }
    op_done(op);
}

/* A change that came before the doubt was noted does not tell the kernel of this answer. */
static bool is_still_absent(struct op *op)
{
    struct tree_attr attr;

    inode_doubt(op->inode, op->name);
    if (op->path == NULL ||
        tree_lookup(bucket_tree(op->inode->bucket), op->path, &attr) != JSFS_OK)
        return true;
    object_meta_free(attr.meta);
    return false;
}

static void reply_absent(struct op *op)
{
    struct fuse_entry_param entry = {
        .entry_timeout = attr_absence_timeout(op->fs, op->inode->bucket),
    };

    if (entry.entry_timeout > 0 && !is_still_absent(op))
        entry.entry_timeout = 0;
    if (op->moved || entry.entry_timeout <= 0) {
        op_reply_errno(op, ENOENT);
        return;
    }
    if (op_claim(op))
        fuse_reply_entry(op->request, &entry);
    op_done(op);
}

static enum inode_kind kind_of(enum tree_type type)
{
    switch (type) {
    case TREE_FILE: return INODE_FILE;
    case TREE_LINK: return INODE_LINK;
    case TREE_DIRECTORY: break;
    }
    return INODE_DIRECTORY;
}

struct inode_target op_target(struct bucket *bucket, const char *path,
                              const struct tree_attr *attr)
{
    return (struct inode_target){
        .kind = kind_of(attr->type),
        .bucket = bucket,
        .path = path,
        .attr = attr->type != TREE_DIRECTORY ? attr : NULL,
    };
}

static void looked_up(void *arg, enum jsfs_status status, const struct tree_attr *attr)
{
    struct op *op = arg;
    struct inode *parent = op->inode;

    if (status == JSFS_NOT_FOUND || status == JSFS_BAD_NAME) {
        reply_absent(op);
        return;
    }
    if (status != JSFS_OK) {
        op_reply_status(op, status);
        return;
    }
    struct inode_target target = op_target(parent->bucket, op->path, attr);
    op->child = inode_bind(op->fs->inodes, parent, op->name, &target);
    if (op->child == NULL)
        op_reply_status(op, JSFS_NO_MEMORY);
    else
        op_reply_entry(op);
}

static void bucket_found(void *arg, enum jsfs_status status, struct bucket *bucket)
{
    struct op *op = arg;

    if (status == JSFS_NOT_FOUND || status == JSFS_BAD_NAME) {
        op_reply_errno(op, ENOENT);
        return;
    }
    if (status != JSFS_OK) {
        op_reply_status(op, status);
        return;
    }
    struct inode_target target = {.kind = INODE_BUCKET, .bucket = bucket, .path = ""};
    op->child = inode_bind(op->fs->inodes, op->inode, op->name, &target);
    if (op->child == NULL)
        op_reply_status(op, JSFS_NO_MEMORY);
    else
        op_reply_entry(op);
}

void op_lookup_bucket(struct op *op)
{
    enum store_kind kind = op->inode->kind == INODE_KV_ROOT ? STORE_KV : STORE_OBJECT;

    catalog_lookup(op->fs->catalog, kind, op->name, bucket_found, op);
}

void op_lookup_in(struct op *op)
{
    const struct special_ops *special = special_of(op, SPECIAL_FIND);

    if (special != NULL) {
        if (special->lookup != NULL)
            special->lookup(op);
        else
            op_reply_errno(op, ENOENT);
        return;
    }
    switch (op->inode->kind) {
    case INODE_ROOT:
        op->child = inode_bound(op->fs->inodes, op->inode, op->name);
        if (op->child == NULL)
            op_reply_errno(op, ENOENT);
        else
            op_reply_entry(op);
        break;
    case INODE_KV_ROOT:
    case INODE_OBJECT_ROOT: op_lookup_bucket(op); break;
    case INODE_BUCKET:
    case INODE_DIRECTORY:
        op->path = op_child_path(op->inode, op->name);
        if (op->path == NULL)
            op_reply_status(op, JSFS_NO_MEMORY);
        else
            bucket_lookup(op->inode->bucket, op->path, looked_up, op);
        break;
    case INODE_FILE:
    case INODE_LINK:
    case INODE_SPECIAL: op_reply_errno(op, ENOTDIR); break;
    }
}

void op_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
    struct op *op = op_new_named(request, "lookup", parent, name);

    if (op == NULL)
        return;
    op_lookup_in(op);
    op_park(op);
}

void op_forget(fuse_req_t request, fuse_ino_t number, uint64_t count)
{
    struct fs *fs = fuse_req_userdata(request);

    inode_forget(fs->inodes, number, count);
    fuse_reply_none(request);
}

void op_forget_multi(fuse_req_t request, size_t count, struct fuse_forget_data *forgets)
{
    struct fs *fs = fuse_req_userdata(request);

    for (size_t i = 0; i < count; i++)
        inode_forget(fs->inodes, forgets[i].ino, forgets[i].nlookup);
    fuse_reply_none(request);
}

void op_getattr(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
    struct op *op = info != NULL ? op_new_open(request, "getattr", number)
                                 : op_new(request, "getattr", number);
    struct stat attr;

    if (op == NULL)
        return;
    if (info != NULL)
        op->info = *info;
    if (op->inode->special != NULL && op->inode->bucket != NULL &&
        bucket_is_gone(op->inode->bucket)) {
        op_reply_errno(op, ESTALE);
    } else if (op->inode->special != NULL && op->inode->special->ops->getattr != NULL) {
        op->inode->special->ops->getattr(op);
    } else {
        double timeout = attr_of(op->fs, op->inode, &attr);
        op_reply_attr(op, &attr, op->moved ? 0 : timeout);
    }
    op_park(op);
}

/* From the link's directory up to the bucket or to the stores' root, then down to the target. */
static char *relative_target(const struct inode *link, const struct object_meta *meta)
{
    CLEANUP(buffer_clear) struct buffer text = BUFFER_INIT;
    bool elsewhere = strcmp(meta->link_bucket, bucket_name(link->bucket)) != 0;
    enum jsfs_status status = JSFS_OK;

    for (const char *c = link->path; status == JSFS_OK && *c != '\0'; c++)
        if (*c == '/')
            status = buffer_append_text(&text, "../");
    if (status == JSFS_OK && (elsewhere || meta->link_name == NULL))
        status = buffer_append_format(&text, "../%s%s", meta->link_bucket,
                                      meta->link_name != NULL ? "/" : "");
    if (status == JSFS_OK && meta->link_name != NULL)
        status = name_encode(meta->link_name, strlen(meta->link_name), &text);
    return status == JSFS_OK ? buffer_take(&text) : NULL;
}

static void link_found(void *arg, enum jsfs_status status, const struct tree_attr *attr)
{
    struct op *op = arg;
    CLEANUP(cleanup_free) char *target = NULL;

    if (status == JSFS_OK && (attr->type != TREE_LINK || attr->meta == NULL))
        status = JSFS_STALE;
    if (status != JSFS_OK) {
        op_reply_status(op, status);
        return;
    }
    target = relative_target(op->inode, attr->meta);
    if (target == NULL)
        op_reply_status(op, JSFS_NO_MEMORY);
    else
        op_reply_link(op, target);
}

void op_readlink(fuse_req_t request, fuse_ino_t number)
{
    struct op *op = op_new(request, "readlink", number);

    if (op == NULL)
        return;
    const struct special_ops *special = special_of(op, SPECIAL_INODE);
    if (op->inode->kind == INODE_LINK)
        bucket_lookup(op->inode->bucket, op->inode->path, link_found, op);
    else if (special != NULL && special->readlink != NULL)
        special->readlink(op);
    else
        op_reply_errno(op, EINVAL);
    op_park(op);
}

static struct statvfs space_of(uint64_t limit, uint64_t used, uint64_t files)
{
    uint64_t free_bytes = limit > used ? limit - used : 0;

    return (struct statvfs){
        .f_bsize = STATFS_BLOCK,
        .f_frsize = STATFS_BLOCK,
        .f_blocks = (limit > used ? limit : used) / STATFS_BLOCK,
        .f_bfree = free_bytes / STATFS_BLOCK,
        .f_bavail = free_bytes / STATFS_BLOCK,
        .f_files = files,
        .f_namemax = NAME_MOST,
    };
}

static void reply_space(struct op *op, uint64_t limit, uint64_t used, uint64_t files)
{
    struct statvfs space = space_of(limit, used, files);

    op_reply_statfs(op, &space);
}

static uint64_t limit_or_more(int64_t limit, uint64_t used)
{
    return limit >= 0 ? (uint64_t)limit : used + STATFS_UNLIMITED;
}

static void account_known(void *arg, enum jsfs_status status,
                          const struct js_account_info *info)
{
    struct op *op = arg;

    if (status != JSFS_OK) {
        op_reply_status(op, status);
        return;
    }
    uint64_t used = info->storage_used > 0 ? (uint64_t)info->storage_used : 0;
    reply_space(op, limit_or_more(info->storage_limit, used), used, 0);
}

static void bucket_known(void *arg, enum jsfs_status status, const struct js_stream_info *info)
{
    struct op *op = arg;

    if (status != JSFS_OK) {
        op_reply_status(op, status);
        return;
    }
    if (info->max_bytes < 0) { /* then the account's limit is what there is */
        catalog_account(op->fs->catalog, account_known, op);
        return;
    }
    reply_space(op, (uint64_t)info->max_bytes, info->bytes, info->messages);
}

void op_statfs(fuse_req_t request, fuse_ino_t number)
{
    struct op *op = op_new(request, "statfs", number);
    struct statvfs unknown = space_of(STATFS_UNLIMITED, 0, 0);

    if (op == NULL)
        return;
    op_statfs_within(op, STATFS_PATIENCE_MS, &unknown); /* umount(8) asks, and must go on */
    if (op->inode->bucket != NULL)
        bucket_info(op->inode->bucket, bucket_known, op);
    else
        catalog_account(op->fs->catalog, account_known, op);
    op_park(op);
}
