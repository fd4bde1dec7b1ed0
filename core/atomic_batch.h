/* SPDX-License-Identifier: Apache-2.0 */
/* atomic_batch.h - several messages of one stream, published all or none (nats-server 2.12,
 * ADR-50; reference nats.md §4.1).
 * Layer 3, private to the stores.
 *
 * The server keeps a batch aside until its last message commits it, then checks every condition
 * and stores all messages in order with nothing in between. What stops before the commit leaves
 * nothing: the server forgets the batch after 10 s. A lost answer to the commit is resolved as
 * publication.h does: the leader's newest messages tell by their message ids whether ours is
 * there; if not, the batch is sent once more with the same ids, which the server refuses when it
 * has them already. Later than the stream's duplicate window
 * nothing is sent again. Never is anything stored twice, nor an outcome guessed.
 */
#ifndef JSFS_CORE_ATOMIC_BATCH_H
#define JSFS_CORE_ATOMIC_BATCH_H

#include "core/bytes.h"
#include "core/store_core.h"

struct atomic_message {
    char *subject;            /* legal, short enough, in this batch once; taken */
    struct bytes *data;       /* taken; NULL: empty */
    const char *header_name;  /* one header more, or NULL; static */
    const char *header_value;
    bool conditional;         /* its subject's newest message must be the one at `expected` */
    uint64_t expected;
    int64_t ttl_ns;           /* as store_write.ttl_ns */
    uint64_t token;           /* of its message id, see store.h */
};

/* Publish a batch of 1 to STORE_BATCH_MOST messages.
 *   messages   an array from malloc(), taken with all in it
 *   done       sequence: of the last message, 0 with JSFS_OK when all were replaced before it
 *              was known that they had been stored
 *   JSFS_CONFLICT      a condition does not hold
 *   JSFS_UNSUPPORTED   the stream has no allow_atomic, the server is older, or the messages are
 *                      such that it refuses them in a batch; if sequence is not 0 the server has
 *                      stored the first message by itself
 *   JSFS_BUSY          too many batches are under way;   JSFS_TOO_LARGE   one message is
 *   JSFS_TIMEOUT       it could not be found out whether the batch was stored
 *   and as publication.h.
 * Blocks: for the answer to the first message, and while the socket is full; done may be called
 * meanwhile, or later.   Threads: not a FUSE worker's, nor one that delivers messages.
 */
void atomic_batch_start(struct store_core *core, struct atomic_message *messages, size_t count,
                        store_write_done *done, void *arg);

/* Free such an array. */
void atomic_batch_free(struct atomic_message *messages, size_t count);

#endif
