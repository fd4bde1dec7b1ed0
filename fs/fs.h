/* SPDX-License-Identifier: Apache-2.0 */
/* fs.h - one mounted filesystem: what the handlers share, from start to end.
 * Layer 5. Life: fs_new -> (session made and mounted) -> fs_attach -> requests -> fs_shutdown
 * -> (loop ended) -> fs_detach -> (unmounted, session destroyed) -> fs_free.
 */
#ifndef JSFS_FS_FS_H
#define JSFS_FS_FS_H

#include "core/config.h"
#include "core/connection.h"
#include "core/executor.h"
#include "core/status.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct fs;
struct fuse_session;
struct fuse_lowlevel_ops;
struct fuse_conn_info;
struct poke_helper;

/* The handlers, for fuse_session_new() with a struct fs as user data. */
extern const struct fuse_lowlevel_ops fs_operations;

/* Build the filesystem over an open connection; both outlive it, config is read until fs_free.
 *   server   as losses on it are filed: the URLs, or another name that stays
 * NULL without memory.
 */
struct fs *fs_new(const struct config *config, const char *server,
                  struct connection *connection, struct executor *executor);

/* Start the threads that notify the kernel on a session that is mounted.
 *   helper   for -o inotify, else NULL; until fs_detach(), which dismisses it
 *   JSFS_NO_MEMORY, JSFS_FAILED   no thread could be started
 */
enum jsfs_status fs_attach(struct fs *fs, struct fuse_session *session,
                           struct poke_helper *helper);

/* Commit every dirty handle, decide what removals are held back (scratch_hold.h), and wait for
 * it, at most timeout_ms; writes after it are refused.
 *   returns   how many could not be committed; each was logged
 * Blocks.   Threads: the signal thread, while requests are still served.
 */
unsigned fs_shutdown(struct fs *fs, int timeout_ms);

/* The session does not read requests any more: stop notifiers, stop the buckets' watches, and
 * answer every parked request (EINTR), so that the session may be destroyed.  Blocks.
 */
void fs_detach(struct fs *fs);

/* Free everything; what it still has on the executor has ended then. NULL is fine.  Blocks. */
void fs_free(struct fs *fs);

#endif
