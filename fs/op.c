/* SPDX-License-Identifier: Apache-2.0 */
/* op.c - see op.h. Layer 5.
 *
 * States. RUNNING: the handler is still at it. PARKING: it is making the request interruptible.
 * INTERRUPTED: the interrupt came in that moment; op_park answers it. PARKED: the handler has
 * left. CLAIMED: somebody answers. Whoever moves the state to CLAIMED answers.
 *
 * A finisher that meets PARKING or INTERRUPTED waits for the few instructions until it ends,
 * because libfuse's interrupt registration must not touch a request that was answered. For the
 * same reason the callback answers only when it is PARKED: called by the registration itself,
 * libfuse would free the request and then unlock it. The callback runs under libfuse's request
 * lock, so it must not register or unregister.
 */
#include "fs/op.h"

#include "core/cleanup.h"
#include "core/log.h"
#include "fs/errno_map.h"
#include "fs/notifier.h"
#include "fs/pending.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

enum state { RUNNING, PARKING, INTERRUPTED, PARKED, CLAIMED };

struct op_list {
    pthread_mutex_t lock;
    struct op *first; /* lock */
};

struct op_list *op_list_new(void)
{
    struct op_list *list = calloc(1, sizeof(*list));

    if (list != NULL)
        pthread_mutex_init(&list->lock, NULL);
    return list;
}

void op_list_free(struct op_list *list)
{
    if (list == NULL)
        return;
    pthread_mutex_destroy(&list->lock);
    free(list);
}

static void list_add(struct op *op)
{
    struct op_list *list = op->fs->parked;

    if (op->holds_directory)
        atomic_fetch_add(&op->inode->held, 1);
    if (op->other != NULL)
        atomic_fetch_add(&op->other->held, 1);
    SCOPED_LOCK(&list->lock);
    op->before = NULL;
    op->after = list->first;
    if (op->after != NULL)
        op->after->before = op;
    list->first = op;
}

static void list_remove(struct op *op)
{
    struct op_list *list = op->fs->parked;

    pthread_mutex_lock(&list->lock);
    if (op->before != NULL)
        op->before->after = op->after;
    else
        list->first = op->after;
    if (op->after != NULL)
        op->after->before = op->before;
    pthread_mutex_unlock(&list->lock);
    if (op->holds_directory && atomic_fetch_sub(&op->inode->held, 1) == 1)
        notifier_released(op->fs->notifier, op->inode);
    if (op->other != NULL && atomic_fetch_sub(&op->other->held, 1) == 1)
        notifier_released(op->fs->notifier, op->other);
}

static void unref(struct op *op)
{
    if (atomic_fetch_sub(&op->references, 1) != 1)
        return;
    struct fs *fs = op->fs;

    if (op->moved && op->holds_directory) /* the kernel may have the name in another place too */
        notifier_entry(fs->notifier, op->inode, op->name);
    inode_put(fs->inodes, op->inode);
    inode_put(fs->inodes, op->child);
    inode_put(fs->inodes, op->other);
    value_file_unref(op->value);
    free(op->name);
    free(op->other_name);
    free(op->path);
    free(op->nuid);
    free(op);
    pending_end(fs->pending);
}

static struct op *new_op(fuse_req_t request, const char *what, uint64_t inode,
                         struct inode *(*get)(struct inode_table *table, uint64_t number))
{
    struct op *op = calloc(1, sizeof(*op));

    if (op == NULL) {
        fuse_reply_err(request, ENOMEM);
        return NULL;
    }
    op->request = request;
    op->fs = fuse_req_userdata(request);
    op->what = what;
    op->caller = fuse_req_ctx(request)->pid;
    atomic_init(&op->references, 1);
    pending_begin(op->fs->pending);
    op->inode = get(op->fs->inodes, inode);
    if (op->inode == NULL) {
        fuse_reply_err(request, ESTALE);
        unref(op);
        return NULL;
    }
    op->moved = op->inode->number != inode;
    atomic_init(&op->references, 2);
    return op;
}

struct op *op_new(fuse_req_t request, const char *what, uint64_t inode)
{
    return new_op(request, what, inode, inode_get);
}

struct op *op_new_open(fuse_req_t request, const char *what, uint64_t inode)
{
    return new_op(request, what, inode, inode_get_exactly);
}

struct op *op_new_named(fuse_req_t request, const char *what, uint64_t inode, const char *name)
{
    struct op *op = op_new(request, what, inode);

    if (op == NULL)
        return NULL;
    op->name = strdup(name);
    op->holds_directory = true;
    if (op->name != NULL)
        return op;
    op_reply_errno(op, ENOMEM);
    unref(op);
    return NULL;
}

struct op *op_new_rename(fuse_req_t request, uint64_t inode, const char *name,
                         uint64_t other, const char *other_name)
{
    struct op *op = op_new_named(request, "rename", inode, name);

    if (op == NULL)
        return NULL;
    op->other = inode_get(op->fs->inodes, other);
    op->other_name = strdup(other_name);
    if (op->other != NULL && op->other_name != NULL)
        return op;
    op_reply_errno(op, op->other == NULL ? ESTALE : ENOMEM);
    unref(op);
    return NULL;
}

/* Answers a request that was claimed for an interrupt; the list's reference goes. */
static void answer_interrupt(struct op *op)
{
    list_remove(op);
    if (op->interrupted_size > 0)
        fuse_reply_write(op->request, op->interrupted_size);
    else
        fuse_reply_err(op->request, EINTR);
    unref(op);
}

/* libfuse calls it with the request's lock held, at most once. */
static void interrupted(fuse_req_t request, void *data)
{
    struct op *op = data;
    int parked = PARKED;
    int parking = PARKING;

    (void)request;
    if (atomic_compare_exchange_strong(&op->state, &parked, CLAIMED))
        answer_interrupt(op);
    else
        atomic_compare_exchange_strong(&op->state, &parking, INTERRUPTED);
}

void op_park(struct op *op)
{
    int running = RUNNING;
    int parking = PARKING;

    if (atomic_compare_exchange_strong(&op->state, &running, PARKING)) {
        atomic_fetch_add(&op->references, 1);
        list_add(op);
        fuse_req_interrupt_func(op->request, interrupted, op);
        if (!atomic_compare_exchange_strong(&op->state, &parking, PARKED)) {
            atomic_store(&op->state, CLAIMED);
            answer_interrupt(op);
        }
    }
    unref(op);
}

bool op_claim(struct op *op)
{
    for (;;) {
        int running = RUNNING;
        int parked = PARKED;

        if (atomic_compare_exchange_strong(&op->state, &running, CLAIMED))
            return true;
        if (atomic_compare_exchange_strong(&op->state, &parked, CLAIMED)) {
            fuse_req_interrupt_func(op->request, NULL, NULL);
            list_remove(op);
            unref(op);
            return true;
        }
        if (atomic_load(&op->state) == CLAIMED)
            return false;
        sched_yield();
    }
}

bool op_is_answered(const struct op *op)
{
    return atomic_load(&op->state) == CLAIMED;
}

void op_done(struct op *op)
{
    unref(op);
}

static bool is_ordinary(enum jsfs_status status)
{
    switch (status) {
    case JSFS_OK:
    case JSFS_NOT_FOUND:
    case JSFS_EXISTS:
    case JSFS_NOT_EMPTY:
    case JSFS_NOT_DIRECTORY:
    case JSFS_IS_DIRECTORY:
    case JSFS_INTERRUPTED: return true;
    default: return false;
    }
}

/* What .jsfs/status.json shows of it. */
static void remember_error(const struct op *op, enum jsfs_status status)
{
    const struct inode *inode = op->inode;
    char text[256];

    if (inode == NULL || inode->bucket == NULL)
        return;
    snprintf(text, sizeof(text), "%s: %s%s%s", jsfs_status_text(status),
             inode->path != NULL ? inode->path : "", op->name != NULL ? "/" : "",
             op->name != NULL ? op->name : "");
    bucket_note_error(inode->bucket, op->what, text);
}

void op_log(const struct op *op, enum jsfs_status status)
{
    const struct inode *inode = op->inode;
    const char *bucket = inode != NULL && inode->bucket != NULL
                             ? bucket_name(inode->bucket)
                             : "-";

    bool retried = status == JSFS_STALE && strcmp(op->what, "open") == 0;

    if (is_ordinary(status) || retried) /* the kernel looks the name up and opens it again */
        return;
    jsfs_log(JSFS_LOG_WARNING, "op=%s bucket=%s path=%s%s%s error=\"%s\" errno=%s", op->what,
             bucket, inode != NULL && inode->path != NULL ? inode->path : "",
             op->name != NULL ? "/" : "", op->name != NULL ? op->name : "",
             jsfs_status_text(status), strerrorname_np(errno_of(status)));
    remember_error(op, status);
}

void op_reply_errno(struct op *op, int error)
{
    if (op_claim(op))
        fuse_reply_err(op->request, error);
    unref(op);
}

void op_reply_status(struct op *op, enum jsfs_status status)
{
    op_log(op, status);
    op_reply_errno(op, errno_of(status));
}

void op_reply_attr(struct op *op, const struct stat *attr, double timeout)
{
    if (op_claim(op))
        fuse_reply_attr(op->request, attr, timeout);
    unref(op);
}

void op_reply_buffer(struct op *op, const void *data, size_t size)
{
    if (op_claim(op))
        fuse_reply_buf(op->request, data, size);
    unref(op);
}

void op_reply_parts(struct op *op, const struct iovec *parts, int count)
{
    if (op_claim(op))
        fuse_reply_iov(op->request, parts, count);
    unref(op);
}

void op_reply_write(struct op *op, size_t size)
{
    if (op_claim(op))
        fuse_reply_write(op->request, size);
    unref(op);
}

void op_reply_poll(struct op *op, unsigned ready)
{
    if (op_claim(op))
        fuse_reply_poll(op->request, ready);
    unref(op);
}

void op_reply_link(struct op *op, const char *target)
{
    if (op_claim(op))
        fuse_reply_readlink(op->request, target);
    unref(op);
}

void op_reply_statfs(struct op *op, const struct statvfs *statfs)
{
    if (op_claim(op))
        fuse_reply_statfs(op->request, statfs);
    unref(op);
}

/* What is answered when the server is silent; holds a reference to the op. */
struct fallback {
    struct op *op;
    struct statvfs statfs;
};

static void drop_fallback(void *arg)
{
    struct fallback *fallback = arg;

    unref(fallback->op);
    free(fallback);
}

static void fall_back(void *arg)
{
    struct fallback *fallback = arg;

    if (op_claim(fallback->op))
        fuse_reply_statfs(fallback->op->request, &fallback->statfs);
    drop_fallback(fallback);
}

void op_statfs_within(struct op *op, int64_t delay_ms, const struct statvfs *statfs)
{
    struct fallback *fallback = malloc(sizeof(*fallback));

    if (fallback == NULL)
        return;
    *fallback = (struct fallback){op, *statfs};
    atomic_fetch_add(&op->references, 1);
    executor_after(op->fs->executor, delay_ms, fall_back, drop_fallback, fallback);
}

static struct op *first_parked(struct op_list *list)
{
    SCOPED_LOCK(&list->lock);

    if (list->first != NULL)
        atomic_fetch_add(&list->first->references, 1);
    return list->first;
}

/* Each one claimed leaves the list; one that another thread has claimed is about to. */
void op_list_interrupt(struct op_list *list)
{
    struct op *op;

    while ((op = first_parked(list)) != NULL) {
        if (op_claim(op))
            fuse_reply_err(op->request, EINTR);
        else
            sched_yield();
        unref(op);
    }
}
