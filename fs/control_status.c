/* SPDX-License-Identifier: Apache-2.0 */
/* control_status.c - see control_status.h. Layer 5. */
#include "fs/control_status.h"

#include "core/cleanup.h"
#include "core/conflict_store.h"
#include "fs/control_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define CONFLICTS_MOST 1000 /* that are counted */

/* A status to be made, for the task that asks the disk. */
struct making {
    struct op *op;
    bucket_text_done *done;
    void *arg;
};

/* How many files are kept below a directory of a bucket's conflicts, added to *count. */
static void count_conflicts(const struct conflict_place *place, const char *name,
                            int64_t *count)
{
    struct conflict_list list = {.entries = NULL};

    if (conflict_store_list(place, name, &list) != JSFS_OK)
        return;
    for (size_t i = 0; i < list.count && *count < CONFLICTS_MOST; i++) {
        CLEANUP(cleanup_free) char *below = NULL;

        if (!list.entries[i].directory)
            (*count)++;
        else if (asprintf(&below, "%s%s%s", name, *name != '\0' ? "/" : "",
                          list.entries[i].name) >= 0)
            count_conflicts(place, below, count);
        else
            below = NULL; /* asprintf leaves it undefined */
    }
    conflict_list_clear(&list);
}

static void make_task(void *arg)
{
    CLEANUP(cleanup_free) struct making *making = arg;
    struct bucket *bucket = making->op->inode->bucket;
    struct conflict_place place = {.store = making->op->fs->conflicts,
                                   .kind = bucket_kind(bucket),
                                   .bucket = bucket_name(bucket)};
    int64_t conflicts = 0;

    count_conflicts(&place, "", &conflicts);
    bucket_status(bucket, conflicts, making->done, making->arg);
}

static void make(struct op *op, bucket_text_done *done, void *arg)
{
    struct making *making = malloc(sizeof(*making));

    if (making == NULL) {
        done(arg, JSFS_NO_MEMORY, "");
        return;
    }
    *making = (struct making){op, done, arg};
    executor_run(op->fs->executor, make_task, making);
}

static void status_open(struct op *op)
{
    if ((op->info.flags & O_ACCMODE) != O_RDONLY || (op->info.flags & O_TRUNC) != 0)
        op_reply_errno(op, EPERM);
    else
        control_text_open(op, make);
}

static void status_getattr(struct op *op)
{
    control_text_getattr(op, make);
}

static double status_attr(struct fs *fs, struct inode *inode, struct stat *out)
{
    return control_text_attr(fs, inode, 0444, out);
}

const struct special_ops control_status_ops = {
    .open = status_open,
    .read = control_text_read,
    .release = control_text_release,
    .getattr = status_getattr,
    .attr = status_attr,
    .entry_timeout_s = 3600,
};
