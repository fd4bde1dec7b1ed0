/* SPDX-License-Identifier: Apache-2.0 */
/* name_codec.c - names as paths, component by component.
 * Layer 2.
 */
#include "core/name_codec.h"
#include "core/base64.h"
#include "core/cleanup.h"
#include <stdint.h>
#include <string.h>

#define BUCKET_NAME_MAX 251 /* [bytes]; a stream name has 255, "OBJ_" and "KV_" go off */

/* Some of the bytes of a name. */
struct piece {
    const char *text;
    size_t size;
};

static bool is_text(struct piece piece, const char *text)
{
    return piece.size == strlen(text) && memcmp(piece.text, text, piece.size) == 0;
}

/* The bytes from `from` up to the next separator or `end`. */
static struct piece piece_until(const char *from, const char *end, char separator)
{
    const char *stop = memchr(from, separator, (size_t)(end - from));

    return (struct piece){from, (size_t)((stop != NULL ? stop : end) - from)};
}

/* Components that are written as a fixed text, because a path gives them a meaning. */
static const struct {
    const char *raw, *path;
    bool first_only; /* only at the top of a bucket */
} specials[] = {
    {"",                 "%",       false},
    {".",                "%2E",     false},
    {"..",               "%2E%2E",  false},
    {NAME_CODEC_CONTROL, "%2Ejsfs", true },
};
#define SPECIALS (sizeof(specials) / sizeof(specials[0]))

static enum jsfs_status encode_byte(char byte, bool leading, struct buffer *path)
{
    if (byte == '%')
        return buffer_append_text(path, "%25");
    if (byte == '\0')
        return buffer_append_text(path, "%00");
    if (byte == '@' && leading)
        return buffer_append_text(path, "%40");
    return buffer_append(path, &byte, 1);
}

static enum jsfs_status encode_component(struct piece raw, bool first,
                                         struct buffer *path)
{
    for (size_t i = 0; i < SPECIALS; i++) {
        if (is_text(raw, specials[i].raw) && (first || !specials[i].first_only))
            return buffer_append_text(path, specials[i].path);
    }
    for (size_t i = 0; i < raw.size; i++) {
        enum jsfs_status status = encode_byte(raw.text[i], i == 0, path);
        if (status != JSFS_OK)
            return status;
    }
    return JSFS_OK;
}

/* The byte that "%XX" stands for; -1 for a text that encode_byte() never writes. */
static int decode_escape(struct piece path, bool leading)
{
    if (path.size < 3)
        return -1;
    if (memcmp(path.text, "%25", 3) == 0)
        return '%';
    if (memcmp(path.text, "%00", 3) == 0)
        return '\0';
    if (memcmp(path.text, "%40", 3) == 0 && leading)
        return '@';
    return -1;
}

static enum jsfs_status decode_bytes(struct piece path, struct buffer *raw)
{
    for (size_t i = 0; i < path.size; i++) {
        int byte = (unsigned char)path.text[i];
        if (byte == '%') {
            byte = decode_escape((struct piece){path.text + i, path.size - i}, i == 0);
            i += 2;
        } else if (byte == '@' && i == 0) {
            byte = -1;
        }
        if (byte < 0)
            return JSFS_BAD_NAME;
        char decoded = (char)byte;
        enum jsfs_status status = buffer_append(raw, &decoded, 1);
        if (status != JSFS_OK)
            return status;
    }
    return JSFS_OK;
}

static enum jsfs_status decode_component(struct piece path, bool first,
                                         struct buffer *raw)
{
    for (size_t i = 0; i < SPECIALS; i++) {
        if (!first && specials[i].first_only)
            continue;
        if (is_text(path, specials[i].path))
            return buffer_append_text(raw, specials[i].raw);
        if (is_text(path, specials[i].raw))
            return JSFS_BAD_NAME; /* written as it is, it means something else in a path */
    }
    return decode_bytes(path, raw);
}

typedef enum jsfs_status convert_component(struct piece in, bool first,
                                           struct buffer *out);

/* Convert each component of in; out is as before unless JSFS_OK. */
static enum jsfs_status convert(struct piece in, convert_component *component,
                                struct buffer *out)
{
    const char *from = in.text, *end = in.text + in.size;
    size_t size_before = out->size;

    for (;;) {
        struct piece piece = piece_until(from, end, '/');
        enum jsfs_status status = component(piece, from == in.text, out);
        if (status == JSFS_OK && piece.text + piece.size == end)
            return JSFS_OK;
        if (status == JSFS_OK)
            status = buffer_append(out, "/", 1);
        if (status != JSFS_OK) {
            if (out->data != NULL)
                buffer_resize(out, size_before);
            return status;
        }
        from = piece.text + piece.size + 1;
    }
}

enum jsfs_status name_encode(const char *raw, size_t size, struct buffer *path)
{
    if (size == 0)
        return JSFS_BAD_NAME;
    return convert((struct piece){raw, size}, encode_component, path);
}

enum jsfs_status name_decode(const char *path, struct buffer *raw)
{
    static const char value[] = "/" NAME_CODEC_VALUE;
    size_t size = strlen(path), tail = sizeof(value) - 1;

    if (size > tail && memcmp(path + size - tail, value, tail) == 0)
        size -= tail;
    if (is_text((struct piece){path, size}, "%"))
        return JSFS_BAD_NAME; /* no name is empty */
    return convert((struct piece){path, size}, decode_component, raw);
}

static bool is_alphanumeric(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9');
}

bool name_is_portable_key(const char *key)
{
    size_t size = strlen(key);

    if (size == 0 || key[0] == '.' || key[size - 1] == '.' || strstr(key, "..") != NULL)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (!is_alphanumeric(key[i]) && strchr("-/_=.", key[i]) == NULL)
            return false;
    }
    return true;
}

static bool is_legal_token(struct piece token)
{
    if (token.size == 0 || is_text(token, "*") || is_text(token, ">"))
        return false;
    for (size_t i = 0; i < token.size; i++) {
        if (memchr(" \t\n\v\f\r\x7f", token.text[i], 8) != NULL) /* and 0 */
            return false;
    }
    return true;
}

bool name_is_legal_key(const char *key, size_t size)
{
    const char *end = key + size;

    for (const char *from = key;; from++) {
        struct piece token = piece_until(from, end, '.');
        if (!is_legal_token(token))
            return false;
        from = token.text + token.size;
        if (from == end)
            return true;
    }
}

bool name_is_bucket(const char *name)
{
    size_t size = strlen(name);

    for (size_t i = 0; i < size; i++) {
        if (!is_alphanumeric(name[i]) && name[i] != '_' && name[i] != '-')
            return false;
    }
    return size > 0 && size <= BUCKET_NAME_MAX;
}

/* How many bytes the character at text has; 0 when it is not well-formed UTF-8. The ranges of
 * the second byte leave out overlong forms, surrogates and what is above U+10FFFF.
 * Source: Unicode 15, table 3-7.
 */
static size_t utf8_length(const unsigned char *text, size_t size)
{
    unsigned char lead = text[0], low = 0x80, high = 0xbf;
    size_t length;

    if (lead < 0x80)
        return 1;
    if (lead < 0xc2 || lead > 0xf4)
        return 0;
    length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (lead == 0xe0)
        low = 0xa0;
    else if (lead == 0xed)
        high = 0x9f;
    else if (lead == 0xf0)
        low = 0x90;
    else if (lead == 0xf4)
        high = 0x8f;
    if (length > size || text[1] < low || text[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++) {
        if (text[i] < 0x80 || text[i] > 0xbf)
            return 0;
    }
    return length;
}

bool name_is_utf8(const char *name, size_t size)
{
    const unsigned char *text = (const unsigned char *)name;

    while (size > 0) {
        size_t length = utf8_length(text, size);
        if (length == 0)
            return false;
        text += length;
        size -= length;
    }
    return true;
}

enum jsfs_status name_object_token(const char *name, size_t size, struct buffer *token)
{
    size_t before = token->size;
    enum jsfs_status status;

    if (size > PTRDIFF_MAX / 2)
        return JSFS_NO_MEMORY;
    status = buffer_resize(token, before + BASE64_TEXT_SIZE(size) - 1);
    if (status == JSFS_OK)
        base64_encode(name, size, token->data + before);
    return status;
}
