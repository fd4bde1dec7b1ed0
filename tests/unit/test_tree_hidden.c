/* SPDX-License-Identifier: Apache-2.0 */
/* test_tree_hidden.c - names that the server holds and this mount does not show.
 * Test of core/tree_hidden.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/object_meta.h"
#include "core/tree.h"
#include <string.h>

#define EPOCH_NS INT64_C(1700000000000000000)

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

static struct tree_change apply(struct tree *tree, const char *path, enum store_state state,
                                uint64_t sequence)
{
    struct store_entry entry = {.state = state,
                                .sequence = sequence,
                                .modified_ns = EPOCH_NS + (int64_t)sequence,
                                .size_bytes = state == STORE_LIVE ? sequence * 10 : 0};
    struct tree_change change;

    assert_int_equal(tree_apply(tree, path, &entry, false, &change), JSFS_OK);
    return change;
}

static enum jsfs_status look(struct tree *tree, const char *path)
{
    struct tree_attr attr;
    enum jsfs_status status = tree_lookup(tree, path, &attr);

    if (status == JSFS_OK)
        object_meta_free(attr.meta);
    return status;
}

static size_t count_in(struct tree *tree, const char *path)
{
    struct tree_page page;
    size_t count;

    assert_int_equal(tree_list(tree, path, 0, 100, &page), JSFS_OK);
    count = page.count;
    tree_page_clear(&page);
    return count;
}

static void no_name(void *arg, const char *path, uint64_t sequence,
                          int64_t modified_ns)
{
    (void)sequence;
    (void)modified_ns;
    (void)arg;
    fail_msg("%s was said to vanish", path);
}

static void a_hidden_name_is_absent_and_its_directories_stay(void **state)
{
    uint64_t known, shown;
    bool live;

    apply(*state, "d/e/f", STORE_LIVE, 1);
    assert_true(tree_hide(*state, "d/e/f", 1));
    assert_true(tree_hide(*state, "d/e/f", 1));
    assert_int_equal(look(*state, "d/e/f"), JSFS_NOT_FOUND);
    assert_int_equal(count_in(*state, "d/e"), 0);
    assert_int_equal(look(*state, "d/e"), JSFS_OK);
    assert_int_equal(tree_sequence(*state, "d/e/f", &live), 1);
    assert_true(live);
    tree_count(*state, &known, &shown);
    assert_int_equal(known, 1);
    assert_int_equal(shown, 0);
}

static void only_the_version_that_is_there_can_be_hidden(void **state)
{
    apply(*state, "a", STORE_LIVE, 2);
    assert_false(tree_hide(*state, "a", 1));
    assert_false(tree_hide(*state, "b", 1));
    assert_int_equal(look(*state, "a"), JSFS_OK);
    apply(*state, "a", STORE_DELETED, 3);
    assert_false(tree_hide(*state, "a", 3));
    tree_unhide(*state, "a");
    assert_int_equal(look(*state, "a"), JSFS_NOT_FOUND);
}

static void a_newer_message_ends_it(void **state)
{
    struct tree_change change;

    apply(*state, "a", STORE_LIVE, 1);
    tree_hide(*state, "a", 1);
    change = apply(*state, "a", STORE_LIVE, 2);
    assert_true(change.shown);
    assert_int_equal(look(*state, "a"), JSFS_OK);
    tree_hide(*state, "a", 2);
    change = apply(*state, "a", STORE_DELETED, 3);
    assert_true(change.applied);
    assert_false(change.shown);
    apply(*state, "a", STORE_LIVE, 4);
    assert_int_equal(look(*state, "a"), JSFS_OK);
}

static void a_list_that_tells_the_same_version_does_not_end_it(void **state)
{
    apply(*state, "a", STORE_LIVE, 1);
    tree_hide(*state, "a", 1);
    tree_list_begin(*state);
    assert_false(apply(*state, "a", STORE_LIVE, 1).applied);
    tree_list_end(*state, no_name, NULL);
    assert_int_equal(look(*state, "a"), JSFS_NOT_FOUND);
    tree_unhide(*state, "a");
    assert_int_equal(look(*state, "a"), JSFS_OK);
}

static void what_vanishes_while_hidden_is_not_told(void **state)
{
    uint64_t known, shown;

    apply(*state, "a", STORE_LIVE, 1);
    tree_hide(*state, "a", 1);
    tree_drop_below(*state, 2, no_name, NULL);
    tree_unhide(*state, "a");
    assert_int_equal(look(*state, "a"), JSFS_NOT_FOUND);
    tree_count(*state, &known, &shown);
    assert_int_equal(known, 0);
    assert_int_equal(shown, 0);
}

static void a_local_file_takes_the_place_of_a_hidden_name(void **state)
{
    struct tree_attr attr;

    apply(*state, "d/a", STORE_LIVE, 1);
    tree_hide(*state, "d/a", 1);
    assert_int_equal(tree_add_local(*state, "d/a"), JSFS_OK);
    assert_int_equal(tree_lookup(*state, "d/a", &attr), JSFS_OK);
    assert_true(attr.local);
    assert_int_equal(attr.sequence, 0);
    assert_int_equal(attr.size_bytes, 0);
    assert_int_equal(count_in(*state, "d"), 1);

    tree_drop_local(*state, "d/a");
    assert_int_equal(look(*state, "d/a"), JSFS_NOT_FOUND);
    assert_int_equal(tree_add_local(*state, "d/a"), JSFS_OK);
    tree_unhide(*state, "d/a");
    assert_int_equal(tree_lookup(*state, "d/a", &attr), JSFS_OK);
    assert_false(attr.local);
    assert_int_equal(attr.sequence, 1);
}

static void a_hidden_link_leaves_nothing_of_its_meta(void **state)
{
    struct object_meta meta = {
        .name = (char *)"l", .link_bucket = (char *)"b", .link_name = (char *)"t"};
    struct store_entry entry = {
        .state = STORE_LIVE, .sequence = 1, .modified_ns = EPOCH_NS, .meta = &meta};
    struct tree_change change;
    struct tree_attr attr;

    assert_int_equal(tree_apply(*state, "l", &entry, false, &change), JSFS_OK);
    assert_true(tree_hide(*state, "l", 1));
    assert_int_equal(tree_add_local(*state, "l"), JSFS_OK);
    assert_int_equal(tree_lookup(*state, "l", &attr), JSFS_OK);
    assert_int_equal(attr.type, TREE_FILE);
    assert_null(attr.meta);
}

static void the_value_of_a_directory_can_be_hidden(void **state)
{
    apply(*state, "d", STORE_LIVE, 1);
    apply(*state, "d/a", STORE_LIVE, 2);
    assert_true(tree_hide(*state, "d/@value", 1));
    assert_int_equal(look(*state, "d/@value"), JSFS_NOT_FOUND);
    assert_int_equal(count_in(*state, "d"), 1);
    tree_unhide(*state, "d/@value");
    assert_int_equal(count_in(*state, "d"), 2);
}

static void a_directory_of_hidden_names_can_be_removed(void **state)
{
    apply(*state, "d/a", STORE_LIVE, 1);
    tree_hide(*state, "d/a", 1);
    assert_int_equal(tree_remove_directory(*state, "d"), JSFS_OK);
    assert_int_equal(look(*state, "d"), JSFS_NOT_FOUND);
    tree_unhide(*state, "d/a");
    assert_int_equal(look(*state, "d/a"), JSFS_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_tree, drop_tree)
    const struct CMUnitTest tests[] = {
        TEST(a_hidden_name_is_absent_and_its_directories_stay),
        TEST(only_the_version_that_is_there_can_be_hidden),
        TEST(a_newer_message_ends_it),
        TEST(a_list_that_tells_the_same_version_does_not_end_it),
        TEST(what_vanishes_while_hidden_is_not_told),
        TEST(a_local_file_takes_the_place_of_a_hidden_name),
        TEST(a_hidden_link_leaves_nothing_of_its_meta),
        TEST(the_value_of_a_directory_can_be_hidden),
        TEST(a_directory_of_hidden_names_can_be_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
