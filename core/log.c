/* SPDX-License-Identifier: Apache-2.0 */
/* log.c - lines to stderr or syslog, one write(2) each.
 * Layer 1.
 */
#include "core/log.h"
#include "core/cleanup.h"
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#define LINE_SIZE 4096 /* [bytes] of a line with its newline */

static atomic_int chosen_sink = JSFS_LOG_TO_STDERR;
static atomic_int chosen_level = JSFS_LOG_INFO;
static pthread_mutex_t write_lock = PTHREAD_MUTEX_INITIALIZER; /* lines do not mix */

static const char *const words[] = {"error: ", "warning: ", "info: ", "debug: "};
static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};

void jsfs_log_open(enum jsfs_log_sink sink, enum jsfs_log_level level)
{
    if (sink == JSFS_LOG_TO_SYSLOG)
        openlog("jsfs", LOG_PID, LOG_DAEMON);
    atomic_store(&chosen_sink, (int)sink);
    atomic_store(&chosen_level, (int)level);
}

bool jsfs_log_enabled(enum jsfs_log_level level)
{
    return (int)level <= atomic_load_explicit(&chosen_level, memory_order_relaxed);
}

static bool is_control(unsigned char byte)
{
    return byte < 0x20 || byte == 0x7f;
}

/* Append text to line, which ends before `limit`; cuts between characters, never inside an
 * escape. Returns the new length.
 */
static size_t escape(char *line, size_t length, size_t limit, const char *text)
{
    static const char digits[] = "0123456789abcdef";

    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (length + (is_control(byte) ? 4 : 1) > limit)
            break;
        if (!is_control(byte)) {
            line[length++] = *text;
            continue;
        }
        line[length++] = '\\';
        line[length++] = 'x';
        line[length++] = digits[byte >> 4];
        line[length++] = digits[byte & 15];
    }
    return length;
}

static void write_stderr(const char *line, size_t size)
{
    SCOPED_LOCK(&write_lock);

    while (size > 0) {
        ssize_t written = write(STDERR_FILENO, line, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        line += written;
        size -= (size_t)written;
    }
}

void jsfs_log(enum jsfs_log_level level, const char *format, ...)
{
    char text[LINE_SIZE], line[LINE_SIZE];
    int saved_errno = errno;
    va_list arguments;

    if (!jsfs_log_enabled(level))
        return;
    va_start(arguments, format);
    if (vsnprintf(text, sizeof(text), format, arguments) < 0)
        strcpy(text, "(a line that cannot be formatted)");
    va_end(arguments);

    size_t length = strlen(words[level]);
    memcpy(line, words[level], length);
    length = escape(line, length, sizeof(line) - 1, text);
    if (atomic_load(&chosen_sink) == JSFS_LOG_TO_SYSLOG) {
        syslog(priorities[level], "%.*s", (int)length, line);
    } else {
        line[length] = '\n';
        write_stderr(line, length + 1);
    }
    errno = saved_errno;
}
