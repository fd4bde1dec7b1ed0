/* SPDX-License-Identifier: Apache-2.0 */
/* fake_store.c - the messages of a bucket in memory, other clients' writes, the knobs, the truth.
 * Test support. The operations are in fake_store_ops.c, the watch in fake_store_watch.c.
 */
#include "tests/support/fake_store_private.h"
#include "core/cleanup.h"
#include "core/digest.h"
#include <stdio.h>
#include <string.h>

static void *need(void *pointer)
{
    if (pointer == NULL)
        abort();
    return pointer;
}

static char *copy_text(const char *text)
{
    return text == NULL ? NULL : need(strdup(text));
}

static struct object_meta *copy_meta(const struct object_meta *meta)
{
    struct object_meta *copy;

    if (meta == NULL)
        return NULL;
    copy = need(malloc(sizeof(*copy)));
    *copy = *meta;
    copy->name = copy_text(meta->name);
    copy->nuid = copy_text(meta->nuid);
    copy->link_bucket = copy_text(meta->link_bucket);
    copy->link_name = copy_text(meta->link_name);
    copy->extra = copy_text(meta->extra);
    return copy;
}

struct fake_store *fake_store_new(enum store_kind kind)
{
    struct fake_store *fake = need(calloc(1, sizeof(*fake)));

    fake->store.ops = kind == STORE_KV ? &fake_kv_ops : &fake_object_ops;
    pthread_mutex_init(&fake->lock, NULL);
    pthread_cond_init(&fake->idle, NULL);
    fake->message_max = 1024 * 1024;
    fake->info.max_bytes = -1;
    fake->info.max_message_bytes = -1;
    fake->info.max_messages_per_subject = kind == STORE_KV ? 64 : -1;
    fake->info.replicas = 1;
    fake->info.allow_direct = true;
    fake->info.allow_rollup = true;
    fake->info.created_ns = FAKE_EPOCH_NS;
    snprintf(fake->info.name, sizeof(fake->info.name), "%s_fake",
             kind == STORE_KV ? "KV" : "OBJ");
    return fake;
}

void fake_store_free(struct fake_store *fake)
{
    if (fake == NULL)
        return;
    if (!fake->closed)
        fake->store.ops->close(&fake->store);
    for (size_t i = 0; i < fake->count; i++) {
        free(fake->messages[i]->name);
        object_meta_free(fake->messages[i]->meta);
        bytes_unref(fake->messages[i]->bytes);
        free(fake->messages[i]);
    }
    free(fake->messages);
    pthread_cond_destroy(&fake->idle);
    pthread_mutex_destroy(&fake->lock);
    free(fake);
}

struct store *fake_store_get(struct fake_store *fake)
{
    return &fake->store;
}

/* Messages --------------------------------------------------------------------------------- */

static struct fake_message **slot_of(struct fake_store *fake, const char *name)
{
    size_t hash = 5381;

    for (const char *at = name; *at != '\0'; at++)
        hash = hash * 33 + (unsigned char)*at;
    return &fake->newest[hash % FAKE_HASH_SIZE];
}

struct fake_message *fake_newest_locked(struct fake_store *fake, const char *name)
{
    struct fake_message *message = *slot_of(fake, name);

    while (message != NULL && strcmp(message->name, name) != 0)
        message = message->next_newest;
    return message;
}

static void unlink_newest(struct fake_store *fake, struct fake_message *message)
{
    for (struct fake_message **at = slot_of(fake, message->name); *at != NULL;
         at = &(*at)->next_newest) {
        if (*at == message) {
            *at = message->next_newest;
            return;
        }
    }
}

static void link_newest(struct fake_store *fake, struct fake_message *message)
{
    struct fake_message *old = fake_newest_locked(fake, message->name);
    struct fake_message **slot = slot_of(fake, message->name);

    if (old != NULL) {
        unlink_newest(fake, old);
        if (fake->store.ops->kind == STORE_OBJECT)
            old->forgotten = true; /* a meta rolls its subject up */
    }
    message->next_newest = *slot;
    *slot = message;
}

uint64_t fake_append_locked(struct fake_store *fake, enum fake_kind kind,
                            const char *name, enum store_state state,
                            const struct object_meta *meta, struct bytes *bytes,
                            uint64_t token)
{
    struct fake_message *message = need(calloc(1, sizeof(*message)));

    if (fake->count == fake->capacity) {
        fake->capacity = fake->capacity == 0 ? 64 : fake->capacity * 2;
        fake->messages =
            need(realloc(fake->messages, fake->capacity * sizeof(struct fake_message *)));
    }
    fake->messages[fake->count++] = message;
    message->kind = kind;
    message->name = copy_text(name);
    message->meta = copy_meta(meta);
    message->bytes = bytes == NULL ? NULL : bytes_ref(bytes);
    message->entry.state = state;
    message->entry.sequence = fake->count;
    message->entry.modified_ns = fake->time_ns != 0
                                     ? fake->time_ns
                                     : FAKE_EPOCH_NS + (int64_t)fake->count * 1000000;
    message->entry.own_token = token;
    message->entry.meta = message->meta;
    if (state == STORE_LIVE)
        message->entry.size_bytes = meta != NULL ? meta->size_bytes : bytes->size;
    if (kind == FAKE_NAME) {
        link_newest(fake, message);
        if (fake->telling)
            fake_event_push_locked(fake, EVENT_ENTRY, false, JSFS_OK, message);
    }
    return message->entry.sequence;
}

/* The newest kept message of a name that loses its newest one. */
static void link_previous(struct fake_store *fake, const struct fake_message *gone)
{
    for (size_t i = gone->entry.sequence - 1; i-- > 0;) {
        struct fake_message *message = fake->messages[i];

        if (message->kind == FAKE_NAME && !message->forgotten &&
            strcmp(message->name, gone->name) == 0) {
            link_newest(fake, message);
            return;
        }
    }
}

void fake_forget_locked(struct fake_store *fake, struct fake_message *message)
{
    bool newest =
        message->kind == FAKE_NAME && fake_newest_locked(fake, message->name) == message;

    message->forgotten = true;
    if (newest) {
        unlink_newest(fake, message);
        link_previous(fake, message);
    }
}

/* Other clients ---------------------------------------------------------------------------- */

static uint64_t append(struct fake_store *fake, enum fake_kind kind, const char *name,
                       enum store_state state, const struct object_meta *meta,
                       struct bytes *bytes)
{
    uint64_t sequence;

    pthread_mutex_lock(&fake->lock);
    sequence = fake_append_locked(fake, kind, name, state, meta, bytes, 0);
    pthread_mutex_unlock(&fake->lock);
    fake_events_deliver(fake, false);
    return sequence;
}

uint64_t fake_store_put(struct fake_store *fake, const char *name, const char *text)
{
    CLEANUP(cleanup_bytes) struct bytes *bytes = need(bytes_copy(text, strlen(text)));

    return append(fake, FAKE_NAME, name, STORE_LIVE, NULL, bytes);
}

uint64_t fake_store_mark(struct fake_store *fake, const char *name,
                         enum store_state state)
{
    return append(fake, FAKE_NAME, name, state, NULL, NULL);
}

uint64_t fake_store_put_meta(struct fake_store *fake, const struct object_meta *meta)
{
    return append(fake, FAKE_NAME, meta->name, meta->deleted ? STORE_DELETED : STORE_LIVE,
                  meta, NULL);
}

uint64_t fake_store_put_chunk(struct fake_store *fake, const char *nuid, const void *data,
                              size_t size)
{
    CLEANUP(cleanup_bytes) struct bytes *bytes = need(bytes_copy(data, size));

    return append(fake, FAKE_CHUNK, nuid, STORE_LIVE, NULL, bytes);
}

uint64_t fake_store_put_object(struct fake_store *fake, const char *name,
                               const char *nuid, size_t size, uint32_t chunk)
{
    CLEANUP(cleanup_free) char *own_name = copy_text(name);
    CLEANUP(cleanup_free) char *own_nuid = copy_text(nuid);
    CLEANUP(cleanup_free) unsigned char *data = need(malloc(size + 1));
    struct digest *digest = need(digest_new());
    struct object_meta meta = {.name = own_name,
                               .nuid = own_nuid,
                               .size_bytes = size,
                               .max_chunk_bytes = chunk,
                               .has_digest = true};

    for (size_t i = 0; i < size; i++)
        data[i] = (unsigned char)i;
    digest_add(digest, data, size);
    digest_finish(digest, meta.digest);
    digest_free(digest);
    for (size_t at = 0; at < size; at += chunk, meta.chunks++)
        fake_store_put_chunk(fake, nuid, data + at,
                             size - at < chunk ? size - at : chunk);
    return fake_store_put_meta(fake, &meta);
}

void fake_store_forget(struct fake_store *fake, uint64_t sequence)
{
    SCOPED_LOCK(&fake->lock);

    if (sequence >= 1 && sequence <= fake->count)
        fake_forget_locked(fake, fake->messages[sequence - 1]);
}

void fake_store_forget_below(struct fake_store *fake, uint64_t first)
{
    SCOPED_LOCK(&fake->lock);

    for (uint64_t sequence = 1; sequence < first && sequence <= fake->count; sequence++)
        fake_forget_locked(fake, fake->messages[sequence - 1]);
}

void fake_store_set_time(struct fake_store *fake, int64_t time_ns)
{
    SCOPED_LOCK(&fake->lock);
    fake->time_ns = time_ns;
}

void fake_store_set_created(struct fake_store *fake, int64_t created_ns)
{
    SCOPED_LOCK(&fake->lock);
    fake->info.created_ns = created_ns;
}

struct js_stream_info *fake_store_info(struct fake_store *fake)
{
    return &fake->info;
}

void fake_store_set_full(struct fake_store *fake, bool full)
{
    SCOPED_LOCK(&fake->lock);
    fake->full = full;
}

void fake_store_set_message_max(struct fake_store *fake, size_t size)
{
    SCOPED_LOCK(&fake->lock);
    fake->message_max = size;
}

/* The truth -------------------------------------------------------------------------------- */

const struct store_entry *fake_store_newest(struct fake_store *fake, const char *name)
{
    SCOPED_LOCK(&fake->lock);
    const struct fake_message *message = fake_newest_locked(fake, name);

    return message == NULL ? NULL : &message->entry;
}

struct bytes *fake_store_value(struct fake_store *fake, const char *name)
{
    SCOPED_LOCK(&fake->lock);
    const struct fake_message *message = fake_newest_locked(fake, name);

    if (message == NULL || message->bytes == NULL)
        return NULL;
    return bytes_ref(message->bytes);
}

static size_t count_kept(struct fake_store *fake, enum fake_kind kind, const char *name)
{
    SCOPED_LOCK(&fake->lock);
    size_t count = 0;

    for (size_t i = 0; i < fake->count; i++) {
        const struct fake_message *message = fake->messages[i];

        if (message->kind == kind && !message->forgotten &&
            strcmp(message->name, name) == 0)
            count++;
    }
    return count;
}

size_t fake_store_revisions(struct fake_store *fake, const char *name)
{
    return count_kept(fake, FAKE_NAME, name);
}

size_t fake_store_chunks(struct fake_store *fake, const char *nuid)
{
    return count_kept(fake, FAKE_CHUNK, nuid);
}

uint64_t fake_store_last_sequence(struct fake_store *fake)
{
    SCOPED_LOCK(&fake->lock);
    return fake->count;
}

/* Knobs ------------------------------------------------------------------------------------ */

void fake_store_hold(struct fake_store *fake, enum fake_op op)
{
    SCOPED_LOCK(&fake->lock);
    fake->holding[op] = true;
}

bool fake_store_release_one(struct fake_store *fake, enum fake_op op)
{
    struct fake_answer **at = &fake->held;
    struct fake_answer *answer = NULL;

    if (op == FAKE_EVENTS) {
        bool any = fake_store_held(fake, op) > 0;

        fake_events_deliver(fake, true);
        return any;
    }
    pthread_mutex_lock(&fake->lock);
    while (*at != NULL && (*at)->op != op)
        at = &(*at)->next;
    if (*at != NULL) {
        answer = *at;
        *at = answer->next;
    }
    pthread_mutex_unlock(&fake->lock);
    if (answer != NULL)
        fake_answer_send(fake, answer);
    return answer != NULL;
}

void fake_store_release(struct fake_store *fake, enum fake_op op)
{
    pthread_mutex_lock(&fake->lock);
    fake->holding[op] = false;
    pthread_mutex_unlock(&fake->lock);
    if (op == FAKE_EVENTS)
        fake_events_deliver(fake, false);
    else
        while (fake_store_release_one(fake, op))
            continue;
}

size_t fake_store_held(struct fake_store *fake, enum fake_op op)
{
    SCOPED_LOCK(&fake->lock);
    size_t count = 0;

    for (struct fake_event *at = fake->queue; op == FAKE_EVENTS && at != NULL;
         at = at->next)
        count++;
    for (struct fake_answer *at = fake->held; at != NULL; at = at->next)
        count += at->op == op;
    return count;
}

void fake_store_fail(struct fake_store *fake, enum fake_op op, unsigned count,
                     enum jsfs_status status, bool done)
{
    SCOPED_LOCK(&fake->lock);

    fake->failures[op].count = count;
    fake->failures[op].status = status;
    fake->failures[op].done = done;
}

void fake_store_before(struct fake_store *fake, enum fake_op op, void (*hook)(void *arg),
                       void *arg)
{
    SCOPED_LOCK(&fake->lock);

    fake->hooks[op].call = hook;
    fake->hooks[op].arg = arg;
}

unsigned fake_store_calls(struct fake_store *fake, enum fake_op op)
{
    SCOPED_LOCK(&fake->lock);
    return fake->calls[op];
}

void fake_store_answer_on(struct fake_store *fake, struct executor *executor)
{
    SCOPED_LOCK(&fake->lock);
    fake->executor = executor;
}

bool fake_store_is_closed(struct fake_store *fake)
{
    SCOPED_LOCK(&fake->lock);
    return fake->closed;
}
