/* SPDX-License-Identifier: Apache-2.0 */
/* value_file.c - the bytes of a KV value that is open for writing, before they are published.
 * Layer 4. Each operation says what it means for the commit (enum value_intent); the commit is
 * in value_commit.c.
 *
 * What holds when the process, the server or the network stops between two messages: a value is
 * one message, so the key has the old value or the new one, never a part. Before it is sent,
 * only this process has the bytes. Sent but not acknowledged: the store asks the leader whether
 * it has the message; where that is not answered either, the commit is JSFS_TIMEOUT and the bytes
 * stay dirty here. The next commit first finds out what became of that put, by the same message
 * id: the server stores it once at most, also when another client wrote on top of it meanwhile.
 * Where that cannot be known any more (the server remembers ids for the stream's duplicate_window)
 * it is JSFS_TIMEOUT again: nothing is ever stored twice, nor called stored by guessing.
 * Acknowledged: the server has it, whether or not this mount ever shows it.
 *
 * Another client that writes the key in between: see value_file.h. The server decides, by the
 * revision that the put expects, so nothing is lost between our look and our put.
 */
#include "core/value_file.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/value_state.h"
#include <string.h>

struct value_file *value_file_new(struct bucket *bucket, const char *path,
                                  const char *raw, uint64_t revision, uint64_t size_bytes,
                                  int64_t modified_ns)
{
    struct value_file *file = calloc(1, sizeof(*file));
    if (file == NULL)
        return NULL;
    file->path = strdup(path);
    file->raw = strdup(raw);
    if (file->path == NULL || file->raw == NULL) {
        free(file->path);
        free(file->raw);
        free(file);
        return NULL;
    }
    atomic_init(&file->references, 1);
    pthread_mutex_init(&file->lock, NULL);
    file->bucket = bucket_ref(bucket);
    file->revision = revision;
    file->base_size = revision != 0 ? size_bytes : 0;
    file->base_modified_ns = modified_ns;
    if (revision == 0) {
        file->fresh = true;
        file->loaded = true;
        file->change.intent = VALUE_REPLACE;
        file->changed_ns = clock_realtime_ns();
    }
    return file;
}

struct value_file *value_ref(struct value_file *file)
{
    atomic_fetch_add(&file->references, 1);
    return file;
}

struct value_file *value_file_ref(struct value_file *file)
{
    return value_ref(file);
}

void value_file_unref(struct value_file *file)
{
    if (file == NULL || atomic_fetch_sub(&file->references, 1) != 1)
        return;
    bucket_unref(file->bucket);
    pthread_mutex_destroy(&file->lock);
    buffer_clear(&file->data);
    bytes_unref(file->unsure_value);
    while (file->former != NULL) {
        struct value_name *former = file->former;

        file->former = former->next;
        free(former->path);
        free(former->raw);
        free(former);
    }
    free(file->path);
    free(file->raw);
    free(file);
}

void value_tell(struct value_waiter *waiters, enum jsfs_status status)
{
    while (waiters != NULL) {
        struct value_waiter *waiter = waiters;
        waiters = waiter->next;
        waiter->done(waiter->arg, status);
        free(waiter);
    }
}

static struct value_waiter *new_waiter(store_done *done, void *arg, bool release)
{
    struct value_waiter *waiter = malloc(sizeof(*waiter));
    if (waiter == NULL)
        done(arg, JSFS_NO_MEMORY);
    else
        *waiter = (struct value_waiter){done, arg, release, NULL};
    return waiter;
}

/* Loading ---------------------------------------------------------------------------------- */

/* Loading has ended; the lock is held, and the load's reference goes. */
static void end_load_unlock(struct value_file *file, enum jsfs_status status)
{
    struct value_waiter *loaders = file->loaders;

    file->loading = false;
    file->loaders = NULL;
    pthread_mutex_unlock(&file->lock);

    value_tell(loaders, status);
    value_file_unref(file);
}

static void take_base(void *arg, enum jsfs_status status, struct bytes *bytes,
                      uint64_t sequence);

/* What is newest, for a handle that only appends. */
static void take_newest(void *arg, enum jsfs_status status,
                        const struct store_entry *entry)
{
    struct value_file *file = arg;
    struct store *store = bucket_store(file->bucket);
    bool lives = status == JSFS_OK && entry->state == STORE_LIVE;

    if (lives) {
        store->ops->value_get(store, file->raw, entry->sequence, take_base, file);
        return;
    }
    pthread_mutex_lock(&file->lock);
    if (status == JSFS_OK || status == JSFS_NOT_FOUND) {
        file->loaded = true; /* removed: the first append makes it again */
        file->revision = 0;
        file->base_size = 0;
        status = JSFS_OK;
    }
    end_load_unlock(file, status);
}

/* The base revision came. A truncation that was made meanwhile has the last word. */
static void take_base(void *arg, enum jsfs_status status, struct bytes *bytes,
                      uint64_t sequence)
{
    struct value_file *file = arg;
    struct store *store = bucket_store(file->bucket);

    pthread_mutex_lock(&file->lock);
    if (file->loaded) {
        status = JSFS_OK;
    } else if (status == JSFS_OK) {
        status = buffer_append(&file->data, bytes->data, bytes->size);
        file->loaded = status == JSFS_OK;
        file->base_size = bytes->size;
        file->revision = sequence;
    } else if (status == JSFS_STALE && file->appending) {
        pthread_mutex_unlock(&file->lock);
        store->ops->lookup(store, file->raw, true, take_newest, file);
        return;
    }
    end_load_unlock(file, status);
}

void value_file_append_only(struct value_file *file)
{
    SCOPED_LOCK(&file->lock);

    file->appending = true;
    if (file->revision == 0 && file->change.intent == VALUE_REPLACE &&
        file->data.size == 0 && !file->change.written)
        file->change = (struct value_change){.intent = VALUE_APPEND};
}

void value_file_load(struct value_file *file, store_done *done, void *arg)
{
    struct store *store = bucket_store(file->bucket);
    struct value_waiter *waiter = new_waiter(done, arg, false);
    if (waiter == NULL)
        return;

    pthread_mutex_lock(&file->lock);
    bool loaded = file->loaded, start = !loaded && !file->loading;
    uint64_t revision = file->revision;
    if (!loaded) {
        waiter->next = file->loaders;
        file->loaders = waiter;
        file->loading = true;
    }
    if (start)
        value_ref(file);
    pthread_mutex_unlock(&file->lock);

    if (loaded)
        value_tell(waiter, JSFS_OK);
    else if (start)
        store->ops->value_get(store, file->raw, revision, take_base, file);
}

enum jsfs_status value_file_read(struct value_file *file, uint64_t offset, size_t size,
                                 char *out, size_t *read)
{
    SCOPED_LOCK(&file->lock);
    if (!file->loaded)
        return JSFS_INVALID;
    *read = 0;
    if (offset >= file->data.size)
        return JSFS_OK;
    *read = file->data.size - offset < size ? file->data.size - (size_t)offset : size;
    if (*read > 0)
        memcpy(out, file->data.data + offset, *read);
    return JSFS_OK;
}

/* Changing --------------------------------------------------------------------------------- */

static bool fits(struct value_file *file, uint64_t offset, uint64_t size)
{
    struct store *store = bucket_store(file->bucket);
    size_t most = store->ops->message_max(store);
    return size <= most && offset <= most - size;
}

static void note_locked(struct value_file *file, enum value_intent intent, bool written)
{
    if (intent > file->change.intent)
        file->change.intent = intent;
    file->change.written |= written;
    file->changes++;
    file->changed_ns = clock_realtime_ns();
}

enum jsfs_status value_file_write(struct value_file *file, uint64_t offset,
                                  const void *data, size_t size, bool append)
{
    SCOPED_LOCK(&file->lock);
    if (!file->loaded)
        return JSFS_INVALID;
    if (append)
        offset = file->data.size;
    if (size == 0)
        return JSFS_OK;
    if (!fits(file, offset, size))
        return JSFS_TOO_LARGE;

    size_t end = file->data.size;
    enum jsfs_status status = buffer_write(&file->data, (size_t)offset, data, size);
    if (status != JSFS_OK)
        return status;
    if (append && file->change.intent == VALUE_KEPT)
        file->change.appended_at = end;
    note_locked(file, append ? VALUE_APPEND : VALUE_EDIT, true);
    return JSFS_OK;
}

static void empty_locked(struct value_file *file, bool as_open)
{
    buffer_clear(&file->data);
    file->loaded = true;
    note_locked(file, VALUE_REPLACE, !as_open);
}

enum jsfs_status value_file_truncate(struct value_file *file, uint64_t size, bool as_open)
{
    SCOPED_LOCK(&file->lock);
    if (size == 0) {
        empty_locked(file, as_open);
        return JSFS_OK;
    }
    if (!file->loaded)
        return JSFS_INVALID;
    if (size == file->data.size)
        return JSFS_OK;
    if (!fits(file, 0, size))
        return JSFS_TOO_LARGE;
    enum jsfs_status status = buffer_resize(&file->data, (size_t)size);
    if (status == JSFS_OK)
        note_locked(file, VALUE_EDIT, true);
    return status;
}

enum jsfs_status value_file_set_ttl(struct value_file *file, int64_t ttl_ns)
{
    SCOPED_LOCK(&file->lock);

    if (!file->fresh || (file->committing && !file->exclusive))
        return JSFS_UNSUPPORTED;
    file->ttl_ns = ttl_ns;
    return JSFS_OK;
}

void value_file_move(struct value_file *file, const char *path, const char *raw,
                     uint64_t revision)
{
    struct value_name *former = malloc(sizeof(*former));
    char *new_path = strdup(path), *new_raw = strdup(raw);

    if (former == NULL || new_path == NULL || new_raw == NULL) {
        free(former);
        free(new_path);
        free(new_raw);
        return;
    }
    SCOPED_LOCK(&file->lock);
    *former = (struct value_name){file->path, file->raw, file->former};
    file->former = former;
    file->path = new_path;
    file->raw = new_raw;
    if (file->revision != 0)
        file->revision = revision;
}

void value_file_forget(struct value_file *file)
{
    SCOPED_LOCK(&file->lock);
    file->forgotten = true;
}

static bool is_dirty_locked(const struct value_file *file)
{
    return !file->forgotten &&
           (file->change.intent != VALUE_KEPT || file->flight.intent != VALUE_KEPT);
}

bool value_file_take_unsaved(struct value_file *file, struct value_unsaved *out)
{
    SCOPED_LOCK(&file->lock);

    if (!is_dirty_locked(file) || file->data.size == 0 || file->taken == file->changes)
        return false;
    struct bytes *copy = bytes_copy(file->data.data, file->data.size);
    if (copy == NULL)
        return false;
    file->taken = file->changes;
    *out = (struct value_unsaved){copy, file->revision, file->failure};
    return true;
}

void value_file_get(struct value_file *file, struct value_file_stat *out)
{
    SCOPED_LOCK(&file->lock);
    bool dirty = is_dirty_locked(file);
    *out = (struct value_file_stat){
        .size_bytes = file->loaded ? file->data.size : file->base_size,
        .modified_ns = dirty ? file->changed_ns : file->base_modified_ns,
        .sequence = file->revision,
        .token = file->committing || file->unsure_value != NULL ? file->token : 0,
        .dirty = dirty,
        .ttl_ns = file->ttl_ns};
}

/* Committing ------------------------------------------------------------------------------- */

static void push_next_locked(struct value_file *file, struct value_waiter *waiter)
{
    waiter->next = file->next;
    file->next = waiter;
}

void value_file_commit(struct value_file *file, bool release, store_done *done, void *arg)
{
    struct value_waiter *waiter = new_waiter(done, arg, release);
    if (waiter == NULL)
        return;
    pthread_mutex_lock(&file->lock);
    push_next_locked(file, waiter);
    value_commit_next_unlock(file);
}

void value_file_create_exclusive(struct value_file *file, store_done *done, void *arg)
{
    struct value_waiter *waiter = new_waiter(done, arg, true);
    if (waiter == NULL)
        return;
    pthread_mutex_lock(&file->lock);
    push_next_locked(file, waiter);
    file->exclusive = true;
    value_commit_next_unlock(file);
}
