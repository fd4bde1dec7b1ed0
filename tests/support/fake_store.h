/* SPDX-License-Identifier: Apache-2.0 */
/* fake_store.h - a bucket in memory behind store.h, with a test's hands on everything.
 * Test support. Every answer comes before the call returns and every event right after the
 * write that caused it, unless they are held back. A write's event comes before its answer;
 * hold FAKE_EVENTS for the other order. Any thread may call anything.
 *
 * Sequences count from 1 by one a message. Message n is stored at FAKE_EPOCH_NS + n [ms] unless
 * fake_store_set_time() said otherwise. Every revision of a key is kept until
 * fake_store_forget(). remove() of an object writes the tombstone and leaves its chunks.
 */
#ifndef JSFS_TESTS_FAKE_STORE_H
#define JSFS_TESTS_FAKE_STORE_H

#include "core/executor.h"
#include "core/store.h"

#define FAKE_EPOCH_NS INT64_C(1700000000000000000)

struct fake_store;

enum fake_op {
    FAKE_WATCH, /* counted only */
    FAKE_UNWATCH,
    FAKE_LOOKUP,
    FAKE_INFO,
    FAKE_NEXT,
    FAKE_REMOVE,
    FAKE_VALUE_GET,
    FAKE_VALUE_PUT,
    FAKE_BATCH,
    FAKE_CHUNK_GET,
    FAKE_CHUNK_FIRST,
    FAKE_CHUNK_LAST,
    FAKE_CHUNK_MAP,
    FAKE_CHUNK_PUT,
    FAKE_META_PUT,
    FAKE_CHUNKS_PURGE,
    FAKE_EVENTS, /* of the watch: for hold and release only */
    FAKE_OP_COUNT
};

/* An empty bucket with an automatic watch: watch() lists at once, then every write is told. */
struct fake_store *fake_store_new(enum store_kind kind);
/* After ops->close() by whoever the store was given to, or without it. NULL is fine. */
void fake_store_free(struct fake_store *fake);

/* What is given to the code under test; valid until fake_store_free(). */
struct store *fake_store_get(struct fake_store *fake);
bool fake_store_is_closed(struct fake_store *fake);

/* Answers and events ----------------------------------------------------------------------- */

/* Keep answers of an operation (or events) back; the operation itself happens when called. */
void fake_store_hold(struct fake_store *fake, enum fake_op op);
/* Give what is held in order and hold no more. */
void fake_store_release(struct fake_store *fake, enum fake_op op);
/* Give the oldest held answer (or event) and go on holding; false when there is none. */
bool fake_store_release_one(struct fake_store *fake, enum fake_op op);
/* How many are held. */
size_t fake_store_held(struct fake_store *fake, enum fake_op op);

/* The next count calls end in status without doing anything; done: they do it all the same, as
 * when an acknowledgement is lost. */
void fake_store_fail(struct fake_store *fake, enum fake_op op, unsigned count,
                     enum jsfs_status status, bool done);

/* Run hook(arg) once, without a lock, right before the next call of an operation does its work:
 * a concurrent writer between two calls. */
void fake_store_before(struct fake_store *fake, enum fake_op op, void (*hook)(void *arg),
                       void *arg);

/* Calls of an operation so far. */
unsigned fake_store_calls(struct fake_store *fake, enum fake_op op);

/* From now on give answers on the executor's threads. */
void fake_store_answer_on(struct fake_store *fake, struct executor *executor);

/* The watch by hand ------------------------------------------------------------------------ */

/* watch() lists nothing by itself; a test calls begin, tell … live. */
void fake_store_manual(struct fake_store *fake);
bool fake_store_is_watched(struct fake_store *fake);
/* No event is being delivered, and none waits that is not held. */
bool fake_store_is_quiet(struct fake_store *fake);
void fake_store_begin(struct fake_store *fake, bool full);
/* Tell a name's newest message; nothing when there is none. */
void fake_store_tell(struct fake_store *fake, const char *name);
/* Tell an entry that is no message of the store, such as an old one. */
void fake_store_tell_entry(struct fake_store *fake, const char *name,
                           const struct store_entry *entry);
/* The list is complete; writes are told from now on. */
void fake_store_live(struct fake_store *fake);
/* Writes are not told from now on. */
void fake_store_lost(struct fake_store *fake);
/* begin, every newest message (not full: only what was not told yet), live. */
void fake_store_resume(struct fake_store *fake, bool full);
void fake_store_list_failed(struct fake_store *fake, enum jsfs_status status);
/* The stream is deleted: everything is JSFS_NOT_FOUND. tell: the watch says so. */
void fake_store_vanish(struct fake_store *fake, bool tell);

/* Other clients ---------------------------------------------------------------------------- */

/* Store a value, a marker, a meta (copied), a chunk; returns the sequence. token: 0 foreign. */
uint64_t fake_store_put(struct fake_store *fake, const char *name, const char *text);
uint64_t fake_store_mark(struct fake_store *fake, const char *name,
                         enum store_state state);
uint64_t fake_store_put_meta(struct fake_store *fake, const struct object_meta *meta);
uint64_t fake_store_put_chunk(struct fake_store *fake, const char *nuid, const void *data,
                              size_t size);
/* An object of size bytes 0, 1, 2 … in chunks of chunk bytes, with its digest; returns the
 * meta's sequence. */
uint64_t fake_store_put_object(struct fake_store *fake, const char *name,
                               const char *nuid, size_t size, uint32_t chunk);
/* Remove one message without a word (age, purge of a sequence). */
void fake_store_forget(struct fake_store *fake, uint64_t sequence);
/* Remove every message below first without a word. */
void fake_store_forget_below(struct fake_store *fake, uint64_t first);
/* The server's time of what is stored from now on; 0: by the sequence again. */
void fake_store_set_time(struct fake_store *fake, int64_t time_ns);

/* The stream was made anew at this time. */
void fake_store_set_created(struct fake_store *fake, int64_t created_ns);

/* What info() says besides counts and sequences; may be changed before the first use. */
struct js_stream_info *fake_store_info(struct fake_store *fake);
/* A full store: remove() purges the name, answers with the sequence of what it purged, and the
 * watch tells STORE_PURGED with that sequence. */
void fake_store_set_full(struct fake_store *fake, bool full);
/* Batches are refused unless info()'s allow_atomic is set. half: the first item is stored and
 * then the batch refused, as a server does that knows none. */
void fake_store_set_half_batches(struct fake_store *fake, bool half);
void fake_store_set_message_max(struct fake_store *fake, size_t size);

/* The truth -------------------------------------------------------------------------------- */

/* The newest message of a name, borrowed until it is forgotten; NULL when there is none. */
const struct store_entry *fake_store_newest(struct fake_store *fake, const char *name);
/* A reference to the newest value of a key, for bytes_unref(); NULL when none lives. */
struct bytes *fake_store_value(struct fake_store *fake, const char *name);
/* How many messages of a key are kept; how many chunks of a nuid. */
size_t fake_store_revisions(struct fake_store *fake, const char *name);
size_t fake_store_chunks(struct fake_store *fake, const char *nuid);
uint64_t fake_store_last_sequence(struct fake_store *fake);

#endif
