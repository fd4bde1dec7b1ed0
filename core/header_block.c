/* SPDX-License-Identifier: Apache-2.0 */
/* header_block.c - one header out of a stored message's "NATS/1.0\r\n…" block, the size of a new
 * block; pure.
 * Layer 2.
 */
#include "core/header_block.h"

#include <string.h>
#include <strings.h>

static const char version[] = "NATS/1.0";

struct line {
    const char *text;
    size_t size; /* [bytes] without its end */
};

/* Cut the next line off [*at, end). False at the end. */
static bool next_line(const char **at, const char *end, struct line *out)
{
    if (*at == end)
        return false;

    const char *feed = memchr(*at, '\n', (size_t)(end - *at));
    const char *stop = feed != NULL ? feed : end;
    out->text = *at;
    out->size = (size_t)(stop - *at);
    *at = feed != NULL ? feed + 1 : end;
    if (out->size > 0 && out->text[out->size - 1] == '\r')
        out->size--;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct header_value trim(const char *text, size_t size)
{
    while (size > 0 && is_blank(text[0])) {
        text++;
        size--;
    }
    while (size > 0 && is_blank(text[size - 1]))
        size--;
    return (struct header_value){text, size};
}

static bool has_name(const struct line *line, const char *name, size_t length)
{
    return line->size > length && line->text[length] == ':' &&
           strncasecmp(line->text, name, length) == 0;
}

bool header_block_find(const char *block, size_t size, const char *name,
                       struct header_value *out)
{
    size_t length = strlen(name);
    bool found = false;
    struct line line;

    if (size < sizeof(version) - 1 || memcmp(block, version, sizeof(version) - 1) != 0)
        return false;

    const char *at = block;
    const char *end = block + size;
    (void)next_line(&at, end, &line); /* version and status */
    while (next_line(&at, end, &line)) {
        if (has_name(&line, name, length)) {
            *out = trim(line.text + length + 1, line.size - length - 1);
            found = true;
        }
    }
    return found;
}

bool header_block_copy(const char *block, size_t size, const char *name, char *out,
                       size_t out_size)
{
    struct header_value value;

    if (!header_block_find(block, size, name, &value) || value.size >= out_size)
        return false;
    memcpy(out, value.text, value.size);
    out[value.size] = '\0';
    return true;
}

size_t header_block_size(const char *const *headers)
{
    size_t size = sizeof("NATS/1.0\r\n\r\n") - 1;

    for (; headers[0] != NULL; headers += 2)
        size += strlen(headers[0]) + strlen(headers[1]) + sizeof(": \r\n") - 1;
    return size;
}
