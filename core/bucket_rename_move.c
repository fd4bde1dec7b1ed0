/* SPDX-License-Identifier: Apache-2.0 */
/* bucket_rename_move.c - names that are moved: copied, removed, seen.
 * Layer 4, a part of bucket_rename.h.
 *
 * What holds when the process, the server or the network stops between two messages. Atomic batch:
 * before its commit nothing has happened, after it everything. By steps: before the copy is stored
 * only the old name has the value; between copy and marker both have it, and the same rename,
 * called again, finds a copy that is equal and goes on; after the marker only the new name has it.
 * Another client that writes the source in between: the marker (or the batch) is refused, because
 * it expects the revision that was copied, and the new value is copied too. One that removes the
 * source: the copy stays. One that writes the target after the copy: it has the last word, unless
 * the source changes as well.
 */
#include "core/bucket_rename_state.h"
#include "core/cleanup.h"
#include <stdlib.h>
#include <string.h>

#define NS_PER_S INT64_C(1000000000)

enum { MOST_ROUNDS = 16 };

/* Writing ----------------------------------------------------------------------------------- */

/* The rest of a source's time to live. */
static int64_t ttl_of(const struct moving *moving)
{
    int64_t left_ns;

    if (moving->expires_ns == 0 || moving->expires_ns == INT64_MAX)
        return 0;
    left_ns = moving->expires_ns - bucket_server_now_ns(moving->rename->bucket);
    return left_ns > NS_PER_S ? left_ns : NS_PER_S;
}

/* On what condition the copy is stored. */
static struct store_write copy_of(struct moving *moving)
{
    struct store_write write = {
        .expect = STORE_EXPECT_ANY, .token = store_token(), .ttl_ns = ttl_of(moving)};

    if (rename_is_exclusive(moving->rename)) {
        write.expect = STORE_EXPECT_AT;
        write.sequence =
            moving->put_sequence != 0 ? moving->put_sequence : moving->target_sequence;
    }
    moving->put_token = write.token;
    return write;
}

static struct store_write removal_of(struct moving *moving)
{
    struct store_write write = {
        .expect = STORE_EXPECT_AT, .sequence = moving->sequence, .token = store_token()};

    if (moving->removal_linked)
        bucket_unlink_removal(moving->rename->bucket, &moving->removal);
    moving->removal = (struct removal_token){.token = write.token, .rename = true};
    moving->removal_linked = true;
    bucket_link_removal(moving->rename->bucket, &moving->removal);
    return write;
}

/* At once. */

static void stored(void *arg, enum jsfs_status status, uint64_t sequence)
{
    struct moving *moving = arg; /* the first one answers for all */

    moving->status = status;
    moving->rename->sequence = sequence;
    gate_end(&moving->rename->gate);
}

static enum jsfs_status send_batch(struct rename *rename, struct moving *names,
                                   const struct store_batch_item *items, size_t count,
                                   uint64_t *sequence)
{
    struct store *store = bucket_store(rename->bucket);

    *sequence = 0;
    if (count == 0)
        return JSFS_OK;
    gate_begin(&rename->gate);
    store->ops->batch(store, items, count, stored, &names[0]);
    gate_wait(&rename->gate);
    *sequence = rename->sequence;
    return names[0].status;
}

/* All copies, then all markers; a server that stores only the first item has then only added. */
static size_t fill_batch(struct moving *names, size_t count, struct store_batch_item *items)
{
    size_t filled = 0;

    for (size_t i = 0; i < count; i++) {
        if (moving_needs_copy(&names[i]))
            items[filled++] = (struct store_batch_item){names[i].raw_to, names[i].value,
                                                        copy_of(&names[i])};
    }
    for (size_t i = 0; i < count; i++) {
        if (moving_is_open(&names[i]))
            items[filled++] = (struct store_batch_item){names[i].raw_from, NULL,
                                                        removal_of(&names[i])};
    }
    return filled;
}

/* Where each message of a batch is; first: the sequence of the first one, 0: unknown. */
static void note_batch(struct moving *names, size_t count, uint64_t first)
{
    uint64_t step = first != 0 ? 1 : 0;

    for (size_t i = 0; i < count; i++) {
        if (!moving_needs_copy(&names[i]))
            continue;
        names[i].put_sequence = first != 0 ? first : 1;
        names[i].copied_sequence = names[i].sequence;
        first += step;
    }
    for (size_t i = 0; i < count; i++) {
        if (!moving_is_open(&names[i]))
            continue;
        names[i].removed_sequence = first != 0 ? first : 1;
        names[i].done = true;
        first += step;
    }
}

static enum jsfs_status move_at_once(struct rename *rename, struct moving *names, size_t count)
{
    CLEANUP(cleanup_free)
    struct store_batch_item *items = calloc(2 * count, sizeof(*items));
    uint64_t sequence;
    size_t filled;

    if (items == NULL)
        return JSFS_NO_MEMORY;
    filled = fill_batch(names, count, items);
    enum jsfs_status status = send_batch(rename, names, items, filled, &sequence);
    if (status == JSFS_OK) {
        note_batch(names, count, sequence != 0 ? sequence - (filled - 1) : 0);
    } else if (status == JSFS_UNSUPPORTED && sequence != 0) {
        for (size_t i = 0; i < count; i++) {
            if (moving_needs_copy(&names[i])) {
                names[i].put_sequence = sequence;
                names[i].copied_sequence = names[i].sequence;
                break;
            }
        }
    }
    return status;
}

/* By steps. */

static void copied(void *arg, enum jsfs_status status, uint64_t sequence)
{
    struct moving *moving = arg;

    if (status == JSFS_OK) {
        moving->put_sequence = sequence;
        moving->copied_sequence = moving->value_sequence;
    } else if (status == JSFS_CONFLICT && moving->put_sequence != 0) {
        status = JSFS_STALE; /* somebody has written the target since: it is theirs */
    }
    moving->status = status;
    gate_end(&moving->rename->gate);
}

static void copy(struct moving *moving)
{
    struct store *store = bucket_store(moving->rename->bucket);
    struct store_write write = copy_of(moving);

    store->ops->value_put(store, moving->raw_to, moving->value, &write, copied, moving);
}

static bool is_copied(const struct moving *moving)
{
    return moving_is_open(moving) && !moving_needs_copy(moving);
}

static void source_removed(void *arg, enum jsfs_status status, uint64_t sequence)
{
    struct moving *moving = arg;

    moving->removed_sequence = sequence;
    moving->done = status == JSFS_OK;
    moving->status = status;
    gate_end(&moving->rename->gate);
}

static void remove_source(struct moving *moving)
{
    struct store *store = bucket_store(moving->rename->bucket);
    struct store_write write = removal_of(moving);

    store->ops->remove(store, moving->raw_from, &write, source_removed, moving);
}

/* JSFS_CONFLICT: some source, or a target that had to be free, has changed meanwhile. */
static enum jsfs_status move_by_steps(struct rename *rename, struct moving *names, size_t count)
{
    enum jsfs_status status =
        rename_each(rename, names, count, moving_needs_copy, copy, JSFS_CONFLICT);

    if (status == JSFS_OK)
        status = rename_each(rename, names, count, is_copied, remove_source, JSFS_CONFLICT);
    for (size_t i = 0; i < count && status == JSFS_OK; i++) {
        if (moving_is_open(&names[i]))
            status = JSFS_CONFLICT;
    }
    return status;
}

/* Seeing ------------------------------------------------------------------------------------ */

/* It is stored, whatever this mount can see of it. */
static void shown(void *arg, enum jsfs_status status, const struct tree_attr *attr)
{
    struct moving *moving = arg;

    (void)status;
    (void)attr;
    gate_end(&moving->rename->gate);
}

static void wait_shown(struct rename *rename, struct moving *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct moving *moving = &names[i];

        if (moving->put_token != 0 && moving->put_sequence != 0) {
            gate_begin(&rename->gate);
            bucket_written(rename->bucket, moving->to, moving->put_sequence,
                           moving->put_token, shown, moving);
        }
        if (moving->removed_sequence != 0) {
            gate_begin(&rename->gate);
            bucket_removed(rename->bucket, moving->from, moving->removed_sequence,
                           moving->removal.token, shown, moving);
        }
    }
    gate_wait(&rename->gate);
}

/* Rounds ------------------------------------------------------------------------------------ */

static enum jsfs_status move_round(struct rename *rename, struct moving *names, size_t count)
{
    enum jsfs_status status = rename_fetch(rename, names, count);

    if (status == JSFS_OK)
        status = rename_check_targets(rename, names, count);
    if (status == JSFS_OK && !rename->no_batches) {
        status = move_at_once(rename, names, count);
        rename->no_batches = status == JSFS_UNSUPPORTED || status == JSFS_BUSY;
        if (rename->no_batches)
            status = JSFS_OK;
    }
    if (status == JSFS_OK && rename->no_batches)
        status = move_by_steps(rename, names, count);
    return status;
}

enum jsfs_status rename_move(struct rename *rename, struct moving *names, size_t count)
{
    enum jsfs_status status = JSFS_CONFLICT;

    for (int round = 0; round < MOST_ROUNDS && status == JSFS_CONFLICT; round++) {
        if (round > 0)
            status = rename_refresh(rename, names, count);
        if (round == 0 || status == JSFS_OK)
            status = move_round(rename, names, count);
    }
    if (status == JSFS_OK && !rename->directory && names[0].gone && !names[0].done)
        status = JSFS_NOT_FOUND;
    if (status == JSFS_STALE)
        status = JSFS_CONFLICT;
    wait_shown(rename, names, count);
    return status;
}

/* Exchange ---------------------------------------------------------------------------------- */

static struct store_write swap_of(struct moving *moving, const struct moving *other)
{
    struct store_write write = {.expect = STORE_EXPECT_AT,
                                .sequence = other->sequence,
                                .token = store_token(),
                                .ttl_ns = ttl_of(moving)};

    moving->put_token = write.token;
    return write;
}

static enum jsfs_status put_and_wait(struct moving *moving, const char *raw,
                                     const struct store_write *write)
{
    struct store *store = bucket_store(moving->rename->bucket);

    gate_begin(&moving->rename->gate);
    store->ops->value_put(store, raw, moving->value, write, copied, moving);
    gate_wait(&moving->rename->gate);
    return moving->status;
}

/* The server says that it takes batches and does not: the first value is stored already, so the
 * second one must be. Somebody has written its new name meanwhile: it goes back to its old one. */
static enum jsfs_status finish_swap(struct moving *names, uint64_t sequence)
{
    struct moving *second = &names[1];
    struct store_write write = swap_of(second, &names[0]);
    enum jsfs_status status = put_and_wait(second, second->raw_to, &write);

    names[0].put_sequence = sequence;
    if (status != JSFS_CONFLICT)
        return status;
    write = (struct store_write){.expect = STORE_EXPECT_AT,
                                 .sequence = sequence,
                                 .token = store_token(),
                                 .ttl_ns = ttl_of(second)};
    status = put_and_wait(second, second->raw_from, &write);
    names[0].put_sequence = second->put_sequence = 0;
    return status == JSFS_OK ? JSFS_CONFLICT : status;
}

static enum jsfs_status swap(struct rename *rename, struct moving *names)
{
    struct store_batch_item items[2];
    uint64_t sequence;
    enum jsfs_status status = rename_fetch(rename, names, 2);

    if (status == JSFS_OK && (names[0].gone || names[1].gone))
        return JSFS_NOT_FOUND;
    if (status != JSFS_OK)
        return status;
    for (size_t i = 0; i < 2; i++)
        items[i] = (struct store_batch_item){names[i].raw_to, names[i].value,
                                             swap_of(&names[i], &names[1 - i])};
    status = send_batch(rename, names, items, 2, &sequence);
    if (status == JSFS_UNSUPPORTED)
        return sequence == 0 ? JSFS_INVALID : finish_swap(names, sequence);
    if (status != JSFS_OK)
        return status;
    names[0].put_sequence = sequence != 0 ? sequence - 1 : 1;
    names[1].put_sequence = sequence != 0 ? sequence : 1;
    return JSFS_OK;
}

enum jsfs_status rename_exchange(struct rename *rename, struct moving *names)
{
    enum jsfs_status status = JSFS_CONFLICT;

    for (int round = 0; round < MOST_ROUNDS && status == JSFS_CONFLICT; round++) {
        if (round > 0)
            status = rename_each(rename, names, 2, moving_is_open, moving_ask_source, JSFS_OK);
        if (round == 0 || status == JSFS_OK)
            status = swap(rename, names);
    }
    wait_shown(rename, names, 2);
    return status;
}
