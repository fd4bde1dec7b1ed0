/* SPDX-License-Identifier: Apache-2.0 */
/* failure.c - why jsfs could not start: the one line for the user and the exit status.
 * Layer 5.
 */
#include "fs/failure.h"
#include <stdarg.h>
#include <stdio.h>

bool failure_set(struct failure *failure, enum failure_exit exit_status,
                 const char *format, ...)
{
    va_list arguments;

    failure->exit_status = (int)exit_status;
    failure->misused = false;
    va_start(arguments, format);
    vsnprintf(failure->text, sizeof(failure->text), format, arguments);
    va_end(arguments);
    return false;
}

void failure_print(const struct failure *failure)
{
    fprintf(stderr, "jsfs: %s%s\n", failure->text,
            failure->misused ? " (try 'jsfs --help')" : "");
}
