/* SPDX-License-Identifier: Apache-2.0 */
/* tree.c - the names of one bucket as directories, in memory: what events do to it.
 * Layer 4. What is read from it is in tree_show.c, what only this mount has in tree_local.c, what
 * vanishes without an event in tree_sweep.c; the nodes are in tree_node.c.
 */
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/tree_node.h"

struct tree *tree_new(int64_t max_age_ns)
{
    static const struct component none = {"", 0};
    struct tree *tree = calloc(1, sizeof(*tree));

    if (tree == NULL)
        return NULL;
    tree->memory = sizeof(*tree);
    atomic_init(&tree->max_age_ns, max_age_ns);
    tree->seed = (uint64_t)clock_monotonic_ns();
    tree->generation = 1;
    tree->root = node_new(tree, &none);
    if (tree->root == NULL || !node_make_directory(tree, tree->root)) {
        node_release(tree, tree->root);
        free(tree);
        return NULL;
    }
    pthread_mutex_init(&tree->lock, NULL);
    return tree;
}

void tree_set_clock(struct tree *tree, int64_t ahead_ns)
{
    atomic_store(&tree->clock_ahead_ns, ahead_ns);
}

void tree_set_max_age(struct tree *tree, int64_t max_age_ns)
{
    atomic_store(&tree->max_age_ns, max_age_ns);
}

void tree_free(struct tree *tree)
{
    if (tree == NULL)
        return;
    node_free_all(tree, tree->root);
    node_release(tree, tree->slots);
    node_release(tree, tree->timers);
    pthread_mutex_destroy(&tree->lock);
    free(tree);
}

/* Find the node of a path, or make it with all on the way; NULL without memory. */
static struct node *reach(struct tree *tree, const char *path)
{
    struct node *node = tree->root;
    struct component component;

    while (component_next(&path, &component)) {
        struct node *child = node_find(tree, node, &component);

        if (child == NULL)
            child = node_add(tree, node, &component);
        if (child == NULL) {
            node_prune(tree, node);
            return NULL;
        }
        node = child;
    }
    return node;
}

static enum node_state state_of(const struct store_entry *entry)
{
    switch (entry->state) {
    case STORE_DELETED:
    case STORE_PURGED: return NODE_TOMBSTONE;
    case STORE_CORRUPT: return NODE_CORRUPT;
    case STORE_LIVE: break;
    }
    return entry->meta != NULL && entry->meta->link_bucket != NULL ? NODE_LINK
                                                                   : NODE_LIVE;
}

/* What an entry needs beside its node; NULL where it needs none. */
struct extras {
    struct packed_meta *meta;
    struct timer *timer;
};

static bool make_extras(struct tree *tree, const struct store_entry *entry,
                        struct extras *extras)
{
    *extras = (struct extras){NULL, NULL};
    if (entry->meta != NULL && entry->state == STORE_LIVE) {
        extras->meta = meta_pack(tree, entry->meta);
        return extras->meta != NULL;
    }
    if (entry->expires_ns == 0)
        return true;
    extras->timer = timer_new(tree, entry);
    return extras->timer != NULL;
}

/* Takes the extras. */
static void set_entry(struct tree *tree, struct node *node,
                      const struct store_entry *entry, const struct extras *extras)
{
    node_clear_entry(tree, node);
    node->state = (uint8_t)state_of(entry);
    node->sequence = entry->sequence;
    node->modified_ns = entry->modified_ns;
    node->has_meta = extras->meta != NULL;
    if (extras->meta != NULL)
        node->meta = extras->meta;
    else if (extras->timer != NULL)
        timer_start(tree, node, extras->timer);
    else
        node->size_bytes = entry->size_bytes;
    tree->known++;
    tree->shown += node_is_live(node);
    node_link_entry(tree, node);
}

/* The list, or an answer, has told a name. */
static void confirm(struct tree *tree, struct node *node, uint64_t sequence)
{
    node->generation = tree->generation;
    node->doubted = node->outdated = false;
    if (sequence > tree->list_last)
        tree->list_last = sequence;
}

/* It may be of a list that tells older ones too, of a replica that lags behind, or the newest that
 * there still is: tree_take_outdated(). */
static void note_older(struct tree *tree, struct node *node, uint64_t sequence)
{
    node->outdated = tree->any_outdated = true;
    if (sequence > tree->list_last)
        tree->list_last = sequence;
}

static void change_entry(struct tree *tree, struct node *node,
                         const struct store_entry *entry, const struct extras *extras,
                         bool keep_directory, struct tree_change *change)
{
    bool before = node_shows(node), file_before = node_is_file(node);

    if (keep_directory && state_of(entry) == NODE_TOMBSTONE && !node_is_directory(node))
        node_keep_parent(node);
    set_entry(tree, node, entry, extras);
    if (node_is_live(node))
        node->local_file = false;
    node_touch(node->parent, entry->modified_ns);
    node_changed(node, before);
    change->applied = true;
    change->shown = node_is_live(node) || file_before != node_is_file(node);
}

/* A name that was removed by a purge is told with the sequence of what was purged. */
static bool is_news(const struct node *node, const struct store_entry *entry)
{
    if (node->state == NODE_BARE || entry->sequence > node->sequence)
        return true;
    return entry->sequence == node->sequence && entry->state == STORE_PURGED &&
           node_is_live(node);
}

enum jsfs_status tree_apply(struct tree *tree, const char *path,
                            const struct store_entry *entry, bool keep_directory,
                            struct tree_change *change)
{
    SCOPED_LOCK(&tree->lock);
    struct extras extras;
    struct node *node = reach(tree, path);

    if (node == NULL)
        return JSFS_NO_MEMORY;
    if (node == tree->root)
        return JSFS_BAD_NAME;
    *change = (struct tree_change){false, false};
    if (!is_news(node, entry)) {
        if (entry->sequence < node->sequence)
            note_older(tree, node, entry->sequence);
        else
            confirm(tree, node, entry->sequence);
        return JSFS_OK;
    }
    if (!make_extras(tree, entry, &extras)) {
        node_prune(tree, node);
        return JSFS_NO_MEMORY;
    }
    confirm(tree, node, entry->sequence);
    change_entry(tree, node, entry, &extras, keep_directory, change);
    return JSFS_OK;
}

uint64_t tree_sequence(struct tree *tree, const char *path, bool *live)
{
    SCOPED_LOCK(&tree->lock);
    const struct node *node = node_find_path(tree, path);

    if (live != NULL)
        *live = node != NULL && node_is_live(node);
    return node == NULL ? 0 : node->sequence;
}

bool tree_forget(struct tree *tree, const char *path, uint64_t sequence,
                 bool keep_directory)
{
    SCOPED_LOCK(&tree->lock);
    struct node *node = node_find_path(tree, path);
    bool before, file_before;

    if (node == NULL || node->state == NODE_BARE || node->sequence > sequence)
        return false;
    before = node_shows(node);
    file_before = node_is_file(node);
    if (keep_directory && !node_is_directory(node))
        node_keep_parent(node);
    node_clear_entry(tree, node);
    node_changed(node, before);
    before = node_is_file(node);
    node_prune(tree, node);
    return file_before && !before;
}
