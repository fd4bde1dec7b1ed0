/* SPDX-License-Identifier: Apache-2.0 */
/* control_lines.h - the lines that one reader of a control file has still to read, at most so
 * many; what does not fit is counted, and told in its place.
 * Layer 5. Belongs to one thread at a time.
 */
#ifndef JSFS_FS_CONTROL_LINES_H
#define JSFS_FS_CONTROL_LINES_H

#include "core/buffer.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a reader that fell behind has not got. */
struct lines_lost {
    uint64_t count;       /* lines */
    uint64_t first, last; /* the numbers that the first and the last of them were put with */
};

struct lines {
    size_t limit;        /* [bytes] */
    struct buffer text;  /* lines; the first `taken` bytes were read */
    size_t taken;        /* [bytes] */
    uint64_t total;      /* [bytes] that there were to read so far */
    struct lines_lost lost;
    /* Write the line that stands for what was lost; false without memory. */
    bool (*write_lost)(void *arg, const struct lines_lost *lost, struct buffer *line);
    void *arg;
};

/* Put a line behind the others. When it does not fit it is lost, and so are all that come until
 * half of what waits was read; then one line says so.
 *   number   told of it when it is lost; 0: it has none */
void lines_put(struct lines *lines, const char *line, size_t size, uint64_t number);

/* A line that could not even be made is lost. */
void lines_lose(struct lines *lines, uint64_t number);

/* True when there is something to read. */
bool lines_waiting(const struct lines *lines);

/* [bytes] that lines_take() gives of at most `most`: whole lines where one fits. */
size_t lines_ready(struct lines *lines, size_t most);

/* Read size bytes, no more than lines_ready() said. */
void lines_take(struct lines *lines, char *out, size_t size);

void lines_clear(struct lines *lines);

#endif
