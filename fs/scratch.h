/* SPDX-License-Identifier: Apache-2.0 */
/* scratch.h - what editors and tools write beside a file before they rename it over it: files,
 * links and fifos that live in this mount's memory and are never published.
 * Layer 5.
 */
#ifndef JSFS_FS_SCRATCH_H
#define JSFS_FS_SCRATCH_H

#include "fs/special.h"

/* Does op->name in op->inode name a scratch file that exists, or, for the other uses, one that
 * is to be made here: the name fits a scratch pattern and no live name of the store? */
bool scratch_takes(struct op *op, enum special_use use);

extern const struct special_ops scratch_ops;

#endif
