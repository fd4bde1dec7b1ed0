/* SPDX-License-Identifier: Apache-2.0 */
/* history.h - what a KV bucket keeps of one key: its revisions as file names, purging it, and
 * erasing what a deleted key has left.
 * Layer 4, over bucket.h. Paths are those of names, without "@value".
 */
#ifndef JSFS_CORE_HISTORY_H
#define JSFS_CORE_HISTORY_H

#include "core/bucket.h"

#define HISTORY_NAME_SIZE 32 /* [bytes] of "@18446744073709551615.deleted" and its NUL */

/* The file name of a kept message: "@7", "@8.deleted", "@9.purged" (expiry markers too). */
void history_name(const struct store_entry *entry, char out[HISTORY_NAME_SIZE]);

/* The message of such a name; entries: as history_list() gives them.
 *   returns   borrowed from entries; NULL: none has exactly that name
 */
const struct store_entry *history_find(const struct store_entry *entries, size_t count,
                                       const char *name);

/* The newest value, whatever markers came after it; NULL when none is kept. */
const struct store_entry *history_last_value(const struct store_entry *entries,
                                             size_t count);

/* How many kept messages are newer than a sequence, markers too. */
size_t history_newer(const struct store_entry *entries, size_t count, uint64_t sequence);

/* Every message that is kept of a key, oldest first, from the server. It costs this key only.
 *   JSFS_NOT_FOUND   none is;   JSFS_BAD_NAME, JSFS_STALE (the bucket is gone); and what
 *                    store.h's history says
 */
void history_list(struct bucket *bucket, const char *path, store_history_done *done,
                  void *arg);

/* Put a purge marker in place of all that is kept of a key; done when this mount shows it.
 *   JSFS_BAD_NAME, and what store.h's purge says
 */
void history_purge(struct bucket *bucket, const char *path, store_done *done, void *arg);

/* Remove all that is kept of a key whose newest message is a marker; the tree forgets it. A
 * value that is put meanwhile stays, see kv_erase.c.
 *   JSFS_NOT_FOUND   it is not deleted (by now), or nothing is kept of it;   JSFS_BAD_NAME, and
 *                    what store.h's erase says
 */
void history_erase(struct bucket *bucket, const char *path, store_done *done, void *arg);

#endif
