/* SPDX-License-Identifier: Apache-2.0 */
/* scratch_hold.c - see scratch_hold.h. Layer 5.
 *
 * WAITING: nothing is decided. ASKING: the server is asked for the bucket's history. REMOVING:
 * the marker is on its way. TAKEN: the name is made again. Until REMOVING a hold can be taken.
 */
#include "fs/scratch_hold.h"

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "fs/notifier.h"
#include "fs/ops.h"
#include "fs/pending.h"
#include "fs/scratch.h"

#include <errno.h>
#include <string.h>

enum hold_state { HOLD_WAITING, HOLD_ASKING, HOLD_REMOVING, HOLD_TAKEN };

struct hold {
    atomic_uint references; /* the list's and the timer's */
    struct fs *fs;
    struct inode *directory; /* counted */
    char *name, *path;
    uint64_t sequence;
    enum hold_state state; /* holds lock */
    struct hold *next;     /* holds lock */
};

struct scratch_holds {
    pthread_mutex_t lock;
    pthread_cond_t none;
    struct hold *first; /* lock */
};

struct scratch_holds *scratch_holds_new(void)
{
    struct scratch_holds *holds = calloc(1, sizeof(*holds));
    pthread_condattr_t monotonic;

    if (holds == NULL)
        return NULL;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&holds->lock, NULL);
    pthread_cond_init(&holds->none, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return holds;
}

static void hold_unref(struct hold *hold)
{
    if (atomic_fetch_sub(&hold->references, 1) != 1)
        return;
    inode_put(hold->fs->inodes, hold->directory);
    free(hold->name);
    free(hold->path);
    free(hold);
}

void scratch_holds_free(struct scratch_holds *holds)
{
    if (holds == NULL)
        return;
    pthread_cond_destroy(&holds->none);
    pthread_mutex_destroy(&holds->lock);
    free(holds);
}

/* Take it off the list; its reference is the caller's. */
static void unlink_locked(struct scratch_holds *holds, struct hold *hold)
{
    for (struct hold **at = &holds->first; *at != NULL; at = &(*at)->next) {
        if (*at == hold) {
            *at = hold->next;
            break;
        }
    }
    if (holds->first == NULL)
        pthread_cond_broadcast(&holds->none);
}

static void leave_list(struct hold *hold)
{
    struct scratch_holds *holds = hold->fs->scratch->holds;

    pthread_mutex_lock(&holds->lock);
    unlink_locked(holds, hold);
    pthread_mutex_unlock(&holds->lock);
    hold_unref(hold);
}

/* Deciding ----------------------------------------------------------------------------------- */

/* The state goes on, if it still is what it was. */
static bool advance(struct hold *hold, enum hold_state from, enum hold_state to)
{
    SCOPED_LOCK(&hold->fs->scratch->holds->lock);

    if (hold->state != from)
        return false;
    hold->state = to;
    return true;
}

static void decided(struct hold *hold)
{
    struct pending *pending = hold->fs->pending;

    leave_list(hold);
    pending_end(pending);
}

/* A file that is being made there shows it again itself, if it fails. */
static void show_again(struct hold *hold, const char *why)
{
    struct bucket *bucket = hold->directory->bucket;
    struct tree *tree = bucket_tree(bucket);
    struct tree_attr attr;

    jsfs_log(JSFS_LOG_WARNING, "op=rename bucket=%s path=%s hint=\"the key stays: %s\"",
             bucket_name(bucket), hold->path, why);
    if (tree_lookup(tree, hold->path, &attr) == JSFS_OK) {
        object_meta_free(attr.meta);
        return;
    }
    tree_unhide(tree, hold->path);
    notifier_entry(hold->fs->notifier, hold->directory, hold->name);
}

static void removed(void *arg, enum jsfs_status status)
{
    struct hold *hold = arg;

    if (status != JSFS_OK && status != JSFS_CONFLICT)
        show_again(hold, jsfs_status_text(status));
    decided(hold);
}

static void history_known(void *arg, enum jsfs_status status,
                          const struct js_stream_info *info)
{
    struct hold *hold = arg;
    bool kept = status == JSFS_OK && info->max_messages_per_subject != 1;

    if (!advance(hold, HOLD_ASKING, HOLD_REMOVING)) {
        decided(hold);
        return;
    }
    if (kept) {
        bucket_remove_at(hold->directory->bucket, hold->path, hold->sequence, removed,
                         hold);
        return;
    }
    show_again(hold, status == JSFS_OK ? "its bucket has no history that would keep the value"
                                       : jsfs_status_text(status));
    decided(hold);
}

static void decide(struct hold *hold)
{
    struct bucket *bucket = hold->directory->bucket;

    if (!advance(hold, HOLD_WAITING, HOLD_ASKING))
        return;
    pending_begin(hold->fs->pending);
    if (tree_sequence(bucket_tree(bucket), hold->path, NULL) != hold->sequence)
        decided(hold); /* changed elsewhere */
    else
        bucket_info(bucket, history_known, hold);
}

static void expired(void *arg)
{
    struct hold *hold = arg;

    decide(hold);
    hold_unref(hold);
}

static void dropped(void *arg)
{
    struct hold *hold = arg;

    if (advance(hold, HOLD_WAITING, HOLD_TAKEN))
        leave_list(hold);
    hold_unref(hold);
}

/* Holding ------------------------------------------------------------------------------------ */

static struct hold *new_hold(struct fs *fs, struct inode *directory, const char *name,
                             uint64_t sequence)
{
    struct hold *hold = calloc(1, sizeof(*hold));

    if (hold == NULL)
        return NULL;
    atomic_init(&hold->references, 2);
    hold->fs = fs;
    hold->directory = inode_ref(fs->inodes, directory);
    hold->sequence = sequence;
    hold->name = strdup(name);
    hold->path = op_child_path(directory, name);
    if (hold->name != NULL && hold->path != NULL)
        return hold;
    atomic_store(&hold->references, 1);
    hold_unref(hold);
    return NULL;
}

enum jsfs_status scratch_hold(struct fs *fs, struct inode *directory, const char *name,
                              uint64_t sequence)
{
    struct scratch_holds *holds = fs->scratch->holds;
    struct hold *hold = new_hold(fs, directory, name, sequence);

    if (hold == NULL)
        return JSFS_NO_MEMORY;
    if (!tree_hide(bucket_tree(directory->bucket), hold->path, sequence)) {
        atomic_store(&hold->references, 1);
        hold_unref(hold);
        return JSFS_CONFLICT;
    }
    pthread_mutex_lock(&holds->lock);
    hold->next = holds->first;
    holds->first = hold;
    pthread_mutex_unlock(&holds->lock);
    executor_after(fs->executor, fs->config->scratch_hold_ms, expired, dropped, hold);
    return JSFS_OK;
}

static struct hold *find_locked(const struct scratch_holds *holds,
                                const struct bucket *bucket, const char *path)
{
    struct hold *hold = holds->first;

    while (hold != NULL && (hold->directory->bucket != bucket || hold->state >= HOLD_REMOVING ||
                            strcmp(hold->path, path) != 0))
        hold = hold->next;
    return hold;
}

uint64_t scratch_hold_take(struct fs *fs, struct bucket *bucket, const char *path)
{
    struct scratch_holds *holds = fs->scratch->holds;
    uint64_t sequence = 0;

    pthread_mutex_lock(&holds->lock);
    struct hold *hold = find_locked(holds, bucket, path);
    bool waiting = hold != NULL && hold->state == HOLD_WAITING;
    if (hold != NULL) {
        hold->state = HOLD_TAKEN;
        sequence = hold->sequence;
    }
    if (waiting)
        unlink_locked(holds, hold);
    pthread_mutex_unlock(&holds->lock);
    if (waiting)
        hold_unref(hold);
    if (sequence != 0 && tree_sequence(bucket_tree(bucket), path, NULL) != sequence)
        return 0; /* changed elsewhere */
    return sequence;
}

static struct hold *first_waiting(struct scratch_holds *holds)
{
    SCOPED_LOCK(&holds->lock);
    struct hold *hold = holds->first;

    while (hold != NULL && hold->state != HOLD_WAITING)
        hold = hold->next;
    if (hold != NULL)
        atomic_fetch_add(&hold->references, 1);
    return hold;
}

void scratch_holds_settle(struct fs *fs, int timeout_ms)
{
    struct scratch_holds *holds = fs->scratch->holds;
    struct timespec deadline = clock_deadline(timeout_ms);
    struct hold *hold;

    while ((hold = first_waiting(holds)) != NULL) {
        decide(hold);
        hold_unref(hold);
    }
    SCOPED_LOCK(&holds->lock);
    while (holds->first != NULL)
        if (pthread_cond_timedwait(&holds->none, &holds->lock, &deadline) == ETIMEDOUT)
            break;
}
