/* SPDX-License-Identifier: Apache-2.0 */
/* control_revision.h - a kept message of a key as a file: read-only, and never another one.
 * Layer 5. What .jsfs/history and .jsfs/deleted hold.
 */
#ifndef JSFS_FS_CONTROL_REVISION_H
#define JSFS_FS_CONTROL_REVISION_H

#include "core/store.h"
#include "fs/special.h"

/* A file for a message of the key at path.
 *   entry         of the message; a marker is empty. NULL: no value is kept, and open(2) says
 *                 ENODATA
 *   modified_ns   the file's times
 *   returns       one reference; NULL without memory
 */
struct special *control_revision_new(const char *path, const struct store_entry *entry,
                                     int64_t modified_ns);

#endif
