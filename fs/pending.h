/* SPDX-License-Identifier: Apache-2.0 */
/* pending.h - how much is under way that still uses the filesystem, so that its end can wait.
 * Layer 5.
 */
#ifndef JSFS_FS_PENDING_H
#define JSFS_FS_PENDING_H

struct pending;

struct pending *pending_new(void); /* NULL without memory */
void pending_free(struct pending *pending);

/* Something begins, has ended. */
void pending_begin(struct pending *pending);
void pending_end(struct pending *pending);

/* Wait until nothing is under way.  Blocks. */
void pending_wait(struct pending *pending);

#endif
