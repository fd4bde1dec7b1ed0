/* SPDX-License-Identifier: Apache-2.0 */
/* chunk_layout.h - where the chunks of one object are: which one holds an offset, at which
 * sequence it is stored, how long it is.
 * Layer 4, pure. Uniform: consecutive sequences of equal chunks, computed. Else a map of all
 * chunk messages. A layout that is made never changes.
 */
#ifndef JSFS_CORE_CHUNK_LAYOUT_H
#define JSFS_CORE_CHUNK_LAYOUT_H

#include "core/store.h"

struct chunk_layout {
    uint64_t size_bytes;
    uint32_t count;          /* chunks with bytes in them */
    uint32_t chunk_bytes;    /* uniform: of every chunk but the last */
    uint64_t first_sequence; /* uniform */
    uint64_t *offsets;       /* map: count + 1 prefix sums; NULL: uniform */
    uint64_t *sequences;     /* map: count */
};

/* True when a meta's numbers can be those of equal chunks: every chunk max_bytes long, the last
 * one between 1 and that. */
bool chunk_layout_may_be_uniform(uint64_t size_bytes, uint32_t chunks,
                                 uint32_t max_bytes);

/* Equal chunks from first_sequence on; for numbers that may be uniform, or for one chunk. */
void chunk_layout_set_uniform(struct chunk_layout *layout, uint64_t size_bytes,
                              uint32_t chunks, uint32_t max_bytes,
                              uint64_t first_sequence);

/* The layout of a list of chunk messages, for chunk_layout_clear().
 *   JSFS_CORRUPT   their sizes do not add up to size_bytes, or there are none or too many
 *   JSFS_NO_MEMORY; layout is untouched on failure
 */
enum jsfs_status chunk_layout_set_map(struct chunk_layout *layout, uint64_t size_bytes,
                                      const struct store_chunk *chunks, size_t count);

/* Release what a map holds. */
void chunk_layout_clear(struct chunk_layout *layout);

/* The chunk that holds an offset below the size. */
uint32_t chunk_layout_find(const struct chunk_layout *layout, uint64_t offset);

/* Of a chunk below count: the offset of its first byte, its bytes, its sequence. */
uint64_t chunk_layout_offset(const struct chunk_layout *layout, uint32_t index);
uint64_t chunk_layout_length(const struct chunk_layout *layout, uint32_t index);
uint64_t chunk_layout_sequence(const struct chunk_layout *layout, uint32_t index);

#endif
