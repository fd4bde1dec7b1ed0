/* SPDX-License-Identifier: Apache-2.0 */
/* ops_data.c - reading, writing, committing bytes. Layer 5. */
#include "fs/ops.h"

#include "core/cleanup.h"
#include "core/log.h"
#include "fs/attr.h"
#include "fs/late.h"
#include "fs/process.h"
#include "fs/special.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

/* Chunks are gone or wrong: of a version that was replaced, or of one that is damaged. */
static void version_known(void *arg, enum jsfs_status status, const struct store_entry *entry)
{
    struct op *op = arg;
    bool current = status == JSFS_OK && entry->state == STORE_LIVE &&
                   entry->sequence == inode_attr(op->fs->inodes, op->inode).sequence;

    op_reply_status(op, current ? JSFS_CORRUPT : JSFS_STALE);
}

static void ask_version(struct op *op)
{
    CLEANUP(cleanup_free) char *raw = NULL;
    struct bucket *bucket = op->inode->bucket;
    struct store *store = bucket_store(bucket);

    if (bucket_raw_name(bucket, op->inode->path, false, &raw) != JSFS_OK)
        op_reply_status(op, JSFS_STALE);
    else
        store->ops->lookup(store, raw, true, version_known, op);
}

/* Tiny chunks can be more parts than one writev(2) takes; then they are joined. */
static void reply_joined(struct op *op, const struct iovec *parts, int count)
{
    CLEANUP(cleanup_free) char *data = malloc(op->size);
    size_t size = 0;

    if (data == NULL) {
        op_reply_status(op, JSFS_NO_MEMORY);
        return;
    }
    for (int i = 0; i < count; i++) {
        memcpy(data + size, parts[i].iov_base, parts[i].iov_len);
        size += parts[i].iov_len;
    }
    op_reply_buffer(op, data, size);
}

static void object_read(void *arg, enum jsfs_status status, const struct iovec *parts, int count)
{
    struct op *op = arg;

    if (status == JSFS_STALE || status == JSFS_CORRUPT)
        ask_version(op);
    else if (status != JSFS_OK)
        op_reply_status(op, status);
    else if (count >= IOV_MAX)
        reply_joined(op, parts, count);
    else
        op_reply_parts(op, parts, count);
}

/* A value that is being written is read from what is staged. */
static void read_staged(struct op *op, struct value_file *value)
{
    CLEANUP(cleanup_free) char *data = malloc(op->size);
    size_t size = 0;
    enum jsfs_status status = data != NULL
                                  ? value_file_read(value, op->offset, op->size, data, &size)
                                  : JSFS_NO_MEMORY;

    if (status != JSFS_OK)
        op_reply_status(op, status);
    else
        op_reply_buffer(op, data, size);
}

static void staged_loaded(void *arg, enum jsfs_status status)
{
    struct op *op = arg;

    if (status != JSFS_OK)
        op_reply_status(op, status);
    else
        read_staged(op, op->value);
}

static bool is_dirty(struct value_file *value)
{
    struct value_file_stat state;

    value_file_get(value, &state);
    return state.dirty;
}

static void content_ready(struct op *op, enum jsfs_status status)
{
    struct inode *inode = op->inode;

    if (status != JSFS_OK) {
        op_reply_status(op, status);
        return;
    }
    pthread_mutex_lock(&inode->lock);
    CLEANUP(cleanup_bytes) struct bytes *bytes =
        inode->content != NULL ? bytes_ref(inode->content) : NULL;
    if (inode->value != NULL && (bytes == NULL || is_dirty(inode->value)))
        op->value = value_file_ref(inode->value);
    pthread_mutex_unlock(&inode->lock);
    if (op->value != NULL) {
        value_file_load(op->value, staged_loaded, op);
        return;
    }
    content_reply(op, bytes);
}

/* The file's own way, where it has one; else the errno, 0 for success. */
static void serve_special(struct op *op, void (*serve)(struct op *op), int without)
{
    if (serve != NULL)
        serve(op);
    else
        op_reply_errno(op, without);
}

void op_read(fuse_req_t request, fuse_ino_t number, size_t size, off_t offset,
             struct fuse_file_info *info)
{
    struct op *op = op_new_open(request, "read", number);

    if (op == NULL)
        return;
    op->info = *info;
    op->handle = op_handle(info);
    op->offset = (uint64_t)offset;
    op->size = size;
    op->resume = content_ready;
    if (op->inode->special != NULL)
        serve_special(op, op->inode->special->ops->read, EPERM);
    else if (bucket_kind(op->inode->bucket) == STORE_KV)
        content_fetch(op, op->inode);
    else if (op->handle->reader != NULL)
        reader_read(op->handle->reader, op->offset, size, object_read, op);
    else
        op_reply_status(op, JSFS_UNSUPPORTED); /* an upload is not read back */
    op_park(op);
}

static void object_written(void *arg, enum jsfs_status status)
{
    struct op *op = arg;

    if (status != JSFS_OK)
        atomic_store(&op->handle->failed, (int)status);
    if (status == JSFS_UNSUPPORTED)
        jsfs_log(JSFS_LOG_WARNING,
                 "op=write bucket=%s path=%s hint=\"objects are written from start to end; "
                 "write the whole file again, or edit a copy elsewhere\"",
                 bucket_name(op->inode->bucket), op->inode->path);
    if (status != JSFS_OK)
        op_reply_status(op, status);
    else
        op_reply_write(op, op->size);
}

static void write_object(struct op *op, const char *data)
{
    struct handle *handle = op->handle;

    if (handle->upload == NULL) {
        object_written(op, JSFS_UNSUPPORTED);
        return;
    }
    op->interrupted_size = op->size;
    upload_write(handle->upload, op->offset, data, op->size, object_written, op);
}

/* A page of a mapping comes with any handle that may write, and belongs where it says. */
static void write_value(struct op *op, const char *data)
{
    bool append = (op->handle->flags & O_APPEND) != 0 && !op->info.writepage;
    enum jsfs_status status =
        value_file_write(op->inode->value, op->offset, data, op->size, append);

    if (status != JSFS_OK) {
        atomic_store(&op->handle->failed, (int)status);
        op_reply_status(op, status);
    } else {
        op_reply_write(op, op->size);
    }
}

static void write_file(struct op *op, const char *data)
{
    op->handle = op_handle(&op->info);
    atomic_store(&op->handle->written, true);
    atomic_store(&op->handle->uncommitted, true);
    atomic_store(&op->handle->reported, false);
    if (atomic_load(&op->fs->closing))
        op_reply_errno(op, EROFS);
    else if (bucket_kind(op->inode->bucket) == STORE_KV)
        write_value(op, data);
    else
        write_object(op, data);
}

static void write_special(struct op *op, const char *data)
{
    if (op->inode->special->ops->write != NULL)
        op->inode->special->ops->write(op, data);
    else
        op_reply_errno(op, EPERM);
}

void op_write(fuse_req_t request, fuse_ino_t number, const char *data, size_t size,
              off_t offset, struct fuse_file_info *info)
{
    struct op *op = op_new_open(request, "write", number);

    if (op == NULL)
        return;
    op->info = *info;
    op->offset = (uint64_t)offset;
    op->size = size;
    if (op->inode->special != NULL)
        write_special(op, data);
    else
        write_file(op, data);
    op_park(op);
}

static void committed(void *arg, enum jsfs_status status)
{
    struct op *op = arg;
    struct handle *handle = op->handle;

    atomic_store(&handle->reported, status != JSFS_OK);
    if (status != JSFS_OK && status != JSFS_TIMEOUT)
        handle_hide_local(op->fs, handle->inode);
    if (status == JSFS_CONFLICT)
        jsfs_log(JSFS_LOG_WARNING,
                 "op=%s bucket=%s path=%s hint=\"somebody changed it meanwhile; the other "
                 "version stays, yours is in .jsfs/conflicts: compare them, edit again\"",
                 op->what, bucket_name(op->inode->bucket), op->inode->path);
    op_reply_status(op, status);
    handle_unref(handle);
}

/* The op's finisher may come after RELEASE when the request was interrupted, so it holds the
 * handle.
 */
static void commit(struct op *op)
{
    handle_ref(op->handle);
    handle_commit(op->handle, false, committed, op);
}

/* Has the closing process inherited the descriptor from who opened the file, and has that one his
 * own still open? Then its close is the one that commits. An object's upload is never finished by
 * a child, because then nothing could be added to it.
 */
static bool is_childs_copy(const struct op *op)
{
    const struct handle *handle = op->handle;
    pid_t caller = op->caller;

    if (handle->opener == 0 || caller == handle->opener || !atomic_load(&handle->written))
        return false;
    caller = process_of(caller);
    if (bucket_kind(op->inode->bucket) == STORE_OBJECT)
        return caller != handle->opener;
    pid_t opener = process_of(handle->opener);
    return opener != 0 && caller != opener &&
           process_writes(opener, op->inode->shown_number);
}

static void flush(struct op *op)
{
    if (!op->handle->writable) {
        op_reply_errno(op, 0);
    } else if (is_childs_copy(op)) {
        if (bucket_kind(op->inode->bucket) == STORE_KV)
            late_commit(op->fs->late, op->handle);
        op_reply_errno(op, 0);
    } else {
        commit(op);
    }
}

/* Each close(2) of each duplicate comes here, before the result reaches the program. */
void op_flush(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info)
{
    struct op *op = op_new_open(request, "flush", number);

    if (op == NULL)
        return;
    op->info = *info;
    op->handle = op_handle(info);
    if (op->inode->special != NULL)
        serve_special(op, op->inode->special->ops->flush, 0);
    else
        flush(op);
    op_park(op);
}

void op_fsync(fuse_req_t request, fuse_ino_t number, int data_only,
              struct fuse_file_info *info)
{
    struct op *op = op_new_open(request, "fsync", number);

    (void)data_only;
    if (op == NULL)
        return;
    op->info = *info;
    op->handle = op_handle(info);
    if (op->inode->special != NULL)
        serve_special(op, op->inode->special->ops->fsync, 0);
    else
        commit(op);
    op_park(op);
}
