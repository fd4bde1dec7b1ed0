/* SPDX-License-Identifier: Apache-2.0 */
/* source_digest.c - SHA-256 of one object version, on the way of its being read in order.
 * Layer 4. `front` chunks are in the digest. A chunk that is read at or shortly behind front is
 * kept until its turn comes; a read that runs too far ahead of the hashing, in order, is held
 * until that has caught up. The read that contains the last chunk is held until the digest is
 * judged, if everything from front on is here or on its way. Where the order breaks (front is
 * nowhere), held reads are answered unverified: a random reader neither hashes nor waits.
 */
#include "core/source.h"
#include "core/cleanup.h"
#include <string.h>

#define RING_MOST 1024 /* chunks, however small they are */

void source_digest_start_locked(struct source *source)
{
    uint64_t ring =
        SOURCE_UNHASHED_BYTES / (source->size_bytes / source->layout.count + 1);

    if (source->verdict != SOURCE_UNVERIFIED)
        return;
    if (ring < SOURCE_IN_FLIGHT_LEAST)
        ring = SOURCE_IN_FLIGHT_LEAST;
    if (ring > RING_MOST)
        ring = RING_MOST;
    if (ring > source->layout.count)
        ring = source->layout.count;
    source->unhashed = calloc(ring, sizeof(struct bytes *));
    if (source->unhashed == NULL)
        source->verdict = SOURCE_VERIFIED; /* as without a digest: reads are worth more */
    else
        source->ring = (uint32_t)ring;
}

static uint64_t distance_locked(const struct source *source, uint32_t index)
{
    return index >= source->front ? index - source->front : UINT64_MAX;
}

void source_digest_offer_locked(struct source *source, uint32_t index,
                                struct bytes *chunk)
{
    if (source->verdict != SOURCE_UNVERIFIED ||
        distance_locked(source, index) >= source->ring)
        return;
    struct bytes **place = &source->unhashed[index % source->ring];
    if (*place == NULL)
        *place = bytes_ref(chunk);
}

static struct slot *held_slot_locked(const struct source *source, uint32_t index)
{
    for (struct read *read = source->held; read != NULL; read = read->next) {
        if (index >= read->first && index - read->first < read->count)
            return &read->slots[index - read->first];
    }
    return NULL;
}

/* Everything from front to a read's first chunk is here or on its way. */
static bool is_gapless_locked(struct source *source, const struct read *read)
{
    for (uint32_t i = source->front + source->adding; i < read->first; i++) {
        bool kept = distance_locked(source, i) < source->ring &&
                    source->unhashed[i % source->ring] != NULL;
        if (!kept && source_fetch_locked(source, i) == NULL &&
            held_slot_locked(source, i) == NULL &&
            !chunk_cache_has(source->cache, source->id, i))
            return false;
    }
    return true;
}

static bool has_last_chunk(const struct source *source, const struct read *read)
{
    return read->first + read->count == source->layout.count;
}

/* It runs ahead of a thread that hashes, not of a gap. */
static bool is_too_far_ahead_locked(const struct source *source, const struct read *read)
{
    uint64_t ahead = distance_locked(source, read->first + read->count - 1);
    bool busy = source->hashing || source->unhashed[source->front % source->ring] != NULL;
    return busy && ahead >= source->ring && ahead < 2 * (uint64_t)source->ring;
}

bool source_digest_hold_locked(struct source *source, struct read *read)
{
    bool last = has_last_chunk(source, read);

    if (source->verdict == SOURCE_WRONG && last)
        read->status = JSFS_CORRUPT;
    if (source->verdict != SOURCE_UNVERIFIED)
        return false;
    if (last ? !is_gapless_locked(source, read) : !is_too_far_ahead_locked(source, read))
        return false;
    read->next = source->held;
    source->held = read;
    return true;
}

/* A reference to the chunk whose turn it is; NULL when it is not here. */
static struct bytes *take_front_locked(struct source *source)
{
    if (source->verdict != SOURCE_UNVERIFIED)
        return NULL;
    struct bytes **place = &source->unhashed[source->front % source->ring];
    struct bytes *chunk = *place;
    *place = NULL;
    if (chunk != NULL || source->held == NULL)
        return chunk;
    struct slot *slot = held_slot_locked(source, source->front);
    return slot != NULL ? bytes_ref(slot->chunk)
                        : chunk_cache_get(source->cache, source->id, source->front);
}

static void judge_locked(struct source *source)
{
    unsigned char hash[DIGEST_SIZE];

    digest_finish(source->digest, hash);
    bool right = memcmp(hash, source->expected_digest, sizeof(hash)) == 0;
    source->verdict = right ? SOURCE_VERIFIED : SOURCE_WRONG;
}

static void offer_all_locked(struct source *source, struct read *read)
{
    for (uint32_t i = 0; i < read->count; i++)
        source_digest_offer_locked(source, read->first + i, read->slots[i].chunk);
}

/* Held reads that front has come near enough to; all of them when it goes no further. */
static void release_locked(struct source *source, bool all, struct read **finished)
{
    for (struct read **at = &source->held; *at != NULL;) {
        struct read *read = *at;
        bool last = has_last_chunk(source, read);
        bool near = !last && distance_locked(source, read->first + read->count - 1) + 1 <=
                                 source->ring;
        if (!all && !near && source->verdict == SOURCE_UNVERIFIED) {
            at = &read->next;
            continue;
        }
        if (near)
            offer_all_locked(source, read);
        if (last && source->verdict == SOURCE_WRONG)
            read->status = JSFS_CORRUPT;
        *at = read->next;
        read->next = *finished;
        *finished = read;
    }
}

/* Hash one chunk; the lock is given up meanwhile, and to answer reads. */
static void hash_locked(struct source *source, struct bytes *chunk)
{
    struct read *finished = NULL;

    source->adding = true;
    pthread_mutex_unlock(&source->lock);
    digest_add(source->digest, chunk->data, chunk->size);
    bytes_unref(chunk);
    pthread_mutex_lock(&source->lock);
    source->adding = false;
    if (++source->front == source->layout.count)
        judge_locked(source);
    release_locked(source, false, &finished);
    if (finished == NULL)
        return;
    pthread_mutex_unlock(&source->lock);
    source_complete(finished);
    pthread_mutex_lock(&source->lock);
}

void source_hash(struct source *source)
{
    struct read *finished = NULL;
    struct bytes *chunk;

    pthread_mutex_lock(&source->lock);
    if (!source->hashing && source->state == SOURCE_READY) {
        source->hashing = true;
        while ((chunk = take_front_locked(source)) != NULL)
            hash_locked(source, chunk);
        source->hashing = false;
        if (source_fetch_locked(source, source->front) == NULL)
            release_locked(source, true, &finished);
    }
    pthread_mutex_unlock(&source->lock);
    source_complete(finished);
}
