/* SPDX-License-Identifier: Apache-2.0 */
/* handle_move.c - see handle_move.h. Layer 5. */
#include "fs/handle_move.h"

#include "core/cleanup.h"
#include "fs/handle.h"
#include "fs/ops.h"

#include <stdio.h>
#include <string.h>

struct handle_moves {
    struct fs *fs;
    struct bucket *bucket; /* counted */
    size_t from_size;      /* of the path that gets another name */
    struct handle **handles; /* counted */
    unsigned count;
};

static struct value_file *value_of(const struct handle *handle)
{
    SCOPED_LOCK(&handle->inode->lock);
    return handle->inode->value != NULL ? value_file_ref(handle->inode->value) : NULL;
}

/* One of an older version must not become one of the newest by way of a rename. */
static bool is_newest(struct handle *handle, struct bucket *bucket)
{
    CLEANUP(cleanup_free) char *path = handle_list_path(handle->fs->handles, handle);
    struct value_file *value = value_of(handle);
    struct value_file_stat stat = {.sequence = 0};

    if (value != NULL)
        value_file_get(value, &stat);
    value_file_unref(value);
    return path != NULL && stat.sequence != 0 &&
           tree_sequence(bucket_tree(bucket), path, NULL) == stat.sequence;
}

static void keep_newest(struct handle_moves *moves)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < moves->count; i++) {
        if (is_newest(moves->handles[i], moves->bucket))
            moves->handles[kept++] = moves->handles[i];
        else
            handle_unref(moves->handles[i]);
    }
    moves->count = kept;
}

struct handle_moves *handle_moves_begin(struct fs *fs, struct bucket *bucket, const char *path)
{
    struct handle_moves *moves = calloc(1, sizeof(*moves));

    if (moves == NULL)
        return NULL;
    moves->fs = fs;
    moves->bucket = bucket_ref(bucket);
    moves->from_size = strlen(path);
    moves->handles = handle_list_below(fs->handles, bucket, path, &moves->count);
    keep_newest(moves);
    return moves;
}

/* Several handles share a value; the first one of them has moved it. */
static void move(const struct handle_moves *moves, struct handle *handle, const char *to)
{
    CLEANUP(cleanup_free) char *from = handle_list_path(moves->fs->handles, handle);
    CLEANUP(cleanup_free) char *path = NULL;
    CLEANUP(cleanup_free) char *raw = NULL;
    struct value_file *value = value_of(handle);

    if (from == NULL || asprintf(&path, "%s%s", to, from + moves->from_size) < 0)
        path = NULL; /* asprintf leaves it undefined */
    if (path != NULL && value != NULL &&
        bucket_raw_name(moves->bucket, path, false, &raw) == JSFS_OK &&
        handle_list_move(moves->fs->handles, handle, path))
        value_file_move(value, path, raw, tree_sequence(bucket_tree(moves->bucket), path, NULL));
    value_file_unref(value);
}

void handle_moves_end(struct handle_moves *moves, const char *to)
{
    if (moves == NULL)
        return;
    for (unsigned i = 0; i < moves->count; i++) {
        if (to != NULL)
            move(moves, moves->handles[i], to);
        handle_unref(moves->handles[i]);
    }
    free(moves->handles);
    bucket_unref(moves->bucket);
    free(moves);
}

void handle_moves_forget(struct fs *fs, struct bucket *bucket, const char *path)
{
    unsigned count = 0;
    CLEANUP(cleanup_free)
    struct handle **handles = handle_list_below(fs->handles, bucket, path, &count);

    for (unsigned i = 0; i < count; i++) {
        if (handle_list_is_moved(fs->handles, handles[i]))
            fs_forget_file(fs, handles[i]->inode);
        handle_unref(handles[i]);
    }
}
