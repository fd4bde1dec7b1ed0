/* SPDX-License-Identifier: Apache-2.0 */
/* publication.h - one acknowledged write of a KV entry or an object's meta: its message id, the
 * expected sequence, and finding out what became of it when no answer came.
 * Layer 3, private to the stores.
 */
#ifndef JSFS_CORE_PUBLICATION_H
#define JSFS_CORE_PUBLICATION_H

#include "core/bytes.h"
#include "core/js_reply.h"
#include "core/store_core.h"
#include <stdbool.h>

#define PUBLICATION_NUMBER_SIZE 24

/* The value of the header Nats-TTL: whole seconds, rounded up. */
void publication_ttl(int64_t ttl_ns, char out[PUBLICATION_NUMBER_SIZE]);

struct publication {
    const char *subject; /* legal, and short enough */
    const char
        *header_name; /* one header beside the message id and the expectation, ... */
    const char *header_value; /* ... or NULL */
    bool rollup;              /* it takes the place of all messages of its subject */
    struct bytes *data;       /* referenced until done; NULL: empty */
    struct store_write write;
    /* For EXPECT_ABSENT: does the newest message of the subject count as something there? */
    bool (*is_live)(const struct js_stored_message *message);
};

/* Publish and resolve. Each write has its own message id, so a repetition within the stream's
 * duplicate window is answered with the first one's sequence and stores nothing.
 *   Lost answer      the leader is asked whether the newest message has our id, then whether the
 *                    stream knows the id: JSFS_OK; if it does not, the write is sent again. What
 *                    stays unknown, or can be known no more because the window is over, is
 *                    JSFS_TIMEOUT: it is never sent in the dark
 *   Tried before     (write.tried_ms) as after a lost answer
 *   EXPECT_ABSENT    sequence 0 first; over a marker or tombstone again with its sequence
 *
 *   JSFS_EXISTS      EXPECT_ABSENT: something lives there
 *   JSFS_CONFLICT    EXPECT_AT: another sequence; ABSENT: lost every one of several rounds
 *   JSFS_TOO_LARGE   above message_max, before anything is sent
 *   JSFS_NOT_FOUND   the stream does not exist any more
 *   JSFS_READ_ONLY   nothing can be published into the stream: it only copies others
 * A mirror's writes go to its origin, which acknowledges them and is asked in doubt; the mirror
 * shows them when it has copied them, under the same sequence.
 * Everything in p is copied or referenced.   Blocks: no.   Threads: any.
 */
void publication_start(struct store_core *core, const struct publication *p,
                       store_write_done *done, void *arg);

/* Will the server still know the message ids of what was sent first at tried_ms (clock_boot_ms)
 * until a request that is sent now ends? */
bool publication_is_remembered(struct store_core *core, int64_t tried_ms);

/* The sequence of a PubAck, if it is one and of this stream; else what it says is wrong.
 *   reply   taken; NULL unless status is JSFS_OK
 */
enum jsfs_status publication_acked(struct store_core *core, enum jsfs_status status,
                                   natsMsg *reply, uint64_t *sequence);

#endif
