/* SPDX-License-Identifier: Apache-2.0 */
/* buffer.c - bytes that grow, by doubling.
 * Layer 1.
 */
#include "core/buffer.h"
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALLEST 64 /* [bytes] of a first allocation */

void buffer_clear(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer)BUFFER_INIT;
}

/* What to allocate for `needed` bytes: at least twice what there is, so that appending byte
 * by byte copies each byte a constant number of times.
 */
static size_t grown_capacity(size_t capacity, size_t needed)
{
    size_t doubled = capacity > SIZE_MAX / 2 ? SIZE_MAX : capacity * 2;

    if (doubled < SMALLEST)
        doubled = SMALLEST;
    return doubled > needed ? doubled : needed;
}

enum jsfs_status buffer_reserve(struct buffer *buffer, size_t size)
{
    if (size >= PTRDIFF_MAX)
        return JSFS_NO_MEMORY;
    if (size < buffer->capacity)
        return JSFS_OK;

    size_t capacity = grown_capacity(buffer->capacity, size + 1);
    char *data = realloc(buffer->data, capacity);
    if (data == NULL)
        return JSFS_NO_MEMORY;
    buffer->data = data;
    buffer->capacity = capacity;
    data[buffer->size] = '\0';
    return JSFS_OK;
}

static void set_size(struct buffer *buffer, size_t size)
{
    buffer->size = size;
    buffer->data[size] = '\0';
}

enum jsfs_status buffer_resize(struct buffer *buffer, size_t size)
{
    enum jsfs_status status = buffer_reserve(buffer, size);

    if (status != JSFS_OK)
        return status;
    if (size > buffer->size)
        memset(buffer->data + buffer->size, 0, size - buffer->size);
    set_size(buffer, size);
    return JSFS_OK;
}

enum jsfs_status buffer_append(struct buffer *buffer, const void *data, size_t size)
{
    enum jsfs_status status;

    if (size > SIZE_MAX - buffer->size)
        return JSFS_NO_MEMORY;
    status = buffer_reserve(buffer, buffer->size + size);
    if (status != JSFS_OK)
        return status;
    if (size > 0)
        memcpy(buffer->data + buffer->size, data, size);
    set_size(buffer, buffer->size + size);
    return JSFS_OK;
}

enum jsfs_status buffer_append_text(struct buffer *buffer, const char *text)
{
    return buffer_append(buffer, text, strlen(text));
}

enum jsfs_status buffer_append_format(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    int length;
    enum jsfs_status status;

    va_start(arguments, format);
    length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0)
        return JSFS_NO_MEMORY;

    status = buffer_reserve(buffer, buffer->size + (size_t)length);
    if (status != JSFS_OK)
        return status;
    va_start(arguments, format);
    vsnprintf(buffer->data + buffer->size, (size_t)length + 1, format, arguments);
    va_end(arguments);
    buffer->size += (size_t)length;
    return JSFS_OK;
}

enum jsfs_status buffer_write(struct buffer *buffer, size_t offset, const void *data,
                              size_t size)
{
    if (size > SIZE_MAX - offset)
        return JSFS_TOO_LARGE;
    if (size == 0)
        return JSFS_OK;
    if (offset + size > buffer->size) {
        enum jsfs_status status = buffer_resize(buffer, offset + size);
        if (status != JSFS_OK)
            return status;
    }
    memcpy(buffer->data + offset, data, size);
    return JSFS_OK;
}

char *buffer_take(struct buffer *buffer)
{
    char *text = buffer->data;

    *buffer = (struct buffer)BUFFER_INIT;
    return text != NULL ? text : calloc(1, 1);
}
