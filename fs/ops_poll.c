/* SPDX-License-Identifier: Apache-2.0 */
/* ops_poll.c - poll(2), select(2), epoll(7). Layer 5. */
#include "fs/ops.h"

#include "fs/special.h"

#include <poll.h>

#define ALWAYS_READY (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM) /* as for every file */

void op_poll(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info,
             struct fuse_pollhandle *handle)
{
    struct op *op = op_new_open(request, "poll", number);

    if (op == NULL) {
        fuse_pollhandle_destroy(handle);
        return;
    }
    op->info = *info;
    if (op->inode->special != NULL && op->inode->special->ops->poll != NULL) {
        op->inode->special->ops->poll(op, handle);
    } else {
        fuse_pollhandle_destroy(handle);
        op_reply_poll(op, ALWAYS_READY);
    }
    op_park(op);
}
