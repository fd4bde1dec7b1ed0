/* SPDX-License-Identifier: Apache-2.0 */
/* scratch_file.c - bytes and attributes of a scratch file.
 * Layer 5, a part of scratch_table.h.
 */
#include "core/cleanup.h"
#include "core/clock.h"
#include "fs/scratch_private.h"

#include <string.h>

#define NS_PER_S 1000000000LL

static struct timespec time_of(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
}

static struct timespec now(void)
{
    return time_of(clock_realtime_ns());
}

struct scratch_file *scratch_file_new(struct scratch_table *table,
                                      const struct scratch_place *place,
                                      const struct scratch_make *make)
{
    struct scratch_file *file = calloc(1, sizeof(*file));

    if (file == NULL)
        return NULL;
    special_init(&file->special, make->ops);
    file->table = table;
    file->bucket = bucket_ref(place->bucket);
    file->directory = strdup(place->directory);
    file->name = strdup(place->name);
    file->target = make->target != NULL ? strdup(make->target) : NULL;
    file->probe = make->probe;
    file->revision = make->revision;
    file->attr.st_mode = make->mode;
    file->attr.st_uid = make->uid;
    file->attr.st_gid = make->gid;
    file->attr.st_ctim = now();
    file->attr.st_mtim =
        make->modified_ns != 0 ? time_of(make->modified_ns) : file->attr.st_ctim;
    file->attr.st_atim = file->attr.st_mtim;
    if (file->directory != NULL && file->name != NULL &&
        (make->target == NULL || file->target != NULL))
        return file;
    scratch_file_free(&file->special);
    return NULL;
}

void scratch_file_free(struct special *special)
{
    struct scratch_file *file = (struct scratch_file *)special;

    pthread_mutex_lock(&file->table->lock);
    file->table->bytes -= file->data.size;
    pthread_mutex_unlock(&file->table->lock);
    buffer_clear(&file->data);
    bucket_unref(file->bucket);
    free(file->directory);
    free(file->name);
    free(file->target);
    free(file);
}

static bool fits_locked(const struct scratch_file *file, uint64_t size)
{
    const struct scratch_table *table = file->table;

    return size <= table->max_bytes &&
           table->bytes - file->data.size <= table->max_bytes - size;
}

enum jsfs_status scratch_file_fill_locked(struct scratch_file *file, const struct bytes *bytes)
{
    if (bytes == NULL)
        return JSFS_OK;
    if (!fits_locked(file, bytes->size))
        return JSFS_NO_SPACE;
    enum jsfs_status status = buffer_append(&file->data, bytes->data, bytes->size);
    if (status == JSFS_OK)
        file->table->bytes += bytes->size;
    return status;
}

void scratch_file_touch_locked(struct scratch_file *file)
{
    file->probe = false; /* nobody renames a probe */
    file->attr.st_ctim = now();
}

size_t scratch_file_read(struct scratch_file *file, uint64_t offset, size_t size, char *out)
{
    SCOPED_LOCK(&file->table->lock);

    if (offset >= file->data.size)
        return 0;
    size_t left = file->data.size - (size_t)offset;
    if (left < size)
        size = left;
    memcpy(out, file->data.data + offset, size);
    return size;
}

static void changed_locked(struct scratch_file *file, size_t size_before)
{
    file->table->bytes += file->data.size - size_before;
    file->revision = 0;
    file->attr.st_mtim = now();
    file->attr.st_ctim = file->attr.st_mtim;
}

enum jsfs_status scratch_file_write(struct scratch_file *file, uint64_t offset,
                                    const void *data, size_t size, bool append)
{
    SCOPED_LOCK(&file->table->lock);
    size_t before = file->data.size;
    uint64_t end;

    if (append)
        offset = before;
    if (__builtin_add_overflow(offset, size, &end) ||
        !fits_locked(file, end > before ? end : before))
        return JSFS_NO_SPACE;
    enum jsfs_status status = buffer_write(&file->data, (size_t)offset, data, size);
    if (status == JSFS_OK)
        changed_locked(file, before);
    return status;
}

enum jsfs_status scratch_file_resize(struct scratch_file *file, uint64_t size)
{
    SCOPED_LOCK(&file->table->lock);
    size_t before = file->data.size;

    if (!fits_locked(file, size))
        return JSFS_NO_SPACE;
    enum jsfs_status status = buffer_resize(&file->data, (size_t)size);
    if (status == JSFS_OK)
        changed_locked(file, before);
    return status;
}

void scratch_file_set(struct scratch_file *file, const struct stat *attr, int to_set)
{
    SCOPED_LOCK(&file->table->lock);
    struct stat *own = &file->attr;

    own->st_ctim = now();
    if ((to_set & FUSE_SET_ATTR_MODE) != 0)
        own->st_mode = (own->st_mode & S_IFMT) | (attr->st_mode & 07777);
    if ((to_set & FUSE_SET_ATTR_UID) != 0)
        own->st_uid = attr->st_uid;
    if ((to_set & FUSE_SET_ATTR_GID) != 0)
        own->st_gid = attr->st_gid;
    if ((to_set & FUSE_SET_ATTR_ATIME_NOW) != 0)
        own->st_atim = own->st_ctim;
    else if ((to_set & FUSE_SET_ATTR_ATIME) != 0)
        own->st_atim = attr->st_atim;
    if ((to_set & FUSE_SET_ATTR_MTIME_NOW) != 0)
        own->st_mtim = own->st_ctim;
    else if ((to_set & FUSE_SET_ATTR_MTIME) != 0)
        own->st_mtim = attr->st_mtim;
}

void scratch_file_stat(struct scratch_file *file, struct stat *out)
{
    SCOPED_LOCK(&file->table->lock);

    out->st_mode = file->attr.st_mode;
    out->st_uid = file->attr.st_uid;
    out->st_gid = file->attr.st_gid;
    out->st_atim = file->attr.st_atim;
    out->st_mtim = file->attr.st_mtim;
    out->st_ctim = file->attr.st_ctim;
    out->st_nlink = file->linked;
    out->st_size = (off_t)(file->target != NULL ? strlen(file->target) : file->data.size);
    out->st_blocks = (blkcnt_t)((file->data.size + 511) / 512);
}

struct bytes *scratch_file_bytes(struct scratch_file *file, uint64_t *revision)
{
    SCOPED_LOCK(&file->table->lock);

    *revision = file->revision;
    return bytes_copy(file->data.data, file->data.size);
}

bool scratch_file_is_written_probe(struct scratch_file *file)
{
    SCOPED_LOCK(&file->table->lock);

    return file->probe && file->linked && file->data.size > 0;
}
