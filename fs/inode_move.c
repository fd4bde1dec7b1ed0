/* SPDX-License-Identifier: Apache-2.0 */
/* inode_move.c - inodes whose name was renamed, and the end of inodes.
 * Layer 5, a part of inode.h. After RENAME the kernel has the old nodeid under the new name until
 * it is told to look again, and for longer in processes that work in a renamed directory.
 */
#include "fs/inode_table.h"

#include "core/cleanup.h"

#include <stdio.h>
#include <string.h>

/* Those that are taken out, linked by next_name in the order in which they were. */
struct reaping {
    struct inode *first;
    struct inode **end;
};

static void take_out_locked(struct inode_table *table, struct inode *inode,
                            struct reaping *reaping)
{
    struct inode **link = &table->by_number[inode_number_slot(table, inode->number)];

    if (inode->lookups > 0 || inode->references > 0 || inode->number <= INODE_NUMBER_OBJECT)
        return;
    inode_unbind_locked(table, inode);
    while (*link != inode)
        link = &(*link)->next_number;
    *link = inode->next_number;
    table->count--;
    inode->next_name = NULL;
    *reaping->end = inode;
    reaping->end = &inode->next_name;
}

static void let_go_locked(struct inode_table *table, struct inode *inode,
                          struct reaping *reaping)
{
    if (inode == NULL)
        return;
    inode->references--;
    take_out_locked(table, inode, reaping);
}

struct inode *inode_reap_locked(struct inode_table *table, struct inode *inode)
{
    struct reaping reaping = {NULL, &reaping.first};

    if (inode != NULL)
        take_out_locked(table, inode, &reaping);
    for (struct inode *dead = reaping.first; dead != NULL; dead = dead->next_name) {
        let_go_locked(table, dead->parent, &reaping);
        let_go_locked(table, dead->moved, &reaping);
    }
    return reaping.first;
}

void inode_destroy_chain(struct inode *dead)
{
    while (dead != NULL) {
        struct inode *next = dead->next_name;

        inode_destroy(dead);
        dead = next;
    }
}

/* Lead requests for one inode to another.
 *   returns   the one it led to before, which the caller gives back; or NULL */
static struct inode *lead_locked(struct inode_table *table, struct inode *from,
                                 struct inode *to)
{
    struct inode *before = from->moved;

    while (to->moved != NULL)
        to = to->moved;
    if (to == from)
        return NULL;
    to->references++;
    from->moved = to;
    from->removed = false;
    inode_unbind_locked(table, from);
    return before;
}

static struct inode *directory_in_locked(struct inode_table *table, struct inode *parent,
                                         const char *name)
{
    struct inode *inode = inode_find_name_locked(table, parent, name);
    CLEANUP(cleanup_free) char *path = NULL;

    if (inode != NULL)
        return inode->kind == INODE_DIRECTORY ? inode : NULL;
    if (asprintf(&path, "%s/%s", parent->path, name) < 0) {
        path = NULL; /* asprintf leaves it undefined */
        return NULL;
    }
    struct inode_target target = {
        .kind = INODE_DIRECTORY, .bucket = parent->bucket, .path = path};
    inode = inode_create_for(parent, name, &target);
    if (inode == NULL)
        return NULL;
    parent->references++;
    inode_insert_locked(table, inode, table->next_number++);
    return inode;
}

/* Have a directory below one that was moved lead to its namesake there, and all above it first.
 *   returns   where it leads; NULL: nowhere (no memory, or another kind has the name) */
static struct inode *follow_locked(struct inode_table *table, struct inode *inode,
                                   const struct inode *old)
{
    struct inode *parent, *to;

    if (inode == old || inode->moved != NULL)
        return inode->moved;
    parent = follow_locked(table, inode->parent, old);
    to = parent != NULL ? directory_in_locked(table, parent, inode->name) : NULL;
    if (to != NULL && to != inode)
        (void)lead_locked(table, inode, to);
    return inode->moved;
}

static bool is_below(const struct inode *inode, const struct inode *directory)
{
    while (inode != NULL && inode != directory)
        inode = inode->parent;
    return inode != NULL;
}

/* Every bound inode below a directory, in an array for free(); 0 without memory. */
static size_t collect_below_locked(struct inode_table *table, const struct inode *directory,
                                   struct inode ***out)
{
    struct inode **list = calloc(table->count, sizeof(struct inode *));
    size_t count = 0;

    for (size_t i = 0; list != NULL && i < table->capacity; i++) {
        for (struct inode *inode = table->by_number[i]; inode != NULL;
             inode = inode->next_number) {
            if (inode->bound && inode != directory && is_below(inode, directory))
                list[count++] = inode;
        }
    }
    *out = list;
    return count;
}

static void move_children_locked(struct inode_table *table, struct inode *old)
{
    CLEANUP(cleanup_free) struct inode **below = NULL;
    size_t count = collect_below_locked(table, old, &below);

    for (size_t i = 0; i < count; i++) {
        if (below[i]->kind == INODE_DIRECTORY) {
            (void)follow_locked(table, below[i], old);
        } else { /* the next use of its name finds it where it is now */
            below[i]->removed = true;
            inode_unbind_locked(table, below[i]);
        }
    }
}

void inode_move(struct inode_table *table, struct inode *old, struct inode *new)
{
    struct inode *dead = NULL;

    pthread_mutex_lock(&table->lock);
    struct inode *before = lead_locked(table, old, new);
    if (old->moved != NULL && old->kind == INODE_DIRECTORY)
        move_children_locked(table, old);
    if (before != NULL) {
        before->references--;
        dead = inode_reap_locked(table, before);
    }
    pthread_mutex_unlock(&table->lock);
    inode_destroy_chain(dead);
}

bool inode_is_moved(struct inode_table *table, const struct inode *inode)
{
    SCOPED_LOCK(&table->lock);
    return inode->moved != NULL;
}
