/* SPDX-License-Identifier: Apache-2.0 */
/* reader.h - reading ranges of one object version: chunk map, cache, prefetch, digest.
 * Layer 4, over store.h and chunk_cache.h. A `source` is one version, shared by all its handles;
 * a `reader` is one handle. No call waits: what is in the cache is answered at once, the rest
 * when it arrives, on the thread that received it.
 */
#ifndef JSFS_CORE_READER_H
#define JSFS_CORE_READER_H

#include "core/chunk_cache.h"
#include "core/status.h"
#include "core/store.h"
#include <stdint.h>
#include <sys/uio.h>

struct source;
struct reader;

/* One version of an object.
 *   cache      shared by all sources; outlives them and the store's close
 *   store      outlives the readers' calls; what is in flight then ends when it is closed
 *   meta       copied;   meta_sequence   of its message (the first guess of where chunks are)
 *   returns    one reference, for source_unref(); NULL without memory
 * Nothing is asked until the first read. The layout (where which chunk is) is proven before any
 * byte is given out: first and last chunk message of the nuid, their distance and the length of
 * the last one prove consecutive, equal chunks; else the map of all chunk messages is made.
 * What does not add up to the meta's size is JSFS_CORRUPT; chunks that are gone are JSFS_STALE
 * when they had been there, JSFS_CORRUPT when the first look finds none.
 */
struct source *source_new(struct chunk_cache *cache, struct store *store,
                          const struct object_meta *meta, uint64_t meta_sequence);
struct source *source_ref(struct source *source);
void source_unref(struct source *source); /* NULL is fine */

uint64_t source_size(const struct source *source);

/* A handle's reader; prefetch_chunks: the widest window it may ask ahead. Holds a reference. */
struct reader *reader_new(struct source *source, int prefetch_chunks);
/* Cancel the prefetch and free. Reads in flight are still answered. NULL is fine. */
void reader_free(struct reader *reader);

/* The bytes of a range, cut at the end of the object.
 *   parts, count   borrowed for the call; count 0 at or behind the end
 *   JSFS_CORRUPT   digest or layout is wrong (the read that would reach the end of an object
 *                  whose whole content was read in order gets it, before the last byte is out);
 *   JSFS_STALE     the chunks are gone;   JSFS_TIMEOUT, JSFS_UNAVAILABLE …
 */
typedef void reader_done(void *arg, enum jsfs_status status, const struct iovec *parts,
                         int count);
void reader_read(struct reader *reader, uint64_t offset, size_t size, reader_done *done,
                 void *arg);

#endif
