/* SPDX-License-Identifier: Apache-2.0 */
/* bucket_rename.c - give a key, or all below a directory, another name: what is to be done.
 * Layer 4. How names are moved is in bucket_rename_move.c, which names in
 * bucket_rename_names.c.
 */
#include "core/bucket_rename.h"
#include "core/bucket_rename_state.h"
#include "core/cleanup.h"
#include <stdlib.h>
#include <string.h>

#define MOST_ROUNDS 4 /* over a directory that gets new names meanwhile */

/* Waiting ----------------------------------------------------------------------------------- */

void gate_init(struct gate *gate)
{
    pthread_mutex_init(&gate->lock, NULL);
    pthread_cond_init(&gate->open, NULL);
    gate->waiting = 0;
}

void gate_clear(struct gate *gate)
{
    pthread_cond_destroy(&gate->open);
    pthread_mutex_destroy(&gate->lock);
}

void gate_begin(struct gate *gate)
{
    SCOPED_LOCK(&gate->lock);
    gate->waiting++;
}

void gate_end(struct gate *gate)
{
    SCOPED_LOCK(&gate->lock);
    if (--gate->waiting == 0)
        pthread_cond_signal(&gate->open);
}

void gate_wait(struct gate *gate)
{
    SCOPED_LOCK(&gate->lock);
    while (gate->waiting > 0)
        pthread_cond_wait(&gate->open, &gate->lock);
}

static void looked_up(void *arg, enum jsfs_status status, const struct tree_attr *attr)
{
    struct rename *rename = arg;

    rename->status = status;
    if (status == JSFS_OK) {
        rename->attr = *attr;
        rename->attr.meta = NULL;
    }
    gate_end(&rename->gate);
}

/* rename->attr is what is there. */
static enum jsfs_status look_up(struct rename *rename, const char *path)
{
    gate_begin(&rename->gate);
    bucket_lookup(rename->bucket, path, looked_up, rename);
    gate_wait(&rename->gate);
    return rename->status;
}

static void listed(void *arg, enum jsfs_status status)
{
    struct rename *rename = arg;

    rename->status = status;
    gate_end(&rename->gate);
}

static enum jsfs_status wait_listed(struct rename *rename)
{
    gate_begin(&rename->gate);
    bucket_wait_listed(rename->bucket, listed, rename);
    gate_wait(&rename->gate);
    return rename->status;
}

/* Files ------------------------------------------------------------------------------------- */

static enum jsfs_status rename_file(struct rename *rename, const struct tree_attr *source)
{
    struct moving name;
    enum jsfs_status status = look_up(rename, rename->to);

    if (status == JSFS_OK && (rename->flags & BUCKET_RENAME_NOREPLACE) != 0)
        return JSFS_EXISTS;
    if (status == JSFS_OK && rename->attr.type == TREE_DIRECTORY)
        return JSFS_IS_DIRECTORY;
    if (status != JSFS_OK && status != JSFS_NOT_FOUND)
        return status;
    status =
        moving_init(&name, rename, strdup(rename->from), strdup(rename->to), source);
    if (status != JSFS_OK)
        return status;
    status = rename_move(rename, &name, 1);
    moving_clear(&name);
    return status;
}

static enum jsfs_status exchange(struct rename *rename, const struct tree_attr *source)
{
    struct moving names[2];
    enum jsfs_status status = look_up(rename, rename->to);

    if (status == JSFS_OK && rename->attr.type == TREE_DIRECTORY)
        return JSFS_INVALID;
    if (status == JSFS_OK && rename->attr.local)
        return JSFS_NOT_FOUND;
    if (status != JSFS_OK)
        return status;
    struct tree_attr target = rename->attr;
    status = moving_init(&names[0], rename, strdup(rename->from), strdup(rename->to), source);
    if (status != JSFS_OK)
        return status;
    status = moving_init(&names[1], rename, strdup(rename->to), strdup(rename->from), &target);
    if (status == JSFS_OK) {
        status = rename_exchange(rename, names);
        moving_clear(&names[1]);
    }
    moving_clear(&names[0]);
    return status;
}

/* Directories ------------------------------------------------------------------------------- */

/* Some names, as many as may be moved together. */
struct piece {
    struct moving *names;
    size_t count;
    uint64_t bytes;
};

static void clear_piece(struct piece *piece)
{
    for (size_t i = 0; i < piece->count; i++)
        moving_clear(&piece->names[i]);
    piece->count = 0;
    piece->bytes = 0;
}

static void free_piece(struct piece *piece)
{
    clear_piece(piece);
    free(piece->names);
}

/* path: taken. */
static enum jsfs_status add_name(struct rename *rename, struct piece *piece, char *path,
                                 const struct tree_attr *attr)
{
    char *to = rename_path(rename, path);
    enum jsfs_status status =
        moving_init(&piece->names[piece->count], rename, path, to, attr);

    if (status != JSFS_OK)
        return status;
    piece->count++;
    piece->bytes += attr->size_bytes;
    return JSFS_OK;
}

static bool is_full(const struct piece *piece, const struct tree_attr *next)
{
    return piece->count == RENAME_PIECE_NAMES ||
           (piece->count > 0 && piece->bytes + next->size_bytes > RENAME_PIECE_BYTES);
}

static enum jsfs_status move_piece(struct rename *rename, struct piece *piece)
{
    enum jsfs_status status =
        piece->count > 0 ? rename_move(rename, piece->names, piece->count) : JSFS_OK;

    clear_piece(piece);
    return status;
}

/* Every name that is there now, piece by piece. */
static enum jsfs_status move_names(struct rename *rename, struct walk *walk,
                                   struct piece *piece)
{
    for (;;) {
        struct tree_attr attr;
        char *path;
        enum jsfs_status status = walk_next(walk, &path, &attr);

        if (status == JSFS_OK && path == NULL)
            return move_piece(rename, piece);
        if (status == JSFS_OK && (attr.type == TREE_DIRECTORY || attr.local)) {
            free(path);
            continue;
        }
        if (status == JSFS_OK && is_full(piece, &attr)) {
            status = move_piece(rename, piece);
            if (status != JSFS_OK)
                free(path);
        }
        if (status == JSFS_OK)
            status = add_name(rename, piece, path, &attr);
        if (status != JSFS_OK)
            return status;
    }
}

static enum jsfs_status move_all(struct rename *rename)
{
    CLEANUP(free_piece)
    struct piece piece = {calloc(RENAME_PIECE_NAMES, sizeof(struct moving)), 0, 0};
    struct walk *walk = walk_new(bucket_tree(rename->bucket), rename->from);
    enum jsfs_status status = JSFS_NO_MEMORY;

    if (piece.names != NULL && walk != NULL)
        status = move_names(rename, walk, &piece);
    walk_free(walk);
    return status;
}

static bool is_below(const char *path, const char *directory)
{
    size_t size = strlen(directory);

    return strncmp(path, directory, size) == 0 && path[size] == '/';
}

static enum jsfs_status rename_directory(struct rename *rename)
{
    enum jsfs_status status;

    if (is_below(rename->to, rename->from) || is_below(rename->from, rename->to))
        return is_below(rename->to, rename->from) ? JSFS_INVALID : JSFS_NOT_EMPTY;
    rename->directory = true;
    status = wait_listed(rename);
    if (status == JSFS_OK)
        status = rename_check_directory(rename);
    for (int round = 0; round < MOST_ROUNDS && status == JSFS_OK; round++) {
        status = move_all(rename);
        if (status == JSFS_OK)
            status = rename_directories(rename);
        if (status != JSFS_BUSY)
            break;
        status = round + 1 < MOST_ROUNDS ? JSFS_OK : JSFS_BUSY;
    }
    return status;
}

/* The task ---------------------------------------------------------------------------------- */

static enum jsfs_status rename_it(struct rename *rename)
{
    bool exchanges = (rename->flags & BUCKET_RENAME_EXCHANGE) != 0;
    enum jsfs_status status = look_up(rename, rename->from);
    struct tree_attr source = rename->attr;

    if (status != JSFS_OK || strcmp(rename->from, rename->to) == 0)
        return status;
    if (source.type == TREE_DIRECTORY)
        return exchanges ? JSFS_INVALID : rename_directory(rename);
    if (source.type != TREE_FILE || source.local)
        return JSFS_NOT_FOUND;
    return exchanges ? exchange(rename, &source) : rename_file(rename, &source);
}

static void rename_free(struct rename *rename)
{
    gate_clear(&rename->gate);
    bucket_unref(rename->bucket);
    free(rename->from);
    free(rename->to);
    free(rename);
}

static void run(void *arg)
{
    struct rename *rename = arg;

    rename->done(rename->arg, rename_it(rename));
    rename_free(rename);
}

void bucket_rename(struct bucket *bucket, const char *from, const char *to, unsigned flags,
                   store_done *done, void *arg)
{
    struct rename *rename = calloc(1, sizeof(*rename));

    if (rename == NULL) {
        done(arg, JSFS_NO_MEMORY);
        return;
    }
    *rename = (struct rename){.bucket = bucket_ref(bucket),
                              .from = strdup(from),
                              .to = strdup(to),
                              .flags = flags,
                              .done = done,
                              .arg = arg};
    gate_init(&rename->gate);
    if (rename->from == NULL || rename->to == NULL) {
        rename_free(rename);
        done(arg, JSFS_NO_MEMORY);
        return;
    }
    executor_run(bucket->executor, run, rename);
}
