/* SPDX-License-Identifier: Apache-2.0 */
/* process.h - what /proc tells of the processes whose requests we serve.
 * Layer 5.
 */
#ifndef JSFS_FS_PROCESS_H
#define JSFS_FS_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The process (thread group) of a thread id, as the kernel gives them in requests; 0 when it has
 * ended or cannot be seen. */
pid_t process_of(pid_t thread);

/* Has a process an open descriptor that can write a file with this st_ino? False where that
 * cannot be seen: other users' processes, kernels before 5.14. */
bool process_writes(pid_t process, uint64_t number);

#endif
