/* SPDX-License-Identifier: Apache-2.0 */
/* stream_text.h - a stream as text for people: its configuration to edit, a bucket's status to
 * read; pure.
 * Layer 2, over jansson. Texts are NUL-terminated JSON, pretty-printed, with a newline at the end,
 * for free(); fields keep the order in which the server gives them.
 */
#ifndef JSFS_CORE_STREAM_TEXT_H
#define JSFS_CORE_STREAM_TEXT_H

#include "core/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The "config" in a reply of STREAM.INFO or STREAM.UPDATE, with every field there is; NULL
 * without memory, or when there is none. */
char *stream_text_config(const char *reply);

/* Read what somebody made of such a text.
 *   stream   whose it is: the "name" in it must be the same
 *   config   one line of JSON for STREAM.UPDATE, for free(); untouched unless JSFS_OK
 *   error    else one line for the user: what is wrong, and in which line; cut to error_size
 *   JSFS_INVALID    no JSON object, a field twice, or another name;   JSFS_NO_MEMORY
 */
enum jsfs_status stream_text_parse(const char *text, size_t size, const char *stream,
                                   char **config, char *error, size_t error_size);

/* What a mount itself knows of a bucket. Texts are borrowed. */
struct stream_text_mount {
    const char *bucket, *stream;
    const char *server;      /* "ok", or why the stream's part is missing */
    const char *watch;       /* "live" … */
    uint64_t revision;       /* the newest that the watch has told */
    uint64_t names;          /* live keys or objects that are known */
    int64_t conflicts;       /* kept edits that lost a race; -1: not told */
    int64_t error_ns;        /* when the last error was [ns since 1970]; 0: there was none */
    const char *error_operation, *error_text;
};

/* The status of a bucket; docs/control.md names the fields.
 *   reply   of STREAM.INFO; NULL: the server does not answer, its fields are null
 *   returns NULL without memory */
char *stream_text_status(const struct stream_text_mount *mount, const char *reply);

#endif
