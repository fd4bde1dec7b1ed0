/* SPDX-License-Identifier: Apache-2.0 */
/* poke_state.h - what the parts of a poke share.
 * Layer 5, private to poke.c, poke_listen.c and poke_scan.c.
 */
#ifndef JSFS_FS_POKE_STATE_H
#define JSFS_FS_POKE_STATE_H

#include "fs/poke.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/types.h>

struct ear;

/* One change that may concern a watched inode. */
struct poke_item {
    struct poke_item *next;
    struct bucket *bucket; /* counted */
    unsigned before, after;
    char path[];
};

struct poke {
    struct fs *fs;
    struct fuse_session *session;
    struct poke_helper *helper; /* the poker's; borrowed */
    dev_t device;               /* of the mount */
    pthread_t scanner, poker;
    bool scanning, poking; /* those threads were started */
    atomic_uint references;

    pthread_mutex_t lock; /* and all below */
    pthread_cond_t changed;
    bool ending, busy; /* busy: the poker has taken an item */
    struct inode **watched; /* counted */
    size_t watched_count;
    struct ear *ears;
    struct poke_item *first, **last;
    struct poke_item *newest; /* in the queue, NULL: it is empty */
    size_t queued;
    enum poke_answer answer;
    uint64_t answer_directory;
    const char *answer_name; /* the poker's */
    struct inode *answer_inode;
    bool answer_is_directory;
};

/* One reference more or less; the last one frees. */
void poke_unref(struct poke *poke);

/* poke.c: is something watched that a change concerns? */
bool poke_concerns_locked(struct poke *poke, const struct poke_item *item);
void poke_item_free(struct poke_item *item);

/* poke_listen.c: the buckets in which something is watched are listened to, others not. all: none
 * is from now on. The scanner's, and poke_free()'s behind it. */
void poke_listen(struct poke *poke);
void poke_listen_end(struct poke *poke);
/* True while an answer to that is awaited. */
bool poke_listen_pending_locked(const struct poke *poke);

/* poke_scan.c: the thread that looks for what is watched; arg: the poke. */
void *poke_scan(void *arg);
/* What is watched from now on, of which the poke takes the references and the array. */
void poke_set_watched(struct poke *poke, struct inode **watched, size_t count);

#endif
