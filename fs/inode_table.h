/* SPDX-License-Identifier: Apache-2.0 */
/* inode_table.h - the inside of inode.h's table.
 * Layer 5, private to inode.c (names and numbers) and inode_move.c (moved ones, and the end of
 * all). Functions that end in _locked want the table's lock held.
 */
#ifndef JSFS_FS_INODE_TABLE_H
#define JSFS_FS_INODE_TABLE_H

#include "fs/inode.h"

struct inode_table {
    pthread_mutex_t lock;
    struct inode **by_number; /* lock; capacity chains */
    struct inode **by_name;   /* lock; capacity chains */
    size_t capacity;          /* lock; a power of two */
    size_t count;             /* lock */
    uint64_t next_number;     /* lock */
};

size_t inode_number_slot(const struct inode_table *table, uint64_t number);

/* Put a new inode in under its number and its name. */
void inode_insert_locked(struct inode_table *table, struct inode *inode, uint64_t number);
/* The inode a name is bound to, or NULL. */
struct inode *inode_find_name_locked(struct inode_table *table, const struct inode *parent,
                                     const char *name);
/* Its name leads to it no more. */
void inode_unbind_locked(struct inode_table *table, struct inode *inode);

/* An inode for a target that is not in the table yet and does not count its parent; NULL without
 * memory. */
struct inode *inode_create_for(struct inode *parent, const char *name,
                               const struct inode_target *target);
void inode_destroy(struct inode *inode);

/* Take an inode out of the table if nobody holds it, and then what only it held; NULL is fine.
 *   returns   those that were taken out, for inode_destroy_chain() without the lock */
struct inode *inode_reap_locked(struct inode_table *table, struct inode *inode);
void inode_destroy_chain(struct inode *dead);

#endif
