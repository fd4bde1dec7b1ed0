/* SPDX-License-Identifier: Apache-2.0 */
/* control.h - the directory .jsfs of a bucket: history, deleted keys, conflicts, configuration,
 * status, events.
 * Layer 5. Each part is a file control_PART.c.
 */
#ifndef JSFS_FS_CONTROL_H
#define JSFS_FS_CONTROL_H

#include "fs/special.h"

/* Is op->name in op->inode the control directory? */
bool control_takes(const struct op *op);

extern const struct special_ops control_ops;

#endif
