/* SPDX-License-Identifier: Apache-2.0 */
/* watcher_call.c - the watcher's two requests: sent by its thread, which waits for the answer or
 * for a disturbance, whichever comes first.
 * Layer 3.
 */
#include "core/cleanup.h"
#include "core/js_api.h"
#include "core/status_fold.h"
#include "core/stream_config.h"
#include "core/watcher_private.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A request under way. Whoever comes second, the answer or the thread that gave up on it,
 * frees it. */
struct call {
    struct watcher *watcher;
    bool answered, abandoned; /* watcher->lock */
    enum jsfs_status status;
    struct js_stream_info info; /* of STREAM.INFO */
    uint64_t pending;           /* of CONSUMER.CREATE */
};

static struct call *new_call(struct watcher *watcher)
{
    struct call *call = calloc(1, sizeof(*call));

    if (call == NULL)
        return NULL;
    call->watcher = watcher;
    SCOPED_LOCK(&watcher->lock);
    watcher->references++;
    return call;
}

static void answer(struct call *call, enum jsfs_status status)
{
    struct watcher *watcher = call->watcher;

    pthread_mutex_lock(&watcher->lock);
    call->status = status;
    call->answered = true;
    bool abandoned = call->abandoned;
    pthread_cond_broadcast(&watcher->changed);
    pthread_mutex_unlock(&watcher->lock);
    if (abandoned)
        free(call);
    watcher_unref(watcher);
}

/* Wait for the answer.
 *   returns false: disturbed; the call is not the caller's any more
 */
static bool await(struct call *call, unsigned link_changes)
{
    struct watcher *watcher = call->watcher;

    SCOPED_LOCK(&watcher->lock);
    while (!call->answered) {
        if (watcher->stopping || watcher->link_changes != link_changes) {
            call->abandoned = true;
            return false;
        }
        pthread_cond_wait(&watcher->changed, &watcher->lock);
    }
    return true;
}

static void got_info(void *arg, enum jsfs_status status,
                     const struct js_stream_info *info)
{
    struct call *call = arg;

    if (status == JSFS_OK)
        call->info = *info;
    answer(call, status);
}

enum jsfs_status watcher_ask_info(struct watcher *watcher, unsigned link_changes,
                                  struct js_stream_info *info)
{
    struct call *call = new_call(watcher);

    if (call == NULL)
        return JSFS_NO_MEMORY;
    js_api_stream_info_async(watcher->connection, watcher->stream, got_info, call);
    if (!await(call, link_changes))
        return JSFS_INTERRUPTED;
    enum jsfs_status status = call->status;
    *info = call->info;
    free(call);
    return status;
}

static void got_consumer(void *arg, enum jsfs_status status, natsMsg *reply)
{
    struct call *call = arg;
    struct js_error error;
    char name[256];

    if (status == JSFS_OK)
        status = js_reply_consumer(natsMsg_GetData(reply),
                                   (size_t)natsMsg_GetDataLength(reply), &error, name,
                                   &call->pending);
    if (status == JSFS_OK)
        status = status_fold_js(&error);
    natsMsg_Destroy(reply);
    answer(call, status);
}

/* Creating the list of a large stream takes the server its time: 4 s for a million keys. A
 * server that hangs is noticed by STREAM.INFO before. */
enum { CREATE_TIMEOUT_MS = 60000 };

static enum stream_deliver deliver_of(const struct consumer *consumer)
{
    if (!consumer->from_start)
        return STREAM_DELIVER_FROM_SEQUENCE;
    return consumer->all ? STREAM_DELIVER_ALL : STREAM_DELIVER_LAST_PER_SUBJECT;
}

static const char *filter_of(const struct watcher *watcher,
                             const struct consumer *consumer)
{
    bool leave_out = watcher->whole && (consumer->all || !consumer->from_start);

    return leave_out ? NULL : watcher->filter;
}

enum jsfs_status watcher_ask_consumer(struct watcher *watcher, struct consumer *consumer)
{
    const char *filter = filter_of(watcher, consumer);
    CLEANUP(cleanup_free) char *subject = NULL;
    CLEANUP(cleanup_free)
    char *config = stream_config_consumer(
        watcher->stream, consumer->name, (const char *)consumer->inbox, filter,
        deliver_of(consumer),
        consumer->from_start ? 0 : watcher->last_sequence + 1, watcher->headers_only,
        WATCHER_HEARTBEAT_MS);

    if (asprintf(&subject, "$JS.API.CONSUMER.CREATE.%s.%s%s%s", watcher->stream,
                 consumer->name, filter != NULL ? "." : "",
                 filter != NULL ? filter : "") < 0)
        subject = NULL;
    struct call *call = subject != NULL && config != NULL ? new_call(watcher) : NULL;
    if (call == NULL)
        return JSFS_NO_MEMORY;

    struct request request = {.subject = subject,
                              .data = config,
                              .size = strlen(config),
                              .timeout_ms = CREATE_TIMEOUT_MS};
    requester_send(connection_requester(watcher->connection, CONNECTION_CONTROL),
                   &request, got_consumer, call);
    if (!await(call, consumer->link_changes))
        return JSFS_INTERRUPTED;
    enum jsfs_status status = call->status;
    consumer->expected = call->pending;
    free(call);
    return status;
}
