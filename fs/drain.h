/* SPDX-License-Identifier: Apache-2.0 */
/* drain.h - refusing what the kernel still asks between the end of the loop and the unmount.
 * Layer 5. A kernel notification waits for locks that a process holds while it waits for its
 * request; when nobody reads requests any more, the notifier would never come back and the
 * filesystem could not be taken down.
 */
#ifndef JSFS_FS_DRAIN_H
#define JSFS_FS_DRAIN_H

struct drain;

/* Answer every request that device (of fuse_session_fd()) still gives with ENOTCONN.
 *   returns   for drain_stop(); NULL without memory or a thread
 * Threads: after the session's loop has returned.
 */
struct drain *drain_start(int device);

/* End that. The device stays open. Blocks: no longer than for one answer. NULL is fine. */
void drain_stop(struct drain *drain);

#endif
