/* SPDX-License-Identifier: Apache-2.0 */
/* ops_setattr.c - truncate; and chmod, chown, utimens, which succeed and change nothing.
 * Layer 5. The times and modes of a name are the server's; refusing them would break tar, rsync
 * and editors (reference fuse.md §4.3).
 */
#include "fs/ops.h"

#include "core/log.h"
#include "fs/attr.h"
#include "fs/special.h"

#include <errno.h>
#include <fcntl.h>

static void reply_attributes(struct op *op)
{
    struct stat attr;
    double timeout = attr_of(op->fs, op->inode, &attr);

    op_reply_attr(op, &attr, op->moved ? 0 : timeout);
}

/* An object is replaced as a whole: its size can become 0, or stay. */
static enum jsfs_status truncate_object(struct handle *handle, uint64_t size)
{
    if (handle->upload != NULL && upload_size(handle->upload) == size &&
        upload_sequence(handle->upload) == 0)
        return JSFS_OK;
    if (size == 0)
        return handle_start_upload(handle, true);
    if (handle->upload == NULL &&
        inode_attr(handle->fs->inodes, handle->inode).size_bytes == size)
        return JSFS_OK;
    return JSFS_UNSUPPORTED;
}

static enum jsfs_status truncate_handle(struct handle *handle, uint64_t size)
{
    if (!handle->writable)
        return JSFS_INVALID;
    atomic_store(&handle->uncommitted, true);
    atomic_store(&handle->failed, JSFS_OK);
    if (bucket_kind(handle->inode->bucket) == STORE_OBJECT)
        return truncate_object(handle, size);
    return value_file_truncate(handle->inode->value, size, false);
}

static void truncation_committed(void *arg, enum jsfs_status status)
{
    struct op *op = arg;
    struct handle *handle = op->handle;

    if (status != JSFS_OK)
        op_reply_status(op, status);
    else
        reply_attributes(op);
    handle_unref(handle);
}

static void handle_ready(struct op *op, enum jsfs_status status)
{
    if (status == JSFS_OK)
        status = truncate_handle(op->handle, op->offset);
    if (status != JSFS_OK) {
        truncation_committed(op, status);
        return;
    }
    handle_commit(op->handle, true, truncation_committed, op);
}

/* truncate(2) has no open file: one is made for it and committed before it returns. */
static void truncate_path(struct op *op)
{
    bool empty = op->offset == 0;

    op->resume = handle_ready;
    op->handle = handle_new(op->fs, op->inode, empty ? O_WRONLY | O_TRUNC : O_WRONLY);
    if (op->handle == NULL)
        op_reply_status(op, JSFS_NO_MEMORY);
    else
        op_prepare_handle(op);
}

void op_setattr(fuse_req_t request, fuse_ino_t number, struct stat *attr, int to_set,
                struct fuse_file_info *info)
{
    struct op *op = info != NULL ? op_new_open(request, "setattr", number)
                                 : op_new(request, "setattr", number);
    enum jsfs_status status;

    if (op == NULL)
        return;
    op->offset = (uint64_t)attr->st_size;
    if (info != NULL)
        op->info = *info;
    if (op->inode->special != NULL && op->inode->special->ops->setattr != NULL) {
        op->inode->special->ops->setattr(op, attr, to_set);
    } else if ((to_set & FUSE_SET_ATTR_SIZE) == 0) {
        reply_attributes(op);
    } else if (op->inode->kind != INODE_FILE) {
        op_reply_errno(op, EISDIR);
    } else if (atomic_load(&op->fs->closing)) {
        op_reply_errno(op, EROFS);
    } else if (info == NULL) {
        truncate_path(op);
    } else if ((status = truncate_handle(op_handle(info), op->offset)) != JSFS_OK) {
        op_reply_status(op, status);
    } else {
        reply_attributes(op);
    }
    op_park(op);
}
