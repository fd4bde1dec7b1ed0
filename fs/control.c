/* SPDX-License-Identifier: Apache-2.0 */
/* control.c - see control.h. Layer 5. */
#include "fs/control.h"

#include "core/cleanup.h"
#include "fs/attr.h"
#include "fs/ops.h"

#include <errno.h>
#include <string.h>

#define NAME_LIFETIME_S 3600.0 /* a part stays while its bucket does */

static struct special control_special = {.ops = &control_ops, .references = 1};

bool control_takes(const struct op *op)
{
    return op->inode->kind == INODE_BUCKET && strcmp(op->name, CONTROL_NAME) == 0;
}

static bool is_shown(const struct control_part *part, struct bucket *bucket)
{
    return !part->keys_only || bucket_kind(bucket) == STORE_KV;
}

static struct control_part *find_part(struct bucket *bucket, const char *name)
{
    for (struct control_part *part = control_parts; part->name != NULL; part++)
        if (strcmp(part->name, name) == 0 && is_shown(part, bucket))
            return part;
    return NULL;
}

/* Of .jsfs in a bucket, or of a part in .jsfs. */
static void control_lookup(struct op *op)
{
    if (op->inode->kind == INODE_BUCKET) {
        special_reply_entry(op, CONTROL_NAME, &control_special);
        return;
    }
    struct control_part *part = find_part(op->inode->bucket, op->name);
    CLEANUP(cleanup_free) char *path = op_child_path(op->inode, op->name);

    if (part == NULL)
        op_reply_errno(op, ENOENT);
    else if (path == NULL)
        op_reply_status(op, JSFS_NO_MEMORY);
    else
        special_reply_entry(op, path, &part->special);
}

static size_t count_parts(void)
{
    size_t count = 0;

    while (control_parts[count].name != NULL)
        count++;
    return count;
}

static void control_opendir(struct op *op)
{
    CLEANUP(cleanup_free)
    struct dir_name *names = calloc(count_parts() + 1, sizeof(*names));
    size_t count = 0;

    if (names == NULL) {
        op_reply_status(op, JSFS_NO_MEMORY);
        return;
    }
    for (const struct control_part *part = control_parts; part->name != NULL; part++)
        if (is_shown(part, op->inode->bucket))
            names[count++] = (struct dir_name){part->name, part->mode & S_IFMT};
    dir_open_names(op, names, count);
}

const char *control_below(const char *path)
{
    const char *below = strchr(path + strlen(CONTROL_NAME "/"), '/');

    return below != NULL ? below + 1 : "";
}

double control_directory_attr(struct inode *inode, mode_t permissions, struct stat *out)
{
    attr_set_directory(out, permissions, attr_bucket_time(inode->bucket));
    return 0;
}

/* A scratch file is renamed over a part's name. */
static void control_replace(struct op *op, const char *data, size_t size)
{
    const struct control_part *part = find_part(op->other->bucket, op->other_name);

    if (part != NULL && part->ops->replace != NULL)
        part->ops->replace(op, data, size);
    else
        op->resume(op, JSFS_NOT_ALLOWED);
}

/* A part's name is renamed to a scratch name. */
static void control_copy(struct op *op, store_bytes_done *done, void *arg)
{
    const struct control_part *part = find_part(op->inode->bucket, op->name);

    if (part != NULL && part->ops->copy != NULL)
        part->ops->copy(op, done, arg);
    else
        done(arg, JSFS_NOT_ALLOWED, NULL, 0);
}

static double control_attr(struct fs *fs, struct inode *inode, struct stat *out)
{
    (void)fs;
    return control_directory_attr(inode, 0555, out);
}

const struct special_ops control_ops = {
    .lookup = control_lookup,
    .opendir = control_opendir,
    .replace = control_replace,
    .copy = control_copy,
    .attr = control_attr,
    .entry_timeout_s = NAME_LIFETIME_S,
};
