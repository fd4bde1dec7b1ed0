/* SPDX-License-Identifier: Apache-2.0 */
/* catalog_use.c - finding, listing, making and deleting buckets.
 * Layer 4, a part of catalog.h.
 */
#include "core/catalog_state.h"
#include "core/cleanup.h"
#include "core/js_api.h"
#include "core/kv_store.h"
#include "core/name_codec.h"
#include "core/object_store.h"
#include "core/stream_config.h"
#include <stdio.h>
#include <string.h>

#define STREAM_NAME_SIZE 260 /* [bytes] of "OBJ_" and the longest bucket name */

static void stream_name(enum store_kind kind, const char *bucket,
                        char out[STREAM_NAME_SIZE])
{
    snprintf(out, STREAM_NAME_SIZE, "%s_%s", kind == STORE_KV ? "KV" : "OBJ", bucket);
}

static bool is_connected(void *arg)
{
    return connection_is_up(arg);
}

static struct bucket *open_bucket(struct catalog *catalog,
                                  const struct catalog_entry *entry)
{
    struct bucket_options options = {
        .connected = is_connected,
        .connected_arg = catalog->connection,
        .load_timeout_ms = connection_timeout_ms(catalog->connection),
        .idle_ms = (int64_t)catalog->config->idle_s * 1000,
    };
    struct store *store = entry->kind == STORE_KV
                              ? kv_store_open(catalog->connection, &entry->info)
                              : object_store_open(catalog->connection, &entry->info);
    struct bucket *bucket = NULL;

    if (store != NULL)
        bucket = bucket_new(store, catalog_name(entry), &entry->info, catalog->executor,
                            &options, &catalog->observer.bucket);
    if (bucket == NULL && store != NULL)
        store->ops->close(store);
    return bucket;
}

/* Make the next list replace an entry, and be asked by whoever looks next. Lock held. */
static void distrust_locked(struct catalog *catalog, struct catalog_entry *entry)
{
    if (entry != NULL)
        entry->info.created_ns = -1;
    if (catalog->listed_ms != 0)
        catalog->listed_ms = 1;
}

/* The bucket of an entry, opened when it is first used; counted for the caller.
 *   JSFS_STALE   its stream is gone, which the list does not know yet
 */
static enum jsfs_status take_bucket(struct catalog *catalog, enum store_kind kind,
                                    const char *name, struct bucket **out)
{
    SCOPED_LOCK(&catalog->lock);
    struct catalog_entry *entry = catalog_find_locked(catalog, kind, name);

    if (entry == NULL)
        return JSFS_NOT_FOUND;
    if (entry->bucket != NULL && bucket_is_gone(entry->bucket)) {
        distrust_locked(catalog, entry);
        return JSFS_STALE;
    }
    if (entry->bucket == NULL)
        entry->bucket = open_bucket(catalog, entry);
    if (entry->bucket == NULL)
        return JSFS_NO_MEMORY;
    *out = bucket_ref(entry->bucket);
    return JSFS_OK;
}

static void give_bucket(struct catalog_waiter *waiter, enum jsfs_status status,
                        struct bucket *bucket)
{
    waiter->done.bucket(waiter->arg, status, bucket);
    bucket_unref(bucket);
    catalog_waiter_free(waiter);
}

/* A list that is being told of is waited for, though it may be refused as the last one was. */
static enum jsfs_status adopt(struct catalog *catalog, enum store_kind kind,
                              const struct js_stream_info *info)
{
    enum jsfs_status status;

    while ((status = catalog_adopt(catalog, kind, info)) == JSFS_BUSY) {
        SCOPED_LOCK(&catalog->lock);
        while (catalog->listing)
            pthread_cond_wait(&catalog->settled, &catalog->lock);
    }
    return status;
}

/* A user who may not list streams can still name one. Only a task that has asked for a list
 * gets JSFS_DENIED, so waiting here is fine. */
static enum jsfs_status ask_by_name(struct catalog *catalog,
                                    const struct catalog_waiter *waiter)
{
    char stream[STREAM_NAME_SIZE];
    struct js_stream_info info;

    if (!name_is_bucket(waiter->name))
        return JSFS_NOT_FOUND;
    stream_name(waiter->kind, waiter->name, stream);
    enum jsfs_status status = js_api_stream_info(catalog->connection, stream, &info);
    return status == JSFS_OK ? adopt(catalog, waiter->kind, &info) : status;
}

static void look_up_again(struct catalog *catalog, struct catalog_waiter *waiter,
                          enum jsfs_status status)
{
    struct bucket *bucket = NULL;

    if (status == JSFS_DENIED)
        status = ask_by_name(catalog, waiter);
    if (status == JSFS_OK)
        status = take_bucket(catalog, waiter->kind, waiter->name, &bucket);
    give_bucket(waiter, status == JSFS_STALE ? JSFS_NOT_FOUND : status, bucket);
}

/* True when the list is from before somebody looked: a bucket that was made in between is not in
 * it. The next one is asked for then. */
static bool is_older(struct catalog *catalog, const struct catalog_waiter *waiter)
{
    SCOPED_LOCK(&catalog->lock);
    if (catalog->listed_ms > waiter->begun_ms)
        return false;
    distrust_locked(catalog, NULL);
    if (catalog->listing)
        catalog->again = true;
    return true;
}

static void look_up(struct catalog *catalog, struct catalog_waiter *waiter,
                    enum jsfs_status status)
{
    struct bucket *bucket = NULL;

    if (status == JSFS_DENIED)
        status = ask_by_name(catalog, waiter);
    if (status == JSFS_OK)
        status = take_bucket(catalog, waiter->kind, waiter->name, &bucket);
    if (status == JSFS_STALE || (status == JSFS_NOT_FOUND && is_older(catalog, waiter))) {
        waiter->run = look_up_again;
        catalog_when_listed(catalog, waiter);
        return;
    }
    give_bucket(waiter, status, bucket);
}

/* An open bucket knows by itself when it is gone; NULL when there is none, else counted. */
static struct bucket *find_open(struct catalog *catalog, enum store_kind kind,
                                const char *name)
{
    SCOPED_LOCK(&catalog->lock);
    struct catalog_entry *entry = catalog_find_locked(catalog, kind, name);

    if (catalog->closing || entry == NULL || entry->bucket == NULL ||
        bucket_is_gone(entry->bucket))
        return NULL;
    return bucket_ref(entry->bucket);
}

void catalog_lookup(struct catalog *catalog, enum store_kind kind, const char *name,
                    catalog_bucket_done *done, void *arg)
{
    struct bucket *open = find_open(catalog, kind, name);
    struct catalog_waiter *waiter;

    if (open != NULL) {
        done(arg, JSFS_OK, open);
        bucket_unref(open);
        return;
    }
    waiter = catalog_waiter_new(kind, name, arg);
    if (waiter == NULL) {
        done(arg, JSFS_NO_MEMORY, NULL);
        return;
    }
    waiter->done.bucket = done;
    waiter->run = look_up;
    catalog_when_listed(catalog, waiter);
}

/* Copies of the names of one kind, in one allocation behind the pointers. */
static const char **copy_names(struct catalog *catalog, enum store_kind kind,
                               size_t *count)
{
    SCOPED_LOCK(&catalog->lock);
    size_t size = sizeof(char *), found = 0;

    for (size_t i = 0; i < catalog->count; i++)
        if (catalog->entries[i]->kind == kind)
            size += sizeof(char *) + strlen(catalog_name(catalog->entries[i])) + 1;
    const char **names = malloc(size);
    if (names == NULL)
        return NULL;
    for (size_t i = 0; i < catalog->count; i++)
        found += catalog->entries[i]->kind == kind;
    char *text = (char *)(names + found);
    *count = found;
    found = 0;
    for (size_t i = 0; i < catalog->count; i++) {
        if (catalog->entries[i]->kind != kind)
            continue;
        names[found++] = text;
        text = stpcpy(text, catalog_name(catalog->entries[i])) + 1;
    }
    return names;
}

static void list_names(struct catalog *catalog, struct catalog_waiter *waiter,
                       enum jsfs_status status)
{
    CLEANUP(cleanup_free) const char **names = NULL;
    size_t count = 0;

    if (status == JSFS_OK) {
        names = copy_names(catalog, waiter->kind, &count);
        if (names == NULL)
            status = JSFS_NO_MEMORY;
    }
    waiter->done.list(waiter->arg, status, names, count);
    catalog_waiter_free(waiter);
}

static void list_first(struct catalog *catalog, struct catalog_waiter *waiter,
                       enum jsfs_status status)
{
    if (status == JSFS_OK && is_older(catalog, waiter)) {
        waiter->run = list_names;
        catalog_when_listed(catalog, waiter);
        return;
    }
    list_names(catalog, waiter, status);
}

void catalog_list(struct catalog *catalog, enum store_kind kind, catalog_list_done *done,
                  void *arg)
{
    struct catalog_waiter *waiter = catalog_waiter_new(kind, NULL, arg);

    if (waiter == NULL) {
        done(arg, JSFS_NO_MEMORY, NULL, 0);
        return;
    }
    waiter->done.list = done;
    waiter->run = list_first;
    catalog_when_listed(catalog, waiter);
}

/* Making and deleting ----------------------------------------------------------------------- */

/* A task about one bucket; the waiter carries its kind, name and done. */
struct change {
    struct catalog *catalog;
    struct catalog_waiter *waiter;
    struct bucket *bucket; /* counted; of a removal */
};

static void end_change(struct change *change, enum jsfs_status status)
{
    struct catalog *catalog = change->catalog;
    struct catalog_waiter *waiter = change->waiter;

    bucket_unref(change->bucket);
    free(change);
    waiter->done.plain(waiter->arg, status);
    catalog_waiter_free(waiter);
    catalog_task_end(catalog);
}

/* The server has done it, whatever the list says. */
static void listed_after_change(struct catalog *catalog, struct catalog_waiter *waiter,
                                enum jsfs_status status)
{
    (void)catalog;
    (void)status;
    waiter->done.plain(waiter->arg, JSFS_OK);
    catalog_waiter_free(waiter);
}

/* Answer when this mount's own list shows it too. */
static void show_change(struct change *change)
{
    struct catalog *catalog = change->catalog;
    struct catalog_waiter *waiter = change->waiter;

    pthread_mutex_lock(&catalog->lock);
    distrust_locked(catalog, NULL);
    if (catalog->listing)
        catalog->again = true;
    pthread_mutex_unlock(&catalog->lock);
    bucket_unref(change->bucket);
    free(change);
    waiter->run = listed_after_change;
    catalog_when_listed(catalog, waiter);
    catalog_task_end(catalog);
}

static struct change *new_change(struct catalog *catalog, enum store_kind kind,
                                 const char *name, store_done *done, void *arg)
{
    struct change *change = calloc(1, sizeof(*change));
    struct catalog_waiter *waiter = catalog_waiter_new(kind, name, arg);
    enum jsfs_status status = JSFS_NO_MEMORY;

    if (change != NULL && waiter != NULL) {
        if (catalog_task_begin(catalog)) {
            waiter->done.plain = done;
            *change = (struct change){.catalog = catalog, .waiter = waiter};
            return change;
        }
        status = JSFS_INTERRUPTED;
    }
    if (waiter != NULL)
        catalog_waiter_free(waiter);
    free(change);
    done(arg, status);
    return NULL;
}

/* The server calls an equal configuration a success, so existence is asked first: of two mounts
 * that make one bucket at the same moment with the same defaults both may succeed.
 */
static enum jsfs_status create_stream(struct catalog *catalog, enum store_kind kind,
                                      const char *name)
{
    char stream[STREAM_NAME_SIZE];
    struct js_stream_info info;
    int level = connection_api_level(catalog->connection);

    stream_name(kind, name, stream);
    enum jsfs_status status = js_api_stream_info(catalog->connection, stream, &info);
    if (status != JSFS_NOT_FOUND)
        return status == JSFS_OK ? JSFS_EXISTS : status;
    CLEANUP(cleanup_free)
    char *config = kind == STORE_KV
                       ? stream_config_kv(name, &catalog->config->kv, level)
                       : stream_config_object(name, &catalog->config->object, level);
    if (config == NULL)
        return JSFS_NO_MEMORY;
    return js_api_stream_create(catalog->connection, stream, config);
}

static void create_task(void *arg)
{
    struct change *change = arg;
    enum jsfs_status status =
        create_stream(change->catalog, change->waiter->kind, change->waiter->name);

    if (status == JSFS_OK)
        show_change(change);
    else
        end_change(change, status);
}

void catalog_create(struct catalog *catalog, enum store_kind kind, const char *name,
                    store_done *done, void *arg)
{
    struct change *change;

    if (!name_is_bucket(name)) {
        done(arg, JSFS_BAD_NAME);
        return;
    }
    change = new_change(catalog, kind, name, done, arg);
    if (change != NULL)
        executor_run(catalog->executor, create_task, change);
}

static void delete_task(void *arg)
{
    struct change *change = arg;
    char stream[STREAM_NAME_SIZE];

    stream_name(change->waiter->kind, change->waiter->name, stream);
    enum jsfs_status status = js_api_stream_delete(change->catalog->connection, stream);
    if (status == JSFS_OK)
        show_change(change);
    else
        end_change(change, status);
}

/* The bucket's list has everything that the server had a moment ago, unless it is not live any
 * more.
 */
static void listed_for_removal(void *arg, enum jsfs_status status)
{
    struct change *change = arg;
    struct tree_page page = {NULL, 0, true};

    if (status == JSFS_OK && !bucket_is_live(change->bucket))
        status = JSFS_UNAVAILABLE;
    if (status == JSFS_OK)
        status = tree_list(bucket_tree(change->bucket), "", 0, 1, &page);
    if (status == JSFS_OK && page.count > 0)
        status = JSFS_NOT_EMPTY;
    tree_page_clear(&page);
    if (status == JSFS_OK)
        executor_run(change->catalog->executor, delete_task, change);
    else
        end_change(change, status);
}

static void found_for_removal(void *arg, enum jsfs_status status, struct bucket *bucket)
{
    struct change *change = arg;

    if (status != JSFS_OK) {
        end_change(change, status);
        return;
    }
    change->bucket = bucket_ref(bucket);
    bucket_catch_up(bucket, listed_for_removal, change);
}

void catalog_remove(struct catalog *catalog, enum store_kind kind, const char *name,
                    store_done *done, void *arg)
{
    struct change *change = new_change(catalog, kind, name, done, arg);

    if (change != NULL)
        catalog_lookup(catalog, kind, name, found_for_removal, change);
}

/* The account ------------------------------------------------------------------------------- */

struct account {
    struct catalog *catalog;
    catalog_account_done *done;
    void *arg;
};

static void account_task(void *arg)
{
    struct account *account = arg;
    struct js_account_info info;
    enum jsfs_status status = js_api_account(account->catalog->connection, &info);

    account->done(account->arg, status, status == JSFS_OK ? &info : NULL);
    catalog_task_end(account->catalog);
    free(account);
}

void catalog_account(struct catalog *catalog, catalog_account_done *done, void *arg)
{
    struct account *account;

    if (!catalog_task_begin(catalog)) {
        done(arg, JSFS_INTERRUPTED, NULL);
        return;
    }
    account = malloc(sizeof(*account));
    if (account == NULL) {
        catalog_task_end(catalog);
        done(arg, JSFS_NO_MEMORY, NULL);
        return;
    }
    *account = (struct account){catalog, done, arg};
    executor_run(catalog->executor, account_task, account);
}
