/* SPDX-License-Identifier: Apache-2.0 */
/* bucket.h - one bucket as the mount sees it: its tree kept live by a watch, its names asked
 * for one by one while it is not.
 * Layer 4, over store.h and tree.h. Shared by reference count. Paths are relative to the
 * bucket, path-encoded, "" for its own directory.
 *
 * States: IDLE (no watch) -> LOADING -> LIVE -> LOST -> (resumed) LIVE; GONE from any.
 * LIVE: the tree answers everything. LOADING: names are asked at the server; a name that is no
 * key or object waits until the list shows it as a directory or is complete. LOST while the
 * connection is up: names are asked at the server, directories from the tree. LOST while it is
 * down: the tree answers, with no cache lifetime.
 */
#ifndef JSFS_CORE_BUCKET_H
#define JSFS_CORE_BUCKET_H

#include "core/executor.h"
#include "core/status.h"
#include "core/store.h"
#include "core/tree.h"
#include <stdbool.h>
#include <stdint.h>

struct bucket;

/* What a change did, told in order, from the watch's thread or the thread that completed a
 * write, with no lock held; must not block. */
struct bucket_observer {
    /* The name at path has another version, appeared or vanished.
     *   sequence    of the message; UINT64_MAX when it vanished without one (purged, expired)
     *   own_token   of this mount's write that did it; 0: foreign */
    void (*changed)(void *arg, struct bucket *bucket, const char *path, uint64_t sequence,
                    uint64_t own_token);
    /* What was told before may be stale from now on: cached names must be asked again. */
    void (*lost)(void *arg, struct bucket *bucket);
    /* The bucket does not exist any more. */
    void (*gone)(void *arg, struct bucket *bucket);
    void *arg;
};

struct bucket_options {
    bool (*connected)(void *arg); /* is the connection up; may be NULL: always */
    void *connected_arg;
    int64_t load_timeout_ms; /* a waiter gives up after this long without an answer */
    int64_t idle_ms;         /* the watch is stopped when unused so long; 0: never */
};

/* A bucket over a store, which it takes and closes. info: the stream's. NULL without memory
 * (the store stays the caller's). name: the bucket's, without prefix. */
struct bucket *bucket_new(struct store *store, const char *name,
                          const struct js_stream_info *info, struct executor *executor,
                          const struct bucket_options *options,
                          const struct bucket_observer *observer);
struct bucket *bucket_ref(struct bucket *bucket);
/* NULL is fine. The last one closes the store on the executor. */
void bucket_unref(struct bucket *bucket);

/* Stop the watch, fail waiters with JSFS_INTERRUPTED. Blocks; before the executor ends. */
void bucket_stop(struct bucket *bucket);

/* The stream does not exist any more, the catalog says: as when the watch says so. */
void bucket_vanished(struct bucket *bucket);

enum store_kind bucket_kind(const struct bucket *bucket);
const char *bucket_name(const struct bucket *bucket);
struct store *bucket_store(struct bucket *bucket);
/* The stream's creation time [ns since 1970]. */
int64_t bucket_created_ns(const struct bucket *bucket);

/* True while kernel caches may live long: LIVE. */
bool bucket_is_live(struct bucket *bucket);
bool bucket_is_gone(struct bucket *bucket);

/* How long what is now known of a version may be cached [ms]: 0 unless LIVE; until it expires by
 * the bucket's max_age or at its own time (tree_attr.expires_ns); else INT64_MAX. */
int64_t bucket_lifetime_ms(struct bucket *bucket, int64_t modified_ns, int64_t expires_ns);

typedef void bucket_lookup_done(void *arg, enum jsfs_status status,
                                const struct tree_attr *attr);
/* What a path is now. Starts the watch when it is not running. attr is borrowed (meta too).
 *   JSFS_NOT_FOUND, JSFS_NOT_DIRECTORY, JSFS_BAD_NAME (no path of any name), JSFS_TIMEOUT,
 *   JSFS_UNAVAILABLE, JSFS_STALE (the bucket is gone)
 */
void bucket_lookup(struct bucket *bucket, const char *path, bucket_lookup_done *done,
                   void *arg);

/* Wait until listings are complete; JSFS_OK: tree_list() of bucket_tree() is. */
void bucket_wait_listed(struct bucket *bucket, store_done *done, void *arg);

/* Wait until the tree shows everything that is stored now, whatever the watch has told so far.
 *   JSFS_TIMEOUT       not within load_timeout_ms;   JSFS_UNAVAILABLE   the watch is not live */
void bucket_catch_up(struct bucket *bucket, store_done *done, void *arg);

/* For tree_list, tree_make_directory, tree_remove_directory, tree_add_local, tree_drop_local;
 * never for applying entries. */
struct tree *bucket_tree(struct bucket *bucket);

/* The raw name of a path. kind's own rules are checked only with `create`: a KV name that is not
 * portable is JSFS_BAD_NAME unless it lives already; an object name that is not UTF-8 is
 * JSFS_NOT_UTF8; no legal subject: JSFS_BAD_NAME; longer than the server's control line carries:
 * JSFS_NAME_TOO_LONG.
 *   name   for free(); untouched unless JSFS_OK */
enum jsfs_status bucket_raw_name(struct bucket *bucket, const char *path, bool create,
                                 char **name);

/* A write of this mount was acknowledged at `sequence`. done is called when this mount shows it:
 * when its echo came (the server's time is known then), or, while not LIVE or after 250 ms, when
 * the leader was asked for it. attr: what is there now; borrowed; the status is bucket_lookup's.
 *   JSFS_TIMEOUT   it could not be seen for load_timeout_ms: it is stored all the same
 */
void bucket_written(struct bucket *bucket, const char *path, uint64_t sequence,
                    uint64_t token, bucket_lookup_done *done, void *arg);

/* The server keeps nothing of a name up to and with a sequence: the tree forgets it, unless it
 * knows something newer, and the observer is told if it showed. */
void bucket_forget(struct bucket *bucket, const char *path, uint64_t sequence);

/* Remove a file: publishes, then waits as bucket_written does; its directories stay as local
 * ones. The chunks of a removed object are not touched: see bucket_release_chunks().
 *   JSFS_NOT_FOUND, JSFS_IS_DIRECTORY and what store.h's remove says
 */
void bucket_remove(struct bucket *bucket, const char *path, store_done *done, void *arg);

/* The same, whether or not this mount shows the file, if its newest message still is the one at
 * `sequence`; else JSFS_CONFLICT. */
void bucket_remove_at(struct bucket *bucket, const char *path, uint64_t sequence,
                      store_done *done, void *arg);

/* An object version of this mount is read: chunks of its nuid are kept until every reader has
 * released it. */
void bucket_hold_chunks(struct bucket *bucket, const char *nuid);
void bucket_release_chunks(struct bucket *bucket, const char *nuid);
/* This mount replaced or removed the version with this nuid: purge its chunks when nobody here
 * reads them, now or at the last release. */
void bucket_discard_chunks(struct bucket *bucket, const char *nuid);

/* What was last known of the stream: its limits and abilities, and the state it had then. Asked
 * every 2 s while the bucket is used, and again after bucket_configure().   Blocks: no. */
void bucket_stream(struct bucket *bucket, struct js_stream_info *out);

/* True when nothing can be written into it: a sealed one, one without subjects, an object
 * store's mirror. */
bool bucket_is_read_only(struct bucket *bucket);

/* bucket_config.c. text: borrowed; "" unless JSFS_OK or it says otherwise. */
typedef void bucket_text_done(void *arg, enum jsfs_status status, const char *text);
/* The stream's configuration, asked now: pretty-printed JSON.
 *   JSFS_STALE   the bucket is gone; JSFS_UNAVAILABLE, JSFS_TIMEOUT, JSFS_DENIED */
void bucket_config(struct bucket *bucket, bucket_text_done *done, void *arg);
/* Give the stream the configuration in a text (JSON, copied). done's text: the configuration it
 * has then; unless JSFS_OK one line about what is wrong, the server's own words where it said
 * something: it is kept for bucket_status() too.
 *   JSFS_INVALID   no JSON, another bucket's name, or the server refuses it
 *   JSFS_TIMEOUT   it may have been taken */
void bucket_configure(struct bucket *bucket, const char *text, size_t size,
                      bucket_text_done *done, void *arg);
/* What is to be known of the bucket, as JSON (docs/control.md), with the state that the server
 * tells now. JSFS_OK also when it does not answer: then its part is empty.
 *   conflicts   edits that are kept because they lost a race; -1: not known */
void bucket_status(struct bucket *bucket, int64_t conflicts, bucket_text_done *done,
                   void *arg);
/* Remember an operation that failed, for bucket_status(); copied and cut. */
void bucket_note_error(struct bucket *bucket, const char *operation, const char *text);

/* The stream's state, asked now, for statfs; see store.h's info. */
void bucket_info(struct bucket *bucket, store_info_done *done, void *arg);

#endif
