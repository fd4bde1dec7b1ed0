/* SPDX-License-Identifier: Apache-2.0 */
/* bucket_put.c - publish a whole value under a name, and see it.
 * Layer 4. One message: stopped before it, the old value is there; after it, the new one. When
 * its answer is lost value_put asks the leader and stores nothing twice.
 */
#include "core/bucket_put.h"
#include <stdlib.h>
#include <string.h>

struct put {
    struct bucket *bucket; /* a reference */
    uint64_t token;
    bucket_lookup_done *done;
    void *arg;
    char path[];
};

static void finish(struct put *put, enum jsfs_status status, const struct tree_attr *attr)
{
    put->done(put->arg, status, attr);
    bucket_unref(put->bucket);
    free(put);
}

/* It is stored, whatever could be seen of it. */
static void shown(void *arg, enum jsfs_status status, const struct tree_attr *attr)
{
    finish(arg, JSFS_OK, status == JSFS_OK ? attr : NULL);
}

static void stored(void *arg, enum jsfs_status status, uint64_t sequence)
{
    struct put *put = arg;

    if (status != JSFS_OK)
        finish(put, status, NULL);
    else
        bucket_written(put->bucket, put->path, sequence, put->token, shown, put);
}

/* What shows as a directory takes a value only as its "@value". */
static enum jsfs_status check(struct bucket *bucket, const char *path, char **raw)
{
    struct tree_attr attr;
    enum jsfs_status status = tree_lookup(bucket_tree(bucket), path, &attr);

    if (status == JSFS_OK && attr.type == TREE_DIRECTORY)
        return JSFS_IS_DIRECTORY;
    if (status == JSFS_OK)
        object_meta_free(attr.meta);
    return bucket_raw_name(bucket, path, true, raw);
}

void bucket_put(struct bucket *bucket, const char *path, struct bytes *value, bool exclusive,
                bucket_lookup_done *done, void *arg)
{
    struct store *store = bucket_store(bucket);
    struct store_write write = {.expect = exclusive ? STORE_EXPECT_ABSENT : STORE_EXPECT_ANY,
                                .token = store_token()};
    size_t size = strlen(path) + 1;
    char *raw = NULL;
    enum jsfs_status status = check(bucket, path, &raw);
    struct put *put = status == JSFS_OK ? malloc(sizeof(*put) + size) : NULL;

    if (put == NULL) {
        free(raw);
        done(arg, status != JSFS_OK ? status : JSFS_NO_MEMORY, NULL);
        return;
    }
    *put = (struct put){bucket_ref(bucket), write.token, done, arg};
    memcpy(put->path, path, size);
    store->ops->value_put(store, raw, value, &write, stored, put);
    free(raw);
}
