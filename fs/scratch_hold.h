/* SPDX-License-Identifier: Apache-2.0 */
/* scratch_hold.h - removals that are held back: of keys that were renamed to scratch names.
 * Layer 5. vim and emacs rename f to f~ and then make f again. Others must not see f vanish, so
 * f is only hidden in this mount for a while. Made again meanwhile, it is one replacement. Else
 * its removal is decided: published, if the bucket keeps the value under the marker; if not, the
 * key stays and shows again, because bytes that the server held never are in this mount's
 * memory only.
 *
 * jsfs, its host or the server stops while a removal is held: the key is there. After it was
 * published: the value is in the history. Somebody else changes the key: it shows what they put,
 * and nothing is removed (the server checks the revision).
 */
#ifndef JSFS_FS_SCRATCH_HOLD_H
#define JSFS_FS_SCRATCH_HOLD_H

#include "fs/fs_state.h"

struct scratch_holds;

/* NULL without memory. */
struct scratch_holds *scratch_holds_new(void);
/* After executor_drop_timers(); NULL is fine. */
void scratch_holds_free(struct scratch_holds *holds);

/* Hide a key whose newest revision is the one at `sequence`, and hold its removal back.
 *   JSFS_CONFLICT   it has another revision by now;   JSFS_NO_MEMORY
 */
enum jsfs_status scratch_hold(struct fs *fs, struct inode *directory, const char *name,
                              uint64_t sequence);

/* The name is being made again: the removal is called off, whatever comes. The key stays hidden
 * behind the new file, or until tree_unhide().
 *   returns   the revision that is replaced; 0: nothing was held under the name
 */
uint64_t scratch_hold_take(struct fs *fs, struct bucket *bucket, const char *path);

/* Decide all now, and wait for it, at most timeout_ms.  Blocks. */
void scratch_holds_settle(struct fs *fs, int timeout_ms);

#endif
