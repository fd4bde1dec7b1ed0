/* SPDX-License-Identifier: Apache-2.0 */
/* errno_map.h - enum jsfs_status as errno; the only place.
 * Layer 5.
 */
#ifndef JSFS_FS_ERRNO_MAP_H
#define JSFS_FS_ERRNO_MAP_H

#include "core/status.h"

/* The errno of a status, positive; 0 for JSFS_OK.   Threads: any. */
int errno_of(enum jsfs_status status);

#endif
