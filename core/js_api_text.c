/* SPDX-License-Identifier: Apache-2.0 */
/* js_api_text.c - a stream's description as it is, and its update: see js_api.h.
 * Layer 3.
 */
#include "core/js_api.h"
#include "core/cleanup.h"
#include "core/status_fold.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUBJECT_MAX 512 /* [bytes] as in js_api.c */

struct pending {
    store_text_done *done;
    void *arg;
};

static void answer(void *arg, enum jsfs_status status, natsMsg *reply)
{
    CLEANUP(cleanup_free) struct pending *pending = arg;
    CLEANUP(cleanup_free) char *text = NULL;
    struct js_error error = {0};

    if (status == JSFS_OK) {
        text = strndup(natsMsg_GetData(reply), (size_t)natsMsg_GetDataLength(reply));
        status = text != NULL ? JSFS_OK : JSFS_NO_MEMORY;
    }
    natsMsg_Destroy(reply);
    if (status == JSFS_OK)
        status = js_reply_error(text, strlen(text), &error);
    if (status == JSFS_OK)
        status = status_fold_js(&error);
    pending->done(pending->arg, status, status == JSFS_OK ? text : error.description);
}

/* body: NULL for none. */
static void ask(struct connection *connection, const char *verb, const char *stream,
                const char *body, store_text_done *done, void *arg)
{
    struct pending *pending = malloc(sizeof(*pending));
    char subject[SUBJECT_MAX];
    struct request request = {.subject = subject,
                              .data = body,
                              .size = body != NULL ? strlen(body) : 0,
                              .resend = true};

    if (pending == NULL) {
        done(arg, JSFS_NO_MEMORY, "");
        return;
    }
    *pending = (struct pending){done, arg};
    snprintf(subject, sizeof(subject), "$JS.API.%s.%s", verb, stream);
    requester_send(connection_requester(connection, CONNECTION_CONTROL), &request, answer,
                   pending);
}

void js_api_stream_describe(struct connection *connection, const char *stream,
                            store_text_done *done, void *arg)
{
    ask(connection, "STREAM.INFO", stream, NULL, done, arg);
}

void js_api_stream_update(struct connection *connection, const char *stream,
                          const char *config, store_text_done *done, void *arg)
{
    ask(connection, "STREAM.UPDATE", stream, config, done, arg);
}
