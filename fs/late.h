/* SPDX-License-Identifier: Apache-2.0 */
/* late.h - handles whose bytes wait for a close that is still to come, but not for ever.
 * Layer 5. A child that inherited a descriptor has closed its copy; who opened the file still has
 * his, and will commit by closing it. If that takes longer than LATE_MS, the bytes are committed
 * without it.
 */
#ifndef JSFS_FS_LATE_H
#define JSFS_FS_LATE_H

#include "core/executor.h"

#define LATE_MS 2000

struct handle;
struct late;

/* The executor outlives it; its timers have been dropped before late_free(). NULL: no memory. */
struct late *late_new(struct executor *executor);
void late_free(struct late *late);

/* Commit a handle's bytes in LATE_MS, unless it has gone by then. Holds no reference. */
void late_commit(struct late *late, struct handle *handle);

/* The handle is going. late NULL: nothing. */
void late_forget(struct late *late, struct handle *handle);

#endif
