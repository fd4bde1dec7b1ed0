/* SPDX-License-Identifier: Apache-2.0 */
/* source.h - the inside of reader.h: one object version, its requests, its parked reads.
 * Layer 4, private to reader.c and source*.c: source.c has the reads and the requests,
 * source_layout.c the proof of where the chunks are, source_digest.c the verification.
 *
 * A read is planned when the layout is known: its chunks come from the cache, from a request
 * that is in flight, or from a new one. Every function is called without the lock unless its
 * name ends in _locked; callers complete the reads that such a function hands out (`finished`)
 * after they released it.
 */
#ifndef JSFS_CORE_SOURCE_H
#define JSFS_CORE_SOURCE_H

#include "core/chunk_cache.h"
#include "core/chunk_layout.h"
#include "core/digest.h"
#include <pthread.h>
#include <sys/uio.h>

#define SOURCE_CHAINS 128 /* of the table of requests; a power of two */
#define SOURCE_IN_FLIGHT_BYTES                                                           \
    (32u << 20)                  /* asked for at once; servers drop clients at 64 MiB */
#define SOURCE_IN_FLIGHT_LEAST 8 /* chunks, however large they are */
#define SOURCE_IN_FLIGHT_MOST 256
#define SOURCE_GUESSES 64 /* chunks asked for before the layout is proven */
#define SOURCE_UNHASHED_BYTES (4u << 20) /* read, and kept until they are hashed */

struct source;

/* reader_done */
typedef void source_done(void *arg, enum jsfs_status status, const struct iovec *parts,
                         int count);

/* One chunk of one read. */
struct slot {
    struct bytes *chunk; /* NULL: not here yet */
    struct read *read;
    struct slot *next; /* of those that wait for the same request */
};

/* One reader_read(). */
struct read {
    struct source *source; /* a reference */
    uint64_t offset;
    size_t size;
    source_done *done;
    void *arg;
    enum jsfs_status status; /* source's lock, as all below until it is finished */
    uint32_t first, count;   /* chunks; known when it is planned */
    uint32_t missing;
    struct slot *slots; /* count; count iovecs behind them */
    struct read *next;
};

/* One chunk that was asked for, or waits to be. */
struct fetch {
    struct source *source; /* a reference */
    uint32_t index;
    uint64_t sequence;
    struct slot *waiters; /* source's lock, as all below */
    struct fetch *next, *next_unsent;
    bool dropped;  /* a wrong guess: nobody wants the answer */
    bool answered; /* before the layout was proven; then status and chunk say how */
    enum jsfs_status status;
    struct bytes *chunk;
};

enum source_state {
    SOURCE_UNKNOWN, /* the next read starts the proof */
    SOURCE_PROVING, /* the first and the last chunk are asked for, chunks are guessed */
    SOURCE_MAPPING, /* all chunk messages are asked for */
    SOURCE_READY    /* the layout never changes from now on */
};

enum source_digest {
    SOURCE_UNVERIFIED, /* digest is running: front chunks are in it */
    SOURCE_VERIFIED,   /* or the meta has no digest */
    SOURCE_WRONG       /* the object's last chunk is not given out */
};

struct source_probe {
    enum jsfs_status status;
    struct bytes *chunk;
    uint64_t sequence;
};

struct source {
    atomic_uint references;
    struct chunk_cache *cache;
    struct store *store;
    uint64_t id; /* in the cache */
    char *nuid;  /* NULL: the meta has none */
    uint64_t size_bytes, meta_sequence;
    uint32_t chunks, max_chunk_bytes;
    unsigned char expected_digest[DIGEST_SIZE];

    /* Locks, in the order they are taken: lock, then the cache's. */
    pthread_mutex_t lock;
    enum source_state state;           /* lock */
    struct chunk_layout layout;        /* lock until SOURCE_READY, then constant */
    struct read *queued, **queued_end; /* lock: they wait for the layout */
    struct source_probe probes[2];     /* lock: first and last chunk */
    int probes_left;                   /* lock */

    struct fetch *fetches[SOURCE_CHAINS]; /* lock: sent and unsent, by index */
    uint32_t fetch_count, fetch_most; /* lock: in the table; most that are sent at once */
    struct fetch *unsent, **unsent_end; /* lock */
    uint32_t sent;                      /* lock */
    bool pumping;                       /* lock: a thread is sending what is unsent */

    enum source_digest verdict; /* lock */
    bool hashing;               /* lock: a thread is using digest ... */
    bool adding;                /* lock: ... and has the front chunk in hand */
    struct digest *digest;      /* whoever set hashing */
    uint32_t front;             /* lock: the next chunk to hash */
    struct bytes *
        *unhashed;     /* lock: ring of chunks front..front + ring - 1 that were read */
    uint32_t ring;     /* lock: its length */
    struct read *held; /* lock: complete, but not to be answered before front moves */
};

/* source.c ------------------------------------------------------------------------------- */

/* A reference to a chunk that is here, or NULL. */
struct bytes *source_find_locked(struct source *source, uint32_t index);

/* The request for a chunk, or NULL. */
struct fetch *source_fetch_locked(struct source *source, uint32_t index);

/* Queue a request for a chunk that has none; NULL without memory. */
struct fetch *source_ask_locked(struct source *source, uint32_t index, uint64_t sequence);

/* Give a read its chunks or make it wait for them; the layout is known. */
void source_plan_locked(struct source *source, struct read *read, struct read **finished);

/* A request has its answer: cache the chunk, fill the slots that wait, free the request. */
void source_answer_locked(struct source *source, struct fetch *fetch,
                          enum jsfs_status status, struct bytes *chunk,
                          struct read **finished);

/* Forget every request; the layout proved the guesses to be wrong. */
void source_drop_guesses_locked(struct source *source);

/* Call the done of each read of a list, and free them. */
void source_complete(struct read *finished);

/* Send what is unsent, within the limit. Any number of threads may call it; one sends. */
void source_pump(struct source *source);

/* The last reference has gone. */
void source_free(struct source *source);

/* source_layout.c ------------------------------------------------------------------------ */

/* Queue a read until the layout is known, and guess its chunks.
 *   returns   true when the caller is to call source_prove() without the lock
 */
bool source_await_locked(struct source *source, struct read *read);

/* Start the proof. */
void source_prove(struct source *source);

/* source_digest.c ------------------------------------------------------------------------ */

/* The layout is known: make room for chunks that wait to be hashed. */
void source_digest_start_locked(struct source *source);

/* A read got a chunk: keep it until it is hashed, when its turn is near. */
void source_digest_offer_locked(struct source *source, uint32_t index,
                                struct bytes *chunk);

/* A read has all its chunks. True: it is held, and source_hash() must be called; false: it
 * may be answered (its status may be JSFS_CORRUPT by now). */
bool source_digest_hold_locked(struct source *source, struct read *read);

/* Hash what is there, in order, unless another thread does, and answer held reads. This is
 * where SHA-256 is paid: called by a reader's own thread after its answer was given, and by a
 * delivery thread only when a read is held. */
void source_hash(struct source *source);

#endif
