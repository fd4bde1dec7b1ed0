/* SPDX-License-Identifier: Apache-2.0 */
/* store_describe.c - what is stored behind a sequence, and the stream's description and
 * configuration as text, for both stores.
 * Layer 3, a part of store_core.h.
 */
#include "core/js_api.h"
#include "core/store_core.h"
#include <stdlib.h>
#include <string.h>

struct text_op {
    struct store_op op;
    store_text_done *done;
    void *arg;
};

static void end_text(struct store_op *op, enum jsfs_status status)
{
    struct text_op *text = (struct text_op *)op;

    text->done(text->arg, status, "");
}

static void destroy(struct store_op *op)
{
    free(op);
}

/* What the store itself uses of the description follows at once. */
static void take_reply(struct store_core *core, const char *reply)
{
    struct js_stream_info info;
    struct js_error error;

    if (js_reply_stream_info(reply, strlen(reply), &error, &info) == JSFS_OK &&
        error.code == 0)
        store_core_take_info(core, &info);
}

static void got_text(void *arg, enum jsfs_status status, const char *reply)
{
    struct text_op *text = arg;
    struct store_core *core = store_op_enter(&text->op);

    if (core == NULL)
        return;
    if (status == JSFS_OK)
        take_reply(core, reply);
    if (store_op_claim(&text->op))
        text->done(text->arg, status, reply);
    store_op_release(&text->op);
    store_op_leave(core);
}

/* NULL: done was called. */
static struct text_op *start_text(struct store_core *core, store_text_done *done, void *arg)
{
    struct text_op *text = calloc(1, sizeof(*text));

    if (text == NULL) {
        done(arg, JSFS_NO_MEMORY, "");
        return NULL;
    }
    text->op.end = end_text;
    text->op.destroy = destroy;
    text->done = done;
    text->arg = arg;
    return store_op_start(core, &text->op) ? text : NULL;
}

void store_core_describe(struct store *store, store_text_done *done, void *arg)
{
    struct store_core *core = (struct store_core *)store;
    struct text_op *text = start_text(core, done, arg);

    if (text == NULL)
        return;
    js_api_stream_describe(core->connection, core->stream, got_text, text);
    store_op_leave(core);
}

void store_core_configure(struct store *store, const char *config, store_text_done *done,
                          void *arg)
{
    struct store_core *core = (struct store_core *)store;
    struct text_op *text = start_text(core, done, arg);

    if (text == NULL)
        return;
    js_api_stream_update(core->connection, core->stream, config, got_text, text);
    store_op_leave(core);
}

/* What is behind a sequence ------------------------------------------------------------------- */

struct next_op {
    struct store_op op;
    store_write_done *done;
    void *arg;
};

static void end_next(struct store_op *op, enum jsfs_status status)
{
    struct next_op *next = (struct next_op *)op;

    next->done(next->arg, status, 0);
}

static void got_next(void *arg, enum jsfs_status status,
                     const struct js_stored_message *message)
{
    struct next_op *next = arg;
    struct store_core *core = store_op_enter(&next->op);

    if (core == NULL)
        return;
    if (store_op_claim(&next->op))
        next->done(next->arg, status, status == JSFS_OK ? message->sequence : 0);
    store_op_release(&next->op);
    store_op_leave(core);
}

void store_core_next(struct store *store, uint64_t sequence, store_write_done *done, void *arg)
{
    struct store_core *core = (struct store_core *)store;
    struct next_op *next = calloc(1, sizeof(*next));

    if (next == NULL) {
        done(arg, JSFS_NO_MEMORY, 0);
        return;
    }
    next->op.end = end_next;
    next->op.destroy = destroy;
    next->done = done;
    next->arg = arg;
    if (!store_op_start(core, &next->op))
        return;
    js_api_message_next(core->connection, core->stream, sequence, core->filter, got_next, next);
    store_op_leave(core);
}
