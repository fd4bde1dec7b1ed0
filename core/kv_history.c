/* SPDX-License-Identifier: Apache-2.0 */
/* kv_history.c - all that a KV bucket keeps of one key: list it, purge it.
 * Layer 3, part of the KV store; erasing is in kv_erase.c.
 *
 * A history is listed up to the message that the leader called the newest one a moment before,
 * so it is never short; while others write the key, its oldest revisions may go meanwhile. A
 * mirror is asked for what it has copied. Copies from sources (kv_sources.h) are part of the
 * history; a purge of ours takes the place of what is under the bucket's own subject only.
 */
#include "core/buffer.h"
#include "core/js_api.h"
#include "core/js_api_walk.h"
#include "core/kv_private.h"
#include "core/kv_sources.h"
#include <stdlib.h>
#include <string.h>

enum {
    ATTEMPTS = 3,
    HEARTBEAT_MS = 250,
    REVISIONS_MOST =
        65536 /* of one key; clients take 64 at most, other streams may keep more */
};

struct history_op {
    struct store_op op;
    store_history_done *done;
    void *arg;
    char *subject;          /* that is looked at; NULL: none yet */
    unsigned subjects;      /* looked at so far: the number of kv_sources_prefix() */
    uint64_t last_sequence; /* of the subject, as the leader says */
    int attempts;
    size_t settled;        /* [bytes] of entries that are of subjects before */
    struct buffer entries; /* struct store_entry each */
    char name[];
};

static void end_history(struct store_op *op, enum jsfs_status status)
{
    struct history_op *history = (struct history_op *)op;

    history->done(history->arg, status, NULL, 0);
}

static void destroy_history(struct store_op *op)
{
    struct history_op *history = (struct history_op *)op;

    free(history->subject);
    buffer_clear(&history->entries);
    free(history);
}

static int by_sequence(const void *one, const void *other)
{
    const struct store_entry *a = one, *b = other;

    return (a->sequence > b->sequence) - (a->sequence < b->sequence);
}

static void finish(struct history_op *history, enum jsfs_status status)
{
    struct store_entry *entries = (void *)history->entries.data;
    size_t count = history->entries.size / sizeof(*entries);

    if (status == JSFS_OK && count == 0)
        status = JSFS_NOT_FOUND;
    if (status == JSFS_OK && history->subjects > 1)
        qsort(entries, count, sizeof(*entries), by_sequence);
    if (store_op_claim(&history->op))
        history->done(history->arg, status, status == JSFS_OK ? entries : NULL,
                      status == JSFS_OK ? count : 0);
    store_op_release(&history->op);
}

static enum jsfs_status add_entry(struct history_op *history,
                                  const struct store_entry *entry)
{
    if (history->entries.size / sizeof(*entry) >= REVISIONS_MOST)
        return JSFS_TOO_LARGE;
    return buffer_append(&history->entries, entry, sizeof(*entry));
}

static enum jsfs_status take_revision(void *arg, const struct walk_message *message)
{
    struct store_entry entry =
        kv_entry_of(kv_state_of(message->operation, message->marker), message->sequence,
                    message->time_ns, message->size_bytes, NULL);

    return add_entry(arg, &entry);
}

static bool is_wanted(void *arg)
{
    struct history_op *history = arg;

    return store_op_is_open(&history->op);
}

static void ask_last(struct store_core *core, struct history_op *history);

/* What is under the next subject; at the end the history is complete. */
static void next_subject(struct store_core *core, struct history_op *history)
{
    char prefix[KV_PREFIX_SIZE];
    enum jsfs_status status = JSFS_OK;

    free(history->subject);
    history->subject = NULL;
    history->settled = history->entries.size;
    history->attempts = 0;
    if (kv_sources_prefix(core, history->subjects, prefix)) {
        history->subjects++;
        status = kv_subject_of(prefix, history->name, &history->subject);
    }
    if (history->subject != NULL)
        ask_last(core, history);
    else
        finish(history, status);
}

/* Executor. What moved under the walk is looked at again. */
static void walk_history(void *arg)
{
    struct history_op *history = arg;
    struct store_core *core = store_op_enter(&history->op);

    if (core == NULL)
        return;
    struct walk_request request = {.stream = core->stream,
                                   .subject = history->subject,
                                   .last_sequence = history->last_sequence,
                                   .heartbeat_ms = HEARTBEAT_MS,
                                   .message = take_revision,
                                   .wanted = is_wanted,
                                   .arg = history};
    enum jsfs_status status = js_api_walk(core->connection, &request);
    bool moved = status == JSFS_BUSY || status == JSFS_STALE;
    if (moved && ++history->attempts < ATTEMPTS) {
        history->entries.size = history->settled;
        ask_last(core, history);
    } else if (status == JSFS_OK) {
        next_subject(core, history);
    } else {
        finish(history, moved ? JSFS_BUSY : status);
    }
    store_op_leave(core);
}

/* Where a key has one message, the leader's answer is its history. */
static enum jsfs_status take_last(struct history_op *history,
                                  const struct js_stored_message *message)
{
    struct store_entry entry = kv_entry_of(kv_stored_state(message), message->sequence,
                                           message->time_ns, message->size, NULL);

    return add_entry(history, &entry);
}

static void got_last(void *arg, enum jsfs_status status,
                     const struct js_stored_message *message)
{
    struct history_op *history = arg;
    struct store_core *core = store_op_enter(&history->op);

    if (core == NULL)
        return;
    if (status == JSFS_OK && !core->one_each) {
        history->last_sequence = message->sequence;
        executor_run(connection_executor(core->connection), walk_history, history);
    } else {
        if (status == JSFS_OK)
            status = take_last(history, message);
        if (status == JSFS_OK || status == JSFS_NOT_FOUND)
            next_subject(core, history);
        else
            finish(history, status);
    }
    store_op_leave(core);
}

static void ask_last(struct store_core *core, struct history_op *history)
{
    js_api_message_last(core->connection, core->stream, history->subject, got_last,
                        history);
}

void kv_history(struct store *store, const char *name, store_history_done *done,
                void *arg)
{
    struct store_core *core = (struct store_core *)store;
    size_t size = strlen(name) + 1;
    struct history_op *history = calloc(1, sizeof(*history) + size);

    if (history == NULL) {
        done(arg, JSFS_NO_MEMORY, NULL, 0);
        return;
    }
    history->op = (struct store_op){.end = end_history, .destroy = destroy_history};
    history->done = done;
    history->arg = arg;
    memcpy(history->name, name, size);
    if (!store_op_start(core, &history->op))
        return;
    next_subject(core, history);
    store_op_leave(core);
}

void kv_purge(struct store *store, const char *name, const struct store_write *write,
              store_write_done *done, void *arg)
{
    struct publication p = {.header_name = "KV-Operation",
                            .header_value = "PURGE",
                            .rollup = true,
                            .write = *write};

    kv_write(store, name, &p, done, arg);
}
