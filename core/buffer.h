/* SPDX-License-Identifier: Apache-2.0 */
/* buffer.h - bytes that grow: text to build, a value to edit.
 * Layer 1. A buffer belongs to one thread at a time.
 */
#ifndef JSFS_CORE_BUFFER_H
#define JSFS_CORE_BUFFER_H

#include "core/status.h"
#include <stddef.h>

struct buffer {
    char *data;      /* NUL behind the last byte whenever it is not NULL */
    size_t size;     /* [bytes] in use, without that NUL */
    size_t capacity; /* [bytes] allocated */
};

#define BUFFER_INIT {NULL, 0, 0}

/* Release what the buffer holds and make it empty; for CLEANUP(buffer_clear) too. */
void buffer_clear(struct buffer *buffer);

/* Make room for size bytes in all; contents and size stay.
 *   JSFS_NO_MEMORY   nothing has changed
 */
enum jsfs_status buffer_reserve(struct buffer *buffer, size_t size);

/* Set the size; new bytes are zero. JSFS_NO_MEMORY: nothing has changed. */
enum jsfs_status buffer_resize(struct buffer *buffer, size_t size);

/* Append size bytes; data may be NULL when size is 0. JSFS_NO_MEMORY: nothing has changed. */
enum jsfs_status buffer_append(struct buffer *buffer, const void *data, size_t size);

/* Append a NUL-terminated text, without its NUL. */
enum jsfs_status buffer_append_text(struct buffer *buffer, const char *text);

/* Append printf's output. JSFS_NO_MEMORY: nothing has changed. */
enum jsfs_status buffer_append_format(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Write size bytes at offset; a gap before offset is filled with zeros.
 *   JSFS_TOO_LARGE   offset + size overflows; JSFS_NO_MEMORY; nothing has changed
 */
enum jsfs_status buffer_write(struct buffer *buffer, size_t offset, const void *data,
                              size_t size);

/* The text, taken out of the buffer, which is empty after it.
 *   returns   NUL-terminated, for free(); NULL when there is no memory for an empty text
 */
char *buffer_take(struct buffer *buffer);

#endif
