/* SPDX-License-Identifier: Apache-2.0 */
/* control_conflicts.c - .jsfs/conflicts: the bytes of local writes that did not reach the server,
 * as files KEY/@REVISION.NUMBER.
 * Layer 5. A view of core/conflict_store.h: they can be read and removed. The disk is asked on
 * executor tasks, each time anew, because several mounts may share it.
 */
#include "fs/control_conflicts.h"

#include "core/cleanup.h"
#include "core/conflict_store.h"
#include "fs/control.h"
#include "fs/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define TOP CONTROL_NAME "/conflicts"
#define NS_PER_S 1000000000LL

/* A file or directory below the top. */
struct node {
    struct special special; /* first */
    struct conflict_entry entry;
};

static const struct special_ops node_ops;

static struct conflict_place place_of(const struct op *op)
{
    return (struct conflict_place){
        .store = op->fs->conflicts,
        .kind = bucket_kind(op->inode->bucket),
        .bucket = bucket_name(op->inode->bucket),
    };
}

/* The conflict store's name of an inode's path. */
static const char *name_in_store(const char *path)
{
    const char *name = path + strlen(TOP);

    return *name == '/' ? name + 1 : name;
}

/* --- names ------------------------------------------------------------------------------- */

static void reply_node(struct op *op, const struct conflict_entry *entry)
{
    struct node *node = calloc(1, sizeof(*node));

    if (node == NULL) {
        op_reply_status(op, JSFS_NO_MEMORY);
        return;
    }
    special_init(&node->special, &node_ops);
    node->entry = *entry;
    special_reply_entry(op, op->path, &node->special);
    special_unref(&node->special);
}

static void find(void *arg)
{
    struct op *op = arg;
    struct conflict_place place = place_of(op);
    struct conflict_entry entry;
    enum jsfs_status status =
        conflict_store_stat(&place, name_in_store(op->path), &entry);

    if (status != JSFS_OK)
        op_reply_status(op, status);
    else
        reply_node(op, &entry);
}

/* Run a task about op->name in op->inode, with its path. */
static void with_path(struct op *op, executor_task *task)
{
    op->path = op_child_path(op->inode, op->name);
    if (op->path == NULL)
        op_reply_status(op, JSFS_NO_MEMORY);
    else
        executor_run(op->fs->executor, task, op);
}

static void node_lookup(struct op *op)
{
    with_path(op, find);
}

static void drop(struct op *op, bool directory)
{
    struct conflict_place place = place_of(op);
    enum jsfs_status status =
        conflict_store_remove(&place, name_in_store(op->path), directory);
    struct inode *bound = inode_bound(op->fs->inodes, op->inode, op->name);

    if (status == JSFS_OK && bound != NULL)
        inode_unlink(op->fs->inodes, bound);
    inode_put(op->fs->inodes, bound);
    op_reply_status(op, status);
}

static void drop_file(void *arg)
{
    drop(arg, false);
}

static void drop_directory(void *arg)
{
    drop(arg, true);
}

static void node_unlink(struct op *op)
{
    with_path(op, drop_file);
}

static void node_rmdir(struct op *op)
{
    with_path(op, drop_directory);
}

static void list(void *arg)
{
    struct op *op = arg;
    struct conflict_place place = place_of(op);
    struct conflict_list found = {NULL, 0};
    enum jsfs_status status =
        conflict_store_list(&place, name_in_store(op->inode->path), &found);
    CLEANUP(cleanup_free)
    struct dir_name *names = calloc(found.count + 1, sizeof(*names));

    if (status == JSFS_OK && names == NULL)
        status = JSFS_NO_MEMORY;
    if (status != JSFS_OK) {
        op_reply_status(op, status);
    } else {
        for (size_t i = 0; i < found.count; i++)
            names[i] = (struct dir_name){found.entries[i].name,
                                         found.entries[i].directory ? S_IFDIR : S_IFREG};
        dir_open_names(op, names, found.count);
    }
    conflict_list_clear(&found);
}

static void top_opendir(struct op *op)
{
    executor_run(op->fs->executor, list, op);
}

static const struct node *node_of(const struct inode *inode)
{
    return (const struct node *)inode->special;
}

static void node_opendir(struct op *op)
{
    if (node_of(op->inode)->entry.directory)
        top_opendir(op);
    else
        op_reply_errno(op, ENOTDIR);
}

/* --- bytes ------------------------------------------------------------------------------- */

static struct conflict_file *file_of(const struct op *op)
{
    return (struct conflict_file *)(uintptr_t)
        op->info.fh; /* NOLINT(performance-no-int-to-ptr) */
}

static void close_file(struct op *op)
{
    conflict_file_close(file_of(op));
}

static void open_file(void *arg)
{
    struct op *op = arg;
    struct conflict_place place = place_of(op);
    struct conflict_file *file;
    enum jsfs_status status =
        conflict_store_open(&place, name_in_store(op->inode->path), &file);

    if (status != JSFS_OK) {
        op_reply_status(op, status == JSFS_NOT_FOUND ? JSFS_STALE : status);
        return;
    }
    op->info.fh = (uint64_t)(uintptr_t)file;
    op_reply_open(op, close_file);
}

static void node_open(struct op *op)
{
    if (node_of(op->inode)->entry.directory)
        op_reply_errno(op, EISDIR);
    else if ((op->info.flags & O_ACCMODE) != O_RDONLY)
        op_reply_errno(op, EPERM);
    else
        executor_run(op->fs->executor, open_file, op);
}

static void read_file(void *arg)
{
    struct op *op = arg;
    CLEANUP(cleanup_free) char *data = malloc(op->size);
    size_t size = 0;
    enum jsfs_status status =
        data != NULL ? conflict_file_read(file_of(op), op->offset, op->size, data, &size)
                     : JSFS_NO_MEMORY;

    if (status != JSFS_OK)
        op_reply_status(op, status);
    else
        op_reply_buffer(op, data, size);
}

static void node_read(struct op *op)
{
    executor_run(op->fs->executor, read_file, op);
}

static void node_release(struct op *op)
{
    close_file(op);
    op_reply_errno(op, 0);
}

/* --- attributes -------------------------------------------------------------------------- */

static double top_attr(struct fs *fs, struct inode *inode, struct stat *out)
{
    (void)fs;
    return control_directory_attr(inode, 0700, out);
}

static double node_attr(struct fs *fs, struct inode *inode, struct stat *out)
{
    const struct conflict_entry *entry = &node_of(inode)->entry;

    (void)fs;
    if (entry->directory)
        return control_directory_attr(inode, 0700, out);
    out->st_mode = S_IFREG | 0600;
    out->st_size = (off_t)entry->size_bytes;
    out->st_blocks = (blkcnt_t)((entry->size_bytes + 511) / 512);
    out->st_mtim = (struct timespec){.tv_sec = entry->modified_ns / NS_PER_S,
                                     .tv_nsec = entry->modified_ns % NS_PER_S};
    out->st_ctim = out->st_mtim;
    out->st_atim = out->st_mtim;
    return 0;
}

static bool node_same(const struct special *one, const struct special *other)
{
    const struct conflict_entry *a = &((const struct node *)one)->entry;
    const struct conflict_entry *b = &((const struct node *)other)->entry;

    return a->directory == b->directory &&
           (a->directory ||
            (a->size_bytes == b->size_bytes && a->modified_ns == b->modified_ns));
}

static void node_free(struct special *special)
{
    free(special);
}

static const struct special_ops node_ops = {
    .lookup = node_lookup,
    .unlink = node_unlink,
    .rmdir = node_rmdir,
    .opendir = node_opendir,
    .open = node_open,
    .read = node_read,
    .release = node_release,
    .attr = node_attr,
    .same = node_same,
    .free = node_free,
};

const struct special_ops control_conflicts_ops = {
    .lookup = node_lookup,
    .unlink = node_unlink,
    .rmdir = node_rmdir,
    .opendir = top_opendir,
    .attr = top_attr,
};
