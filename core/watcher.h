/* SPDX-License-Identifier: Apache-2.0 */
/* watcher.h - one ordered consumer that never gives up: list, changes, gaps, reconnects.
 * Layer 3. Knows subjects and sequences, not what messages mean.
 */
#ifndef JSFS_CORE_WATCHER_H
#define JSFS_CORE_WATCHER_H

#include "core/connection.h"
#include "core/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct watcher;

struct watcher_message {
    const char *subject;
    uint64_t sequence;
    int64_t time_ns;
    const char *data;
    size_t size;            /* [bytes] */
    uint64_t stored_bytes;  /* Nats-Msg-Size with headers_only, else size */
    const char *operation;  /* KV-Operation, or NULL */
    const char *marker;     /* Nats-Marker-Reason, or NULL */
    const char *message_id; /* Nats-Msg-Id, or NULL */
    const char *ttl;        /* Nats-TTL, or NULL */
};

/* All calls come from the watcher's own thread, in order; meanings as in store.h. */
struct watcher_events {
    void (*begin)(void *arg, bool full);
    void (*message)(void *arg, const struct watcher_message *message);
    void (*live)(void *arg);
    void (*lost)(void *arg);
    void (*failed)(void *arg, enum jsfs_status status);
    void (*gone)(void *arg);
};

struct watcher_options {
    const char *stream;
    const char *filter;
    bool headers_only;
    bool
        one_each; /* the stream keeps one message a subject: a list is all messages, which
                      spares the server from searching the last of each (4 s for a million).
                      Elsewhere too while at most a third of its messages are older ones: those
                      are then told before the newer ones of their subjects */
    bool whole; /* nearly all of the stream matches the filter: it may be left out, and what
                   does not match is told too. The server counts what matches (0.1 s and more
                   for a million subjects) only where a filter is set. */
};

/* Start watching.
 *   A list may be complete when all that waited at its creation was received and the server
 *   counts none behind (pending 0), or when the stream's last sequence was passed. Both are told
 *   too early while keys are rewritten, so a full list is then confirmed by STREAM.INFO: nothing
 *   is stored behind our last message, or nothing was stored meanwhile. In a stream that never
 *   rests it is complete a second later. An idle heartbeat that names our last consumer
 *   sequence ends it too: with less than that, the rest is had from a new consumer.
 *   Silence for two heartbeats and a half fails a list and loses a live watch; so does a
 *   hung server. Whatever fails is tried again with back-off, 100 ms to 2 s.
 *   After a gap, silence or a reconnect the consumer is made anew from the last sequence, if a
 *   list was complete before; when the stream's last sequence is below ours, its first above
 *   what we should have seen next, or it was created anew, with a full list.
 *   failed comes once for each failed attempt, and once when the connection is found down; lost
 *   once for each begin, unless gone or failed came in its place.
 *   JSFS_NO_MEMORY   (threads too)
 * Returns at once: a thread of its own creates the consumer, receives and calls the events.
 */
enum jsfs_status watcher_start(struct connection *connection,
                               const struct watcher_options *options,
                               const struct watcher_events *events, void *arg,
                               struct watcher **out);

/* Queue a task for the watcher's thread; it runs there between two events, at the latest with
 * the next heartbeat.
 *   drop   called instead when the watcher is stopped first
 *   returns false without memory: neither is called
 * Threads: any.   Blocks: no.
 */
bool watcher_post(struct watcher *watcher, void (*task)(void *arg),
                  void (*drop)(void *arg), void *arg);

/* Delete the consumer, end, free. Blocks until no event call runs, never for an answer; not from
 * an event. NULL is fine. */
void watcher_stop(struct watcher *watcher);

#endif
