/* SPDX-License-Identifier: Apache-2.0 */
/* poke_act.c - see poke_act.h. Layer 5.
 * A name that somebody has looked up meanwhile is answered from the kernel's cache, not by us:
 * then the dentry is dropped, and the call made again.
 */
#define FUSE_USE_VERSION 312
#include "fs/poke_act.h"

#include "fs/poke_helper.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <string.h>

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

static int call(const struct poke_place *place, enum poke_call what)
{
    return poke_helper_call(place->helper, what, place->path);
}

static int make(const struct poke_place *place)
{
    if (place->is_directory)
        return call(place, POKE_MAKE_DIRECTORY);
    return call(place, place->is_link ? POKE_MAKE_LINK : POKE_MAKE_FILE);
}

void poke_create(const struct poke_place *place)
{
    int result = 0;

    pretend(place, POKE_ABSENT, NULL);
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        result = make(place);
        if (result != EEXIST || place->is_directory)
            break; /* a directory that is in use already is not taken from under its users */
        drop_dentry(place);
    }
    pretend(place, POKE_AS_IT_IS, NULL);
    if (result == 0 && !place->is_directory && !place->is_link)
        call(place, POKE_TOUCH);
}

/* DELETE_SELF for the inode alone: the dentry must lead to it at that moment. */
static void tell_replaced(const struct poke_place *place, const struct inode *old)
{
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        call(place, POKE_LOOK);
        if (fuse_lowlevel_notify_delete(place->session, place->directory->number, old->number,
                                        place->name, strlen(place->name)) != -ENOENT)
            return;
        drop_dentry(place);
    }
}

void poke_modify(const struct poke_place *place, struct inode *old, bool replaced)
{
    if (old == NULL) {
        call(place, POKE_TOUCH);
        return;
    }
    drop_dentry(place);
    pretend(place, POKE_PRESENT, old);
    call(place, POKE_TOUCH);
    if (replaced)
        tell_replaced(place, old);
    pretend(place, POKE_AS_IT_IS, NULL);
}

void poke_remove(const struct poke_place *place, struct inode *old)
{
    pretend(place, POKE_PRESENT, old);
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        int result = call(place, place->is_directory ? POKE_RMDIR : POKE_UNLINK);

        if (result != ENOENT && result != ENOTDIR && result != EISDIR)
            break;
        drop_dentry(place);
    }
    pretend(place, POKE_AS_IT_IS, NULL);
}
