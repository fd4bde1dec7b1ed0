/* SPDX-License-Identifier: Apache-2.0 */
/* poke.h - inotify events of changes that are made elsewhere: -o inotify.
 * Layer 5. The kernel has no way to be told of such an event. It makes one for each system call
 * on the mount, so a process of ours makes such calls on our own mount (poke_helper.h), and the
 * handlers answer them without doing anything (poke_ops.h).
 *
 * Threads. One looks at /proc once a second for what is watched, and listens to the buckets in
 * question (bucket_event.h). The other one has the helper poke, one change at a time. The helper
 * may wait in the kernel for a directory's lock that a parked request holds, so nobody waits for
 * it before those were answered: poke_free() comes behind op_list_interrupt(). Who tells of a
 * change never waits for it.
 */
#ifndef JSFS_FS_POKE_H
#define JSFS_FS_POKE_H

#include "fs/fs_state.h"
#include <stdbool.h>
#include <stdint.h>

struct poke;
struct poke_helper;
struct fuse_session;

/* Start the threads for a mounted session.
 *   helper    borrowed; poke_free() dismisses it
 *   returns   NULL without memory or threads, or without a mount */
struct poke *poke_new(struct fs *fs, struct fuse_session *session, struct poke_helper *helper);

/* No poke begins any more. NULL is fine. Blocks: no. */
void poke_end(struct poke *poke);

/* After poke_end(), while requests are served: wait for the poke that runs. libfuse's loop may lose
 * a request at its end, and one of a poke could hold a directory's lock. NULL is fine.
 * Blocks: at most timeout_ms. */
void poke_settle(struct poke *poke, int timeout_ms);

/* After poke_end(): dismiss the helper, wait for the threads, and free. NULL is fine. Blocks. */
void poke_free(struct poke *poke);

/* What the helper is to find under a name, whatever is there. */
enum poke_answer {
    POKE_AS_IT_IS,
    POKE_ABSENT, /* before it makes the name */
    POKE_PRESENT /* before it removes or changes it */
};

/* Who asks for name in the directory with this number.
 *   inode   out: with POKE_PRESENT, counted, what is found; NULL: a file or directory that is
 *           none */
enum poke_answer poke_find(struct poke *poke, uint64_t directory, const char *name,
                           struct inode **inode, bool *is_directory);

/* True when the thread that asks is the helper's. poke may be NULL. */
bool poke_asks(const struct poke *poke, int32_t thread);

#endif
