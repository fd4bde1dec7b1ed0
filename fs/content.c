/* SPDX-License-Identifier: Apache-2.0 */
/* content.c - the bytes of one KV revision, kept while handles read it. Layer 5.
 * All requests that need them while they are fetched wait for the same answer.
 */
#include "fs/ops.h"

#include "core/cleanup.h"
#include "fs/pending.h"

struct fetch {
    struct fs *fs;
    struct inode *inode; /* counted */
};

/* Under the inode's lock: what is there now, or a place in the queue. */
enum place { PLACE_READY, PLACE_FIRST, PLACE_BEHIND };

static enum place queue(struct op *op, struct inode *inode)
{
    SCOPED_LOCK(&inode->lock);
    if (inode->content != NULL || inode->value != NULL)
        return PLACE_READY;
    enum place place = inode->fetching != NULL ? PLACE_BEHIND : PLACE_FIRST;
    op->next = inode->fetching;
    inode->fetching = op;
    return place;
}

static struct op *take_queue(struct inode *inode, struct bytes *bytes)
{
    SCOPED_LOCK(&inode->lock);
    struct op *waiting = inode->fetching;

    inode->fetching = NULL;
    if (bytes != NULL && inode->content == NULL) {
        inode->content = bytes_ref(bytes);
        inode->fetched = true;
    }
    return waiting;
}

/* An open that was interrupted leaves bytes behind that no handle will give back. */
static void drop_unused(struct inode *inode)
{
    pthread_mutex_lock(&inode->lock);
    struct bytes *unused = inode->opened == 0 ? inode->content : NULL;
    if (unused != NULL)
        inode->content = NULL;
    pthread_mutex_unlock(&inode->lock);
    bytes_unref(unused);
}

static void resume_all(struct inode *inode, enum jsfs_status status, struct bytes *bytes)
{
    struct op *waiting = take_queue(inode, bytes);

    while (waiting != NULL) {
        struct op *next = waiting->next;

        waiting->resume(waiting, status);
        waiting = next;
    }
}

static void end_fetch(struct fetch *fetch, enum jsfs_status status, struct bytes *bytes)
{
    resume_all(fetch->inode, status, bytes);
    drop_unused(fetch->inode);
    inode_put(fetch->fs->inodes, fetch->inode);
    pending_end(fetch->fs->pending);
    free(fetch);
}

static void caught_up(void *arg, enum jsfs_status status, const struct tree_attr *attr)
{
    (void)status;
    (void)attr;
    end_fetch(arg, JSFS_STALE, NULL);
}

/* The kernel looks a stale name up again, but only once. So the tree must know by then what took
 * the revision's place, of which the watch may not have told yet.
 */
static void fetched(void *arg, enum jsfs_status status, struct bytes *bytes, uint64_t sequence)
{
    struct fetch *fetch = arg;
    struct inode *inode = fetch->inode;
    uint64_t newer = inode_attr(fetch->fs->inodes, inode).sequence + 1;

    (void)sequence;
    if (status == JSFS_STALE)
        bucket_written(inode->bucket, inode->path, newer, 0, caught_up, fetch);
    else
        end_fetch(fetch, status, status == JSFS_OK ? bytes : NULL);
}

void content_fetch(struct op *op, struct inode *inode)
{
    content_fetch_revision(op, inode, inode->path, inode_attr(op->fs->inodes, inode).sequence);
}

void content_fetch_revision(struct op *op, struct inode *inode, const char *path,
                            uint64_t revision)
{
    CLEANUP(cleanup_free) char *raw = NULL;
    enum jsfs_status status;

    switch (queue(op, inode)) {
    case PLACE_READY: op->resume(op, JSFS_OK); return;
    case PLACE_BEHIND: return;
    case PLACE_FIRST: break;
    }
    status = bucket_raw_name(inode->bucket, path, false, &raw);
    struct fetch *fetch = malloc(sizeof(*fetch));
    if (status != JSFS_OK || fetch == NULL) {
        free(fetch);
        resume_all(inode, status != JSFS_OK ? status : JSFS_NO_MEMORY, NULL);
        return;
    }
    *fetch = (struct fetch){op->fs, inode_ref(op->fs->inodes, inode)};
    pending_begin(op->fs->pending);
    struct store *store = bucket_store(inode->bucket);
    store->ops->value_get(store, raw, revision, fetched, fetch);
}

void content_reply(struct op *op, const struct bytes *bytes)
{
    if (bytes == NULL || op->offset >= bytes->size) {
        op_reply_buffer(op, NULL, 0);
        return;
    }
    size_t left = bytes->size - op->offset;
    op_reply_buffer(op, bytes->data + op->offset, op->size < left ? op->size : left);
}
