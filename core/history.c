/* SPDX-License-Identifier: Apache-2.0 */
/* history.c - see history.h. Layer 4.
 * A purge is one message: stopped before it, the history is there; after it, the marker is. When
 * its answer is lost the store asks the leader.
 */
#include "core/history.h"
#include "core/cleanup.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Names ------------------------------------------------------------------------------------- */

void history_name(const struct store_entry *entry, char out[HISTORY_NAME_SIZE])
{
    const char *suffix = "";

    if (entry->state == STORE_DELETED)
        suffix = ".deleted";
    else if (entry->state == STORE_PURGED)
        suffix = ".purged";
    snprintf(out, HISTORY_NAME_SIZE, "@%" PRIu64 "%s", entry->sequence, suffix);
}

const struct store_entry *history_find(const struct store_entry *entries, size_t count,
                                       const char *name)
{
    for (size_t i = 0; i < count; i++) {
        char text[HISTORY_NAME_SIZE];

        history_name(&entries[i], text);
        if (strcmp(text, name) == 0)
            return &entries[i];
    }
    return NULL;
}

const struct store_entry *history_last_value(const struct store_entry *entries,
                                             size_t count)
{
    while (count > 0)
        if (entries[--count].state == STORE_LIVE)
            return &entries[count];
    return NULL;
}

size_t history_newer(const struct store_entry *entries, size_t count, uint64_t sequence)
{
    size_t newer = 0;

    for (size_t i = 0; i < count; i++)
        newer += entries[i].sequence > sequence;
    return newer;
}

/* The server -------------------------------------------------------------------------------- */

/* The raw name of a path, for free(). */
static enum jsfs_status raw_name(struct bucket *bucket, const char *path, char **raw)
{
    if (bucket_is_gone(bucket))
        return JSFS_STALE;
    return bucket_raw_name(bucket, path, false, raw);
}

void history_list(struct bucket *bucket, const char *path, store_history_done *done,
                  void *arg)
{
    struct store *store = bucket_store(bucket);
    CLEANUP(cleanup_free) char *raw = NULL;
    enum jsfs_status status = raw_name(bucket, path, &raw);

    if (status != JSFS_OK)
        done(arg, status, NULL, 0);
    else
        store->ops->history(store, raw, done, arg);
}

/* A purge or an erasure under way. */
struct change {
    struct bucket *bucket; /* a reference */
    uint64_t token;
    uint64_t
        known; /* the newest sequence that the tree knew before the server was asked */
    store_done *done;
    void *arg;
    char path[];
};

static struct change *new_change(struct bucket *bucket, const char *path,
                                 store_done *done, void *arg)
{
    size_t size = strlen(path) + 1;
    struct change *change = malloc(sizeof(*change) + size);

    if (change == NULL)
        return NULL;
    *change = (struct change){.bucket = bucket_ref(bucket),
                              .token = store_token(),
                              .known = tree_sequence(bucket_tree(bucket), path, NULL),
                              .done = done,
                              .arg = arg};
    memcpy(change->path, path, size);
    return change;
}

static void finish(struct change *change, enum jsfs_status status)
{
    change->done(change->arg, status);
    bucket_unref(change->bucket);
    free(change);
}

/* The server has it, whatever could be seen of it. */
static void shown(void *arg, enum jsfs_status status, const struct tree_attr *attr)
{
    (void)status;
    (void)attr;
    finish(arg, JSFS_OK);
}

static void purged(void *arg, enum jsfs_status status, uint64_t sequence)
{
    struct change *change = arg;

    if (status != JSFS_OK)
        finish(change, status);
    else
        bucket_written(change->bucket, change->path, sequence, change->token, shown,
                       change);
}

void history_purge(struct bucket *bucket, const char *path, store_done *done, void *arg)
{
    struct store *store = bucket_store(bucket);
    CLEANUP(cleanup_free) char *raw = NULL;
    enum jsfs_status status = raw_name(bucket, path, &raw);
    struct change *change =
        status == JSFS_OK ? new_change(bucket, path, done, arg) : NULL;

    if (change == NULL) {
        done(arg, status != JSFS_OK ? status : JSFS_NO_MEMORY);
        return;
    }
    struct store_write write = {.expect = STORE_EXPECT_ANY, .token = change->token};
    store->ops->purge(store, raw, &write, purged, change);
}

static void erased(void *arg, enum jsfs_status status, uint64_t sequence)
{
    struct change *change = arg;

    if (status == JSFS_OK || status == JSFS_NOT_FOUND)
        bucket_forget(change->bucket, change->path,
                      status == JSFS_OK ? sequence : change->known);
    finish(change, status == JSFS_EXISTS ? JSFS_NOT_FOUND : status);
}

void history_erase(struct bucket *bucket, const char *path, store_done *done, void *arg)
{
    struct store *store = bucket_store(bucket);
    CLEANUP(cleanup_free) char *raw = NULL;
    enum jsfs_status status = raw_name(bucket, path, &raw);
    struct change *change =
        status == JSFS_OK ? new_change(bucket, path, done, arg) : NULL;

    if (change == NULL)
        done(arg, status != JSFS_OK ? status : JSFS_NO_MEMORY);
    else
        store->ops->erase(store, raw, erased, change);
}
