/* SPDX-License-Identifier: Apache-2.0 */
/* pending.c - see pending.h. Layer 5. */
#include "fs/pending.h"

#include "core/cleanup.h"

struct pending {
    pthread_mutex_t lock;
    pthread_cond_t none;
    unsigned long count; /* lock */
};

struct pending *pending_new(void)
{
    struct pending *pending = calloc(1, sizeof(*pending));

    if (pending == NULL)
        return NULL;
    pthread_mutex_init(&pending->lock, NULL);
    pthread_cond_init(&pending->none, NULL);
    return pending;
}

void pending_free(struct pending *pending)
{
    if (pending == NULL)
        return;
    pthread_mutex_destroy(&pending->lock);
    pthread_cond_destroy(&pending->none);
    free(pending);
}

void pending_begin(struct pending *pending)
{
    SCOPED_LOCK(&pending->lock);
    pending->count++;
}

void pending_end(struct pending *pending)
{
    SCOPED_LOCK(&pending->lock);
    if (--pending->count == 0)
        pthread_cond_broadcast(&pending->none);
}

void pending_wait(struct pending *pending)
{
    SCOPED_LOCK(&pending->lock);
    while (pending->count > 0)
        pthread_cond_wait(&pending->none, &pending->lock);
}
