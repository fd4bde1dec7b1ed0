/* SPDX-License-Identifier: Apache-2.0 */
/* name_set.c - open addressing over hashes; the lowest bit of a slot is the mark.
 * Layer 2.
 */
#include "core/name_set.h"
#include <stdlib.h>

enum { FIRST_CAPACITY = 64 };

#define MARK UINT64_C(1)

static uint64_t hash_of(const char *name)
{
    uint64_t hash =
        UINT64_C(14695981039346656037); /* FNV-1a, finished as splitmix64 does */

    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * UINT64_C(1099511628211);
    hash = (hash ^ hash >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    hash = (hash ^ hash >> 27) * UINT64_C(0x94d049bb133111eb);
    hash = (hash ^ hash >> 31) & ~MARK;
    return hash != 0 ? hash : 2; /* 0 is a free slot */
}

/* The slot that holds a hash, or the free one where it belongs. */
static uint64_t *slot_of(const struct name_set *set, uint64_t hash)
{
    size_t mask = set->capacity - 1;
    size_t i = (size_t)(hash >> 1) & mask;

    while (set->slots[i] != 0 && (set->slots[i] & ~MARK) != hash)
        i = (i + 1) & mask;
    return &set->slots[i];
}

static bool grow(struct name_set *set)
{
    struct name_set larger = {.capacity =
                                  set->capacity > 0 ? set->capacity * 2 : FIRST_CAPACITY,
                              .used = set->used};

    larger.slots = calloc(larger.capacity, sizeof(*larger.slots));
    if (larger.slots == NULL)
        return false;
    for (size_t i = 0; i < set->capacity; i++)
        if (set->slots[i] != 0)
            *slot_of(&larger, set->slots[i] & ~MARK) = set->slots[i];
    free(set->slots);
    *set = larger;
    return true;
}

void name_set_put(struct name_set *set, const char *name, bool marked)
{
    uint64_t hash = hash_of(name);

    if (!marked && !name_set_has(set, name))
        return;
    if (set->used * 4 >= set->capacity * 3 && !grow(set))
        return;
    uint64_t *slot = slot_of(set, hash);
    if (*slot == 0)
        set->used++;
    *slot = hash | (marked ? MARK : 0);
}

bool name_set_has(const struct name_set *set, const char *name)
{
    return set->capacity > 0 && (*slot_of(set, hash_of(name)) & MARK) != 0;
}

void name_set_clear(struct name_set *set)
{
    free(set->slots);
    *set = (struct name_set){0};
}
