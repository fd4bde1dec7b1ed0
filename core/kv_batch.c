/* SPDX-License-Identifier: Apache-2.0 */
/* kv_batch.c - several keys of a bucket written at once.
 * Layer 3, a part of kv_store.h.
 */
#include "core/atomic_batch.h"
#include "core/kv_private.h"
#include <stdlib.h>
#include <string.h>

/* What is remembered until the batch has ended. */
struct kv_batch {
    struct store_core *core;
    store_write_done *done;
    void *arg;
    size_t count;
    char names[]; /* one behind the other, each with its NUL */
};

static struct kv_batch *batch_new(const struct store_batch_item *items, size_t count)
{
    size_t size = 0;

    for (size_t i = 0; i < count; i++)
        size += strlen(items[i].name) + 1;
    struct kv_batch *batch = malloc(sizeof(*batch) + size);
    if (batch == NULL)
        return NULL;
    char *at = batch->names;
    for (size_t i = 0; i < count; i++)
        at = stpcpy(at, items[i].name) + 1;
    batch->count = count;
    return batch;
}

/* With sequence 0 nobody knows where they are: readers compare with nothing then. */
static void stored(void *arg, enum jsfs_status status, uint64_t sequence)
{
    struct kv_batch *batch = arg;
    const char *name = batch->names;

    for (size_t i = 0; i < batch->count && status == JSFS_OK && sequence > 0; i++) {
        own_writes_note(&batch->core->own_writes, name, sequence - (batch->count - 1 - i));
        name += strlen(name) + 1;
    }
    if (status == JSFS_UNSUPPORTED && sequence > 0)
        own_writes_note(&batch->core->own_writes, batch->names, sequence);
    batch->done(batch->arg, status, sequence);
    free(batch);
}

static enum jsfs_status fill(struct store_core *core, const struct store_batch_item *item,
                             struct atomic_message *message)
{
    enum jsfs_status status = kv_subject_of(core->prefix, item->name, &message->subject);

    if (status != JSFS_OK)
        return status;
    if (item->value != NULL) {
        message->data = bytes_ref(item->value);
    } else {
        message->header_name = "KV-Operation";
        message->header_value = "DEL";
    }
    message->conditional = item->write.expect == STORE_EXPECT_AT;
    message->expected = item->write.sequence;
    message->ttl_ns = item->write.ttl_ns;
    message->token = item->write.token;
    return JSFS_OK;
}

static enum jsfs_status fill_all(struct store_core *core, const struct store_batch_item *items,
                                 size_t count, struct atomic_message *messages)
{
    enum jsfs_status status = JSFS_OK;

    for (size_t i = 0; i < count && status == JSFS_OK; i++)
        status = items[i].write.expect == STORE_EXPECT_ABSENT ? JSFS_INVALID
                                                              : fill(core, &items[i], &messages[i]);
    return status;
}

void kv_batch(struct store *store, const struct store_batch_item *items, size_t count,
              store_write_done *done, void *arg)
{
    struct store_core *core = (struct store_core *)store;
    struct atomic_message *messages = calloc(count + 1, sizeof(*messages));
    struct kv_batch *batch = batch_new(items, count);
    enum jsfs_status status = JSFS_NO_MEMORY;

    if (messages != NULL && batch != NULL)
        status = core->sources[0] != '\0' ? JSFS_UNSUPPORTED
                                          : fill_all(core, items, count, messages);
    if (status != JSFS_OK) {
        atomic_batch_free(messages, count);
        free(batch);
        done(arg, status, 0);
        return;
    }
    batch->core = core;
    batch->done = done;
    batch->arg = arg;
    atomic_batch_start(core, messages, count, stored, batch);
}
