/* SPDX-License-Identifier: Apache-2.0 */
/* attr.c - see attr.h. Layer 5. */
#include "fs/attr.h"

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/upload.h"
#include "fs/special.h"

#include <string.h>

#define NS_PER_S 1000000000LL
#define BUCKET_LIST_S 1.0 /* a bucket that is not watched; the watch tells when one is gone */

static struct timespec time_of(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
}

static void set_times(struct stat *out, int64_t ns)
{
    out->st_mtim = time_of(ns);
    out->st_ctim = out->st_mtim;
    out->st_atim = out->st_mtim;
}

static void fill(const struct fs *fs, enum inode_kind kind, const struct tree_attr *attr,
                 uint64_t shown_number, struct stat *out)
{
    mode_t mode = kind == INODE_FILE ? S_IFREG | 0644 : S_IFDIR | 0755;

    memset(out, 0, sizeof(*out));
    out->st_ino = shown_number;
    out->st_mode = kind == INODE_LINK ? S_IFLNK | 0777 : mode;
    out->st_nlink = kind == INODE_FILE || kind == INODE_LINK ? 1 : 2;
    out->st_uid = fs->uid;
    out->st_gid = fs->gid;
    out->st_size = (off_t)attr->size_bytes;
    out->st_blocks = (blkcnt_t)((attr->size_bytes + 511) / 512);
    out->st_blksize = ATTR_BLOCK_BYTES;
    set_times(out, attr->modified_ns);
}

void attr_set_directory(struct stat *out, mode_t permissions, int64_t modified_ns)
{
    out->st_mode = S_IFDIR | permissions;
    out->st_nlink = 2;
    set_times(out, modified_ns);
}

void attr_set_file(struct stat *out, mode_t permissions, uint64_t size_bytes,
                   int64_t modified_ns)
{
    out->st_mode = S_IFREG | permissions;
    out->st_size = (off_t)size_bytes;
    out->st_blocks = (blkcnt_t)((size_bytes + 511) / 512);
    set_times(out, modified_ns);
}

void attr_from(const struct fs *fs, const struct inode_target *target, uint64_t shown_number,
               struct stat *out)
{
    static const struct tree_attr directory = {.type = TREE_DIRECTORY};

    fill(fs, target->kind, target->attr != NULL ? target->attr : &directory, shown_number, out);
}

/* attr: of a file's version; NULL: of a directory, or of a name that is not there. */
static double lifetime(const struct fs *fs, struct bucket *bucket,
                       const struct tree_attr *attr)
{
    double most = fs->config->attr_timeout_s;
    int64_t ms =
        attr != NULL ? bucket_lifetime_ms(bucket, attr->modified_ns, attr->expires_ns)
                     : bucket_lifetime_ms(bucket, clock_realtime_ns(), 0);

    return (double)ms / 1000.0 < most ? (double)ms / 1000.0 : most;
}

/* What counts for expiry: a directory does not age. */
static const struct tree_attr *version_of(const struct inode *inode,
                                          const struct tree_attr *attr)
{
    return inode->kind == INODE_FILE || inode->kind == INODE_LINK ? attr : NULL;
}

/* True when a handle of this mount has bytes that the server does not have yet. */
static bool local_view(struct inode *inode, struct tree_attr *attr)
{
    SCOPED_LOCK(&inode->lock);

    if (inode->value != NULL) {
        struct value_file_stat state;

        value_file_get(inode->value, &state);
        attr->size_bytes = state.size_bytes;
        attr->modified_ns = state.modified_ns;
        return true;
    }
    if (inode->upload != NULL && upload_sequence(inode->upload) == 0) {
        attr->size_bytes = upload_size(inode->upload);
        attr->modified_ns = clock_realtime_ns();
        return true;
    }
    return false;
}

static void directory_times(struct inode *inode, struct tree_attr *attr)
{
    struct tree_attr now;

    if (inode->bucket == NULL)
        return;
    if (tree_lookup(bucket_tree(inode->bucket), inode->path, &now) == JSFS_OK) {
        attr->modified_ns = now.modified_ns;
        object_meta_free(now.meta);
    }
    if (attr->modified_ns == 0)
        attr->modified_ns = inode->kind == INODE_BUCKET && bucket_created_ns(inode->bucket) != 0
                                ? bucket_created_ns(inode->bucket)
                                : inode->born_ns;
}

int64_t attr_bucket_time(struct bucket *bucket)
{
    struct tree_attr now;

    if (tree_lookup(bucket_tree(bucket), "", &now) != JSFS_OK || now.modified_ns == 0)
        return bucket_created_ns(bucket);
    return now.modified_ns;
}

static double special_attr(struct fs *fs, struct inode *inode, struct stat *out)
{
    memset(out, 0, sizeof(*out));
    out->st_ino = inode->shown_number;
    out->st_uid = fs->uid;
    out->st_gid = fs->gid;
    out->st_nlink = inode_is_removed(fs->inodes, inode) ? 0 : 1;
    out->st_blksize = ATTR_BLOCK_BYTES;
    return inode->special->ops->attr(fs, inode, out);
}

double attr_of(struct fs *fs, struct inode *inode, struct stat *out)
{
    struct tree_attr attr = inode_attr(fs->inodes, inode);
    bool writing = false;

    if (inode->special != NULL)
        return special_attr(fs, inode, out);
    if (inode->kind == INODE_FILE)
        writing = local_view(inode, &attr) || inode_has_writers(fs->inodes, inode);
    else if (inode->kind != INODE_LINK)
        directory_times(inode, &attr);
    fill(fs, inode->kind, &attr, inode->shown_number, out);
    if (inode_is_removed(fs->inodes, inode))
        out->st_nlink = 0;
    if (writing || attr.local || inode_is_moved(fs->inodes, inode))
        return 0;
    if (inode->bucket == NULL)
        return fs->config->attr_timeout_s;
    return lifetime(fs, inode->bucket, version_of(inode, &attr));
}

double attr_entry_timeout(struct fs *fs, struct inode *inode)
{
    struct tree_attr attr = inode_attr(fs->inodes, inode);

    if (inode->special != NULL)
        return inode->special->ops->entry_timeout_s;
    if (inode->bucket == NULL)
        return fs->config->attr_timeout_s;
    if (inode->kind == INODE_BUCKET && !bucket_is_live(inode->bucket))
        return BUCKET_LIST_S;
    if (attr.local || inode_has_writers(fs->inodes, inode))
        return 0;
    return lifetime(fs, inode->bucket, version_of(inode, &attr));
}

double attr_absence_timeout(const struct fs *fs, struct bucket *bucket)
{
    if (bucket == NULL)
        return 0;
    return lifetime(fs, bucket, NULL);
}
