/* SPDX-License-Identifier: Apache-2.0 */
/* handle.c - see handle.h. Layer 5. */
#include "fs/handle.h"

#include "core/cleanup.h"
#include "fs/late.h"
#include "fs/loss.h"
#include "fs/notifier.h"
#include "fs/pending.h"

#include <fcntl.h>
#include <string.h>

struct handle *handle_new(struct fs *fs, struct inode *inode, int flags)
{
    struct handle *handle = calloc(1, sizeof(*handle));

    if (handle == NULL)
        return NULL;
    handle->fs = fs;
    handle->inode = inode_ref(fs->inodes, inode);
    handle->flags = flags;
    atomic_init(&handle->references, 1);
    handle->writable = (flags & O_ACCMODE) != O_RDONLY;
    if (handle->writable)
        inode_writers(fs->inodes, inode, 1);
    pthread_mutex_lock(&inode->lock);
    inode->opened++;
    inode->writable += handle->writable;
    pthread_mutex_unlock(&inode->lock);
    handle_list_add(fs->handles, handle);
    return handle;
}

/* An upload that is kept until the handle ends, because a commit may still use it. */
struct retired {
    struct retired *next;
    struct upload *upload;
};

static void close_uploads(struct upload *upload, struct retired *retired)
{
    upload_close(upload);
    while (retired != NULL) {
        struct retired *next = retired->next;

        upload_close(retired->upload);
        free(retired);
        retired = next;
    }
}

/* What an inode keeps for its handles, taken out of it to be released without its lock. */
struct leftovers {
    struct value_file *value;
    struct source *source;
    struct bytes *content;
    char *nuid;
};

static struct leftovers close_inode(struct handle *handle)
{
    struct inode *inode = handle->inode;
    struct leftovers left = {NULL, NULL, NULL, NULL};

    SCOPED_LOCK(&inode->lock);
    if (handle->upload != NULL && inode->upload == handle->upload)
        inode->upload = NULL;
    inode->writable -= handle->writable;
    if (inode->writable == 0) {
        left.value = inode->value;
        inode->value = NULL;
    }
    if (--inode->opened > 0)
        return left;
    left.source = inode->source;
    left.content = inode->content;
    left.nuid = inode->nuid;
    inode->source = NULL;
    inode->content = NULL;
    inode->nuid = NULL;
    return left;
}

void handle_drop_local(struct fs *fs, struct inode *inode)
{
    if (!inode_has_writers(fs->inodes, inode))
        handle_hide_local(fs, inode);
}

void handle_hide_local(struct fs *fs, struct inode *inode)
{
    if (!inode_attr(fs->inodes, inode).local || inode_is_unlinked(fs->inodes, inode))
        return;
    tree_drop_local(bucket_tree(inode->bucket), inode->path);
    tree_unhide(bucket_tree(inode->bucket), inode->path);
    inode_unbind(fs->inodes, inode);
    if (inode->parent != NULL)
        notifier_entry(fs->notifier, inode->parent, inode->name);
}

struct handle *handle_ref(struct handle *handle)
{
    atomic_fetch_add(&handle->references, 1);
    return handle;
}

/* The last handle that could commit a value goes. What is left of a write that was refused is
 * half of what was to be written, and not worth keeping.
 */
static void keep_uncommitted(struct handle *handle, struct value_file *value)
{
    struct inode *inode = handle->inode;

    if (value != NULL && atomic_load(&handle->failed) == JSFS_OK &&
        !inode_is_unlinked(handle->fs->inodes, inode))
        loss_keep(handle->fs, inode, value, NULL, NULL);
}

bool handle_try_ref(struct handle *handle)
{
    unsigned references = atomic_load(&handle->references);

    while (references > 0)
        if (atomic_compare_exchange_weak(&handle->references, &references, references + 1))
            return true;
    return false;
}

void handle_unref(struct handle *handle)
{
    if (handle == NULL || atomic_fetch_sub(&handle->references, 1) != 1)
        return;
    struct fs *fs = handle->fs;
    struct inode *inode = handle->inode;

    late_forget(fs->late, handle);
    handle_list_remove(fs->handles, handle);
    reader_free(handle->reader);
    struct leftovers left = close_inode(handle);
    close_uploads(handle->upload, handle->retired);
    source_unref(left.source);
    bytes_unref(left.content);
    keep_uncommitted(handle, left.value);
    value_file_unref(left.value);
    if (left.nuid != NULL)
        bucket_release_chunks(inode->bucket, left.nuid);
    free(left.nuid);
    if (handle->writable) {
        inode_writers(fs->inodes, inode, -1);
        handle_drop_local(fs, inode);
    }
    inode_put(fs->inodes, inode);
    free(handle->path);
    free(handle);
}

static struct upload *new_upload(struct handle *handle, enum jsfs_status *status)
{
    const struct config *config = handle->fs->config;
    struct inode *inode = handle->inode;
    CLEANUP(cleanup_free) char *raw = NULL;
    struct upload_options options = {
        .chunk_bytes = (size_t)config->chunk_bytes,
        .window_bytes = (size_t)config->upload_window_bytes,
    };
    struct upload *upload;

    *status = bucket_raw_name(inode->bucket, inode->path, false, &raw);
    if (*status != JSFS_OK)
        return NULL;
    upload = upload_new(inode->bucket, handle->fs->executor, inode->path, raw, &options);
    if (upload == NULL)
        *status = JSFS_NO_MEMORY;
    return upload;
}

enum jsfs_status handle_start_upload(struct handle *handle, bool commits)
{
    struct inode *inode = handle->inode;
    struct retired *retired = calloc(1, sizeof(*retired));
    enum jsfs_status status = JSFS_NO_MEMORY;
    struct upload *upload = retired != NULL ? new_upload(handle, &status) : NULL;

    if (upload == NULL) {
        free(retired);
        return status;
    }
    pthread_mutex_lock(&inode->lock);
    if (handle->upload != NULL) {
        *retired = (struct retired){handle->retired, handle->upload};
        handle->retired = retired;
        retired = NULL;
    }
    handle->upload = upload;
    inode->upload = upload;
    pthread_mutex_unlock(&inode->lock);
    free(retired);
    if (commits)
        atomic_store(&handle->uncommitted, true);
    return JSFS_OK;
}

struct commit {
    struct handle *handle;
    struct upload *upload; /* lives as long as the handle; NULL: a value */
    handle_done *done;
    void *arg;
};

/* A handle outlives its bucket: whatever a write then fails with, it is that. */
static enum jsfs_status of_bucket(struct handle *handle, enum jsfs_status status)
{
    if (status == JSFS_NOT_FOUND || (status != JSFS_OK && bucket_is_gone(handle->inode->bucket)))
        return JSFS_STALE;
    return status;
}

static void end_commit(struct commit *commit, enum jsfs_status status)
{
    struct handle *handle = commit->handle;
    struct pending *pending = handle->fs->pending;
    handle_done *done = commit->done;
    void *arg = commit->arg;

    free(commit);
    done(arg, of_bucket(handle, status));
    handle_unref(handle);
    pending_end(pending);
}

/* Who has the version before open goes on reading it under this inode, so that the new one needs
 * another.
 */
static void become_version(struct handle *handle, const struct tree_attr *attr)
{
    struct inode *inode = handle->inode;
    struct fs *fs = handle->fs;

    pthread_mutex_lock(&inode->lock);
    bool read = inode->source != NULL && inode->source_sequence != attr->sequence;
    pthread_mutex_unlock(&inode->lock);
    inode_update(fs->inodes, inode, attr);
    if (!read)
        return;
    inode_unbind(fs->inodes, inode);
    notifier_entry(fs->notifier, inode->parent, inode->name);
}

/* The meta is there: the inode is the new version, unless somebody has already made another. */
static void object_shown(void *arg, enum jsfs_status status, const struct tree_attr *attr)
{
    struct commit *commit = arg;
    struct handle *handle = commit->handle;

    if (status == JSFS_OK && attr->sequence == upload_sequence(commit->upload))
        become_version(handle, attr);
    end_commit(commit, JSFS_OK);
}

static void object_committed(void *arg, enum jsfs_status status)
{
    struct commit *commit = arg;
    struct handle *handle = commit->handle;

    if (status != JSFS_OK) {
        end_commit(commit, status);
        return;
    }
    atomic_store(&handle->written, false);
    atomic_store(&handle->uncommitted, false);
    handle->exclusive = false;
    bucket_lookup(handle->inode->bucket, handle->inode->path, object_shown, commit);
}

/* What handles have read before is not what the inode holds any more, and the kernel keeps of the
 * new bytes only the pages that were written whole: the next open fetches them.
 */
static void drop_content(struct inode *inode)
{
    pthread_mutex_lock(&inode->lock);
    struct bytes *content = inode->content;
    inode->content = NULL;
    inode->fetched = false;
    pthread_mutex_unlock(&inode->lock);
    bytes_unref(content);
}

/* Borrowed: it stays while a handle that may write is open. */
static struct value_file *value_of(struct inode *inode)
{
    SCOPED_LOCK(&inode->lock);
    return inode->value;
}

static void loss_kept(void *arg, enum jsfs_status status)
{
    (void)status; /* another commit may have ended otherwise meanwhile */
    end_commit(arg, JSFS_CONFLICT);
}

static void value_committed(void *arg, enum jsfs_status status)
{
    struct commit *commit = arg;
    struct handle *handle = commit->handle;
    struct value_file_stat state;

    /* It will not land, so it is kept before anybody is told. */
    if (status == JSFS_CONFLICT &&
        loss_keep(handle->fs, handle->inode, value_of(handle->inode), loss_kept, commit))
        return;
    if (status == JSFS_OK) {
        value_file_get(value_of(handle->inode), &state);
        struct tree_attr attr = {
            .type = TREE_FILE,
            .local = state.sequence == 0,
            .sequence = state.sequence,
            .modified_ns = state.modified_ns,
            .size_bytes = state.size_bytes,
        };
        inode_update(handle->fs->inodes, handle->inode, &attr);
        drop_content(handle->inode);
        /* An append may have landed behind bytes that the kernel has never seen. */
        if ((handle->flags & O_APPEND) != 0)
            notifier_data(handle->fs->notifier, handle->inode);
    }
    if (status != JSFS_OK)
        atomic_store(&handle->uncommitted, true);
    end_commit(commit, status);
}

/* Handles of one file share its staged bytes. A release, which nobody waits for, must not publish
 * what another handle has only begun: the empty value of the next `>`, half of a write.
 */
static bool value_has_work(struct handle *handle, bool release)
{
    bool mine = atomic_exchange(&handle->written, false);

    if (mine || release)
        mine |= atomic_exchange(&handle->uncommitted, false);
    return mine || !release;
}

static bool has_work(struct handle *handle, bool release)
{
    if (value_of(handle->inode) != NULL)
        return value_has_work(handle, release);
    return handle->upload != NULL && (atomic_load(&handle->written) ||
                                      (release && atomic_load(&handle->uncommitted)));
}

void handle_commit(struct handle *handle, bool release, handle_done *done, void *arg)
{
    struct commit *commit;

    if (!handle->writable || inode_is_unlinked(handle->fs->inodes, handle->inode) ||
        !has_work(handle, release)) {
        done(arg, JSFS_OK);
        return;
    }
    if (atomic_load(&handle->failed) != JSFS_OK) {
        done(arg, of_bucket(handle, (enum jsfs_status)atomic_load(&handle->failed)));
        return;
    }
    commit = calloc(1, sizeof(*commit));
    if (commit == NULL) {
        done(arg, JSFS_NO_MEMORY);
        return;
    }
    pthread_mutex_lock(&handle->inode->lock);
    *commit = (struct commit){handle_ref(handle), handle->upload, done, arg};
    pthread_mutex_unlock(&handle->inode->lock);
    pending_begin(handle->fs->pending);
    struct value_file *value = value_of(handle->inode);
    if (value != NULL) {
        value_file_commit(value, release, value_committed, commit);
        return;
    }
    struct store_write write = {
        .expect = handle->exclusive ? STORE_EXPECT_ABSENT : STORE_EXPECT_ANY,
    };
    upload_commit(commit->upload, &write, object_committed, commit);
}
