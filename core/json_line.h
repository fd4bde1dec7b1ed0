/* SPDX-License-Identifier: Apache-2.0 */
/* json_line.h - one JSON object on one line, of texts and numbers; pure.
 * Layer 2.
 */
#ifndef JSFS_CORE_JSON_LINE_H
#define JSFS_CORE_JSON_LINE_H

#include "core/buffer.h"
#include "core/status.h"
#include <stddef.h>
#include <stdint.h>

struct json_member {
    const char *name;
    const char *text; /* bytes of any value; NULL: it is the number */
    uint64_t number;  /* below 2^63 */
};

/* Append members as a JSON object, in their order, and a newline. Texts are UTF-8; in one that
 * is not, each wrong byte shows as U+FFFD, and a member "<name>_base64" with all its bytes
 * follows.
 *   JSFS_NO_MEMORY   nothing has changed
 */
enum jsfs_status json_line(const struct json_member *members, size_t count,
                           struct buffer *line);

#endif
