/* SPDX-License-Identifier: Apache-2.0 */
/* catalog.c - see catalog.h: the list of buckets and who waits for it.
 * Layer 4. The list is asked by one task at a time; whoever comes meanwhile waits for it, and
 * for one more where an advisory came after it had begun. A failed list keeps the one before.
 */
#include "core/catalog_state.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/js_api.h"
#include "core/log.h"
#include <string.h>

static const struct {
    const char *prefix;
    size_t length;
} streams[] = {
    [STORE_KV] = {"KV_",  3},
    [STORE_OBJECT] = {"OBJ_", 4},
};

const char *catalog_name(const struct catalog_entry *entry)
{
    return entry->info.name + streams[entry->kind].length;
}

static void entry_free(struct catalog_entry *entry)
{
    bucket_unref(entry->bucket);
    free(entry);
}

static int compare_to(const struct catalog_entry *entry, enum store_kind kind,
                      const char *name)
{
    if (entry->kind != kind)
        return entry->kind < kind ? -1 : 1;
    return strcmp(catalog_name(entry), name);
}

static int compare_entries(const void *left, const void *right)
{
    const struct catalog_entry *a = *(struct catalog_entry *const *)left;
    const struct catalog_entry *b = *(struct catalog_entry *const *)right;

    return compare_to(a, b->kind, catalog_name(b));
}

struct catalog_entry *catalog_find_locked(struct catalog *catalog, enum store_kind kind,
                                          const char *name)
{
    size_t low = 0, high = catalog->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_to(catalog->entries[middle], kind, name);

        if (order == 0)
            return catalog->entries[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool catalog_task_begin(struct catalog *catalog)
{
    SCOPED_LOCK(&catalog->lock);
    if (catalog->closing)
        return false;
    catalog->tasks++;
    return true;
}

void catalog_task_end(struct catalog *catalog)
{
    SCOPED_LOCK(&catalog->lock);
    catalog->tasks--;
    pthread_cond_broadcast(&catalog->settled);
}

/* A list being made ------------------------------------------------------------------------ */

struct list {
    struct catalog_entry **entries;
    size_t count, capacity;
    bool no_memory;
};

static void list_free(struct list *list)
{
    for (size_t i = 0; i < list->count; i++)
        entry_free(list->entries[i]);
    free(list->entries);
}

static void list_add(struct list *list, enum store_kind kind,
                     const struct js_stream_info *info)
{
    struct catalog_entry *entry = calloc(1, sizeof(*entry));

    if (entry != NULL && list->count == list->capacity) {
        size_t capacity = list->capacity > 0 ? list->capacity * 2 : 64;
        struct catalog_entry **grown =
            realloc(list->entries, capacity * sizeof(*list->entries));

        if (grown != NULL) {
            list->entries = grown;
            list->capacity = capacity;
        }
    }
    if (entry == NULL || list->count == list->capacity) {
        free(entry);
        list->no_memory = true;
        return;
    }
    entry->kind = kind;
    entry->info = *info;
    list->entries[list->count++] = entry;
}

static void take_stream(void *arg, const struct js_stream_info *info)
{
    for (enum store_kind kind = STORE_KV; kind <= STORE_OBJECT; kind++)
        if (strncmp(info->name, streams[kind].prefix, streams[kind].length) == 0 &&
            info->name[streams[kind].length] != '\0')
            list_add(arg, kind, info);
}

static enum jsfs_status make_list(struct catalog *catalog, struct list *list)
{
    enum jsfs_status status = js_api_stream_list(catalog->connection, take_stream, list);

    if (status == JSFS_OK && list->no_memory)
        status = JSFS_NO_MEMORY;
    if (status == JSFS_OK && list->count > 0)
        qsort(list->entries, list->count, sizeof(*list->entries), compare_entries);
    return status;
}

/* A stream that was deleted and made again between two lists is another bucket. */
static bool is_same(const struct catalog_entry *old, const struct catalog_entry *new)
{
    return old->info.created_ns == new->info.created_ns;
}

static void put_in_order_locked(struct catalog *catalog, struct catalog_entry *entry)
{
    size_t at = catalog->count++;

    for (; at > 0 && compare_entries(&catalog->entries[at - 1], &entry) > 0; at--)
        catalog->entries[at] = catalog->entries[at - 1];
    catalog->entries[at] = entry;
}

/* Put an entry into the list. old: out, the one it replaces, or itself when that is the same. */
static enum jsfs_status adopt_locked(struct catalog *catalog, struct catalog_entry *entry,
                                     struct catalog_entry **old)
{
    struct catalog_entry *known =
        catalog_find_locked(catalog, entry->kind, catalog_name(entry));
    struct catalog_entry **grown;

    if (catalog->listing)
        return JSFS_BUSY; /* it tells of the entries without the lock */
    if (known != NULL) {
        *old = is_same(known, entry) ? entry : known;
        for (size_t i = 0; *old == known && i < catalog->count; i++)
            if (catalog->entries[i] == known)
                catalog->entries[i] = entry;
        return JSFS_OK;
    }
    grown = realloc(catalog->entries, (catalog->count + 1) * sizeof(*grown));
    if (grown == NULL)
        return JSFS_NO_MEMORY;
    catalog->entries = grown;
    put_in_order_locked(catalog, entry);
    return JSFS_OK;
}

enum jsfs_status catalog_adopt(struct catalog *catalog, enum store_kind kind,
                               const struct js_stream_info *info)
{
    struct catalog_entry *entry = calloc(1, sizeof(*entry)), *old = NULL;
    enum jsfs_status status;

    if (entry == NULL)
        return JSFS_NO_MEMORY;
    entry->kind = kind;
    entry->info = *info;
    pthread_mutex_lock(&catalog->lock);
    status = adopt_locked(catalog, entry, &old);
    pthread_mutex_unlock(&catalog->lock);
    if (status != JSFS_OK)
        old = entry;
    if (old != NULL && old->bucket != NULL)
        bucket_vanished(old->bucket);
    if (old != NULL)
        entry_free(old);
    return status;
}

/* Taking a list over ------------------------------------------------------------------------ */

/* Both lists are sorted: what stays moves its open bucket over; old and new keep what only one
 * of them has, for telling.
 */
static void carry_over(struct list *old, struct list *new)
{
    size_t at = 0;

    for (size_t i = 0; i < new->count; i++) {
        while (at < old->count &&
               compare_entries(&old->entries[at], &new->entries[i]) < 0)
            at++;
        if (at == old->count)
            return;
        if (compare_entries(&old->entries[at], &new->entries[i]) != 0 ||
            !is_same(old->entries[at], new->entries[i]))
            continue;
        struct catalog_entry *fresh = new->entries[i];
        new->entries[i] = old->entries[at];
        old->entries[at] = fresh; /* told as unchanged below: same place, same creation */
    }
}

static const struct catalog_entry *find_same(const struct list *list,
                                             struct catalog_entry *entry)
{
    struct catalog_entry **found = list->count > 0
                                       ? bsearch(&entry, list->entries, list->count,
                                                 sizeof(*list->entries), compare_entries)
                                       : NULL;

    return found != NULL && is_same(*found, entry) ? *found : NULL;
}

static void tell(struct catalog *catalog, const struct list *list,
                 const struct list *other, bool exists)
{
    for (size_t i = 0; i < list->count; i++) {
        struct catalog_entry *entry = list->entries[i];

        if (find_same(other, entry) != NULL)
            continue;
        if (!exists && entry->bucket != NULL)
            bucket_vanished(entry->bucket); /* tells its observer, unless it knew */
        catalog->observer.listed(catalog->observer.arg, entry->kind, catalog_name(entry),
                                 exists);
    }
}

/* The first list is news to nobody. */
static void take_list(struct catalog *catalog, struct list *list)
{
    struct list old;

    pthread_mutex_lock(&catalog->lock);
    bool first = catalog->listed_ms == 0;
    old = (struct list){.entries = catalog->entries, .count = catalog->count};
    carry_over(&old, list);
    catalog->entries = list->entries;
    catalog->count = list->count;
    struct list now = {.count = list->count};
    now.entries = malloc((list->count + 1) * sizeof(*now.entries));
    if (now.entries != NULL && list->count > 0)
        memcpy(now.entries, list->entries, list->count * sizeof(*now.entries));
    pthread_mutex_unlock(&catalog->lock);

    /* Only this task changes the list, so its entries stay while it tells of them. */
    if (now.entries != NULL && !first) {
        tell(catalog, &old, &now, false);
        tell(catalog, &now, &old, true);
    }
    free(now.entries);
    list_free(&old);
}

static struct catalog_waiter *end_listing(struct catalog *catalog,
                                          enum jsfs_status status, int64_t begun_ms,
                                          bool *again)
{
    SCOPED_LOCK(&catalog->lock);
    struct catalog_waiter *waiters = NULL;

    if (status == JSFS_OK)
        catalog->listed_ms = begun_ms;
    *again = catalog->again && !catalog->closing && status == JSFS_OK;
    catalog->again = false;
    if (!*again) {
        waiters = catalog->waiters;
        catalog->waiters = NULL;
        catalog->listing = false;
        pthread_cond_broadcast(&catalog->settled);
    }
    return waiters;
}

static void run_waiters(struct catalog *catalog, struct catalog_waiter *waiters,
                        enum jsfs_status status)
{
    while (waiters != NULL) {
        struct catalog_waiter *next = waiters->next;

        waiters->run(catalog, waiters, status);
        waiters = next;
    }
}

/* The list that is known is all there is to be had. */
static bool is_known_offline(struct catalog *catalog)
{
    bool up = connection_is_up(catalog->connection);
    SCOPED_LOCK(&catalog->lock);

    return !up && catalog->listed_ms != 0;
}

static void list_streams(void *arg)
{
    struct catalog *catalog = arg;
    struct catalog_waiter *waiters;
    enum jsfs_status status;
    bool again;

    do {
        struct list list = {NULL, 0, 0, false};
        int64_t begun_ms = clock_monotonic_ms();

        status = make_list(catalog, &list);
        if (status == JSFS_OK)
            take_list(catalog, &list);
        else
            list_free(&list);
        waiters = end_listing(catalog, status, begun_ms, &again);
    } while (again);
    if (status != JSFS_OK && is_known_offline(catalog))
        status = JSFS_OK; /* the connection went while it was asked */
    run_waiters(catalog, waiters, status);
    catalog_task_end(catalog);
}

/* True when the caller is to start the task. Lock held. */
static bool begin_listing_locked(struct catalog *catalog)
{
    if (catalog->listing || catalog->closing)
        return false;
    catalog->listing = true;
    catalog->tasks++;
    return true;
}

void catalog_refresh(struct catalog *catalog)
{
    pthread_mutex_lock(&catalog->lock);
    if (catalog->listing)
        catalog->again = true;
    bool start = begin_listing_locked(catalog);
    pthread_mutex_unlock(&catalog->lock);
    if (start)
        executor_run(catalog->executor, list_streams, catalog);
}

static void advised(void *arg)
{
    catalog_refresh(arg);
}

void catalog_when_listed(struct catalog *catalog, struct catalog_waiter *waiter)
{
    bool up = connection_is_up(catalog->connection);
    enum jsfs_status status = JSFS_OK;
    bool start = false, now;

    pthread_mutex_lock(&catalog->lock);
    bool fresh = catalog->listed_ms != 0 && !catalog->again &&
                 clock_monotonic_ms() - catalog->listed_ms < CATALOG_LISTED_MS;
    now = fresh || !up || catalog->closing;
    if (catalog->closing)
        status = JSFS_INTERRUPTED;
    else if (!up && catalog->listed_ms == 0)
        status = JSFS_UNAVAILABLE;
    if (!now) {
        waiter->next = catalog->waiters;
        catalog->waiters = waiter;
        start = begin_listing_locked(catalog);
    }
    pthread_mutex_unlock(&catalog->lock);
    if (now)
        waiter->run(catalog, waiter, status);
    if (start)
        executor_run(catalog->executor, list_streams, catalog);
}

struct catalog_waiter *catalog_waiter_new(enum store_kind kind, const char *name,
                                          void *arg)
{
    struct catalog_waiter *waiter = calloc(1, sizeof(*waiter));

    if (waiter == NULL)
        return NULL;
    waiter->kind = kind;
    waiter->begun_ms = clock_monotonic_ms();
    waiter->arg = arg;
    waiter->name = name != NULL ? strdup(name) : NULL;
    if (name == NULL || waiter->name != NULL)
        return waiter;
    free(waiter);
    return NULL;
}

void catalog_waiter_free(struct catalog_waiter *waiter)
{
    free(waiter->name);
    free(waiter);
}

/* The whole --------------------------------------------------------------------------------- */

struct catalog *catalog_new(struct connection *connection, struct executor *executor,
                            const struct config *config,
                            const struct catalog_observer *observer)
{
    struct catalog *catalog = calloc(1, sizeof(*catalog));

    if (catalog == NULL)
        return NULL;
    catalog->connection = connection;
    catalog->executor = executor;
    catalog->config = config;
    catalog->observer = *observer;
    pthread_mutex_init(&catalog->lock, NULL);
    pthread_cond_init(&catalog->settled, NULL);
    catalog->advisories = advisories_open(connection, advised, catalog);
    if (catalog->advisories == NULL)
        jsfs_debug("catalog: no advisories; buckets are listed when somebody looks");
    return catalog;
}

/* A task may wait for a bucket: stopping answers it. A list that is being taken over meanwhile
 * may hide one, which then answers in its own time. */
static void stop_buckets(struct catalog *catalog)
{
    for (size_t i = 0;; i++) {
        struct bucket *bucket = NULL;

        pthread_mutex_lock(&catalog->lock);
        bool end = i >= catalog->count;
        if (!end && catalog->entries[i]->bucket != NULL)
            bucket = bucket_ref(catalog->entries[i]->bucket);
        pthread_mutex_unlock(&catalog->lock);
        if (end)
            return;
        if (bucket != NULL)
            bucket_stop(bucket);
        bucket_unref(bucket);
    }
}

void catalog_stop(struct catalog *catalog)
{
    pthread_mutex_lock(&catalog->lock);
    catalog->closing = true;
    pthread_mutex_unlock(&catalog->lock);
    advisories_close(catalog->advisories);
    catalog->advisories = NULL;
    stop_buckets(catalog);
    pthread_mutex_lock(&catalog->lock);
    while (catalog->tasks > 0)
        pthread_cond_wait(&catalog->settled, &catalog->lock);
    pthread_mutex_unlock(&catalog->lock);
    stop_buckets(catalog);
}

void catalog_free(struct catalog *catalog)
{
    if (catalog == NULL)
        return;
    catalog_stop(catalog);
    list_free(&(struct list){.entries = catalog->entries, .count = catalog->count});
    pthread_mutex_destroy(&catalog->lock);
    pthread_cond_destroy(&catalog->settled);
    free(catalog);
}
