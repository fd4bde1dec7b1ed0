/* SPDX-License-Identifier: Apache-2.0 */
/* control_status.c - see control_status.h. Layer 5. */
#include "fs/control_status.h"

#include "fs/control_text.h"

#include <errno.h>
#include <fcntl.h>

static void make(struct op *op, bucket_text_done *done, void *arg)
{
    bucket_status(op->inode->bucket, -1, done, arg);
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
