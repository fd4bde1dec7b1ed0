/* SPDX-License-Identifier: Apache-2.0 */
/* poke_command.h - what the poke queue and the helper process say to each other, and what the
 * helper does with it. Layer 5, private to poke_helper.c and poke_process.c.
 */
#ifndef JSFS_FS_POKE_COMMAND_H
#define JSFS_FS_POKE_COMMAND_H

#include "fs/poke_helper.h"
#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

/* One datagram: as much of path as it needs, with its NUL. The answer is an int: 0 or an errno. */
struct poke_command {
    enum poke_call call;
    dev_t device; /* of the mount; the call is not made anywhere else */
    char path[PATH_MAX];
};

/* The life of the helper: make the calls that come over the socket, until its other end closes.
 *   parent   who forked us
 *   top      the mount point, absolute
 * Does not return. Closes every other descriptor. */
_Noreturn void poke_process_run(int socket, pid_t parent, const char *top);

#endif
