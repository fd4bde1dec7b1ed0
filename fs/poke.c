/* SPDX-License-Identifier: Apache-2.0 */
/* poke.c - see poke.h. Layer 5.
 * The thread that has the helper poke. What is watched is in poke_scan.c, the changes come from poke_listen.c.
 */
#include "fs/poke_act.h"
#include "fs/poke_helper.h"
#include "fs/poke_state.h"

#include "core/cleanup.h"
#include "core/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HELD_NAP_US 5000
#define HELD_NAPS 200

void poke_unref(struct poke *poke)
{
    if (atomic_fetch_sub(&poke->references, 1) != 1)
        return;
    pthread_cond_destroy(&poke->changed);
    pthread_mutex_destroy(&poke->lock);
    free(poke);
}

/* Paths ------------------------------------------------------------------------------------- */

static unsigned count_components(const char *path)
{
    unsigned count = *path != '\0';

    for (; *path != '\0'; path++)
        count += *path == '/';
    return count;
}

/* [bytes] of the first components of a path. */
static size_t prefix_size(const char *path, unsigned components)
{
    const char *at = path;

    while (components > 0) {
        at = strchrnul(at, '/');
        if (--components > 0 && *at == '/')
            at++;
    }
    return (size_t)(at - path);
}

/* The components of a path that have appeared, changed or gone: from first to last. */
static void affected(const struct poke_item *item, unsigned *first, unsigned *last)
{
    unsigned all = count_components(item->path);

    *first = *last = all;
    if (item->after < all)
        *first = item->after + 1;
    else if (item->before < all)
        *first = *last = item->before + 1;
}

static bool is_directory_of(const struct inode *inode, const char *path, unsigned component)
{
    size_t size = strlen(inode->path);

    return (inode->kind == INODE_BUCKET || inode->kind == INODE_DIRECTORY) &&
           size == prefix_size(path, component - 1) && strncmp(inode->path, path, size) == 0;
}

static bool is_itself(const struct inode *inode, const char *path, unsigned component)
{
    size_t size = strlen(inode->path);

    return inode->kind != INODE_BUCKET && size == prefix_size(path, component) &&
           strncmp(inode->path, path, size) == 0;
}

/* What is watched that component `component` of a change concerns: the directory it is in, the
 * thing itself; counted, or NULL. */
static void find_watched_locked(struct poke *poke, const struct poke_item *item, unsigned component,
                                struct inode **directory, struct inode **itself)
{
    *directory = *itself = NULL;
    for (size_t i = 0; i < poke->watched_count; i++) {
        struct inode *inode = poke->watched[i];

        if (inode->bucket != item->bucket)
            continue;
        if (*directory == NULL && is_directory_of(inode, item->path, component))
            *directory = inode_ref(poke->fs->inodes, inode);
        else if (is_itself(inode, item->path, component) &&
                 (*itself == NULL || inode->number > (*itself)->number)) {
            inode_put(poke->fs->inodes, *itself);
            *itself = inode_ref(poke->fs->inodes, inode);
        }
    }
}

bool poke_concerns_locked(struct poke *poke, const struct poke_item *item)
{
    unsigned first, last;

    affected(item, &first, &last);
    for (unsigned component = first; component <= last; component++) {
        struct inode *directory, *itself;

        find_watched_locked(poke, item, component, &directory, &itself);
        inode_put(poke->fs->inodes, directory);
        inode_put(poke->fs->inodes, itself);
        if (directory != NULL || itself != NULL)
            return true;
    }
    return false;
}

/* Poking ------------------------------------------------------------------------------------ */

bool poke_asks(const struct poke *poke, int32_t thread)
{
    return poke != NULL && poke_helper_process(poke->helper) == thread;
}

enum poke_answer poke_find(struct poke *poke, uint64_t directory, const char *name,
                           struct inode **inode, bool *is_directory)
{
    SCOPED_LOCK(&poke->lock);

    if (poke->answer == POKE_AS_IT_IS || poke->answer_directory != directory ||
        strcmp(poke->answer_name, name) != 0)
        return POKE_AS_IT_IS;
    *is_directory = poke->answer_is_directory;
    *inode = poke->answer_inode != NULL ? inode_ref(poke->fs->inodes, poke->answer_inode) : NULL;
    return poke->answer;
}

static void pretend(void *arg, const struct poke_place *place, enum poke_answer answer,
                    struct inode *inode)
{
    struct poke *poke = arg;
    SCOPED_LOCK(&poke->lock);

    poke->answer = answer;
    poke->answer_directory = place->directory->number;
    poke->answer_name = place->name;
    poke->answer_inode = inode;
    poke->answer_is_directory = place->is_directory;
}

static bool is_ending(struct poke *poke)
{
    SCOPED_LOCK(&poke->lock);
    return poke->ending;
}

/* A poke would wait in the kernel for a parked request's answer, and keep the mount busy. */
static bool wait_until_free(struct poke *poke, struct inode *directory)
{
    for (unsigned i = 0; atomic_load(&directory->held) > 0; i++) {
        if (i == HELD_NAPS || is_ending(poke))
            return false;
        usleep(HELD_NAP_US);
    }
    return !is_ending(poke);
}

static bool is_link(struct poke_item *item)
{
    struct tree_attr attr;

    if (tree_lookup(bucket_tree(item->bucket), item->path, &attr) != JSFS_OK)
        return false;
    object_meta_free(attr.meta);
    return attr.type == TREE_LINK;
}

static void poke_component(struct poke *poke, struct poke_item *item, struct poke_place *place,
                           unsigned component, struct inode *itself)
{
    struct inode_table *inodes = poke->fs->inodes;
    unsigned all = count_components(item->path);

    place->is_directory = component < all;
    place->is_link = !place->is_directory && is_link(item);
    if (component > item->after) {
        struct inode *bound = place->is_directory
                                  ? inode_bound(inodes, place->directory, place->name)
                                  : NULL;

        poke_remove(place, itself != NULL ? itself : bound);
        if (bound != NULL) /* to the kernel it is a dead one now */
            inode_unbind(inodes, bound);
        inode_put(inodes, bound);
    } else if (component > item->before) {
        poke_create(place);
    } else if (!place->is_link) {
        poke_modify(place, itself, itself != NULL && inode_is_removed(inodes, itself));
    }
}

static void work_on(struct poke *poke, struct poke_item *item, unsigned component)
{
    struct inode_table *inodes = poke->fs->inodes;
    size_t start = prefix_size(item->path, component - 1);
    CLEANUP(cleanup_free) char *path = NULL;
    struct inode *directory, *itself;

    pthread_mutex_lock(&poke->lock);
    find_watched_locked(poke, item, component, &directory, &itself);
    pthread_mutex_unlock(&poke->lock);
    if (directory == NULL && itself != NULL)
        directory = inode_ref(inodes, itself->parent);
    if (directory != NULL &&
        asprintf(&path, "%s/%s/%.*s",
                 bucket_kind(item->bucket) == STORE_KV ? "kv" : "obj", bucket_name(item->bucket),
                 (int)prefix_size(item->path, component), item->path) < 0)
        path = NULL;
    if (path != NULL && wait_until_free(poke, directory)) {
        struct poke_place place = {
            .session = poke->session,
            .helper = poke->helper,
            .directory = directory,
            .name = path + strlen(path) - (prefix_size(item->path, component) - start) +
                    (start > 0),
            .path = path,
            .pretend = pretend,
            .arg = poke,
        };

        poke_component(poke, item, &place, component, itself);
    }
    inode_put(inodes, directory);
    inode_put(inodes, itself);
}

void poke_item_free(struct poke_item *item)
{
    bucket_unref(item->bucket);
    free(item);
}

static struct poke_item *take(struct poke *poke)
{
    SCOPED_LOCK(&poke->lock);

    if (poke->busy)
        pthread_cond_broadcast(&poke->changed);
    poke->busy = false;
    while (poke->first == NULL && !poke->ending)
        pthread_cond_wait(&poke->changed, &poke->lock);
    if (poke->ending)
        return NULL;
    struct poke_item *item = poke->first;
    poke->first = item->next;
    if (poke->first == NULL) {
        poke->last = &poke->first;
        poke->newest = NULL;
    }
    poke->queued--;
    poke->busy = true;
    return item;
}

/* What has gone, from the bottom up. */
static void *run_poker(void *arg)
{
    struct poke *poke = arg;
    struct poke_item *item;

    while ((item = take(poke)) != NULL) {
        unsigned first, last;

        affected(item, &first, &last);
        for (unsigned component = last; component >= first; component--)
            work_on(poke, item, component);
        poke_item_free(item);
    }
    return NULL;
}

/* Life -------------------------------------------------------------------------------------- */

struct poke *poke_new(struct fs *fs, struct fuse_session *session, struct poke_helper *helper)
{
    struct poke *poke = calloc(1, sizeof(*poke));
    pthread_condattr_t monotonic;

    if (poke == NULL)
        return NULL;
    poke->fs = fs;
    poke->session = session;
    poke->helper = helper;
    poke->device = poke_helper_mounted(helper);
    poke->last = &poke->first;
    atomic_init(&poke->references, 1);
    pthread_mutex_init(&poke->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&poke->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    poke->poking = poke->device != 0 && pthread_create(&poke->poker, NULL, run_poker, poke) == 0;
    poke->scanning =
        poke->poking && pthread_create(&poke->scanner, NULL, poke_scan, poke) == 0;
    if (poke->scanning)
        return poke;
    poke_end(poke);
    poke_free(poke);
    return NULL;
}

void poke_end(struct poke *poke)
{
    if (poke == NULL)
        return;
    SCOPED_LOCK(&poke->lock);
    poke->ending = true;
    pthread_cond_broadcast(&poke->changed);
}

void poke_settle(struct poke *poke, int timeout_ms)
{
    if (poke == NULL)
        return;
    struct timespec until = clock_deadline(timeout_ms);
    SCOPED_LOCK(&poke->lock);
    while (poke->busy)
        if (pthread_cond_timedwait(&poke->changed, &poke->lock, &until) != 0)
            break;
}

void poke_free(struct poke *poke)
{
    if (poke == NULL)
        return;
    poke_helper_leave(poke->helper);
    if (poke->scanning)
        pthread_join(poke->scanner, NULL);
    if (poke->poking)
        pthread_join(poke->poker, NULL);
    poke_listen_end(poke);
    for (struct poke_item *next; poke->first != NULL; poke->first = next) {
        next = poke->first->next;
        poke_item_free(poke->first);
    }
    poke_set_watched(poke, NULL, 0);
    poke_unref(poke);
}
