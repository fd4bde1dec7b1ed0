/* SPDX-License-Identifier: Apache-2.0 */
/* own_writes.c - a small hash of name to sequence, with an age order to bound it.
 * Layer 2.
 */
#include "core/own_writes.h"
#include "core/cleanup.h"
#include <stdlib.h>
#include <string.h>

struct own_write {
    struct own_write *next;   /* in its slot */
    struct own_write *behind; /* the next younger */
    uint64_t sequence;
    char name[];
};

void own_writes_init(struct own_writes *writes)
{
    memset(writes->slots, 0, sizeof(writes->slots));
    writes->oldest = NULL;
    writes->newest = &writes->oldest;
    atomic_init(&writes->count, 0);
    pthread_mutex_init(&writes->lock, NULL);
}

void own_writes_clear(struct own_writes *writes)
{
    for (struct own_write *write = writes->oldest, *behind = NULL; write != NULL;
         write = behind) {
        behind = write->behind;
        free(write);
    }
    pthread_mutex_destroy(&writes->lock);
}

static struct own_write **slot_of(struct own_writes *writes, const char *name)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    return &writes->slots[(hash ^ hash >> 16) % OWN_WRITES_SLOTS];
}

/* The link that points at a name's write, or at NULL. Called with the lock held. */
static struct own_write **find(struct own_writes *writes, const char *name)
{
    struct own_write **link = slot_of(writes, name);

    while (*link != NULL && strcmp((*link)->name, name) != 0)
        link = &(*link)->next;
    return link;
}

/* Called with the lock held. */
static void forget(struct own_writes *writes, struct own_write **link)
{
    struct own_write *write = *link;
    struct own_write **age = &writes->oldest;

    *link = write->next;
    while (*age != write)
        age = &(*age)->behind;
    *age = write->behind;
    if (writes->newest == &write->behind)
        writes->newest = age;
    free(write);
    atomic_fetch_sub(&writes->count, 1);
}

void own_writes_note(struct own_writes *writes, const char *name, uint64_t sequence)
{
    size_t size = strlen(name) + 1;

    SCOPED_LOCK(&writes->lock);
    struct own_write **link = find(writes, name);
    if (*link != NULL) {
        if ((*link)->sequence < sequence)
            (*link)->sequence = sequence;
        return;
    }
    struct own_write *write = malloc(sizeof(*write) + size);
    if (write == NULL)
        return;
    *write = (struct own_write){.sequence = sequence};
    memcpy(write->name, name, size);
    *link = write;
    *writes->newest = write;
    writes->newest = &write->behind;
    if (atomic_fetch_add(&writes->count, 1) >= OWN_WRITES_MAX)
        forget(writes, find(writes, writes->oldest->name));
}

void own_writes_seen(struct own_writes *writes, const char *name, uint64_t sequence)
{
    if (atomic_load_explicit(&writes->count, memory_order_relaxed) == 0)
        return;

    SCOPED_LOCK(&writes->lock);
    struct own_write **link = find(writes, name);
    if (*link != NULL && (*link)->sequence <= sequence)
        forget(writes, link);
}

uint64_t own_writes_sequence(struct own_writes *writes, const char *name)
{
    if (atomic_load_explicit(&writes->count, memory_order_relaxed) == 0)
        return 0;

    SCOPED_LOCK(&writes->lock);
    struct own_write **link = find(writes, name);
    return *link != NULL ? (*link)->sequence : 0;
}
