/* SPDX-License-Identifier: Apache-2.0 */
/* poke_act.c - see poke_act.h. Layer 5.
 * A name that somebody has looked up meanwhile is answered from the kernel's cache, not by us:
 * then the dentry is dropped, and the call made again.
 */
#define FUSE_USE_VERSION 312
#include "fs/poke_act.h"

#include "core/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ATTEMPTS 3

static void pretend(const struct poke_place *place, enum poke_answer answer,
                    struct inode *inode)
{
    place->pretend(place->arg, place, answer, inode);
}

static void drop_dentry(const struct poke_place *place)
{
    fuse_lowlevel_notify_inval_entry(place->session, place->directory->number, place->name,
                                     strlen(place->name));
}

/* The size stays what it is. */
static void touch(const struct poke_place *place)
{
    CLEANUP(cleanup_fd)
    int file = open(place->path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat attr;

    if (file < 0 || fstat(file, &attr) < 0 || ftruncate(file, attr.st_size) < 0)
        return;
    futimens(file, NULL);
}

static int make(const struct poke_place *place)
{
    if (place->is_directory)
        return mkdir(place->path, 0755);
    if (place->is_link)
        return symlink(".", place->path);
    return mknod(place->path, S_IFREG | 0644, 0);
}

void poke_create(const struct poke_place *place)
{
    int result = -1;

    pretend(place, POKE_ABSENT, NULL);
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        result = make(place);
        if (result == 0 || errno != EEXIST || place->is_directory)
            break; /* a directory that is in use already is not taken from under its users */
        drop_dentry(place);
    }
    pretend(place, POKE_AS_IT_IS, NULL);
    if (result == 0 && !place->is_directory && !place->is_link)
        touch(place);
}

/* DELETE_SELF for the inode alone: the dentry must lead to it at that moment. */
static void tell_replaced(const struct poke_place *place, const struct inode *old)
{
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        struct stat attr;

        fstatat(AT_FDCWD, place->path, &attr, AT_SYMLINK_NOFOLLOW);
        if (fuse_lowlevel_notify_delete(place->session, place->directory->number, old->number,
                                        place->name, strlen(place->name)) != -ENOENT)
            return;
        drop_dentry(place);
    }
}

void poke_modify(const struct poke_place *place, struct inode *old, bool replaced)
{
    if (old == NULL) {
        touch(place);
        return;
    }
    drop_dentry(place);
    pretend(place, POKE_PRESENT, old);
    touch(place);
    if (replaced)
        tell_replaced(place, old);
    pretend(place, POKE_AS_IT_IS, NULL);
}

void poke_remove(const struct poke_place *place, struct inode *old)
{
    pretend(place, POKE_PRESENT, old);
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        int result = place->is_directory ? rmdir(place->path) : unlink(place->path);

        if (result == 0 || (errno != ENOENT && errno != ENOTDIR && errno != EISDIR))
            break;
        drop_dentry(place);
    }
    pretend(place, POKE_AS_IT_IS, NULL);
}
