/* SPDX-License-Identifier: Apache-2.0 */
/* tree_sweep.c - names that vanish without an event: not listed any more, purged, expired.
 * Layer 4, a part of tree.h.
 */
#include "core/buffer.h"
#include "core/cleanup.h"
#include "core/tree_node.h"
#include <string.h>

#define EXPIRE_MOST 4096 /* names that one call of tree_expire() removes */

/* What was removed, one behind the other: a struct version, then its path with its NUL. */
struct removal {
    struct buffer noted;
    tree_removed *removed;
    void *arg;
};

struct version {
    uint64_t sequence;
    int64_t time_ns; /* when it was stored; of what was due: when that was, 0 when it did not show */
};

static bool note(struct buffer *noted, const struct node *node, int64_t time_ns)
{
    const struct version version = {node->sequence, time_ns};
    size_t size = sizeof(version), start = noted->size;
    char *at;

    for (const struct node *up = node; up->parent != NULL; up = up->parent)
        size += strlen(up->name) + 1;
    if (buffer_resize(noted, start + size) != JSFS_OK)
        return false;
    memcpy(noted->data + start, &version, sizeof(version));
    at = noted->data + start + size;
    for (const struct node *up = node; up->parent != NULL; up = up->parent) {
        size_t length = strlen(up->name);

        *--at = up == node ? '\0' : '/';
        at -= length;
        memcpy(at, up->name, length);
    }
    return true;
}

/* Remove the entry of a node and note it; false without memory, then it stays. */
static bool remove_entry(struct tree *tree, struct node *node, struct removal *removal)
{
    bool before = node_shows(node);

    if (node_shows_entry(node) && !note(&removal->noted, node, node->modified_ns))
        return false;
    node_clear_entry(tree, node);
    node_changed(node, before);
    node_prune(tree, node);
    return true;
}

static void tell(struct removal *removal)
{
    size_t at = 0;

    while (at < removal->noted.size) {
        const char *path = removal->noted.data + at + sizeof(struct version);
        struct version version;

        memcpy(&version, removal->noted.data + at, sizeof(version));
        removal->removed(removal->arg, path, version.sequence, version.time_ns);
        at += sizeof(version) + strlen(path) + 1;
    }
    buffer_clear(&removal->noted);
}

void tree_list_begin(struct tree *tree)
{
    SCOPED_LOCK(&tree->lock);

    tree->generation++;
    tree->list_last = 0;
}

static size_t sweep_unlisted(struct tree *tree, struct removal *removal)
{
    SCOPED_LOCK(&tree->lock);
    struct node *next;
    size_t doubtful = 0;

    for (struct node *node = tree->oldest; node != NULL; node = next) {
        next = node->newer;
        if (node->generation == tree->generation)
            continue;
        if (node->sequence > tree->list_last && !node->doubted) {
            node->doubted = true;
            doubtful++;
        } else if (!remove_entry(tree, node, removal)) {
            break;
        }
    }
    return doubtful;
}

size_t tree_list_end(struct tree *tree, tree_removed *removed, void *arg)
{
    struct removal removal = {BUFFER_INIT, removed, arg};
    size_t doubtful = sweep_unlisted(tree, &removal);

    tell(&removal);
    return doubtful;
}

void tree_drop_below(struct tree *tree, uint64_t first,
                     tree_removed *removed, void *arg)
{
    struct removal removal = {BUFFER_INIT, removed, arg};

    pthread_mutex_lock(&tree->lock);
    while (tree->oldest != NULL && tree->oldest->sequence < first) {
        if (!remove_entry(tree, tree->oldest, &removal))
            break;
    }
    pthread_mutex_unlock(&tree->lock);
    tell(&removal);
}

void tree_drop_above(struct tree *tree, uint64_t last,
                     tree_removed *removed, void *arg)
{
    struct removal removal = {BUFFER_INIT, removed, arg};

    pthread_mutex_lock(&tree->lock);
    while (tree->newest != NULL && tree->newest->sequence > last) {
        if (!remove_entry(tree, tree->newest, &removal))
            break;
    }
    pthread_mutex_unlock(&tree->lock);
    tell(&removal);
}

int64_t tree_expire(struct tree *tree, int64_t now_ns,
                    tree_removed *removed, void *arg)
{
    struct removal removal = {BUFFER_INIT, removed, arg};
    int64_t max_age_ns = atomic_load(&tree->max_age_ns), next_ns = INT64_MAX;
    unsigned count = 0;

    if (max_age_ns <= 0)
        return INT64_MAX;
    pthread_mutex_lock(&tree->lock);
    for (struct node *node = tree->oldest, *next; node != NULL; node = next) {
        next = node->newer;
        if (node_expires_ns(node) == INT64_MAX) /* "never": the age does not count */
            continue;
        next_ns = node->modified_ns + max_age_ns;
        if (next_ns > now_ns || count++ == EXPIRE_MOST ||
            !remove_entry(tree, node, &removal))
            break;
        next_ns = INT64_MAX;
    }
    pthread_mutex_unlock(&tree->lock);
    tell(&removal);
    return next_ns;
}

static void make_tombstone(struct tree *tree, struct node *node)
{
    tree->shown -= node_shows_entry(node);
    if (node->has_timer)
        timer_stop(tree, node);
    node_bury(node);
    node->hidden = false;
}

static bool is_outdated(const struct tree *tree, const struct node *node)
{
    return node->outdated && node->generation != tree->generation && !node->has_meta &&
           node->sequence <= tree->list_last;
}

void tree_take_outdated(struct tree *tree, tree_removed *take, void *arg)
{
    struct removal outdated = {BUFFER_INIT, take, arg};

    pthread_mutex_lock(&tree->lock);
    for (struct node *node = tree->any_outdated ? tree->oldest : NULL; node != NULL;
         node = node->newer) {
        bool before = node_shows(node);

        if (!is_outdated(tree, node) || !note(&outdated.noted, node, node->modified_ns))
            continue;
        make_tombstone(tree, node);
        node->generation = tree->generation;
        node_changed(node, before);
    }
    tree->any_outdated = false;
    pthread_mutex_unlock(&tree->lock);
    tell(&outdated);
}

/* The entry of a node is over: it is removed, or a tombstone that can still be told from what the
 * server says later. False without memory, then it stays. */
static bool end_entry(struct tree *tree, struct node *node, bool forget,
                      struct removal *due)
{
    bool shown = node_shows_entry(node), before = node_shows(node);

    if (!note(&due->noted, node, shown ? node_expires_ns(node) : 0))
        return false;
    if (forget)
        node_clear_entry(tree, node);
    else
        make_tombstone(tree, node);
    node_changed(node, before);
    node_prune(tree, node);
    return true;
}

int64_t tree_take_due(struct tree *tree, int64_t now_ns, bool forget, tree_removed *take,
                      void *arg)
{
    struct removal due = {BUFFER_INIT, take, arg};
    int64_t next_ns = INT64_MAX;

    pthread_mutex_lock(&tree->lock);
    for (unsigned i = 0; tree->timer_count > 0; i++) {
        next_ns = tree->timers[0]->expires_ns;
        if (next_ns > now_ns || i == EXPIRE_MOST ||
            !end_entry(tree, tree->timers[0]->node, forget, &due))
            break;
        next_ns = INT64_MAX;
    }
    pthread_mutex_unlock(&tree->lock);
    tell(&due);
    return next_ns;
}
