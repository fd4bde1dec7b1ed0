/* SPDX-License-Identifier: Apache-2.0 */
/* requester.c - many requests at once over one nats.c connection, answered by callback.
 * Layer 3. natsConnection_Request() would hold a thread for each request; here a request is a
 * slot of the table, named by the last token of its reply subject: "<inbox>.<hex>".
 */
#include "core/requester.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/request_table.h"
#include "core/status_fold.h"

#include <stdatomic.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SWEEP_INTERVAL_MS 50
#define REPLY_MAX 96 /* [bytes] an inbox, '.', 16 hex digits, NUL */
/* A longer protocol line than the server's max_control_line (4096 unless configured) makes it
 * close the connection; what is not the subject takes less than the rest. */
#define SUBJECT_MAX (4096 - REPLY_MAX - 32)

struct requester {
    natsConnection *connection;
    struct executor *executor;
    natsSubscription *subscription;
    char inbox[REPLY_MAX]; /* with the '.' before the token */
    size_t inbox_length;
    int timeout_ms;

    pthread_mutex_t lock;       /* the only one; nothing is taken under it */
    pthread_cond_t idle;        /* lock; running is 0, or delivering has ended */
    struct request_table table; /* lock */
    unsigned running;           /* lock; sends and callbacks that are under way */
    unsigned references;        /* lock; the owner, the delivery thread, the sweep */
    bool up;                    /* lock; nothing is published while false */
    bool closed;                /* lock */
    bool sweeping;              /* lock; a sweep is in the executor */
    bool delivering;            /* lock; the delivery thread lives */
    atomic_uint reconnects;
};

static void unref(struct requester *requester)
{
    pthread_mutex_lock(&requester->lock);
    unsigned left = --requester->references;
    pthread_mutex_unlock(&requester->lock);
    if (left > 0)
        return;

    request_table_clear(&requester->table);
    pthread_cond_destroy(&requester->idle);
    pthread_mutex_destroy(&requester->lock);
    free(requester);
}

static void leave(struct requester *requester)
{
    SCOPED_LOCK(&requester->lock);
    if (--requester->running == 0)
        pthread_cond_broadcast(&requester->idle);
}

static uint64_t hash_subject(const char *subject) /* FNV-1a */
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (; *subject != '\0'; subject++)
        hash = (hash ^ (unsigned char)*subject) * UINT64_C(1099511628211);
    return hash;
}

static bool is_any(const struct request_slot *slot, int64_t now_ms)
{
    (void)slot;
    (void)now_ms;
    return true;
}

static bool is_expired(const struct request_slot *slot, int64_t now_ms)
{
    return slot->deadline_ms <= now_ms;
}

static bool is_sent_once(const struct request_slot *slot, int64_t now_ms)
{
    (void)now_ms;
    return slot->copy == NULL;
}

/* Answer one detached slot and give it back. */
static void complete(struct requester *requester, struct request_slot *slot,
                     enum jsfs_status status, natsMsg *reply)
{
    slot->done(slot->arg, status, reply);
    request_copy_unref(slot->copy);
    SCOPED_LOCK(&requester->lock);
    request_table_give(&requester->table, slot);
}

/* Answer detached slots; the caller counted itself as running. */
static void complete_all(struct requester *requester, struct request_slot *list,
                         enum jsfs_status status)
{
    struct request_slot *next = NULL;

    for (struct request_slot *slot = list; slot != NULL; slot = next) {
        next = slot->next;
        complete(requester, slot, status, NULL);
    }
    leave(requester);
}

/* Answer what has this token, if it is still awaited. reply is taken. */
static void finish(struct requester *requester, uint64_t token, enum jsfs_status status,
                   natsMsg *reply)
{
    pthread_mutex_lock(&requester->lock);
    struct request_slot *slot = request_table_find(&requester->table, token);
    if (slot != NULL) {
        request_table_detach(&requester->table, slot);
        requester->running++;
    }
    pthread_mutex_unlock(&requester->lock);

    if (slot == NULL) {
        natsMsg_Destroy(reply);
        return;
    }
    complete(requester, slot, status, reply);
    leave(requester);
}

static void drop_sweep(void *arg)
{
    struct requester *requester = arg;

    pthread_mutex_lock(&requester->lock);
    requester->sweeping = false;
    pthread_mutex_unlock(&requester->lock);
    unref(requester);
}

/* On the timer thread, as long as anything is awaited. */
static void sweep(void *arg)
{
    struct requester *requester = arg;

    pthread_mutex_lock(&requester->lock);
    struct request_slot *expired =
        request_table_detach_all(&requester->table, is_expired);
    bool again = requester->table.oldest != NULL;
    requester->sweeping = again;
    requester->running++;
    pthread_mutex_unlock(&requester->lock);

    complete_all(requester, expired, JSFS_TIMEOUT);
    if (again)
        executor_after(requester->executor, SWEEP_INTERVAL_MS, sweep, drop_sweep,
                       requester);
    else
        unref(requester);
}

static void start_sweep(struct requester *requester)
{
    pthread_mutex_lock(&requester->lock);
    bool start = !requester->sweeping && requester->table.oldest != NULL;
    if (start) {
        requester->sweeping = true;
        requester->references++;
    }
    pthread_mutex_unlock(&requester->lock);
    if (start)
        executor_after(requester->executor, SWEEP_INTERVAL_MS, sweep, drop_sweep,
                       requester);
}

/* Enter a request into the table; copy is taken on JSFS_OK.
 *   token   names it; 0: not to be published now, requester_reconnected() does it
 */
static enum jsfs_status await(struct requester *requester, const struct request *request,
                              struct request_copy *copy, requester_done *done, void *arg,
                              uint64_t *token)
{
    uint64_t subject_hash = hash_subject(request->subject);
    int timeout_ms =
        request->timeout_ms > 0 ? request->timeout_ms : requester->timeout_ms;

    SCOPED_LOCK(&requester->lock);
    if (requester->closed)
        return JSFS_INTERRUPTED;
    if (!requester->up && copy == NULL)
        return JSFS_UNAVAILABLE;
    struct request_slot *slot = request_table_add(&requester->table);
    if (slot == NULL)
        return JSFS_NO_MEMORY;
    slot->done = done;
    slot->arg = arg;
    slot->copy = copy;
    slot->subject_hash = subject_hash;
    slot->deadline_ms = clock_monotonic_ms() + timeout_ms;
    if (copy != NULL)
        copy->token = request_slot_token(slot);
    requester->running++;
    *token = requester->up ? request_slot_token(slot) : 0;
    return JSFS_OK;
}

static enum jsfs_status publish_with_headers(natsConnection *connection,
                                             const struct request *request,
                                             const char *reply)
{
    natsMsg *message = NULL;
    natsStatus status = natsMsg_Create(&message, request->subject, reply, request->data,
                                       (int)request->size);

    for (const char *const *at = request->headers; status == NATS_OK && *at != NULL;
         at += 2)
        status = natsMsgHeader_Set(message, at[0], at[1]);
    if (status == NATS_OK)
        status = natsConnection_PublishMsg(connection, message);
    natsMsg_Destroy(message);
    return status_fold_nats(status);
}

static enum jsfs_status publish(struct requester *requester, uint64_t token,
                                const struct request *request)
{
    char reply[REPLY_MAX];

    memcpy(reply, requester->inbox, requester->inbox_length);
    snprintf(reply + requester->inbox_length, sizeof(reply) - requester->inbox_length,
             "%" PRIx64, token);
    if (request->headers != NULL)
        return publish_with_headers(requester->connection, request, reply);
    return status_fold_nats(
        natsConnection_PublishRequest(requester->connection, request->subject, reply,
                                      request->data, (int)request->size));
}

/* Publish what is awaited; a failure that a reconnect does not cure ends it. */
static void publish_awaited(struct requester *requester, uint64_t token,
                            const struct request *request)
{
    enum jsfs_status status = publish(requester, token, request);

    if (status != JSFS_OK && !(request->resend && status == JSFS_UNAVAILABLE))
        finish(requester, token, status, NULL);
}

/* nats.c writes a subject as it is: white space in it would be another protocol line. */
static enum jsfs_status check(const struct request *request)
{
    size_t length = strlen(request->subject);

    if (length > SUBJECT_MAX)
        return JSFS_NAME_TOO_LONG;
    if (length == 0 || strcspn(request->subject, " \t\r\n") != length)
        return JSFS_BAD_NAME;
    return request->size > INT_MAX ? JSFS_TOO_LARGE : JSFS_OK;
}

void requester_send(struct requester *requester, const struct request *request,
                    requester_done *done, void *arg)
{
    struct request_copy *copy = NULL;
    uint64_t token = 0;
    enum jsfs_status status = check(request);

    if (status == JSFS_OK && request->resend) {
        copy = request_copy_new(request);
        status = copy != NULL ? JSFS_OK : JSFS_NO_MEMORY;
    }
    if (status == JSFS_OK)
        status = await(requester, request, copy, done, arg, &token);
    if (status != JSFS_OK) {
        request_copy_unref(copy);
        done(arg, status, NULL);
        return;
    }
    start_sweep(requester);
    if (token != 0)
        publish_awaited(requester, token, request);
    leave(requester);
}

struct wait {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* lock */
    bool ended;             /* lock */
    enum jsfs_status status;
    natsMsg *reply;
};

static void end_wait(void *arg, enum jsfs_status status, natsMsg *reply)
{
    struct wait *wait = arg;

    SCOPED_LOCK(&wait->lock);
    wait->status = status;
    wait->reply = reply;
    wait->ended = true;
    pthread_cond_signal(&wait->changed);
}

enum jsfs_status requester_call(struct requester *requester,
                                const struct request *request, natsMsg **reply)
{
    struct wait wait = {.lock = PTHREAD_MUTEX_INITIALIZER,
                        .changed = PTHREAD_COND_INITIALIZER};

    requester_send(requester, request, end_wait, &wait);
    pthread_mutex_lock(&wait.lock);
    while (!wait.ended)
        pthread_cond_wait(&wait.changed, &wait.lock);
    pthread_mutex_unlock(&wait.lock);
    pthread_cond_destroy(&wait.changed);
    pthread_mutex_destroy(&wait.lock);
    if (wait.status == JSFS_OK)
        *reply = wait.reply;
    return wait.status;
}

/* The token of a reply subject; 0, which is never given, when it is not ours. */
static uint64_t parse_token(const struct requester *requester, const char *subject)
{
    if (strncmp(subject, requester->inbox, requester->inbox_length) != 0)
        return 0;
    return strtoull(subject + requester->inbox_length, NULL, 16);
}

static void receive(natsConnection *connection, natsSubscription *subscription,
                    natsMsg *message, void *arg)
{
    struct requester *requester = arg;
    uint64_t token = parse_token(requester, natsMsg_GetSubject(message));
    (void)connection;
    (void)subscription;

    if (natsMsg_IsNoResponders(message)) {
        natsMsg_Destroy(message);
        finish(requester, token, JSFS_UNAVAILABLE, NULL);
    } else {
        finish(requester, token, JSFS_OK, message);
    }
}

static void end_delivery(void *arg)
{
    struct requester *requester = arg;

    pthread_mutex_lock(&requester->lock);
    requester->delivering = false;
    pthread_cond_broadcast(&requester->idle);
    pthread_mutex_unlock(&requester->lock);
    unref(requester);
}

static enum jsfs_status subscribe(struct requester *requester)
{
    natsInbox *inbox = NULL;
    char subject[REPLY_MAX + 1];

    natsStatus status = natsInbox_Create(&inbox);
    if (status != NATS_OK)
        return status_fold_nats(status);
    int length = snprintf(requester->inbox, sizeof(requester->inbox), "%s.", inbox);
    natsInbox_Destroy(inbox);
    requester->inbox_length = (size_t)length;
    snprintf(subject, sizeof(subject), "%s*", requester->inbox);

    status = natsConnection_Subscribe(&requester->subscription, requester->connection,
                                      subject, receive, requester);
    if (status != NATS_OK)
        return status_fold_nats(status);
    /* A dropped reply would be a request that times out: no limit, the requests bound it. */
    natsSubscription_SetPendingLimits(requester->subscription, -1, -1);
    status = natsSubscription_SetOnCompleteCB(requester->subscription, end_delivery,
                                              requester);
    if (status == NATS_OK) {
        requester->delivering = true;
        requester->references++;
    }
    return status_fold_nats(status);
}

enum jsfs_status requester_open(natsConnection *connection, struct executor *executor,
                                int timeout_ms, struct requester **out)
{
    struct requester *requester = calloc(1, sizeof(*requester));

    if (requester == NULL)
        return JSFS_NO_MEMORY;
    *requester = (struct requester){.connection = connection,
                                    .executor = executor,
                                    .timeout_ms = timeout_ms,
                                    .references = 1,
                                    .lock = PTHREAD_MUTEX_INITIALIZER,
                                    .idle = PTHREAD_COND_INITIALIZER};
    requester->up = natsConnection_Status(connection) == NATS_CONN_STATUS_CONNECTED;
    enum jsfs_status status = subscribe(requester);
    if (status != JSFS_OK) {
        natsSubscription_Destroy(requester->subscription);
        unref(requester);
        return status;
    }
    *out = requester;
    return JSFS_OK;
}

void requester_disconnected(struct requester *requester)
{
    pthread_mutex_lock(&requester->lock);
    requester->up = false;
    struct request_slot *lost = request_table_detach_all(&requester->table, is_sent_once);
    requester->running++;
    pthread_mutex_unlock(&requester->lock);
    complete_all(requester, lost, JSFS_TIMEOUT);
}

unsigned requester_reconnects(struct requester *requester)
{
    return atomic_load(&requester->reconnects);
}

void requester_reconnected(struct requester *requester)
{
    struct request_copy *list = NULL;
    struct request_copy **end = &list;
    struct request_copy *next = NULL;

    atomic_fetch_add(&requester->reconnects, 1);
    pthread_mutex_lock(&requester->lock);
    requester->up = true;
    requester->running++;
    for (struct request_slot *slot = requester->table.oldest; slot != NULL;
         slot = slot->next) {
        if (slot->copy == NULL)
            continue;
        *end = request_copy_ref(slot->copy);
        (*end)->next = NULL;
        end = &(*end)->next;
    }
    pthread_mutex_unlock(&requester->lock);

    for (struct request_copy *copy = list; copy != NULL; copy = next) {
        next = copy->next;
        publish_awaited(requester, copy->token, &copy->request);
        request_copy_unref(copy);
    }
    leave(requester);
}

void requester_denied(struct requester *requester, const char *subject)
{
    uint64_t hash = hash_subject(subject);
    uint64_t token = 0;

    pthread_mutex_lock(&requester->lock);
    struct request_slot *slot = requester->table.oldest;
    while (slot != NULL && slot->subject_hash != hash)
        slot = slot->next;
    if (slot != NULL)
        token = request_slot_token(slot);
    pthread_mutex_unlock(&requester->lock);
    if (slot != NULL)
        finish(requester, token, JSFS_DENIED, NULL);
}

void requester_stop(struct requester *requester)
{
    if (requester == NULL)
        return;

    pthread_mutex_lock(&requester->lock);
    requester->closed = true;
    struct request_slot *rest = request_table_detach_all(&requester->table, is_any);
    requester->running++;
    pthread_mutex_unlock(&requester->lock);
    complete_all(requester, rest, JSFS_INTERRUPTED);
}

void requester_close(struct requester *requester)
{
    if (requester == NULL)
        return;

    requester_stop(requester);
    natsSubscription_Destroy(requester->subscription);
    pthread_mutex_lock(&requester->lock);
    while (requester->running > 0 || requester->delivering)
        pthread_cond_wait(&requester->idle, &requester->lock);
    pthread_mutex_unlock(&requester->lock);
    unref(requester);
}
