/* SPDX-License-Identifier: Apache-2.0 */
/* bucket_event.h - every change of a bucket, one by one, for who wants to follow it.
 * Layer 4, a part of bucket.h.
 *
 * What is told: each message of the watch in stream order, writes of this mount too, once over
 * all reconnects; and names that vanish without a message (computed expiry, purges through the
 * stream's API). What a stopped process, server or connection means:
 *   - the connection or the server was away: the watch goes on behind the last message, and what
 *     the server still has is told. Revisions that were replaced meanwhile, and are not kept by
 *     the bucket's history, cannot be told: a gap says between which revisions.
 *   - the server has lost its newest messages, or the list is had anew: the same.
 *   - an object's older metas are never kept, and its chunks take sequences too: there a gap is
 *     told only where the list was had anew.
 */
#ifndef JSFS_CORE_BUCKET_EVENT_H
#define JSFS_CORE_BUCKET_EVENT_H

#include "core/bucket.h"

enum bucket_operation {
    BUCKET_PUT,
    BUCKET_DELETE,
    BUCKET_PURGE,
    BUCKET_EXPIRY,
    BUCKET_GAP, /* changes may be missing here */
    BUCKET_END  /* the bucket is gone; nothing follows */
};

struct bucket_event {
    enum bucket_operation operation;
    const char *path;    /* as the mount shows it; NULL: gap, end */
    const char *name;    /* raw; NULL: gap, end */
    uint64_t sequence;   /* of the message, or of what vanished without one; gap: of what is told
                            next, 0 when that is not known */
    uint64_t after;      /* gap: of what was told last */
    uint64_t size_bytes; /* of a put */
    int64_t time_ns;     /* when the server stored it, or when it vanished */
    bool own;            /* by a write of this mount */
    unsigned shown_before, shown_after; /* how many leading components of path the mount showed
                                           before and after the change */
};

struct bucket_listener;

/* Called for each change, in order, one at a time for each listener, from the watch's thread or
 * the timer with no lock held; must not block. What it gets is valid during the call. */
typedef void bucket_event_told(void *arg, const struct bucket_event *event);
/* No call follows; once for each listener that bucket_listen() has given. From any thread. */
typedef void bucket_event_ended(void *arg);

/* listener: for bucket_unlisten(); NULL unless JSFS_OK. */
typedef void bucket_listen_done(void *arg, enum jsfs_status status,
                                struct bucket_listener *listener);

struct bucket_listening {
    bucket_event_told *told;
    bucket_event_ended *ended;
    void *arg; /* of both */
};

/* Listen. Every change that the server acknowledges after done was called is told; some from
 * shortly before may be. It keeps the bucket, and the bucket's watch running.
 *   listening   copied
 *   done        JSFS_UNAVAILABLE: the watch cannot go live now; JSFS_STALE: the bucket is gone;
 *               JSFS_TIMEOUT, JSFS_NO_MEMORY, and what the stream's info may fail with
 * Blocks: no; done may come before it returns. */
void bucket_listen(struct bucket *bucket, const struct bucket_listening *listening,
                   bucket_listen_done *done, void *arg);

/* End it; `ended` is called now, or when a running call has returned. Threads: any. */
void bucket_unlisten(struct bucket_listener *listener);

#endif
