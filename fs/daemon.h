/* SPDX-License-Identifier: Apache-2.0 */
/* daemon.h - going to the background: the parent waits until the child serves the mount.
 * Layer 5.
 */
#ifndef JSFS_FS_DAEMON_H
#define JSFS_FS_DAEMON_H

#include "fs/failure.h"

/* Fork. The parent stays in here: it exits with 0 once the child calls daemon_ready(), or with
 * the child's exit status if it ends before; a signal to the parent meanwhile ends the child
 * too. The child returns in a session of its own, at "/", with its stdio as it was.
 *   signals   of signals_open()
 *   out       for daemon_ready()
 *   returns   true in the child; false without a process, with failure set
 * Threads: before any other thread exists.
 */
bool daemon_fork(int signals, int *out, struct failure *failure);

/* Tell the parent that the mount answers, and turn stdio to /dev/null.
 *   returns   false when the parent is not there any more: then nobody wants the mount
 */
bool daemon_ready(int daemon);

#endif
