/* SPDX-License-Identifier: Apache-2.0 */
/* upload_state.h - the inside of upload.h.
 * Layer 4, private to upload.c (taking bytes, publishing chunks), upload_commit.c (what
 * follows when every chunk is acknowledged) and upload_undo.c (when one is not).
 */
#ifndef JSFS_CORE_UPLOAD_STATE_H
#define JSFS_CORE_UPLOAD_STATE_H

#include "core/bucket.h"
#include "core/digest.h"
#include "core/nuid.h"
#include "core/object_meta.h"
#include <pthread.h>

struct upload;

/* One chunk: being filled, queued, or in flight. */
struct part {
    struct upload *upload;
    struct bytes *bytes; /* over data, when it is in flight: frees the part */
    struct part *next;
    size_t size;
    char data[];
};

/* Somebody to be told. */
struct waiter {
    store_done *done;
    void *arg;
    struct waiter *next;
};

enum upload_phase {
    UPLOAD_TAKING,
    UPLOAD_CHUNKS, /* commit was called: the last chunks are on their way */
    UPLOAD_META,   /* all chunks are acknowledged, the meta is being published */
    UPLOAD_DONE,   /* the name has this version */
    UPLOAD_LOST    /* status says why */
};

struct upload {
    atomic_uint references; /* the owner's, one a chunk in flight, one a task or step */
    struct bucket *bucket;
    struct executor *executor;
    char *path, *raw;
    char nuid[NUID_SIZE];
    size_t chunk_bytes, window_bytes;
    struct digest *digest; /* the draining task's, then the commit's */

    /* Locks, in the order they are taken: take_lock, then lock. */
    pthread_mutex_t take_lock;
    uint64_t taken;    /* take_lock */
    struct part *open; /* take_lock: the chunk that is being filled */

    pthread_mutex_t lock;
    enum upload_phase phase;         /* lock */
    enum jsfs_status status;         /* lock: of a lost upload */
    struct part *queue, **queue_end; /* lock: full chunks */
    size_t pending_bytes;            /* lock: queued or in flight */
    uint32_t in_flight, chunks;      /* lock: not answered yet; all that were sent */
    bool draining;                   /* lock: a task is sending the queue */
    bool undone;                     /* lock: what a lost upload left is being removed */
    bool settled;              /* lock: and nobody needs to wait for that any more */
    struct waiter *writers;    /* lock: they wait for room */
    struct waiter *committers; /* lock */
    struct store_write write;  /* lock until UPLOAD_META, then the commit's */
    uint64_t sequence;         /* lock */
    int purges;                /* the undo's: attempts so far */

    /* the commit's */
    unsigned char hash[DIGEST_SIZE];
    char *old_nuid;        /* of the version that is replaced; NULL: none, or not known */
    bool old_lives;        /* something live is under the name */
    uint64_t old_sequence; /* of its meta */
    int conflicts;         /* lost races so far */
};

struct upload *upload_ref(struct upload *upload);
void upload_unref(struct upload *upload);

/* Call and free a list of waiters. */
void upload_tell(struct waiter *waiters, enum jsfs_status status);

/* Take all waiters out of a list; the upload's lock is held. */
struct waiter *upload_take_list(struct waiter **list);

/* True when the server did not answer. Who waits for the commit of such an upload is told before
 * the undo, which would be waited for as long again. */
bool upload_is_away(enum jsfs_status status);

/* upload_undo.c: remove the chunks of a lost upload, then tell who waits; takes one reference. */
void upload_undo(struct upload *upload);

/* upload_commit.c: every chunk is acknowledged; takes one reference. */
void upload_publish(struct upload *upload);

/* upload.c: the commit has ended.
 *   undecided   nobody knows whether the meta was stored: the chunks must stay
 */
void upload_finish(struct upload *upload, enum jsfs_status status, bool undecided);

#endif
