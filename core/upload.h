/* SPDX-License-Identifier: Apache-2.0 */
/* upload.h - writing a new version of an object from its start to its end, in bounded memory.
 * Layer 4, over bucket.h. Bytes are cut into chunks, hashed and published by a thread of the
 * executor while more are taken; the order of the commit is that of reference nats.md §2.4:
 * every chunk acknowledged, then the meta, then the old chunks discarded.
 */
#ifndef JSFS_CORE_UPLOAD_H
#define JSFS_CORE_UPLOAD_H

#include "core/bucket.h"
#include "core/status.h"
#include <stdbool.h>
#include <stdint.h>

struct upload;

struct upload_options {
    size_t chunk_bytes;  /* cut to what a message can carry */
    size_t window_bytes; /* taken and not yet acknowledged */
};

/* Start a version; nothing is sent yet.
 *   path, raw   of the name, copied
 *   returns     for upload_close(); NULL without memory
 */
struct upload *upload_new(struct bucket *bucket, struct executor *executor,
                          const char *path, const char *raw,
                          const struct upload_options *options);

/* Take bytes. done is called when there is room for more in the window, so a writer that waits
 * for it keeps memory bounded; the bytes are taken in any case unless the status says otherwise.
 *   JSFS_UNSUPPORTED   offset is not where the last write ended: nothing was taken
 *   else what a chunk failed with: the version is lost, every later call says the same
 */
void upload_write(struct upload *upload, uint64_t offset, const void *data, size_t size,
                  store_done *done, void *arg);

/* How many bytes were taken. */
uint64_t upload_size(struct upload *upload);

/* Make what was taken the object: waits for all chunks, publishes the meta, waits until this
 * mount shows it, discards the old version's chunks (bucket_discard_chunks). After JSFS_OK with
 * no byte written since, another commit is JSFS_OK at once; writing on after a commit is
 * JSFS_UNSUPPORTED. After a failure the name has its old version, the new chunks are purged (or
 * purged as soon as the server answers again), and every later call says the same.
 *   write   expect and sequence; its token is drawn by the call
 */
void upload_commit(struct upload *upload, const struct store_write *write,
                   store_done *done, void *arg);

/* The token of the commit in flight or done, for recognising its echo; 0 before. */
uint64_t upload_token(struct upload *upload);

/* The sequence of the committed meta; 0 before. */
uint64_t upload_sequence(struct upload *upload);

/* End it; what was not committed is undone in the background. A commit in flight goes on; its
 * done is still called. NULL is fine. */
void upload_close(struct upload *upload);

#endif
