/* SPDX-License-Identifier: Apache-2.0 */
/* tree_node.h - the nodes a tree is made of: found by hash, listed by cookie, aged by sequence.
 * Layer 4, private to tree*.c. Nothing here locks: the tree's lock is held by the caller.
 *
 * A node is one path component. It may hold a name's newest message (its entry), be a directory
 * of other nodes, or both. A node with neither is freed by node_prune().
 */
#ifndef JSFS_CORE_TREE_NODE_H
#define JSFS_CORE_TREE_NODE_H

#include "core/object_meta.h"
#include "core/tree.h"
#include <pthread.h>
#include <stdatomic.h>

enum node_state {
    NODE_BARE, /* no entry: implied by what is below it, or local */
    NODE_LIVE,
    NODE_LINK,
    NODE_CORRUPT,
    NODE_TOMBSTONE
};

/* What is kept of an object's meta, in one allocation; the name is in the path. */
struct packed_meta;

/* A directory's children in the order of their cookies. Removed ones stay in it until they are
 * as many as the others, so that removing one does not move all that are behind it. */
struct directory {
    struct node **children;
    uint32_t count, capacity;
    uint32_t removed; /* of count, waiting to be freed */
    uint32_t shown;   /* children that show, as a file or as a directory */
    uint32_t held;    /* entries below, at any depth, tombstones too */
    uint32_t deleted; /* of held, tombstones */
    uint64_t next_cookie;
    uint32_t pinned; /* by tree_pin() */
    int64_t modified_ns; /* the newest change below */
};

/* An entry that expires at a time of its own; in the tree's heap. */
struct timer {
    uint64_t size_bytes;
    int64_t expires_ns; /* INT64_MAX: never, whatever the bucket's max_age is */
    struct node *node;
    uint32_t place;
};

struct node {
    struct node *parent;         /* NULL: the root */
    struct node *older, *newer;  /* entries by sequence; of an entry only */
    struct directory *directory; /* NULL: nothing was ever below it */
    union {
        uint64_t size_bytes;      /* of a KV value */
        struct packed_meta *meta; /* when has_meta */
        struct timer *timer;      /* when has_timer */
    };
    uint64_t sequence; /* of an entry only */
    int64_t modified_ns;
    uint64_t cookie;
    uint32_t hash;
    uint32_t generation; /* of the list that told it last */
    uint8_t state;       /* enum node_state */
    bool has_meta : 1;
    bool has_timer : 1;
    bool local_file : 1;
    bool local_directory : 1;
    bool doubted : 1; /* the last full list did not tell it */
    bool outdated : 1; /* an older message was told since it was confirmed */
    bool removed : 1; /* only its parent's children still know it */
    bool hidden : 1;  /* its entry does not show: tree_hide() */
    char name[];
};

struct tree {
    pthread_mutex_t lock;
    atomic_int_fast64_t max_age_ns;
    struct node *root;   /* lock, and all below */
    struct node **slots; /* open addressing, linear probing */
    size_t slot_count, node_count;
    uint64_t seed;
    struct node *oldest, *newest,
        *hint; /* entries by sequence; hint: where one went last */
    uint32_t generation;
    uint64_t list_last;    /* highest sequence applied since the list began */
    bool any_outdated;     /* some node is, maybe */
    uint64_t known, shown; /* names: entries; those that show as files */
    struct timer **timers; /* a heap: the first one expires first */
    uint32_t timer_count, timer_capacity;
    bool timer_made; /* by timer_new() and not started yet: its room stays */
    atomic_int_fast64_t clock_ahead_ns; /* of the server, to ours */
    size_t memory;                      /* [bytes] */
};

#define NODE_COOKIE_VALUE 1 /* "@value"; children follow */

/* One component of a path. */
struct component {
    const char *text;
    size_t size;
};

/* Take the first component off *path; false at its end. An empty one has size 0. */
bool component_next(const char **path, struct component *out);
bool component_is_value(const struct component *component);

/* malloc() and free() that keep tree->memory. */
void *node_allocate(struct tree *tree, size_t size);
void node_release(struct tree *tree, void *memory);

/* A child by name; NULL when there is none. */
struct node *node_find(struct tree *tree, const struct node *parent,
                       const struct component *name);

/* The node of a path, whether it shows or not; NULL when nothing is known of it. */
struct node *node_find_path(struct tree *tree, const char *path);

/* Give a node the room for children; false without memory. */
bool node_make_directory(struct tree *tree, struct node *node);

/* A node of no directory. NULL without memory. */
struct node *node_new(struct tree *tree, const struct component *name);

/* A new child, which is not there yet; NULL without memory. */
struct node *node_add(struct tree *tree, struct node *parent,
                      const struct component *name);

/* Free the node, and then its parents, as long as they hold nothing. */
void node_prune(struct tree *tree, struct node *node);

/* Free a node and all below it (tree_free). */
void node_free_all(struct tree *tree, struct node *node);

/* Put an entry where its sequence belongs. */
void node_link_entry(struct tree *tree, struct node *node);

/* Take the entry of a node out of every count; the node stays, bare. */
void node_clear_entry(struct tree *tree, struct node *node);

/* Make a live entry a tombstone, with its sequence. */
void node_bury(struct node *node);

/* The moment before which entries are too old to show; INT64_MIN: none is. */
int64_t node_age_limit(const struct tree *tree);

/* Index of the first child whose cookie is above `cookie`. */
uint32_t node_first_above(const struct directory *directory, uint64_t cookie);

static inline bool node_is_live(const struct node *node)
{
    return node->state != NODE_BARE && node->state != NODE_TOMBSTONE;
}

/* Its entry shows as a file or a link. */
static inline bool node_shows_entry(const struct node *node)
{
    return node_is_live(node) && !node->hidden;
}

static inline bool node_is_file(const struct node *node)
{
    return node->local_file || node_shows_entry(node);
}

static inline bool node_is_directory(const struct node *node)
{
    return node->parent == NULL || node->local_directory ||
           (node->directory != NULL &&
            (node->directory->shown > 0 || node->directory->pinned > 0));
}

static inline bool node_shows(const struct node *node)
{
    return !node->removed && (node_is_file(node) || node_is_directory(node));
}

/* Tell the parents that node_shows() was `before`. */
void node_changed(struct node *node, bool before);

/* The name of a node is about to vanish by this mount's doing: the directory that only it kept
 * stays as a local one. */
void node_keep_parent(struct node *node);

/* A change at this time [ns] below a directory: for it and all above it. */
void node_touch(struct node *directory, int64_t modified_ns);

/* tree_show.c: where a path leads. The node is NULL unless JSFS_OK.
 *   value   the path ends in "@value": the node's file is meant, which is also a directory
 *   JSFS_NOT_FOUND, JSFS_NOT_DIRECTORY: as tree_lookup() */
enum jsfs_status node_locate(struct tree *tree, const char *path, struct node **out,
                             bool *value);

/* tree_timer.c: a timer for an entry, with room for it in the heap; NULL without memory. */
struct timer *timer_new(struct tree *tree, const struct store_entry *entry);
/* Give it, or one that was not started, to a node that has none; take it away and free it. */
void timer_start(struct tree *tree, struct node *node, struct timer *timer);
void timer_stop(struct tree *tree, struct node *node);
/* When an entry expires by itself [ns]; 0: by max_age only. */
static inline int64_t node_expires_ns(const struct node *node)
{
    return node->has_timer ? node->timer->expires_ns : 0;
}

/* tree_meta.c: the compact form of a meta. NULL without memory. */
struct packed_meta *meta_pack(struct tree *tree, const struct object_meta *meta);
uint64_t meta_size(const struct packed_meta *packed);
/* The meta again; path is the name's. JSFS_NO_MEMORY. */
enum jsfs_status meta_unpack(const struct packed_meta *packed, const char *path,
                             struct object_meta **out);

#endif
