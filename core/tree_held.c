/* SPDX-License-Identifier: Apache-2.0 */
/* tree_held.c - see tree_held.h.
 * Layer 4, a part of the tree.
 */
#include "core/tree_held.h"
#include "core/cleanup.h"
#include "core/name_codec.h"
#include "core/tree_node.h"
#include <string.h>

#define SCAN_MOST 8192 /* children that one page looks at, under the tree's lock */

static bool is_name(const struct node *node, enum tree_scope scope, int64_t limit_ns)
{
    if (node->state == NODE_BARE ||
        (node->modified_ns <= limit_ns && node_expires_ns(node) != INT64_MAX))
        return false;
    return scope == TREE_HELD || node->state == NODE_TOMBSTONE;
}

static bool is_directory(const struct node *node, enum tree_scope scope)
{
    if (node->parent == NULL)
        return true;
    if (node->directory == NULL)
        return false;
    return (scope == TREE_HELD ? node->directory->held : node->directory->deleted) > 0;
}

enum jsfs_status tree_held_lookup(struct tree *tree, const char *path,
                                  enum tree_scope scope, struct tree_held *out)
{
    SCOPED_LOCK(&tree->lock);
    const struct node *node = node_find_path(tree, path);
    struct tree_held held = {.name = false};

    if (node == NULL)
        return JSFS_NOT_FOUND;
    held.name = is_name(node, scope, node_age_limit(tree));
    held.directory = is_directory(node, scope);
    if (!held.name && !held.directory)
        return JSFS_NOT_FOUND;
    held.sequence = held.name ? node->sequence : 0;
    held.modified_ns = held.name ? node->modified_ns : node->directory->modified_ns;
    *out = held;
    return JSFS_OK;
}

/* A page in the making: items with names that are still in the nodes. */
struct filling {
    enum tree_scope scope;
    int64_t limit_ns;
    struct tree_item *items; /* room for most */
    size_t count, most;
    size_t text_size; /* [bytes] of the names with their NULs */
};

static void add(struct filling *filling, const struct node *node, const char *name,
                uint64_t cookie, enum tree_type type)
{
    struct tree_item *item = &filling->items[filling->count++];

    *item = (struct tree_item){.name = (char *)name, .cookie = cookie};
    item->attr.type = type;
    item->attr.sequence = node->sequence;
    item->attr.modified_ns = node->modified_ns;
    filling->text_size += strlen(name) + 1;
}

static void add_child(struct filling *filling, const struct node *child)
{
    bool directory = is_directory(child, filling->scope);

    if (child->removed ||
        (!directory && !is_name(child, filling->scope, filling->limit_ns)))
        return;
    add(filling, child, child->name, child->cookie,
        directory || filling->scope == TREE_HELD ? TREE_DIRECTORY : TREE_FILE);
}

/* True at the end of the directory. */
static bool fill(struct filling *filling, const struct node *node, uint64_t *cookie)
{
    const struct directory *directory = node->directory;

    if (*cookie < NODE_COOKIE_VALUE) {
        *cookie = NODE_COOKIE_VALUE;
        if (filling->scope == TREE_DELETED && node->parent != NULL &&
            is_name(node, filling->scope, filling->limit_ns))
            add(filling, node, NAME_CODEC_VALUE, NODE_COOKIE_VALUE, TREE_FILE);
    }
    uint32_t first = node_first_above(directory, *cookie);
    for (uint32_t i = first; i < directory->count; i++) {
        if (filling->count == filling->most || i - first == SCAN_MOST)
            return false;
        *cookie = directory->children[i]->cookie;
        add_child(filling, directory->children[i]);
    }
    return true;
}

/* The names, which leave the nodes for the room behind the items. */
static enum jsfs_status make_page(const struct filling *filling, struct tree_page *page)
{
    size_t items_size = filling->count * sizeof(struct tree_item);
    struct tree_item *items = malloc(items_size + filling->text_size + 1);
    char *text;

    if (items == NULL)
        return JSFS_NO_MEMORY;
    if (items_size > 0)
        memcpy(items, filling->items, items_size);
    text = (char *)items + items_size;
    for (size_t i = 0; i < filling->count; i++) {
        char *name = text;

        text = stpcpy(text, items[i].name) + 1;
        items[i].name = name;
    }
    page->items = items;
    page->count = filling->count;
    return JSFS_OK;
}

enum jsfs_status tree_held_list(struct tree *tree, const char *path,
                                enum tree_scope scope, uint64_t *cookie, size_t most,
                                struct tree_page *page)
{
    SCOPED_LOCK(&tree->lock);
    CLEANUP(cleanup_free) struct tree_item *items = calloc(most + 1, sizeof(*items));
    struct filling filling = {
        .scope = scope, .limit_ns = node_age_limit(tree), .items = items, .most = most};
    const struct node *node = node_find_path(tree, path);

    if (items == NULL)
        return JSFS_NO_MEMORY;
    if (node == NULL || !is_directory(node, scope))
        return JSFS_NOT_FOUND;
    bool end = fill(&filling, node, cookie);
    enum jsfs_status status = make_page(&filling, page);
    page->end = end;
    return status;
}
