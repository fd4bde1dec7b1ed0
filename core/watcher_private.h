/* SPDX-License-Identifier: Apache-2.0 */
/* watcher_private.h - the watcher's structs, for watcher*.c only.
 * Layer 3.
 */
#ifndef JSFS_CORE_WATCHER_PRIVATE_H
#define JSFS_CORE_WATCHER_PRIVATE_H

#include "core/js_reply.h"
#include "core/nuid.h"
#include "core/watcher.h"
#include <nats/nats.h>
#include <pthread.h>

enum {
    WATCHER_HEARTBEAT_MS = 2000,
    WATCHER_SILENCE_MS = 5000 /* two missed, and some */
};

struct task {
    struct task *next;
    void (*run)(void *arg);
    void (*drop)(void *arg);
    void *arg;
};

struct watcher {
    struct connection *connection;
    char *stream, *filter;
    bool headers_only, one_each, whole;
    struct watcher_events events;
    void *arg;
    struct connection_observer observer;
    pthread_t thread;

    /* the thread's own */
    bool listed; /* a full list was complete: last_sequence can be resumed from */
    uint64_t last_sequence; /* of the last message told */
    int64_t created_ns;     /* of the stream that it belongs to */
    unsigned failures;      /* attempts since the watch was last live */
    bool stalled; /* a full list stopped short: the next consumer goes on with it */
    bool told_down;

    pthread_mutex_t lock; /* the only lock here; nothing is called with it held */
    pthread_cond_t changed;
    bool stopping, up;               /* lock */
    unsigned link_changes;           /* lock */
    natsSubscription *subscription;  /* lock: what wake() ends; the thread destroys it */
    unsigned wakers;                 /* lock: threads within wake() */
    struct task *tasks, **last_task; /* lock */
    unsigned references;             /* lock: the owner's and one each unanswered call */
};

/* One consumer, from its creation to its loss; the thread's own. */
struct consumer {
    unsigned link_changes; /* as they were: another count means it is lost */
    char name[sizeof("jsfs-") + NUID_SIZE];
    natsInbox *inbox;
    natsSubscription *subscription;
    bool full;       /* it makes or ends a full list */
    bool from_start; /* ... and makes it from the beginning */
    bool all;        /* ... of all messages, not only of the last of each subject */
    bool begun, listing;
    uint64_t expected;    /* P: messages waiting at creation */
    uint64_t stream_last; /* L: the stream's last sequence, when it was last asked */
    uint64_t delivered;   /* the last consumer sequence */
    uint64_t received;    /* messages, each counted once */
    uint64_t pending;     /* behind the last message, as the server counts */
    int64_t closing_ms;   /* since when the list may be complete; 0: it is not yet */
    uint64_t closing_last; /* the last sequence of the stream when it was first asked then */
    int64_t asked_ms;     /* when the stream was last asked whether it is */
    int64_t heard_ms;     /* while closing: when the consumer last said something */
};

/* STALLED: the consumer rests although the list is not complete. */
enum verdict { GO_ON, LOST, FAILED, GONE, STALLED };

/* Give back a reference; the last one frees. */
void watcher_unref(struct watcher *watcher);

/* False once the watcher is to stop or the connection was lost or came back. */
bool watcher_is_undisturbed(struct watcher *watcher, unsigned link_changes);

/* The list is complete: tell so. */
void watcher_set_live(struct watcher *watcher, struct consumer *consumer);

/* STREAM.INFO, and CONSUMER.CREATE for what consumer says; its `expected` is set. Both wait for
 * the answer on the watcher's thread.
 *   JSFS_INTERRUPTED   disturbed; also what js_api.h says
 */
enum jsfs_status watcher_ask_info(struct watcher *watcher, unsigned link_changes,
                                  struct js_stream_info *info);
enum jsfs_status watcher_ask_consumer(struct watcher *watcher, struct consumer *consumer);

/* Tell what the consumer delivers until it is lost; never GO_ON. */
enum verdict watcher_receive(struct watcher *watcher, struct consumer *consumer);

#endif
