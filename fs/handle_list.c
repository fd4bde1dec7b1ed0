/* SPDX-License-Identifier: Apache-2.0 */
/* handle_list.c - committing many open handles.
 * Layer 5, a part of handle.h.
 */
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "fs/handle_private.h"

#include <errno.h>
#include <string.h>

static void one_committed(void *arg, enum jsfs_status status)
{
    struct handle *handle = arg;
    struct handle_list *list = handle->fs->handles;

    if (status != JSFS_OK)
        jsfs_log(JSFS_LOG_ERROR, "op=unmount bucket=%s path=%s error=\"not committed: %s\"",
                 bucket_name(handle->inode->bucket), handle->inode->path,
                 jsfs_status_text(status));
    handle_unref(handle);
    SCOPED_LOCK(&list->lock);
    list->waiting--;
    if (status != JSFS_OK)
        list->failed++;
    pthread_cond_signal(&list->committed);
}

/* A reference, unless the last one has just gone and the handle is about to leave the list. */
static bool try_ref(struct handle *handle)
{
    unsigned references = atomic_load(&handle->references);

    while (references > 0)
        if (atomic_compare_exchange_weak(&handle->references, &references, references + 1))
            return true;
    return false;
}

/* Which handles: those on a name and below it; bucket NULL: all. */
struct where {
    const struct bucket *bucket;
    const char *path;
};

static bool is_there(const struct handle *handle, const struct where *where)
{
    const struct inode *inode = handle->inode;
    size_t size = where->bucket != NULL ? strlen(where->path) : 0;

    return where->bucket == NULL ||
           (inode->bucket == where->bucket && strncmp(inode->path, where->path, size) == 0 &&
            (inode->path[size] == '\0' || inode->path[size] == '/'));
}

/* The handles that may have work, counted: a RELEASE of one of them may run meanwhile. */
static struct handle **writable_handles_locked(struct handle_list *list,
                                               const struct where *where, unsigned *count)
{
    size_t all = 0;

    for (struct handle *handle = list->first; handle != NULL; handle = handle->after)
        all++;
    struct handle **out = calloc(all + 1, sizeof(struct handle *));
    *count = 0;
    for (struct handle *handle = list->first; out != NULL && handle != NULL;
         handle = handle->after)
        if (handle->writable && is_there(handle, where) && try_ref(handle))
            out[(*count)++] = handle;
    return out;
}

static struct handle **all_writable(struct handle_list *list, unsigned *count)
{
    static const struct where everywhere = {NULL, NULL};

    SCOPED_LOCK(&list->lock);
    struct handle **handles = writable_handles_locked(list, &everywhere, count);

    list->waiting += *count;
    list->failed = 0;
    return handles;
}

unsigned handle_list_commit(struct handle_list *list, int timeout_ms)
{
    struct timespec deadline = clock_deadline(timeout_ms);
    unsigned count;
    CLEANUP(cleanup_free) struct handle **handles = all_writable(list, &count);

    for (unsigned i = 0; i < count; i++)
        handle_commit(handles[i], true, one_committed, handles[i]);
    SCOPED_LOCK(&list->lock);
    while (list->waiting > 0)
        if (pthread_cond_timedwait(&list->committed, &list->lock, &deadline) == ETIMEDOUT)
            break;
    return list->failed + list->waiting;
}

/* Commits of some handles, and who waits for them all. */
struct group {
    atomic_uint left;    /* those that run, and the one who starts them */
    atomic_int failed;   /* enum jsfs_status of the first failure */
    handle_done *done;
    void *arg;
};

static void end_one(struct group *group, enum jsfs_status status)
{
    int none = JSFS_OK;

    if (status != JSFS_OK)
        atomic_compare_exchange_strong(&group->failed, &none, (int)status);
    if (atomic_fetch_sub(&group->left, 1) != 1)
        return;
    group->done(group->arg, (enum jsfs_status)atomic_load(&group->failed));
    free(group);
}

struct member {
    struct group *group;
    struct handle *handle; /* counted */
};

static void member_committed(void *arg, enum jsfs_status status)
{
    struct member *member = arg;

    handle_unref(member->handle);
    end_one(member->group, status);
    free(member);
}

static void commit_member(struct group *group, struct handle *handle)
{
    struct member *member = malloc(sizeof(*member));

    atomic_fetch_add(&group->left, 1);
    if (member == NULL) {
        handle_unref(handle);
        end_one(group, JSFS_NO_MEMORY);
        return;
    }
    *member = (struct member){group, handle};
    handle_commit(handle, true, member_committed, member);
}

void handle_list_commit_below(struct handle_list *list, const struct bucket *bucket,
                              const char *path, handle_done *done, void *arg)
{
    struct where where = {bucket, path};
    struct group *group = malloc(sizeof(*group));
    unsigned count = 0;

    if (group == NULL) {
        done(arg, JSFS_NO_MEMORY);
        return;
    }
    *group = (struct group){.left = 1, .failed = JSFS_OK, .done = done, .arg = arg};
    pthread_mutex_lock(&list->lock);
    CLEANUP(cleanup_free)
    struct handle **handles = writable_handles_locked(list, &where, &count);
    pthread_mutex_unlock(&list->lock);
    for (unsigned i = 0; i < count; i++)
        commit_member(group, handles[i]);
    end_one(group, handles != NULL ? JSFS_OK : JSFS_NO_MEMORY);
}
