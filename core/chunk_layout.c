/* SPDX-License-Identifier: Apache-2.0 */
/* chunk_layout.c - where the chunks of one object are.
 * Layer 4, pure.
 */
#include "core/chunk_layout.h"
#include <stdlib.h>

bool chunk_layout_may_be_uniform(uint64_t size_bytes, uint32_t chunks, uint32_t max_bytes)
{
    if (size_bytes == 0 || chunks == 0 || max_bytes == 0)
        return false;
    return (size_bytes - 1) / max_bytes + 1 == chunks;
}

void chunk_layout_set_uniform(struct chunk_layout *layout, uint64_t size_bytes,
                              uint32_t chunks, uint32_t max_bytes,
                              uint64_t first_sequence)
{
    *layout = (struct chunk_layout){.size_bytes = size_bytes,
                                    .count = chunks,
                                    .chunk_bytes = max_bytes,
                                    .first_sequence = first_sequence};
}

enum jsfs_status chunk_layout_set_map(struct chunk_layout *layout, uint64_t size_bytes,
                                      const struct store_chunk *chunks, size_t count)
{
    if (count == 0 || count >= UINT32_MAX)
        return JSFS_CORRUPT;

    uint64_t *offsets = calloc(count + 1, sizeof(*offsets));
    uint64_t *sequences = calloc(count, sizeof(*sequences));
    if (offsets == NULL || sequences == NULL) {
        free(offsets);
        free(sequences);
        return JSFS_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        offsets[i + 1] = offsets[i] + chunks[i].size_bytes;
        sequences[i] = chunks[i].sequence;
    }
    if (offsets[count] != size_bytes) {
        free(offsets);
        free(sequences);
        return JSFS_CORRUPT;
    }
    *layout = (struct chunk_layout){.size_bytes = size_bytes,
                                    .count = (uint32_t)count,
                                    .offsets = offsets,
                                    .sequences = sequences};
    return JSFS_OK;
}

void chunk_layout_clear(struct chunk_layout *layout)
{
    free(layout->offsets);
    free(layout->sequences);
    *layout = (struct chunk_layout){0};
}

uint32_t chunk_layout_find(const struct chunk_layout *layout, uint64_t offset)
{
    if (layout->offsets == NULL)
        return (uint32_t)(offset / layout->chunk_bytes);

    uint32_t low = 0, high = layout->count; /* offsets[low] <= offset < offsets[high] */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (layout->offsets[middle] <= offset)
            low = middle;
        else
            high = middle;
    }
    return low;
}

uint64_t chunk_layout_offset(const struct chunk_layout *layout, uint32_t index)
{
    if (layout->offsets != NULL)
        return layout->offsets[index];
    return (uint64_t)index * layout->chunk_bytes;
}

uint64_t chunk_layout_length(const struct chunk_layout *layout, uint32_t index)
{
    uint64_t end = index + 1 < layout->count ? chunk_layout_offset(layout, index + 1)
                                             : layout->size_bytes;
    return end - chunk_layout_offset(layout, index);
}

uint64_t chunk_layout_sequence(const struct chunk_layout *layout, uint32_t index)
{
    if (layout->sequences != NULL)
        return layout->sequences[index];
    return layout->first_sequence + index;
}
