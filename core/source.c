/* SPDX-License-Identifier: Apache-2.0 */
/* source.c - reads of one object version and the requests that they wait for.
 * Layer 4. A chunk is asked for once, however many reads wait for it: its request is in the
 * table until it is answered, then the chunk is in the cache. Both change under one lock.
 */
#include "core/source.h"
#include "core/cleanup.h"

static struct fetch **chain_of(struct source *source, uint32_t index)
{
    return &source->fetches[index % SOURCE_CHAINS];
}

struct fetch *source_fetch_locked(struct source *source, uint32_t index)
{
    struct fetch *fetch = *chain_of(source, index);
    while (fetch != NULL && fetch->index != index)
        fetch = fetch->next;
    return fetch;
}

struct fetch *source_ask_locked(struct source *source, uint32_t index, uint64_t sequence)
{
    struct fetch *fetch = malloc(sizeof(*fetch));
    if (fetch == NULL)
        return NULL;

    struct fetch **chain = chain_of(source, index);
    atomic_fetch_add(&source->references, 1);
    *fetch = (struct fetch){
        .source = source, .index = index, .sequence = sequence, .next = *chain};
    *chain = fetch;
    source->fetch_count++;
    *source->unsent_end = fetch;
    source->unsent_end = &fetch->next_unsent;
    return fetch;
}

static void unlink_locked(struct source *source, struct fetch *fetch)
{
    struct fetch **at = chain_of(source, fetch->index);
    while (*at != fetch)
        at = &(*at)->next;
    *at = fetch->next;
    source->fetch_count--;
}

/* Free a request; the caller has another reference to the source. */
static void free_fetch_locked(struct source *source, struct fetch *fetch)
{
    bytes_unref(fetch->chunk);
    free(fetch);
    atomic_fetch_sub(&source->references, 1);
}

struct bytes *source_find_locked(struct source *source, uint32_t index)
{
    struct bytes *chunk = chunk_cache_get(source->cache, source->id, index);
    if (chunk != NULL)
        return chunk;
    if (index == 0 && source->probes[0].chunk != NULL)
        return bytes_ref(source->probes[0].chunk);
    if (index + 1 == source->layout.count && source->probes[1].chunk != NULL)
        return bytes_ref(source->probes[1].chunk);
    return NULL;
}

static void push(struct read **list, struct read *read)
{
    read->next = *list;
    *list = read;
}

/* Nothing is missing any more: answer it, or hold it for the digest. */
static void end_locked(struct source *source, struct read *read, struct read **finished)
{
    if (read->status != JSFS_OK || !source_digest_hold_locked(source, read))
        push(finished, read);
}

static void fill_locked(struct source *source, struct read *read, uint32_t at)
{
    uint32_t index = read->first + at;
    struct slot *slot = &read->slots[at];
    slot->read = read;
    slot->chunk = source_find_locked(source, index);
    if (slot->chunk != NULL) {
        source_digest_offer_locked(source, index, slot->chunk);
        return;
    }

    struct fetch *fetch = source_fetch_locked(source, index);
    if (fetch == NULL)
        fetch = source_ask_locked(source, index,
                                  chunk_layout_sequence(&source->layout, index));
    if (fetch == NULL) {
        read->status = JSFS_NO_MEMORY;
        return;
    }
    slot->next = fetch->waiters;
    fetch->waiters = slot;
    read->missing++;
}

void source_plan_locked(struct source *source, struct read *read, struct read **finished)
{
    read->first = chunk_layout_find(&source->layout, read->offset);
    read->count = chunk_layout_find(&source->layout, read->offset + read->size - 1) -
                  read->first + 1;
    read->slots = calloc(read->count, sizeof(struct slot) + sizeof(struct iovec));
    if (read->slots == NULL) {
        read->status = JSFS_NO_MEMORY;
        read->count = 0;
    }
    for (uint32_t i = 0; i < read->count && read->status == JSFS_OK; i++)
        fill_locked(source, read, i);
    if (read->missing == 0)
        end_locked(source, read, finished);
}

/* What an answer is worth now that the layout is known. */
static enum jsfs_status check_locked(struct source *source, const struct fetch *fetch,
                                     enum jsfs_status status, const struct bytes *chunk)
{
    if (status == JSFS_CONFLICT || status == JSFS_NOT_FOUND)
        return JSFS_STALE; /* the layout was right, so the chunk had been there */
    if (status != JSFS_OK)
        return status;
    return chunk->size == chunk_layout_length(&source->layout, fetch->index)
               ? JSFS_OK
               : JSFS_CORRUPT;
}

static void cache_locked(struct source *source, const struct fetch *fetch,
                         struct bytes *chunk)
{
    chunk_cache_put(source->cache, source->id, fetch->index, chunk);
    if (fetch->waiters == NULL)
        return;
    /* Somebody reads it right now: it is no prefetched chunk that still waits to be used. */
    bytes_unref(chunk_cache_get(source->cache, source->id, fetch->index));
    source_digest_offer_locked(source, fetch->index, chunk);
}

void source_answer_locked(struct source *source, struct fetch *fetch,
                          enum jsfs_status status, struct bytes *chunk,
                          struct read **finished)
{
    enum jsfs_status worth = check_locked(source, fetch, status, chunk);
    unlink_locked(source, fetch);
    if (worth == JSFS_OK)
        cache_locked(source, fetch, chunk);

    for (struct slot *slot = fetch->waiters, *next; slot != NULL; slot = next) {
        struct read *read = slot->read;
        next = slot->next;
        if (worth == JSFS_OK)
            slot->chunk = bytes_ref(chunk);
        else if (read->status == JSFS_OK)
            read->status = worth;
        if (--read->missing == 0)
            end_locked(source, read, finished);
    }
    free_fetch_locked(source, fetch);
}

void source_drop_guesses_locked(struct source *source)
{
    for (size_t i = 0; i < SOURCE_CHAINS; i++) {
        while (source->fetches[i] != NULL) {
            struct fetch *fetch = source->fetches[i];
            unlink_locked(source, fetch);
            fetch->dropped = true;
            if (fetch->answered)
                free_fetch_locked(source, fetch);
        }
    }
}

/* The part of a slot's chunk that its read asks for. */
static struct iovec part_of(const struct read *read, uint32_t at)
{
    const struct chunk_layout *layout = &read->source->layout;
    const struct bytes *chunk = read->slots[at].chunk;
    uint64_t start = chunk_layout_offset(layout, read->first + at);
    size_t skip = read->offset > start ? (size_t)(read->offset - start) : 0;
    size_t end = chunk->size;
    if (read->offset + read->size - start < end)
        end = (size_t)(read->offset + read->size - start);
    return (struct iovec){.iov_base = (void *)(chunk->data + skip),
                          .iov_len = end - skip};
}

static void answer(struct read *read)
{
    struct iovec *parts = (struct iovec *)(void *)(read->slots + read->count);
    if (read->status != JSFS_OK) {
        read->done(read->arg, read->status, NULL, 0);
        return;
    }
    for (uint32_t i = 0; i < read->count; i++)
        parts[i] = part_of(read, i);
    read->done(read->arg, JSFS_OK, parts, (int)read->count);
}

void source_complete(struct read *finished)
{
    while (finished != NULL) {
        struct read *read = finished;
        finished = read->next;
        answer(read);
        for (uint32_t i = 0; i < read->count; i++)
            bytes_unref(read->slots[i].chunk);
        free(read->slots);
        if (atomic_fetch_sub(&read->source->references, 1) == 1)
            source_free(read->source);
        free(read);
    }
}

/* An answer came. The request's reference keeps the source until here. */
static void take_answer(void *arg, enum jsfs_status status, struct bytes *chunk,
                        uint64_t sequence)
{
    struct fetch *fetch = arg;
    struct source *source = fetch->source;
    struct read *finished = NULL;
    (void)sequence;

    atomic_fetch_add(&source->references, 1);
    pthread_mutex_lock(&source->lock);
    source->sent--;
    if (fetch->dropped) {
        free_fetch_locked(source, fetch);
    } else if (source->state != SOURCE_READY) {
        fetch->answered = true;
        fetch->status = status;
        fetch->chunk = status == JSFS_OK ? bytes_ref(chunk) : NULL;
    } else {
        source_answer_locked(source, fetch, status, chunk, &finished);
    }
    bool held = source->held != NULL;
    bool more = source->unsent != NULL;
    pthread_mutex_unlock(&source->lock);

    source_complete(finished);
    if (more)
        source_pump(source);
    if (held)
        source_hash(source);
    if (atomic_fetch_sub(&source->references, 1) == 1)
        source_free(source);
}

/* The next request to send, marked as sent; NULL when there is none or the limit is reached. */
static struct fetch *next_unsent_locked(struct source *source)
{
    while (source->unsent != NULL && source->sent < source->fetch_most) {
        struct fetch *fetch = source->unsent;
        source->unsent = fetch->next_unsent;
        if (source->unsent == NULL)
            source->unsent_end = &source->unsent;
        if (!fetch->dropped) {
            source->sent++;
            return fetch;
        }
        free_fetch_locked(source, fetch);
    }
    return NULL;
}

void source_pump(struct source *source)
{
    struct fetch *fetch;

    pthread_mutex_lock(&source->lock);
    if (source->pumping) { /* its loop will see what was added */
        pthread_mutex_unlock(&source->lock);
        return;
    }
    source->pumping = true;
    while ((fetch = next_unsent_locked(source)) != NULL) {
        pthread_mutex_unlock(&source->lock);
        source->store->ops->chunk_get(source->store, source->nuid, fetch->sequence,
                                      take_answer, fetch);
        pthread_mutex_lock(&source->lock);
    }
    source->pumping = false;
    pthread_mutex_unlock(&source->lock);
}

void source_free(struct source *source)
{
    chunk_cache_drop_source(source->cache, source->id);
    for (uint32_t i = 0; i < source->ring; i++)
        bytes_unref(source->unhashed[i]);
    free(source->unhashed);
    digest_free(source->digest);
    chunk_layout_clear(&source->layout);
    pthread_mutex_destroy(&source->lock);
    free(source->nuid);
    free(source);
}
