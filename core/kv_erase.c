/* SPDX-License-Identifier: Apache-2.0 */
/* kv_erase.c - remove what a KV bucket keeps of a deleted key, its marker too.
 * Layer 3, part of the KV store.
 *
 * The leader is asked for the newest message, and if that is a marker, everything up to it is
 * purged. Stopped in between, nothing has happened. A value that another client puts in between
 * has a higher sequence than the marker; the purge is bounded by the marker's, and leaves it. A
 * purge whose answer is lost is sent again: done twice it is the same as done once.
 *
 * Where copies from sources (kv_sources.h) lie under other subjects, each is purged, and the one
 * with the marker last: until then the key stays deleted, wherever it stops.
 */
#include "core/js_api.h"
#include "core/kv_private.h"
#include "core/kv_sources.h"
#include <stdlib.h>
#include <string.h>

struct erase_op {
    struct store_op op;
    store_write_done *done;
    void *arg;
    char *subject;          /* asked or purged */
    unsigned number;        /* of kv_sources_prefix(), of the next subject */
    unsigned marker_number; /* of the subject that holds the newest message */
    uint64_t newest;        /* the sequence of that; 0: none so far */
    bool marked;            /* it is a marker */
    bool last;              /* the marker's subject is being purged */
    char name[];
};

static void end_erase(struct store_op *op, enum jsfs_status status)
{
    struct erase_op *erase = (struct erase_op *)op;

    erase->done(erase->arg, status, 0);
}

static void destroy_erase(struct store_op *op)
{
    struct erase_op *erase = (struct erase_op *)op;

    free(erase->subject);
    free(erase);
}

static void finish(struct erase_op *erase, enum jsfs_status status)
{
    if (store_op_claim(&erase->op))
        erase->done(erase->arg, status, status == JSFS_OK ? erase->newest : 0);
    store_op_release(&erase->op);
}

/* The subject of a number becomes erase->subject; it is NULL when there is none. */
static enum jsfs_status take_subject(struct store_core *core, struct erase_op *erase,
                                     unsigned number)
{
    char prefix[KV_PREFIX_SIZE];

    free(erase->subject);
    erase->subject = NULL;
    if (!kv_sources_prefix(core, number, prefix))
        return JSFS_OK;
    return kv_subject_of(prefix, erase->name, &erase->subject);
}

static void purge_next(struct store_core *core, struct erase_op *erase);

static void purged(void *arg, enum jsfs_status status)
{
    struct erase_op *erase = arg;
    struct store_core *core = store_op_enter(&erase->op);

    if (core == NULL)
        return;
    if (status != JSFS_OK || erase->last)
        finish(erase, status);
    else
        purge_next(core, erase);
    store_op_leave(core);
}

static void purge_next(struct store_core *core, struct erase_op *erase)
{
    if (erase->number == erase->marker_number)
        erase->number++;
    enum jsfs_status status = take_subject(core, erase, erase->number++);
    if (status == JSFS_OK && erase->subject == NULL) {
        erase->last = true;
        status = take_subject(core, erase, erase->marker_number);
    }
    if (status == JSFS_OK)
        js_api_stream_purge_to_async(core->connection, core->stream, erase->subject,
                                     erase->newest, purged, erase);
    else
        finish(erase, status);
}

static void ask_next(struct store_core *core, struct erase_op *erase);

static void got_newest(void *arg, enum jsfs_status status,
                       const struct js_stored_message *message)
{
    struct erase_op *erase = arg;
    struct store_core *core = store_op_enter(&erase->op);

    if (core == NULL)
        return;
    if (status == JSFS_OK && message->sequence > erase->newest) {
        erase->newest = message->sequence;
        erase->marked = kv_stored_state(message) != STORE_LIVE;
        erase->marker_number = erase->number - 1;
    }
    if (status == JSFS_OK || status == JSFS_NOT_FOUND)
        ask_next(core, erase);
    else
        finish(erase, status);
    store_op_leave(core);
}

/* When all subjects were asked: what the newest message of them is decides. */
static void ask_next(struct store_core *core, struct erase_op *erase)
{
    enum jsfs_status status = take_subject(core, erase, erase->number);

    if (status == JSFS_OK && erase->subject != NULL) {
        erase->number++;
        js_api_message_last(core->connection, core->stream, erase->subject, got_newest,
                            erase);
        return;
    }
    if (status == JSFS_OK && erase->newest == 0)
        status = JSFS_NOT_FOUND;
    else if (status == JSFS_OK && !erase->marked)
        status = JSFS_EXISTS;
    erase->number = 0;
    if (status == JSFS_OK)
        purge_next(core, erase);
    else
        finish(erase, status);
}

void kv_erase(struct store *store, const char *name, store_write_done *done, void *arg)
{
    struct store_core *core = (struct store_core *)store;
    size_t size = strlen(name) + 1;
    struct erase_op *erase = core->mirror ? NULL : calloc(1, sizeof(*erase) + size);

    if (erase == NULL) {
        done(arg, core->mirror ? JSFS_NOT_ALLOWED : JSFS_NO_MEMORY, 0);
        return;
    }
    erase->op = (struct store_op){.end = end_erase, .destroy = destroy_erase};
    erase->done = done;
    erase->arg = arg;
    memcpy(erase->name, name, size);
    if (!store_op_start(core, &erase->op))
        return;
    ask_next(core, erase);
    store_op_leave(core);
}
