/* SPDX-License-Identifier: Apache-2.0 */
/* advisories.c - see advisories.h. Layer 3. */
#include "core/advisories.h"
#include "core/cleanup.h"
#include <nats/nats.h>

#define SUBJECTS 2

static const char *const subjects[SUBJECTS] = {
    "$JS.EVENT.ADVISORY.STREAM.CREATED.>",
    "$JS.EVENT.ADVISORY.STREAM.DELETED.>",
};

struct advisories {
    struct connection *connection;
    struct connection_observer observer;
    void (*changed)(void *arg);
    void *arg;
    natsSubscription *subscriptions[SUBJECTS];

    pthread_mutex_t lock;
    pthread_cond_t ended;
    unsigned running; /* lock; subscriptions whose last message is still to come */
};

static void take_message(natsConnection *nats, natsSubscription *subscription, natsMsg *msg,
                         void *closure)
{
    struct advisories *advisories = closure;
    (void)nats;
    (void)subscription;

    natsMsg_Destroy(msg);
    advisories->changed(advisories->arg);
}

static void end_delivery(void *closure)
{
    struct advisories *advisories = closure;

    SCOPED_LOCK(&advisories->lock);
    advisories->running--;
    pthread_cond_signal(&advisories->ended);
}

static bool subscribe(struct advisories *advisories, int which)
{
    natsConnection *nats = connection_nats(advisories->connection, CONNECTION_CONTROL);
    natsSubscription **subscription = &advisories->subscriptions[which];

    if (natsConnection_Subscribe(subscription, nats, subjects[which], take_message,
                                 advisories) != NATS_OK)
        return false;
    pthread_mutex_lock(&advisories->lock);
    advisories->running++;
    pthread_mutex_unlock(&advisories->lock);
    if (natsSubscription_SetOnCompleteCB(*subscription, end_delivery, advisories) == NATS_OK)
        return true;
    end_delivery(advisories);
    return false;
}

static void connection_changed(void *arg, bool up)
{
    struct advisories *advisories = arg;

    if (up)
        advisories->changed(advisories->arg);
}

struct advisories *advisories_open(struct connection *connection, void (*changed)(void *arg),
                                   void *arg)
{
    struct advisories *advisories = calloc(1, sizeof(*advisories));

    if (advisories == NULL)
        return NULL;
    advisories->connection = connection;
    advisories->changed = changed;
    advisories->arg = arg;
    pthread_mutex_init(&advisories->lock, NULL);
    pthread_cond_init(&advisories->ended, NULL);
    advisories->observer =
        (struct connection_observer){.changed = connection_changed, .arg = advisories};
    connection_observe(connection, &advisories->observer);
    for (int i = 0; i < SUBJECTS; i++) {
        if (!subscribe(advisories, i)) {
            advisories_close(advisories);
            return NULL;
        }
    }
    return advisories;
}

/* A subscription that has ended tells so once its delivery thread is through. */
void advisories_close(struct advisories *advisories)
{
    if (advisories == NULL)
        return;
    connection_unobserve(advisories->connection, &advisories->observer);
    for (int i = 0; i < SUBJECTS; i++)
        natsSubscription_Unsubscribe(advisories->subscriptions[i]);
    pthread_mutex_lock(&advisories->lock);
    while (advisories->running > 0)
        pthread_cond_wait(&advisories->ended, &advisories->lock);
    pthread_mutex_unlock(&advisories->lock);
    for (int i = 0; i < SUBJECTS; i++)
        natsSubscription_Destroy(advisories->subscriptions[i]);
    pthread_mutex_destroy(&advisories->lock);
    pthread_cond_destroy(&advisories->ended);
    free(advisories);
}
