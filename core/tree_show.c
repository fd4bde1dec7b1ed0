/* SPDX-License-Identifier: Apache-2.0 */
/* tree_show.c - what a tree shows: one path, one page of a directory, its counts.
 * Layer 4, a part of tree.h.
 */
#include "core/cleanup.h"
#include "core/name_codec.h"
#include "core/tree_node.h"
#include <string.h>

static bool is_fresh_file(const struct node *node, int64_t limit_ns)
{
    return node->local_file ||
           (node_shows_entry(node) &&
            (node->modified_ns > limit_ns || node_expires_ns(node) == INT64_MAX));
}

enum jsfs_status node_locate(struct tree *tree, const char *path, struct node **out,
                             bool *value)
{
    struct node *node = tree->root;
    struct component component;

    *value = false;
    while (component_next(&path, &component)) {
        if (*value || !node_is_directory(node))
            return node_is_file(node) ? JSFS_NOT_DIRECTORY : JSFS_NOT_FOUND;
        *value = component_is_value(&component);
        if (!*value)
            node = node_find(tree, node, &component);
        if (node == NULL)
            return JSFS_NOT_FOUND;
    }
    *out = node;
    return JSFS_OK;
}

static uint64_t node_size(const struct node *node)
{
    if (node->has_timer)
        return node->timer->size_bytes;
    return node->has_meta ? meta_size(node->meta) : node->size_bytes;
}

static void describe_file(const struct node *node, struct tree_attr *out)
{
    bool shows = node_shows_entry(node);

    out->type = shows && node->state == NODE_LINK ? TREE_LINK : TREE_FILE;
    out->corrupt = shows && node->state == NODE_CORRUPT;
    out->local = node->local_file;
    out->sequence = shows ? node->sequence : 0;
    out->modified_ns = node->modified_ns;
    if (shows) {
        out->size_bytes = node_size(node);
        out->expires_ns = node_expires_ns(node);
    }
}

static void describe_directory(const struct node *node, struct tree_attr *out)
{
    out->type = TREE_DIRECTORY;
    out->modified_ns = node->directory->modified_ns;
}

enum jsfs_status tree_lookup(struct tree *tree, const char *path, struct tree_attr *out)
{
    SCOPED_LOCK(&tree->lock);
    struct tree_attr attr = {.meta = NULL};
    struct node *node;
    bool value;
    enum jsfs_status status = node_locate(tree, path, &node, &value);

    if (status != JSFS_OK)
        return status;
    if (node_is_directory(node) && !value) {
        describe_directory(node, &attr);
    } else if (is_fresh_file(node, node_age_limit(tree))) {
        describe_file(node, &attr);
        if (node->has_meta && node_shows_entry(node))
            status = meta_unpack(node->meta, path, &attr.meta);
    } else {
        status = JSFS_NOT_FOUND;
    }
    if (status == JSFS_OK)
        *out = attr;
    return status;
}

/* Pages ------------------------------------------------------------------------------------- */

/* What a page is being made of. */
struct gathering {
    struct gathered {
        const struct node *node;
        bool value; /* "@value": the directory's own file */
    } * items;
    size_t count, most;
    size_t text_size; /* [bytes] of all names with their NULs */
    bool end;
};

static const char *name_of(const struct gathered *item)
{
    return item->value ? NAME_CODEC_VALUE : item->node->name;
}

/* False when the page is full. */
static bool gather(struct gathering *gathering, const struct node *node, bool value)
{
    struct gathered item = {node, value};

    if (gathering->count == gathering->most)
        return false;
    gathering->items[gathering->count++] = item;
    gathering->text_size += strlen(name_of(&item)) + 1;
    return true;
}

static bool gather_children(struct gathering *gathering, const struct node *node,
                            uint64_t cookie, int64_t limit_ns)
{
    const struct directory *directory = node->directory;

    if (cookie < NODE_COOKIE_VALUE && node->parent != NULL &&
        is_fresh_file(node, limit_ns) && !gather(gathering, node, true))
        return false;
    for (uint32_t i = node_first_above(directory, cookie); i < directory->count; i++) {
        const struct node *child = directory->children[i];

        if (!child->removed &&
            (node_is_directory(child) || is_fresh_file(child, limit_ns)) &&
            !gather(gathering, child, false))
            return false;
    }
    return true;
}

static void describe_item(const struct gathered *from, struct tree_item *item,
                          char **text)
{
    *item = (struct tree_item){.name = *text};
    *text = stpcpy(*text, name_of(from)) + 1;
    item->cookie = from->value ? NODE_COOKIE_VALUE : from->node->cookie;
    if (node_is_directory(from->node) && !from->value)
        describe_directory(from->node, &item->attr);
    else
        describe_file(from->node, &item->attr);
}

/* One allocation: the items, then their names. */
static enum jsfs_status make_page(const struct gathering *gathering,
                                  struct tree_page *page)
{
    size_t items_size = gathering->count * sizeof(struct tree_item);
    struct tree_item *items = malloc(items_size + gathering->text_size + 1);
    char *text;

    if (items == NULL)
        return JSFS_NO_MEMORY;
    text = (char *)items + items_size;
    for (size_t i = 0; i < gathering->count; i++)
        describe_item(&gathering->items[i], &items[i], &text);
    *page = (struct tree_page){items, gathering->count, gathering->end};
    return JSFS_OK;
}

enum jsfs_status tree_list(struct tree *tree, const char *path, uint64_t cookie,
                           size_t most, struct tree_page *page)
{
    SCOPED_LOCK(&tree->lock);
    CLEANUP(cleanup_free) struct gathered *items = NULL;
    struct gathering gathering = {NULL, 0, most, 0, false};
    struct node *node;
    bool value;
    enum jsfs_status status = node_locate(tree, path, &node, &value);

    if (status != JSFS_OK)
        return status;
    if (value || !node_is_directory(node))
        return is_fresh_file(node, node_age_limit(tree)) ? JSFS_NOT_DIRECTORY : JSFS_NOT_FOUND;
    items = calloc(most + 1, sizeof(*items));
    if (items == NULL)
        return JSFS_NO_MEMORY;
    gathering.items = items;
    gathering.end = gather_children(&gathering, node, cookie, node_age_limit(tree));
    return make_page(&gathering, page);
}

void tree_page_clear(struct tree_page *page)
{
    free(page->items);
    *page = (struct tree_page){NULL, 0, true};
}

/* Counts ------------------------------------------------------------------------------------ */

void tree_count(struct tree *tree, uint64_t *known, uint64_t *shown)
{
    SCOPED_LOCK(&tree->lock);

    *known = tree->known;
    *shown = tree->shown;
}

size_t tree_memory(struct tree *tree)
{
    SCOPED_LOCK(&tree->lock);
    return tree->memory;
}
