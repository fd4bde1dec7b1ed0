/* SPDX-License-Identifier: Apache-2.0 */
/* control_conflicts.h - .jsfs/conflicts, for the table in control_parts.c.
 * Layer 5.
 */
#ifndef JSFS_FS_CONTROL_CONFLICTS_H
#define JSFS_FS_CONTROL_CONFLICTS_H

#include "fs/special.h"

extern const struct special_ops control_conflicts_ops;

#endif
