/* SPDX-License-Identifier: Apache-2.0 */
/* tree_hidden.c - names that the server holds and this mount does not show for a while.
 * Layer 4, a part of tree.h.
 */
#include "core/cleanup.h"
#include "core/name_codec.h"
#include "core/tree_node.h"
#include <string.h>

/* The node of the name a path leads to. */
static struct node *find_name(struct tree *tree, const char *path)
{
    const char *slash = strrchr(path, '/');
    CLEANUP(cleanup_free) char *above = NULL;

    if (slash == NULL || strcmp(slash + 1, NAME_CODEC_VALUE) != 0)
        return node_find_path(tree, path);
    above = strndup(path, (size_t)(slash - path));
    return above != NULL ? node_find_path(tree, above) : NULL;
}

bool tree_hide(struct tree *tree, const char *path, uint64_t sequence)
{
    SCOPED_LOCK(&tree->lock);
    struct node *node = find_name(tree, path);
    bool before;

    if (node == NULL || !node_is_live(node) || node->sequence != sequence)
        return false;
    if (node->hidden)
        return true;
    before = node_shows(node);
    if (!node_is_directory(node))
        node_keep_parent(node);
    node->hidden = true;
    tree->shown--;
    node_changed(node, before);
    return true;
}

void tree_unhide(struct tree *tree, const char *path)
{
    SCOPED_LOCK(&tree->lock);
    struct node *node = find_name(tree, path);
    bool before;

    if (node == NULL || !node->hidden)
        return;
    before = node_shows(node);
    node->hidden = false;
    node->local_file = false;
    tree->shown++;
    node_changed(node, before);
}
