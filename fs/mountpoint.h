/* SPDX-License-Identifier: Apache-2.0 */
/* mountpoint.h - the directory that will be mounted on: checked, and cleared of a dead mount.
 * Layer 5.
 */
#ifndef JSFS_FS_MOUNTPOINT_H
#define JSFS_FS_MOUNTPOINT_H

#include "fs/failure.h"
#include <sys/types.h>

struct mountpoint {
    char *path;   /* absolute, without symlinks */
    dev_t device; /* st_dev of the directory itself, before anything is mounted on it */
};

/* Check that path is an empty directory and that this user can mount with FUSE. A mount of a
 * program that has died (ENOTCONN) is unmounted first.
 *   out       for mountpoint_clear(); untouched on failure
 *   returns   false with failure set: EXIT_MOUNT for the directory, EXIT_SYSTEM for FUSE
 * Blocks: for the file system that holds the directory.
 */
bool mountpoint_prepare(const char *path, struct mountpoint *out,
                        struct failure *failure);

/* Release what it holds. */
void mountpoint_clear(struct mountpoint *mountpoint);

#endif
