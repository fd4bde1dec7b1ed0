/* SPDX-License-Identifier: Apache-2.0 */
/* upload_undo.c - removing what a lost upload has stored.
 * Layer 4. Tried again for about a minute while the server does not answer; what is left then
 * is unreferenced and harmless but for its space.
 */
#include "core/upload_state.h"
#include "core/cleanup.h"
#include "core/log.h"

#define PURGE_ATTEMPTS 7    /* 1 + 2 + … + 32 s between them */
#define PURGE_DELAY_MS 1000 /* doubled after each */

static void purge(void *arg);

static void drop_purge(void *arg)
{
    upload_unref(arg);
}

/* Whether another purge can find more. */
static bool is_final(enum jsfs_status status, enum jsfs_status lost, int attempts)
{
    switch (status) {
    case JSFS_OK: /* a chunk that was not answered may have come behind the first purge */
        return lost != JSFS_TIMEOUT || attempts > 1;
    case JSFS_NOT_FOUND:
    case JSFS_STALE:
    case JSFS_INTERRUPTED:
    case JSFS_DENIED:
    case JSFS_NOT_ALLOWED:
    case JSFS_READ_ONLY:
    case JSFS_SEALED: return true;
    default: return attempts >= PURGE_ATTEMPTS;
    }
}

static void purged(void *arg, enum jsfs_status status)
{
    struct upload *upload = arg;

    pthread_mutex_lock(&upload->lock);
    struct waiter *committers = upload_take_list(&upload->committers);
    enum jsfs_status lost = upload->status;
    upload->settled = true;
    int attempts = ++upload->purges;
    pthread_mutex_unlock(&upload->lock);
    upload_tell(committers, lost);

    if (!is_final(status, lost, attempts)) {
        executor_after(upload->executor, (int64_t)PURGE_DELAY_MS << (attempts - 1), purge,
                       drop_purge, upload);
        return;
    }
    if (status != JSFS_OK)
        jsfs_debug("chunks of a lost upload stay nuid=%s status=%s", upload->nuid,
                   jsfs_status_text(status));
    upload_unref(upload);
}

static void purge(void *arg)
{
    struct upload *upload = arg;
    struct store *store = bucket_store(upload->bucket);
    store->ops->chunks_purge(store, upload->nuid, purged, upload);
}

void upload_undo(struct upload *upload)
{
    pthread_mutex_lock(&upload->lock);
    bool sent = upload->chunks > 0;
    bool tell = !sent || upload_is_away(upload->status);
    upload->settled = tell;
    enum jsfs_status status = upload->status;
    struct waiter *committers = tell ? upload_take_list(&upload->committers) : NULL;
    pthread_mutex_unlock(&upload->lock);

    upload_tell(committers, status);
    if (sent)
        purge(upload);
    else
        upload_unref(upload);
}
