/* SPDX-License-Identifier: Apache-2.0 */
/* chunk_cache.c - chunks by (source, index) within a byte budget, least recently used first out.
 * Layer 4. Two hash tables of the same entries: by (source, index) to find one, by source to
 * drop all of one without looking at the others. The first use of a chunk leaves its place: a
 * stream that is read once goes through in the order it came, and what was asked for ahead is
 * always newer than what was read.
 */
#include "core/chunk_cache.h"
#include "core/cleanup.h"
#include <stdbool.h>

#define BUCKETS_MIN 256
#define BUCKETS_MAX 65536
#define USUAL_CHUNK_BYTES                                                                \
    32768               /* how many buckets a budget gets; smaller chunks make chains */
#define ENTRY_BYTES 256 /* what an entry and its message cost beside the chunk */

struct entry {
    uint64_t source;
    uint32_t index;
    bool used; /* somebody got it since it was put */
    struct bytes *chunk;
    size_t cost;                              /* [bytes] that it counts in the budget */
    struct entry *next, **link;               /* by (source, index) */
    struct entry *source_next, **source_link; /* by source */
    struct entry *newer, *older;
};

struct chunk_cache {
    pthread_mutex_t lock;
    size_t budget; /* never changes, nor does mask */
    size_t mask;
    struct entry **entries, **sources; /* lock: mask + 1 chains each */
    struct entry *newest, *oldest;     /* lock */
    size_t held, unused;  /* lock: cost of all entries, of those not got yet */
    uint64_t last_source; /* lock */
};

/* What was taken out under the lock, to be released without it. */
struct removed {
    struct entry *first;
};

static size_t hash(uint64_t source, uint64_t index)
{
    uint64_t mixed = (source * UINT64_C(0x9e3779b97f4a7c15)) ^ index;
    return (size_t)((mixed * UINT64_C(0xd6e8feb86659fd93)) >> 32);
}

static size_t count_buckets(size_t budget)
{
    size_t buckets = BUCKETS_MIN;
    while (buckets < BUCKETS_MAX && buckets < budget / USUAL_CHUNK_BYTES)
        buckets *= 2;
    return buckets;
}

struct chunk_cache *chunk_cache_new(size_t budget)
{
    size_t buckets = count_buckets(budget);
    struct chunk_cache *cache = malloc(sizeof(*cache));
    struct entry **entries = calloc(buckets, sizeof(*entries));
    struct entry **sources = calloc(buckets, sizeof(*sources));
    if (cache == NULL || entries == NULL || sources == NULL) {
        free(cache);
        free(entries);
        free(sources);
        return NULL;
    }
    *cache = (struct chunk_cache){.lock = PTHREAD_MUTEX_INITIALIZER,
                                  .budget = budget,
                                  .mask = buckets - 1,
                                  .entries = entries,
                                  .sources = sources};
    return cache;
}

static void release(struct removed *removed)
{
    while (removed->first != NULL) {
        struct entry *entry = removed->first;
        removed->first = entry->next;
        bytes_unref(entry->chunk);
        free(entry);
    }
}

void chunk_cache_free(struct chunk_cache *cache)
{
    if (cache == NULL)
        return;
    for (struct entry *entry = cache->newest, *older; entry != NULL; entry = older) {
        older = entry->older;
        bytes_unref(entry->chunk);
        free(entry);
    }
    pthread_mutex_destroy(&cache->lock);
    free(cache->entries);
    free(cache->sources);
    free(cache);
}

uint64_t chunk_cache_source(struct chunk_cache *cache)
{
    SCOPED_LOCK(&cache->lock);
    return ++cache->last_source;
}

static struct entry *find_locked(struct chunk_cache *cache, uint64_t source,
                                 uint32_t index)
{
    struct entry *entry = cache->entries[hash(source, index) & cache->mask];
    while (entry != NULL && (entry->source != source || entry->index != index))
        entry = entry->next;
    return entry;
}

static void push_newest_locked(struct chunk_cache *cache, struct entry *entry)
{
    entry->newer = NULL;
    entry->older = cache->newest;
    *(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) = entry;
    cache->newest = entry;
}

static void pull_locked(struct chunk_cache *cache, struct entry *entry)
{
    *(entry->newer != NULL ? &entry->newer->older : &cache->newest) = entry->older;
    *(entry->older != NULL ? &entry->older->newer : &cache->oldest) = entry->newer;
}

static void insert_locked(struct chunk_cache *cache, struct entry *entry)
{
    struct entry **chain =
        &cache->entries[hash(entry->source, entry->index) & cache->mask];
    struct entry **of_source = &cache->sources[hash(entry->source, 0) & cache->mask];

    entry->next = *chain;
    entry->link = chain;
    if (*chain != NULL)
        (*chain)->link = &entry->next;
    *chain = entry;
    entry->source_next = *of_source;
    entry->source_link = of_source;
    if (*of_source != NULL)
        (*of_source)->source_link = &entry->source_next;
    *of_source = entry;
    push_newest_locked(cache, entry);
    cache->held += entry->cost;
    cache->unused += entry->cost;
}

static void remove_locked(struct chunk_cache *cache, struct entry *entry,
                          struct removed *removed)
{
    *entry->link = entry->next;
    if (entry->next != NULL)
        entry->next->link = entry->link;
    *entry->source_link = entry->source_next;
    if (entry->source_next != NULL)
        entry->source_next->source_link = entry->source_link;
    pull_locked(cache, entry);
    cache->held -= entry->cost;
    if (!entry->used)
        cache->unused -= entry->cost;
    entry->next = removed->first;
    removed->first = entry;
}

struct bytes *chunk_cache_get(struct chunk_cache *cache, uint64_t source, uint32_t index)
{
    SCOPED_LOCK(&cache->lock);
    struct entry *entry = find_locked(cache, source, index);
    if (entry == NULL)
        return NULL;
    if (!entry->used) {
        entry->used = true;
        cache->unused -= entry->cost;
    } else if (cache->newest != entry) {
        pull_locked(cache, entry);
        push_newest_locked(cache, entry);
    }
    return bytes_ref(entry->chunk);
}

bool chunk_cache_has(struct chunk_cache *cache, uint64_t source, uint32_t index)
{
    SCOPED_LOCK(&cache->lock);
    return find_locked(cache, source, index) != NULL;
}

static void put_locked(struct chunk_cache *cache, struct entry *entry,
                       struct removed *removed)
{
    struct entry *old = find_locked(cache, entry->source, entry->index);
    if (old != NULL)
        remove_locked(cache, old, removed);
    while (cache->oldest != NULL && cache->held + entry->cost > cache->budget)
        remove_locked(cache, cache->oldest, removed);
    insert_locked(cache, entry);
}

void chunk_cache_put(struct chunk_cache *cache, uint64_t source, uint32_t index,
                     struct bytes *chunk)
{
    size_t cost = chunk->size + ENTRY_BYTES;
    if (cost > cache->budget)
        return;
    struct entry *entry = malloc(sizeof(*entry));
    if (entry == NULL)
        return; /* a cache may forget */

    struct removed removed = {NULL};
    *entry = (struct entry){.source = source, .index = index, .cost = cost};
    entry->chunk = bytes_ref(chunk);
    pthread_mutex_lock(&cache->lock);
    put_locked(cache, entry, &removed);
    pthread_mutex_unlock(&cache->lock);
    release(&removed);
}

void chunk_cache_drop(struct chunk_cache *cache, uint64_t source, uint32_t index)
{
    struct removed removed = {NULL};
    pthread_mutex_lock(&cache->lock);
    struct entry *entry = find_locked(cache, source, index);
    if (entry != NULL)
        remove_locked(cache, entry, &removed);
    pthread_mutex_unlock(&cache->lock);
    release(&removed);
}

void chunk_cache_drop_source(struct chunk_cache *cache, uint64_t source)
{
    struct removed removed = {NULL};
    pthread_mutex_lock(&cache->lock);
    struct entry *entry = cache->sources[hash(source, 0) & cache->mask];
    while (entry != NULL) {
        struct entry *next = entry->source_next;
        if (entry->source == source)
            remove_locked(cache, entry, &removed);
        entry = next;
    }
    pthread_mutex_unlock(&cache->lock);
    release(&removed);
}

size_t chunk_cache_room(struct chunk_cache *cache)
{
    SCOPED_LOCK(&cache->lock);
    size_t most = cache->budget / 2;
    return cache->unused < most ? most - cache->unused : 0;
}
