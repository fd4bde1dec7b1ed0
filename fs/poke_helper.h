/* SPDX-License-Identifier: Apache-2.0 */
/* poke_helper.h - the process that makes the system calls of pokes on our mount.
 * Layer 5. Why a process: a thread of ours that waits in the kernel for an answer of ours cannot
 * be killed, and keeps /dev/fuse open, so that a SIGKILL would leave the mount hanging for good.
 * The helper holds neither /dev/fuse nor a socket of the server, so the kernel ends the
 * connection with us, and with it the helper's call.
 *
 * When we are killed it goes: between calls it sees the socket end. Within one, which may hold a
 * lock that a notifier of ours waits for, so that we could not end either, its second thread is
 * told of our death and aborts the connection: by fusectl, or as root by umount2(MNT_FORCE).
 * Killed itself, nothing is told any more, and nothing else changes.
 */
#ifndef JSFS_FS_POKE_HELPER_H
#define JSFS_FS_POKE_HELPER_H

#include <stdint.h>
#include <sys/types.h>

struct poke_helper;

enum poke_call {
    POKE_MAKE_FILE,
    POKE_MAKE_DIRECTORY,
    POKE_MAKE_LINK,
    POKE_TOUCH, /* open, set the size that it has and the time, close */
    POKE_UNLINK,
    POKE_RMDIR,
    POKE_LOOK /* lstat */
};

/* Fork it. Call before any thread exists, from the thread that lives longest.
 *   top       the mount point, absolute; need not be mounted yet
 *   returns   NULL without memory or a process, errno says which */
struct poke_helper *poke_helper_start(const char *top);

/* Once mounted, and before pokes: see what is mounted on top. Asks nobody.
 *   returns   its device, 0 when it cannot be seen */
dev_t poke_helper_mounted(struct poke_helper *helper);

/* Make a call on a path below top.
 *   returns   0 or its errno; EPIPE when the helper has gone
 * Blocks: for the call, which may wait for a lock in the kernel. One thread at a time. */
int poke_helper_call(struct poke_helper *helper, enum poke_call call, const char *path);

/* Its process id, under which its requests come; nobody else's while it is not freed. */
int32_t poke_helper_process(const struct poke_helper *helper);

/* Make no more calls: one that runs returns EPIPE at once, and the helper ends behind it. From any
 * thread. */
void poke_helper_leave(struct poke_helper *helper);

/* Make it end, wait for it, and free. NULL is fine.
 * Blocks: for its last call, so come after the unmount, which ends that. */
void poke_helper_free(struct poke_helper *helper);

#endif
