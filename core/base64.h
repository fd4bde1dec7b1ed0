/* SPDX-License-Identifier: Apache-2.0 */
/* base64.h - bytes as base64 text, and back; pure.
 * Layer 1. RFC 4648; writes the URL-safe padded form that NATS object stores use.
 */
#ifndef JSFS_CORE_BASE64_H
#define JSFS_CORE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* [bytes] of the text of size bytes, with its NUL. */
#define BASE64_TEXT_SIZE(size) (((size) + 2) / 3 * 4 + 1)

/* [bytes] that are enough for what `length` characters hold. */
#define BASE64_DATA_SIZE(length) ((length) / 4 * 3 + 3)

/* Write size bytes as URL-safe, padded base64.
 *   out   BASE64_TEXT_SIZE(size) bytes, NUL-terminated
 */
void base64_encode(const void *data, size_t size, char *out);

/* Read base64 in either alphabet, padded or not.
 *   text   length characters
 *   out    BASE64_DATA_SIZE(length) bytes; its first *size are the data
 *   returns   false when the text is not base64; out may be written then, size is not
 */
bool base64_decode(const char *text, size_t length, void *out, size_t *size);

#endif
