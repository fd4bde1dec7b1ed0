/* SPDX-License-Identifier: Apache-2.0 */
/* bucket_rename.h - give a key, or all below a directory, another name.
 * Layer 4, over bucket.h; KV buckets only.
 *
 * A rename copies the newest value to the new key and puts a delete marker on the old one, on
 * condition that the old one still is what was copied. The history stays under the old key; of
 * the message's headers only what makes it expire by itself is kept (the rest of its time to
 * live). Where the server can (2.12, allow_atomic), both are one atomic batch. Else the copy comes
 * first: stopped between any two messages, the content is under at least one name. A source that
 * another client changes meanwhile is copied again, so no write to it is lost.
 */
#ifndef JSFS_CORE_BUCKET_RENAME_H
#define JSFS_CORE_BUCKET_RENAME_H

#include "core/bucket.h"

#define BUCKET_RENAME_NOREPLACE 1u
#define BUCKET_RENAME_EXCHANGE 2u

/* Rename, and be done when this mount shows the result; the observer is told as of any change,
 * with tokens of this mount, and bucket_is_rename() knows those of the removals.
 *
 * A file: from and to may end in @value; a file at `to` is replaced unless NOREPLACE.
 * Two files, EXCHANGE: their values swap, in one atomic batch.
 * A directory: every name below it, and directories that only this mount has. Up to 500 names of
 *   together 8 MiB are one atomic batch where there are any; more, or without batches, they are
 *   renamed piece by piece (each piece safe as above), and what failed stays where it was: the
 *   same call goes on where it stopped, also in another mount. An empty directory at `to` is
 *   replaced.
 *
 * Files that are not committed yet are not renamed: the caller has committed them.
 *   JSFS_NOT_FOUND      nothing is at `from`
 *   JSFS_EXISTS         NOREPLACE: something lives at `to`
 *   JSFS_NOT_EMPTY      a directory at `to` that holds other names than ones renamed from here
 *   JSFS_IS_DIRECTORY, JSFS_NOT_DIRECTORY   `to` is what `from` is not
 *   JSFS_BAD_NAME, JSFS_NAME_TOO_LONG       no key may have such a name
 *   JSFS_INVALID        EXCHANGE without atomic batches, or of a directory; into itself
 *   JSFS_BUSY           a directory holds a file that is being written here, is pinned, or got names
 *                       as fast as they were renamed
 *   JSFS_CONFLICT       the source changed in each of many rounds
 *   JSFS_TIMEOUT        undecided; the content is under one of the names, or under both
 *   and what store.h's value_put, value_get and remove say.
 * Blocks: no; a task of the executor works.   Threads: any.
 */
void bucket_rename(struct bucket *bucket, const char *from, const char *to, unsigned flags,
                   store_done *done, void *arg);

/* Is this the token of a removal that is half of a rename on its way? */
bool bucket_is_rename(struct bucket *bucket, uint64_t token);

#endif
