/* SPDX-License-Identifier: Apache-2.0 */
/* notifier.h - kernel invalidations, sent by threads of their own.
 * Layer 5. A notification waits in the kernel for parked requests of the same directory or
 * file, so it is never sent from a handler or a delivery thread (reference fuse.md §1.5), and not
 * begun while such a request is parked: killed in that wait, the process could never end. The
 * enqueuer never waits: a queue that is full becomes one sweep of everything the kernel knows.
 */
#ifndef JSFS_FS_NOTIFIER_H
#define JSFS_FS_NOTIFIER_H

#include "fs/inode.h"
#include <stdbool.h>
#include <stdint.h>

struct notifier;
struct fuse_session;

/* Start the threads, sharded by directory. NULL without memory or threads. */
struct notifier *notifier_new(struct fuse_session *session, struct inode_table *inodes);

/* Drop what is queued and end the threads. Blocks until the notification that is being sent has
 * returned: all parked requests must have been answered. NULL is fine. */
void notifier_free(struct notifier *notifier);

/* A name in a directory leads elsewhere or nowhere: drop its dentry (a negative one too), then
 * what the kernel has cached of the directory itself. */
void notifier_entry(struct notifier *notifier, struct inode *directory, const char *name);

/* What the kernel has cached of an inode is not right any more: a directory's listing, or the
 * bytes of a file; many in a row become one. */
void notifier_data(struct notifier *notifier, struct inode *inode);

/* An inode's attributes changed. */
void notifier_attributes(struct notifier *notifier, struct inode *inode);

/* The last parked request that held a directory's lock is being answered: what waited for that
 * may be sent. Does not block. */
void notifier_released(struct notifier *notifier, struct inode *directory);

/* Call done(arg) once, when what was queued before has been sent, but for what waits for a parked
 * request; or when it never will be. On a thread of the notifier's or the caller's; must not block.
 * A request whose answer waits for it must not wait for long: a notification may be waiting for a
 * lock that the kernel lets go of only after that answer. */
void notifier_flush(struct notifier *notifier, void (*done)(void *arg), void *arg);

/* Nothing that the kernel knows of a bucket may be trusted (NULL: of all): every dentry is to be
 * looked up again, all attributes asked again. */
void notifier_sweep(struct notifier *notifier, struct bucket *bucket);

#endif
