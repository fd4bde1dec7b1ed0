/* SPDX-License-Identifier: Apache-2.0 */
/* control_lines.c - see control_lines.h. Layer 5. */
#include "fs/control_lines.h"

#include "core/cleanup.h"

#include <string.h>

static size_t waiting(const struct lines *lines)
{
    return lines->text.size - lines->taken;
}

/* Move what was read out of the way, when that is more than what is left. */
static void compact(struct lines *lines)
{
    size_t left = waiting(lines);

    if (lines->taken < left || lines->taken == 0)
        return;
    memmove(lines->text.data, lines->text.data + lines->taken, left);
    lines->text.size = left;
    lines->taken = 0;
    if (left == 0)
        buffer_clear(&lines->text); /* an idle reader keeps nothing */
}

static bool append(struct lines *lines, const char *line, size_t size)
{
    if (buffer_append(&lines->text, line, size) != JSFS_OK)
        return false;
    lines->total += size;
    return true;
}

void lines_lose(struct lines *lines, uint64_t number)
{
    lines->lost.count++;
    if (number == 0)
        return;
    if (lines->lost.first == 0)
        lines->lost.first = number;
    lines->lost.last = number;
}

/* Without memory it is told later. */
static void tell_lost(struct lines *lines)
{
    CLEANUP(buffer_clear) struct buffer line = BUFFER_INIT;

    if (lines->lost.count > 0 && lines->write_lost(lines->arg, &lines->lost, &line) &&
        append(lines, line.data, line.size))
        lines->lost = (struct lines_lost){0};
}

void lines_put(struct lines *lines, const char *line, size_t size, uint64_t number)
{
    if (lines->lost.count > 0 && waiting(lines) <= lines->limit / 2)
        tell_lost(lines);
    if (lines->lost.count > 0 || waiting(lines) + size > lines->limit ||
        !append(lines, line, size))
        lines_lose(lines, number);
}

bool lines_waiting(const struct lines *lines)
{
    return waiting(lines) > 0 || lines->lost.count > 0;
}

size_t lines_ready(struct lines *lines, size_t most)
{
    size_t size;
    const char *text, *end;

    if (waiting(lines) == 0)
        tell_lost(lines);
    size = waiting(lines);
    if (size <= most)
        return size;
    text = lines->text.data + lines->taken;
    end = memrchr(text, '\n', most);
    return end != NULL ? (size_t)(end - text) + 1 : most;
}

void lines_take(struct lines *lines, char *out, size_t size)
{
    if (size == 0)
        return;
    memcpy(out, lines->text.data + lines->taken, size);
    lines->taken += size;
    compact(lines);
    if (waiting(lines) <= lines->limit / 2)
        tell_lost(lines);
}

void lines_clear(struct lines *lines)
{
    buffer_clear(&lines->text);
    lines->taken = 0;
}
