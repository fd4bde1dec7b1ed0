/* SPDX-License-Identifier: Apache-2.0 */
/* control_text.c - see control_text.h. Layer 5. */
#include "fs/control_text.h"

#include "core/buffer.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "fs/attr.h"
#include "fs/errno_map.h"
#include "fs/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>

/* What one open has. A flush that was interrupted may end after the release. */
struct control_text {
    atomic_uint references;
    pthread_mutex_t lock;
    struct buffer text; /* lock */
    bool dirty;         /* lock: written since it was handed over */
};

static struct control_text *text_of(const struct op *op)
{
    return (struct control_text *)(uintptr_t)op->info.fh; /* NOLINT(performance-no-int-to-ptr) */
}

static void unref(struct control_text *text)
{
    if (atomic_fetch_sub(&text->references, 1) != 1)
        return;
    buffer_clear(&text->text);
    pthread_mutex_destroy(&text->lock);
    free(text);
}

/* A number that differs with the text (FNV-1a). */
static uint64_t hash_of(const char *text)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return hash;
}

/* The inode's version is its text: size, time, and a hash in place of a sequence. */
static void remember(struct op *op, const char *text)
{
    struct tree_attr attr = inode_attr(op->fs->inodes, op->inode);
    uint64_t hash = hash_of(text);

    if (hash == attr.sequence)
        return;
    attr.modified_ns =
        attr.sequence == 0 ? bucket_created_ns(op->inode->bucket) : clock_realtime_ns();
    attr.sequence = hash;
    attr.size_bytes = strlen(text);
    inode_update(op->fs->inodes, op->inode, &attr);
}

/* Opening and closing ------------------------------------------------------------------------- */

static void undo_open(struct op *op)
{
    unref(text_of(op));
}

static void reply_open(struct op *op, enum jsfs_status status)
{
    if (status == JSFS_OK) {
        op->info.direct_io = 1;
        op_reply_open(op, undo_open);
        return;
    }
    unref(text_of(op));
    op_reply_status(op, status);
}

static void made_for_open(void *arg, enum jsfs_status status, const char *text)
{
    struct op *op = arg;

    if (status == JSFS_OK) {
        remember(op, text);
        status = buffer_append_text(&text_of(op)->text, text);
    }
    reply_open(op, status);
}

void control_text_open(struct op *op, control_text_make *make)
{
    struct control_text *text = calloc(1, sizeof(*text));

    if (text == NULL) {
        op_reply_status(op, JSFS_NO_MEMORY);
        return;
    }
    atomic_init(&text->references, 1);
    pthread_mutex_init(&text->lock, NULL);
    op->info.fh = (uint64_t)(uintptr_t)text;
    if ((op->info.flags & O_TRUNC) != 0)
        reply_open(op, JSFS_OK);
    else
        make(op, made_for_open, op);
}

void control_text_release(struct op *op)
{
    unref(text_of(op));
    op_reply_errno(op, 0);
}

/* Bytes --------------------------------------------------------------------------------------- */

/* A copy of the part that is asked for, so that the answer needs no lock. NULL without memory. */
static char *copy_part(struct control_text *text, uint64_t offset, size_t *size)
{
    SCOPED_LOCK(&text->lock);
    size_t left = offset < text->text.size ? text->text.size - (size_t)offset : 0;

    if (*size > left)
        *size = left;
    char *copy = malloc(*size + 1);
    if (copy != NULL && *size > 0)
        memcpy(copy, text->text.data + offset, *size);
    return copy;
}

void control_text_read(struct op *op)
{
    size_t size = op->size;
    CLEANUP(cleanup_free) char *part = copy_part(text_of(op), op->offset, &size);

    if (part != NULL)
        op_reply_buffer(op, part, size);
    else
        op_reply_status(op, JSFS_NO_MEMORY);
}

static enum jsfs_status stage(struct control_text *text, bool append, uint64_t offset,
                              const char *data, size_t size)
{
    SCOPED_LOCK(&text->lock);

    if (append)
        offset = text->text.size;
    if (size > CONTROL_TEXT_MAX || offset > CONTROL_TEXT_MAX - size)
        return JSFS_TOO_LARGE;
    enum jsfs_status status = buffer_write(&text->text, (size_t)offset, data, size);
    if (status == JSFS_OK)
        text->dirty = true;
    return status;
}

void control_text_write(struct op *op, const char *data)
{
    size_t size = op->size;
    enum jsfs_status status =
        stage(text_of(op), (op->info.flags & O_APPEND) != 0, op->offset, data, size);

    if (status == JSFS_OK)
        op_reply_write(op, size);
    else
        op_reply_status(op, status);
}

static enum jsfs_status cut(struct control_text *text, uint64_t size)
{
    SCOPED_LOCK(&text->lock);

    if (size > CONTROL_TEXT_MAX)
        return JSFS_TOO_LARGE;
    text->dirty = true;
    return buffer_resize(&text->text, (size_t)size);
}

void control_text_setattr(struct op *op, const struct stat *attr, int to_set)
{
    enum jsfs_status status = JSFS_OK;
    struct stat out;

    if ((to_set & FUSE_SET_ATTR_SIZE) != 0 && op->info.fh != 0)
        status = cut(text_of(op), (uint64_t)attr->st_size);
    if (status != JSFS_OK) {
        op_reply_status(op, status);
        return;
    }
    double timeout = attr_of(op->fs, op->inode, &out);
    if ((to_set & FUSE_SET_ATTR_SIZE) != 0)
        out.st_size = attr->st_size;
    op_reply_attr(op, &out, timeout);
}

/* Handing over -------------------------------------------------------------------------------- */

/* What is to be handed over, for free(); NULL: nothing, or no memory. */
static char *take_dirty(struct control_text *text, size_t *size, enum jsfs_status *status)
{
    SCOPED_LOCK(&text->lock);

    *status = JSFS_OK;
    *size = text->text.size;
    if (!text->dirty || *size == 0)
        return NULL;
    char *copy = malloc(*size);
    if (copy == NULL) {
        *status = JSFS_NO_MEMORY;
        return NULL;
    }
    memcpy(copy, text->text.data, *size);
    text->dirty = false;
    return copy;
}

void control_text_commit(struct op *op,
                         void (*take)(struct op *op, const char *data, size_t size))
{
    struct control_text *text = text_of(op);
    enum jsfs_status status;
    size_t size;
    CLEANUP(cleanup_free) char *data = take_dirty(text, &size, &status);

    if (data == NULL) {
        op_reply_errno(op, errno_of(status));
        return;
    }
    atomic_fetch_add(&text->references, 1);
    take(op, data, size);
}

void control_text_taken(struct op *op, enum jsfs_status status)
{
    struct control_text *text = text_of(op);

    if (status == JSFS_UNAVAILABLE || status == JSFS_TIMEOUT) {
        SCOPED_LOCK(&text->lock);
        text->dirty = true;
    }
    unref(text);
    op_reply_errno(op, errno_of(status));
}

/* Attributes ---------------------------------------------------------------------------------- */

static void made_for_getattr(void *arg, enum jsfs_status status, const char *text)
{
    struct op *op = arg;
    struct stat out;

    if (status == JSFS_STALE) {
        op_reply_status(op, status);
        return;
    }
    if (status == JSFS_OK)
        remember(op, text);
    double timeout = attr_of(op->fs, op->inode, &out);
    op_reply_attr(op, &out, timeout);
}

void control_text_getattr(struct op *op, control_text_make *make)
{
    make(op, made_for_getattr, op);
}

double control_text_attr(struct fs *fs, struct inode *inode, mode_t permissions,
                         struct stat *out)
{
    struct tree_attr attr = inode_attr(fs->inodes, inode);

    attr_set_file(out, permissions, attr.size_bytes,
                  attr.modified_ns != 0 ? attr.modified_ns : bucket_created_ns(inode->bucket));
    return 0;
}
