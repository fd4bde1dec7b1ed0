/* SPDX-License-Identifier: Apache-2.0 */
/* ops_rename.c - rename(2) and renameat2(2). Layer 5. */
#include "fs/ops.h"

#include "core/log.h"
#include "fs/scratch_rename.h"

#include <errno.h>
#include <stdio.h>

/* EXDEV makes mv(1) copy and remove, which is safe: the new name is committed first. */
static void rename_in_store(struct op *op)
{
    jsfs_log(JSFS_LOG_INFO, "op=rename refused: names are copied, not moved; use mv");
    op_reply_errno(op, EXDEV);
}

void op_rename(fuse_req_t request, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
               const char *new_name, unsigned flags)
{
    struct op *op = op_new_rename(request, parent, name, new_parent, new_name);

    if (op == NULL)
        return;
    if ((flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0)
        op_reply_errno(op, EINVAL);
    else if (op->inode->bucket == NULL || op->inode->bucket != op->other->bucket)
        op_reply_errno(op, EXDEV);
    else if (atomic_load(&op->fs->closing))
        op_reply_errno(op, EROFS);
    else if (!scratch_rename(op, flags))
        rename_in_store(op);
    op_park(op);
}
