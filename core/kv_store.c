/* SPDX-License-Identifier: Apache-2.0 */
/* kv_store.c - a KV bucket on the wire: entries by direct get, writes by publication, the watch.
 * Layer 3.
 */
#include "core/kv_store.h"
#include "core/buffer.h"
#include "core/cleanup.h"
#include "core/direct_get.h"
#include "core/header_block.h"
#include "core/js_api.h"
#include "core/js_time.h"
#include "core/kv_private.h"
#include "core/kv_sources.h"
#include "core/name_codec.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for the headers that a put can carry [bytes]. */
enum { PUT_HEADERS_SIZE = 192, HEADER_SIZE = 64 };

/* A lookup, or a value by revision. */
struct get_op {
    struct store_op op;
    store_entry_done *entry_done; /* of lookup */
    store_bytes_done *bytes_done; /* of value_get */
    void *arg;
    char *name;
    char *subject;
    uint64_t revision; /* of value_get */
    bool foreign;      /* a lookup under the subject of a source: no write of ours is there */
    bool at_origin;    /* a mirror's origin has been asked */
};

struct put {
    struct store_core *core;
    store_write_done *done;
    void *arg;
    char name[];
};

enum jsfs_status kv_subject_of(const char *prefix, const char *name, char **subject)
{
    if (!name_is_legal_key(name, strlen(name)))
        return JSFS_BAD_NAME;
    if (strlen(prefix) + strlen(name) > STORE_CORE_SUBJECT_MAX)
        return JSFS_NAME_TOO_LONG;
    return asprintf(subject, "%s%s", prefix, name) < 0 ? JSFS_NO_MEMORY : JSFS_OK;
}

enum store_state kv_state_of(const char *operation, const char *marker)
{
    if (operation != NULL && *operation != '\0') {
        if (strcmp(operation, "DEL") == 0)
            return STORE_DELETED;
        return strcmp(operation, "PURGE") == 0 ? STORE_PURGED : STORE_LIVE;
    }
    if (marker == NULL)
        return STORE_LIVE;
    if (strcmp(marker, "MaxAge") == 0 || strcmp(marker, "Purge") == 0)
        return STORE_PURGED;
    return strcmp(marker, "Remove") == 0 ? STORE_DELETED : STORE_LIVE;
}

/* Servers before 2.11, and buckets that do not allow it, store a Nats-TTL and do not heed it. */
static int64_t expires_ns(const struct store_core *core, int64_t time_ns, const char *ttl)
{
    int64_t ttl_ns = atomic_load(&core->heeds_ttl) ? js_time_ttl(ttl) : 0;

    if (ttl_ns == 0 || ttl_ns == INT64_MAX)
        return ttl_ns;
    return ttl_ns < INT64_MAX - time_ns ? time_ns + ttl_ns : INT64_MAX;
}

struct store_entry kv_entry_of(enum store_state state, uint64_t sequence, int64_t time_ns,
                               uint64_t size_bytes, const char *message_id)
{
    return (struct store_entry){
        .state = state,
        .sequence = sequence,
        .modified_ns = time_ns,
        .size_bytes = state == STORE_LIVE ? size_bytes : 0,
        .own_token = store_message_token(message_id),
    };
}

/* A header of a stored message, or NULL. */
static const char *header_of(const struct js_stored_message *message, const char *name,
                             char out[HEADER_SIZE])
{
    return header_block_copy(message->headers, message->headers_size, name, out,
                             HEADER_SIZE)
               ? out
               : NULL;
}

enum store_state kv_stored_state(const struct js_stored_message *message)
{
    char operation[HEADER_SIZE], marker[HEADER_SIZE];

    return kv_state_of(header_of(message, "KV-Operation", operation),
                    header_of(message, "Nats-Marker-Reason", marker));
}

static bool is_live(const struct js_stored_message *message)
{
    return kv_stored_state(message) == STORE_LIVE;
}

/* --- lookup and value_get --------------------------------------------------------------------- */

static void end_get(struct store_op *op, enum jsfs_status status)
{
    struct get_op *get = (struct get_op *)op;

    if (get->entry_done != NULL)
        get->entry_done(get->arg, status, NULL);
    else
        get->bytes_done(get->arg, status, NULL, 0);
}

static void destroy_get(struct store_op *op)
{
    struct get_op *get = (struct get_op *)op;

    free(get->name);
    free(get->subject);
    free(get);
}

static void finish_entry(struct get_op *get, enum jsfs_status status,
                         const struct store_entry *entry)
{
    if (status == JSFS_OK && !get->foreign)
        own_writes_seen(&get->op.core->own_writes, get->name, entry->sequence);
    if (store_op_claim(&get->op))
        get->entry_done(get->arg, status, status == JSFS_OK ? entry : NULL);
    store_op_release(&get->op);
}

static void finish_value(struct get_op *get, enum jsfs_status status, struct bytes *bytes)
{
    if (store_op_claim(&get->op))
        get->bytes_done(get->arg, status, status == JSFS_OK ? bytes : NULL,
                        status == JSFS_OK ? get->revision : 0);
    store_op_release(&get->op);
}

/* The least sequence that an answer must have to be no older than our own last write. */
static uint64_t own_sequence(struct store_core *core, const struct get_op *get)
{
    return get->foreign ? 0 : own_writes_sequence(&core->own_writes, get->name);
}

/* A mirror lags behind what we wrote to its origin. */
static bool must_ask_origin(struct store_core *core, const struct get_op *get,
                            enum jsfs_status status, uint64_t sequence)
{
    uint64_t own = core->mirror && !get->at_origin ? own_sequence(core, get) : 0;

    return own > 0 && (status == JSFS_NOT_FOUND || (status == JSFS_OK && sequence < own));
}

static void got_leader_entry(void *arg, enum jsfs_status status,
                             const struct js_stored_message *message)
{
    struct get_op *get = arg;
    struct store_core *core = store_op_enter(&get->op);
    struct store_entry entry = {0};
    char id[HEADER_SIZE], ttl[HEADER_SIZE];

    if (core == NULL)
        return;
    if (status == JSFS_OK) {
        entry = kv_entry_of(kv_stored_state(message), message->sequence, message->time_ns,
                            message->size, header_of(message, "Nats-Msg-Id", id));
        entry.expires_ns =
            expires_ns(core, message->time_ns, header_of(message, "Nats-TTL", ttl));
    }
    if (must_ask_origin(core, get, status, entry.sequence)) {
        get->at_origin = true;
        js_api_origin_last(core->connection, core->origin_api, core->origin, get->subject,
                           got_leader_entry, get);
    } else {
        /* the leader knows: what we wrote was purged or expired */
        if (status == JSFS_NOT_FOUND && !get->foreign)
            own_writes_seen(&core->own_writes, get->name, UINT64_MAX);
        finish_entry(get, status, &entry);
    }
    store_op_leave(core);
}

/* A replica's answer counts when it is not older than our own last write. No answer and "nobody
 * there" are the leader's to explain: the stream may be gone, or have no direct get. */
static void got_entry(void *arg, enum jsfs_status status,
                      const struct direct_message *message)
{
    struct get_op *get = arg;
    struct store_core *core = store_op_enter(&get->op);

    if (core == NULL)
        return;
    uint64_t own = own_sequence(core, get);
    bool ask_leader = status == JSFS_UNAVAILABLE || status == JSFS_TIMEOUT ||
                      (status == JSFS_NOT_FOUND && own > 0) ||
                      (status == JSFS_OK && message->sequence < own);
    struct store_entry entry = {0};
    if (status == JSFS_OK) {
        entry = kv_entry_of(kv_state_of(message->operation, message->marker),
                            message->sequence, message->time_ns, message->bytes->size,
                            message->message_id);
        entry.expires_ns = expires_ns(core, message->time_ns, message->ttl);
    }
    if (ask_leader)
        js_api_message_last(core->connection, core->stream, get->subject,
                            got_leader_entry, get);
    else
        finish_entry(get, status, &entry);
    store_op_leave(core);
}

/* Is a message one of this key? A source's has another subject. */
static bool is_of(const struct store_core *core, const struct get_op *get,
                  const char *subject)
{
    const char *name = kv_sources_name(core, subject);

    return name != NULL && strcmp(name, get->name) == 0;
}

static void got_leader_value(void *arg, enum jsfs_status status,
                             const struct js_stored_message *message)
{
    struct get_op *get = arg;
    struct store_core *core = store_op_enter(&get->op);
    CLEANUP(cleanup_bytes) struct bytes *bytes = NULL;

    if (core == NULL)
        return;
    if (status == JSFS_NOT_FOUND && core->mirror && !get->at_origin) {
        get->at_origin = true; /* a write of ours that the mirror has not copied yet */
        js_api_origin_at(core->connection, core->origin_api, core->origin, get->revision,
                         got_leader_value, get);
        store_op_leave(core);
        return;
    }
    if (status == JSFS_NOT_FOUND || (status == JSFS_OK && !is_of(core, get, message->subject))) {
        status = JSFS_STALE;
    } else if (status == JSFS_OK) {
        bytes = bytes_copy(message->data, message->size);
        status = bytes != NULL ? JSFS_OK : JSFS_NO_MEMORY;
    }
    finish_value(get, status, bytes);
    store_op_leave(core);
}

static void got_value(void *arg, enum jsfs_status status,
                      const struct direct_message *message)
{
    struct get_op *get = arg;
    struct store_core *core = store_op_enter(&get->op);

    if (core == NULL)
        return;
    if (status == JSFS_NOT_FOUND || status == JSFS_UNAVAILABLE || status == JSFS_TIMEOUT)
        js_api_message_at(core->connection, core->stream, get->revision, got_leader_value,
                          get);
    else if (status == JSFS_OK && !is_of(core, get, message->subject))
        finish_value(get, JSFS_STALE, NULL);
    else
        finish_value(get, status, status == JSFS_OK ? message->bytes : NULL);
    store_op_leave(core);
}

/* Open a get under a prefix; on failure it has ended and NULL is returned. */
static struct get_op *start_get(struct store_core *core, const char *prefix,
                                const char *name, const struct get_op *values)
{
    struct get_op *get = calloc(1, sizeof(*get));
    enum jsfs_status status = JSFS_NO_MEMORY;

    if (get != NULL) {
        *get = *values;
        get->op = (struct store_op){.end = end_get, .destroy = destroy_get};
        get->name = strdup(name);
        if (get->name != NULL)
            status = kv_subject_of(prefix, name, &get->subject);
    }
    if (status == JSFS_OK)
        return store_op_start(core, &get->op) ? get : NULL;

    struct get_op failed = *values;
    /* What is no key was never stored. */
    end_get(&failed.op, status == JSFS_BAD_NAME ? JSFS_NOT_FOUND : status);
    if (get != NULL) {
        free(get->name);
        free(get);
    }
    return NULL;
}

void kv_store_lookup_under(struct store_core *core, const char *prefix, const char *name,
                           bool leader, store_entry_done *done, void *arg)
{
    bool foreign = strcmp(prefix, core->prefix) != 0;
    struct get_op *get =
        start_get(core, prefix, name,
                  &(struct get_op){.entry_done = done, .arg = arg, .foreign = foreign});

    if (get == NULL)
        return;
    if (leader || !core->allow_direct)
        js_api_message_last(core->connection, core->stream, get->subject,
                            got_leader_entry, get);
    else
        direct_get_last(core->connection, store_core_link(core), core->stream,
                        get->subject, got_entry, get);
    store_op_leave(core);
}

static void lookup(struct store *store, const char *name, bool leader,
                   store_entry_done *done, void *arg)
{
    struct store_core *core = (struct store_core *)store;

    if (core->sources[0] != '\0')
        kv_sources_lookup(core, name, leader, done, arg);
    else
        kv_store_lookup_under(core, core->prefix, name, leader, done, arg);
}

static void value_get(struct store *store, const char *name, uint64_t revision,
                      store_bytes_done *done, void *arg)
{
    struct store_core *core = (struct store_core *)store;
    struct get_op *get =
        start_get(core, core->prefix, name,
                  &(struct get_op){.bytes_done = done, .arg = arg, .revision = revision});

    if (get == NULL)
        return;
    if (core->allow_direct)
        direct_get_at(core->connection, store_core_link(core), core->stream, revision,
                      got_value, get);
    else
        js_api_message_at(core->connection, core->stream, revision, got_leader_value,
                          get);
    store_op_leave(core);
}

/* --- value_put and remove ---------------------------------------------------------------------- */

static void stored(void *arg, enum jsfs_status status, uint64_t sequence)
{
    struct put *put = arg;

    if (status == JSFS_OK)
        own_writes_note(&put->core->own_writes, put->name, sequence);
    put->done(put->arg, status, sequence);
    free(put);
}

void kv_store_publish(struct store_core *core, const char *name,
                      const struct publication *p, store_write_done *done, void *arg)
{
    CLEANUP(cleanup_free) char *subject = NULL;
    size_t size = strlen(name) + 1;
    struct publication publication = *p;
    enum jsfs_status status = kv_subject_of(core->prefix, name, &subject);
    struct put *put = status == JSFS_OK ? malloc(sizeof(*put) + size) : NULL;

    if (put == NULL) {
        done(arg, status != JSFS_OK ? status : JSFS_NO_MEMORY, 0);
        return;
    }
    *put = (struct put){core, done, arg};
    memcpy(put->name, name, size);
    publication.subject = subject;
    publication.is_live = is_live;
    publication_start(core, &publication, stored, put);
}

void kv_write(struct store *store, const char *name, const struct publication *p,
              store_write_done *done, void *arg)
{
    struct store_core *core = (struct store_core *)store;

    if (core->sources[0] == '\0' || core->read_only || p->write.expect == STORE_EXPECT_ANY)
        kv_store_publish(core, name, p, done, arg);
    else
        kv_sources_publish(core, name, p, done, arg);
}

static void value_put(struct store *store, const char *name, struct bytes *value,
                      const struct store_write *write, store_write_done *done, void *arg)
{
    struct publication p = {.data = value, .write = *write};

    kv_write(store, name, &p, done, arg);
}

static void remove_key(struct store *store, const char *name,
                       const struct store_write *write, store_write_done *done, void *arg)
{
    struct publication p = {
        .header_name = "KV-Operation", .header_value = "DEL", .write = *write};

    kv_write(store, name, &p, done, arg);
}

static size_t message_max(struct store *store)
{
    size_t max = store_core_message_max((struct store_core *)store);

    return max > PUT_HEADERS_SIZE ? max - PUT_HEADERS_SIZE : 0;
}

/* --- the watch ---------------------------------------------------------------------------------- */

static void take_message(struct store_core *core, const struct watcher_message *message)
{
    const char *name = kv_sources_name(core, message->subject);

    if (name == NULL)
        return;
    struct store_entry entry =
        kv_entry_of(kv_state_of(message->operation, message->marker), message->sequence,
                 message->time_ns, message->stored_bytes, message->message_id);
    entry.expired = entry.state == STORE_PURGED && message->operation == NULL &&
                    strcmp(message->marker, "MaxAge") == 0;
    entry.expires_ns = expires_ns(core, message->time_ns, message->ttl);
    own_writes_seen(&core->own_writes, name, message->sequence);
    core->events.entry(core->events_arg, name, &entry);
}

static void watch(struct store *store, const struct store_watch_events *events, void *arg)
{
    store_core_watch((struct store_core *)store, true, events, arg);
}

static void unwatch(struct store *store)
{
    store_core_unwatch((struct store_core *)store);
}

static void close_store(struct store *store)
{
    store_core_close((struct store_core *)store);
}

static void destroy(struct store_core *core)
{
    free(core);
}

static const struct store_ops kv_ops = {
    .kind = STORE_KV,
    .watch = watch,
    .unwatch = unwatch,
    .lookup = lookup,
    .info = store_core_info,
    .next = store_core_next,
    .describe = store_core_describe,
    .configure = store_core_configure,
    .remove = remove_key,
    .value_get = value_get,
    .value_put = value_put,
    .batch = kv_batch,
    .history = kv_history,
    .purge = kv_purge,
    .erase = kv_erase,
    .message_max = message_max,
    .close = close_store,
};

struct store *kv_store_open(struct connection *connection,
                            const struct js_stream_info *info)
{
    struct store_core *core = calloc(1, sizeof(*core));

    if (core == NULL)
        return NULL;
    store_core_init(core, connection, info, "KV_", "$KV.");
    core->store.ops = &kv_ops;
    core->read_only = !core->mirror && !info->has_subjects;
    snprintf(core->filter, sizeof(core->filter), "%s>",
             core->sources[0] == '\0' ? core->prefix : "");
    core->message = take_message;
    core->destroy = destroy;
    return &core->store;
}
