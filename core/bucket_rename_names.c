/* SPDX-License-Identifier: Apache-2.0 */
/* bucket_rename_names.c - which names and directories a rename of a directory is about.
 * Layer 4, a part of bucket_rename.h.
 */
#include "core/bucket_rename_state.h"
#include "core/cleanup.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_MOST 64

/* Walking ----------------------------------------------------------------------------------- */

struct frame {
    char *path;
    struct tree_page page;
    size_t at;       /* in the page */
    uint64_t cookie; /* behind the page */
};

struct walk {
    struct tree *tree;
    struct frame *frames;
    size_t depth, capacity;
};

/* The path is taken. */
static bool push(struct walk *walk, char *path)
{
    if (path != NULL && walk->depth == walk->capacity) {
        size_t capacity = walk->capacity == 0 ? 8 : walk->capacity * 2;
        struct frame *frames = realloc(walk->frames, capacity * sizeof(*frames));

        if (frames == NULL) {
            free(path);
            return false;
        }
        walk->frames = frames;
        walk->capacity = capacity;
    }
    if (path == NULL)
        return false;
    walk->frames[walk->depth++] = (struct frame){.path = path};
    return true;
}

static void pop(struct walk *walk)
{
    struct frame *frame = &walk->frames[--walk->depth];

    free(frame->path);
    tree_page_clear(&frame->page);
}

struct walk *walk_new(struct tree *tree, const char *path)
{
    struct walk *walk = calloc(1, sizeof(*walk));

    if (walk == NULL)
        return NULL;
    walk->tree = tree;
    if (push(walk, strdup(path)))
        return walk;
    walk_free(walk);
    return NULL;
}

void walk_free(struct walk *walk)
{
    if (walk == NULL)
        return;
    while (walk->depth > 0)
        pop(walk);
    free(walk->frames);
    free(walk);
}

static void cleanup_walk(struct walk **walk)
{
    walk_free(*walk);
}

/* More of the directory on top. JSFS_NOT_FOUND: there is none. */
static enum jsfs_status turn_page(struct walk *walk)
{
    struct frame *frame = &walk->frames[walk->depth - 1];
    bool end = frame->page.end && frame->cookie > 0;
    enum jsfs_status status = JSFS_NOT_FOUND;

    tree_page_clear(&frame->page);
    frame->at = 0;
    if (!end)
        status = tree_list(walk->tree, frame->path, frame->cookie, PAGE_MOST, &frame->page);
    if (status == JSFS_NO_MEMORY)
        return status;
    if (status != JSFS_OK || frame->page.count == 0)
        return JSFS_NOT_FOUND; /* gone meanwhile, too */
    frame->cookie = frame->page.items[frame->page.count - 1].cookie;
    return JSFS_OK;
}

static enum jsfs_status take(struct walk *walk, char **path, struct tree_attr *attr)
{
    struct frame *frame = &walk->frames[walk->depth - 1];
    const struct tree_item *item = &frame->page.items[frame->at++];

    *attr = item->attr;
    if (asprintf(path, "%s/%s", frame->path, item->name) < 0) {
        *path = NULL; /* asprintf leaves it undefined */
        return JSFS_NO_MEMORY;
    }
    if (attr->type != TREE_DIRECTORY || push(walk, strdup(*path)))
        return JSFS_OK;
    free(*path);
    *path = NULL;
    return JSFS_NO_MEMORY;
}

enum jsfs_status walk_next(struct walk *walk, char **path, struct tree_attr *attr)
{
    *path = NULL;
    while (walk->depth > 0) {
        const struct frame *frame = &walk->frames[walk->depth - 1];
        enum jsfs_status status = JSFS_OK;

        if (frame->at == frame->page.count)
            status = turn_page(walk);
        if (status == JSFS_OK)
            return take(walk, path, attr);
        if (status == JSFS_NO_MEMORY)
            return status;
        pop(walk);
    }
    return JSFS_OK;
}

/* Checking ---------------------------------------------------------------------------------- */

char *rename_path(const struct rename *rename, const char *path)
{
    char *out;

    if (asprintf(&out, "%s%s", rename->to, path + strlen(rename->from)) < 0)
        return NULL;
    return out;
}

/* Can what is at the target be a copy of what is, or was, at the source? */
static bool is_copy(const struct rename *rename, const char *path, const struct tree_attr *copy)
{
    struct tree *tree = bucket_tree(rename->bucket);
    CLEANUP(cleanup_free) char *source = NULL;
    CLEANUP(cleanup_free) char *name = NULL;
    struct tree_attr attr;
    bool live;

    if (asprintf(&source, "%s%s", rename->from, path + strlen(rename->to)) < 0) {
        source = NULL; /* asprintf leaves it undefined */
        return false;
    }
    name = bucket_name_path(source);
    if (name == NULL || copy->local)
        return false;
    uint64_t sequence = tree_sequence(tree, name, &live);
    if (!live)
        return sequence > copy->sequence;
    return tree_lookup(tree, source, &attr) == JSFS_OK && attr.type == TREE_FILE &&
           attr.size_bytes == copy->size_bytes;
}

static enum jsfs_status check_target(struct rename *rename)
{
    CLEANUP(cleanup_walk) struct walk *walk = NULL;
    struct tree *tree = bucket_tree(rename->bucket);
    struct tree_attr attr;
    enum jsfs_status status = tree_lookup(tree, rename->to, &attr);

    if (status == JSFS_NOT_FOUND)
        return JSFS_OK;
    if (status == JSFS_OK && (rename->flags & BUCKET_RENAME_NOREPLACE) != 0)
        return JSFS_EXISTS;
    if (status == JSFS_OK && attr.type != TREE_DIRECTORY)
        return JSFS_NOT_DIRECTORY;
    walk = status == JSFS_OK ? walk_new(tree, rename->to) : NULL;
    if (walk == NULL)
        return status == JSFS_OK ? JSFS_NO_MEMORY : status;
    for (;;) {
        CLEANUP(cleanup_free) char *path = NULL;

        status = walk_next(walk, &path, &attr);
        if (status != JSFS_OK || path == NULL)
            return status;
        if (attr.type != TREE_DIRECTORY && !is_copy(rename, path, &attr))
            return JSFS_NOT_EMPTY;
    }
}

static enum jsfs_status check_name(const struct rename *rename, const char *path)
{
    CLEANUP(cleanup_free) char *to = rename_path(rename, path);
    CLEANUP(cleanup_free) char *raw = NULL;

    return to != NULL ? bucket_raw_name(rename->bucket, to, true, &raw) : JSFS_NO_MEMORY;
}

enum jsfs_status rename_check_directory(struct rename *rename)
{
    struct tree *tree = bucket_tree(rename->bucket);
    CLEANUP(cleanup_walk) struct walk *walk = walk_new(tree, rename->from);
    enum jsfs_status status = walk != NULL ? check_target(rename) : JSFS_NO_MEMORY;

    if (status == JSFS_OK && tree_is_pinned(tree, rename->from))
        return JSFS_BUSY;
    while (status == JSFS_OK) {
        CLEANUP(cleanup_free) char *path = NULL;
        struct tree_attr attr;

        status = walk_next(walk, &path, &attr);
        if (status == JSFS_OK && path == NULL)
            return JSFS_OK;
        if (status == JSFS_OK && attr.type == TREE_DIRECTORY)
            status = tree_is_pinned(tree, path) ? JSFS_BUSY : JSFS_OK;
        else if (status == JSFS_OK)
            status = attr.local ? JSFS_BUSY : check_name(rename, path);
    }
    return status;
}

/* Directories ------------------------------------------------------------------------------- */

struct paths {
    char **items;
    size_t count, capacity;
};

static void free_paths(struct paths *paths)
{
    for (size_t i = 0; i < paths->count; i++)
        free(paths->items[i]);
    free(paths->items);
}

/* The path is taken. */
static enum jsfs_status add_path(struct paths *paths, char *path)
{
    if (path != NULL && paths->count == paths->capacity) {
        size_t capacity = paths->capacity == 0 ? 16 : paths->capacity * 2;
        char **items = realloc(paths->items, capacity * sizeof(*items));

        if (items == NULL) {
            free(path);
            return JSFS_NO_MEMORY;
        }
        paths->items = items;
        paths->capacity = capacity;
    }
    if (path == NULL)
        return JSFS_NO_MEMORY;
    paths->items[paths->count++] = path;
    return JSFS_OK;
}

/* The directory and all below it, each before what is in it. */
static enum jsfs_status list_directories(const struct rename *rename, struct paths *paths)
{
    CLEANUP(cleanup_walk)
    struct walk *walk = walk_new(bucket_tree(rename->bucket), rename->from);
    enum jsfs_status status =
        walk != NULL ? add_path(paths, strdup(rename->from)) : JSFS_NO_MEMORY;

    while (status == JSFS_OK) {
        struct tree_attr attr;
        char *path;

        status = walk_next(walk, &path, &attr);
        if (status == JSFS_OK && path == NULL)
            break;
        if (status == JSFS_OK && attr.type == TREE_DIRECTORY)
            status = add_path(paths, path);
        else
            free(path);
    }
    return status;
}

/* All are made at the target before one is removed at the source. */
enum jsfs_status rename_directories(struct rename *rename)
{
    CLEANUP(free_paths) struct paths paths = {NULL, 0, 0};
    struct tree *tree = bucket_tree(rename->bucket);
    enum jsfs_status status = list_directories(rename, &paths);

    for (size_t i = 0; i < paths.count && status == JSFS_OK; i++) {
        CLEANUP(cleanup_free) char *to = rename_path(rename, paths.items[i]);

        status = to != NULL ? tree_make_directory(tree, to) : JSFS_NO_MEMORY;
        if (status == JSFS_EXISTS)
            status = JSFS_OK;
    }
    for (size_t i = paths.count; i-- > 0 && status == JSFS_OK;) {
        status = tree_remove_directory(tree, paths.items[i]);
        if (status == JSFS_NOT_FOUND)
            status = JSFS_OK; /* only names had made it */
        else if (status == JSFS_NOT_EMPTY)
            status = JSFS_BUSY;
    }
    return status;
}
