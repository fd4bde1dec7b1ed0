/* SPDX-License-Identifier: Apache-2.0 */
/* request_table.c - what a requester awaits: slots found by token, oldest first.
 * Layer 3. A token is the slot's generation (high half) and index (low half).
 */
#include "core/request_table.h"
#include "core/clock.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_PER_BLOCK 256

void request_table_clear(struct request_table *table)
{
    for (size_t i = 0; i < table->block_count; i++)
        free(table->blocks[i]);
    free(table->blocks);
    *table = (struct request_table){0};
}

static bool grow(struct request_table *table)
{
    size_t count = table->block_count;
    struct request_slot **blocks =
        realloc(table->blocks, (count + 1) * sizeof(struct request_slot *));

    if (blocks == NULL)
        return false;
    table->blocks = blocks;
    blocks[count] = calloc(SLOTS_PER_BLOCK, sizeof(struct request_slot));
    if (blocks[count] == NULL)
        return false;
    table->block_count = count + 1;
    for (size_t i = 0; i < SLOTS_PER_BLOCK; i++) {
        struct request_slot *slot = &blocks[count][i];
        slot->index = (uint32_t)(count * SLOTS_PER_BLOCK + i);
        request_table_give(table, slot);
    }
    return true;
}

static void append(struct request_table *table, struct request_slot *slot)
{
    slot->awaited = true;
    slot->previous = table->newest;
    if (table->newest != NULL)
        table->newest->next = slot;
    else
        table->oldest = slot;
    table->newest = slot;
}

struct request_slot *request_table_add(struct request_table *table)
{
    if (table->free == NULL && !grow(table))
        return NULL;

    struct request_slot *slot = table->free;
    table->free = slot->next;
    *slot =
        (struct request_slot){.index = slot->index, .generation = slot->generation + 1};
    if (slot->generation == 0) /* the count wrapped; token 0 is never given */
        slot->generation = 1;
    append(table, slot);
    return slot;
}

uint64_t request_slot_token(const struct request_slot *slot)
{
    return (uint64_t)slot->generation << 32 | slot->index;
}

struct request_slot *request_table_find(struct request_table *table, uint64_t token)
{
    uint32_t index = (uint32_t)token;

    if (index / SLOTS_PER_BLOCK >= table->block_count)
        return NULL;
    struct request_slot *slot =
        &table->blocks[index / SLOTS_PER_BLOCK][index % SLOTS_PER_BLOCK];
    return slot->awaited && request_slot_token(slot) == token ? slot : NULL;
}

void request_table_detach(struct request_table *table, struct request_slot *slot)
{
    if (slot->previous != NULL)
        slot->previous->next = slot->next;
    else
        table->oldest = slot->next;
    if (slot->next != NULL)
        slot->next->previous = slot->previous;
    else
        table->newest = slot->previous;
    slot->awaited = false;
    slot->next = NULL;
}

struct request_slot *request_table_detach_all(struct request_table *table,
                                              request_choice *chosen)
{
    int64_t now_ms = clock_monotonic_ms();
    struct request_slot *list = NULL;
    struct request_slot **end = &list;
    struct request_slot *next = NULL;

    for (struct request_slot *slot = table->oldest; slot != NULL; slot = next) {
        next = slot->next;
        if (!chosen(slot, now_ms))
            continue;
        request_table_detach(table, slot);
        *end = slot;
        end = &slot->next;
    }
    return list;
}

void request_table_give(struct request_table *table, struct request_slot *slot)
{
    slot->next = table->free;
    table->free = slot;
}

static size_t count_headers(const char *const *headers)
{
    size_t count = 0;

    while (headers != NULL && headers[count] != NULL)
        count++;
    return count;
}

static char *copy_to(char **room, const void *data, size_t size)
{
    char *copy = *room;

    if (size > 0)
        memcpy(copy, data, size);
    *room += size;
    return copy;
}

/* One allocation: the struct, the header pointers, the texts and the data. */
struct request_copy *request_copy_new(const struct request *request)
{
    size_t count = count_headers(request->headers);
    size_t size = sizeof(struct request_copy) + (count + 1) * sizeof(char *) +
                  strlen(request->subject) + 1 + request->size;

    for (size_t i = 0; i < count; i++)
        size += strlen(request->headers[i]) + 1;
    struct request_copy *copy = malloc(size);
    if (copy == NULL)
        return NULL;

    const char **headers = (const char **)(copy + 1);
    char *room = (char *)(headers + count + 1);
    *copy = (struct request_copy){.request = *request, .references = 1};
    copy->request.subject =
        copy_to(&room, request->subject, strlen(request->subject) + 1);
    for (size_t i = 0; i < count; i++)
        headers[i] = copy_to(&room, request->headers[i], strlen(request->headers[i]) + 1);
    headers[count] = NULL;
    copy->request.headers = count > 0 ? headers : NULL;
    copy->request.data = copy_to(&room, request->data, request->size);
    return copy;
}

struct request_copy *request_copy_ref(struct request_copy *copy)
{
    atomic_fetch_add(&copy->references, 1);
    return copy;
}

void request_copy_unref(struct request_copy *copy)
{
    if (copy != NULL && atomic_fetch_sub(&copy->references, 1) == 1)
        free(copy);
}
