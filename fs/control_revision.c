/* SPDX-License-Identifier: Apache-2.0 */
/* control_revision.c - see control_revision.h. Layer 5.
 * The bytes of a revision never change, so the kernel keeps its pages from open to open. The
 * first open fetches them by sequence, with the subject checked: a revision that is not kept any
 * more is ESTALE, never another key's value.
 */
#include "fs/control_revision.h"

#include "core/cleanup.h"
#include "fs/attr.h"
#include "fs/ops.h"
#include "fs/ops_xattr.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define ATTRIBUTES_S 3600.0 /* they are those of one message */

struct revision {
    struct special special;   /* first */
    struct store_entry entry; /* sequence 0: no value is kept */
    int64_t modified_ns;
    char path[]; /* of the key */
};

static struct revision *revision_of(const struct inode *inode)
{
    return (struct revision *)inode->special;
}

/* A handle came or went. The bytes stay while there is one. */
static void close_content(struct op *op)
{
    struct inode *inode = op->inode;

    pthread_mutex_lock(&inode->lock);
    struct bytes *unused = --inode->opened == 0 ? inode->content : NULL;
    if (unused != NULL)
        inode->content = NULL;
    pthread_mutex_unlock(&inode->lock);
    bytes_unref(unused);
}

static bool open_content(struct inode *inode)
{
    SCOPED_LOCK(&inode->lock);
    inode->opened++;
    return inode->fetched;
}

static void opened(struct op *op, enum jsfs_status status)
{
    if (status != JSFS_OK) {
        close_content(op);
        op_reply_status(op, status);
        return;
    }
    op->info.keep_cache = 1;
    op->info.noflush = 1;
    op_reply_open(op, close_content);
}

static void revision_open(struct op *op)
{
    const struct revision *revision = revision_of(op->inode);

    if ((op->info.flags & O_ACCMODE) != O_RDONLY) {
        op_reply_errno(op, EPERM);
        return;
    }
    if (revision->entry.sequence == 0) {
        op_reply_errno(op, ENODATA);
        return;
    }
    op->resume = opened;
    if (open_content(op->inode) || revision->entry.size_bytes == 0)
        opened(op, JSFS_OK);
    else
        content_fetch_revision(op, op->inode, revision->path, revision->entry.sequence);
}

static void fetched(struct op *op, enum jsfs_status status)
{
    struct inode *inode = op->inode;

    if (status != JSFS_OK) {
        op_reply_status(op, status);
        return;
    }
    pthread_mutex_lock(&inode->lock);
    struct bytes *bytes = inode->content != NULL ? bytes_ref(inode->content) : NULL;
    pthread_mutex_unlock(&inode->lock);
    content_reply(op, bytes);
    bytes_unref(bytes);
}

static void revision_read(struct op *op)
{
    const struct revision *revision = revision_of(op->inode);

    op->resume = fetched;
    if (revision->entry.size_bytes == 0)
        content_reply(op, NULL);
    else
        content_fetch_revision(op, op->inode, revision->path, revision->entry.sequence);
}

static void revision_release(struct op *op)
{
    close_content(op);
    op_reply_errno(op, 0);
}

static void revision_xattr(struct op *op)
{
    const struct revision *revision = revision_of(op->inode);
    struct bucket *bucket = op->inode->bucket;
    CLEANUP(xattr_clear) struct xattr_set set = XATTR_SET_INIT;
    CLEANUP(cleanup_free) char *raw = NULL;
    enum jsfs_status status = bucket_raw_name(bucket, revision->path, false, &raw);

    if (status != JSFS_OK) {
        op_reply_status(op, status);
        return;
    }
    xattr_of_revision(&set, bucket_name(bucket), raw, &revision->entry);
    if (revision->entry.sequence != 0)
        xattr_reply_revision(op, &set, revision->path, revision->entry.sequence);
    else
        xattr_reply(op, &set);
}

static void revision_setattr(struct op *op, const struct stat *attr, int to_set)
{
    (void)attr;
    (void)to_set;
    op_reply_errno(op, EPERM);
}

static double revision_attr(struct fs *fs, struct inode *inode, struct stat *out)
{
    const struct revision *revision = revision_of(inode);

    (void)fs;
    attr_set_file(out, 0444, revision->entry.size_bytes, revision->modified_ns);
    return ATTRIBUTES_S;
}

static bool revision_same(const struct special *one, const struct special *other)
{
    const struct revision *a = (const struct revision *)one;
    const struct revision *b = (const struct revision *)other;

    return a->entry.sequence == b->entry.sequence && a->entry.state == b->entry.state &&
           a->modified_ns == b->modified_ns;
}

static void revision_free(struct special *special)
{
    free(special);
}

/* The name goes with the revision, so it is looked up each time. */
static const struct special_ops revision_ops = {
    .open = revision_open,
    .read = revision_read,
    .release = revision_release,
    .setattr = revision_setattr,
    .xattr = revision_xattr,
    .attr = revision_attr,
    .same = revision_same,
    .free = revision_free,
};

struct special *control_revision_new(const char *path, const struct store_entry *entry,
                                     int64_t modified_ns)
{
    size_t size = strlen(path) + 1;
    struct revision *revision = calloc(1, sizeof(*revision) + size);

    if (revision == NULL)
        return NULL;
    special_init(&revision->special, &revision_ops);
    if (entry != NULL)
        revision->entry = *entry;
    revision->modified_ns = modified_ns;
    memcpy(revision->path, path, size);
    return &revision->special;
}
