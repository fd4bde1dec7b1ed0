/* SPDX-License-Identifier: Apache-2.0 */
/* changes.c - see changes.h. Layer 5.
 * A change is walked from the bucket down as far as the kernel knows the path; where its
 * knowledge ends, that name is dropped and the directory's listing with it. A file whose version
 * changed elsewhere loses its inode, so that open handles keep the old one.
 */
#include "fs/changes.h"

#include "core/bucket_rename.h"
#include "core/cleanup.h"
#include "core/name_codec.h"
#include "core/upload.h"
#include "fs/fs_state.h"
#include "fs/notifier.h"
#include "fs/ops.h"
#include "fs/scratch.h"

#include <string.h>

void fs_name_changed(struct fs *fs, struct inode *inode)
{
    if (inode->parent != NULL)
        notifier_entry(fs->notifier, inode->parent, inode->name);
}

static struct inode *root_of(struct fs *fs, enum store_kind kind)
{
    return inode_get(fs->inodes, kind == STORE_KV ? INODE_NUMBER_KV : INODE_NUMBER_OBJECT);
}

static struct inode *bucket_inode(struct fs *fs, struct bucket *bucket)
{
    struct inode *root = root_of(fs, bucket_kind(bucket));
    struct inode *inode = inode_bound(fs->inodes, root, bucket_name(bucket));

    inode_put(fs->inodes, root);
    if (inode == NULL || inode->bucket == bucket)
        return inode;
    inode_put(fs->inodes, inode);
    return NULL;
}

/* True when the write was made through this very inode: it is the new version already. */
static bool wrote_it(struct inode *inode, uint64_t token)
{
    struct value_file_stat state = {.token = 0};

    SCOPED_LOCK(&inode->lock);
    if (inode->value != NULL)
        value_file_get(inode->value, &state);
    return token != 0 &&
           (state.token == token ||
            (inode->upload != NULL && upload_token(inode->upload) == token));
}

struct change {
    struct fs *fs;
    struct bucket *bucket;
    const char *path;
    uint64_t sequence;
    uint64_t token;
    bool by_other_name; /* ours, but the kernel has not removed the name itself */
};

static bool is_shown(const struct change *change)
{
    struct tree_attr attr;

    if (tree_lookup(bucket_tree(change->bucket), change->path, &attr) != JSFS_OK)
        return false;
    object_meta_free(attr.meta);
    return true;
}

/* A name that no inode is bound to. */
static void unknown_changed(const struct change *change, struct inode *directory,
                            const char *name)
{
    if (change->by_other_name || inode_is_doubted(directory, name))
        notifier_entry(change->fs->notifier, directory, name);
    else
        notifier_data(change->fs->notifier, directory);
}

/* Our own removal is told to the kernel by the answer to its UNLINK; but one that is half of a
 * rename unlinks nothing: who writes the file goes on.
 */
static void file_changed(const struct change *change, struct inode *directory,
                         const char *name, struct inode *file)
{
    struct fs *fs = change->fs;
    bool renamed = change->token != 0 && bucket_is_rename(change->bucket, change->token);

    if (file == NULL) {
        if (renamed)
            notifier_entry(fs->notifier, directory, name);
        else if (change->token == 0 || is_shown(change))
            unknown_changed(change, directory, name);
        return;
    }
    if (wrote_it(file, change->token) ||
        inode_attr(fs->inodes, file).sequence >= change->sequence)
        return;
    if (change->token != 0 && !renamed && !is_shown(change)) {
        inode_unlink(fs->inodes, file);
        return;
    }
    inode_unbind(fs->inodes, file);
    notifier_entry(fs->notifier, directory, name);
}

static void last_component(const struct change *change, struct inode *directory,
                           const char *name)
{
    struct inode *inode = inode_bound(change->fs->inodes, directory, name);

    if (inode != NULL && inode->kind == INODE_DIRECTORY) {
        struct inode *value =
            inode_bound(change->fs->inodes, inode, NAME_CODEC_VALUE);

        file_changed(change, inode, NAME_CODEC_VALUE, value);
        inode_put(change->fs->inodes, value);
    } else {
        file_changed(change, directory, name, inode);
    }
    inode_put(change->fs->inodes, inode);
}

/* A directory that is none any more, because the last name below it went, or its only one
 * became a file. It stays bound: made again it is the same one to who works in it.
 */
static void prune(const struct change *change, struct inode *directory)
{
    struct fs *fs = change->fs;

    for (; directory->kind == INODE_DIRECTORY; directory = directory->parent) {
        struct tree_attr attr;
        enum jsfs_status status =
            tree_lookup(bucket_tree(change->bucket), directory->path, &attr);
        bool still = status == JSFS_OK && attr.type == TREE_DIRECTORY;

        if (status == JSFS_OK)
            object_meta_free(attr.meta);
        if (still)
            return;
        fs_name_changed(fs, directory);
    }
}

/* Takes the caller's reference to the directory. */
static void walk(const struct change *change, struct inode *directory, char *path)
{
    struct fs *fs = change->fs;
    char *rest = path;
    char *name = strsep(&rest, "/");

    while (rest != NULL) {
        struct inode *next = inode_bound(fs->inodes, directory, name);

        if (next == NULL || next->kind != INODE_DIRECTORY) {
            if (next != NULL) {
                inode_unbind(fs->inodes, next);
                notifier_entry(fs->notifier, directory, name);
            } else {
                unknown_changed(change, directory, name);
            }
            inode_put(fs->inodes, next);
            break;
        }
        inode_put(fs->inodes, directory);
        directory = next;
        name = strsep(&rest, "/");
    }
    if (rest == NULL)
        last_component(change, directory, name);
    prune(change, directory);
    inode_put(fs->inodes, directory);
}

static void tell(const struct change *change)
{
    struct fs *fs = change->fs;
    CLEANUP(cleanup_free) char *copy = strdup(change->path);
    struct inode *directory = bucket_inode(fs, change->bucket);

    if (directory == NULL)
        return;
    if (copy == NULL) { /* without memory everything of the bucket is looked up again */
        notifier_sweep(fs->notifier, change->bucket);
        inode_put(fs->inodes, directory);
        return;
    }
    walk(change, directory, copy);
}

static void changed(void *arg, struct bucket *bucket, const char *path, uint64_t sequence,
                    uint64_t own_token)
{
    const struct change change = {arg, bucket, path, sequence, own_token, false};

    tell(&change);
}

/* The watch has told of it, and unbound its inode. What is bound by now is newer. */
void fs_path_removed(struct fs *fs, struct bucket *bucket, const char *path)
{
    const struct change change = {fs, bucket, path, 0, 0, true};

    tell(&change);
}

static void lost(void *arg, struct bucket *bucket)
{
    struct fs *fs = arg;

    notifier_sweep(fs->notifier, bucket);
}

static void gone(void *arg, struct bucket *bucket)
{
    struct fs *fs = arg;
    struct inode **inodes = NULL;
    size_t count = inode_collect(fs->inodes, bucket, &inodes);

    scratch_table_drop(fs->scratch->table, bucket);
    struct inode *top = bucket_inode(fs, bucket);
    if (top != NULL)
        fs_name_changed(fs, top);
    inode_put(fs->inodes, top);
    notifier_sweep(fs->notifier, bucket);
    for (size_t i = 0; i < count; i++) {
        inode_unbind(fs->inodes, inodes[i]);
        inode_put(fs->inodes, inodes[i]);
    }
    free(inodes);
}

static void listed(void *arg, enum store_kind kind, const char *name, bool exists)
{
    struct fs *fs = arg;
    struct inode *root = root_of(fs, kind);
    struct inode *inode = exists ? NULL : inode_bound(fs->inodes, root, name);

    if (inode != NULL)
        inode_unbind(fs->inodes, inode);
    notifier_entry(fs->notifier, root, name);
    inode_put(fs->inodes, inode);
    inode_put(fs->inodes, root);
}

struct catalog_observer changes_observer(struct fs *fs)
{
    return (struct catalog_observer){
        .bucket = {.changed = changed, .lost = lost, .gone = gone, .arg = fs},
        .listed = listed,
        .arg = fs,
    };
}
