/* SPDX-License-Identifier: Apache-2.0 */
/* ops_xattr.c - extended attributes. Layer 5.
 * Only user.nats.* exist; everything else is answered before anything is looked up, because the
 * kernel asks for security.capability at every write. Listing names asks nobody: newer ls -l does
 * it for each file. Values that the mount does not know (a bucket's status) are asked for.
 * Nothing can be set but user.nats.ttl of a key that is being made; EOPNOTSUPP makes mv and cp -a
 * leave these attributes behind without a word.
 */
#include "fs/ops_xattr.h"

#include "core/cleanup.h"
#include "core/history.h"
#include "core/name_codec.h"
#include "fs/ops.h"
#include "fs/special.h"

#include <errno.h>
#include <string.h>

#define DELTA "delta"

/* Answers ----------------------------------------------------------------------------------- */

/* A size of 0 asks how much room is needed. */
static void reply_bytes(struct op *op, const char *data, size_t size)
{
    if (op->size > 0 && size > op->size) {
        op_reply_errno(op, ERANGE);
    } else if (op->size > 0) {
        op_reply_buffer(op, data, size);
    } else {
        if (op_claim(op))
            fuse_reply_xattr(op->request, size);
        op_done(op);
    }
}

static void reply_names(struct op *op, const struct xattr_set *set)
{
    CLEANUP(buffer_clear) struct buffer names = BUFFER_INIT;
    enum jsfs_status status = xattr_list(set, &names);

    if (status != JSFS_OK)
        op_reply_status(op, status);
    else
        reply_bytes(op, names.data, names.size);
}

void xattr_reply(struct op *op, const struct xattr_set *set)
{
    const char *value = op->name != NULL ? xattr_get(set, op->name) : NULL;

    if (set->failed)
        op_reply_status(op, JSFS_NO_MEMORY);
    else if (op->name == NULL)
        reply_names(op, set);
    else if (value == NULL)
        op_reply_errno(op, ENODATA);
    else
        reply_bytes(op, value, strlen(value));
}

static void listed_for_delta(void *arg, enum jsfs_status status,
                             const struct store_entry *entries, size_t count)
{
    struct op *op = arg;
    CLEANUP(xattr_clear) struct xattr_set set = XATTR_SET_INIT;

    if (status != JSFS_OK && status != JSFS_NOT_FOUND) {
        op_reply_status(op, status);
        return;
    }
    xattr_add(&set, DELTA, "%zu", history_newer(entries, count, op->number));
    xattr_reply(op, &set);
}

/* 0 without a request where the tree says that it is the newest. */
static void reply_delta(struct op *op, const char *path, uint64_t revision)
{
    struct bucket *bucket = op->inode->bucket;

    op->number = revision;
    if (bucket_is_live(bucket) &&
        tree_sequence(bucket_tree(bucket), path, NULL) == revision)
        listed_for_delta(op, JSFS_NOT_FOUND, NULL, 0);
    else
        history_list(bucket, path, listed_for_delta, op);
}

void xattr_reply_revision(struct op *op, struct xattr_set *set, const char *path,
                          uint64_t revision)
{
    if (op->name != NULL && strcmp(op->name, DELTA) == 0) {
        reply_delta(op, path, revision);
        return;
    }
    xattr_add(set, DELTA, "0");
    xattr_reply(op, set);
}

/* Keys, objects, buckets -------------------------------------------------------------------- */

/* The path of the name itself: without a last component "@value"; for free(). */
static char *name_path_of(const struct inode *inode)
{
    size_t size = strlen(inode->path), value = strlen("/" NAME_CODEC_VALUE);

    if (size > value && strcmp(inode->path + size - value, "/" NAME_CODEC_VALUE) == 0)
        size -= value;
    return strndup(inode->path, size);
}

static void of_key(struct op *op)
{
    struct inode *inode = op->inode;
    struct tree_attr attr = inode_attr(op->fs->inodes, inode);
    CLEANUP(xattr_clear) struct xattr_set set = XATTR_SET_INIT;
    CLEANUP(cleanup_free) char *path = name_path_of(inode);
    CLEANUP(cleanup_free) char *raw = NULL;
    struct value_file_stat value = {.ttl_ns = 0};
    enum jsfs_status status =
        path != NULL ? bucket_raw_name(inode->bucket, path, false, &raw) : JSFS_NO_MEMORY;

    if (status != JSFS_OK) {
        op_reply_status(op, status);
        return;
    }
    pthread_mutex_lock(&inode->lock);
    if (inode->value != NULL)
        value_file_get(inode->value, &value);
    pthread_mutex_unlock(&inode->lock);
    xattr_of_key(&set, bucket_name(inode->bucket), raw, attr.sequence, attr.modified_ns);
    if (value.ttl_ns > 0)
        xattr_add(&set, XATTR_TTL, "%llds", (long long)(value.ttl_ns / 1000000000));
    if (attr.sequence != 0)
        xattr_reply_revision(op, &set, path, attr.sequence);
    else
        xattr_reply(op, &set);
}

/* The meta is the tree's, so an older version that a handle still reads has names only. */
static void of_object(struct op *op)
{
    struct inode *inode = op->inode;
    struct tree_attr attr = inode_attr(op->fs->inodes, inode), now = {.meta = NULL};
    CLEANUP(xattr_clear) struct xattr_set set = XATTR_SET_INIT;
    CLEANUP(cleanup_free) char *raw = NULL;
    enum jsfs_status status = bucket_raw_name(inode->bucket, inode->path, false, &raw);

    if (status != JSFS_OK) {
        op_reply_status(op, status);
        return;
    }
    if (tree_lookup(bucket_tree(inode->bucket), inode->path, &now) != JSFS_OK)
        now.meta = NULL;
    CLEANUP(cleanup_object_meta) struct object_meta *meta = now.meta;
    xattr_of_object(&set, bucket_name(inode->bucket), raw,
                    now.sequence == attr.sequence ? meta : NULL);
    xattr_reply(op, &set);
}

static void bucket_known(void *arg, enum jsfs_status status,
                         const struct js_stream_info *info)
{
    struct op *op = arg;
    struct bucket *bucket = op->inode->bucket;
    CLEANUP(xattr_clear) struct xattr_set set = XATTR_SET_INIT;

    if (status != JSFS_OK) {
        op_reply_status(op, status == JSFS_NOT_FOUND ? JSFS_STALE : status);
        return;
    }
    uint64_t known = 0, shown = 0;
    tree_count(bucket_tree(bucket), &known, &shown);
    xattr_of_bucket(&set, bucket_kind(bucket), bucket_name(bucket), info,
                    bucket_is_live(bucket) ? shown : info->subjects);
    xattr_reply(op, &set);
}

static void of_bucket(struct op *op)
{
    CLEANUP(xattr_clear) struct xattr_set names = XATTR_SET_INIT;

    xattr_names_of_bucket(&names, bucket_kind(op->inode->bucket));
    if (op->name == NULL)
        xattr_reply(op, &names);
    else if (!names.failed && xattr_get(&names, op->name) == NULL)
        op_reply_errno(op, ENODATA);
    else
        bucket_info(op->inode->bucket, bucket_known, op);
}

static void of_nothing(struct op *op)
{
    static const struct xattr_set nothing = XATTR_SET_INIT;

    xattr_reply(op, &nothing);
}

static void serve(struct op *op)
{
    const struct special_ops *special = special_of(op, SPECIAL_INODE);
    struct inode *inode = op->inode;
    bool file = inode->kind == INODE_FILE; /* the kernel allows a link none of user.* */

    if (special != NULL && special->xattr != NULL)
        special->xattr(op);
    else if (file && bucket_kind(inode->bucket) == STORE_KV)
        of_key(op);
    else if (file)
        of_object(op);
    else if (inode->kind == INODE_BUCKET)
        of_bucket(op);
    else
        of_nothing(op);
}

/* The name without its prefix; NULL: it is none of ours. */
static const char *own_name(const char *name)
{
    size_t size = strlen(XATTR_PREFIX);

    return strncmp(name, XATTR_PREFIX, size) == 0 ? name + size : NULL;
}

void op_getxattr(fuse_req_t request, fuse_ino_t number, const char *name, size_t size)
{
    const char *own = own_name(name);
    struct op *op = NULL;

    if (own == NULL)
        fuse_reply_err(request, ENODATA);
    else
        op = op_new(request, "getxattr", number);
    if (op == NULL)
        return;
    op->size = size;
    op->name = strdup(own);
    if (op->name == NULL)
        op_reply_status(op, JSFS_NO_MEMORY);
    else
        serve(op);
    op_park(op);
}

void op_listxattr(fuse_req_t request, fuse_ino_t number, size_t size)
{
    struct op *op = op_new(request, "listxattr", number);

    if (op == NULL)
        return;
    op->size = size;
    serve(op);
    op_park(op);
}

/* Setting the time to live ------------------------------------------------------------------- */

static void stream_known(void *arg, enum jsfs_status status,
                         const struct js_stream_info *info)
{
    struct op *op = arg;
    struct inode *inode = op->inode;

    if (status == JSFS_OK && !info->allow_message_ttl)
        status = JSFS_UNSUPPORTED;
    if (status == JSFS_OK) {
        SCOPED_LOCK(&inode->lock);

        status = inode->value != NULL
                     ? value_file_set_ttl(inode->value, (int64_t)op->number)
                     : JSFS_UNSUPPORTED;
    }
    op_reply_status(op, status);
}

/* ttl_ns 0: take it away again. */
static void set_ttl(fuse_req_t request, const char *what, fuse_ino_t number,
                    int64_t ttl_ns)
{
    struct op *op = op_new(request, what, number);

    if (op == NULL)
        return;
    op->number = (uint64_t)ttl_ns;
    if (op->inode->kind == INODE_FILE && bucket_kind(op->inode->bucket) == STORE_KV)
        bucket_info(op->inode->bucket, stream_known, op);
    else
        op_reply_errno(op, EOPNOTSUPP);
    op_park(op);
}

static bool is_ttl(const char *name)
{
    const char *own = own_name(name);

    return own != NULL && strcmp(own, XATTR_TTL) == 0;
}

void op_setxattr(fuse_req_t request, fuse_ino_t number, const char *name,
                 const char *value, size_t size, int flags)
{
    int64_t ttl_ns = is_ttl(name) ? xattr_parse_ttl(value, size) : 0;

    (void)flags;
    if (!is_ttl(name))
        fuse_reply_err(request, EOPNOTSUPP);
    else if (ttl_ns == 0)
        fuse_reply_err(request, EINVAL);
    else
        set_ttl(request, "setxattr", number, ttl_ns);
}

void op_removexattr(fuse_req_t request, fuse_ino_t number, const char *name)
{
    if (is_ttl(name))
        set_ttl(request, "removexattr", number, 0);
    else
        fuse_reply_err(request, own_name(name) != NULL ? EOPNOTSUPP : ENODATA);
}
