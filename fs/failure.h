/* SPDX-License-Identifier: Apache-2.0 */
/* failure.h - why jsfs could not start: the one line for the user and the exit status.
 * Layer 5.
 */
#ifndef JSFS_FS_FAILURE_H
#define JSFS_FS_FAILURE_H

#include <stdbool.h>

/* Exit statuses of mount(8), "EXIT STATUS". */
enum failure_exit { EXIT_USAGE = 1, EXIT_SYSTEM = 2, EXIT_USER = 8, EXIT_MOUNT = 32 };

struct failure {
    int exit_status; /* enum failure_exit */
    bool misused;    /* the command line is wrong: --help would help */
    char text[512];  /* one line without "jsfs: " and without a newline */
};

/* Note a failure; a line longer than the text is cut.
 *   returns   false, so that a function may say: return failure_set(...)
 */
bool failure_set(struct failure *failure, enum failure_exit exit_status,
                 const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Write the line "jsfs: TEXT" to stderr; with where to find help if that would. */
void failure_print(const struct failure *failure);

#endif
