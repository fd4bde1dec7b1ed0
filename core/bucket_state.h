/* SPDX-License-Identifier: Apache-2.0 */
/* bucket_state.h - what the parts of a bucket share.
 * Layer 4, private to bucket*.c and its test.
 *
 * Everything that leaves a bucket by itself (a change, a loss, a waiter's answer) is a notice in
 * one queue, put there under the lock together with what it tells of, and given by whoever finds
 * nobody else giving. So the order is that of the tree, and no lock is held.
 */
#ifndef JSFS_CORE_BUCKET_STATE_H
#define JSFS_CORE_BUCKET_STATE_H

#include "core/bucket.h"
#include "core/buffer.h"
#include <pthread.h>
#include <stdatomic.h>

enum bucket_state { BUCKET_IDLE, BUCKET_LOADING, BUCKET_LIVE, BUCKET_LOST, BUCKET_GONE };

#define BUCKET_ECHO_MS                                                                   \
    250 /* how long a write's echo is waited for before the leader is asked */
#define BUCKET_LOOK_MS 250 /* how often those who wait are looked at */
#define BUCKET_GRACE_MS                                                                  \
    50 /* how long the first list may take to tell that a key is a directory too */
#define BUCKET_SHORT_LIST 20000 /* messages that a list tells well within that */
#define BUCKET_HEAD_START_MS 30 /* of the first names asked for, before a long list begins */
#define BUCKET_POLL_MS 2000
#define BUCKET_SUBJECT_MAX 3968 /* [bytes] of a subject within a control line of 4096 */

enum notice_type { NOTICE_CHANGED, NOTICE_EVENT, NOTICE_LOST, NOTICE_GONE, NOTICE_ANSWER };

struct notice {
    enum notice_type type;
    struct notice *next;
};

struct change_notice {
    struct notice notice; /* first */
    uint64_t sequence, own_token;
    char path[];
};

enum waiter_kind {
    WAIT_LIST, /* until listings are complete */
    WAIT_NAME, /* for a name's answer, or until a directory shows */
    WAIT_ECHO  /* until a write of this mount shows */
};

struct waiter {
    struct notice notice;  /* first; its answer */
    struct bucket *bucket; /* a reference */
    enum waiter_kind kind;
    atomic_uint references;
    struct waiter *previous, *next; /* lock; while linked */
    bool linked;                    /* lock; whoever unlinks it queues its answer */
    char *path;                     /* as asked */
    char *name_path;                /* of the name: without "@value" */
    char *raw;
    uint64_t sequence;   /* WAIT_ECHO: of the write */
    uint64_t token;      /* WAIT_ECHO: the write's */
    bool removal;        /* WAIT_ECHO: of a removal, which keeps its directories */
    bool asking;         /* lock; the store has been asked and has not answered */
    bool negative;       /* lock; WAIT_NAME: it is no key or object */
    bool found;          /* lock; WAIT_NAME: it is one; whether a directory too is open */
    int64_t deadline_ms; /* lock; when to look at it again */
    int64_t give_up_ms;  /* lock */
    uint64_t events;     /* lock; bucket->events when it was looked at */
    enum jsfs_status status; /* lock; the answer, or what the store failed with so far */
    union {
        bucket_lookup_done *lookup;
        store_done *plain;
    } done;
    void *arg;
};

/* A removal in flight, so that its echo keeps the directories. */
struct removal_token {
    uint64_t token;
    bool rename; /* the name's value has another name by then */
    struct removal_token *next;
};

/* A nuid whose chunks are read here, or are to be purged. */
struct hold {
    struct hold *next;
    struct hold *retry;    /* of those that bucket_retry_purges() has found */
    struct bucket *bucket; /* a reference, while purging */
    unsigned holders;
    bool discarded; /* purge when nobody holds it */
    bool purging;
    char nuid[];
};

#define BUCKET_HOLD_SLOTS 64

/* What the server counts, and what the tree held at that sequence. */
struct bucket_verify {
    struct buffer log; /* of struct told_count, while a question is out */
    bool logging, overflown;
    bool waiting; /* for the watch to come to last_sequence */
    uint64_t known_at_begin, known_last;
    uint64_t last_sequence, subjects; /* as told */
    uint64_t events;                  /* bucket->events when the server was heard last */
    int64_t delta;                    /* of subjects to names, the last time */
    unsigned delta_often, below_often;
    bool asked_before;
    uint64_t last_asked, missing; /* inside the stream, up to that sequence */
};

/* A timer's way to a bucket that may be gone by then. */
struct ticker {
    pthread_mutex_t lock;
    struct bucket *bucket; /* lock; NULL when it is being freed */
    atomic_uint references;
};

/* The last operation that failed. */
struct bucket_error {
    int64_t time_ns; /* 0: none */
    char operation[32];
    char text[256];
};

struct bucket {
    atomic_uint references;
    struct store *store;
    struct executor *executor;
    struct tree *tree;
    struct bucket_options options;
    struct bucket_observer observer;
    struct ticker *ticker;
    char *name;
    int64_t created_ns;
    atomic_int_fast64_t max_age_ns;
    bool read_only;
    bool short_list; /* the stream held few messages when it was found */
    int64_t poll_ms;

    atomic_int state;   /* enum bucket_state; changed under lock, read anywhere */
    atomic_bool used;   /* since the last tick */
    atomic_bool listed; /* a list was complete once: the tree can answer */

    pthread_mutex_t lock;   /* before the tree's */
    pthread_cond_t quiet;   /* the watch task or the giving of notices has ended */
    struct waiter *waiters; /* lock, and all below */
    struct removal_token *removals;
    struct notice *queue, *queue_last;
    struct notice lost_notice, gone_notice;
    bool lost_queued, giving, stopped;
    pthread_t giver;

    bool want_watch, want_restart, watching, task_running;
    bool doubtful;            /* the last full list did not tell all that was known */
    struct buffer event_path; /* the watch's thread's own */
    bool deaf;       /* what a watch that is being ended tells of its state is ignored */
    bool list_full;  /* the running list is a full one */
    uint64_t events; /* entries told so far */
    uint64_t seen;   /* the highest sequence told */

    int64_t tick_at_ms; /* 0: no timer runs */
    int64_t poll_at_ms, used_at_ms;
    int64_t start_at_ms; /* when the watch is to start; 0: it has, or is not to */
    bool polling;
    uint64_t seen_at_poll;
    int64_t polled_at_ms; /* when the stream was asked */
    struct bucket_verify verify;
    int64_t delta_accepted;                 /* subjects that are no names of ours */
    int64_t delta_tried;                    /* why everything was listed anew last */
    int64_t list_began_ms, relist_after_ms; /* not before, for a difference */

    struct bucket_listener *listeners;
    uint64_t event_number; /* events queued so far */
    bool giving_event;     /* the list of listeners is being walked */
    bool event_gap;        /* the next event follows a gap */
    bool list_gap_told;    /* that the running list is one */
    atomic_int_fast64_t clock_ahead_ns;        /* of the server's clock, to ours */
    struct expiry_check *checks, *last_check; /* oldest first */
    unsigned checks_out;                      /* the leader is being asked for so many */
    bool asking_checks;                       /* a task sends the questions */

    struct hold *holds[BUCKET_HOLD_SLOTS];
    struct js_stream_info info;       /* as the server has described it last */
    struct bucket_error last_error;
};

/* True when a write of this mount at `sequence` shows, as far as the tree knows. */
bool waiter_is_echoed(const struct waiter *waiter);

/* bucket.c -------------------------------------------------------------------------------- */

/* True when the server cannot be asked and the tree has an answer. */
bool bucket_is_offline(struct bucket *bucket);
/* A reference, unless the bucket is being freed. */
bool bucket_try_ref(struct bucket *bucket);

/* bucket_config.c: take over what a newer description of the stream says. */
void bucket_take_info_locked(struct bucket *bucket, const struct js_stream_info *info);

/* bucket_notice.c ------------------------------------------------------------------------- */

void bucket_tell_changed_locked(struct bucket *bucket, const char *path,
                                uint64_t sequence, uint64_t own_token);
void bucket_tell_lost_locked(struct bucket *bucket);
/* The stream is gone: state, waiters, observer. */
void bucket_become_gone_locked(struct bucket *bucket);
/* Append a notice to the queue. */
void bucket_push_locked(struct bucket *bucket, struct notice *notice);
/* Queue the answer of a waiter that is linked; it is not linked any more. */
void bucket_answer_locked(struct waiter *waiter, enum jsfs_status status);
/* Give what is queued. No lock held. */
void bucket_give_notices(struct bucket *bucket);
/* Drop what is queued by a bucket that is being freed. */
void bucket_free_notices(struct bucket *bucket);

/* Put an entry into the tree and queue what it changed. tell: the observer may know the name.
 *   JSFS_NO_MEMORY   nothing has changed */
enum jsfs_status bucket_apply_locked(struct bucket *bucket, const char *name_path,
                                     const struct store_entry *entry, bool keep_directory,
                                     bool tell);

/* bucket_event.c -------------------------------------------------------------------------- */

/* For tree_list_end and the like; arg: the bucket, locked. */
void bucket_tell_vanished(void *arg, const char *path, uint64_t sequence,
                          int64_t modified_ns);
/* The same for one whose own time has come. */
void bucket_tell_expired_locked(struct bucket *bucket, const char *path,
                                uint64_t sequence, int64_t due_ns);
/* The same for one that the server is known to hold nothing of any more. */
void bucket_tell_forgotten_locked(struct bucket *bucket, const char *path,
                                  uint64_t sequence, uint64_t own_token);
/* Before the tree takes an entry of the watch: is it to be told to listeners?
 *   shown   out: how many components of the path show, unless false */
bool bucket_is_event_locked(struct bucket *bucket, const char *path,
                            const struct store_entry *entry, unsigned *shown);
/* After that, and before bucket->seen knows it: tell it. name: raw. */
void bucket_tell_entry_locked(struct bucket *bucket, const char *path, const char *name,
                              const struct store_entry *entry, unsigned shown);
/* The server has lost its messages above last, which were told. */
void bucket_tell_went_back_locked(struct bucket *bucket, uint64_t last);
/* Give a NOTICE_EVENT to the listeners; tell them that the bucket is gone. No lock held. */
void bucket_give_event(struct bucket *bucket, struct notice *notice);
void bucket_give_end(struct bucket *bucket);

/* bucket_wait.c: the path of the name itself, without a last component "@value"; for free(). */
char *bucket_name_path(const char *path);

/* bucket_wait.c --------------------------------------------------------------------------- */

/* A waiter for a path ("" for WAIT_LIST), not linked; NULL without memory. */
struct waiter *waiter_new(struct bucket *bucket, enum waiter_kind kind, const char *path,
                          void *arg);
void waiter_ref(struct waiter *waiter);
void waiter_unref(struct waiter *waiter);
void waiter_link_locked(struct waiter *waiter, int64_t deadline_ms);
void waiter_unlink_locked(struct waiter *waiter);
/* Call its done with what it has become; its linked reference is dropped. No lock held. */
void waiter_give(struct waiter *waiter);
/* The list is complete, has failed; a name was told. */
void waiters_listed_locked(struct bucket *bucket);
void waiters_list_failed_locked(struct bucket *bucket, enum jsfs_status status,
                                bool offline);
void waiters_told_locked(struct bucket *bucket, const char *path,
                         const struct store_entry *entry);
void waiters_fail_locked(struct bucket *bucket, enum jsfs_status status);
/* Deadlines. *ask gets a reference to an echo waiter for which the leader is to be asked, else
 * NULL; while it gets one, call again. Returns when to look again, or INT64_MAX. */
int64_t waiters_check_locked(struct bucket *bucket, int64_t now_ms, bool offline,
                             struct waiter **ask);

/* bucket_lookup.c ------------------------------------------------------------------------- */

/* What the tree says of a path, as an answer. */
void bucket_answer_from_tree(struct bucket *bucket, const char *path,
                             bucket_lookup_done *done, void *arg);
/* Can the server hold a message under this name? */
bool bucket_is_askable(const struct bucket *bucket, const char *raw, size_t size);

/* bucket_write.c: know a removal while it is on its way; no lock held. */
void bucket_link_removal(struct bucket *bucket, struct removal_token *token);
void bucket_unlink_removal(struct bucket *bucket, struct removal_token *token);
/* As bucket_written() for a removal. */
void bucket_removed(struct bucket *bucket, const char *path, uint64_t sequence,
                    uint64_t token, bucket_lookup_done *done, void *arg);

/* bucket_write.c: ask the leader for an echo waiter, whose reference is taken. May block while
 * the socket is full. */
void bucket_ask_leader(void *waiter);

/* bucket_watch.c -------------------------------------------------------------------------- */

extern const struct store_watch_events bucket_watch_events;
/* Start the watch when there is none; no lock held. */
void bucket_start(struct bucket *bucket);
/* The same for who asks for one name only: a long list, which keeps the server busy, begins a
 * moment later. */
void bucket_start_soon(struct bucket *bucket);
/* What bucket_start_soon() put off is wanted now: settle it soon. */
void bucket_hurry_locked(struct bucket *bucket);
/* List everything anew, with a new watch: settle it soon. */
void bucket_restart_locked(struct bucket *bucket);
/* Bring the watch into the state that is wanted, on the executor. No lock held. */
void bucket_settle_watch(struct bucket *bucket);

/* bucket_expiry.c ------------------------------------------------------------------------- */

/* End what is due. ask: bucket_ask_expired() is to be run on the executor, with a reference.
 * Returns when to look again [ms, monotonic], or INT64_MAX. */
int64_t bucket_expire_locked(struct bucket *bucket, int64_t now_ms, bool *ask);
void bucket_ask_expired(void *bucket);
/* For tree_take_outdated(); arg: the bucket, locked. The leader is asked what is there now. */
void bucket_take_outdated(void *arg, const char *path, uint64_t sequence,
                          int64_t modified_ns);
/* In how many ms the bucket is to be looked at for an entry that was just told; -1: it will be. */
int64_t bucket_due_in_locked(struct bucket *bucket, const struct store_entry *entry);
/* The server's time now, as far as it is known. */
int64_t bucket_server_now_ns(struct bucket *bucket);
/* Take the server's clock from an answer that took so long. */
void bucket_take_clock_locked(struct bucket *bucket, const struct js_stream_info *info,
                              int64_t round_trip_ms);
void bucket_free_checks(struct bucket *bucket);

/* bucket_verify.c ------------------------------------------------------------------------- */

/* The stream is going to be asked; it has answered; the watch has told a message; the list was
 * had anew. */
void bucket_verify_begin_locked(struct bucket *bucket);
void bucket_verify_info_locked(struct bucket *bucket, const struct js_stream_info *info);
void bucket_verify_told_locked(struct bucket *bucket, uint64_t sequence);
void bucket_verify_reset_locked(struct bucket *bucket);

/* bucket_tick.c --------------------------------------------------------------------------- */

struct ticker *ticker_new(struct bucket *bucket);
/* Cut the ticker off its bucket, which is being freed. */
void ticker_end(struct ticker *ticker);
/* Have the bucket looked at not later than delay_ms from now. No lock held. */
void bucket_tick_within(struct bucket *bucket, int64_t delay_ms);

/* bucket_chunks.c ------------------------------------------------------------------------- */

/* Try purges that have failed again. */
void bucket_retry_purges(struct bucket *bucket);
void bucket_free_holds(struct bucket *bucket);

#endif
