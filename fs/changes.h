/* SPDX-License-Identifier: Apache-2.0 */
/* changes.h - what buckets tell of their changes, as kernel invalidations.
 * Layer 5. Everything here is called on delivery threads: it marks inodes and queues, and never
 * waits.
 */
#ifndef JSFS_FS_CHANGES_H
#define JSFS_FS_CHANGES_H

#include "core/catalog.h"

struct fs;

/* The observer to give to catalog_new(); its arg is the struct fs. */
struct catalog_observer changes_observer(struct fs *fs);

#endif
