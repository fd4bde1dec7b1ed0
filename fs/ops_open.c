/* SPDX-License-Identifier: Apache-2.0 */
/* ops_open.c - open, create, release. Layer 5.
 * The first open of a KV version fetches it, so that a version that went away between lookup and
 * open is ESTALE here, and the kernel looks the name up again (open(2) retries once). An object
 * that local handles read is not replaced under them, nor read while it is being replaced: whoever
 * comes second is sent to a new inode the same way.
 */
#include "fs/ops.h"

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "fs/attr.h"
#include "fs/scratch_hold.h"
#include "fs/process.h"
#include "fs/special.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* The value file of an inode, made when there is none; it stays until the last handle goes. */
static enum jsfs_status ensure_value(struct fs *fs, struct inode *inode)
{
    struct tree_attr attr = inode_attr(fs->inodes, inode);
    CLEANUP(cleanup_free) char *raw = NULL;
    enum jsfs_status status = bucket_raw_name(inode->bucket, inode->path, false, &raw);

    if (status != JSFS_OK)
        return status;
    SCOPED_LOCK(&inode->lock);
    if (inode->value == NULL)
        inode->value = value_file_new(inode->bucket, inode->path, raw, attr.sequence,
                                      attr.size_bytes, attr.modified_ns);
    return inode->value != NULL ? JSFS_OK : JSFS_NO_MEMORY;
}

static void caught_up(void *arg, enum jsfs_status status, const struct tree_attr *attr)
{
    struct op *op = arg;

    (void)status;
    (void)attr;
    op->resume(op, JSFS_STALE);
}

/* Stale: not before the tree knows why, as in content.c. */
static void value_loaded(void *arg, enum jsfs_status status)
{
    struct op *op = arg;
    struct inode *inode = op->handle->inode;

    if (status == JSFS_STALE)
        bucket_written(inode->bucket, inode->path,
                       inode_attr(op->fs->inodes, inode).sequence + 1, 0, caught_up, op);
    else
        op->resume(op, status);
}

static void prepare_value(struct op *op)
{
    struct handle *handle = op->handle;
    enum jsfs_status status = ensure_value(op->fs, handle->inode);

    if (status == JSFS_OK && (handle->flags & (O_APPEND | O_TRUNC)) == O_APPEND)
        value_file_append_only(handle->inode->value);
    if (op->creates && !op->exclusive)
        atomic_store(&handle->uncommitted, true);
    if (status == JSFS_OK && (handle->flags & O_TRUNC) != 0) {
        atomic_store(&handle->uncommitted, true);
        status = value_file_truncate(handle->inode->value, 0, true);
    } else if (status == JSFS_OK) {
        value_file_load(handle->inode->value, value_loaded, op);
        return;
    }
    op->resume(op, status);
}

static void prepare_reading(struct op *op);

static void source_found(void *arg, enum jsfs_status status, const struct tree_attr *attr)
{
    struct op *op = arg;
    struct handle *handle = op->handle;
    struct inode *inode = handle->inode;
    uint64_t sequence = inode_attr(op->fs->inodes, inode).sequence;

    if (status == JSFS_NOT_FOUND ||
        (status == JSFS_OK && (attr->meta == NULL || attr->sequence != sequence)))
        status = JSFS_STALE; /* the name leads elsewhere by now */
    if (status == JSFS_OK)
        status = inode_set_source(op->fs, inode, attr->meta, sequence);
    if (status == JSFS_OK)
        prepare_reading(op);
    else
        op->resume(op, status);
}

/* Many handles of one version share a source, and hold its chunks while any is open. */
enum jsfs_status inode_set_source(struct fs *fs, struct inode *inode,
                                  const struct object_meta *meta, uint64_t sequence)
{
    struct source *source =
        source_new(fs->cache, bucket_store(inode->bucket), meta, sequence);
    char *nuid = meta->nuid != NULL ? strdup(meta->nuid) : NULL;

    if (source == NULL || (meta->nuid != NULL && nuid == NULL)) {
        source_unref(source);
        free(nuid);
        return JSFS_NO_MEMORY;
    }
    if (nuid != NULL)
        bucket_hold_chunks(inode->bucket, nuid);
    pthread_mutex_lock(&inode->lock);
    bool taken = inode->source == NULL;
    if (taken) {
        inode->source = source;
        inode->source_sequence = sequence;
        inode->nuid = nuid;
    }
    pthread_mutex_unlock(&inode->lock);
    if (taken)
        return JSFS_OK;
    if (nuid != NULL)
        bucket_release_chunks(inode->bucket, nuid);
    source_unref(source);
    free(nuid);
    return JSFS_OK;
}

static void prepare_reading(struct op *op)
{
    struct handle *handle = op->handle;
    struct inode *inode = handle->inode;
    enum jsfs_status status = JSFS_OK;

    uint64_t sequence = inode_attr(op->fs->inodes, inode).sequence;

    pthread_mutex_lock(&inode->lock);
    struct source *source = inode->source != NULL && inode->source_sequence == sequence
                                ? source_ref(inode->source)
                                : NULL;
    pthread_mutex_unlock(&inode->lock);
    if (source == NULL) {
        bucket_lookup(inode->bucket, inode->path, source_found, op);
        return;
    }
    handle->reader = reader_new(source, op->fs->config->prefetch_chunks);
    source_unref(source);
    if (handle->reader == NULL)
        status = JSFS_NO_MEMORY;
    op->resume(op, status);
}

static bool is_read_here(struct inode *inode)
{
    SCOPED_LOCK(&inode->lock);
    return inode->source != NULL;
}

static bool is_written_here(struct inode *inode)
{
    SCOPED_LOCK(&inode->lock);
    return inode->upload != NULL && upload_sequence(inode->upload) == 0;
}

static void prepare_object(struct op *op)
{
    struct handle *handle = op->handle;
    struct inode *inode = handle->inode;
    struct tree_attr attr = inode_attr(op->fs->inodes, inode);
    bool replace = (handle->flags & O_TRUNC) != 0;
    bool reads = (handle->flags & O_ACCMODE) != O_WRONLY;

    if ((replace && is_read_here(inode)) ||
        (reads && !replace && !attr.local && is_written_here(inode))) {
        inode_unbind(op->fs->inodes, inode);
        op->resume(op, JSFS_STALE);
    } else if (handle->writable && (replace || attr.local || attr.size_bytes == 0)) {
        op->resume(op, handle_start_upload(handle, replace || op->creates));
    } else if ((handle->flags & O_ACCMODE) == O_WRONLY) {
        op->resume(op, JSFS_OK); /* ftruncate(0) may come; a write is refused */
    } else if (attr.local) {
        op->resume(op, JSFS_UNSUPPORTED); /* another handle is writing it */
    } else {
        prepare_reading(op);
    }
}

/* A key that is replaced or appended to: which version that begins from does not matter, and
 * open(2) looks a name up only once more, which is not enough while another mount writes it.
 */
static bool takes_any_version(const struct handle *handle)
{
    const struct inode *inode = handle->inode;

    return handle->writable && (handle->flags & (O_APPEND | O_TRUNC)) != 0 &&
           bucket_kind(inode->bucket) == STORE_KV &&
           !inode_is_unlinked(handle->fs->inodes, inode);
}

static bool is_fetched(struct inode *inode)
{
    SCOPED_LOCK(&inode->lock);
    return inode->fetched;
}

void op_prepare_handle(struct op *op)
{
    struct handle *handle = op->handle;
    struct inode *inode = handle->inode;
    struct tree_attr attr = inode_attr(op->fs->inodes, inode);

    /* An unbound inode is a name that the kernel has not been told of yet: it looks again. */
    if (bucket_is_gone(inode->bucket) ||
        (inode_is_removed(op->fs->inodes, inode) && !takes_any_version(handle)))
        op->resume(op, JSFS_STALE);
    else if (attr.corrupt && (handle->flags & O_TRUNC) == 0)
        op->resume(op, JSFS_CORRUPT);
    else if (bucket_kind(inode->bucket) == STORE_OBJECT)
        prepare_object(op);
    else if (handle->writable)
        prepare_value(op);
    else if (attr.size_bytes == 0 || is_fetched(inode))
        op->resume(op, JSFS_OK);
    else
        content_fetch(op, inode);
}

static void abandon(struct op *op)
{
    handle_unref(op->handle);
    op->handle = NULL;
    handle_drop_local(op->fs, op->child);
}

static int send_created(struct op *op)
{
    struct fs *fs = op->fs;
    struct fuse_entry_param entry = {.ino = op->child->number};

    entry.attr_timeout = attr_of(fs, op->child, &entry.attr);
    entry.entry_timeout = op->moved ? 0 : attr_entry_timeout(fs, op->child);
    inode_remember(fs->inodes, op->child);
    int result = fuse_reply_create(op->request, &entry, &op->info);
    if (result < 0)
        inode_forget(fs->inodes, entry.ino, 1);
    return result;
}

void op_reply_open(struct op *op, void (*undo)(struct op *op))
{
    bool taken = op_claim(op) && fuse_reply_open(op->request, &op->info) == 0;

    if (!taken && undo != NULL)
        undo(op);
    op_done(op);
}

void op_reply_create(struct op *op, void (*undo)(struct op *op))
{
    bool taken = op_claim(op) && send_created(op) == 0;

    if (!taken && undo != NULL)
        undo(op);
    op_done(op);
}

/* A read-only handle needs no FLUSH; a nodeid is one version, so its pages stay good. */
static void handle_ready(struct op *op, enum jsfs_status status)
{
    if (status != JSFS_OK) {
        abandon(op);
        op_reply_status(op, status);
        return;
    }
    op->info.fh = (uint64_t)(uintptr_t)op->handle;
    op->info.keep_cache = 1;
    op->info.noflush = !op->handle->writable;
    if (op->name != NULL)
        op_reply_create(op, abandon);
    else
        op_reply_open(op, abandon);
}

/* op->child is the file; makes its handle and gets it ready. */
static void open_file(struct op *op)
{
    op->resume = handle_ready;
    op->handle = handle_new(op->fs, op->child, op->info.flags);
    if (op->handle == NULL) {
        op_reply_status(op, JSFS_NO_MEMORY);
        return;
    }
    op->handle->exclusive = op->exclusive;
    if (op->handle->writable)
        op->handle->opener = op->caller;
    if (op->handle->writable && bucket_kind(op->child->bucket) == STORE_OBJECT)
        op->handle->opener = process_of(op->handle->opener);
    op_prepare_handle(op);
}

static bool refused_writing(const struct op *op)
{
    bool writes = (op->info.flags & O_ACCMODE) != O_RDONLY ||
                  (op->info.flags & (O_CREAT | O_TRUNC)) != 0;

    return writes &&
           (atomic_load(&op->fs->closing) || bucket_is_read_only(op->inode->bucket));
}

void op_open(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
    struct op *op = op_new(request, "open", number);

    if (op == NULL)
        return;
    op->info = *info;
    op->child = inode_ref(op->fs->inodes, op->inode);
    const struct special_ops *special = special_of(op, SPECIAL_INODE);
    if (op->moved) /* the kernel looks the name up again and opens what it leads to */
        op_reply_status(op, JSFS_STALE);
    else if (special != NULL && special->open != NULL)
        special->open(op);
    else if (op->inode->kind != INODE_FILE)
        op_reply_errno(op, EISDIR);
    else if (refused_writing(op))
        op_reply_errno(op, EROFS);
    else
        open_file(op);
    op_park(op);
}

static void created_exclusively(void *arg, enum jsfs_status status)
{
    struct op *op = arg;

    handle_ready(op, status);
}

/* A new name: shown here at once, at the server when it is committed; but O_EXCL on a key is
 * decided now, because a lock file is never written.
 */
static void create_file(struct op *op)
{
    struct bucket *bucket = op->inode->bucket;
    struct tree_attr attr = {
        .type = TREE_FILE, .local = true, .modified_ns = clock_realtime_ns()};
    struct inode_target target = op_target(bucket, op->path, &attr);
    bool exclusive = (op->info.flags & O_EXCL) != 0;

    if (scratch_hold_take(op->fs, bucket, op->path) != 0) {
        exclusive = false; /* it is hidden here, and made again: a replacement */
        op->info.flags |= O_TRUNC;
    }
    op->child = inode_bind(op->fs->inodes, op->inode, op->name, &target);
    if (op->child == NULL) {
        tree_drop_local(bucket_tree(bucket), op->path);
        tree_unhide(bucket_tree(bucket), op->path);
        op_reply_status(op, JSFS_NO_MEMORY);
        return;
    }
    op->creates = true;
    op->exclusive = exclusive;
    if ((op->info.flags & O_ACCMODE) == O_RDONLY)
        op->info.flags |= O_RDWR; /* O_CREAT alone makes a file too, and release commits it */
    if (bucket_kind(bucket) == STORE_OBJECT || !exclusive) {
        open_file(op);
        return;
    }
    op->resume = handle_ready;
    op->handle = handle_new(op->fs, op->child, op->info.flags);
    enum jsfs_status status =
        op->handle != NULL ? ensure_value(op->fs, op->child) : JSFS_NO_MEMORY;
    if (status != JSFS_OK)
        handle_ready(op, status);
    else
        value_file_create_exclusive(op->child->value, created_exclusively, op);
}

static void found_for_create(void *arg, enum jsfs_status status, const struct tree_attr *attr)
{
    struct op *op = arg;

    if (status == JSFS_OK && attr->type != TREE_FILE)
        status = attr->type == TREE_DIRECTORY ? JSFS_IS_DIRECTORY : JSFS_EXISTS;
    if (status != JSFS_OK) {
        op_reply_status(op, status);
        return;
    }
    struct inode_target target = op_target(op->inode->bucket, op->path, attr);
    op->child = inode_bind(op->fs->inodes, op->inode, op->name, &target);
    if (op->child == NULL)
        op_reply_status(op, JSFS_NO_MEMORY);
    else
        open_file(op);
}

void op_create_key(struct op *op)
{
    struct bucket *bucket = op->inode->bucket;
    CLEANUP(cleanup_free) char *raw = NULL;
    enum jsfs_status status;

    if (op->path == NULL)
        op->path = op_child_path(op->inode, op->name);
    status = op->path != NULL ? bucket_raw_name(bucket, op->path, true, &raw) : JSFS_NO_MEMORY;
    if (status == JSFS_OK)
        status = tree_add_local(bucket_tree(bucket), op->path);
    if (status == JSFS_OK)
        create_file(op);
    else if (status == JSFS_EXISTS && (op->info.flags & O_EXCL) == 0)
        bucket_lookup(bucket, op->path, found_for_create, op);
    else
        op_reply_status(op, status);
}

void op_create(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode,
               struct fuse_file_info *info)
{
    struct op *op = op_new_named(request, "create", parent, name);

    if (op == NULL)
        return;
    op->info = *info;
    op->number = mode;
    const struct special_ops *special = special_of(op, SPECIAL_CREATE);
    if (special != NULL && special->create != NULL)
        special->create(op, mode);
    else if (special != NULL)
        op_reply_errno(op, EPERM);
    else if (op->inode->kind != INODE_BUCKET && op->inode->kind != INODE_DIRECTORY)
        op_reply_errno(op, EPERM); /* beside the buckets there are no files */
    else if (refused_writing(op))
        op_reply_errno(op, EROFS);
    else
        op_create_key(op);
    op_park(op);
}

/* What did not become the server's must not stay in the kernel's cache under the name. */
static void released(void *arg, enum jsfs_status status)
{
    struct op *op = arg;
    struct fs *fs = op->fs;

    if (status != JSFS_OK || atomic_load(&op->handle->reported)) {
        inode_unbind(fs->inodes, op->inode);
        fs_name_changed(fs, op->inode);
    }
    handle_unref(op->handle);
    op_reply_status(op, status);
}

void op_release(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
    struct op *op = op_new_open(request, "release", number);
    struct handle *handle = op_handle(info);

    if (op == NULL) /* cannot be: the kernel holds the inode of an open file */
        return;
    op->info = *info;
    if (op->inode->special != NULL) {
        if (op->inode->special->ops->release != NULL)
            op->inode->special->ops->release(op);
        else
            op_reply_errno(op, 0);
        op_park(op);
        return;
    }
    op->handle = handle;
    if (!handle->writable || atomic_load(&handle->reported))
        released(op, JSFS_OK);
    else
        handle_commit(handle, true, released, op);
    op_park(op);
}
