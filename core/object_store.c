/* SPDX-License-Identifier: Apache-2.0 */
/* object_store.c - an object store on the wire: its metas by name, and the watch.
 * Layer 3. Chunks are object_chunks.c and object_map.c, changes object_change.c.
 *
 * Other clients write a name's meta under other subjects than the canonical one (object_encoding).
 * A live meta on the canonical subject wins; else the newest message of all its subjects.
 */
#include "core/object_store.h"
#include "core/cleanup.h"
#include "core/direct_get.h"
#include "core/js_api.h"
#include "core/object_private.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lookup {
    struct store_op op;
    store_entry_done *done;
    void *arg;
    char *name;
    char *subject; /* that is asked now */
    bool leader;
    enum object_encoding encoding; /* of subject */
    bool found;
    struct store_entry best; /* so far */
    struct object_meta *meta;
};

static void end_lookup(struct store_op *op, enum jsfs_status status)
{
    struct lookup *lookup = (struct lookup *)op;

    lookup->done(lookup->arg, status, NULL);
}

static void destroy_lookup(struct store_op *op)
{
    struct lookup *lookup = (struct lookup *)op;

    object_meta_free(lookup->meta);
    free(lookup->name);
    free(lookup->subject);
    free(lookup);
}

static void finish(struct lookup *lookup, enum jsfs_status status)
{
    if (status == JSFS_OK && !lookup->found)
        status = JSFS_NOT_FOUND;
    if (store_op_claim(&lookup->op))
        lookup->done(lookup->arg, status, status == JSFS_OK ? &lookup->best : NULL);
    store_op_release(&lookup->op);
}

static void got_direct(void *arg, enum jsfs_status status,
                       const struct direct_message *message);
static void got_leader(void *arg, enum jsfs_status status,
                       const struct js_stored_message *message);

static void ask_leader(struct store_core *core, struct lookup *lookup)
{
    js_api_message_last(core->connection, core->stream, lookup->subject, got_leader,
                        lookup);
}

static void ask(struct store_core *core, struct lookup *lookup)
{
    if (lookup->leader || !core->allow_direct)
        ask_leader(core, lookup);
    else
        direct_get_last(core->connection, CONNECTION_CONTROL, core->stream,
                        lookup->subject, got_direct, lookup);
}

/* The next way to write the name that makes another subject, if any is left. */
static void ask_next(struct store_core *core, struct lookup *lookup)
{
    const struct object_store *store = (struct object_store *)core;
    CLEANUP(cleanup_free) char *canonical = NULL;
    enum jsfs_status status =
        object_meta_subject(store, lookup->name, OBJECT_CANONICAL, &canonical);

    while (status == JSFS_OK && ++lookup->encoding < OBJECT_ENCODINGS) {
        free(lookup->subject);
        lookup->subject = NULL;
        status =
            object_meta_subject(store, lookup->name, lookup->encoding, &lookup->subject);
        if (status == JSFS_OK && strcmp(lookup->subject, canonical) != 0) {
            ask(core, lookup);
            return;
        }
    }
    finish(lookup, status);
}

/* Take an answer into account; a message whose JSON has another name is another object's. */
static void consider(struct store_core *core, struct lookup *lookup,
                     const struct object_message *message)
{
    struct store_entry entry;
    CLEANUP(cleanup_object_meta) struct object_meta *meta = NULL;

    enum jsfs_status status = object_read_entry(message, &entry, &meta);
    if (status != JSFS_OK) {
        finish(lookup, status);
        return;
    }
    bool ours = meta == NULL || strcmp(meta->name, lookup->name) == 0;
    if (ours && (!lookup->found || entry.sequence > lookup->best.sequence)) {
        struct object_meta *worse = lookup->meta;
        lookup->found = true;
        lookup->best = entry;
        lookup->meta = meta;
        meta = worse;
    }
    if (ours && (entry.state == STORE_LIVE || entry.state == STORE_CORRUPT) &&
        lookup->encoding == OBJECT_CANONICAL)
        finish(lookup, JSFS_OK);
    else
        ask_next(core, lookup);
}

static void got_leader(void *arg, enum jsfs_status status,
                       const struct js_stored_message *stored)
{
    struct lookup *lookup = arg;
    struct store_core *core = store_op_enter(&lookup->op);

    if (core == NULL)
        return;
    if (lookup->encoding == OBJECT_CANONICAL &&
        (status == JSFS_OK || status == JSFS_NOT_FOUND))
        own_writes_seen(&core->own_writes, lookup->name,
                        status == JSFS_OK ? stored->sequence : UINT64_MAX);
    if (status == JSFS_OK) {
        struct object_headers headers;
        struct object_message message = object_leader_message(stored, &headers);
        consider(core, lookup, &message);
    } else if (status == JSFS_NOT_FOUND) {
        ask_next(core, lookup);
    } else {
        finish(lookup, status);
    }
    store_op_leave(core);
}

/* As in kv_store.c: a replica's answer counts unless it is older than our own last write. */
static void got_direct(void *arg, enum jsfs_status status,
                       const struct direct_message *stored)
{
    struct lookup *lookup = arg;
    struct store_core *core = store_op_enter(&lookup->op);

    if (core == NULL)
        return;
    uint64_t own = lookup->encoding == OBJECT_CANONICAL
                       ? own_writes_sequence(&core->own_writes, lookup->name)
                       : 0;
    if (status == JSFS_UNAVAILABLE || status == JSFS_TIMEOUT ||
        (status == JSFS_NOT_FOUND && own > 0) ||
        (status == JSFS_OK && stored->sequence < own)) {
        ask_leader(core, lookup);
    } else if (status == JSFS_OK) {
        struct object_message message = {stored->bytes->data, stored->bytes->size,
                                         stored->sequence,    stored->time_ns,
                                         stored->marker,      stored->message_id};
        own_writes_seen(&core->own_writes, lookup->name, own);
        consider(core, lookup, &message);
    } else if (status == JSFS_NOT_FOUND) {
        ask_next(core, lookup);
    } else {
        finish(lookup, status);
    }
    store_op_leave(core);
}

static void look_up(struct store *store, const char *name, bool leader,
                    store_entry_done *done, void *arg)
{
    struct store_core *core = (struct store_core *)store;
    char *subject = NULL;
    enum jsfs_status status = object_meta_subject((struct object_store *)store, name,
                                                  OBJECT_CANONICAL, &subject);
    struct lookup *lookup = status == JSFS_OK ? calloc(1, sizeof(*lookup)) : NULL;
    char *copy = strdup(name);

    if (lookup == NULL || copy == NULL) {
        free(subject);
        free(lookup);
        free(copy);
        if (status == JSFS_BAD_NAME || status == JSFS_NOT_UTF8)
            status = JSFS_NOT_FOUND; /* such a name was never stored */
        done(arg, status != JSFS_OK ? status : JSFS_NO_MEMORY, NULL);
        return;
    }
    *lookup = (struct lookup){
        .op = {.end = end_lookup, .destroy = destroy_lookup},
        .done = done,
        .arg = arg,
        .name = copy,
        .subject = subject,
        .leader = leader
    };
    if (!store_op_start(core, &lookup->op))
        return;
    ask(core, lookup);
    store_op_leave(core);
}

/* --- the watch ------------------------------------------------------------------------------- */

static bool is_canonical(const struct object_store *store, const char *name,
                         const char *subject)
{
    CLEANUP(cleanup_free) char *canonical = NULL;

    return object_meta_subject(store, name, OBJECT_CANONICAL, &canonical) == JSFS_OK &&
           strcmp(canonical, subject) == 0;
}

static void begin_list(struct store_core *core, bool full)
{
    if (full)
        name_set_clear(&((struct object_store *)core)->canonical);
}

static void take_message(struct store_core *core, const struct watcher_message *message)
{
    struct object_store *store = (struct object_store *)core;
    struct object_message stored = {message->data,     message->size,
                                    message->sequence, message->time_ns,
                                    message->marker,   message->message_id};
    CLEANUP(cleanup_object_meta) struct object_meta *meta = NULL;
    CLEANUP(cleanup_free) char *decoded = NULL;
    size_t prefix_size = strlen(store->meta_prefix);
    struct store_entry entry;

    if (strncmp(message->subject, store->meta_prefix, prefix_size) != 0)
        return;
    if (object_read_entry(&stored, &entry, &meta) != JSFS_OK || meta == NULL)
        decoded = object_name_of_token(message->subject + prefix_size);
    const char *name = meta != NULL ? meta->name : decoded;
    if (name == NULL)
        return; /* without memory; a lookup tells */

    if (is_canonical(store, name, message->subject)) {
        name_set_put(&store->canonical, name, entry.state == STORE_LIVE);
        own_writes_seen(&core->own_writes, name, entry.sequence);
    } else if (name_set_has(&store->canonical, name)) {
        return;
    }
    core->events.entry(core->events_arg, name, &entry);
}

static void watch(struct store *store, const struct store_watch_events *events, void *arg)
{
    store_core_watch((struct store_core *)store, false, events, arg);
}

static void unwatch(struct store *store)
{
    store_core_unwatch((struct store_core *)store);
}

static size_t message_max(struct store *store)
{
    return store_core_message_max((struct store_core *)store);
}

static void close_store(struct store *store)
{
    store_core_close((struct store_core *)store);
}

static void destroy(struct store_core *core)
{
    struct object_store *store = (struct object_store *)core;

    name_set_clear(&store->canonical);
    free(store);
}

static const struct store_ops object_ops = {
    .kind = STORE_OBJECT,
    .watch = watch,
    .unwatch = unwatch,
    .lookup = look_up,
    .info = store_core_info,
    .next = store_core_next,
    .describe = store_core_describe,
    .configure = store_core_configure,
    .remove = object_remove,
    .chunk_get = object_chunk_get,
    .chunk_first = object_chunk_first,
    .chunk_last = object_chunk_last,
    .chunk_map = object_chunk_map,
    .chunk_put = object_chunk_put,
    .meta_put = object_meta_put,
    .chunks_purge = object_chunks_purge,
    .message_max = message_max,
    .close = close_store,
};

struct store *object_store_open(struct connection *connection,
                                const struct js_stream_info *info)
{
    struct object_store *store = calloc(1, sizeof(*store));

    if (store == NULL)
        return NULL;
    struct store_core *core = &store->core;
    store_core_init(core, connection, info, "OBJ_", "$O.");
    snprintf(store->meta_prefix, sizeof(store->meta_prefix), "%sM.", core->prefix);
    snprintf(core->filter, sizeof(core->filter), "%s>", store->meta_prefix);
    snprintf(store->chunk_prefix, sizeof(store->chunk_prefix), "%sC.", core->prefix);
    snprintf(store->bucket, sizeof(store->bucket), "%.*s",
             (int)(strlen(core->prefix) - strlen("$O..")), core->prefix + strlen("$O."));
    core->store.ops = &object_ops;
    core->rolls_up = true; /* metas do; a few older ones do not hurt */
    core->message = take_message;
    core->begin = begin_list;
    core->destroy = destroy;
    return &core->store;
}
