/* SPDX-License-Identifier: Apache-2.0 */
/* bytes.c - shared immutable bytes.
 * Layer 1.
 */
#include "core/bytes.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct bytes *bytes_wrap(const void *data, size_t size, void (*release)(void *owner),
                         void *owner)
{
    struct bytes *bytes = malloc(sizeof(*bytes));

    if (bytes == NULL)
        return NULL;
    bytes->data = data;
    bytes->size = size;
    bytes->release = release;
    bytes->owner = owner;
    atomic_init(&bytes->references, 1);
    return bytes;
}

/* The copy stands behind the struct, in one allocation; so there is nothing to release. */
struct bytes *bytes_copy(const void *data, size_t size)
{
    struct bytes *bytes;

    if (size > PTRDIFF_MAX - sizeof(*bytes))
        return NULL;
    bytes = malloc(sizeof(*bytes) + size);
    if (bytes == NULL)
        return NULL;
    if (size > 0)
        memcpy(bytes + 1, data, size);
    bytes->data = (const char *)(bytes + 1);
    bytes->size = size;
    bytes->release = NULL;
    bytes->owner = NULL;
    atomic_init(&bytes->references, 1);
    return bytes;
}

struct bytes *bytes_ref(struct bytes *bytes)
{
    atomic_fetch_add_explicit(&bytes->references, 1, memory_order_relaxed);
    return bytes;
}

/* Acquire and release: whoever frees has seen every other holder's last use. */
void bytes_unref(struct bytes *bytes)
{
    if (bytes == NULL ||
        atomic_fetch_sub_explicit(&bytes->references, 1, memory_order_acq_rel) != 1)
        return;
    if (bytes->release != NULL)
        bytes->release(bytes->owner);
    free(bytes);
}
