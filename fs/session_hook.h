/* SPDX-License-Identifier: Apache-2.0 */
/* session_hook.h - what the kernel is asked for at INIT, also where libfuse cannot say it.
 * Layer 5.
 */
#ifndef JSFS_FS_SESSION_HOOK_H
#define JSFS_FS_SESSION_HOOK_H

#include "core/status.h"

struct fuse_conn_info;
struct fuse_session;

/* The most bytes that one WRITE or READ carries [bytes]. */
#define SESSION_MAX_WRITE (1 << 20)

/* Choose capabilities and limits; to be called by the init handler.
 * Source: reference fuse.md §2.2, §2.3; libfuse fuse_common.h "Capability bits".
 */
void session_capabilities(struct fuse_conn_info *conn);

/* libfuse 3.14 to 3.16 never sends two of the capabilities to the kernel: complete the INIT
 * reply on its way. Newer versions need no hook and get none.
 *   JSFS_FAILED   libfuse refused the hook; the session works without those two
 * Threads: between fuse_session_mount() and the loop. One session a process.
 */
enum jsfs_status session_hook_install(struct fuse_session *session);

#endif
