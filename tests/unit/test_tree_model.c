/* SPDX-License-Identifier: Apache-2.0 */
/* test_tree_model.c - a tree and a naive model get the same random operations and must agree.
 * Test of core/tree.c and its parts. The model is a table of all paths of three components
 * over three letters; what shows is computed from scratch each time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/tree.h"
#include <stdio.h>
#include <string.h>

#define PATHS 39 /* 3 + 9 + 27 */

struct name {
    char path[8];
    bool known, live, local, local_directory;
    bool told, doubted; /* of the list that is running; of the last one */
    uint64_t sequence;
};

struct model {
    struct name names[PATHS];
    uint64_t list_last, newest;
    struct tree *tree;
    uint64_t random;
};

static uint64_t draw(struct model *model, uint64_t below)
{
    model->random = model->random * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (model->random >> 33) % below;
}

static bool is_file(const struct name *name)
{
    return name->local || (name->known && name->live);
}

static bool is_directory(const struct model *model, const char *path)
{
    size_t size = strlen(path);

    for (int i = 0; i < PATHS; i++) {
        const struct name *name = &model->names[i];
        bool below = strncmp(name->path, path, size) == 0 && name->path[size] == '/';

        if (strcmp(name->path, path) == 0 && name->local_directory)
            return true;
        if (below && (is_file(name) || name->local_directory))
            return true;
    }
    return size == 0;
}

static struct name *find(struct model *model, const char *path)
{
    for (int i = 0; i < PATHS; i++) {
        if (strcmp(model->names[i].path, path) == 0)
            return &model->names[i];
    }
    return NULL;
}

/* The name whose path is all but the last component; NULL for the root. */
static struct name *parent_of(struct model *model, const struct name *name)
{
    char path[8];

    snprintf(path, sizeof(path), "%s", name->path);
    if (strrchr(path, '/') == NULL)
        return NULL;
    *strrchr(path, '/') = '\0';
    return find(model, path);
}

/* Leave the parent as a local directory when it has just stopped being one. */
static void keep_parent(struct model *model, const struct name *name, bool before)
{
    struct name *parent = parent_of(model, name);

    if (parent != NULL && before && !is_directory(model, parent->path))
        parent->local_directory = true;
}

static bool parent_is_directory(struct model *model, const struct name *name)
{
    struct name *parent = parent_of(model, name);

    return parent == NULL || is_directory(model, parent->path);
}

/* What a path that must have a parent directory gets instead. */
static enum jsfs_status parent_fault(struct model *model, const struct name *name)
{
    for (struct name *up = parent_of(model, name); up != NULL;
         up = parent_of(model, up)) {
        if (is_file(up) && !is_directory(model, up->path))
            return JSFS_NOT_DIRECTORY;
    }
    return JSFS_NOT_FOUND;
}

/* Operations ------------------------------------------------------------------------------- */

static void apply(struct model *model, struct name *name, bool live, uint64_t sequence,
                  bool keep)
{
    struct store_entry entry = {.state = live ? STORE_LIVE : STORE_DELETED,
                                .sequence = sequence};
    bool newer = !name->known || sequence > name->sequence;
    bool directory = parent_is_directory(model, name);
    bool file = is_file(name);
    struct tree_change change;

    assert_int_equal(tree_apply(model->tree, name->path, &entry, keep, &change), JSFS_OK);
    assert_int_equal(change.applied, newer);
    if (sequence > model->list_last)
        model->list_last = sequence;
    name->told = true;
    name->doubted = false;
    if (!newer)
        return;
    name->known = true;
    name->live = live;
    name->local = name->local && !live;
    name->sequence = sequence;
    if (keep && !live)
        keep_parent(model, name, directory);
    assert_int_equal(change.shown, live || file != is_file(name));
}

static void apply_any(struct model *model, struct name *name)
{
    uint64_t sequence =
        draw(model, 3) == 0 ? 1 + draw(model, model->newest + 1) : ++model->newest;

    for (int i = 0; i < PATHS; i++) {
        if (model->names[i].known && model->names[i].sequence == sequence)
            return; /* one sequence, one name */
    }
    if (sequence > model->newest)
        model->newest = sequence;
    apply(model, name, draw(model, 2) == 0, sequence, draw(model, 2) == 0);
}

static void count_removed(void *arg, const char *path, uint64_t sequence,
                          int64_t modified_ns)
{
    (void)sequence;
    (void)modified_ns;
    (void)path;
    ++*(int *)arg;
}

/* Forget a name as a sweep does; 1 when it was a live one. */
static int forget(struct name *name)
{
    int live = name->known && name->live;

    name->known = name->live = name->doubted = false;
    name->sequence = 0;
    return live;
}

static void list_some(struct model *model)
{
    int expected = 0, removed = 0;

    tree_list_begin(model->tree);
    model->list_last = 0;
    for (int i = 0; i < PATHS; i++)
        model->names[i].told = false;
    for (int i = 0; i < PATHS; i++) {
        struct name *name = &model->names[i];

        if (name->known && draw(model, 4) != 0)
            apply(model, name, name->live, name->sequence, false);
    }
    for (int i = 0; i < PATHS; i++) {
        struct name *name = &model->names[i];

        if (!name->known || name->told)
            continue;
        if (name->sequence > model->list_last && !name->doubted)
            name->doubted = true;
        else
            expected += forget(name);
    }
    tree_list_end(model->tree, count_removed, &removed);
    assert_int_equal(removed, expected);
}

static void drop_some(struct model *model, bool below)
{
    uint64_t bound = below ? draw(model, model->newest / 2 + 1)
                           : model->newest - draw(model, model->newest / 8 + 1);
    int expected = 0, removed = 0;

    for (int i = 0; i < PATHS; i++) {
        struct name *name = &model->names[i];

        if (name->known && (below ? name->sequence < bound : name->sequence > bound))
            expected += forget(name);
    }
    if (below)
        tree_drop_below(model->tree, bound, count_removed, &removed);
    else
        tree_drop_above(model->tree, bound, count_removed, &removed);
    assert_int_equal(removed, expected);
}

static void make_directory(struct model *model, struct name *name)
{
    enum jsfs_status expected = JSFS_OK;

    if (!parent_is_directory(model, name))
        expected = parent_fault(model, name);
    else if (is_file(name) || is_directory(model, name->path))
        expected = JSFS_EXISTS;
    assert_int_equal(tree_make_directory(model->tree, name->path), expected);
    if (expected == JSFS_OK)
        name->local_directory = true;
}

static bool has_children(struct model *model, struct name *name)
{
    bool local = name->local_directory, children;

    name->local_directory = false;
    children = is_directory(model, name->path);
    name->local_directory = local;
    return children;
}

static void remove_directory(struct model *model, struct name *name)
{
    enum jsfs_status expected = JSFS_OK;
    bool before = parent_is_directory(model, name);

    if (!before)
        expected = parent_fault(model, name);
    else if (!is_directory(model, name->path))
        expected = is_file(name) ? JSFS_NOT_DIRECTORY : JSFS_NOT_FOUND;
    else if (has_children(model, name) || is_file(name))
        expected = JSFS_NOT_EMPTY;
    assert_int_equal(tree_remove_directory(model->tree, name->path), expected);
    if (expected == JSFS_OK) {
        name->local_directory = false;
        keep_parent(model, name, before);
    }
}

static void add_local(struct model *model, struct name *name)
{
    enum jsfs_status expected = JSFS_OK;

    if (!parent_is_directory(model, name))
        expected = parent_fault(model, name);
    else if (is_directory(model, name->path))
        expected = JSFS_IS_DIRECTORY;
    else if (is_file(name))
        expected = JSFS_EXISTS;
    assert_int_equal(tree_add_local(model->tree, name->path), expected);
    if (expected == JSFS_OK)
        name->local = true;
}

static void drop_local(struct model *model, struct name *name)
{
    char path[16];

    snprintf(path, sizeof(path), "%s%s", name->path,
             is_directory(model, name->path) ? "/@value" : "");
    tree_drop_local(model->tree, path);
    if (parent_is_directory(model, name))
        name->local = false;
}

/* Agreement -------------------------------------------------------------------------------- */

static void compare_name(struct model *model, struct name *name)
{
    char value[16];
    struct tree_attr attr;
    bool directory = is_directory(model, name->path), file = is_file(name);
    enum jsfs_status status = tree_lookup(model->tree, name->path, &attr);

    if (!directory && !file) {
        assert_int_equal(status, parent_is_directory(model, name)
                                     ? JSFS_NOT_FOUND
                                     : parent_fault(model, name));
        return;
    }
    assert_int_equal(status, JSFS_OK);
    assert_int_equal(attr.type, directory ? TREE_DIRECTORY : TREE_FILE);
    snprintf(value, sizeof(value), "%s/@value", name->path);
    if (directory) {
        status = tree_lookup(model->tree, value, &attr);
        assert_int_equal(status, file ? JSFS_OK : JSFS_NOT_FOUND);
    }
    if (file) {
        assert_int_equal(attr.sequence, name->live ? name->sequence : 0);
        assert_int_equal(attr.local, name->local);
    }
}

/* All items of a directory by pages of two are those that the model shows in it. */
static void compare_listing(struct model *model, const char *path)
{
    struct name *own = find(model, path);
    struct tree_page page = {.end = false};
    uint64_t cookie = 0;
    size_t expected = own != NULL && is_file(own), seen = 0;

    for (int i = 0; i < PATHS; i++) {
        struct name *name = &model->names[i];
        struct name *parent = parent_of(model, name);
        bool inside = strcmp(parent == NULL ? "" : parent->path, path) == 0;

        expected += inside && (is_file(name) || is_directory(model, name->path));
    }
    while (!page.end) {
        assert_int_equal(tree_list(model->tree, path, cookie, 2, &page), JSFS_OK);
        for (size_t i = 0; i < page.count; i++, seen++) {
            char child[16];

            snprintf(child, sizeof(child), "%s%s%s", path, *path == '\0' ? "" : "/",
                     page.items[i].name);
            assert_true(page.items[i].cookie > cookie);
            cookie = page.items[i].cookie;
            if (page.items[i].attr.type == TREE_DIRECTORY)
                assert_true(is_directory(model, child));
            else if (strcmp(page.items[i].name, "@value") != 0)
                assert_true(is_file(find(model, child)));
        }
        bool end = page.end;
        tree_page_clear(&page);
        page.end = end;
    }
    assert_int_equal(seen, expected);
}

static void compare(struct model *model)
{
    uint64_t known = 0, shown = 0, tree_known, tree_shown;

    for (int i = 0; i < PATHS; i++) {
        struct name *name = &model->names[i];

        compare_name(model, name);
        if (is_directory(model, name->path))
            compare_listing(model, name->path);
        known += name->known;
        shown += name->known && name->live;
    }
    compare_listing(model, "");
    tree_count(model->tree, &tree_known, &tree_shown);
    assert_int_equal(tree_known, known);
    assert_int_equal(tree_shown, shown);
}

static void step(struct model *model)
{
    struct name *name = &model->names[draw(model, PATHS)];

    switch (draw(model, 16)) {
    case 0: list_some(model); break;
    case 1: drop_some(model, draw(model, 2) == 0); break;
    case 2:
    case 3: make_directory(model, name); break;
    case 4:
    case 5: remove_directory(model, name); break;
    case 6: add_local(model, name); break;
    case 7: drop_local(model, name); break;
    default: apply_any(model, name); break;
    }
}

static void make_names(struct model *model)
{
    int count = 0;

    for (char a = 'a'; a <= 'c'; a++) {
        snprintf(model->names[count++].path, 8, "%c", a);
        for (char b = 'a'; b <= 'c'; b++) {
            snprintf(model->names[count++].path, 8, "%c/%c", a, b);
            for (char c = 'a'; c <= 'c'; c++)
                snprintf(model->names[count++].path, 8, "%c/%c/%c", a, b, c);
        }
    }
}

static void a_tree_agrees_with_a_naive_one_after_any_operations(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct model model = {.tree = tree_new(0), .random = seed};

        make_names(&model);
        for (int i = 0; i < 300; i++) {
            step(&model);
            compare(&model);
        }
        tree_free(model.tree);
    }
}

static void a_tree_that_lost_all_its_names_takes_little_memory(void **state)
{
    struct model model = {.tree = tree_new(0), .random = 7};
    size_t before = tree_memory(model.tree);
    int removed = 0;

    (void)state;
    make_names(&model);
    for (int i = 0; i < 1000; i++)
        apply_any(&model, &model.names[draw(&model, PATHS)]);
    tree_drop_below(model.tree, UINT64_MAX, count_removed, &removed);
    for (int depth = 2; depth >= 0; depth--) {
        for (int i = 0; i < PATHS; i++)
            (void)tree_remove_directory(model.tree, model.names[i].path);
    }
    assert_true(tree_memory(model.tree) <= before + 2048);
    tree_free(model.tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_agrees_with_a_naive_one_after_any_operations),
        cmocka_unit_test(a_tree_that_lost_all_its_names_takes_little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
