/* SPDX-License-Identifier: Apache-2.0 */
/* bucket_rename_fetch.c - the names of a rename, and what the server has under them now.
 * Layer 4, a part of bucket_rename.h.
 */
#include "core/bucket_rename_state.h"
#include "core/cleanup.h"
#include <stdlib.h>
#include <string.h>

enum { MOST_ROUNDS = 16 };

/* Names ------------------------------------------------------------------------------------- */

bool rename_is_exclusive(const struct rename *rename)
{
    return rename->directory || (rename->flags & BUCKET_RENAME_NOREPLACE) != 0;
}

/* What the tree knows of the target: nothing, a marker, a value that is hidden here, or one. */
static enum jsfs_status look_at_target(struct moving *moving)
{
    struct tree *tree = bucket_tree(moving->rename->bucket);
    CLEANUP(cleanup_free) char *name = bucket_name_path(moving->to);
    struct tree_attr attr;
    bool live;

    if (name == NULL)
        return JSFS_NO_MEMORY;
    moving->target_sequence = tree_sequence(tree, name, &live);
    moving->target_lives = live && tree_lookup(tree, moving->to, &attr) == JSFS_OK;
    if (live && !moving->target_lives)
        moving->target_hidden = moving->target_sequence;
    return JSFS_OK;
}

enum jsfs_status moving_init(struct moving *moving, struct rename *rename, char *from, char *to,
                             const struct tree_attr *attr)
{
    enum jsfs_status status = from != NULL && to != NULL ? JSFS_OK : JSFS_NO_MEMORY;

    *moving = (struct moving){.rename = rename,
                              .from = from,
                              .to = to,
                              .size_bytes = attr->size_bytes,
                              .expires_ns = attr->expires_ns,
                              .sequence = attr->sequence};
    if (status == JSFS_OK)
        status = bucket_raw_name(rename->bucket, from, false, &moving->raw_from);
    if (status == JSFS_OK)
        status = bucket_raw_name(rename->bucket, to, true, &moving->raw_to);
    if (status == JSFS_OK)
        status = look_at_target(moving);
    if (status != JSFS_OK)
        moving_clear(moving);
    return status;
}

void moving_clear(struct moving *moving)
{
    if (moving->removal_linked)
        bucket_unlink_removal(moving->rename->bucket, &moving->removal);
    bytes_unref(moving->value);
    free(moving->from);
    free(moving->to);
    free(moving->raw_from);
    free(moving->raw_to);
}

/* It needs to be put: it never was, or its source has changed since. */
bool moving_needs_copy(const struct moving *moving)
{
    return !moving->done && !moving->gone &&
           (moving->put_sequence == 0 || moving->copied_sequence != moving->sequence);
}

/* Do one thing with each name that wants it, RENAME_PIPELINE at a time, and wait.
 *   returns   the first status that is none of JSFS_OK and `tolerated` */
enum jsfs_status rename_each(struct rename *rename, struct moving *names, size_t count,
                                 bool (*wants)(const struct moving *moving),
                                 void (*start)(struct moving *moving),
                                 enum jsfs_status tolerated)
{
    enum jsfs_status status = JSFS_OK;

    for (size_t first = 0; first < count && status == JSFS_OK; first += RENAME_PIPELINE) {
        size_t end = first + RENAME_PIPELINE < count ? first + RENAME_PIPELINE : count;

        for (size_t i = first; i < end; i++) {
            names[i].status = JSFS_OK;
            if (wants(&names[i])) {
                gate_begin(&rename->gate);
                start(&names[i]);
            }
        }
        gate_wait(&rename->gate);
        for (size_t i = first; i < end && status == JSFS_OK; i++) {
            if (names[i].status != tolerated)
                status = names[i].status;
        }
    }
    return status;
}

/* Asking ------------------------------------------------------------------------------------ */

static bool lives(enum jsfs_status status, const struct store_entry *entry)
{
    return status == JSFS_OK && entry->state == STORE_LIVE;
}

static void got_source(void *arg, enum jsfs_status status, const struct store_entry *entry)
{
    struct moving *moving = arg;

    moving->gone = status == JSFS_NOT_FOUND || (status == JSFS_OK && !lives(status, entry));
    if (lives(status, entry)) {
        moving->sequence = entry->sequence;
        moving->expires_ns = entry->expires_ns;
    }
    if (moving->gone && moving->put_sequence != 0)
        moving->done = true; /* another client has removed it: the copy is what is left */
    moving->status = status == JSFS_NOT_FOUND ? JSFS_OK : status;
    gate_end(&moving->rename->gate);
}

void moving_ask_source(struct moving *moving)
{
    struct store *store = bucket_store(moving->rename->bucket);

    store->ops->lookup(store, moving->raw_from, true, got_source, moving);
}

static void got_target(void *arg, enum jsfs_status status, const struct store_entry *entry)
{
    struct moving *moving = arg;

    moving->target_sequence = status == JSFS_OK ? entry->sequence : 0;
    moving->target_lives =
        lives(status, entry) && entry->sequence != moving->target_hidden;
    moving->status = status == JSFS_NOT_FOUND ? JSFS_OK : status;
    gate_end(&moving->rename->gate);
}

static void ask_target(struct moving *moving)
{
    struct store *store = bucket_store(moving->rename->bucket);

    store->ops->lookup(store, moving->raw_to, true, got_target, moving);
}

bool moving_is_open(const struct moving *moving)
{
    return !moving->done && !moving->gone;
}

static bool is_unplaced(const struct moving *moving)
{
    return moving_is_open(moving) && moving->put_sequence == 0;
}

/* What the leader has now. */
enum jsfs_status rename_refresh(struct rename *rename, struct moving *names, size_t count)
{
    enum jsfs_status status = rename_each(rename, names, count, moving_is_open, moving_ask_source, JSFS_OK);

    if (status == JSFS_OK && rename_is_exclusive(rename))
        status = rename_each(rename, names, count, is_unplaced, ask_target, JSFS_OK);
    return status;
}

/* Fetching ---------------------------------------------------------------------------------- */

static bool lacks_value(const struct moving *moving)
{
    return moving_needs_copy(moving) &&
           (moving->value == NULL || moving->value_sequence != moving->sequence);
}

static void got_value(void *arg, enum jsfs_status status, struct bytes *bytes,
                      uint64_t sequence)
{
    struct moving *moving = arg;

    if (status == JSFS_OK) {
        bytes_unref(moving->value);
        moving->value = bytes_ref(bytes);
        moving->value_sequence = sequence;
    }
    moving->status = status;
    gate_end(&moving->rename->gate);
}

static void get_value(struct moving *moving)
{
    struct store *store = bucket_store(moving->rename->bucket);

    store->ops->value_get(store, moving->raw_from, moving->sequence, got_value, moving);
}

static bool is_stale(const struct moving *moving)
{
    return moving->status == JSFS_STALE;
}

/* The newest values; a revision that is not kept any more has a newer one, or a marker. */
enum jsfs_status rename_fetch(struct rename *rename, struct moving *names, size_t count)
{
    for (int round = 0; round < MOST_ROUNDS; round++) {
        bool stale = false;
        enum jsfs_status status =
            rename_each(rename, names, count, lacks_value, get_value, JSFS_STALE);

        for (size_t i = 0; i < count; i++)
            stale |= is_stale(&names[i]);
        if (status != JSFS_OK || !stale)
            return status;
        status = rename_each(rename, names, count, moving_is_open, moving_ask_source, JSFS_OK);
        if (status != JSFS_OK)
            return status;
    }
    return JSFS_CONFLICT;
}

/* What is at the target already ------------------------------------------------------------- */

static bool is_taken(const struct moving *moving)
{
    return is_unplaced(moving) && moving->target_lives;
}

static void got_target_value(void *arg, enum jsfs_status status, struct bytes *bytes,
                             uint64_t sequence)
{
    struct moving *moving = arg;
    bool equal = status == JSFS_OK && bytes->size == moving->value->size &&
                 memcmp(bytes->data, moving->value->data, bytes->size) == 0;

    if (equal) { /* an earlier call has come as far as this */
        moving->put_sequence = sequence;
        moving->copied_sequence = moving->value_sequence;
    }
    moving->status = status == JSFS_OK && !equal ? JSFS_NOT_EMPTY : status;
    gate_end(&moving->rename->gate);
}

static void get_target_value(struct moving *moving)
{
    struct store *store = bucket_store(moving->rename->bucket);

    store->ops->value_get(store, moving->raw_to, moving->target_sequence, got_target_value,
                          moving);
}

/* In a directory an equal value is a copy that this rename, stopped half way, has left. */
enum jsfs_status rename_check_targets(struct rename *rename, struct moving *names, size_t count)
{
    if (!rename_is_exclusive(rename))
        return JSFS_OK;
    if (!rename->directory)
        return is_taken(&names[0]) ? JSFS_EXISTS : JSFS_OK;
    return rename_each(rename, names, count, is_taken, get_target_value, JSFS_OK);
}
