/* SPDX-License-Identifier: Apache-2.0 */
/* reader.c - one handle that reads an object version, and how far it asks ahead.
 * Layer 4. The kernel's read-ahead arrives a little out of order, so a read is in order when it
 * starts near the end of what was read, on either side. Each one that goes into a new chunk
 * doubles the window; one from elsewhere closes it.
 */
#include "core/reader.h"
#include "core/cleanup.h"
#include "core/source.h"
#include <string.h>

#define WINDOW_FIRST 2 /* chunks */

struct reader {
    struct source *source;
    uint32_t most; /* chunks, the widest window */
    /* source->lock guards the rest */
    uint64_t end;        /* of what was read in order [bytes] */
    uint64_t next_chunk; /* behind the last one that was touched in order */
    uint64_t ahead;      /* behind the last one that was asked ahead */
    uint32_t window;     /* chunks; 0: random */
};

static void copy_meta(struct source *source, const struct object_meta *meta)
{
    source->size_bytes = meta->size_bytes;
    source->chunks = meta->chunks;
    source->max_chunk_bytes = meta->max_chunk_bytes;
    memcpy(source->expected_digest, meta->digest, DIGEST_SIZE);
    source->verdict = meta->has_digest ? SOURCE_UNVERIFIED : SOURCE_VERIFIED;
}

struct source *source_new(struct chunk_cache *cache, struct store *store,
                          const struct object_meta *meta, uint64_t meta_sequence)
{
    struct source *source = calloc(1, sizeof(*source));
    struct digest *digest = meta->has_digest ? digest_new() : NULL;
    char *nuid = meta->nuid != NULL ? strdup(meta->nuid) : NULL;
    if (source == NULL || (meta->has_digest && digest == NULL) ||
        (meta->nuid != NULL && nuid == NULL)) {
        free(source);
        digest_free(digest);
        free(nuid);
        return NULL;
    }

    atomic_init(&source->references, 1);
    pthread_mutex_init(&source->lock, NULL);
    source->cache = cache;
    source->store = store;
    source->id = chunk_cache_source(cache);
    source->nuid = nuid;
    source->digest = digest;
    source->meta_sequence = meta_sequence;
    source->queued_end = &source->queued;
    source->unsent_end = &source->unsent;
    source->fetch_most = SOURCE_GUESSES;
    copy_meta(source, meta);
    return source;
}

struct source *source_ref(struct source *source)
{
    atomic_fetch_add(&source->references, 1);
    return source;
}

void source_unref(struct source *source)
{
    if (source != NULL && atomic_fetch_sub(&source->references, 1) == 1)
        source_free(source);
}

uint64_t source_size(const struct source *source)
{
    return source->size_bytes;
}

struct reader *reader_new(struct source *source, int prefetch_chunks)
{
    struct reader *reader = calloc(1, sizeof(*reader));
    if (reader == NULL)
        return NULL;
    reader->source = source_ref(source);
    reader->most = prefetch_chunks > 0 ? (uint32_t)prefetch_chunks : 0;
    return reader;
}

void reader_free(struct reader *reader)
{
    if (reader == NULL)
        return;
    source_unref(reader->source);
    free(reader);
}

/* About how long a chunk is [bytes], also before the layout is known. */
static uint64_t usual_chunk_locked(const struct source *source)
{
    if (source->state == SOURCE_READY)
        return source->layout.size_bytes / source->layout.count + 1;
    return source->max_chunk_bytes > 0 ? source->max_chunk_bytes : 1;
}

/* Follow where the handle reads. */
static void follow_locked(struct reader *reader, const struct read *read)
{
    const struct source *source = reader->source;
    uint64_t chunk = usual_chunk_locked(source), end = read->offset + read->size;
    uint64_t window = reader->window > WINDOW_FIRST ? reader->window : WINDOW_FIRST;
    uint64_t near = chunk * window + read->size;
    uint64_t last = source->state == SOURCE_READY
                        ? chunk_layout_find(&source->layout, end - 1)
                        : (end - 1) / chunk;

    if (read->offset > reader->end + near || read->offset + near < reader->end) {
        reader->end = end;
        reader->next_chunk = reader->ahead = last + 1;
        reader->window = 0;
        return;
    }
    if (end > reader->end)
        reader->end = end;
    if (last < reader->next_chunk)
        return;
    reader->next_chunk = last + 1;
    reader->window = reader->window == 0 ? WINDOW_FIRST : reader->window * 2;
    if (reader->window > reader->most)
        reader->window = reader->most;
}

/* True when one more chunk may be asked for ahead of need. */
static bool may_ask_locked(struct source *source)
{
    uint64_t chunk = usual_chunk_locked(source);
    return source->fetch_count < source->fetch_most / 2 &&
           chunk_cache_room(source->cache) > chunk * (source->fetch_count + 2);
}

static void prefetch_locked(struct reader *reader)
{
    struct source *source = reader->source;
    uint64_t stop = reader->next_chunk + reader->window;

    if (reader->ahead < reader->next_chunk)
        reader->ahead = reader->next_chunk;
    if (stop > source->layout.count)
        stop = source->layout.count;
    for (; reader->ahead < stop && may_ask_locked(source); reader->ahead++) {
        uint32_t index = (uint32_t)reader->ahead;
        if (source_fetch_locked(source, index) == NULL &&
            !chunk_cache_has(source->cache, source->id, index) &&
            source_ask_locked(source, index,
                              chunk_layout_sequence(&source->layout, index)) == NULL)
            return;
    }
}

static struct read *new_read(struct source *source, uint64_t offset, size_t size,
                             reader_done *done, void *arg)
{
    struct read *read = calloc(1, sizeof(*read));
    if (read == NULL)
        return NULL;
    read->source = source_ref(source);
    read->offset = offset;
    read->size = size;
    read->done = done;
    read->arg = arg;
    return read;
}

/* Once a read is queued or planned another thread may answer it, and its owner may free the
 * reader: from then on only the source is touched, by a reference of this call's own.
 */
static void start(struct reader *reader, struct read *read)
{
    struct source *source = source_ref(reader->source);
    struct read *finished = NULL;
    bool prove = false;

    pthread_mutex_lock(&source->lock);
    follow_locked(reader, read);
    if (source->state != SOURCE_READY) {
        prove = source_await_locked(source, read);
    } else {
        source_plan_locked(source, read, &finished);
        prefetch_locked(reader);
    }
    bool more = source->unsent != NULL;
    bool unhashed = source->verdict == SOURCE_UNVERIFIED;
    pthread_mutex_unlock(&source->lock);

    source_complete(finished);
    if (prove)
        source_prove(source);
    if (more)
        source_pump(source);
    if (unhashed)
        source_hash(source);
    source_unref(source);
}

void reader_read(struct reader *reader, uint64_t offset, size_t size, reader_done *done,
                 void *arg)
{
    uint64_t end = reader->source->size_bytes;

    if (offset >= end || size == 0) {
        done(arg, JSFS_OK, NULL, 0);
        return;
    }
    if (size > end - offset)
        size = (size_t)(end - offset);
    struct read *read = new_read(reader->source, offset, size, done, arg);
    if (read == NULL)
        done(arg, JSFS_NO_MEMORY, NULL, 0);
    else
        start(reader, read);
}
