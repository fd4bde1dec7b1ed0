/* SPDX-License-Identifier: Apache-2.0 */
/* tree_local.c - what only this mount has: directories without names, files to be committed.
 * Layer 4, a part of tree.h.
 */
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/name_codec.h"
#include "core/tree_node.h"
#include <string.h>

/* The directory that a path's last component is in.
 *   last   out: that component; size 0 when the path has none */
static enum jsfs_status locate_parent(struct tree *tree, const char *path,
                                      struct node **parent, struct component *last)
{
    const char *slash = strrchr(path, '/');
    CLEANUP(cleanup_free)
    char *above = strndup(path, slash == NULL ? 0 : (size_t)(slash - path));
    enum jsfs_status status;
    bool value;

    if (above == NULL)
        return JSFS_NO_MEMORY;
    last->text = slash == NULL ? path : slash + 1;
    last->size = strlen(last->text);
    status = node_locate(tree, above, parent, &value);
    if (status == JSFS_OK && (value || !node_is_directory(*parent)))
        status = node_is_file(*parent) ? JSFS_NOT_DIRECTORY : JSFS_NOT_FOUND;
    return status;
}

/* The child, made when it is not there. */
static struct node *reach_child(struct tree *tree, struct node *parent,
                                const struct component *name)
{
    struct node *node = node_find(tree, parent, name);

    return node != NULL ? node : node_add(tree, parent, name);
}

enum jsfs_status tree_make_directory(struct tree *tree, const char *path)
{
    SCOPED_LOCK(&tree->lock);
    struct component name;
    struct node *parent, *node;
    enum jsfs_status status = locate_parent(tree, path, &parent, &name);

    if (status != JSFS_OK)
        return status;
    if (name.size == 0)
        return JSFS_EXISTS;
    if (component_is_value(&name))
        return node_is_file(parent) ? JSFS_EXISTS : JSFS_NOT_FOUND;
    node = reach_child(tree, parent, &name);
    if (node == NULL)
        return JSFS_NO_MEMORY;
    if (node_shows(node))
        return JSFS_EXISTS;
    if (!node_make_directory(tree, node)) {
        node_prune(tree, node);
        return JSFS_NO_MEMORY;
    }
    node->local_directory = true;
    node_touch(node, clock_realtime_ns());
    node_changed(node, false);
    return JSFS_OK;
}

enum jsfs_status tree_remove_directory(struct tree *tree, const char *path)
{
    SCOPED_LOCK(&tree->lock);
    struct node *node, *parent;
    bool value;
    enum jsfs_status status = node_locate(tree, path, &node, &value);

    if (status != JSFS_OK)
        return status;
    if (value || !node_is_directory(node))
        return node_is_file(node) ? JSFS_NOT_DIRECTORY : JSFS_NOT_FOUND;
    if (node->directory->shown > 0 || node->directory->pinned > 0 || node_is_file(node) ||
        node->parent == NULL)
        return JSFS_NOT_EMPTY;
    parent = node->parent;
    node->local_directory = false;
    if (parent->parent != NULL && parent->directory->shown == 1)
        parent->local_directory = true; /* the user removes them one by one */
    node_touch(parent, clock_realtime_ns());
    node_changed(node, true);
    node_prune(tree, node);
    return JSFS_OK;
}

/* Show a file on a node. */
static enum jsfs_status show_local(struct node *node)
{
    bool before = node_shows(node);

    if (node_is_file(node))
        return JSFS_EXISTS;
    node->local_file = true;
    if (node->state == NODE_BARE)
        node->modified_ns = clock_realtime_ns();
    node_touch(node->parent, clock_realtime_ns());
    node_changed(node, before);
    return JSFS_OK;
}

enum jsfs_status tree_add_local(struct tree *tree, const char *path)
{
    SCOPED_LOCK(&tree->lock);
    struct component name;
    struct node *parent, *node;
    enum jsfs_status status = locate_parent(tree, path, &parent, &name);

    if (status != JSFS_OK)
        return status;
    if (name.size == 0)
        return JSFS_IS_DIRECTORY;
    if (component_is_value(&name))
        return parent->parent != NULL ? show_local(parent) : JSFS_NOT_FOUND;
    node = reach_child(tree, parent, &name);
    if (node == NULL)
        return JSFS_NO_MEMORY;
    return node_is_directory(node) ? JSFS_IS_DIRECTORY : show_local(node);
}

void tree_drop_local(struct tree *tree, const char *path)
{
    SCOPED_LOCK(&tree->lock);
    struct node *node;
    bool value, before;

    if (node_locate(tree, path, &node, &value) != JSFS_OK || !node->local_file)
        return;
    before = node_shows(node);
    node->local_file = false;
    node_changed(node, before);
    node_prune(tree, node);
}

enum jsfs_status tree_pin(struct tree *tree, const char *path)
{
    SCOPED_LOCK(&tree->lock);
    struct node *node;
    bool value;
    enum jsfs_status status = node_locate(tree, path, &node, &value);

    if (status != JSFS_OK)
        return status;
    if (value || !node_is_directory(node))
        return node_is_file(node) ? JSFS_NOT_DIRECTORY : JSFS_NOT_FOUND;
    if (!node_make_directory(tree, node)) /* the bucket's own may have none yet */
        return JSFS_NO_MEMORY;
    node->directory->pinned++;
    return JSFS_OK;
}

void tree_unpin(struct tree *tree, const char *path)
{
    SCOPED_LOCK(&tree->lock);
    struct node *node;
    bool value;

    if (node_locate(tree, path, &node, &value) != JSFS_OK || node->directory == NULL ||
        node->directory->pinned == 0)
        return;
    if (node->parent != NULL && node->directory->shown == 0)
        node->local_directory = true;
    node->directory->pinned--;
}

bool tree_is_pinned(struct tree *tree, const char *path)
{
    SCOPED_LOCK(&tree->lock);
    struct node *node;
    bool value;

    return node_locate(tree, path, &node, &value) == JSFS_OK && node->directory != NULL &&
           node->directory->pinned > 0;
}
