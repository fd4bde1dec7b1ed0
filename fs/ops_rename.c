/* SPDX-License-Identifier: Apache-2.0 */
/* ops_rename.c - rename(2) and renameat2(2). Layer 5. */
#include "fs/ops.h"

#include "core/log.h"

#include <errno.h>

/* EXDEV makes mv(1) copy and remove, which is safe: the new name is committed first. */
void op_rename(fuse_req_t request, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
               const char *new_name, unsigned flags)
{
    struct op *op = op_new_rename(request, parent, name, new_parent, new_name);

    (void)flags;
    if (op == NULL)
        return;
    jsfs_log(JSFS_LOG_INFO, "op=rename refused: names are copied, not moved; use mv");
    op_reply_errno(op, EXDEV);
    op_park(op);
}
