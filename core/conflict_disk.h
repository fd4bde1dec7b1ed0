/* SPDX-License-Identifier: Apache-2.0 */
/* conflict_disk.h - files and directories on the disk, for conflict_store.c.
 * Layer 4. Everything blocks for the disk and says errno.
 */
#ifndef JSFS_CORE_CONFLICT_DISK_H
#define JSFS_CORE_CONFLICT_DISK_H

#include "core/bytes.h"
#include "core/conflict_store.h"

/* Make a file of these bytes with this time, which is there completely or not at all, also after
 * a crash. Directories on the way are made.
 *   returns   0; EEXIST: the name is taken; else why not, and nothing is left
 */
int conflict_disk_write(const char *path, const struct bytes *bytes, int64_t modified_ns);

/* What a path is. 0, ENOENT (what is none of ours too), … */
int conflict_disk_stat(const char *path, struct conflict_entry *out);

/* Call each(arg, entry) for every directory that holds a loss somewhere below, and every loss.
 * entry->name is borrowed. Returns 0, ENOENT, ENOTDIR … */
int conflict_disk_list(const char *path,
                       void (*each)(void *arg, const struct conflict_entry *entry),
                       void *arg);

/* True when a loss is somewhere below a directory. */
bool conflict_disk_holds(const char *path);

/* rmdir(2), with what a crash left of a write half made. */
int conflict_disk_rmdir(const char *path);

/* True for the name of a loss: "@REVISION.NUMBER". */
bool conflict_is_loss(const char *name);

#endif
