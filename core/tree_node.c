/* SPDX-License-Identifier: Apache-2.0 */
/* tree_node.c - the nodes a tree is made of: found by hash, listed by cookie, aged by sequence.
 * Layer 4, private to tree*.c.
 */
#include "core/tree_node.h"
#include "core/clock.h"
#include "core/name_codec.h"
#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS 64
#define MALLOC_HEADER sizeof(size_t)

bool component_next(const char **path, struct component *out)
{
    const char *end;

    if (**path == '\0')
        return false;
    end = strchrnul(*path, '/');
    out->text = *path;
    out->size = (size_t)(end - *path);
    *path = *end == '/' ? end + 1 : end;
    return true;
}

bool component_is_value(const struct component *component)
{
    return component->size == strlen(NAME_CODEC_VALUE) &&
           memcmp(component->text, NAME_CODEC_VALUE, component->size) == 0;
}

void *node_allocate(struct tree *tree, size_t size)
{
    void *memory = malloc(size);

    if (memory != NULL)
        tree->memory += malloc_usable_size(memory) + MALLOC_HEADER;
    return memory;
}

void node_release(struct tree *tree, void *memory)
{
    if (memory == NULL)
        return;
    tree->memory -= malloc_usable_size(memory) + MALLOC_HEADER;
    free(memory);
}

/* The hash table ---------------------------------------------------------------------------- */

/* FNV-1a over the name and the parent's address, mixed so that the low bits are good. */
static uint32_t hash_of(const struct tree *tree, const struct node *parent,
                        const struct component *name)
{
    uint64_t hash = tree->seed ^ ((uintptr_t)parent >> 4);

    hash *= UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = 0; i < name->size; i++)
        hash = (hash ^ (unsigned char)name->text[i]) * UINT64_C(0x100000001b3);
    hash ^= hash >> 32;
    hash *= UINT64_C(0xff51afd7ed558ccd);
    return (uint32_t)(hash >> 32);
}

static void insert(struct node **slots, size_t slot_count, struct node *node)
{
    size_t at = node->hash & (slot_count - 1);

    while (slots[at] != NULL)
        at = (at + 1) & (slot_count - 1);
    slots[at] = node;
}

/* Room for one more node at a load of at most three quarters. */
static bool grow_slots(struct tree *tree)
{
    size_t count = tree->slot_count == 0 ? FIRST_SLOTS : tree->slot_count * 2;
    struct node **slots;

    if ((tree->node_count + 1) * 4 <= tree->slot_count * 3)
        return true;
    slots = node_allocate(tree, count * sizeof(*slots));
    if (slots == NULL)
        return false;
    memset(slots, 0, count * sizeof(*slots));
    for (size_t i = 0; i < tree->slot_count; i++) {
        if (tree->slots[i] != NULL)
            insert(slots, count, tree->slots[i]);
    }
    node_release(tree, tree->slots);
    tree->slots = slots;
    tree->slot_count = count;
    return true;
}

/* Take a node out and move back those behind it that a search would not find any more. */
static void take_out(struct tree *tree, const struct node *node)
{
    size_t mask = tree->slot_count - 1;
    size_t hole = node->hash & mask;

    while (tree->slots[hole] != node)
        hole = (hole + 1) & mask;
    for (size_t at = (hole + 1) & mask; tree->slots[at] != NULL; at = (at + 1) & mask) {
        size_t home = tree->slots[at]->hash & mask;

        if (((at - home) & mask) >= ((at - hole) & mask)) {
            tree->slots[hole] = tree->slots[at];
            hole = at;
        }
    }
    tree->slots[hole] = NULL;
}

static bool is_named(const struct node *node, const struct component *name)
{
    return strncmp(node->name, name->text, name->size) == 0 &&
           node->name[name->size] == '\0';
}

struct node *node_find(struct tree *tree, const struct node *parent,
                       const struct component *name)
{
    uint32_t hash = hash_of(tree, parent, name);
    size_t mask = tree->slot_count - 1;

    if (tree->slot_count == 0)
        return NULL;
    for (size_t at = hash & mask; tree->slots[at] != NULL; at = (at + 1) & mask) {
        struct node *node = tree->slots[at];

        if (node->hash == hash && node->parent == parent && is_named(node, name))
            return node;
    }
    return NULL;
}

struct node *node_find_path(struct tree *tree, const char *path)
{
    struct node *node = tree->root;
    struct component component;

    while (node != NULL && component_next(&path, &component))
        node = node_find(tree, node, &component);
    return node;
}

/* Children ---------------------------------------------------------------------------------- */

bool node_make_directory(struct tree *tree, struct node *node)
{
    struct directory *directory = node->directory;

    if (directory != NULL)
        return true;
    directory = node_allocate(tree, sizeof(*directory));
    if (directory == NULL)
        return false;
    *directory = (struct directory){.next_cookie = NODE_COOKIE_VALUE + 1};
    node->directory = directory;
    return true;
}

/* Room for one more child. */
static bool grow_directory(struct tree *tree, struct directory *directory)
{
    uint32_t capacity;
    struct node **children;

    if (directory->count < directory->capacity)
        return true;
    capacity =
        directory->capacity == 0 ? 2 : directory->capacity + directory->capacity / 2;
    if (capacity <= directory->capacity)
        return false;
    children = node_allocate(tree, capacity * sizeof(struct node *));
    if (children == NULL)
        return false;
    if (directory->count > 0)
        memcpy(children, directory->children, directory->count * sizeof(struct node *));
    node_release(tree, directory->children);
    directory->children = children;
    directory->capacity = capacity;
    return true;
}

struct node *node_new(struct tree *tree, const struct component *name)
{
    struct node *node = node_allocate(tree, offsetof(struct node, name) + name->size + 1);

    if (node == NULL)
        return NULL;
    memset(node, 0, offsetof(struct node, name));
    memcpy(node->name, name->text, name->size);
    node->name[name->size] = '\0';
    return node;
}

struct node *node_add(struct tree *tree, struct node *parent,
                      const struct component *name)
{
    struct directory *directory;
    struct node *node;

    if (!grow_slots(tree) || !node_make_directory(tree, parent) ||
        !grow_directory(tree, parent->directory))
        return NULL;
    node = node_new(tree, name);
    if (node == NULL)
        return NULL;
    node->parent = parent;
    node->hash = hash_of(tree, parent, name);
    insert(tree->slots, tree->slot_count, node);
    tree->node_count++;
    directory = parent->directory;
    node->cookie = directory->next_cookie++;
    directory->children[directory->count++] = node;
    return node;
}

/* Free what was removed from a directory, and the room it took. */
static void compact(struct tree *tree, struct directory *directory)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < directory->count; i++) {
        struct node *child = directory->children[i];

        if (child->removed)
            node_release(tree, child);
        else
            directory->children[kept++] = child;
    }
    directory->count = kept;
    directory->removed = 0;
    if (kept == 0) {
        node_release(tree, directory->children);
        directory->children = NULL;
        directory->capacity = 0;
    }
}

static bool holds_something(const struct node *node)
{
    return node->parent == NULL || node->state != NODE_BARE || node->local_file ||
           node->local_directory ||
           (node->directory != NULL && (node->directory->count > node->directory->removed ||
                                        node->directory->pinned > 0));
}

void node_prune(struct tree *tree, struct node *node)
{
    while (!holds_something(node)) {
        struct node *parent = node->parent;
        struct directory *directory = parent->directory;

        if (node->directory != NULL) {
            compact(tree, node->directory);
            node_release(tree, node->directory);
            node->directory = NULL;
        }
        take_out(tree, node);
        tree->node_count--;
        node->removed = true;
        directory->removed++;
        if (directory->removed > directory->count / 2)
            compact(tree, directory);
        node = parent;
    }
}

void node_free_all(struct tree *tree, struct node *node)
{
    struct directory *directory = node->directory;

    for (uint32_t i = 0; directory != NULL && i < directory->count; i++)
        node_free_all(tree, directory->children[i]);
    if (directory != NULL)
        node_release(tree, directory->children);
    node_release(tree, directory);
    if (node->has_meta)
        node_release(tree, node->meta);
    if (node->has_timer)
        node_release(tree, node->timer);
    node_release(tree, node);
}

uint32_t node_first_above(const struct directory *directory, uint64_t cookie)
{
    uint32_t low = 0, high = directory->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (directory->children[middle]->cookie > cookie)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* Entries by sequence ----------------------------------------------------------------------- */

/* An entry came (1) or goes (-1): the directories above it count it. */
static void count_entry(const struct node *node, int change)
{
    bool deleted = node->state == NODE_TOMBSTONE;

    for (const struct node *up = node->parent; up != NULL; up = up->parent) {
        up->directory->held += (uint32_t)change;
        if (deleted)
            up->directory->deleted += (uint32_t)change;
    }
}

/* Lists and changes come in order, so the place is next to the last one in nearly all cases. */
void node_link_entry(struct tree *tree, struct node *node)
{
    struct node *before = tree->hint != NULL ? tree->hint : tree->newest;

    while (before != NULL && before->sequence > node->sequence)
        before = before->older;
    while (before != NULL && before->newer != NULL &&
           before->newer->sequence < node->sequence)
        before = before->newer;
    node->older = before;
    node->newer = before != NULL ? before->newer : tree->oldest;
    *(node->older != NULL ? &node->older->newer : &tree->oldest) = node;
    *(node->newer != NULL ? &node->newer->older : &tree->newest) = node;
    tree->hint = node;
    count_entry(node, 1);
}

static void unlink_entry(struct tree *tree, struct node *node)
{
    *(node->older != NULL ? &node->older->newer : &tree->oldest) = node->newer;
    *(node->newer != NULL ? &node->newer->older : &tree->newest) = node->older;
    if (tree->hint == node)
        tree->hint = node->newer != NULL ? node->newer : node->older;
    node->older = node->newer = NULL;
}

void node_clear_entry(struct tree *tree, struct node *node)
{
    if (node->state == NODE_BARE)
        return;
    count_entry(node, -1);
    unlink_entry(tree, node);
    tree->known--;
    tree->shown -= node_shows_entry(node);
    if (node->has_meta)
        node_release(tree, node->meta);
    if (node->has_timer)
        timer_stop(tree, node);
    node->has_meta = false;
    node->size_bytes = 0;
    node->sequence = 0;
    node->hidden = false;
    node->state = NODE_BARE;
}

void node_bury(struct node *node)
{
    count_entry(node, -1);
    node->state = NODE_TOMBSTONE;
    count_entry(node, 1);
}

/* What shows -------------------------------------------------------------------------------- */

int64_t node_age_limit(const struct tree *tree)
{
    int64_t max_age_ns = atomic_load(&tree->max_age_ns);

    return max_age_ns > 0
               ? clock_realtime_ns() + atomic_load(&tree->clock_ahead_ns) - max_age_ns
               : INT64_MIN;
}

void node_changed(struct node *node, bool before)
{
    while (node->parent != NULL && node_shows(node) != before) {
        struct node *parent = node->parent;
        bool parent_before = node_shows(parent);

        parent->directory->shown += before ? UINT32_MAX : 1;
        before = parent_before;
        node = parent;
    }
}

void node_keep_parent(struct node *node)
{
    struct node *parent = node->parent;

    if (parent->parent != NULL && parent->directory->shown == 1 && node_shows(node) &&
        !node->local_file)
        parent->local_directory = true;
}

void node_touch(struct node *directory, int64_t modified_ns)
{
    for (; directory != NULL; directory = directory->parent) {
        if (directory->directory != NULL &&
            directory->directory->modified_ns < modified_ns)
            directory->directory->modified_ns = modified_ns;
    }
}
