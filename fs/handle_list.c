/* SPDX-License-Identifier: Apache-2.0 */
/* handle_list.c - see handle_list.h. Layer 5. */
#include "fs/handle_list.h"

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "fs/handle.h"

#include <errno.h>
#include <string.h>

struct handle_list {
    pthread_mutex_t lock;
    pthread_cond_t committed;
    struct handle *first; /* lock */
    unsigned waiting;     /* lock: commits of handle_list_commit that have not ended */
    unsigned failed;      /* lock */
};

struct handle_list *handle_list_new(void)
{
    struct handle_list *list = calloc(1, sizeof(*list));
    pthread_condattr_t monotonic;

    if (list == NULL)
        return NULL;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&list->lock, NULL);
    pthread_cond_init(&list->committed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return list;
}

void handle_list_free(struct handle_list *list)
{
    if (list == NULL)
        return;
    while (list->first != NULL) /* the kernel releases nothing at unmount */
        handle_unref(list->first);
    pthread_cond_destroy(&list->committed);
    pthread_mutex_destroy(&list->lock);
    free(list);
}

void handle_list_add(struct handle_list *list, struct handle *handle)
{
    SCOPED_LOCK(&list->lock);
    handle->after = list->first;
    if (handle->after != NULL)
        handle->after->before = handle;
    list->first = handle;
}

void handle_list_remove(struct handle_list *list, struct handle *handle)
{
    SCOPED_LOCK(&list->lock);
    if (handle->before != NULL)
        handle->before->after = handle->after;
    else
        list->first = handle->after;
    if (handle->after != NULL)
        handle->after->before = handle->before;
}

static void one_committed(void *arg, enum jsfs_status status)
{
    struct handle *handle = arg;
    struct handle_list *list = handle->fs->handles;

    if (status != JSFS_OK)
        jsfs_log(JSFS_LOG_ERROR,
                 "op=unmount bucket=%s path=%s error=\"not committed: %s\"",
                 bucket_name(handle->inode->bucket), handle->inode->path,
                 jsfs_status_text(status));
    handle_unref(handle);
    SCOPED_LOCK(&list->lock);
    list->waiting--;
    if (status != JSFS_OK)
        list->failed++;
    pthread_cond_signal(&list->committed);
}

/* The handles that may have work, counted and linked by to_commit: a RELEASE of one of them may
 * run meanwhile, and memory may be out.
 */
static struct handle *writable_handles(struct handle_list *list)
{
    SCOPED_LOCK(&list->lock);
    struct handle *found = NULL;

    list->failed = 0;
    for (struct handle *handle = list->first; handle != NULL; handle = handle->after) {
        if (!handle->writable || !handle_try_ref(handle))
            continue;
        handle->to_commit = found;
        found = handle;
        list->waiting++;
    }
    return found;
}

unsigned handle_list_commit(struct handle_list *list, int timeout_ms)
{
    struct timespec deadline = clock_deadline(timeout_ms);
    struct handle *next = NULL;

    for (struct handle *handle = writable_handles(list); handle != NULL; handle = next) {
        next = handle->to_commit;
        handle_commit(handle, true, one_committed, handle);
    }
    SCOPED_LOCK(&list->lock);
    while (list->waiting > 0)
        if (pthread_cond_timedwait(&list->committed, &list->lock, &deadline) == ETIMEDOUT)
            break;
    return list->failed + list->waiting;
}

/* Commits of some handles, and who waits for them all. */
struct group {
    atomic_uint left;  /* those that run, and the one who starts them */
    atomic_int failed; /* enum jsfs_status of the first failure */
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

/* Which handles: those on a name and below it. */
struct where {
    const struct bucket *bucket;
    const char *path;
};

static const char *path_locked(const struct handle *handle)
{
    return handle->path != NULL ? handle->path : handle->inode->path;
}

static bool is_there_locked(const struct handle *handle, const struct where *where)
{
    const char *path = path_locked(handle);
    size_t size = strlen(where->path);

    return handle->inode->bucket == where->bucket &&
           strncmp(path, where->path, size) == 0 &&
           (path[size] == '\0' || path[size] == '/');
}

/* The writable ones of them, counted; NULL without memory. */
static struct handle **handles_below_locked(struct handle_list *list,
                                            const struct where *where, unsigned *count)
{
    size_t all = 0;

    for (struct handle *handle = list->first; handle != NULL; handle = handle->after)
        all++;
    struct handle **out = calloc(all + 1, sizeof(struct handle *));
    for (struct handle *handle = list->first; out != NULL && handle != NULL;
         handle = handle->after)
        if (handle->writable && is_there_locked(handle, where) && handle_try_ref(handle))
            out[(*count)++] = handle;
    return out;
}

struct handle **handle_list_below(struct handle_list *list, const struct bucket *bucket,
                                  const char *path, unsigned *count)
{
    struct where where = {bucket, path};

    *count = 0;
    SCOPED_LOCK(&list->lock);
    return handles_below_locked(list, &where, count);
}

char *handle_list_path(struct handle_list *list, const struct handle *handle)
{
    SCOPED_LOCK(&list->lock);
    return strdup(path_locked(handle));
}

bool handle_list_move(struct handle_list *list, struct handle *handle, const char *path)
{
    char *copy = strdup(path);

    if (copy == NULL)
        return false;
    SCOPED_LOCK(&list->lock);
    free(handle->path);
    handle->path = copy;
    return true;
}

bool handle_list_is_moved(struct handle_list *list, const struct handle *handle)
{
    SCOPED_LOCK(&list->lock);
    return handle->path != NULL;
}

void handle_list_commit_below(struct handle_list *list, const struct bucket *bucket,
                              const char *path, handle_done *done, void *arg)
{
    struct group *group = malloc(sizeof(*group));
    unsigned count = 0;

    if (group == NULL) {
        done(arg, JSFS_NO_MEMORY);
        return;
    }
    *group = (struct group){.left = 1, .failed = JSFS_OK, .done = done, .arg = arg};
    CLEANUP(cleanup_free)
    struct handle **handles = handle_list_below(list, bucket, path, &count);
    for (unsigned i = 0; i < count; i++)
        commit_member(group, handles[i]);
    end_one(group, handles != NULL ? JSFS_OK : JSFS_NO_MEMORY);
}
