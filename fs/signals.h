/* SPDX-License-Identifier: Apache-2.0 */
/* signals.h - the signals that end jsfs, read from a descriptor instead of delivered.
 * Layer 5.
 */
#ifndef JSFS_FS_SIGNALS_H
#define JSFS_FS_SIGNALS_H

#include <stdbool.h>

/* Block SIGINT, SIGTERM, SIGHUP and SIGQUIT, ignore SIGPIPE; threads made later inherit that.
 *   returns   a descriptor that is readable when SIGINT or SIGTERM came, for close(2); -1
 *             with errno
 * Threads: before any other thread exists.
 */
int signals_open(void);

/* Take one signal that has come; does not block.
 *   returns   its number, or 0
 */
int signals_take(int descriptor);

#endif
