/* SPDX-License-Identifier: Apache-2.0 */
/* scratch_rename.h - rename(2) where one name or both are those of scratch files.
 * Layer 5.
 */
#ifndef JSFS_FS_SCRATCH_RENAME_H
#define JSFS_FS_SCRATCH_RENAME_H

#include "fs/op.h"

/* Serve a rename with a scratch file at one end, or one that makes a key a scratch file.
 *   op        of op_new_rename(), both names in one bucket; its finisher's reference is taken
 *   flags     of renameat2(2)
 *   returns   false: it is about names of the store only, and nothing was done
 * Blocks: no.
 */
bool scratch_rename(struct op *op, unsigned flags);

#endif
