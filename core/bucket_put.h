/* SPDX-License-Identifier: Apache-2.0 */
/* bucket_put.h - publish a whole value under a name, and see it.
 * Layer 4, over bucket.h; KV buckets only.
 */
#ifndef JSFS_CORE_BUCKET_PUT_H
#define JSFS_CORE_BUCKET_PUT_H

#include "core/bucket.h"

/* Store a value under a name, whatever was there: the last writer wins and the replaced revision
 * stays in the history. done is called when this mount shows it, after the observer was told of
 * it; it is this mount's own write and never carries an inode along: what the name was bound to
 * before is another file (POSIX: the target of a rename).
 *   path        of the name, with @value or without; checked as for a new name
 *   value       referenced until done
 *   exclusive   only if nothing lives there (a marker does not count): else JSFS_EXISTS
 *   done        JSFS_OK: stored; attr is what the name shows then, NULL when that is not known or
 *               somebody has removed it since.
 *               JSFS_BAD_NAME, JSFS_NAME_TOO_LONG, JSFS_IS_DIRECTORY (the path shows as one), and
 *               what store.h's value_put says: nothing was stored, but JSFS_TIMEOUT: undecided,
 *               JSFS_INTERRUPTED: the bucket is being closed and it may have been
 * Blocks: no.   Threads: any.
 */
void bucket_put(struct bucket *bucket, const char *path, struct bytes *value, bool exclusive,
                bucket_lookup_done *done, void *arg);

#endif
