/* SPDX-License-Identifier: Apache-2.0 */
/* scratch.h - what editors and tools write beside a file before they rename it over it: files,
 * links and fifos that live in this mount's memory and are never published.
 * Layer 5. Which names: scratch_pattern.h; what they hold: scratch_table.h; a key that is
 * renamed to such a name: scratch_hold.h.
 */
#ifndef JSFS_FS_SCRATCH_H
#define JSFS_FS_SCRATCH_H

#include "fs/scratch_pattern.h"
#include "fs/scratch_table.h"
#include "fs/special.h"

struct scratch_holds;

struct scratch {
    struct scratch_patterns patterns;
    struct scratch_table *table;
    struct scratch_holds *holds;
};

/* NULL without memory. Freed after all inodes. */
struct scratch *scratch_new(const struct config *config);
void scratch_free(struct scratch *scratch); /* NULL is fine */

/* Does op->name in op->inode name a scratch file that exists, or, for the other uses, one that
 * is to be made here: the name fits a scratch pattern and no live name of the store? For
 * SPECIAL_CREATE op->number is the mode. */
bool scratch_takes(struct op *op, enum special_use use);

/* The scratch file of a name, for special_unref(); NULL: there is none, or a key has the name. */
struct scratch_file *scratch_find(struct fs *fs, const struct inode *directory,
                                  const char *name);

/* May a file be renamed to this name and be scratch there? */
bool scratch_fits(struct fs *fs, const struct inode *directory, const char *name);

/* The scratch files in a directory behind a cookie, as scratch_table_list(), but for those whose
 * name a key has by now. */
void scratch_list(struct fs *fs, struct inode *directory, uint64_t cookie, scratch_each *each,
                  void *arg);

/* The file loses its name, which no inode has any more. */
void scratch_forget(struct fs *fs, const struct inode *directory, const char *name,
                    struct scratch_file *file);

/* Where a name is; it borrows both. */
static inline struct scratch_place scratch_place_of(const struct inode *directory,
                                                    const char *name)
{
    return (struct scratch_place){directory->bucket, directory->path, name};
}

/* Are the files of a directory below names of the bucket's tree, or in .jsfs? */
static inline bool scratch_in_tree(const struct inode *directory)
{
    return directory->special == NULL;
}

extern const struct special_ops scratch_ops;

#endif
