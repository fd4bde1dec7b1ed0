/* SPDX-License-Identifier: Apache-2.0 */
/* mount.h - a filesystem mounted and served, from the session to its end.
 * Layer 5. One mount a process; all calls come from the main thread, which waits for signals
 * here while libfuse's threads serve.
 */
#ifndef JSFS_FS_MOUNT_H
#define JSFS_FS_MOUNT_H

#include "core/config.h"
#include "fs/failure.h"
#include "fs/fs.h"
#include "fs/mountpoint.h"
#include <stdbool.h>

struct mount;
struct poke_helper;

struct mount_options {
    const struct mountpoint *mountpoint;
    const struct config *config; /* allow_other, read_only, max_threads, read_ahead_kb */
    const char *source;          /* what df shows; no credentials in it */
    bool debug;                  /* libfuse prints every request */
    int signals;                 /* of signals_open() */
    struct poke_helper *helper;  /* with -o inotify, else NULL */
};

/* Mount and start to serve. What options point to must live until mount_close().
 *   returns   false with failure set; then nothing is mounted
 */
bool mount_open(struct fs *fs, const struct mount_options *options, struct mount **out,
                struct failure *failure);

/* Wait until the mount point shows the mounted filesystem; raises its read-ahead, as root.
 *   returns   false with failure set: it did not answer, or a signal came before
 * Blocks: at most 30 s.
 */
bool mount_await(struct mount *mount, struct failure *failure);

enum mount_end {
    MOUNT_COMMITTED, /* everything that was written is on the server */
    MOUNT_LOST,      /* something could not be committed; it was logged */
    MOUNT_ABANDONED /* a second signal came: commits are still running; only _exit(2) is left */
};

/* Serve until a signal or an unmount from outside ends it, then commit, at most 30 s.
 * Still mounted after a signal, unless abandoned. Blocks: for the life of the mount.
 */
enum mount_end mount_serve(struct mount *mount);

/* Stop serving, detach the filesystem, unmount and free. NULL is fine. Blocks. */
void mount_close(struct mount *mount);

/* The version of the libfuse that is loaded, such as "3.14.0"; static text. */
const char *mount_library_version(void);

#endif
