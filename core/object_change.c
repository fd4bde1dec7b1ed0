/* SPDX-License-Identifier: Apache-2.0 */
/* object_change.c - one change of an object's meta: a new meta, a tombstone, a purge.
 * Layer 3, part of the object store.
 *
 * A change is a publication on the canonical subject. Two cases need more:
 * - The version that the caller expects is a foreign client's, on another subject of the name:
 *   the canonical subject's own sequence is expected instead, and the foreign meta is purged
 *   once ours is stored, or the name would have two metas.
 * - A tombstone for a full store: the meta is purged, and the watch is told, since the server
 *   does not tell it.
 */
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/js_api.h"
#include "core/log.h"
#include "core/nuid.h"
#include "core/object_private.h"
#include "core/publication.h"
#include <stdlib.h>
#include <string.h>

struct change {
    struct store_op op;
    store_write_done *done;
    void *arg;
    char *name;
    char *subject; /* the canonical one */
    char *foreign; /* the subject of the version that is replaced, when it is another */
    struct bytes *json;
    struct store_write write;
    bool removes;
    uint64_t sequence; /* of what was stored, or of the meta that is purged */
};

/* What the watch is told of a purge. */
struct purge_note {
    struct store_core *core;
    struct store_entry entry;
    char name[];
};

static void end_change(struct store_op *op, enum jsfs_status status)
{
    struct change *change = (struct change *)op;

    change->done(change->arg, status, 0);
}

static void destroy_change(struct store_op *op)
{
    struct change *change = (struct change *)op;

    bytes_unref(change->json);
    free(change->name);
    free(change->subject);
    free(change->foreign);
    free(change);
}

static void finish(struct change *change, enum jsfs_status status)
{
    if (store_op_claim(&change->op))
        change->done(change->arg, status, status == JSFS_OK ? change->sequence : 0);
    store_op_release(&change->op);
}

/* For EXPECT_ABSENT: a tombstone is nothing, what cannot be read is something. */
static bool is_live(const struct js_stored_message *stored)
{
    struct object_headers headers;
    struct object_message message = object_leader_message(stored, &headers);
    CLEANUP(cleanup_object_meta) struct object_meta *meta = NULL;
    struct store_entry entry;

    return object_read_entry(&message, &entry, &meta) != JSFS_OK ||
           entry.state == STORE_LIVE || entry.state == STORE_CORRUPT;
}

static void got_published(void *arg, enum jsfs_status status, uint64_t sequence);

static void publish(struct store_core *core, struct change *change)
{
    struct publication p = {.subject = change->subject,
                            .header_name = "Nats-Rollup",
                            .header_value = "sub",
                            .data = change->json,
                            .write = change->write,
                            .is_live = is_live};

    publication_start(core, &p, got_published, change);
}

/* --- a foreign version -------------------------------------------------------------------------- */

static void got_canonical(void *arg, enum jsfs_status status,
                          const struct js_stored_message *stored)
{
    struct change *change = arg;
    struct store_core *core = store_op_enter(&change->op);

    if (core == NULL)
        return;
    if (status == JSFS_OK && is_live(stored)) {
        finish(change, JSFS_CONFLICT); /* it is what the name means */
    } else if (status == JSFS_OK || status == JSFS_NOT_FOUND) {
        change->write.sequence = status == JSFS_OK ? stored->sequence : 0;
        publish(core, change);
    } else {
        finish(change, status);
    }
    store_op_leave(core);
}

/* Is it a meta of our name on another subject? */
static bool is_foreign(const struct object_store *store, const struct change *change,
                       const struct js_stored_message *stored)
{
    struct object_headers headers;
    struct object_message message = object_leader_message(stored, &headers);
    CLEANUP(cleanup_object_meta) struct object_meta *meta = NULL;
    struct store_entry entry;

    return strncmp(stored->subject, store->meta_prefix, strlen(store->meta_prefix)) ==
               0 &&
           strcmp(stored->subject, change->subject) != 0 &&
           object_read_entry(&message, &entry, &meta) == JSFS_OK && meta != NULL &&
           strcmp(meta->name, change->name) == 0;
}

static void got_expected(void *arg, enum jsfs_status status,
                         const struct js_stored_message *stored)
{
    struct change *change = arg;
    struct store_core *core = store_op_enter(&change->op);

    if (core == NULL)
        return;
    if (status == JSFS_OK && is_foreign((struct object_store *)core, change, stored)) {
        change->foreign = strdup(stored->subject);
        js_api_message_last(core->connection, core->stream, change->subject,
                            got_canonical, change);
    } else {
        finish(change, JSFS_CONFLICT);
    }
    store_op_leave(core);
}

static void got_foreign_purged(void *arg, enum jsfs_status status)
{
    struct change *change = arg;
    struct store_core *core = store_op_enter(&change->op);

    if (core == NULL)
        return;
    if (status != JSFS_OK) /* ours is newer or canonical: it hides the foreign one */
        jsfs_debug("foreign meta stays stream=%s subject=%s status=\"%s\"", core->stream,
                   change->foreign, jsfs_status_text(status));
    finish(change, JSFS_OK);
    store_op_leave(core);
}

/* --- a full store ------------------------------------------------------------------------------- */

static void tell_purged(void *arg)
{
    struct purge_note *note = arg;

    name_set_put(&((struct object_store *)note->core)->canonical, note->name, false);
    note->core->events.entry(note->core->events_arg, note->name, &note->entry);
    free(note);
}

static void post_purged(struct store_core *core, const struct change *change)
{
    size_t size = strlen(change->name) + 1;
    struct purge_note *note = malloc(sizeof(*note) + size);

    if (note == NULL)
        return;
    *note = (struct purge_note){
        .core = core,
        .entry = {.state = STORE_PURGED,
                  .sequence = change->sequence,
                  .modified_ns = clock_realtime_ns(),
                  .own_token = change->write.token}
    };
    memcpy(note->name, change->name, size);
    store_core_post(core, tell_purged, free, note);
}

static void got_purged(void *arg, enum jsfs_status status)
{
    struct change *change = arg;
    struct store_core *core = store_op_enter(&change->op);

    if (core == NULL)
        return;
    if (status == JSFS_OK)
        post_purged(core, change);
    finish(change, status);
    store_op_leave(core);
}

static void got_to_purge(void *arg, enum jsfs_status status,
                         const struct js_stored_message *stored)
{
    struct change *change = arg;
    struct store_core *core = store_op_enter(&change->op);

    if (core == NULL)
        return;
    if (status != JSFS_OK) {
        finish(change, status == JSFS_NOT_FOUND ? JSFS_CONFLICT : status);
    } else if (change->write.expect == STORE_EXPECT_AT &&
               stored->sequence != change->write.sequence) {
        finish(change, JSFS_CONFLICT);
    } else {
        change->sequence = stored->sequence;
        js_api_stream_purge_async(core->connection, core->stream, change->subject,
                                  got_purged, change);
    }
    store_op_leave(core);
}

/* --- the common way ------------------------------------------------------------------------------- */

static void got_published(void *arg, enum jsfs_status status, uint64_t sequence)
{
    struct change *change = arg;
    struct store_core *core = store_op_enter(&change->op);

    if (core == NULL)
        return;
    if (status == JSFS_OK) {
        change->sequence = sequence;
        own_writes_note(&core->own_writes, change->name, sequence);
    }
    if (status == JSFS_OK && change->foreign != NULL)
        js_api_stream_purge_async(core->connection, core->stream, change->foreign,
                                  got_foreign_purged, change);
    else if (status == JSFS_CONFLICT && change->write.expect == STORE_EXPECT_AT &&
             change->write.sequence > 0 && change->foreign == NULL)
        js_api_message_at(core->connection, core->stream, change->write.sequence,
                          got_expected, change);
    else if (status == JSFS_NO_SPACE && change->removes && change->foreign == NULL)
        js_api_message_last(core->connection, core->stream, change->subject, got_to_purge,
                            change);
    else
        finish(change, status);
    store_op_leave(core);
}

static enum jsfs_status prepare(struct change *change, const struct object_store *store,
                                const struct object_meta *meta)
{
    CLEANUP(cleanup_free) char *json = NULL;
    enum jsfs_status status =
        object_meta_subject(store, meta->name, OBJECT_CANONICAL, &change->subject);

    if (status == JSFS_OK)
        status = object_meta_format(meta, store->bucket, clock_realtime_ns(), &json);
    if (status != JSFS_OK)
        return status;
    change->name = strdup(meta->name);
    change->json = bytes_copy(json, strlen(json));
    return change->name != NULL && change->json != NULL ? JSFS_OK : JSFS_NO_MEMORY;
}

static void start(struct store *store, const struct object_meta *meta,
                  const struct store_write *write, store_write_done *done, void *arg)
{
    struct store_core *core = (struct store_core *)store;
    struct change *change = calloc(1, sizeof(*change));
    enum jsfs_status status = JSFS_NO_MEMORY;

    if (change != NULL)
        status = prepare(change, (struct object_store *)store, meta);
    if (status != JSFS_OK) {
        if (change != NULL)
            destroy_change(&change->op);
        done(arg, status, 0);
        return;
    }
    change->op = (struct store_op){.end = end_change, .destroy = destroy_change};
    change->done = done;
    change->arg = arg;
    change->write = *write;
    change->removes = meta->deleted;
    if (!store_op_start(core, &change->op))
        return;
    publish(core, change);
    store_op_leave(core);
}

void object_meta_put(struct store *store, const struct object_meta *meta,
                     const struct store_write *write, store_write_done *done, void *arg)
{
    start(store, meta, write, done, arg);
}

/* The tombstone has a nuid of its own: clients purge the chunks that a tombstone names when the
 * name is removed again, and by then they may be another object's (reference nats.md §2.7). */
void object_remove(struct store *store, const char *name, const struct store_write *write,
                   store_write_done *done, void *arg)
{
    CLEANUP(cleanup_free) char *copy = strdup(name);
    char nuid[NUID_SIZE];
    struct object_meta tombstone = {.name = copy, .nuid = nuid, .deleted = true};

    nuid_next(nuid);
    if (copy == NULL)
        done(arg, JSFS_NO_MEMORY, 0);
    else
        start(store, &tombstone, write, done, arg);
}

/* --- chunks_purge ----------------------------------------------------------------------------------- */

struct purge {
    struct store_op op;
    store_done *done;
    void *arg;
};

static void end_purge(struct store_op *op, enum jsfs_status status)
{
    struct purge *purge = (struct purge *)op;

    purge->done(purge->arg, status);
}

static void destroy_purge(struct store_op *op)
{
    free(op);
}

static void got_chunks_purged(void *arg, enum jsfs_status status)
{
    struct purge *purge = arg;
    struct store_core *core = store_op_enter(&purge->op);

    if (core == NULL)
        return;
    if (store_op_claim(&purge->op))
        purge->done(purge->arg, status);
    store_op_release(&purge->op);
    store_op_leave(core);
}

void object_chunks_purge(struct store *store, const char *nuid, store_done *done,
                         void *arg)
{
    struct store_core *core = (struct store_core *)store;
    CLEANUP(cleanup_free) char *subject = NULL;
    enum jsfs_status status =
        object_chunk_subject((struct object_store *)store, nuid, &subject);
    struct purge *purge = NULL;

    if (status == JSFS_OK && core->read_only)
        status = JSFS_READ_ONLY;
    if (status == JSFS_OK && (purge = malloc(sizeof(*purge))) == NULL)
        status = JSFS_NO_MEMORY;
    if (status != JSFS_OK) {
        done(arg, status);
        return;
    }
    *purge = (struct purge){
        {.end = end_purge, .destroy = destroy_purge},
        done, arg
    };
    if (!store_op_start(core, &purge->op))
        return;
    js_api_stream_purge_async(core->connection, core->stream, subject, got_chunks_purged,
                              purge);
    store_op_leave(core);
}
