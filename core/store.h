/* SPDX-License-Identifier: Apache-2.0 */
/* store.h - what layer 4 needs of one bucket on the server, as a table of functions.
 * Layer 2, an interface only: kv_store.c and object_store.c fill it over the wire,
 * tests/support/fake_store.c in memory.
 *
 * All functions return at once. A `done` is called exactly once, from any thread, possibly
 * before the function returns; it must not block. What a callback gets is borrowed: valid
 * during the call only, unless it says otherwise. Names are raw (not path-encoded) and
 * NUL-terminated; a name with a NUL byte inside cannot exist on the wire.
 * No `done` is called after store_close() has returned.
 */
#ifndef JSFS_CORE_STORE_H
#define JSFS_CORE_STORE_H

#include "core/bytes.h"
#include "core/js_reply.h"
#include "core/object_meta.h"
#include "core/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

enum store_kind { STORE_KV, STORE_OBJECT };

enum store_state {
    STORE_LIVE,    /* a value, or an object's or a link's meta */
    STORE_DELETED, /* a delete marker, or a tombstone */
    STORE_PURGED,  /* a purge or expiry marker */
    STORE_CORRUPT  /* a meta that cannot be read: the name shows, reading is JSFS_CORRUPT */
};

/* The newest message of one name. */
struct store_entry {
    enum store_state state;
    uint64_t sequence;     /* KV: the revision; object: that of the meta message */
    int64_t modified_ns;   /* when the server stored it [ns since 1970] */
    bool expired;          /* PURGED, told by the watch: by age, not by a client */
    uint64_t size_bytes;   /* of the value or object; 0 unless live */
    int64_t expires_ns;    /* KV: when the server removes it by its own TTL [ns since 1970, the
                              server's clock]; 0: by the bucket's max_age only; INT64_MAX: never,
                              whatever that is */
    uint64_t own_token;    /* store_write.token of this mount's write that made it; 0: foreign */
    const struct object_meta *meta; /* object, state LIVE or DELETED; else NULL */
};

/* What a write asks the server to check, and how its echo is recognised. */
enum store_expect {
    STORE_EXPECT_ANY,    /* last writer wins */
    STORE_EXPECT_ABSENT, /* nothing live under the name (a marker or tombstone is fine) */
    STORE_EXPECT_AT      /* the name's newest message still has `sequence` */
};
struct store_write {
    enum store_expect expect;
    uint64_t sequence; /* for STORE_EXPECT_AT */
    uint64_t token;    /* from store_token(); comes back in store_entry.own_token */
    int64_t ttl_ns;    /* value_put: it expires so long after it was stored, in whole seconds; 0:
                          never. Only where the stream has allow_msg_ttl: older servers ignore it,
                          others refuse it (JSFS_UNSUPPORTED) */
    /* 0; or the very same write was tried before, first at this time (clock_boot_ms), and
     * nobody knows what became of it: now it is found out, and it is stored once at most.
     * Only for value_put. */
    int64_t tried_ms;
};

/* One message of a batch. */
struct store_batch_item {
    const char *name;         /* each name once */
    struct bytes *value;      /* NULL: a delete marker */
    struct store_write write; /* expect is ANY or AT; AT 0: nothing was ever stored */
};

/* A token for one write of this process, never 0, never given twice. (store.c) */
uint64_t store_token(void);

#define STORE_BATCH_MOST 1000

#define STORE_MESSAGE_ID_SIZE 64 /* [bytes] with the NUL */

/* The Nats-Msg-Id of a write: "jsfs-<process>-<token>"; the process part is drawn once, at the
 * first call, so not before fork(2). (store.c) */
void store_message_id(uint64_t token, char out[STORE_MESSAGE_ID_SIZE]);

/* The token in a message id of this process; 0 for every other text and for NULL. (store.c) */
uint64_t store_message_token(const char *message_id);

typedef void store_done(void *arg, enum jsfs_status status);
/* entry is NULL unless JSFS_OK. */
typedef void store_entry_done(void *arg, enum jsfs_status status,
                              const struct store_entry *entry);
/* sequence: where the write was stored; 0 unless JSFS_OK. */
typedef void store_write_done(void *arg, enum jsfs_status status, uint64_t sequence);
/* bytes: keep them with bytes_ref(); sequence: of the message that held them. */
typedef void store_bytes_done(void *arg, enum jsfs_status status, struct bytes *bytes,
                              uint64_t sequence);
typedef void store_info_done(void *arg, enum jsfs_status status,
                             const struct js_stream_info *info);

/* text: borrowed. JSFS_OK: the server's reply, JSON; else the server's own words about what is
 * wrong, "" when it said nothing. */
typedef void store_text_done(void *arg, enum jsfs_status status, const char *text);

/* One chunk message of an object, in order. */
struct store_chunk {
    uint64_t sequence;
    uint32_t size_bytes;
};
/* entries: count of them, oldest first, borrowed; NULL unless JSFS_OK. Their own_token is 0. */
typedef void store_history_done(void *arg, enum jsfs_status status,
                                const struct store_entry *entries, size_t count);
/* chunks: count entries, borrowed; NULL unless JSFS_OK. */
typedef void store_map_done(void *arg, enum jsfs_status status,
                            const struct store_chunk *chunks, size_t count);

/* What a watch tells; all calls of one watch come from one thread at a time, in order. */
struct store_watch_events {
    /* A list begins. full: names that are not told again before `live` do not exist any more;
     * else only changes since the last message follow. */
    void (*begin)(void *arg, bool full);
    /* A name's newest message, in stream order. name is raw. During a list a name may come
     * more than once. */
    void (*entry)(void *arg, const char *name, const struct store_entry *entry);
    /* The list is complete and changes come as they happen. */
    void (*live)(void *arg);
    /* Changes may be missed from now on (disconnected, gap, server restart); the store tries
     * again by itself, and begin follows. */
    void (*lost)(void *arg);
    /* The list could not be completed in time; it is tried again. Waiters must be told. */
    void (*failed)(void *arg, enum jsfs_status status);
    /* The bucket's stream does not exist any more. Nothing follows. */
    void (*gone)(void *arg);
};

struct store_ops {
    enum store_kind kind;

    /* Start the one watch of this store; at most one at a time. */
    void (*watch)(struct store *store, const struct store_watch_events *events, void *arg);
    /* Stop it; no event comes after it returned. Blocks until a running event call has
     * returned (not to be called from one). */
    void (*unwatch)(struct store *store);

    /* The newest message of a name. leader: ask the stream's leader, never a replica.
     *   JSFS_NOT_FOUND   nothing was ever stored, or it was removed without a marker */
    void (*lookup)(struct store *store, const char *name, bool leader, store_entry_done *done,
                   void *arg);
    /* The stream's state; JSFS_NOT_FOUND when the bucket is gone. */
    void (*info)(struct store *store, store_info_done *done, void *arg);
    /* The sequence of the first message of any name at or behind one, the stream's leader says:
     * what a watch that has told all before it still has to tell.
     *   JSFS_NOT_FOUND   there is none */
    void (*next)(struct store *store, uint64_t sequence, store_write_done *done, void *arg);
    /* The stream as the server describes it: the whole reply of STREAM.INFO. */
    void (*describe)(struct store *store, store_text_done *done, void *arg);
    /* Give the stream another configuration, as JSON; answered with what it is then, as by
     * describe().
     *   JSFS_INVALID …   the server refuses it;   JSFS_TIMEOUT   it may have been taken */
    void (*configure)(struct store *store, const char *config, store_text_done *done,
                      void *arg);
    /* KV: a delete marker. Object: a tombstone; the chunks stay: local readers may still need
     * them, chunks_purge() takes them away. In a store too full for a tombstone the meta is
     * purged instead: `sequence` is then that of the meta that was there, and the watch tells
     * of it as STORE_PURGED with that sequence. expect is ANY or AT; whether something lives is
     * the caller's to know.
     *   JSFS_CONFLICT    AT: another message is the newest, or none is stored any more
     *   JSFS_NOT_FOUND   the bucket is gone */
    void (*remove)(struct store *store, const char *name, const struct store_write *write,
                   store_write_done *done, void *arg);

    /* KV only: the value of a revision.
     *   JSFS_STALE   that revision is not kept any more */
    void (*value_get)(struct store *store, const char *name, uint64_t revision,
                      store_bytes_done *done, void *arg);
    /* KV only: store a value. A timeout is resolved by asking the leader for the message id;
     * what stays unresolved is JSFS_TIMEOUT, and may be asked about again (store_write.tried_ms).
     *   value            referenced until done
     *   JSFS_EXISTS      STORE_EXPECT_ABSENT and the key lives;   JSFS_CONFLICT   EXPECT_AT */
    void (*value_put)(struct store *store, const char *name, struct bytes *value,
                      const struct store_write *write, store_write_done *done, void *arg);

    /* KV only: store 1 to STORE_BATCH_MOST messages, all or none, in this order and with nothing
     * in between: the i-th of n is at sequence - (n - 1 - i). A lost answer is resolved by asking
     * the leader; what stays unresolved is JSFS_TIMEOUT. done's sequence may be 0 with JSFS_OK,
     * when all were replaced before that was known.
     * Blocks for one answer, and while the socket is full; not on a FUSE worker or a delivery
     * thread.
     *   items            copied, values referenced until done
     *   JSFS_CONFLICT    a condition does not hold; nothing was stored
     *   JSFS_UNSUPPORTED this server or stream has no batches; nothing was stored, unless done's
     *                    sequence is not 0: the first item is there, and only that one */
    void (*batch)(struct store *store, const struct store_batch_item *items, size_t count,
                  store_write_done *done, void *arg);
    /* KV only: every message that is kept of a key, markers too.
     *   JSFS_NOT_FOUND   none is;   JSFS_BUSY   it moved under every one of several looks;
     *   JSFS_TOO_LARGE   more than can be listed (not with a bucket of any client) */
    void (*history)(struct store *store, const char *name, store_history_done *done, void *arg);
    /* KV only: a purge marker in place of every message of the key; as remove. */
    void (*purge)(struct store *store, const char *name, const struct store_write *write,
                  store_write_done *done, void *arg);
    /* KV only: remove every message of a key whose newest one is a marker, and nothing that is
     * newer than that; done gets the marker's sequence.
     *   JSFS_EXISTS      the key lives;   JSFS_NOT_FOUND   nothing is kept of it;
     *   JSFS_NOT_ALLOWED   a mirror: what is removed at its origin would stay here */
    void (*erase)(struct store *store, const char *name, store_write_done *done, void *arg);

    /* Object only, all of these. nuid names the chunk subject.
     * The chunk that is stored at a sequence.
     *   JSFS_CONFLICT    another subject is stored there;   JSFS_STALE   nothing is */
    void (*chunk_get)(struct store *store, const char *nuid, uint64_t sequence,
                      store_bytes_done *done, void *arg);
    /* The first and the last chunk message; JSFS_STALE when there is none. */
    void (*chunk_first)(struct store *store, const char *nuid, store_bytes_done *done,
                        void *arg);
    void (*chunk_last)(struct store *store, const char *nuid, store_bytes_done *done,
                       void *arg);
    /* Every chunk message with bytes in it, in order; JSFS_STALE when there is none. */
    void (*chunk_map)(struct store *store, const char *nuid, store_map_done *done, void *arg);
    /* Publish a chunk; may block while the connection's socket is full, so never call it from
     * a FUSE worker or a delivery thread. Chunks of one caller are stored in call order.
     *   chunk   referenced until done; at most chunk_max() bytes */
    void (*chunk_put)(struct store *store, const char *nuid, struct bytes *chunk,
                      store_write_done *done, void *arg);
    /* Publish a meta (rollup), after all its chunks were acknowledged.
     * A timeout is resolved by asking the leader: the nuid there decides. */
    void (*meta_put)(struct store *store, const struct object_meta *meta,
                     const struct store_write *write, store_write_done *done, void *arg);
    /* Remove all chunks of a nuid. */
    void (*chunks_purge)(struct store *store, const char *nuid, store_done *done, void *arg);

    /* Largest value or chunk that one message can carry now [bytes]. */
    size_t (*message_max)(struct store *store);

    /* End the watch, fail what is in flight with JSFS_INTERRUPTED, free. Blocks for both. */
    void (*close)(struct store *store);
};

struct store {
    const struct store_ops *ops;
};

#endif
