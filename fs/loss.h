/* SPDX-License-Identifier: Apache-2.0 */
/* loss.h - bytes that a program wrote and the server will not get any more go to the conflict
 * store, which .jsfs/conflicts shows.
 * Layer 5. The log says for each where it is.
 */
#ifndef JSFS_FS_LOSS_H
#define JSFS_FS_LOSS_H

#include "fs/fs_state.h"

/* Keep what a value file has and the server has not, if that has not been kept before; an empty
 * value is nothing. The name is the inode's.
 *   done      called with what the last commit ended in, when the bytes are on the disk or it is
 *             known that they cannot be; may be NULL
 *   returns   false: there is nothing to keep, and done is not called
 * Blocks: no.   Threads: any. The executor's tasks must end before fs->conflicts goes.
 */
bool loss_keep(struct fs *fs, const struct inode *inode, struct value_file *value,
               store_done *done, void *arg);

#endif
