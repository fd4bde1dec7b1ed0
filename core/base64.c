/* SPDX-License-Identifier: Apache-2.0 */
/* base64.c - both alphabets in, the URL-safe one out.
 * Layer 1.
 */
#include "core/base64.h"
#include <stdint.h>

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64_encode(const void *data, size_t size, char *out)
{
    const unsigned char *in = data;

    for (; size >= 3; size -= 3, in += 3) {
        *out++ = alphabet[in[0] >> 2];
        *out++ = alphabet[(in[0] & 3) << 4 | in[1] >> 4];
        *out++ = alphabet[(in[1] & 15) << 2 | in[2] >> 6];
        *out++ = alphabet[in[2] & 63];
    }
    if (size > 0) {
        unsigned second = size == 2 ? in[1] : 0;
        *out++ = alphabet[in[0] >> 2];
        *out++ = alphabet[(in[0] & 3u) << 4 | second >> 4];
        *out++ = size == 2 ? alphabet[(second & 15) << 2] : '=';
        *out++ = '=';
    }
    *out = '\0';
}

/* What a character stands for; -1 for none. */
static int value_of(char character)
{
    if (character >= 'A' && character <= 'Z')
        return character - 'A';
    if (character >= 'a' && character <= 'z')
        return character - 'a' + 26;
    if (character >= '0' && character <= '9')
        return character - '0' + 52;
    if (character == '-' || character == '+')
        return 62;
    if (character == '_' || character == '/')
        return 63;
    return -1;
}

/* The length without padding; padding that does not fill a group of four stays. */
static size_t unpadded_length(const char *text, size_t length)
{
    if (length == 0 || length % 4 != 0 || text[length - 1] != '=')
        return length;
    return text[length - 2] == '=' ? length - 2 : length - 1;
}

bool base64_decode(const char *text, size_t length, void *out, size_t *size)
{
    unsigned char *next = out;
    uint32_t bits = 0;
    unsigned held = 0; /* bits that are not written yet */

    length = unpadded_length(text, length);
    if (length % 4 == 1)
        return false;
    for (size_t i = 0; i < length; i++) {
        int value = value_of(text[i]);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            *next++ = (unsigned char)(bits >> held);
        }
    }
    *size = (size_t)(next - (unsigned char *)out);
    return true;
}
