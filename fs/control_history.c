/* SPDX-License-Identifier: Apache-2.0 */
/* control_history.c - see control_history.h. Layer 5.
 * Which keys there are is the tree's to say. A key's revisions are asked for when its directory
 * is opened or a revision looked up, and remembered for what follows at once (`ls -l` looks up
 * what it has listed), as long as the tree knows of no change.
 */
#include "fs/control_history.h"

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/history.h"
#include "core/tree_held.h"
#include "fs/attr.h"
#include "fs/control.h"
#include "fs/control_revision.h"
#include "fs/ops.h"

#include <errno.h>
#include <string.h>

#define RECENT_MS 2000
#define PAGE_MOST 512 /* names taken from the tree at once */

/* The directory of a key, of names below, or both. */
struct key_directory {
    struct special special; /* first */
    pthread_mutex_t lock;
    struct store_entry *recent; /* lock; what was listed last; NULL: nothing */
    size_t recent_count;        /* lock */
    int64_t recent_ms;          /* lock; when */
    bool timed;                 /* lock; a timer will free it */
};

static const struct special_ops key_ops;

/* NULL for the top, which is no key. */
static struct key_directory *directory_of(const struct inode *inode)
{
    return inode->special->ops == &key_ops ? (struct key_directory *)inode->special
                                           : NULL;
}

static void directory_free(struct special *special)
{
    struct key_directory *directory = (struct key_directory *)special;

    pthread_mutex_destroy(&directory->lock);
    free(directory->recent);
    free(directory);
}

static struct special *directory_new(void)
{
    struct key_directory *directory = calloc(1, sizeof(*directory));

    if (directory == NULL)
        return NULL;
    special_init(&directory->special, &key_ops);
    pthread_mutex_init(&directory->lock, NULL);
    return &directory->special;
}

/* What was listed a moment ago ---------------------------------------------------------------- */

static void forget_recent(void *arg)
{
    struct key_directory *directory = arg;

    pthread_mutex_lock(&directory->lock);
    free(directory->recent);
    directory->recent = NULL;
    directory->recent_count = 0;
    directory->timed = false;
    pthread_mutex_unlock(&directory->lock);
    special_unref(&directory->special);
}

/* Without memory nothing is remembered. */
static void remember(struct op *op, const struct store_entry *entries, size_t count)
{
    struct key_directory *directory = directory_of(op->inode);
    struct store_entry *copy = malloc(count * sizeof(*copy));

    if (copy == NULL)
        return;
    memcpy(copy, entries, count * sizeof(*copy));
    pthread_mutex_lock(&directory->lock);
    free(directory->recent);
    directory->recent = copy;
    directory->recent_count = count;
    directory->recent_ms = clock_monotonic_ms();
    bool timed = directory->timed;
    directory->timed = true;
    pthread_mutex_unlock(&directory->lock);
    if (!timed) {
        special_ref(&directory->special);
        executor_after(op->fs->executor, RECENT_MS, forget_recent, forget_recent,
                       directory);
    }
}

/* A revision that was listed, while the tree knows of no newer message. */
static bool find_recent(struct op *op, struct store_entry *out)
{
    struct key_directory *directory = directory_of(op->inode);
    struct bucket *bucket = op->inode->bucket;
    struct tree_held held;

    if (!bucket_is_live(bucket) ||
        tree_held_lookup(bucket_tree(bucket), control_below(op->inode->path), TREE_HELD,
                         &held) != JSFS_OK)
        return false;
    SCOPED_LOCK(&directory->lock);
    size_t count = directory->recent_count;
    if (count == 0 || directory->recent[count - 1].sequence != held.sequence ||
        clock_monotonic_ms() - directory->recent_ms > RECENT_MS)
        return false;
    const struct store_entry *found = history_find(directory->recent, count, op->name);
    if (found != NULL)
        *out = *found;
    return found != NULL;
}

/* Names -------------------------------------------------------------------------------------- */

static void reply_special(struct op *op, struct special *special)
{
    if (special == NULL)
        op_reply_status(op, JSFS_NO_MEMORY);
    else
        special_reply_entry(op, op->path, special);
    special_unref(special);
}

static void reply_revision(struct op *op, const struct store_entry *entry)
{
    reply_special(op, control_revision_new(control_below(op->inode->path), entry,
                                           entry->modified_ns));
}

static void listed_for_lookup(void *arg, enum jsfs_status status,
                              const struct store_entry *entries, size_t count)
{
    struct op *op = arg;

    if (status != JSFS_OK) {
        op_reply_status(op, status);
        return;
    }
    remember(op, entries, count);
    const struct store_entry *entry = history_find(entries, count, op->name);
    if (entry == NULL)
        op_reply_errno(op, ENOENT);
    else
        reply_revision(op, entry);
}

static void lookup_revision(struct op *op)
{
    struct store_entry entry;

    if (directory_of(op->inode) == NULL)
        op_reply_errno(op, ENOENT);
    else if (find_recent(op, &entry))
        reply_revision(op, &entry);
    else
        history_list(op->inode->bucket, control_below(op->inode->path), listed_for_lookup,
                     op);
}

/* The tree has heard of the name by now, if there is anything of it. */
static void looked_up(void *arg, enum jsfs_status status, const struct tree_attr *attr)
{
    struct op *op = arg;
    struct tree_held held;

    (void)attr;
    if (tree_held_lookup(bucket_tree(op->inode->bucket), control_below(op->path),
                         TREE_HELD, &held) == JSFS_OK)
        reply_special(op, directory_new());
    else if (status == JSFS_OK || status == JSFS_BAD_NAME || status == JSFS_NOT_DIRECTORY)
        op_reply_errno(op, ENOENT);
    else
        op_reply_status(op, status);
}

static void history_lookup(struct op *op)
{
    op->path = op_child_path(op->inode, op->name);
    if (op->path == NULL)
        op_reply_status(op, JSFS_NO_MEMORY);
    else if (op->name[0] == '@')
        lookup_revision(op);
    else
        bucket_lookup(op->inode->bucket, control_below(op->path), looked_up, op);
}

/* Purge -------------------------------------------------------------------------------------- */

/* The directory stays, with the marker in it, but the kernel takes this one for dead. */
static void purged(void *arg, enum jsfs_status status)
{
    struct op *op = arg;

    if (status != JSFS_OK) {
        op_reply_removed(op, status);
        return;
    }
    struct inode *bound = inode_bound(op->fs->inodes, op->inode, op->name);
    if (bound != NULL)
        inode_unbind(op->fs->inodes, bound);
    inode_put(op->fs->inodes, bound);
    fs_path_removed(op->fs, op->inode->bucket, control_below(op->path));
    op_reply_told(op);
}

static void history_rmdir(struct op *op)
{
    struct tree_held held;

    op->path = op_child_path(op->inode, op->name);
    if (op->path == NULL)
        op_reply_status(op, JSFS_NO_MEMORY);
    else if (tree_held_lookup(bucket_tree(op->inode->bucket), control_below(op->path),
                              TREE_HELD, &held) != JSFS_OK)
        op_reply_errno(op, ENOENT);
    else if (!held.name)
        op_reply_errno(op, ENOTEMPTY);
    else
        history_purge(op->inode->bucket, control_below(op->path), purged, op);
}

/* Listings ----------------------------------------------------------------------------------- */

static void listed(void *arg, enum jsfs_status status, const struct store_entry *entries,
                   size_t count)
{
    struct op *op = arg;
    CLEANUP(cleanup_free) struct dir_name *names = calloc(count + 1, sizeof(*names));
    CLEANUP(cleanup_free)
    char(*texts)[HISTORY_NAME_SIZE] = calloc(count + 1, sizeof(*texts));

    if (status == JSFS_NOT_FOUND) /* gone since the tree has heard of it */
        status = JSFS_OK;
    if (status == JSFS_OK && (names == NULL || texts == NULL))
        status = JSFS_NO_MEMORY;
    if (status != JSFS_OK) {
        op_reply_status(op, status);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        history_name(&entries[i], texts[i]);
        names[i] = (struct dir_name){texts[i], S_IFREG};
    }
    if (count > 0)
        remember(op, entries, count);
    dir_open_pages(op, names, count);
}

static void tree_ready(void *arg, enum jsfs_status status)
{
    struct op *op = arg;
    struct bucket *bucket = op->inode->bucket;
    const char *path = control_below(op->inode->path);
    struct tree_held held;

    if (status == JSFS_OK)
        status = tree_held_lookup(bucket_tree(bucket), path, TREE_HELD, &held);
    if (status != JSFS_OK)
        op_reply_status(op, status);
    else if (held.name)
        history_list(bucket, path, listed, op);
    else
        dir_open_pages(op, NULL, 0);
}

static void history_opendir(struct op *op)
{
    bucket_wait_listed(op->inode->bucket, tree_ready, op);
}

static enum jsfs_status history_page(struct inode *inode, uint64_t *cookie,
                                     struct tree_page *page)
{
    return tree_held_list(bucket_tree(inode->bucket), control_below(inode->path),
                          TREE_HELD, cookie, PAGE_MOST, page);
}

static double history_attr(struct fs *fs, struct inode *inode, struct stat *out)
{
    struct tree_held held;

    (void)fs;
    if (tree_held_lookup(bucket_tree(inode->bucket), control_below(inode->path),
                         TREE_HELD, &held) == JSFS_OK &&
        held.modified_ns != 0)
        attr_set_directory(out, 0755, held.modified_ns);
    else
        control_directory_attr(inode, 0755, out);
    return 0;
}

/* A name leads to the same directory as long as it has one. */
static bool directory_same(const struct special *one, const struct special *other)
{
    (void)one;
    (void)other;
    return true;
}

static const struct special_ops key_ops = {
    .lookup = history_lookup,
    .rmdir = history_rmdir,
    .opendir = history_opendir,
    .list = history_page,
    .attr = history_attr,
    .same = directory_same,
    .free = directory_free,
};

const struct special_ops control_history_ops = {
    .lookup = history_lookup,
    .rmdir = history_rmdir,
    .opendir = history_opendir,
    .list = history_page,
    .attr = history_attr,
};
