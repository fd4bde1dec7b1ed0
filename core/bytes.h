/* SPDX-License-Identifier: Apache-2.0 */
/* bytes.h - immutable bytes shared by reference count: a value, a chunk, as it was received.
 * Layer 1. The bytes may live inside a foreign allocation (a nats.c message), so nothing is
 * copied on the way from the wire to the kernel.
 */
#ifndef JSFS_CORE_BYTES_H
#define JSFS_CORE_BYTES_H

#include <stdatomic.h>
#include <stddef.h>

struct bytes {
    const char *data;
    size_t size; /* [bytes] */
    /* private to bytes.c */
    void (*release)(void *owner);
    void *owner;
    atomic_uint references;
};

/* Bytes inside something else, which is released when the last reference goes.
 *   data      size bytes that live as long as owner
 *   release   called once with owner, on whatever thread drops the last reference
 *   returns   one reference, the caller's; NULL without memory (then owner stays the caller's)
 * Threads: any.
 */
struct bytes *bytes_wrap(const void *data, size_t size, void (*release)(void *owner),
                         void *owner);

/* A copy of size bytes (data may be NULL when size is 0); NULL without memory. */
struct bytes *bytes_copy(const void *data, size_t size);

/* One more reference to the same bytes; returns its argument. */
struct bytes *bytes_ref(struct bytes *bytes);

/* Give back a reference; NULL is fine. The last one releases the owner. */
void bytes_unref(struct bytes *bytes);

/* For CLEANUP(cleanup_bytes) struct bytes *b = NULL. */
static inline void cleanup_bytes(struct bytes **bytes)
{
    bytes_unref(*bytes);
}

#endif
