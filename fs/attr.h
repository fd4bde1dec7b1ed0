/* SPDX-License-Identifier: Apache-2.0 */
/* attr.h - what stat(2) shows of an inode, and how long the kernel may keep it.
 * Layer 5.
 */
#ifndef JSFS_FS_ATTR_H
#define JSFS_FS_ATTR_H

#include "fs/fs_state.h"
#include <sys/stat.h>

#define ATTR_BLOCK_BYTES (1024 * 1024) /* st_blksize: cp and cat use requests of this size */

/* The attributes of an inode now: a file that is being written shows its own bytes; a special's
 * ops add type, mode, size and times to what is the same for all.
 *   returns   how long they may be cached [s]; 0 while writing or while its bucket is not live
 * Blocks: no.   Threads: any.
 */
double attr_of(struct fs *fs, struct inode *inode, struct stat *out);

/* The same from what a listing knows, for an inode that need not exist. */
void attr_from(const struct fs *fs, const struct inode_target *target, uint64_t shown_number,
               struct stat *out);

/* Make out that of a directory; for specials. modified_ns: its times. */
void attr_set_directory(struct stat *out, mode_t permissions, int64_t modified_ns);

/* The same for a regular file; for specials. */
void attr_set_file(struct stat *out, mode_t permissions, uint64_t size_bytes,
                   int64_t modified_ns);

/* The time of a bucket's directory: of its newest change that is known, else of its creation. */
int64_t attr_bucket_time(struct bucket *bucket);

/* How long a name that leads to an inode may be cached [s]. */
double attr_entry_timeout(struct fs *fs, struct inode *inode);

/* How long the absence of a name may be cached [s]. bucket NULL: outside of buckets. */
double attr_absence_timeout(const struct fs *fs, struct bucket *bucket);

#endif
