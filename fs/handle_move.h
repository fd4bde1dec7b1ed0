/* SPDX-License-Identifier: Apache-2.0 */
/* handle_move.h - open handles whose name gets another name: what is written through them goes
 * there. A handle stays with the inode that it was opened on; this says what name that has by now.
 * Layer 5.
 */
#ifndef JSFS_FS_HANDLE_MOVE_H
#define JSFS_FS_HANDLE_MOVE_H

#include "fs/fs_state.h"

struct handle_moves;

/* The handles on a name of a bucket, and below it, that may write keys and whose version is the
 * newest one; the others find a conflict. Before the rename.
 *   returns   for handle_moves_end(); NULL without memory: they all keep their names
 */
struct handle_moves *handle_moves_begin(struct fs *fs, struct bucket *bucket, const char *path);

/* The name is now called `to`, and the tree knows it; NULL: it has stayed. Frees moves, which
 * may be NULL.
 */
void handle_moves_end(struct handle_moves *moves, const char *to);

/* This mount has removed or replaced a name: what is written through handles that came to it by a
 * rename is dropped. */
void handle_moves_forget(struct fs *fs, struct bucket *bucket, const char *path);

#endif
