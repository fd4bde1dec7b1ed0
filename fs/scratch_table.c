/* SPDX-License-Identifier: Apache-2.0 */
/* scratch_table.c - see scratch_table.h. Layer 5.
 * The names; bytes and attributes are in scratch_file.c. The lock is the last one but for the
 * trees', which keep the directories that files are in.
 */
#include "fs/scratch_table.h"

#include "core/cleanup.h"
#include "fs/scratch_private.h"

#include <stdio.h>
#include <string.h>

#define FIRST_NUMBER UINT64_C(0x5c00000000000000) /* st_ino of the first file */

struct scratch_table *scratch_table_new(uint64_t max_bytes)
{
    struct scratch_table *table = calloc(1, sizeof(*table));

    if (table == NULL)
        return NULL;
    pthread_mutex_init(&table->lock, NULL);
    table->max_bytes = max_bytes;
    table->next_cookie = SCRATCH_COOKIE + 1;
    return table;
}

void scratch_table_free(struct scratch_table *table)
{
    if (table == NULL)
        return;
    scratch_table_drop(table, NULL);
    pthread_mutex_destroy(&table->lock);
    free(table);
}

bool scratch_table_in_use(struct scratch_table *table)
{
    return atomic_load_explicit(&table->count, memory_order_relaxed) > 0;
}

/* Names -------------------------------------------------------------------------------------- */

static size_t slot_of(const struct bucket *bucket, const char *directory, const char *name)
{
    uint64_t hash = (uint64_t)(uintptr_t)bucket;

    for (const char *at = directory; *at != '\0'; at++)
        hash = (hash ^ (unsigned char)*at) * 0x100000001b3ULL;
    hash = (hash ^ '/') * 0x100000001b3ULL;
    for (const char *at = name; *at != '\0'; at++)
        hash = (hash ^ (unsigned char)*at) * 0x100000001b3ULL;
    return (size_t)(hash ^ (hash >> 32)) % SCRATCH_SLOTS;
}

static struct scratch_file **find_locked(struct scratch_table *table,
                                         const struct scratch_place *place)
{
    struct scratch_file **at =
        &table->slots[slot_of(place->bucket, place->directory, place->name)];

    while (*at != NULL &&
           ((*at)->bucket != place->bucket || strcmp((*at)->name, place->name) != 0 ||
            strcmp((*at)->directory, place->directory) != 0))
        at = &(*at)->next;
    return at;
}

/* Under the name that the file has in its struct. */
static void link_locked(struct scratch_table *table, struct scratch_file *file)
{
    struct scratch_file **slot =
        &table->slots[slot_of(file->bucket, file->directory, file->name)];

    file->next = *slot;
    *slot = file;
    file->older = table->newest;
    file->newer = NULL;
    if (file->older != NULL)
        file->older->newer = file;
    else
        table->oldest = file;
    table->newest = file;
    file->cookie = table->next_cookie++;
    file->linked = true;
    atomic_fetch_add(&table->count, 1);
}

static void unlink_locked(struct scratch_table *table, struct scratch_file *file)
{
    struct scratch_file **at =
        &table->slots[slot_of(file->bucket, file->directory, file->name)];

    while (*at != file)
        at = &(*at)->next;
    *at = file->next;
    if (file->older != NULL)
        file->older->newer = file->newer;
    else
        table->oldest = file->newer;
    if (file->newer != NULL)
        file->newer->older = file->older;
    else
        table->newest = file->older;
    file->linked = false;
    atomic_fetch_sub(&table->count, 1);
}

/* A directory stays while a scratch file is in it, even if every key in it goes. */
static enum jsfs_status pin(struct bucket *bucket, const char *directory, bool in_tree)
{
    return in_tree ? tree_pin(bucket_tree(bucket), directory) : JSFS_OK;
}

/* The name goes, and with it the table's reference, which the caller takes. */
static void lose_name_locked(struct scratch_table *table, struct scratch_file *file)
{
    unlink_locked(table, file);
    if (file->pins)
        tree_unpin(bucket_tree(file->bucket), file->directory);
    file->pins = false;
}

static void set_name_locked(struct scratch_file *file, char *directory, char *name, bool in_tree)
{
    free(file->directory);
    free(file->name);
    file->directory = directory;
    file->name = name;
    file->in_tree = in_tree;
    file->pins = in_tree;
}

/* Link a new file. *old is one whose name it takes, with the table's reference. */
static enum jsfs_status add_locked(struct scratch_table *table, struct scratch_file *file,
                                   const struct scratch_place *place,
                                   const struct scratch_make *make, struct scratch_file **old)
{
    *old = *find_locked(table, place);
    if (*old != NULL && !make->replace) {
        *old = NULL;
        return JSFS_EXISTS;
    }
    enum jsfs_status status = scratch_file_fill_locked(file, make->bytes);
    if (status == JSFS_OK)
        status = pin(place->bucket, place->directory, make->in_tree);
    if (status != JSFS_OK) {
        *old = NULL;
        return status;
    }
    file->in_tree = make->in_tree;
    file->pins = make->in_tree;
    if (*old != NULL)
        lose_name_locked(table, *old);
    link_locked(table, file);
    file->special.number = FIRST_NUMBER + (file->cookie - SCRATCH_COOKIE);
    special_ref(&file->special);
    return JSFS_OK;
}

enum jsfs_status scratch_table_make(struct scratch_table *table,
                                    const struct scratch_place *place,
                                    const struct scratch_make *make,
                                    struct scratch_file **out)
{
    struct scratch_file *file = scratch_file_new(table, place, make), *old;

    if (file == NULL)
        return JSFS_NO_MEMORY;
    pthread_mutex_lock(&table->lock);
    enum jsfs_status status = add_locked(table, file, place, make, &old);
    pthread_mutex_unlock(&table->lock);
    if (old != NULL)
        special_unref(&old->special);
    if (status == JSFS_OK)
        *out = file;
    else
        special_unref(&file->special);
    return status;
}

struct scratch_file *scratch_table_find(struct scratch_table *table,
                                        const struct scratch_place *place)
{
    SCOPED_LOCK(&table->lock);
    struct scratch_file *file = *find_locked(table, place);

    if (file != NULL)
        special_ref(&file->special);
    return file;
}

bool scratch_table_unlink(struct scratch_file *file)
{
    struct scratch_table *table = file->table;

    pthread_mutex_lock(&table->lock);
    bool linked = file->linked;
    if (linked) {
        scratch_file_touch_locked(file);
        lose_name_locked(table, file);
    }
    pthread_mutex_unlock(&table->lock);
    if (linked)
        special_unref(&file->special);
    return linked;
}

/* Renaming ----------------------------------------------------------------------------------- */

/* Both keep a name, so both pins stay with the directories. */
static void exchange_locked(struct scratch_table *table, struct scratch_file *one,
                            struct scratch_file *two)
{
    char *directory = one->directory, *name = one->name;
    bool pins = one->pins, in_tree = one->in_tree;

    unlink_locked(table, one);
    unlink_locked(table, two);
    one->directory = two->directory;
    one->name = two->name;
    one->pins = two->pins;
    one->in_tree = two->in_tree;
    two->directory = directory;
    two->name = name;
    two->pins = pins;
    two->in_tree = in_tree;
    link_locked(table, one);
    link_locked(table, two);
}

static enum jsfs_status rename_locked(struct scratch_file *file,
                                      const struct scratch_place *to, bool in_tree,
                                      enum scratch_rename how, struct scratch_file **old)
{
    struct scratch_table *table = file->table;
    char *directory, *name;

    *old = NULL;
    struct scratch_file *there = *find_locked(table, to);
    if (!file->linked || (there == NULL && how == SCRATCH_EXCHANGE))
        return JSFS_NOT_FOUND;
    if (there != NULL && how == SCRATCH_KEEP)
        return JSFS_EXISTS;
    if (there == file)
        return JSFS_OK;
    if (how == SCRATCH_EXCHANGE) {
        exchange_locked(table, file, there);
        return JSFS_OK;
    }
    directory = strdup(to->directory);
    name = strdup(to->name);
    enum jsfs_status status = directory != NULL && name != NULL
                                  ? pin(to->bucket, to->directory, in_tree)
                                  : JSFS_NO_MEMORY;
    if (status != JSFS_OK) {
        free(directory);
        free(name);
        return status;
    }
    if (there != NULL)
        lose_name_locked(table, there);
    *old = there;
    lose_name_locked(table, file);
    set_name_locked(file, directory, name, in_tree);
    scratch_file_touch_locked(file);
    link_locked(table, file);
    return JSFS_OK;
}

enum jsfs_status scratch_table_rename(struct scratch_file *file,
                                      const struct scratch_place *to, bool in_tree,
                                      enum scratch_rename how)
{
    struct scratch_file *old;

    pthread_mutex_lock(&file->table->lock);
    enum jsfs_status status = rename_locked(file, to, in_tree, how, &old);
    pthread_mutex_unlock(&file->table->lock);
    if (old != NULL)
        special_unref(&old->special);
    return status;
}

/* What is behind the old name of a directory, "" or "/…"; NULL when it is elsewhere. */
static const char *below(const char *directory, const char *from)
{
    size_t size = strlen(from);
    bool is = strncmp(directory, from, size) == 0 &&
              (directory[size] == '\0' || directory[size] == '/');

    return is ? directory + size : NULL;
}

bool scratch_table_holds(struct scratch_table *table, const struct bucket *bucket,
                         const char *directory)
{
    SCOPED_LOCK(&table->lock);

    for (const struct scratch_file *file = table->oldest; file != NULL; file = file->newer)
        if (file->bucket == bucket && below(file->directory, directory) != NULL)
            return true;
    return false;
}

/* Without memory a file keeps its old directory, which then has it alone. */
static void move_locked(struct scratch_file *file, const char *rest, const char *to)
{
    char *directory = NULL;

    if (asprintf(&directory, "%s%s", to, rest) < 0)
        return;
    unlink_locked(file->table, file);
    free(file->directory);
    file->directory = directory;
    file->pins = file->in_tree && tree_pin(bucket_tree(file->bucket), directory) == JSFS_OK;
    link_locked(file->table, file);
}

/* Those in and below a directory, in order; move_locked() puts them behind the last one. */
static void each_below_locked(struct scratch_table *table, struct bucket *bucket,
                              const char *from, const char *to)
{
    const struct scratch_file *last = table->newest;
    struct scratch_file *next = table->oldest;

    for (bool end = last == NULL; !end;) {
        struct scratch_file *file = next;
        const char *rest = file->bucket == bucket ? below(file->directory, from) : NULL;

        next = file->newer;
        end = file == last;
        if (rest == NULL)
            continue;
        if (file->pins)
            tree_unpin(bucket_tree(bucket), file->directory);
        file->pins = false;
        if (to != NULL)
            move_locked(file, rest, to);
    }
}

void scratch_table_release(struct scratch_table *table, struct bucket *bucket,
                           const char *directory)
{
    SCOPED_LOCK(&table->lock);
    each_below_locked(table, bucket, directory, NULL);
}

void scratch_table_move(struct scratch_table *table, struct bucket *bucket, const char *from,
                        const char *to)
{
    SCOPED_LOCK(&table->lock);
    each_below_locked(table, bucket, from, to);
}

void scratch_table_drop(struct scratch_table *table, const struct bucket *bucket)
{
    struct scratch_file *dropped = NULL;

    pthread_mutex_lock(&table->lock);
    for (struct scratch_file *file = table->oldest, *newer; file != NULL; file = newer) {
        newer = file->newer;
        if (bucket != NULL && file->bucket != bucket)
            continue;
        lose_name_locked(table, file);
        file->next = dropped;
        dropped = file;
    }
    pthread_mutex_unlock(&table->lock);
    while (dropped != NULL) {
        struct scratch_file *file = dropped;

        dropped = file->next;
        special_unref(&file->special);
    }
}

bool scratch_table_has(struct scratch_table *table, enum store_kind kind, const char *bucket)
{
    SCOPED_LOCK(&table->lock);

    for (const struct scratch_file *file = table->oldest; file != NULL; file = file->newer)
        if (bucket_kind(file->bucket) == kind &&
            strcmp(bucket_name(file->bucket), bucket) == 0)
            return true;
    return false;
}

void scratch_table_list(struct scratch_table *table, struct bucket *bucket,
                        const char *directory, uint64_t cookie, scratch_each *each, void *arg)
{
    SCOPED_LOCK(&table->lock);

    for (const struct scratch_file *file = table->oldest; file != NULL; file = file->newer) {
        if (file->cookie > cookie && file->bucket == bucket &&
            strcmp(file->directory, directory) == 0 &&
            !each(arg, file->name, file->attr.st_mode & S_IFMT, file->special.number,
                  file->cookie))
            return;
    }
}
