/* SPDX-License-Identifier: Apache-2.0 */
/* bucket_rename_state.h - the inside of bucket_rename.h.
 * Layer 4, private to bucket_rename*.c. All of it runs in one task of the executor, which waits
 * for the answers of the calls it has started (a gate).
 */
#ifndef JSFS_CORE_BUCKET_RENAME_STATE_H
#define JSFS_CORE_BUCKET_RENAME_STATE_H

#include "core/bucket_rename.h"
#include "core/bucket_state.h"

#define RENAME_PIECE_BYTES ((uint64_t)8 << 20) /* of values in memory at once */
#define RENAME_PIECE_NAMES (STORE_BATCH_MOST / 2)
#define RENAME_PIPELINE 64 /* names under way at once, without batches */

/* Calls that were started and have not answered. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t open;
    unsigned waiting; /* lock */
};
void gate_init(struct gate *gate);
void gate_clear(struct gate *gate);
void gate_begin(struct gate *gate); /* before a call is started */
void gate_end(struct gate *gate);   /* when it has answered */
void gate_wait(struct gate *gate);  /* until all have */

/* One name on its way. */
struct moving {
    struct rename *rename;
    char *from, *to;           /* paths */
    char *raw_from, *raw_to;
    uint64_t size_bytes;       /* as listed */
    int64_t expires_ns;        /* of the source's newest message; 0, INT64_MAX: not by itself */
    uint64_t sequence;         /* of the source's newest message, as known */
    struct bytes *value;       /* of the source at value_sequence; NULL: not fetched */
    uint64_t value_sequence;
    bool gone;                 /* nothing lives at the source any more */
    bool target_lives;         /* something lives at the target, and shows */
    uint64_t target_sequence;  /* of the target's newest message, for a condition on it */
    uint64_t target_hidden;    /* the one that is hidden here (tree_hide), 0: none */
    uint64_t copied_sequence;  /* the source's, of the value that was put */
    uint64_t put_sequence;     /* where the copy was stored; 0: not yet */
    uint64_t put_token;
    struct removal_token removal; /* linked in the bucket while the marker is on its way */
    bool removal_linked;
    uint64_t removed_sequence;
    bool done;
    enum jsfs_status status;   /* of the last call */
};

/* A rename; the first part is fixed. */
struct rename {
    struct bucket *bucket; /* a reference */
    char *from, *to;
    unsigned flags;
    store_done *done;
    void *arg;

    struct gate gate;
    bool directory;
    bool no_batches;         /* the server or the stream has none */
    enum jsfs_status status; /* of a call about the whole */
    struct tree_attr attr;   /* of the last lookup; meta is NULL */
    uint64_t sequence;       /* that the last batch answered */
};

/* bucket_rename_names.c ------------------------------------------------------------------- */

/* The names below a directory, one after the other, those that come meanwhile too. */
struct walk;
struct walk *walk_new(struct tree *tree, const char *path);
void walk_free(struct walk *walk);
/* The path of the next file that shows, for free(), or NULL at the end; what it is.
 *   JSFS_NO_MEMORY */
enum jsfs_status walk_next(struct walk *walk, char **path, struct tree_attr *attr);

/* The path below `to` that stands for a path below `from`; for free(); NULL without memory. */
char *rename_path(const struct rename *rename, const char *path);

/* May the directory be renamed: no file that is only local, no
 * directory that is pinned, nothing at the target but what was
 * renamed from here, and every new name one that a key may have? */
enum jsfs_status rename_check_directory(struct rename *rename);

/* The names are moved: have the directories follow. JSFS_BUSY: some name is still there. */
enum jsfs_status rename_directories(struct rename *rename);

/* bucket_rename_fetch.c ------------------------------------------------------------------- */

/* A name to be moved; the paths are taken (freed on failure too).
 *   JSFS_NO_MEMORY, JSFS_BAD_NAME, JSFS_NAME_TOO_LONG */
enum jsfs_status moving_init(struct moving *moving, struct rename *rename, char *from, char *to,
                             const struct tree_attr *attr);
void moving_clear(struct moving *moving);

/* The target must be free, or hold what this rename has put there. */
bool rename_is_exclusive(const struct rename *rename);
/* Neither done nor without a source. */
bool moving_is_open(const struct moving *moving);
/* It needs to be put: it never was, or its source has changed since. */
bool moving_needs_copy(const struct moving *moving);

/* Do one thing with each name that wants it, RENAME_PIPELINE at a time, and wait. Each start ends
 * in moving->status and gate_end().
 *   returns   the first status that is none of JSFS_OK and `tolerated` */
enum jsfs_status rename_each(struct rename *rename, struct moving *names, size_t count,
                             bool (*wants)(const struct moving *moving),
                             void (*start)(struct moving *moving),
                             enum jsfs_status tolerated);
/* Ask the leader for the source's newest message. */
void moving_ask_source(struct moving *moving);
/* What the leader has under the sources, and under the targets where that matters. */
enum jsfs_status rename_refresh(struct rename *rename, struct moving *names, size_t count);
/* Get the values that have to be copied; a revision that is not kept any more has a newer one,
 * or a marker.   JSFS_CONFLICT: they change faster than they can be read */
enum jsfs_status rename_fetch(struct rename *rename, struct moving *names, size_t count);
/* JSFS_EXISTS, JSFS_NOT_EMPTY: a target is taken. In a directory an equal value is a copy that
 * this rename, stopped half way, has left. */
enum jsfs_status rename_check_targets(struct rename *rename, struct moving *names,
                                      size_t count);

/* bucket_rename_move.c -------------------------------------------------------------------- */

/* Move names, and wait until this mount shows them moved. */
enum jsfs_status rename_move(struct rename *rename, struct moving *names, size_t count);

/* Swap the values of two names. */
enum jsfs_status rename_exchange(struct rename *rename, struct moving *names);

#endif
