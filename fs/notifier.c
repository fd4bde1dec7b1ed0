/* SPDX-License-Identifier: Apache-2.0 */
/* notifier.c - see notifier.h. Layer 5.
 * Items of one directory stay in order because they have one shard; entry goes before inode, so
 * that a lookup in flight cannot install attributes that were invalidated before it ended.
 */
#include "fs/notifier.h"

#include "core/cleanup.h"
#include "core/log.h"

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>
#include <string.h>
#include <sys/uio.h>

#define SHARDS 3
#define MOST_QUEUED 65536 /* items a shard */
#define NOTIFY_INC_EPOCH 8 /* FUSE_NOTIFY_INC_EPOCH, protocol 7.44; older kernels: EINVAL */

enum item_kind { ITEM_ENTRY, ITEM_DATA, ITEM_ATTRIBUTES, ITEM_SWEEP, ITEM_FLUSH };

/* One item of it is in each shard; the last one that goes calls done. */
struct flush {
    atomic_uint items;
    void (*done)(void *arg);
    void *arg;
};

struct item {
    struct item *next;
    enum item_kind kind;
    struct inode *inode;   /* counted; NULL for a sweep */
    struct bucket *bucket; /* counted; of a sweep, NULL: all */
    struct flush *flush;   /* of a flush, else NULL */
    char name[];
};

struct shard {
    struct notifier *notifier;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct item *first, *last; /* lock */
    struct item *deferred;     /* lock; their directory is held; newest first */
    size_t queued;             /* lock; deferred ones too */
    bool swept;                /* lock: a sweep for overflow is queued */
    bool ending;               /* lock */
};

struct notifier {
    struct fuse_session *session;
    struct inode_table *inodes;
    unsigned started;
    struct shard shards[SHARDS];
};

static void pass(struct flush *flush)
{
    if (flush == NULL || atomic_fetch_sub(&flush->items, 1) != 1)
        return;
    flush->done(flush->arg);
    free(flush);
}

static void item_free(struct notifier *notifier, struct item *item)
{
    pass(item->flush);
    inode_put(notifier->inodes, item->inode);
    bucket_unref(item->bucket);
    free(item);
}

static struct item *item_new(enum item_kind kind, const char *name)
{
    size_t size = strlen(name) + 1;
    struct item *item = calloc(1, sizeof(*item) + size);

    if (item == NULL)
        return NULL;
    item->kind = kind;
    memcpy(item->name, name, size);
    return item;
}

static void append_locked(struct shard *shard, struct item *item)
{
    if (shard->last != NULL)
        shard->last->next = item;
    else
        shard->first = item;
    shard->last = item;
    shard->queued++;
    pthread_cond_signal(&shard->filled);
}

/* False when the item does not fit: then a sweep of everything stands for it. */
static bool enqueue(struct shard *shard, struct item *item)
{
    SCOPED_LOCK(&shard->lock);

    if (!shard->ending && shard->queued < MOST_QUEUED) {
        append_locked(shard, item);
        return true;
    }
    if (!shard->ending && !shard->swept) {
        struct item *sweep = item_new(ITEM_SWEEP, "");

        if (sweep != NULL) {
            shard->swept = true;
            append_locked(shard, sweep);
        }
    }
    return false;
}

static void submit(struct notifier *notifier, enum item_kind kind, struct inode *inode,
                   const char *name)
{
    struct item *item = item_new(kind, name);

    if (item == NULL) {
        atomic_store(&inode->notify_queued, false);
        return;
    }
    item->inode = inode_ref(notifier->inodes, inode);
    uint64_t place = kind == ITEM_ATTRIBUTES && inode->parent != NULL
                         ? inode->parent->number
                         : inode->number;
    if (enqueue(&notifier->shards[place % SHARDS], item))
        return;
    if (kind == ITEM_DATA)
        atomic_store(&inode->notify_queued, false);
    item_free(notifier, item);
}

void notifier_entry(struct notifier *notifier, struct inode *directory, const char *name)
{
    if (notifier == NULL)
        return;
    submit(notifier, ITEM_ENTRY, directory, name);
    notifier_data(notifier, directory);
}

void notifier_data(struct notifier *notifier, struct inode *inode)
{
    if (notifier == NULL || atomic_exchange(&inode->notify_queued, true))
        return;
    submit(notifier, ITEM_DATA, inode, "");
}

void notifier_attributes(struct notifier *notifier, struct inode *inode)
{
    if (notifier != NULL)
        submit(notifier, ITEM_ATTRIBUTES, inode, "");
}

void notifier_sweep(struct notifier *notifier, struct bucket *bucket)
{
    struct item *item = notifier != NULL ? item_new(ITEM_SWEEP, "") : NULL;

    if (item == NULL)
        return;
    item->bucket = bucket != NULL ? bucket_ref(bucket) : NULL;
    if (!enqueue(&notifier->shards[0], item))
        item_free(notifier, item);
}

void notifier_flush(struct notifier *notifier, void (*done)(void *arg), void *arg)
{
    struct flush *flush = notifier != NULL ? malloc(sizeof(*flush)) : NULL;

    if (flush == NULL) {
        done(arg);
        return;
    }
    *flush = (struct flush){.done = done, .arg = arg};
    atomic_init(&flush->items, SHARDS);
    for (unsigned i = 0; i < SHARDS; i++) {
        struct item *item = item_new(ITEM_FLUSH, "");

        if (item == NULL) {
            pass(flush);
            continue;
        }
        item->flush = flush;
        if (!enqueue(&notifier->shards[i], item))
            item_free(notifier, item);
    }
}

/* Directories are expired, not dropped, where libfuse and the kernel can: a dropped one takes
 * the working directories of processes with it.
 */
static void drop_name(struct notifier *notifier, struct inode *inode)
{
    struct fuse_session *session = notifier->session;
    size_t length = strlen(inode->name);

    if (inode->parent == NULL || length == 0)
        return;
    if (atomic_load(&inode->parent->held) > 0) {
        submit(notifier, ITEM_ENTRY, inode->parent, inode->name);
        return;
    }
    if (inode->kind == INODE_FILE || inode->kind == INODE_LINK)
        fuse_lowlevel_notify_inval_entry(session, inode->parent->number, inode->name, length);
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 16)
    else
        fuse_lowlevel_notify_expire_entry(session, inode->parent->number, inode->name, length);
#else
    else
        fuse_lowlevel_notify_expire_entry(session, inode->parent->number, inode->name, length,
                                          FUSE_LL_EXPIRE_ONLY);
#endif
}

/* Makes every dentry and every cached listing stale at once, negative ones too; false where the
 * kernel cannot. */
static bool increase_epoch(struct notifier *notifier)
{
    struct {
        uint32_t length;
        int32_t code;
        uint64_t unique;
    } notice = {sizeof(notice), NOTIFY_INC_EPOCH, 0};

    if (write(fuse_session_fd(notifier->session), &notice, sizeof(notice)) >= 0)
        return true;
    jsfs_debug("notifier: the kernel has no epochs (before protocol 7.44)");
    return false;
}

/* A file's attributes are those of its version, and its name was dropped with the epoch. */
static bool is_swept(const struct inode *inode, bool epoch)
{
    return epoch && (inode->kind == INODE_FILE || inode->kind == INODE_LINK);
}

static void sweep(struct notifier *notifier, struct bucket *bucket)
{
    struct inode **inodes = NULL;

    bool epoch = increase_epoch(notifier);
    size_t count = inode_collect(notifier->inodes, bucket, &inodes);
    for (size_t i = 0; i < count; i++) {
        if (!is_swept(inodes[i], epoch)) {
            drop_name(notifier, inodes[i]);
            fuse_lowlevel_notify_inval_inode(notifier->session, inodes[i]->number, -1, 0);
        }
        inode_put(notifier->inodes, inodes[i]);
    }
    free(inodes);
}

/* -ENOENT only says that the kernel did not know it. */
static void send_item(struct notifier *notifier, struct item *item)
{
    struct fuse_session *session = notifier->session;

    switch (item->kind) {
    case ITEM_ENTRY:
        fuse_lowlevel_notify_inval_entry(session, item->inode->number, item->name,
                                         strlen(item->name));
        break;
    case ITEM_DATA:
        atomic_store(&item->inode->notify_queued, false);
        fuse_lowlevel_notify_inval_inode(session, item->inode->number, 0, 0);
        break;
    case ITEM_ATTRIBUTES:
        fuse_lowlevel_notify_inval_inode(session, item->inode->number, -1, 0);
        break;
    case ITEM_SWEEP: sweep(notifier, item->bucket); break;
    case ITEM_FLUSH: break; /* what is freed has passed */
    }
}

static struct item *take(struct shard *shard)
{
    SCOPED_LOCK(&shard->lock);

    struct item *item = NULL;

    while (item == NULL && !shard->ending) {
        if (shard->first == NULL) {
            pthread_cond_wait(&shard->filled, &shard->lock);
            continue;
        }
        item = shard->first;
        shard->first = item->next;
        if (shard->first == NULL)
            shard->last = NULL;
        if (item->inode != NULL && atomic_load(&item->inode->held) > 0) {
            item->next = shard->deferred;
            shard->deferred = item;
            item = NULL;
        }
    }
    if (item == NULL)
        return NULL;
    shard->queued--;
    if (item->kind == ITEM_SWEEP)
        shard->swept = false;
    return item;
}

/* All deferred ones go back in front, in their order; those that are still held come again. */
void notifier_released(struct notifier *notifier, struct inode *directory)
{
    if (notifier == NULL)
        return;
    struct shard *shard = &notifier->shards[directory->number % SHARDS];

    SCOPED_LOCK(&shard->lock);
    while (shard->deferred != NULL) {
        struct item *item = shard->deferred;

        shard->deferred = item->next;
        item->next = shard->first;
        shard->first = item;
        if (shard->last == NULL)
            shard->last = item;
    }
    pthread_cond_signal(&shard->filled);
}

static void *run(void *arg)
{
    struct shard *shard = arg;
    struct item *item;

    while ((item = take(shard)) != NULL) {
        send_item(shard->notifier, item);
        item_free(shard->notifier, item);
    }
    return NULL;
}

struct notifier *notifier_new(struct fuse_session *session, struct inode_table *inodes)
{
    struct notifier *notifier = calloc(1, sizeof(*notifier));

    if (notifier == NULL)
        return NULL;
    notifier->session = session;
    notifier->inodes = inodes;
    for (; notifier->started < SHARDS; notifier->started++) {
        struct shard *shard = &notifier->shards[notifier->started];

        shard->notifier = notifier;
        pthread_mutex_init(&shard->lock, NULL);
        pthread_cond_init(&shard->filled, NULL);
        if (pthread_create(&shard->thread, NULL, run, shard) != 0) {
            pthread_mutex_destroy(&shard->lock);
            pthread_cond_destroy(&shard->filled);
            notifier_free(notifier);
            return NULL;
        }
    }
    return notifier;
}

static void free_items(struct notifier *notifier, struct item *items)
{
    for (struct item *next; items != NULL; items = next) {
        next = items->next;
        item_free(notifier, items);
    }
}

static void end_shard(struct notifier *notifier, struct shard *shard)
{
    pthread_mutex_lock(&shard->lock);
    shard->ending = true;
    pthread_cond_signal(&shard->filled);
    pthread_mutex_unlock(&shard->lock);
    pthread_join(shard->thread, NULL);
    free_items(notifier, shard->first);
    free_items(notifier, shard->deferred);
    pthread_mutex_destroy(&shard->lock);
    pthread_cond_destroy(&shard->filled);
}

void notifier_free(struct notifier *notifier)
{
    if (notifier == NULL)
        return;
    for (unsigned i = 0; i < notifier->started; i++)
        end_shard(notifier, &notifier->shards[i]);
    free(notifier);
}
