/* SPDX-License-Identifier: Apache-2.0 */
/* fake_store_batch.c - values of keys written to the fake, one or several at once.
 * Test support.
 */
#include "core/cleanup.h"
#include "tests/support/fake_store_private.h"
#include <string.h>

void fake_store_set_half_batches(struct fake_store *fake, bool half)
{
    SCOPED_LOCK(&fake->lock);
    fake->half_batches = half;
}

static void give_batch(struct fake_answer *answer)
{
    answer->done.write(answer->arg, answer->status, answer->sequence);
}

static uint64_t store_locked(struct fake_store *fake, const struct store_batch_item *item)
{
    return fake_append_locked(fake, FAKE_NAME, item->name,
                              item->value != NULL ? STORE_LIVE : STORE_DELETED, NULL,
                              item->value, item->write.token);
}

static enum jsfs_status check_locked(struct fake_store *fake,
                                     const struct store_batch_item *items, size_t count)
{
    enum jsfs_status status = fake->info.allow_atomic ? JSFS_OK : JSFS_UNSUPPORTED;

    for (size_t i = 0; i < count && status == JSFS_OK; i++) {
        if (items[i].value != NULL && items[i].value->size > fake->message_max)
            status = JSFS_TOO_LARGE;
        else
            status = fake_check_locked(fake, items[i].name, &items[i].write);
    }
    return status;
}

void fake_batch(struct store *store, const struct store_batch_item *items, size_t count,
                store_write_done *done, void *arg)
{
    struct fake_store *fake = (struct fake_store *)store;
    struct fake_call call = fake_enter(fake, FAKE_BATCH, give_batch, arg);
    bool half = fake->half_batches;

    call.answer->done.write = done;
    call.answer->status = half ? JSFS_OK : check_locked(fake, items, count);
    for (size_t i = 0; call.work && call.answer->status == JSFS_OK && i < count; i++) {
        call.answer->sequence = store_locked(fake, &items[i]);
        if (half)
            call.answer->status = JSFS_UNSUPPORTED;
    }
    if (call.status != JSFS_OK)
        call.answer->sequence = 0;
    fake_leave(fake, &call);
}

/* What the server knows by the message id. */
static struct fake_message *written_locked(struct fake_store *fake, const char *name,
                                           uint64_t token)
{
    for (size_t i = 0; token != 0 && i < fake->count; i++) {
        struct fake_message *message = fake->messages[i];
        if (message->kind == FAKE_NAME && message->entry.own_token == token &&
            strcmp(message->name, name) == 0)
            return message;
    }
    return NULL;
}

void fake_value_put(struct store *store, const char *name, struct bytes *value,
                    const struct store_write *write, store_write_done *done, void *arg)
{
    struct fake_store *fake = (struct fake_store *)store;
    struct fake_call call = fake_enter(fake, FAKE_VALUE_PUT, fake_give_write, arg);

    struct fake_message *written =
        write->tried_ms != 0 ? written_locked(fake, name, write->token) : NULL;

    call.answer->done.write = done;
    if (written != NULL)
        call.answer->sequence = written->entry.sequence;
    else
        call.answer->status = value->size > fake->message_max
                                  ? JSFS_TOO_LARGE
                                  : fake_check_locked(fake, name, write);
    if (call.work && written == NULL && call.answer->status == JSFS_OK)
        call.answer->sequence = fake_append_locked(fake, FAKE_NAME, name, STORE_LIVE,
                                                   NULL, value, write->token);
    fake_leave(fake, &call);
}
