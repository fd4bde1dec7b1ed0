/* SPDX-License-Identifier: Apache-2.0 */
/* chunk_cache.h - chunks by (source, index) within a byte budget, least recently used first out.
 * Layer 4. What a reply is being made from stays alive by its reference, beyond the budget.
 */
#ifndef JSFS_CORE_CHUNK_CACHE_H
#define JSFS_CORE_CHUNK_CACHE_H

#include "core/bytes.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chunk_cache;

/* budget [bytes]; NULL without memory. */
struct chunk_cache *chunk_cache_new(size_t budget);
void chunk_cache_free(struct chunk_cache *cache);

/* An identity for a source, never given twice. */
uint64_t chunk_cache_source(struct chunk_cache *cache);

/* A reference to the chunk, or NULL; marks it as used. From the second time on it counts as the
 * newest. */
struct bytes *chunk_cache_get(struct chunk_cache *cache, uint64_t source, uint32_t index);

/* Keep a chunk (takes its own reference); replaces what was there. Drops others as needed. */
void chunk_cache_put(struct chunk_cache *cache, uint64_t source, uint32_t index,
                     struct bytes *chunk);

/* Drop one chunk, or every chunk of a source. */
void chunk_cache_drop(struct chunk_cache *cache, uint64_t source, uint32_t index);
void chunk_cache_drop_source(struct chunk_cache *cache, uint64_t source);

/* True when it is there; it does not count as used by the question. */
bool chunk_cache_has(struct chunk_cache *cache, uint64_t source, uint32_t index);

/* Budget that prefetch may still use [bytes]: half of it, less the chunks that were put and that
 * nobody has got since. */
size_t chunk_cache_room(struct chunk_cache *cache);

#endif
