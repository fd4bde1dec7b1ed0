/* SPDX-License-Identifier: Apache-2.0 */
/* bucket.c - one bucket as the mount sees it: its life, its names, simple questions.
 * Layer 4. Lookups are in bucket_lookup.c, writes in bucket_write.c, the watch in
 * bucket_watch.c, waiters in bucket_wait.c, timers in bucket_tick.c, notices in
 * bucket_notice.c, chunks in bucket_chunks.c.
 */
#include "core/bucket_state.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/name_codec.h"
#include <string.h>

static void free_parts(struct bucket *bucket)
{
    ticker_end(bucket->ticker);
    tree_free(bucket->tree);
    bucket_free_holds(bucket);
    bucket_free_checks(bucket);
    buffer_clear(&bucket->event_path);
    buffer_clear(&bucket->verify.log);
    free(bucket->name);
    pthread_cond_destroy(&bucket->quiet);
    pthread_mutex_destroy(&bucket->lock);
    free(bucket);
}

static bool takes_no_writes(enum store_kind kind, const struct js_stream_info *info)
{
    bool mirror = info->mirror[0] != '\0';

    return info->sealed || (!info->has_subjects && !(kind == STORE_KV && mirror));
}

struct bucket *bucket_new(struct store *store, const char *name,
                          const struct js_stream_info *info, struct executor *executor,
                          const struct bucket_options *options,
                          const struct bucket_observer *observer)
{
    struct bucket *bucket = calloc(1, sizeof(*bucket));

    if (bucket == NULL)
        return NULL;
    pthread_mutex_init(&bucket->lock, NULL);
    pthread_cond_init(&bucket->quiet, NULL);
    atomic_init(&bucket->references, 1);
    bucket->store = store;
    bucket->executor = executor;
    bucket->options = *options;
    bucket->observer = *observer;
    bucket->created_ns = info->created_ns;
    atomic_init(&bucket->max_age_ns, info->max_age_ns);
    bucket->read_only = takes_no_writes(store->ops->kind, info);
    bucket->info = *info;
    bucket->short_list = info->messages <= BUCKET_SHORT_LIST;
    bucket->poll_ms = BUCKET_POLL_MS;
    bucket->tree = tree_new(info->max_age_ns);
    bucket->name = strdup(name);
    bucket->ticker = ticker_new(bucket);
    if (bucket->tree != NULL && bucket->name != NULL && bucket->ticker != NULL) {
        bucket_take_clock_locked(bucket, info, 0);
        return bucket;
    }
    free_parts(bucket);
    return NULL;
}

struct bucket *bucket_ref(struct bucket *bucket)
{
    atomic_fetch_add(&bucket->references, 1);
    return bucket;
}

bool bucket_try_ref(struct bucket *bucket)
{
    unsigned references = atomic_load(&bucket->references);

    while (references > 0) {
        if (atomic_compare_exchange_weak(&bucket->references, &references,
                                         references + 1))
            return true;
    }
    return false;
}

static void destroy(void *arg)
{
    struct bucket *bucket = arg;

    bucket->store->ops->close(bucket->store);
    bucket_free_notices(bucket);
    free_parts(bucket);
}

void bucket_unref(struct bucket *bucket)
{
    if (bucket == NULL || atomic_fetch_sub(&bucket->references, 1) != 1)
        return;
    pthread_mutex_lock(&bucket->lock);
    bucket->stopped = true;
    pthread_mutex_unlock(&bucket->lock);
    executor_run(bucket->executor, destroy, bucket);
}

void bucket_stop(struct bucket *bucket)
{
    bool watching;

    pthread_mutex_lock(&bucket->lock);
    bucket->stopped = true;
    while (bucket->task_running)
        pthread_cond_wait(&bucket->quiet, &bucket->lock);
    watching = bucket->watching;
    bucket->watching = false;
    bucket->deaf = true;
    pthread_mutex_unlock(&bucket->lock);
    if (watching)
        bucket->store->ops->unwatch(bucket->store);

    pthread_mutex_lock(&bucket->lock);
    if (bucket->state != BUCKET_GONE)
        bucket->state = BUCKET_IDLE;
    waiters_fail_locked(bucket, JSFS_INTERRUPTED);
    pthread_mutex_unlock(&bucket->lock);
    bucket_give_notices(bucket);

    pthread_mutex_lock(&bucket->lock);
    while (bucket->giving && !pthread_equal(bucket->giver, pthread_self()))
        pthread_cond_wait(&bucket->quiet, &bucket->lock);
    pthread_mutex_unlock(&bucket->lock);
}

void bucket_vanished(struct bucket *bucket)
{
    pthread_mutex_lock(&bucket->lock);
    bucket_become_gone_locked(bucket);
    pthread_mutex_unlock(&bucket->lock);
    bucket_give_notices(bucket);
    bucket_tick_within(bucket, 0);
}

/* Questions --------------------------------------------------------------------------------- */

enum store_kind bucket_kind(const struct bucket *bucket)
{
    return bucket->store->ops->kind;
}

const char *bucket_name(const struct bucket *bucket)
{
    return bucket->name;
}

struct store *bucket_store(struct bucket *bucket)
{
    return bucket->store;
}

struct tree *bucket_tree(struct bucket *bucket)
{
    return bucket->tree;
}

int64_t bucket_created_ns(const struct bucket *bucket)
{
    return bucket->created_ns;
}

bool bucket_is_live(struct bucket *bucket)
{
    return bucket->state == BUCKET_LIVE;
}

bool bucket_is_gone(struct bucket *bucket)
{
    return bucket->state == BUCKET_GONE;
}

bool bucket_is_offline(struct bucket *bucket)
{
    return bucket->listed && bucket->options.connected != NULL &&
           !bucket->options.connected(bucket->options.connected_arg);
}

void bucket_info(struct bucket *bucket, store_info_done *done, void *arg)
{
    bucket->store->ops->info(bucket->store, done, arg);
}

/* Names ------------------------------------------------------------------------------------- */

static bool lives(struct bucket *bucket, const char *path)
{
    struct tree_attr attr;

    if (tree_lookup(bucket->tree, path, &attr) != JSFS_OK)
        return false;
    object_meta_free(attr.meta);
    return attr.type != TREE_DIRECTORY && !attr.local;
}

/* May a message be stored under a name that this mount chooses? */
static enum jsfs_status check_new(struct bucket *bucket, const char *path,
                                  const struct buffer *raw)
{
    bool object = bucket_kind(bucket) == STORE_OBJECT;

    if (memchr(raw->data, '\0', raw->size) != NULL)
        return JSFS_BAD_NAME;
    if (object && !name_is_utf8(raw->data, raw->size))
        return JSFS_NOT_UTF8;
    if (!object && !name_is_legal_key(raw->data, raw->size))
        return JSFS_BAD_NAME;
    if (!object && !name_is_portable_key(raw->data) && !lives(bucket, path))
        return JSFS_BAD_NAME;
    return bucket_is_askable(bucket, raw->data, raw->size) ? JSFS_OK : JSFS_NAME_TOO_LONG;
}

enum jsfs_status bucket_raw_name(struct bucket *bucket, const char *path, bool create,
                                 char **name)
{
    CLEANUP(buffer_clear) struct buffer raw = BUFFER_INIT;
    enum jsfs_status status = name_decode(path, &raw);
    char *text;

    if (status == JSFS_OK && create)
        status = check_new(bucket, path, &raw);
    if (status != JSFS_OK)
        return status;
    text = buffer_take(&raw);
    if (text == NULL)
        return JSFS_NO_MEMORY;
    *name = text;
    return JSFS_OK;
}
