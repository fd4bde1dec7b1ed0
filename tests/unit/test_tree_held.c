/* SPDX-License-Identifier: Apache-2.0 */
/* test_tree_held.c - which names the server holds messages of, as directories.
 * Test of core/tree_held.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/clock.h"
#include "core/tree_held.h"
#include <stdio.h>
#include <string.h>

static int make_tree(void **state)
{
    *state = tree_new(0);
    return *state == NULL;
}

static int drop_tree(void **state)
{
    tree_free(*state);
    return 0;
}

static void apply_at(struct tree *tree, const char *path, enum store_state state,
                     uint64_t sequence, int64_t modified_ns)
{
    struct store_entry entry = {
        .state = state, .sequence = sequence, .modified_ns = modified_ns};
    struct tree_change change;

    assert_int_equal(tree_apply(tree, path, &entry, false, &change), JSFS_OK);
}

static void put(struct tree *tree, const char *path, uint64_t sequence)
{
    apply_at(tree, path, STORE_LIVE, sequence, (int64_t)sequence);
}

static void mark(struct tree *tree, const char *path, uint64_t sequence)
{
    apply_at(tree, path, STORE_DELETED, sequence, (int64_t)sequence);
}

static void nothing(void *arg, const char *path, uint64_t sequence, int64_t modified_ns)
{
    (void)sequence;
    (void)modified_ns;
    (void)arg;
    (void)path;
}

/* The names of a directory, joined by blanks, with '/' behind directories; in pages of most. */
static const char *names_of(struct tree *tree, const char *path, enum tree_scope scope,
                            size_t most)
{
    static char names[512];
    uint64_t cookie = 0;
    bool end = false;

    names[0] = '\0';
    while (!end) {
        struct tree_page page;

        assert_int_equal(tree_held_list(tree, path, scope, &cookie, most, &page),
                         JSFS_OK);
        assert_true(page.count <= most);
        for (size_t i = 0; i < page.count; i++) {
            strcat(names, names[0] != '\0' ? " " : "");
            strcat(names, page.items[i].name);
            strcat(names, page.items[i].attr.type == TREE_DIRECTORY ? "/" : "");
        }
        end = page.end;
        tree_page_clear(&page);
    }
    return names;
}

static enum jsfs_status look(struct tree *tree, const char *path, enum tree_scope scope)
{
    struct tree_held held;

    return tree_held_lookup(tree, path, scope, &held);
}

static void an_empty_tree_holds_its_top_only(void **state)
{
    assert_int_equal(look(*state, "", TREE_HELD), JSFS_OK);
    assert_int_equal(look(*state, "", TREE_DELETED), JSFS_OK);
    assert_int_equal(look(*state, "a", TREE_HELD), JSFS_NOT_FOUND);
    assert_string_equal(names_of(*state, "", TREE_HELD, 10), "");
}

static void live_and_deleted_names_are_held(void **state)
{
    struct tree_held held;

    put(*state, "live", 1);
    put(*state, "gone", 2);
    mark(*state, "gone", 3);
    assert_string_equal(names_of(*state, "", TREE_HELD, 10), "live/ gone/");
    assert_string_equal(names_of(*state, "", TREE_DELETED, 10), "gone");
    assert_int_equal(tree_held_lookup(*state, "gone", TREE_HELD, &held), JSFS_OK);
    assert_true(held.name && !held.directory);
    assert_int_equal(held.sequence, 3);
    assert_int_equal(held.modified_ns, 3);
    assert_int_equal(look(*state, "live", TREE_DELETED), JSFS_NOT_FOUND);
}

static void directories_are_those_of_held_names(void **state)
{
    struct tree_held held;

    mark(*state, "app/old", 1);
    put(*state, "app/new", 2);
    put(*state, "etc/new", 3);
    assert_string_equal(names_of(*state, "", TREE_HELD, 10), "app/ etc/");
    assert_string_equal(names_of(*state, "", TREE_DELETED, 10), "app/");
    assert_string_equal(names_of(*state, "app", TREE_DELETED, 10), "old");
    assert_int_equal(tree_held_lookup(*state, "app", TREE_DELETED, &held), JSFS_OK);
    assert_true(held.directory && !held.name);
    assert_int_equal(held.sequence, 0);
    assert_int_equal(look(*state, "etc", TREE_DELETED), JSFS_NOT_FOUND);
}

static void a_deleted_name_with_deleted_names_below_has_its_value_inside(void **state)
{
    struct tree_held held;

    mark(*state, "a", 1);
    assert_string_equal(names_of(*state, "", TREE_DELETED, 10), "a");
    mark(*state, "a/b", 2);
    assert_string_equal(names_of(*state, "", TREE_DELETED, 10), "a/");
    assert_string_equal(names_of(*state, "a", TREE_DELETED, 1), "@value b");
    assert_string_equal(names_of(*state, "a", TREE_HELD, 10), "b/");
    assert_int_equal(tree_held_lookup(*state, "a", TREE_DELETED, &held), JSFS_OK);
    assert_true(held.directory && held.name);
}

static void what_is_put_again_or_forgotten_is_not_deleted(void **state)
{
    mark(*state, "d/again", 1);
    mark(*state, "d/forgotten", 2);
    put(*state, "d/again", 3);
    assert_string_equal(names_of(*state, "d", TREE_DELETED, 10), "forgotten");
    assert_false(tree_forget(*state, "d/forgotten", 2, false));
    assert_int_equal(look(*state, "d", TREE_DELETED), JSFS_NOT_FOUND);
    assert_string_equal(names_of(*state, "d", TREE_HELD, 10), "again/");
    tree_list_begin(*state);
    tree_list_end(*state, nothing, NULL); /* doubted once, then dropped */
    tree_list_begin(*state);
    tree_list_end(*state, nothing, NULL);
    assert_int_equal(look(*state, "d", TREE_HELD), JSFS_NOT_FOUND);
    assert_string_equal(names_of(*state, "", TREE_HELD, 10), "");
}

static void what_only_this_mount_has_is_not_held(void **state)
{
    assert_int_equal(tree_make_directory(*state, "local"), JSFS_OK);
    assert_int_equal(tree_add_local(*state, "local/file"), JSFS_OK);
    assert_int_equal(look(*state, "local", TREE_HELD), JSFS_NOT_FOUND);
    assert_string_equal(names_of(*state, "", TREE_HELD, 10), "");
}

static void expired_names_are_not_held(void **state)
{
    struct tree *tree = tree_new(INT64_C(1000000000));
    int64_t now_ns = clock_realtime_ns();

    (void)state;
    apply_at(tree, "old", STORE_DELETED, 1, now_ns - INT64_C(5000000000));
    apply_at(tree, "new", STORE_DELETED, 2, now_ns + INT64_C(60000000000));
    assert_string_equal(names_of(tree, "", TREE_DELETED, 10), "new");
    assert_int_equal(look(tree, "old", TREE_HELD), JSFS_NOT_FOUND);
    tree_free(tree);
}

/* Its older revisions may be kept, so it is deleted, not unknown. */
static void a_name_whose_own_time_has_come_is_deleted(void **state)
{
    struct store_entry entry = {
        .state = STORE_LIVE, .sequence = 1, .modified_ns = 1, .expires_ns = 1000};
    struct tree_change change;

    assert_int_equal(tree_apply(*state, "d/k", &entry, false, &change), JSFS_OK);
    assert_int_equal(look(*state, "d", TREE_DELETED), JSFS_NOT_FOUND);
    tree_take_due(*state, 2000, false, nothing, NULL);
    assert_string_equal(names_of(*state, "d", TREE_DELETED, 10), "k");
    put(*state, "d/k", 2);
    assert_int_equal(look(*state, "d", TREE_DELETED), JSFS_NOT_FOUND);
    assert_string_equal(names_of(*state, "d", TREE_HELD, 10), "k/");
}

static void the_only_name_with_its_own_time_can_get_another(void **state)
{
    struct store_entry entry = {
        .state = STORE_LIVE, .sequence = 1, .modified_ns = 1, .expires_ns = 1000};
    struct tree_change change;

    assert_int_equal(tree_apply(*state, "k", &entry, false, &change), JSFS_OK);
    entry.sequence = 2;
    entry.expires_ns = 3000;
    assert_int_equal(tree_apply(*state, "k", &entry, false, &change), JSFS_OK);
    assert_int_equal(tree_take_due(*state, 2000, false, nothing, NULL), 3000);
}

/* A page looks at a bounded number of names, so it may be empty on the way to one. */
static void a_few_deleted_names_among_many_are_all_listed(void **state)
{
    uint64_t cookie = 0;
    size_t pages = 0, found = 0;
    bool end = false;

    for (unsigned i = 1; i <= 20000; i++) {
        char name[32];

        snprintf(name, sizeof(name), "k%u", i);
        if (i % 9999 == 0)
            mark(*state, name, i);
        else
            put(*state, name, i);
    }
    for (; !end; pages++) {
        struct tree_page page;

        assert_int_equal(tree_held_list(*state, "", TREE_DELETED, &cookie, 10, &page),
                         JSFS_OK);
        found += page.count;
        end = page.end;
        tree_page_clear(&page);
    }
    assert_int_equal(found, 2);
    assert_true(pages > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_empty_tree_holds_its_top_only, make_tree,
                                        drop_tree),
        cmocka_unit_test_setup_teardown(live_and_deleted_names_are_held, make_tree,
                                        drop_tree),
        cmocka_unit_test_setup_teardown(directories_are_those_of_held_names, make_tree,
                                        drop_tree),
        cmocka_unit_test_setup_teardown(
            a_deleted_name_with_deleted_names_below_has_its_value_inside, make_tree,
            drop_tree),
        cmocka_unit_test_setup_teardown(what_is_put_again_or_forgotten_is_not_deleted,
                                        make_tree, drop_tree),
        cmocka_unit_test_setup_teardown(what_only_this_mount_has_is_not_held, make_tree,
                                        drop_tree),
        cmocka_unit_test_setup_teardown(a_name_whose_own_time_has_come_is_deleted,
                                        make_tree, drop_tree),
        cmocka_unit_test_setup_teardown(the_only_name_with_its_own_time_can_get_another,
                                        make_tree, drop_tree),
        cmocka_unit_test(expired_names_are_not_held),
        cmocka_unit_test_setup_teardown(a_few_deleted_names_among_many_are_all_listed,
                                        make_tree, drop_tree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
