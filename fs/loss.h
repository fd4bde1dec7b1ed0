/* SPDX-License-Identifier: Apache-2.0 */
/* loss.h - bytes that a program wrote and the server will not get any more go to the conflict
 * store, which .jsfs/conflicts shows.
 * Layer 5. The log says for each where it is.
 */
#ifndef JSFS_FS_LOSS_H
#define JSFS_FS_LOSS_H

#include "fs/fs_state.h"

/* Keep what a value file has and the server has not, if that has not been kept before; an empty
 * value is nothing. done: called with done's arg and why, after it was written to the disk or at
 * once when there is nothing; may be NULL. The name is the inode's.
 * Blocks: no.   Threads: any. The executor's tasks must end before fs->conflicts goes.
 */
void loss_keep(struct fs *fs, const struct inode *inode, struct value_file *value,
               enum jsfs_status why, store_done *done, void *arg);

#endif
