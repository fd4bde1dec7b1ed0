/* SPDX-License-Identifier: Apache-2.0 */
/* conflict_store.c - see conflict_store.h. Layer 4.
 * Two places that look like one: the disk, and a list in memory of what that did not take.
 */
#include "core/conflict_store.h"

#include "core/buffer.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/conflict_disk.h"
#include "core/conflict_names.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A loss that only memory has. */
struct kept {
    struct kept *next;
    struct bytes *bytes;
    int64_t modified_ns;
    char place[]; /* "kv/BUCKET/NAME" */
};

struct conflict_store {
    char *directory; /* NULL: none */
    pthread_mutex_t lock;
    struct kept *kept;   /* lock */
    int64_t memory_used; /* lock; [bytes] */
};

struct conflict_file {
    int fd; /* -1: bytes */
    struct bytes *bytes;
};

struct conflict_store *conflict_store_new(const char *directory)
{
    struct conflict_store *store = calloc(1, sizeof(*store));

    if (store == NULL)
        return NULL;
    store->directory = directory != NULL ? strdup(directory) : NULL;
    if (directory != NULL && store->directory == NULL) {
        free(store);
        return NULL;
    }
    pthread_mutex_init(&store->lock, NULL);
    return store;
}

static enum jsfs_status status_of(int error)
{
    switch (error) {
    case 0: return JSFS_OK;
    case ENOENT: return JSFS_NOT_FOUND;
    case ENOTDIR: return JSFS_NOT_DIRECTORY;
    case EISDIR: return JSFS_IS_DIRECTORY;
    case EEXIST: return JSFS_EXISTS;
    case ENOTEMPTY: return JSFS_NOT_EMPTY;
    case ENOMEM: return JSFS_NO_MEMORY;
    default: return JSFS_FAILED;
    }
}

/* Places --------------------------------------------------------------------------------- */

/* "kv/BUCKET/NAME", or "kv/BUCKET" for "". For free(); NULL without memory. */
static char *place_of(const struct conflict_place *place, const char *name)
{
    char *text;
    int length = asprintf(&text, "%s/%s%s%s", place->kind == STORE_KV ? "kv" : "obj",
                          place->bucket, name[0] != '\0' ? "/" : "", name);

    return length < 0 ? NULL : text;
}

/* Where that is on the disk. For free(); NULL: there is no disk, or no memory. */
static char *disk_path(const struct conflict_store *store, const char *place)
{
    char *path;

    if (store->directory == NULL || asprintf(&path, "%s/%s", store->directory, place) < 0)
        return NULL;
    return path;
}

/* Memory --------------------------------------------------------------------------------- */

static struct kept *find_locked(struct conflict_store *store, const char *place)
{
    struct kept *kept = store->kept;

    while (kept != NULL && strcmp(kept->place, place) != 0)
        kept = kept->next;
    return kept;
}

/* What a kept loss is called below a directory of a place; NULL when it is not there. */
static const char *below(const struct kept *kept, const char *place)
{
    size_t size = strlen(place);

    return strncmp(kept->place, place, size) == 0 && kept->place[size] == '/'
               ? kept->place + size + 1
               : NULL;
}

static bool is_directory_locked(struct conflict_store *store, const char *place)
{
    for (struct kept *kept = store->kept; kept != NULL; kept = kept->next)
        if (below(kept, place) != NULL)
            return true;
    return false;
}

static void free_kept(struct kept *kept)
{
    bytes_unref(kept->bytes);
    free(kept);
}

static enum jsfs_status keep_in_memory(struct conflict_store *store, const char *place,
                                       struct bytes *bytes, int64_t modified_ns)
{
    struct kept *kept = malloc(sizeof(*kept) + strlen(place) + 1);
    enum jsfs_status status = JSFS_OK;

    if (kept == NULL)
        return JSFS_NO_MEMORY;
    kept->modified_ns = modified_ns;
    kept->bytes = bytes_ref(bytes);
    strcpy(kept->place, place);
    pthread_mutex_lock(&store->lock);
    if (find_locked(store, place) != NULL) {
        status = JSFS_EXISTS;
    } else if (store->memory_used + (int64_t)bytes->size > CONFLICT_MEMORY_MAX) {
        status = JSFS_NO_SPACE;
    } else {
        kept->next = store->kept;
        store->kept = kept;
        store->memory_used += (int64_t)bytes->size;
    }
    pthread_mutex_unlock(&store->lock);
    if (status != JSFS_OK)
        free_kept(kept);
    return status;
}

unsigned conflict_store_free(struct conflict_store *store)
{
    unsigned lost = 0;

    if (store == NULL)
        return 0;
    while (store->kept != NULL) {
        struct kept *kept = store->kept;
        CLEANUP(cleanup_free) char *path = disk_path(store, kept->place);

        store->kept = kept->next;
        if (path == NULL ||
            conflict_disk_write(path, kept->bytes, kept->modified_ns) != 0)
            lost++;
        free_kept(kept);
    }
    pthread_mutex_destroy(&store->lock);
    free(store->directory);
    free(store);
    return lost;
}

/* Keeping -------------------------------------------------------------------------------- */

/* Under one name: JSFS_EXISTS when it is taken. */
static enum jsfs_status keep_as(const struct conflict_place *place,
                                struct conflict_loss *loss, const char *name,
                                int64_t now_ns)
{
    struct conflict_store *store = place->store;
    CLEANUP(cleanup_free) char *where = place_of(place, name);
    CLEANUP(cleanup_free) char *path = where != NULL ? disk_path(store, where) : NULL;

    if (where == NULL)
        return JSFS_NO_MEMORY;
    pthread_mutex_lock(&store->lock);
    bool taken = find_locked(store, where) != NULL;
    pthread_mutex_unlock(&store->lock);
    if (taken)
        return JSFS_EXISTS;
    loss->disk_errno =
        path != NULL ? conflict_disk_write(path, loss->bytes, now_ns) : ENOENT;
    if (loss->disk_errno == 0)
        return JSFS_OK;
    if (loss->disk_errno == EEXIST)
        return JSFS_EXISTS;
    return keep_in_memory(store, where, loss->bytes, now_ns);
}

enum jsfs_status conflict_store_keep(const struct conflict_place *place,
                                     struct conflict_loss *loss)
{
    CLEANUP(buffer_clear) struct buffer key = BUFFER_INIT;
    int64_t now_ns = clock_realtime_ns();
    enum jsfs_status status = conflict_append_key(&key, loss->path);

    loss->name = NULL;
    for (unsigned number = 1; status == JSFS_OK && loss->name == NULL; number++) {
        CLEANUP(cleanup_free) char *name = NULL;

        if (asprintf(&name, "%s@%" PRIu64 ".%u", key.data, loss->revision, number) < 0) {
            name = NULL; /* asprintf leaves it undefined */
            return JSFS_NO_MEMORY;
        }
        status = keep_as(place, loss, name, now_ns);
        if (status == JSFS_OK) {
            loss->name = name;
            name = NULL;
        } else if (status == JSFS_EXISTS) {
            status = JSFS_OK;
        }
    }
    return status;
}

/* Looking -------------------------------------------------------------------------------- */

static bool stat_in_memory(struct conflict_store *store, const char *place,
                           struct conflict_entry *out)
{
    SCOPED_LOCK(&store->lock);
    struct kept *kept = find_locked(store, place);

    if (kept != NULL)
        *out = (struct conflict_entry){.size_bytes = kept->bytes->size,
                                       .modified_ns = kept->modified_ns};
    else if (is_directory_locked(store, place))
        *out = (struct conflict_entry){.directory = true};
    else
        return false;
    return true;
}

enum jsfs_status conflict_store_stat(const struct conflict_place *place, const char *name,
                                     struct conflict_entry *out)
{
    CLEANUP(cleanup_free) char *where = place_of(place, name);
    CLEANUP(cleanup_free)
    char *path = where != NULL ? disk_path(place->store, where) : NULL;
    int error = path != NULL ? conflict_disk_stat(path, out) : ENOENT;

    if (where == NULL)
        return JSFS_NO_MEMORY;
    if (error == 0 || stat_in_memory(place->store, where, out))
        return JSFS_OK;
    if (name[0] == '\0') {
        *out = (struct conflict_entry){.directory = true};
        return JSFS_OK;
    }
    return status_of(error);
}

struct listing {
    struct conflict_list *list;
    enum jsfs_status status;
};

static bool is_listed(const struct conflict_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->entries[i].name, name) == 0)
            return true;
    return false;
}

static void add_entry(void *arg, const struct conflict_entry *entry)
{
    struct listing *listing = arg;
    struct conflict_list *list = listing->list;
    size_t size = (list->count + 1) * sizeof(*list->entries);
    struct conflict_entry *entries = realloc(list->entries, size);
    char *name = strdup(entry->name);

    if (entries != NULL)
        list->entries = entries;
    if (entries == NULL || name == NULL) {
        free(name);
        listing->status = JSFS_NO_MEMORY;
        return;
    }
    entries[list->count] = *entry;
    entries[list->count++].name = name;
}

static void add_kept_locked(struct listing *listing, const struct kept *kept,
                            const char *rest)
{
    CLEANUP(cleanup_free) char *name = strndup(rest, strcspn(rest, "/"));
    struct conflict_entry entry = {
        .name = name,
        .directory = strchr(rest, '/') != NULL,
        .size_bytes = kept->bytes->size,
        .modified_ns = kept->modified_ns,
    };

    if (name == NULL)
        listing->status = JSFS_NO_MEMORY;
    else if (!is_listed(listing->list, name))
        add_entry(listing, &entry);
}

static void list_memory(struct conflict_store *store, const char *place,
                        struct listing *listing)
{
    SCOPED_LOCK(&store->lock);

    for (struct kept *kept = store->kept; kept != NULL; kept = kept->next) {
        const char *rest = below(kept, place);
        if (rest != NULL)
            add_kept_locked(listing, kept, rest);
    }
}

enum jsfs_status conflict_store_list(const struct conflict_place *place, const char *name,
                                     struct conflict_list *out)
{
    CLEANUP(cleanup_free) char *where = place_of(place, name);
    CLEANUP(cleanup_free)
    char *path = where != NULL ? disk_path(place->store, where) : NULL;
    struct conflict_list list = {NULL, 0};
    struct listing listing = {&list, JSFS_OK};

    if (where == NULL)
        return JSFS_NO_MEMORY;
    int error = path != NULL ? conflict_disk_list(path, add_entry, &listing) : ENOENT;
    list_memory(place->store, where, &listing);
    if (listing.status == JSFS_OK && list.count == 0 && error != 0 &&
        !(error == ENOENT && name[0] == '\0'))
        listing.status = status_of(error);
    if (listing.status == JSFS_OK)
        *out = list;
    else
        conflict_list_clear(&list);
    return listing.status;
}

void conflict_list_clear(struct conflict_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->entries[i].name);
    free(list->entries);
    *list = (struct conflict_list){NULL, 0};
}

/* Removing ------------------------------------------------------------------------------- */

/* JSFS_NOT_FOUND: memory has nothing of it. */
static enum jsfs_status remove_from_memory(struct conflict_store *store,
                                           const char *place, bool directory)
{
    SCOPED_LOCK(&store->lock);
    struct kept **at = &store->kept;

    while (*at != NULL && strcmp((*at)->place, place) != 0)
        at = &(*at)->next;
    if (*at == NULL && is_directory_locked(store, place))
        return directory ? JSFS_NOT_EMPTY : JSFS_IS_DIRECTORY;
    if (*at == NULL)
        return JSFS_NOT_FOUND;
    if (directory)
        return JSFS_NOT_DIRECTORY;
    struct kept *kept = *at;
    *at = kept->next;
    store->memory_used -= (int64_t)kept->bytes->size;
    free_kept(kept);
    return JSFS_OK;
}

enum jsfs_status conflict_store_remove(const struct conflict_place *place,
                                       const char *name, bool directory)
{
    CLEANUP(cleanup_free) char *where = place_of(place, name);
    CLEANUP(cleanup_free)
    char *path = where != NULL ? disk_path(place->store, where) : NULL;
    struct conflict_entry entry;

    if (where == NULL)
        return JSFS_NO_MEMORY;
    enum jsfs_status status = remove_from_memory(place->store, where, directory);
    if (status != JSFS_NOT_FOUND || path == NULL)
        return status;
    int error = conflict_disk_stat(path, &entry);
    if (error == 0 && directory != entry.directory)
        return directory ? JSFS_NOT_DIRECTORY : JSFS_IS_DIRECTORY;
    if (error == 0 && directory)
        error = conflict_disk_rmdir(path);
    else if (error == 0 && unlink(path) < 0)
        error = errno;
    return status_of(error);
}

/* Reading -------------------------------------------------------------------------------- */

static struct bytes *bytes_in_memory(struct conflict_store *store, const char *place)
{
    SCOPED_LOCK(&store->lock);
    struct kept *kept = find_locked(store, place);

    return kept != NULL ? bytes_ref(kept->bytes) : NULL;
}

enum jsfs_status conflict_store_open(const struct conflict_place *place, const char *name,
                                     struct conflict_file **out)
{
    CLEANUP(cleanup_free) char *where = place_of(place, name);
    CLEANUP(cleanup_free)
    char *path = where != NULL ? disk_path(place->store, where) : NULL;
    struct conflict_file *file = calloc(1, sizeof(*file));
    int error = ENOENT;

    if (where == NULL || file == NULL) {
        free(file);
        return JSFS_NO_MEMORY;
    }
    file->fd = -1;
    file->bytes = bytes_in_memory(place->store, where);
    if (file->bytes == NULL && path != NULL) {
        file->fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        error = file->fd < 0 ? errno : 0;
    }
    if (file->bytes == NULL && error != 0) {
        free(file);
        return status_of(error);
    }
    *out = file;
    return JSFS_OK;
}

enum jsfs_status conflict_file_read(struct conflict_file *file, uint64_t offset,
                                    size_t size, char *out, size_t *read)
{
    const struct bytes *bytes = file->bytes;

    *read = 0;
    if (bytes == NULL) {
        ssize_t count = pread(file->fd, out, size, (off_t)offset);
        *read = count > 0 ? (size_t)count : 0;
        return count >= 0 ? JSFS_OK : JSFS_FAILED;
    }
    if (offset < bytes->size) {
        *read = bytes->size - offset < size ? bytes->size - (size_t)offset : size;
        memcpy(out, bytes->data + offset, *read);
    }
    return JSFS_OK;
}

void conflict_file_close(struct conflict_file *file)
{
    if (file == NULL)
        return;
    bytes_unref(file->bytes);
    if (file->fd >= 0)
        close(file->fd);
    free(file);
}
