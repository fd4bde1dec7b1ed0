/* SPDX-License-Identifier: Apache-2.0 */
/* upload.c - writing a new version of an object: bytes in, chunks out, or all of it undone.
 * Layer 4.
 *
 * What holds when the process, the server or the network stops between two messages:
 *   chunks, some or all     The name has its old version. Nothing refers to the new nuid; its
 *                           chunks are purged when the upload is lost, and stay as orphans when
 *                           this process is gone.
 *   meta sent, no answer    The name has the old or the new version, whole in either case: both
 *                           nuids keep their chunks, since nobody here can tell which is in use.
 *   meta acknowledged       The name has the new version. The old chunks go next; if that does
 *                           not happen they stay as orphans.
 * A chunk whose acknowledgement is lost counts as failed, and the purge comes after every chunk
 * was answered or given up, so that it finds them all.
 *
 * Another client that writes the name meanwhile: the meta names the version that it replaces
 * (the caller's, or the newest one where the last writer wins: then a lost race looks again).
 * So exactly one version is replaced, and the chunks discarded are those of that one. Whoever
 * replaces ours discards ours.
 */
#include "core/upload.h"
#include "core/cleanup.h"
#include "core/upload_state.h"
#include <string.h>

/* What is to be done without the lock. */
enum step { STEP_NONE, STEP_PUBLISH, STEP_UNDO };

struct upload *upload_ref(struct upload *upload)
{
    atomic_fetch_add(&upload->references, 1);
    return upload;
}

static void free_parts(struct part *parts)
{
    while (parts != NULL) {
        struct part *part = parts;
        parts = part->next;
        free(part);
    }
}

static void destroy(struct upload *upload)
{
    free_parts(upload->queue);
    free(upload->open);
    digest_free(upload->digest);
    pthread_mutex_destroy(&upload->lock);
    pthread_mutex_destroy(&upload->take_lock);
    bucket_unref(upload->bucket);
    free(upload->old_nuid);
    free(upload->path);
    free(upload->raw);
    free(upload);
}

void upload_unref(struct upload *upload)
{
    if (atomic_fetch_sub(&upload->references, 1) == 1)
        destroy(upload);
}

static size_t limit_chunk(struct bucket *bucket, size_t wanted)
{
    struct store *store = bucket_store(bucket);
    size_t most = store->ops->message_max(store);
    if (most > UINT32_MAX)
        most = UINT32_MAX;
    if (wanted > most)
        wanted = most;
    return wanted > 0 ? wanted : 1;
}

struct upload *upload_new(struct bucket *bucket, struct executor *executor,
                          const char *path, const char *raw,
                          const struct upload_options *options)
{
    struct upload *upload = calloc(1, sizeof(*upload));
    if (upload == NULL)
        return NULL;
    upload->digest = digest_new();
    upload->path = strdup(path);
    upload->raw = strdup(raw);
    if (upload->digest == NULL || upload->path == NULL || upload->raw == NULL) {
        digest_free(upload->digest);
        free(upload->path);
        free(upload->raw);
        free(upload);
        return NULL;
    }
    atomic_init(&upload->references, 1);
    pthread_mutex_init(&upload->take_lock, NULL);
    pthread_mutex_init(&upload->lock, NULL);
    upload->bucket = bucket_ref(bucket);
    upload->executor = executor;
    upload->chunk_bytes = limit_chunk(bucket, options->chunk_bytes);
    upload->window_bytes = options->window_bytes;
    upload->queue_end = &upload->queue;
    nuid_next(upload->nuid);
    return upload;
}

void upload_tell(struct waiter *waiters, enum jsfs_status status)
{
    while (waiters != NULL) {
        struct waiter *waiter = waiters;
        waiters = waiter->next;
        waiter->done(waiter->arg, status);
        free(waiter);
    }
}

struct waiter *upload_take_list(struct waiter **list)
{
    struct waiter *taken = *list;
    *list = NULL;
    return taken;
}

static struct waiter *take_writers_locked(struct upload *upload)
{
    if (upload->phase == UPLOAD_LOST || upload->pending_bytes <= upload->window_bytes)
        return upload_take_list(&upload->writers);
    return NULL;
}

/* Nothing more is sent; what is in flight is still waited for. */
static void lose_locked(struct upload *upload, enum jsfs_status status)
{
    if (upload->phase == UPLOAD_LOST || upload->phase == UPLOAD_DONE)
        return;
    upload->phase = UPLOAD_LOST;
    upload->status = status;
    while (upload->queue != NULL) {
        struct part *part = upload->queue;
        upload->queue = part->next;
        upload->pending_bytes -= part->size;
        free(part);
    }
    upload->queue_end = &upload->queue;
}

/* What is next when nothing is in flight any more; holds a reference unless STEP_NONE. */
static enum step step_locked(struct upload *upload)
{
    if (upload->draining || upload->in_flight > 0)
        return STEP_NONE;
    if (upload->phase == UPLOAD_LOST && !upload->undone) {
        upload->undone = true;
        upload_ref(upload);
        return STEP_UNDO;
    }
    if (upload->phase == UPLOAD_CHUNKS && upload->queue == NULL) {
        upload->phase = UPLOAD_META;
        upload_ref(upload);
        return STEP_PUBLISH;
    }
    return STEP_NONE;
}

bool upload_is_away(enum jsfs_status status)
{
    return status == JSFS_TIMEOUT || status == JSFS_UNAVAILABLE ||
           status == JSFS_INTERRUPTED;
}

static void perform(struct upload *upload, enum step step)
{
    if (step == STEP_PUBLISH)
        upload_publish(upload);
    else if (step == STEP_UNDO)
        upload_undo(upload);
}

/* Something changed under the lock, which is held: release it, tell writers, take the step. */
static void go_on_unlock(struct upload *upload)
{
    enum step step = step_locked(upload);
    struct waiter *writers = take_writers_locked(upload);
    struct waiter *committers = NULL;
    enum jsfs_status status = upload->phase == UPLOAD_LOST ? upload->status : JSFS_OK;
    if (upload_is_away(status))
        committers = upload_take_list(&upload->committers);
    pthread_mutex_unlock(&upload->lock);

    upload_tell(writers, status);
    upload_tell(committers, status);
    perform(upload, step);
}

/* A chunk is answered. */
static void acknowledge(void *arg, enum jsfs_status status, uint64_t sequence)
{
    struct part *part = arg;
    struct upload *upload = part->upload;
    (void)sequence;

    pthread_mutex_lock(&upload->lock);
    upload->in_flight--;
    upload->pending_bytes -= part->size;
    if (status != JSFS_OK)
        lose_locked(upload, status);
    go_on_unlock(upload);
    bytes_unref(part->bytes);
    upload_unref(upload);
}

static void send(struct upload *upload, struct part *part)
{
    struct store *store = bucket_store(upload->bucket);

    digest_add(upload->digest, part->data, part->size);
    part->bytes = bytes_wrap(part->data, part->size, free, part);
    if (part->bytes == NULL) {
        pthread_mutex_lock(&upload->lock);
        upload->in_flight--;
        upload->pending_bytes -= part->size;
        lose_locked(upload, JSFS_NO_MEMORY);
        go_on_unlock(upload);
        free(part);
        return;
    }
    upload_ref(upload);
    store->ops->chunk_put(store, upload->nuid, part->bytes, acknowledge, part);
}

/* The executor's: hash and send what is queued, in order. */
static void drain(void *arg)
{
    struct upload *upload = arg;

    pthread_mutex_lock(&upload->lock);
    while (upload->queue != NULL) {
        struct part *part = upload->queue;
        upload->queue = part->next;
        if (upload->queue == NULL)
            upload->queue_end = &upload->queue;
        upload->in_flight++;
        upload->chunks++;
        pthread_mutex_unlock(&upload->lock);
        send(upload, part);
        pthread_mutex_lock(&upload->lock);
    }
    upload->draining = false;
    go_on_unlock(upload);
    upload_unref(upload);
}

/* Put full chunks into the queue; true when the caller is to start the task that sends them. */
static bool enqueue_locked(struct upload *upload, struct part *parts)
{
    for (struct part *next; parts != NULL; parts = next) {
        next = parts->next;
        parts->next = NULL;
        *upload->queue_end = parts;
        upload->queue_end = &parts->next;
        upload->pending_bytes += parts->size;
    }
    if (upload->draining || upload->queue == NULL)
        return false;
    upload->draining = true;
    upload_ref(upload);
    return true;
}

/* Empty chunks for size bytes beside the room in the open one; false without memory. */
static bool make_parts(struct upload *upload, size_t size, struct part **parts)
{
    size_t room = upload->open != NULL ? upload->chunk_bytes - upload->open->size : 0;

    *parts = NULL;
    for (size_t made = room; made < size; made += upload->chunk_bytes) {
        struct part *part = malloc(sizeof(*part) + upload->chunk_bytes);
        if (part == NULL) {
            free_parts(*parts);
            return false;
        }
        part->upload = upload;
        part->size = 0;
        part->next = *parts;
        *parts = part;
    }
    return true;
}

/* Copy bytes into the open chunk and into spare ones, which are enough for them.
 *   returns   the chunks that are full now, in order
 */
static struct part *fill(struct upload *upload, const char *data, size_t size,
                         struct part *spare)
{
    struct part *full = NULL, **end = &full;

    while (size > 0) {
        if (upload->open == NULL) {
            upload->open = spare;
            spare = spare->next;
            upload->open->next = NULL;
        }
        struct part *open = upload->open;
        size_t room = upload->chunk_bytes - open->size;
        size_t now = size < room ? size : room;
        memcpy(open->data + open->size, data, now);
        open->size += now;
        data += now;
        size -= now;
        if (open->size == upload->chunk_bytes) {
            upload->open = NULL;
            *end = open;
            end = &open->next;
        }
    }
    return full;
}

/* Whether bytes can be taken now; take_lock is held. */
static enum jsfs_status check_write(struct upload *upload, uint64_t offset)
{
    SCOPED_LOCK(&upload->lock);
    if (upload->phase == UPLOAD_LOST)
        return upload->status;
    if (upload->phase != UPLOAD_TAKING || offset != upload->taken)
        return JSFS_UNSUPPORTED;
    return JSFS_OK;
}

/* Take the bytes. JSFS_OK: waiter is told when there is room. */
static enum jsfs_status take(struct upload *upload, uint64_t offset, const void *data,
                             size_t size, struct waiter *waiter)
{
    struct part *spare;
    SCOPED_LOCK(&upload->take_lock);

    enum jsfs_status status = check_write(upload, offset);
    if (status == JSFS_OK && !make_parts(upload, size, &spare))
        status = JSFS_NO_MEMORY;
    if (status != JSFS_OK)
        return status;

    struct part *full = fill(upload, data, size, spare);
    upload->taken += size;
    pthread_mutex_lock(&upload->lock);
    bool lost = upload->phase == UPLOAD_LOST;
    bool drains = !lost && enqueue_locked(upload, full);
    if (!lost) {
        waiter->next = upload->writers;
        upload->writers = waiter;
    }
    status = lost ? upload->status : JSFS_OK;
    pthread_mutex_unlock(&upload->lock);
    if (lost)
        free_parts(full);
    if (drains)
        executor_run(upload->executor, drain, upload);
    return status;
}

static struct waiter *new_waiter(store_done *done, void *arg)
{
    struct waiter *waiter = malloc(sizeof(*waiter));
    if (waiter == NULL)
        done(arg, JSFS_NO_MEMORY);
    else
        *waiter = (struct waiter){done, arg, NULL};
    return waiter;
}

void upload_write(struct upload *upload, uint64_t offset, const void *data, size_t size,
                  store_done *done, void *arg)
{
    struct waiter *waiter = new_waiter(done, arg);
    if (waiter == NULL)
        return;

    upload_ref(upload); /* who is told may close it */
    enum jsfs_status status = take(upload, offset, data, size, waiter);
    if (status != JSFS_OK) {
        upload_tell(waiter, status);
    } else {
        pthread_mutex_lock(&upload->lock);
        go_on_unlock(upload);
    }
    upload_unref(upload);
}

uint64_t upload_size(struct upload *upload)
{
    SCOPED_LOCK(&upload->take_lock);
    return upload->taken;
}

/* The commit begins: the open chunk is the last one. True: start the task that sends. */
static bool begin_commit_locked(struct upload *upload, const struct store_write *write)
{
    struct part *last = upload->open;

    upload->open = NULL;
    upload->phase = UPLOAD_CHUNKS;
    upload->write = *write;
    upload->write.token = store_token();
    return enqueue_locked(upload, last);
}

void upload_commit(struct upload *upload, const struct store_write *write,
                   store_done *done, void *arg)
{
    struct waiter *waiter = new_waiter(done, arg);
    if (waiter == NULL)
        return;

    upload_ref(upload);
    pthread_mutex_lock(&upload->take_lock);
    pthread_mutex_lock(&upload->lock);
    enum jsfs_status status = upload->status;
    bool ended = upload->phase == UPLOAD_DONE || upload->settled ||
                 (upload->phase == UPLOAD_LOST && upload_is_away(status));
    bool drains = upload->phase == UPLOAD_TAKING && begin_commit_locked(upload, write);
    if (!ended) {
        waiter->next = upload->committers;
        upload->committers = waiter;
    }
    pthread_mutex_unlock(&upload->lock);
    pthread_mutex_unlock(&upload->take_lock);

    if (drains)
        executor_run(upload->executor, drain, upload);
    if (ended)
        upload_tell(waiter, status);
    pthread_mutex_lock(&upload->lock);
    go_on_unlock(upload);
    upload_unref(upload);
}

void upload_finish(struct upload *upload, enum jsfs_status status, bool undecided)
{
    struct waiter *committers = NULL;

    pthread_mutex_lock(&upload->lock);
    if (status == JSFS_OK)
        upload->phase = UPLOAD_DONE;
    else
        lose_locked(upload, status);
    if (undecided)
        upload->undone = upload->settled =
            true; /* never: the name may have this version */
    if (status == JSFS_OK || undecided)
        committers = upload_take_list(&upload->committers);
    pthread_mutex_unlock(&upload->lock);
    upload_tell(committers, status);

    pthread_mutex_lock(&upload->lock);
    go_on_unlock(upload);
}

uint64_t upload_token(struct upload *upload)
{
    SCOPED_LOCK(&upload->lock);
    return upload->write.token;
}

uint64_t upload_sequence(struct upload *upload)
{
    SCOPED_LOCK(&upload->lock);
    return upload->sequence;
}

void upload_close(struct upload *upload)
{
    if (upload == NULL)
        return;
    pthread_mutex_lock(&upload->lock);
    if (upload->phase == UPLOAD_TAKING)
        lose_locked(upload, JSFS_INTERRUPTED);
    go_on_unlock(upload);
    upload_unref(upload);
}
