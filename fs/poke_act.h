/* SPDX-License-Identifier: Apache-2.0 */
/* poke_act.h - the system calls of one poke, by the helper on our mount.
 * Layer 5.
 */
#ifndef JSFS_FS_POKE_ACT_H
#define JSFS_FS_POKE_ACT_H

#include "fs/poke.h"

/* A name that has changed, and how to get there. */
struct poke_place {
    struct fuse_session *session;
    struct poke_helper *helper;
    struct inode *directory; /* borrowed */
    const char *name;        /* in it */
    const char *path;        /* from the mount point */
    bool is_directory;
    bool is_link;
    /* From now on the helper finds this under the name; inode is borrowed until the next
     * call, NULL: nothing real. */
    void (*pretend)(void *arg, const struct poke_place *place, enum poke_answer answer,
                    struct inode *inode);
    void *arg;
};

/* The name has appeared: CREATE, and OPEN, MODIFY, ATTRIB, CLOSE_WRITE of a file. */
void poke_create(const struct poke_place *place);

/* A file has another version: OPEN, MODIFY, ATTRIB, CLOSE_WRITE.
 *   old   the inode of the version before, if that is watched, else NULL: it gets the same, and
 *         with `replaced` then DELETE_SELF, so that who watches it looks the name up again */
void poke_modify(const struct poke_place *place, struct inode *old, bool replaced);

/* The name has gone: DELETE.
 *   old   what it led to, if that is watched or known, else NULL: it gets ATTRIB, DELETE_SELF */
void poke_remove(const struct poke_place *place, struct inode *old);

#endif
