/* SPDX-License-Identifier: Apache-2.0 */
/* conflict_names.h - keys as directories of the disk, for conflict_store.c; pure.
 * Layer 4.
 */
#ifndef JSFS_CORE_CONFLICT_NAMES_H
#define JSFS_CORE_CONFLICT_NAMES_H

#include "core/buffer.h"

/* Append "KEY/" of a key's path, as conflict_store.h says. JSFS_NO_MEMORY. */
enum jsfs_status conflict_append_key(struct buffer *name, const char *path);

#endif
