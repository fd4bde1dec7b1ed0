/* SPDX-License-Identifier: Apache-2.0 */
/* source_layout.c - proving where the chunks of one object version are.
 * Layer 4. The store vouches for the subject of every chunk it gives. So when the first and the
 * last chunk message of the nuid are as far apart as the meta's count says, every sequence from
 * one to the other is a chunk of it; when moreover the last one has the length that is left
 * over, and none is longer than the meta's chunk size, all others must be equally long: each
 * answer is checked for that. Where it does not hold, all chunk messages are listed.
 *
 * While the proof is on its way, so are the chunks that are wanted: they are guessed to lie
 * right before the meta message. Their answers wait, and count only if the guess was right.
 */
#include "core/source.h"
#include "core/cleanup.h"

static bool may_guess(const struct source *source)
{
    return source->chunks > 2 && source->meta_sequence > source->chunks &&
           chunk_layout_may_be_uniform(source->size_bytes, source->chunks,
                                       source->max_chunk_bytes);
}

/* The first and the last chunk come with the probes. */
static void guess_locked(struct source *source, const struct read *read)
{
    uint64_t first = read->offset / source->max_chunk_bytes;
    uint64_t last = (read->offset + read->size - 1) / source->max_chunk_bytes;

    for (uint64_t i = first > 0 ? first : 1; i <= last && i + 1 < source->chunks; i++) {
        if (source->fetch_count >= SOURCE_GUESSES)
            return;
        if (source_fetch_locked(source, (uint32_t)i) == NULL)
            source_ask_locked(source, (uint32_t)i,
                              source->meta_sequence - source->chunks + i);
    }
}

bool source_await_locked(struct source *source, struct read *read)
{
    bool start = source->state == SOURCE_UNKNOWN;

    if (start)
        source->state = SOURCE_PROVING;
    *source->queued_end = read;
    source->queued_end = &read->next;
    if (source->state == SOURCE_PROVING && may_guess(source))
        guess_locked(source, read);
    return start;
}

static struct read *take_queued_locked(struct source *source)
{
    struct read *queued = source->queued;
    source->queued = NULL;
    source->queued_end = &source->queued;
    return queued;
}

static void clear_probes_locked(struct source *source)
{
    for (int i = 0; i < 2; i++) {
        bytes_unref(source->probes[i].chunk);
        source->probes[i] = (struct source_probe){JSFS_OK, NULL, 0};
    }
}

/* Nothing is remembered of a failure: the next read looks again. */
static void fail(struct source *source, enum jsfs_status status)
{
    pthread_mutex_lock(&source->lock);
    struct read *queued = take_queued_locked(source);
    source->state = SOURCE_UNKNOWN;
    source_drop_guesses_locked(source);
    clear_probes_locked(source);
    pthread_mutex_unlock(&source->lock);

    for (struct read *read = queued; read != NULL; read = read->next)
        read->status = status;
    source_complete(queued);
    source_pump(source);
}

static void cache_probes_locked(struct source *source)
{
    const uint32_t indexes[2] = {0, source->layout.count - 1};

    for (int i = 0; i < 2; i++) {
        if (source->probes[i].chunk != NULL)
            chunk_cache_put(source->cache, source->id, indexes[i],
                            source->probes[i].chunk);
    }
}

/* Chunks of right guesses that came before the proof. */
static void take_guesses_locked(struct source *source, struct read **finished)
{
    for (size_t i = 0; i < SOURCE_CHAINS; i++) {
        for (struct fetch *fetch = source->fetches[i], *next; fetch != NULL;
             fetch = next) {
            next = fetch->next;
            if (fetch->answered)
                source_answer_locked(source, fetch, fetch->status, fetch->chunk,
                                     finished);
        }
    }
}

static uint32_t limit_in_flight(uint64_t chunk_bytes)
{
    uint64_t most = SOURCE_IN_FLIGHT_BYTES / (chunk_bytes > 0 ? chunk_bytes : 1);
    if (most < SOURCE_IN_FLIGHT_LEAST)
        return SOURCE_IN_FLIGHT_LEAST;
    return most < SOURCE_IN_FLIGHT_MOST ? (uint32_t)most : SOURCE_IN_FLIGHT_MOST;
}

/* The layout is proven: serve the reads that waited for it. Takes what layout holds. */
static void settle(struct source *source, const struct chunk_layout *layout)
{
    struct read *finished = NULL;
    bool uniform = layout->offsets == NULL;

    pthread_mutex_lock(&source->lock);
    source->layout = *layout;
    source->state = SOURCE_READY;
    source->fetch_most = limit_in_flight(layout->size_bytes / layout->count);
    source_digest_start_locked(source);
    if (!uniform || layout->first_sequence != source->meta_sequence - source->chunks)
        source_drop_guesses_locked(source);
    if (uniform)
        cache_probes_locked(source);
    else
        clear_probes_locked(source);
    for (struct read *read = take_queued_locked(source), *next; read != NULL;
         read = next) {
        next = read->next;
        source_plan_locked(source, read, &finished);
    }
    take_guesses_locked(source, &finished);
    clear_probes_locked(source);
    bool held = source->held != NULL;
    pthread_mutex_unlock(&source->lock);

    source_complete(finished);
    source_pump(source);
    if (held)
        source_hash(source);
}

static void take_map(void *arg, enum jsfs_status status, const struct store_chunk *chunks,
                     size_t count)
{
    struct source *source = arg;
    struct chunk_layout layout = {0};

    if (status == JSFS_OK)
        status = chunk_layout_set_map(&layout, source->size_bytes, chunks, count);
    else if (status == JSFS_STALE && source->probes[0].chunk == NULL)
        status = JSFS_CORRUPT; /* they were never seen */
    if (status == JSFS_OK)
        settle(source, &layout);
    else
        fail(source, status);
    if (atomic_fetch_sub(&source->references, 1) == 1)
        source_free(source);
}

static void ask_map(struct source *source)
{
    pthread_mutex_lock(&source->lock);
    source->state = SOURCE_MAPPING;
    atomic_fetch_add(&source->references, 1);
    pthread_mutex_unlock(&source->lock);
    source->store->ops->chunk_map(source->store, source->nuid, take_map, source);
}

/* Both probes are in; nobody changes them now.
 *   JSFS_OK   layout is proven to be uniform;   JSFS_UNSUPPORTED   it may be any other */
static enum jsfs_status judge(const struct source *source, struct chunk_layout *layout)
{
    const struct source_probe *first = &source->probes[0], *last = &source->probes[1];
    uint64_t before_last = (uint64_t)(source->chunks - 1) * source->max_chunk_bytes;

    if (first->status == JSFS_STALE)
        return JSFS_CORRUPT; /* the first look finds none */
    if (first->status != JSFS_OK)
        return first->status;
    if (source->chunks == 1) {
        if (first->chunk->size != source->size_bytes)
            return JSFS_UNSUPPORTED;
        chunk_layout_set_uniform(layout, source->size_bytes, 1,
                                 (uint32_t)source->size_bytes, first->sequence);
        return JSFS_OK;
    }
    if (last->status != JSFS_OK)
        return last->status;
    if (last->sequence - first->sequence + 1 != source->chunks ||
        first->chunk->size != source->max_chunk_bytes ||
        last->chunk->size != source->size_bytes - before_last)
        return JSFS_UNSUPPORTED;
    chunk_layout_set_uniform(layout, source->size_bytes, source->chunks,
                             source->max_chunk_bytes, first->sequence);
    return JSFS_OK;
}

static void take_probe(struct source *source, int which, enum jsfs_status status,
                       struct bytes *chunk, uint64_t sequence)
{
    struct chunk_layout layout = {0};

    pthread_mutex_lock(&source->lock);
    source->probes[which] = (struct source_probe){status, NULL, sequence};
    if (status == JSFS_OK)
        source->probes[which].chunk = bytes_ref(chunk);
    bool complete = --source->probes_left == 0;
    pthread_mutex_unlock(&source->lock);

    if (complete) {
        enum jsfs_status verdict = judge(source, &layout);
        if (verdict == JSFS_OK)
            settle(source, &layout);
        else if (verdict == JSFS_UNSUPPORTED)
            ask_map(source);
        else
            fail(source, verdict);
    }
    if (atomic_fetch_sub(&source->references, 1) == 1)
        source_free(source);
}

static void take_first(void *arg, enum jsfs_status status, struct bytes *chunk,
                       uint64_t sequence)
{
    take_probe(arg, 0, status, chunk, sequence);
}

static void take_last(void *arg, enum jsfs_status status, struct bytes *chunk,
                      uint64_t sequence)
{
    take_probe(arg, 1, status, chunk, sequence);
}

void source_prove(struct source *source)
{
    const struct store_ops *ops = source->store->ops;
    bool uniform = chunk_layout_may_be_uniform(source->size_bytes, source->chunks,
                                               source->max_chunk_bytes);
    if (source->nuid == NULL) {
        fail(source, JSFS_CORRUPT);
        return;
    }
    if (source->chunks != 1 && !uniform) {
        ask_map(source);
        return;
    }

    int probes = source->chunks == 1 ? 1 : 2;
    pthread_mutex_lock(&source->lock);
    source->probes_left = probes;
    atomic_fetch_add(&source->references, (unsigned)probes);
    pthread_mutex_unlock(&source->lock);
    ops->chunk_first(source->store, source->nuid, take_first, source);
    if (probes == 2)
        ops->chunk_last(source->store, source->nuid, take_last, source);
}
