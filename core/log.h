/* SPDX-License-Identifier: Apache-2.0 */
/* log.h - one line a fact, key=value, to a sink that the program chooses.
 * Layer 1. core/ logs at JSFS_LOG_DEBUG only; fs/ logs each failure once. Never a value or a
 * credential.
 */
#ifndef JSFS_CORE_LOG_H
#define JSFS_CORE_LOG_H

#include <stdbool.h>

enum jsfs_log_level { JSFS_LOG_ERROR, JSFS_LOG_WARNING, JSFS_LOG_INFO, JSFS_LOG_DEBUG };

enum jsfs_log_sink { JSFS_LOG_TO_STDERR, JSFS_LOG_TO_SYSLOG };

/* Choose where lines go and how much is said. Before the first call: stderr, JSFS_LOG_INFO.
 * Blocks: no.   Threads: call it while only one thread logs.
 */
void jsfs_log_open(enum jsfs_log_sink sink, enum jsfs_log_level level);

/* True when a line of this level would be written; lets callers skip costly arguments. */
bool jsfs_log_enabled(enum jsfs_log_level level);

/* Write one line. The text gets a level word in front and a newline behind; control bytes
 * within it are written as \xHH, so that a name cannot forge a line.
 *   format   printf's; a line longer than 4 KiB is cut
 * Blocks: for a write(2) to the sink.   Threads: any; lines do not mix.
 */
void jsfs_log(enum jsfs_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define jsfs_debug(...)                                                                  \
    do {                                                                                 \
        if (jsfs_log_enabled(JSFS_LOG_DEBUG))                                            \
            jsfs_log(JSFS_LOG_DEBUG, __VA_ARGS__);                                       \
    } while (0)

#endif
