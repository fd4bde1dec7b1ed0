/* SPDX-License-Identifier: Apache-2.0 */
/* value_commit.c - publishing the staged bytes of a KV value, one commit at a time.
 * Layer 4. A chain of callbacks; no thread waits. See value_file.c for what holds when it stops
 * in between.
 *
 * An append that lost the race looks at the newest value, puts its bytes behind that and tries
 * again. It needs no pause: each lost race is another writer's success, so all of them together
 * go on with every round.
 */
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/value_file.h"
#include "core/value_state.h"

#define APPEND_PATIENCE_MS 30000

static const struct value_change nothing = {VALUE_KEPT, 0, false};

/* The commit has ended; the lock is held. Then comes the one that waited for it. */
static void finish_unlock(struct value_file *file, enum jsfs_status status)
{
    struct value_waiter *committers = file->committers;

    file->committers = NULL;
    file->committing = false;
    file->failure = status;
    if (file->exclusive && status != JSFS_OK)
        file->change = nothing; /* the file was not created: nothing is published later */
    file->exclusive = false;
    pthread_mutex_unlock(&file->lock);

    value_tell(committers, status);
    pthread_mutex_lock(&file->lock);
    value_commit_next_unlock(file);
    value_file_unref(file);
}

/* The change in flight did not land: it waits again, together with what came since. */
static void restore_locked(struct value_file *file)
{
    struct value_change *change = &file->change;

    if (change->intent == VALUE_KEPT || file->flight.intent == VALUE_APPEND)
        change->appended_at = file->flight.appended_at;
    if (file->flight.intent > change->intent)
        change->intent = file->flight.intent;
    change->written |= file->flight.written;
    file->flight = nothing;
}

static struct store_write condition_locked(const struct value_file *file)
{
    struct store_write write = {.expect = STORE_EXPECT_AT,
                                .sequence = file->revision,
                                .token = file->token,
                                .ttl_ns = file->ttl_ns};

    if (file->exclusive)
        write.expect = STORE_EXPECT_ABSENT;
    else if (file->flight.intent == VALUE_REPLACE)
        write.expect = STORE_EXPECT_ANY;
    else if (file->revision == 0)
        write.expect = STORE_EXPECT_ABSENT;
    return write;
}

static void attempt_unlock(struct value_file *file);
static void look_at_leader(struct value_file *file);

/* True when the bytes that came before this commit are not all in what it has published. */
static bool is_more_to_publish_locked(const struct value_file *file)
{
    bool release = false;

    for (const struct value_waiter *waiter = file->committers; waiter != NULL;
         waiter = waiter->next)
        release |= waiter->release;
    return file->change.intent != VALUE_KEPT && (release || file->change.written);
}

/* This mount shows the revision, or a later one. */
static void take_shown(void *arg, enum jsfs_status status, const struct tree_attr *attr)
{
    struct value_file *file = arg;

    pthread_mutex_lock(&file->lock);
    if (status == JSFS_OK && attr->sequence == file->revision)
        file->base_modified_ns = attr->modified_ns;
    bool more = file->resolving && is_more_to_publish_locked(file);
    file->resolving = false;
    if (more)
        attempt_unlock(file);
    else
        finish_unlock(file, JSFS_OK);
}

static void forget_unsure_locked(struct value_file *file)
{
    bytes_unref(file->unsure_value);
    file->unsure_value = NULL;
}

/* The server has what is in flight; the lock is held. */
static void landed_unlock(struct value_file *file, uint64_t sequence)
{
    uint64_t token = file->token;

    file->flight = nothing;
    file->fresh = file->fresh && file->exclusive;
    file->revision = sequence;
    file->base_modified_ns = clock_realtime_ns();
    pthread_mutex_unlock(&file->lock);
    bucket_written(file->bucket, file->path, sequence, token, take_shown, file);
}

/* What is in flight did not land; the lock is held. */
static void refused_unlock(struct value_file *file, enum jsfs_status status)
{
    bool raced = status == JSFS_CONFLICT || status == JSFS_EXISTS;

    restore_locked(file);
    if (raced && file->exclusive) {
        finish_unlock(file, JSFS_EXISTS);
    } else if (raced && file->change.intent == VALUE_APPEND) {
        pthread_mutex_unlock(&file->lock);
        look_at_leader(file);
    } else {
        finish_unlock(file, raced ? JSFS_CONFLICT : status);
    }
}

static void take_put(void *arg, enum jsfs_status status, uint64_t sequence)
{
    struct value_file *file = arg;

    pthread_mutex_lock(&file->lock);
    if (status == JSFS_TIMEOUT && !file->exclusive) {
        finish_unlock(file, status);
        return;
    }
    forget_unsure_locked(file);
    if (status == JSFS_OK)
        landed_unlock(file, sequence);
    else
        refused_unlock(file, status);
}

/* What became of the put that nobody knew about. */
static void take_resolved(void *arg, enum jsfs_status status, uint64_t sequence)
{
    struct value_file *file = arg;
    bool raced = status == JSFS_CONFLICT || status == JSFS_EXISTS;

    pthread_mutex_lock(&file->lock);
    if (status == JSFS_OK) {
        forget_unsure_locked(file);
        file->resolving = true;
        landed_unlock(file, sequence);
    } else if (
        raced) { /* it never landed: all that waits is tried as if for the first time */
        forget_unsure_locked(file);
        restore_locked(file);
        attempt_unlock(file);
    } else {
        finish_unlock(file, status);
    }
}

/* Put what `unsure` says, for the first time or again; the lock is held. */
static void put_unlock(struct value_file *file, store_write_done *done)
{
    struct store *store = bucket_store(file->bucket);
    struct bytes *value = bytes_ref(file->unsure_value);
    struct store_write write = file->unsure_write;

    if (file->unsure_write.tried_ms == 0)
        file->unsure_write.tried_ms = clock_boot_ms();
    file->token = write.token;
    pthread_mutex_unlock(&file->lock);
    store->ops->value_put(store, file->raw, value, &write, done, file);
    bytes_unref(value);
}

/* Publish what waits; the lock is held. */
static void attempt_unlock(struct value_file *file)
{
    if (file->forgotten) {
        finish_unlock(file, JSFS_OK);
        return;
    }
    if (file->unsure_value != NULL) {
        put_unlock(file, take_resolved);
        return;
    }
    file->unsure_value = bytes_copy(file->data.data, file->data.size);
    if (file->unsure_value == NULL) {
        finish_unlock(file, JSFS_NO_MEMORY);
        return;
    }
    file->flight = file->change;
    file->change = nothing;
    file->token = store_token();
    file->unsure_write = condition_locked(file);
    put_unlock(file, take_put);
}

/* Put the appended bytes behind another value; nothing has changed unless JSFS_OK. */
static enum jsfs_status rebase_locked(struct value_file *file, const struct bytes *value,
                                      uint64_t revision)
{
    CLEANUP(buffer_clear) struct buffer joined = BUFFER_INIT;
    const struct buffer *data = &file->data;
    size_t at = file->change.appended_at, base = value != NULL ? value->size : 0;

    struct store *store = bucket_store(file->bucket);
    if (base + data->size - at > store->ops->message_max(store))
        return JSFS_TOO_LARGE;
    enum jsfs_status status = buffer_reserve(&joined, base + data->size - at);
    if (status != JSFS_OK)
        return status;
    if (base > 0)
        buffer_append(&joined, value->data, base);
    buffer_append(&joined, data->data + at, data->size - at);
    struct buffer old = file->data;
    file->data = joined;
    joined = old;
    file->change.appended_at = base;
    file->revision = revision;
    return JSFS_OK;
}

/* The newest value is known (NULL: none lives); the lock is held. */
static void append_again_unlock(struct value_file *file, const struct bytes *value,
                                uint64_t revision)
{
    enum jsfs_status status = JSFS_OK;

    if (file->change.intent == VALUE_EDIT)
        status = JSFS_CONFLICT; /* made meanwhile, of bytes that are not the newest */
    else if (file->change.intent == VALUE_APPEND)
        status = rebase_locked(file, value, revision);
    if (status == JSFS_OK)
        attempt_unlock(file);
    else
        finish_unlock(file, status);
}

static void take_newest_value(void *arg, enum jsfs_status status, struct bytes *bytes,
                              uint64_t sequence)
{
    struct value_file *file = arg;

    if (status == JSFS_STALE) { /* replaced again, and not kept */
        look_at_leader(file);
        return;
    }
    pthread_mutex_lock(&file->lock);
    if (status == JSFS_OK)
        append_again_unlock(file, bytes, sequence);
    else
        finish_unlock(file, status);
}

/* The leader says what is under the key after a lost race. */
static void take_newest(void *arg, enum jsfs_status status,
                        const struct store_entry *entry)
{
    struct value_file *file = arg;
    struct store *store = bucket_store(file->bucket);
    bool lives = status == JSFS_OK && entry->state == STORE_LIVE;

    pthread_mutex_lock(&file->lock);
    if (status != JSFS_OK && status != JSFS_NOT_FOUND) {
        finish_unlock(file, status);
    } else if (file->change.intent == VALUE_EDIT ||
               clock_monotonic_ms() > file->deadline_ms) {
        finish_unlock(file, JSFS_CONFLICT);
    } else if (lives) {
        uint64_t revision = entry->sequence;
        pthread_mutex_unlock(&file->lock);
        store->ops->value_get(store, file->raw, revision, take_newest_value, file);
    } else {
        append_again_unlock(file, NULL, 0);
    }
}

static void look_at_leader(struct value_file *file)
{
    struct store *store = bucket_store(file->bucket);
    store->ops->lookup(store, file->raw, true, take_newest, file);
}

static bool is_needed_locked(const struct value_file *file)
{
    bool release = false;

    if (file->forgotten || file->next == NULL)
        return false;
    if (file->unsure_value != NULL)
        return true;
    if (file->change.intent == VALUE_KEPT)
        return false;
    for (const struct value_waiter *waiter = file->next; waiter != NULL;
         waiter = waiter->next)
        release |= waiter->release;
    return release || file->change.written;
}

void value_commit_next_unlock(struct value_file *file)
{
    if (file->committing) {
        pthread_mutex_unlock(&file->lock);
        return;
    }
    bool needed = is_needed_locked(file);
    struct value_waiter *waiters = file->next;
    file->next = NULL;
    if (!needed) {
        pthread_mutex_unlock(&file->lock);
        value_tell(waiters, JSFS_OK);
        return;
    }
    file->committing = true;
    file->committers = waiters;
    file->deadline_ms = clock_monotonic_ms() + APPEND_PATIENCE_MS;
    value_ref(file);
    attempt_unlock(file);
}
