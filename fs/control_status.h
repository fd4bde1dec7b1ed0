/* SPDX-License-Identifier: Apache-2.0 */
/* control_status.h - .jsfs/status.json: how the bucket is, asked now, and what this mount knows.
 * Layer 5. docs/control.md names the fields.
 */
#ifndef JSFS_FS_CONTROL_STATUS_H
#define JSFS_FS_CONTROL_STATUS_H

#include "fs/special.h"

extern const struct special_ops control_status_ops;

#endif
