/* SPDX-License-Identifier: Apache-2.0 */
/* tree_timer.c - entries that expire at a time of their own: a heap of those, and only of those.
 * Layer 4, private to tree*.c.
 */
#include "core/tree_node.h"
#include <string.h>

static bool make_room(struct tree *tree)
{
    uint32_t capacity = tree->timer_capacity == 0 ? 16 : tree->timer_capacity * 2;
    struct timer **timers;

    if (tree->timer_count < tree->timer_capacity)
        return true;
    timers = capacity > tree->timer_capacity
                 ? node_allocate(tree, capacity * sizeof(struct timer *))
                 : NULL;
    if (timers == NULL)
        return false;
    if (tree->timer_count > 0)
        memcpy(timers, tree->timers, tree->timer_count * sizeof(struct timer *));
    node_release(tree, tree->timers);
    tree->timers = timers;
    tree->timer_capacity = capacity;
    return true;
}

struct timer *timer_new(struct tree *tree, const struct store_entry *entry)
{
    struct timer *timer = make_room(tree) ? node_allocate(tree, sizeof(*timer)) : NULL;

    tree->timer_made = timer != NULL;
    if (timer != NULL)
        *timer = (struct timer){entry->size_bytes, entry->expires_ns, NULL, 0};
    return timer;
}

static void put(struct tree *tree, uint32_t place, struct timer *timer)
{
    tree->timers[place] = timer;
    timer->place = place;
}

static void rise(struct tree *tree, uint32_t place, struct timer *timer)
{
    while (place > 0) {
        struct timer *above = tree->timers[(place - 1) / 2];

        if (above->expires_ns <= timer->expires_ns)
            break;
        put(tree, place, above);
        place = (place - 1) / 2;
    }
    put(tree, place, timer);
}

static void sink(struct tree *tree, uint32_t place, struct timer *timer)
{
    for (;;) {
        uint32_t child = 2 * place + 1;

        if (child >= tree->timer_count)
            break;
        if (child + 1 < tree->timer_count &&
            tree->timers[child + 1]->expires_ns < tree->timers[child]->expires_ns)
            child++;
        if (tree->timers[child]->expires_ns >= timer->expires_ns)
            break;
        put(tree, place, tree->timers[child]);
        place = child;
    }
    rise(tree, place, timer);
}

void timer_start(struct tree *tree, struct node *node, struct timer *timer)
{
    timer->node = node;
    node->timer = timer;
    node->has_timer = true;
    tree->timer_made = false;
    rise(tree, tree->timer_count++, timer);
}

/* Without timers the heap's room is given back. */
void timer_stop(struct tree *tree, struct node *node)
{
    struct timer *timer = node->timer;
    struct timer *last = tree->timers[--tree->timer_count];

    if (last != timer)
        sink(tree, timer->place, last);
    node->has_timer = false;
    node->size_bytes = 0;
    node_release(tree, timer);
    if (tree->timer_count > 0 || tree->timer_made)
        return;
    node_release(tree, tree->timers);
    tree->timers = NULL;
    tree->timer_capacity = 0;
}
