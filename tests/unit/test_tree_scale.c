/* SPDX-License-Identifier: Apache-2.0 */
/* test_tree_scale.c - large directories: stable pages, time and memory.
 * Test of core/tree.c and its parts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/clock.h"
#include "core/tree.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

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

static struct tree_change apply(struct tree *tree, const char *path,
                                enum store_state state, uint64_t sequence)
{
    struct store_entry entry = {.state = state,
                                .sequence = sequence,
                                .modified_ns = EPOCH_NS + (int64_t)sequence,
                                .size_bytes = state == STORE_LIVE ? sequence * 10 : 0};
    struct tree_change change;

    assert_int_equal(tree_apply(tree, path, &entry, false, &change), JSFS_OK);
    return change;
}

static struct tree_change put(struct tree *tree, const char *path, uint64_t sequence)
{
    return apply(tree, path, STORE_LIVE, sequence);
}

static void ignore_removed(void *arg, const char *path, uint64_t sequence,
                          int64_t modified_ns)
{
    (void)sequence;
    (void)modified_ns;
    (void)arg;
    (void)path;
}

/* Each item is removed once it was read, and some of them are swept. */
static void pages_are_stable_while_names_come_and_go(void **state)
{
    char path[32];
    uint64_t cookie = 0, sequence = 0;
    size_t seen = 0;
    struct tree_page page;

    for (int i = 0; i < 1000; i++) {
        snprintf(path, sizeof(path), "d/%04d", i);
        put(*state, path, ++sequence);
    }
    do {
        assert_int_equal(tree_list(*state, "d", cookie, 7, &page), JSFS_OK);
        for (size_t i = 0; i < page.count; i++) {
            snprintf(path, sizeof(path), "%04zu", seen++);
            assert_string_equal(page.items[i].name, path);
            cookie = page.items[i].cookie;
            snprintf(path, sizeof(path), "d/%s", page.items[i].name);
            apply(*state, path, STORE_DELETED, ++sequence);
        }
        tree_drop_below(*state, seen / 2, ignore_removed, NULL);
        tree_page_clear(&page);
    } while (seen < 900);
    put(*state, "d/0000", ++sequence);
    assert_int_equal(tree_list(*state, "d", cookie, 1000, &page), JSFS_OK);
    assert_true(page.end);
    assert_int_equal(page.count, 1000 - seen);
    tree_page_clear(&page);
}

static void dropping_most_names_of_a_directory_keeps_the_cookies_of_the_rest(void **state)
{
    char path[32];
    struct tree_page page;
    uint64_t cookie;

    for (int i = 1; i <= 1000; i++) {
        snprintf(path, sizeof(path), "%04d", i);
        put(*state, path, (uint64_t)i);
    }
    assert_int_equal(tree_list(*state, "", 0, 990, &page), JSFS_OK);
    assert_false(page.end);
    cookie = page.items[989].cookie;
    tree_page_clear(&page);
    tree_drop_below(*state, 981, ignore_removed, NULL);
    assert_int_equal(tree_list(*state, "", cookie, 100, &page), JSFS_OK);
    assert_int_equal(page.count, 10);
    assert_string_equal(page.items[0].name, "0991");
    tree_page_clear(&page);
}

static void a_directory_of_100000_names_is_paged_in_linear_time(void **state)
{
    char path[32];
    uint64_t cookie = 0;
    size_t seen = 0;
    struct tree_page page;
    clock_t start; /* of the processor: other programs do not count */

    for (uint64_t i = 1; i <= 100000; i++) {
        snprintf(path, sizeof(path), "key-%06d", (int)i);
        put(*state, path, i);
    }
    start = clock();
    do {
        assert_int_equal(tree_list(*state, "", cookie, 50, &page), JSFS_OK);
        seen += page.count;
        cookie = page.items[page.count - 1].cookie;
        tree_page_clear(&page);
    } while (!page.end || seen < 100000);
    assert_int_equal(seen, 100000);
    assert_true(clock() - start < 5 * CLOCKS_PER_SEC);
}

static void a_million_names_take_at_most_200_bytes_each(void **state)
{
    enum { NAMES = 1000000 };
    struct store_entry entry = {.size_bytes = 5};
    struct tree_change change;
    char path[40];
    size_t each;
    int64_t start = clock_monotonic_ms();

    for (int i = 0; i < NAMES; i++) {
        snprintf(path, sizeof(path), "users.%07d/profile", i);
        if (i % 4 != 0) /* most names are flat, some make a directory each */
            path[13] = '.';
        entry.sequence = (uint64_t)i + 1;
        tree_apply(*state, path, &entry, false, &change);
    }
    each = tree_memory(*state) / NAMES;
    print_message("one quarter in directories: %zu bytes a name, %d ns to apply one\n",
                  each, (int)((clock_monotonic_ms() - start) * 1000000 / NAMES));
    assert_true(each <= 300);
    drop_tree(state);
    make_tree(state);
    for (int i = 0; i < NAMES; i++) {
        snprintf(path, sizeof(path), "users.%07d.profile", i);
        entry.sequence = (uint64_t)i + 1;
        tree_apply(*state, path, &entry, false, &change);
    }
    each = tree_memory(*state) / NAMES;
    print_message("flat: %zu bytes a name\n", each);
    assert_true(each <= 200);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_tree, drop_tree)
    const struct CMUnitTest tests[] = {
        TEST(pages_are_stable_while_names_come_and_go),
        TEST(dropping_most_names_of_a_directory_keeps_the_cookies_of_the_rest),
        TEST(a_directory_of_100000_names_is_paged_in_linear_time),
        TEST(a_million_names_take_at_most_200_bytes_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
