/* SPDX-License-Identifier: Apache-2.0 */
/* test_tree_timer.c - entries that expire at a time of their own, and those that a list outdates.
 * Test of core/tree_timer.c and of that part of core/tree_sweep.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/tree.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MANY 1000

/* What was taken: "path@sequence/due " each. */
struct taken {
    char text[4096];
    unsigned count;
    int64_t last_due;
};

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

static void apply(struct tree *tree, const char *path, uint64_t sequence, int64_t expires_ns)
{
    struct store_entry entry = {.state = STORE_LIVE,
                                .sequence = sequence,
                                .modified_ns = (int64_t)sequence,
                                .size_bytes = sequence * 10,
                                .expires_ns = expires_ns};
    struct tree_change change;

    assert_int_equal(tree_apply(tree, path, &entry, false, &change), JSFS_OK);
}

static void take(void *arg, const char *path, uint64_t sequence, int64_t due_ns)
{
    struct taken *taken = arg;
    size_t used = strlen(taken->text);

    taken->count++;
    assert_true(due_ns >= taken->last_due);
    taken->last_due = due_ns;
    snprintf(taken->text + used, sizeof(taken->text) - used, "%s@%d/%d ", path,
             (int)sequence, (int)due_ns);
}

static bool shows(struct tree *tree, const char *path)
{
    struct tree_attr attr;

    return tree_lookup(tree, path, &attr) == JSFS_OK;
}

static void what_is_due_goes_in_the_order_of_its_time(void **state)
{
    struct tree *tree = *state;
    struct taken taken = {.count = 0};

    apply(tree, "d/late", 1, 300);
    apply(tree, "soon", 2, 100);
    apply(tree, "stays", 3, 0);
    apply(tree, "next", 4, 200);
    assert_int_equal(tree_take_due(tree, 99, true, take, &taken), 100);
    assert_int_equal(taken.count, 0);
    assert_int_equal(tree_take_due(tree, 200, true, take, &taken), 300);
    assert_string_equal(taken.text, "soon@2/100 next@4/200 ");
    assert_true(shows(tree, "d"));
    assert_true(tree_take_due(tree, 300, true, take, &taken) == INT64_MAX);
    assert_false(shows(tree, "d"));
    assert_true(shows(tree, "stays"));
}

static void a_newer_message_without_a_time_stays(void **state)
{
    struct tree *tree = *state;
    struct taken taken = {.count = 0};
    struct tree_attr attr;

    apply(tree, "k", 1, 100);
    assert_int_equal(tree_lookup(tree, "k", &attr), JSFS_OK);
    assert_int_equal(attr.expires_ns, 100);
    assert_int_equal(attr.size_bytes, 10);
    apply(tree, "k", 2, 0);
    assert_true(tree_take_due(tree, 1000, true, take, &taken) == INT64_MAX);
    assert_int_equal(taken.count, 0);
    assert_int_equal(tree_lookup(tree, "k", &attr), JSFS_OK);
    assert_int_equal(attr.expires_ns, 0);
    assert_int_equal(attr.size_bytes, 20);
}

static void an_ended_name_can_be_told_again_when_it_was_forgotten(void **state)
{
    struct tree *tree = *state;
    struct taken taken = {.count = 0};
    bool live = true;

    apply(tree, "k", 5, 100);
    tree_take_due(tree, 100, false, take, &taken);
    assert_string_equal(taken.text, "k@5/100 ");
    assert_false(shows(tree, "k"));
    assert_int_equal(tree_sequence(tree, "k", &live), 5);
    assert_false(live);
    apply(tree, "k", 2, 0);
    assert_false(shows(tree, "k"));
    tree_forget(tree, "k", 5, false);
    apply(tree, "k", 2, 0);
    assert_true(shows(tree, "k"));
}

static void only_names_with_a_time_take_memory_for_it(void **state)
{
    struct tree *tree = *state;
    struct taken taken = {.count = 0};
    size_t before;
    char key[16];

    apply(tree, "first", 1, 0);
    before = tree_memory(tree);
    srand(1);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(key, sizeof(key), "k%u", i);
        apply(tree, key, i + 2, 1 + rand() % 500);
    }
    for (unsigned i = 0; i < MANY; i += 3) {
        snprintf(key, sizeof(key), "k%u", i);
        apply(tree, key, MANY + 2 + i, i % 2 == 0 ? 0 : 1 + rand() % 500);
    }
    assert_true(tree_take_due(tree, 500, true, take, &taken) == INT64_MAX);
    assert_int_equal(taken.count, MANY - (MANY + 5) / 6);
    tree_drop_below(tree, UINT64_MAX, take, &(struct taken){.count = 0});
    assert_true(tree_memory(tree) <= before + 65536); /* the table of names stays */
}

static void never_outlives_the_age_of_the_bucket(void **state)
{
    struct tree *tree = *state;
    struct taken taken = {.count = 0};

    tree_set_max_age(tree, 100);
    apply(tree, "never", 1, INT64_MAX);
    apply(tree, "old", 2, 0);
    assert_true(tree_expire(tree, 1000, take, &taken) == INT64_MAX);
    assert_string_equal(taken.text, "old@2/2 ");
    assert_true(shows(tree, "never"));
}

static void a_list_that_tells_only_older_ones_outdates_a_name(void **state)
{
    struct tree *tree = *state;
    struct taken taken = {.count = 0};

    apply(tree, "gone", 5, 0);
    apply(tree, "kept", 6, 0);
    apply(tree, "newest", 9, 0);
    tree_list_begin(tree);
    apply(tree, "gone", 2, 0);
    apply(tree, "kept", 3, 0);
    apply(tree, "kept", 6, 0);
    apply(tree, "other", 8, 0);
    apply(tree, "newest", 1, 0);
    tree_take_outdated(tree, take, &taken);
    assert_string_equal(taken.text, "gone@5/5 ");
    assert_int_equal(tree_list_end(tree, take, &taken), 1);
    assert_true(shows(tree, "kept"));
    assert_true(shows(tree, "newest"));
    assert_false(shows(tree, "gone"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_tree, drop_tree)
    const struct CMUnitTest tests[] = {
        TEST(what_is_due_goes_in_the_order_of_its_time),
        TEST(a_newer_message_without_a_time_stays),
        TEST(an_ended_name_can_be_told_again_when_it_was_forgotten),
        TEST(only_names_with_a_time_take_memory_for_it),
        TEST(never_outlives_the_age_of_the_bucket),
        TEST(a_list_that_tells_only_older_ones_outdates_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
