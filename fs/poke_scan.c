/* SPDX-License-Identifier: Apache-2.0 */
/* poke_scan.c - the thread that looks for what is watched, see poke.h. Layer 5. */
#include "fs/poke_state.h"
#include "fs/poke_watches.h"

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"

#include <string.h>

#define SCAN_MS 1000

void poke_set_watched(struct poke *poke, struct inode **watched, size_t count)
{
    pthread_mutex_lock(&poke->lock);
    struct inode **old = poke->watched;
    size_t old_count = poke->watched_count;
    poke->watched = watched;
    poke->watched_count = count;
    pthread_mutex_unlock(&poke->lock);
    for (size_t i = 0; i < old_count; i++)
        inode_put(poke->fs->inodes, old[i]);
    free(old);
}

/* A directory that was removed, and perhaps made again: another inode has its number then. */
static bool is_dead(struct poke *poke, const struct inode *inode)
{
    return bucket_is_gone(inode->bucket) ||
           ((inode->kind == INODE_BUCKET || inode->kind == INODE_DIRECTORY) &&
            inode_is_removed(poke->fs->inodes, inode));
}

/* The poker and listeners read what is watched, the scanner alone changes it. */
static bool has_dead(struct poke *poke)
{
    for (size_t i = 0; i < poke->watched_count; i++) {
        if (is_dead(poke, poke->watched[i]))
            return true;
    }
    return false;
}

/* A watched inode is one that the kernel knows. */
static void find_inodes(struct poke *poke, const struct poke_watches *watches)
{
    struct inode **inodes = NULL;
    size_t count = watches->count > 0 ? inode_collect(poke->fs->inodes, NULL, &inodes) : 0;
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (inodes[i]->kind != INODE_SPECIAL && !is_dead(poke, inodes[i]) &&
            poke_watches_has(watches, inodes[i]->shown_number))
            inodes[kept++] = inodes[i];
        else
            inode_put(poke->fs->inodes, inodes[i]);
    }
    poke_set_watched(poke, inodes, kept);
}

static bool is_same(const struct poke_watches *one, const struct poke_watches *other)
{
    return one->count == other->count &&
           (one->count == 0 ||
            memcmp(one->numbers, other->numbers, one->count * sizeof(uint64_t)) == 0);
}

/* Wait for the next look; sooner while a bucket is about to be listened to. False: the end. */
static bool wait_for_scan(struct poke *poke, bool changed)
{
    struct timespec at = clock_deadline(SCAN_MS);
    bool told_ready = !changed;

    SCOPED_LOCK(&poke->lock);
    while (!poke->ending) {
        if (!told_ready && !poke_listen_pending_locked(poke)) {
            jsfs_debug("inotify watched=%zu", poke->watched_count);
            told_ready = true;
        }
        if (pthread_cond_timedwait(&poke->changed, &poke->lock, &at) != 0)
            return true;
    }
    return false;
}

void *poke_scan(void *arg)
{
    struct poke *poke = arg;
    struct poke_watches seen = {0}, now = {0};
    bool going_on = true, changed = false;

    while (going_on) {
        changed = poke_watches_scan(&now, "/proc", poke->device) &&
                  (!is_same(&seen, &now) || has_dead(poke));
        if (changed) {
            struct poke_watches swap = seen;

            seen = now;
            now = swap;
            find_inodes(poke, &seen);
        }
        poke_listen(poke);
        going_on = wait_for_scan(poke, changed);
    }
    poke_watches_clear(&seen);
    poke_watches_clear(&now);
    return NULL;
}
