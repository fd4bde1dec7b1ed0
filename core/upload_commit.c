/* SPDX-License-Identifier: Apache-2.0 */
/* upload_commit.c - the end of an upload: meta, then this mount shows it, then the old chunks.
 * Layer 4. A chain of callbacks, one at a time: no thread waits. See upload.c for what holds
 * when it stops in between.
 */
#include "core/upload_state.h"
#include "core/cleanup.h"
#include <string.h>

#define CONFLICTS_MOST 4 /* lost races after which the last writer just wins */

static void end(struct upload *upload, enum jsfs_status status, bool undecided)
{
    upload_finish(upload, status, undecided);
    upload_unref(upload);
}

/* Remember the version that the name has; the old nuid is never a link's nor our own. */
static enum jsfs_status note_old(struct upload *upload, uint64_t sequence,
                                 const struct object_meta *meta)
{
    upload->old_lives = true;
    upload->old_sequence = sequence;
    if (meta == NULL || meta->nuid == NULL || meta->link_bucket != NULL ||
        strcmp(meta->nuid, upload->nuid) == 0)
        return JSFS_OK;
    upload->old_nuid = strdup(meta->nuid);
    return upload->old_nuid != NULL ? JSFS_OK : JSFS_NO_MEMORY;
}

static void forget_old(struct upload *upload)
{
    free(upload->old_nuid);
    upload->old_nuid = NULL;
    upload->old_lives = false;
    upload->old_sequence = 0;
}

/* What the server is asked to check: exactly the version that was seen, so that its chunks are
 * the ones that nothing refers to afterwards. */
static struct store_write condition_of(const struct upload *upload)
{
    struct store_write write = upload->write;

    if (write.expect != STORE_EXPECT_ANY || upload->conflicts >= CONFLICTS_MOST)
        return write;
    write.expect = upload->old_lives ? STORE_EXPECT_AT : STORE_EXPECT_ABSENT;
    write.sequence = upload->old_sequence;
    return write;
}

static bool replaces_what_was_seen(const struct upload *upload)
{
    if (upload->write.expect == STORE_EXPECT_ANY)
        return upload->conflicts < CONFLICTS_MOST;
    return upload->write.expect == STORE_EXPECT_AT &&
           upload->write.sequence == upload->old_sequence;
}

/* This mount shows the version, or never will because another one came: the server has it. */
static void shown(void *arg, enum jsfs_status status, const struct tree_attr *attr)
{
    struct upload *upload = arg;
    (void)status;
    (void)attr;

    if (upload->old_nuid != NULL && replaces_what_was_seen(upload))
        bucket_discard_chunks(upload->bucket, upload->old_nuid);
    end(upload, JSFS_OK, false);
}

static void succeed(struct upload *upload, uint64_t sequence)
{
    pthread_mutex_lock(&upload->lock);
    upload->sequence = sequence;
    pthread_mutex_unlock(&upload->lock);
    bucket_written(upload->bucket, upload->path, sequence, upload->write.token, shown,
                   upload);
}

/* An answer that says neither yes nor a known no: what the name has now decides. The server has
 * answered, so the meta is not on its way any more. */
static void resolve(void *arg, enum jsfs_status status, const struct store_entry *entry)
{
    struct upload *upload = arg;
    bool there = status == JSFS_OK && entry->meta != NULL && entry->meta->nuid != NULL &&
                 strcmp(entry->meta->nuid, upload->nuid) == 0;

    if (there)
        succeed(upload, entry->sequence);
    else
        end(upload, JSFS_FAILED, status != JSFS_OK && status != JSFS_NOT_FOUND);
}

static void look_at_leader(struct upload *upload, store_entry_done *done)
{
    struct store *store = bucket_store(upload->bucket);
    store->ops->lookup(store, upload->raw, true, done, upload);
}

static void put_meta(struct upload *upload);

/* The leader's word on what the name has. */
static void take_leaders(void *arg, enum jsfs_status status,
                         const struct store_entry *entry)
{
    struct upload *upload = arg;

    forget_old(upload);
    if (status == JSFS_OK &&
        (entry->state == STORE_LIVE || entry->state == STORE_CORRUPT))
        status = note_old(upload, entry->sequence, entry->meta);
    if (status == JSFS_OK || status == JSFS_NOT_FOUND)
        put_meta(upload);
    else
        end(upload, status, false);
}

static void take_meta_answer(void *arg, enum jsfs_status status, uint64_t sequence)
{
    struct upload *upload = arg;
    bool raced = status == JSFS_CONFLICT || status == JSFS_EXISTS;

    if (status == JSFS_OK) {
        succeed(upload, sequence);
    } else if (status == JSFS_FAILED) {
        look_at_leader(upload, resolve);
    } else if (raced && upload->write.expect == STORE_EXPECT_ANY &&
               upload->conflicts < CONFLICTS_MOST) {
        upload->conflicts++;
        look_at_leader(upload, take_leaders);
    } else {
        end(upload, status, status == JSFS_TIMEOUT || status == JSFS_INTERRUPTED);
    }
}

static void put_meta(struct upload *upload)
{
    struct store *store = bucket_store(upload->bucket);
    struct store_write write = condition_of(upload);
    struct object_meta meta = {.name = upload->raw,
                               .nuid = upload->nuid,
                               .size_bytes = upload->taken,
                               .chunks = upload->chunks,
                               .max_chunk_bytes = (uint32_t)upload->chunk_bytes,
                               .has_digest = true};
    memcpy(meta.digest, upload->hash, sizeof(meta.digest));
    store->ops->meta_put(store, &meta, &write, take_meta_answer, upload);
}

/* What this mount's tree says the name has. */
static void take_tree(void *arg, enum jsfs_status status, const struct tree_attr *attr)
{
    struct upload *upload = arg;
    bool file = status == JSFS_OK && attr->type != TREE_DIRECTORY && !attr->local;
    bool other = upload->write.expect == STORE_EXPECT_AT &&
                 (!file || attr->sequence != upload->write.sequence);

    if ((status == JSFS_OK && attr->type == TREE_DIRECTORY) || other) {
        look_at_leader(upload, take_leaders);
        return;
    }
    if (file)
        status = note_old(upload, attr->sequence, attr->meta);
    if (status == JSFS_OK || status == JSFS_NOT_FOUND)
        put_meta(upload);
    else
        end(upload, status, false);
}

void upload_publish(struct upload *upload)
{
    digest_finish(upload->digest, upload->hash);
    if (upload->write.expect == STORE_EXPECT_ABSENT)
        put_meta(upload); /* there is nothing to replace, or it fails */
    else
        bucket_lookup(upload->bucket, upload->path, take_tree, upload);
}
