/* SPDX-License-Identifier: Apache-2.0 */
/* fake_store_ops.c - the operations of the fake, and their answers.
 * Test support.
 */
#include "tests/support/fake_store_private.h"
#include "core/cleanup.h"
#include <string.h>

static struct fake_store *fake_of(struct store *store)
{
    return (struct fake_store *)store;
}

/* Answers ---------------------------------------------------------------------------------- */

static void give_plain(struct fake_answer *answer)
{
    answer->done.plain(answer->arg, answer->status);
}

static void give_entry(struct fake_answer *answer)
{
    answer->done.entry(answer->arg, answer->status,
                       answer->status == JSFS_OK ? answer->entry : NULL);
}

void fake_give_write(struct fake_answer *answer)
{
    answer->done.write(answer->arg, answer->status,
                       answer->status == JSFS_OK ? answer->sequence : 0);
}

static void give_bytes(struct fake_answer *answer)
{
    bool ok = answer->status == JSFS_OK;

    answer->done.bytes(answer->arg, answer->status, ok ? answer->bytes : NULL,
                       ok ? answer->sequence : 0);
}

static void give_info(struct fake_answer *answer)
{
    answer->done.info(answer->arg, answer->status,
                      answer->status == JSFS_OK ? &answer->info : NULL);
}

static void give_map(struct fake_answer *answer)
{
    bool ok = answer->status == JSFS_OK;

    answer->done.map(answer->arg, answer->status, ok ? answer->chunks : NULL,
                     ok ? answer->count : 0);
}

static void give_and_free(struct fake_answer *answer)
{
    answer->give(answer);
    bytes_unref(answer->bytes);
    free(answer->chunks);
    free(answer);
}

struct fake_call fake_enter(struct fake_store *fake, enum fake_op op,
                            void (*give)(struct fake_answer *answer), void *arg)
{
    struct fake_call call = {calloc(1, sizeof(struct fake_answer)), true, JSFS_OK};
    void (*hook)(void *arg) = NULL;
    void *hook_arg = NULL;

    if (call.answer == NULL)
        abort();
    call.answer->fake = fake;
    call.answer->op = op;
    call.answer->give = give;
    call.answer->arg = arg;
    pthread_mutex_lock(&fake->lock);
    fake->calls[op]++;
    hook = fake->hooks[op].call;
    hook_arg = fake->hooks[op].arg;
    fake->hooks[op].call = NULL;
    if (hook != NULL) {
        pthread_mutex_unlock(&fake->lock);
        hook(hook_arg);
        pthread_mutex_lock(&fake->lock);
    }
    if (fake->failures[op].count > 0) {
        fake->failures[op].count--;
        call.work = fake->failures[op].done;
        call.status = fake->failures[op].status;
    } else if (fake->closed || fake->vanished) {
        call.work = false;
        call.status = fake->closed ? JSFS_INTERRUPTED : JSFS_NOT_FOUND;
    }
    return call;
}

static void give_on_executor(void *arg)
{
    struct fake_answer *answer = arg;
    struct fake_store *fake = answer->fake;

    give_and_free(answer);
    SCOPED_LOCK(&fake->lock);
    fake->on_executor--;
    pthread_cond_broadcast(&fake->idle);
}

void fake_answer_send(struct fake_store *fake, struct fake_answer *answer)
{
    struct executor *executor;

    pthread_mutex_lock(&fake->lock);
    executor = fake->executor;
    if (executor != NULL)
        fake->on_executor++;
    pthread_mutex_unlock(&fake->lock);
    if (executor != NULL)
        executor_run(executor, give_on_executor, answer);
    else
        give_and_free(answer);
}

void fake_leave(struct fake_store *fake, struct fake_call *call)
{
    struct fake_answer *answer = call->answer;
    bool hold = fake->holding[answer->op] && !fake->closed;

    if (call->status != JSFS_OK)
        answer->status = call->status;
    if (hold) {
        struct fake_answer **at = &fake->held;

        while (*at != NULL)
            at = &(*at)->next;
        *at = answer;
    }
    pthread_mutex_unlock(&fake->lock);
    fake_events_deliver(fake, false);
    if (!hold)
        fake_answer_send(fake, answer);
}

/* Operations ------------------------------------------------------------------------------- */

static void lookup(struct store *store, const char *name, bool leader,
                   store_entry_done *done, void *arg)
{
    struct fake_store *fake = fake_of(store);
    struct fake_call call = fake_enter(fake, FAKE_LOOKUP, give_entry, arg);
    struct fake_message *message = fake_newest_locked(fake, name);

    (void)leader;
    call.answer->done.entry = done;
    if (message == NULL)
        call.answer->status = JSFS_NOT_FOUND;
    else
        call.answer->entry = &message->entry;
    fake_leave(fake, &call);
}

static void fill_info(struct fake_store *fake, struct js_stream_info *info)
{
    *info = fake->info;
    info->last_sequence = fake->count;
    info->first_sequence = fake->count + 1;
    for (size_t i = fake->count; i-- > 0;) {
        const struct fake_message *message = fake->messages[i];

        if (message->forgotten)
            continue;
        info->messages++;
        info->first_sequence = message->entry.sequence;
        info->bytes += message->bytes == NULL ? 0 : message->bytes->size;
        if (message->kind == FAKE_NAME &&
            fake_newest_locked(fake, message->name) == message)
            info->subjects++;
    }
}

static void info(struct store *store, store_info_done *done, void *arg)
{
    struct fake_store *fake = fake_of(store);
    struct fake_call call = fake_enter(fake, FAKE_INFO, give_info, arg);

    call.answer->done.info = done;
    fill_info(fake, &call.answer->info);
    fake_leave(fake, &call);
}

static void next(struct store *store, uint64_t sequence, store_write_done *done, void *arg)
{
    struct fake_store *fake = fake_of(store);
    struct fake_call call = fake_enter(fake, FAKE_NEXT, fake_give_write, arg);

    call.answer->done.write = done;
    call.answer->status = JSFS_NOT_FOUND;
    for (size_t i = fake->count; i-- > 0 && fake->messages[i]->entry.sequence >= sequence;) {
        if (fake->messages[i]->forgotten || fake->messages[i]->kind != FAKE_NAME)
            continue;
        call.answer->status = JSFS_OK;
        call.answer->sequence = fake->messages[i]->entry.sequence;
    }
    fake_leave(fake, &call);
}

enum jsfs_status fake_check_locked(struct fake_store *fake, const char *name,
                                   const struct store_write *write)
{
    const struct fake_message *message = fake_newest_locked(fake, name);
    uint64_t sequence = message == NULL ? 0 : message->entry.sequence;
    bool lives = message != NULL && (message->entry.state == STORE_LIVE ||
                                     message->entry.state == STORE_CORRUPT);

    switch (write->expect) {
    case STORE_EXPECT_ANY: return JSFS_OK;
    case STORE_EXPECT_ABSENT: return lives ? JSFS_EXISTS : JSFS_OK;
    case STORE_EXPECT_AT: return sequence == write->sequence ? JSFS_OK : JSFS_CONFLICT;
    }
    abort();
}

/* What a full store does instead of a tombstone. */
static void remove_purge_locked(struct fake_store *fake, const char *name,
                                const struct store_write *write,
                                struct fake_answer *answer)
{
    struct fake_message *message = fake_newest_locked(fake, name);
    struct fake_message purged = {.name = message->name};

    answer->sequence = message->entry.sequence;
    purged.entry.state = STORE_PURGED;
    purged.entry.sequence = message->entry.sequence;
    purged.entry.own_token = write->token;
    fake_forget_locked(fake, message);
    fake_event_push_locked(fake, EVENT_ENTRY, false, JSFS_OK, &purged);
}

static void remove_tombstone_locked(struct fake_store *fake, const char *name,
                                    const struct store_write *write,
                                    struct fake_answer *answer)
{
    struct object_meta meta = {
        .name = (char *)name, .nuid = (char *)"tombstone", .deleted = true};
    bool object = fake->store.ops->kind == STORE_OBJECT;

    answer->sequence = fake_append_locked(fake, FAKE_NAME, name, STORE_DELETED,
                                          object ? &meta : NULL, NULL, write->token);
}

static void remove_name(struct store *store, const char *name,
                        const struct store_write *write, store_write_done *done,
                        void *arg)
{
    struct fake_store *fake = fake_of(store);
    struct fake_call call = fake_enter(fake, FAKE_REMOVE, fake_give_write, arg);
    struct store_write absent = {.expect = STORE_EXPECT_ABSENT};

    call.answer->done.write = done;
    call.answer->status = fake_check_locked(fake, name, write);
    if (call.answer->status == JSFS_OK && fake_check_locked(fake, name, &absent) == JSFS_OK)
        call.answer->status = JSFS_NOT_FOUND;
    if (call.work && call.answer->status == JSFS_OK && fake->full)
        remove_purge_locked(fake, name, write, call.answer);
    else if (call.work && call.answer->status == JSFS_OK)
        remove_tombstone_locked(fake, name, write, call.answer);
    fake_leave(fake, &call);
}

static struct fake_message *kept_at_locked(struct fake_store *fake, uint64_t sequence)
{
    if (sequence < 1 || sequence > fake->count || fake->messages[sequence - 1]->forgotten)
        return NULL;
    return fake->messages[sequence - 1];
}

static void answer_message(struct fake_answer *answer, const struct fake_message *message)
{
    if (message == NULL) {
        answer->status = JSFS_STALE;
        return;
    }
    answer->sequence = message->entry.sequence;
    answer->bytes =
        message->bytes == NULL ? bytes_copy(NULL, 0) : bytes_ref(message->bytes);
}

static void value_get(struct store *store, const char *name, uint64_t revision,
                      store_bytes_done *done, void *arg)
{
    struct fake_store *fake = fake_of(store);
    struct fake_call call = fake_enter(fake, FAKE_VALUE_GET, give_bytes, arg);
    struct fake_message *message = kept_at_locked(fake, revision);

    call.answer->done.bytes = done;
    if (message != NULL &&
        (message->kind != FAKE_NAME || strcmp(message->name, name) != 0))
        message = NULL;
    answer_message(call.answer, message);
    fake_leave(fake, &call);
}

static void chunk_get(struct store *store, const char *nuid, uint64_t sequence,
                      store_bytes_done *done, void *arg)
{
    struct fake_store *fake = fake_of(store);
    struct fake_call call = fake_enter(fake, FAKE_CHUNK_GET, give_bytes, arg);
    struct fake_message *message = kept_at_locked(fake, sequence);

    call.answer->done.bytes = done;
    if (message != NULL &&
        (message->kind != FAKE_CHUNK || strcmp(message->name, nuid) != 0))
        call.answer->status = JSFS_CONFLICT;
    else
        answer_message(call.answer, message);
    fake_leave(fake, &call);
}

static bool is_chunk(const struct fake_message *message, const char *nuid)
{
    return message->kind == FAKE_CHUNK && !message->forgotten &&
           strcmp(message->name, nuid) == 0;
}

static void chunk_first(struct store *store, const char *nuid, store_bytes_done *done,
                        void *arg)
{
    struct fake_store *fake = fake_of(store);
    struct fake_call call = fake_enter(fake, FAKE_CHUNK_FIRST, give_bytes, arg);
    struct fake_message *found = NULL;

    call.answer->done.bytes = done;
    for (size_t i = 0; i < fake->count && found == NULL; i++) {
        if (is_chunk(fake->messages[i], nuid))
            found = fake->messages[i];
    }
    answer_message(call.answer, found);
    fake_leave(fake, &call);
}

static void chunk_last(struct store *store, const char *nuid, store_bytes_done *done,
                       void *arg)
{
    struct fake_store *fake = fake_of(store);
    struct fake_call call = fake_enter(fake, FAKE_CHUNK_LAST, give_bytes, arg);
    struct fake_message *found = NULL;

    call.answer->done.bytes = done;
    for (size_t i = fake->count; i-- > 0 && found == NULL;) {
        if (is_chunk(fake->messages[i], nuid))
            found = fake->messages[i];
    }
    answer_message(call.answer, found);
    fake_leave(fake, &call);
}

static void chunk_map(struct store *store, const char *nuid, store_map_done *done,
                      void *arg)
{
    struct fake_store *fake = fake_of(store);
    struct fake_call call = fake_enter(fake, FAKE_CHUNK_MAP, give_map, arg);
    struct fake_answer *answer = call.answer;

    answer->done.map = done;
    answer->chunks = calloc(fake->count + 1, sizeof(struct store_chunk));
    if (answer->chunks == NULL)
        abort();
    for (size_t i = 0; i < fake->count; i++) {
        const struct fake_message *message = fake->messages[i];

        if (is_chunk(message, nuid) && message->bytes->size > 0)
            answer->chunks[answer->count++] = (struct store_chunk){
                message->entry.sequence, (uint32_t)message->bytes->size};
    }
    if (answer->count == 0)
        answer->status = JSFS_STALE;
    fake_leave(fake, &call);
}

static void chunk_put(struct store *store, const char *nuid, struct bytes *chunk,
                      store_write_done *done, void *arg)
{
    struct fake_store *fake = fake_of(store);
    struct fake_call call = fake_enter(fake, FAKE_CHUNK_PUT, fake_give_write, arg);

    call.answer->done.write = done;
    if (chunk->size > fake->message_max)
        call.answer->status = JSFS_TOO_LARGE;
    else if (call.work)
        call.answer->sequence =
            fake_append_locked(fake, FAKE_CHUNK, nuid, STORE_LIVE, NULL, chunk, 0);
    fake_leave(fake, &call);
}

static void meta_put(struct store *store, const struct object_meta *meta,
                     const struct store_write *write, store_write_done *done, void *arg)
{
    struct fake_store *fake = fake_of(store);
    struct fake_call call = fake_enter(fake, FAKE_META_PUT, fake_give_write, arg);

    call.answer->done.write = done;
    call.answer->status = fake_check_locked(fake, meta->name, write);
    if (call.work && call.answer->status == JSFS_OK)
        call.answer->sequence = fake_append_locked(
            fake, FAKE_NAME, meta->name, meta->deleted ? STORE_DELETED : STORE_LIVE, meta,
            NULL, write->token);
    fake_leave(fake, &call);
}

static void chunks_purge(struct store *store, const char *nuid, store_done *done,
                         void *arg)
{
    struct fake_store *fake = fake_of(store);
    struct fake_call call = fake_enter(fake, FAKE_CHUNKS_PURGE, give_plain, arg);

    call.answer->done.plain = done;
    for (size_t i = 0; call.work && i < fake->count; i++) {
        if (is_chunk(fake->messages[i], nuid))
            fake_forget_locked(fake, fake->messages[i]);
    }
    fake_leave(fake, &call);
}

static size_t message_max(struct store *store)
{
    struct fake_store *fake = fake_of(store);
    SCOPED_LOCK(&fake->lock);

    return fake->message_max;
}

static void close_store(struct store *store)
{
    struct fake_store *fake = fake_of(store);
    struct fake_answer *held;

    if (fake_store_is_watched(fake))
        fake_unwatch(store);
    pthread_mutex_lock(&fake->lock);
    fake->closed = true;
    held = fake->held;
    fake->held = NULL;
    pthread_mutex_unlock(&fake->lock);
    while (held != NULL) {
        struct fake_answer *next = held->next;

        held->status = JSFS_INTERRUPTED;
        give_and_free(held);
        held = next;
    }
    pthread_mutex_lock(&fake->lock);
    while (fake->on_executor > 0)
        pthread_cond_wait(&fake->idle, &fake->lock);
    pthread_mutex_unlock(&fake->lock);
}

const struct store_ops fake_kv_ops = {.kind = STORE_KV,
                                      .watch = fake_watch,
                                      .unwatch = fake_unwatch,
                                      .lookup = lookup,
                                      .info = info, .next = next,
                                      .remove = remove_name,
                                      .value_get = value_get,
                                      .value_put = fake_value_put,
                                      .batch = fake_batch,
                                      .message_max = message_max,
                                      .close = close_store};

const struct store_ops fake_object_ops = {.kind = STORE_OBJECT,
                                          .watch = fake_watch,
                                          .unwatch = fake_unwatch,
                                          .lookup = lookup,
                                          .info = info, .next = next,
                                          .remove = remove_name,
                                          .chunk_get = chunk_get,
                                          .chunk_first = chunk_first,
                                          .chunk_last = chunk_last,
                                          .chunk_map = chunk_map,
                                          .chunk_put = chunk_put,
                                          .meta_put = meta_put,
                                          .chunks_purge = chunks_purge,
                                          .message_max = message_max,
                                          .close = close_store};
