/* SPDX-License-Identifier: Apache-2.0 */
/* control_deleted.h - .jsfs/deleted/KEY: the keys whose newest message is a marker.
 * Layer 5. A file has the last value that the history still has, and the marker's time; removing
 * it removes all that is kept of the key. Keys with '/' are in directories; where a deleted key
 * has others below it, it is a directory, and its file is "@value" in that.
 */
#ifndef JSFS_FS_CONTROL_DELETED_H
#define JSFS_FS_CONTROL_DELETED_H

#include "fs/special.h"

extern const struct special_ops control_deleted_ops;

#endif
