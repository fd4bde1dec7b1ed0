/* SPDX-License-Identifier: Apache-2.0 */
/* test_tree_memory.c - trees and buckets without memory: nothing changes, nothing is lost.
 * Test of core/tree.c, core/bucket.c and their parts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/bucket_fixture.h"
#include "tests/support/failing_malloc.h"
#include "core/object_meta.h"
#include "core/tree.h"

static struct object_meta meta = {.name = (char *)"a/b/c",
                                  .nuid = (char *)"NUID",
                                  .extra = (char *)"{}",
                                  .link_bucket = (char *)"l",
                                  .link_name = (char *)"n"};

static void a_tree_is_made_whole_or_not_at_all(void **state)
{
    struct tree *tree = NULL;

    (void)state;
    for (unsigned n = 1; tree == NULL; n++) {
        failing_malloc_start(n);
        tree = tree_new(0);
        assert_int_equal(failing_malloc_stop(), tree == NULL);
    }
    tree_free(tree);
}

/* Fails at each allocation in turn; the tree must be as before, memory included. */
static void a_failed_entry_changes_nothing(void **state)
{
    struct store_entry entry = {.sequence = 1, .meta = &meta};
    enum jsfs_status status = JSFS_NO_MEMORY;
    struct tree *tree = tree_new(0);
    struct tree_change change;
    struct tree_attr attr;
    uint64_t known, shown;
    unsigned n = 1;

    (void)state;
    for (; status != JSFS_OK; n++) {
        failing_malloc_start(n);
        status = tree_apply(tree, "a/b/c", &entry, false, &change);
        assert_int_equal(failing_malloc_stop(), status != JSFS_OK);
        if (status == JSFS_OK)
            break;
        assert_int_equal(status, JSFS_NO_MEMORY);
        assert_int_equal(tree_lookup(tree, "a", &attr), JSFS_NOT_FOUND);
        tree_count(tree, &known, &shown);
        assert_int_equal(known + shown, 0);
    }
    assert_true(n > 5);
    assert_true(change.applied && change.shown);
    tree_free(tree);
}

static void a_lookup_without_memory_gives_nothing_half(void **state)
{
    struct store_entry entry = {.sequence = 1, .meta = &meta};
    enum jsfs_status status = JSFS_NO_MEMORY;
    struct tree *tree = tree_new(0);
    struct tree_change change;
    struct tree_attr attr;

    (void)state;
    assert_int_equal(tree_apply(tree, "a/b/c", &entry, false, &change), JSFS_OK);
    for (unsigned n = 1; status != JSFS_OK; n++) {
        failing_malloc_start(n);
        status = tree_lookup(tree, "a/b/c", &attr);
        assert_int_equal(failing_malloc_stop(), status != JSFS_OK);
        assert_true(status == JSFS_OK || status == JSFS_NO_MEMORY);
    }
    assert_string_equal(attr.meta->link_name, "n");
    object_meta_free(attr.meta);
    tree_free(tree);
}

static void a_page_without_memory_is_no_page(void **state)
{
    struct store_entry entry = {.sequence = 1};
    enum jsfs_status status = JSFS_NO_MEMORY;
    struct tree *tree = tree_new(0);
    struct tree_change change;
    struct tree_page page;

    (void)state;
    assert_int_equal(tree_apply(tree, "a", &entry, false, &change), JSFS_OK);
    for (unsigned n = 1; status != JSFS_OK; n++) {
        failing_malloc_start(n);
        status = tree_list(tree, "", 0, 10, &page);
        assert_int_equal(failing_malloc_stop(), status != JSFS_OK);
    }
    assert_int_equal(page.count, 1);
    tree_page_clear(&page);
    tree_free(tree);
}

static void what_cannot_be_told_is_not_removed(void **state)
{
    struct store_entry entry = {.sequence = 1};
    struct tree *tree = tree_new(0);
    struct tree_change change;
    struct tree_attr attr;

    (void)state;
    assert_int_equal(tree_apply(tree, "a", &entry, false, &change), JSFS_OK);
    failing_malloc_start(1);
    tree_drop_below(tree, 10, NULL, NULL);
    assert_true(failing_malloc_stop());
    assert_int_equal(tree_lookup(tree, "a", &attr), JSFS_OK);
    tree_free(tree);
}

static void a_bucket_is_made_whole_or_leaves_the_store_alone(void **state)
{
    struct fixture *f = *state;
    struct fake_store *fake = fake_store_new(STORE_KV);
    struct bucket_options options = {.load_timeout_ms = 100};
    struct bucket_observer observer = {.arg = NULL};
    struct bucket *bucket = NULL;

    for (unsigned n = 1; bucket == NULL; n++) {
        failing_malloc_start(n);
        bucket = bucket_new(fake_store_get(fake), "b", fake_store_info(fake), f->executor,
                            &options, &observer);
        assert_int_equal(failing_malloc_stop(), bucket == NULL);
        assert_false(fake_store_is_closed(fake));
    }
    bucket_unref(bucket);
    executor_settle(f->executor);
    assert_true(fake_store_is_closed(fake));
    fake_store_free(fake);
}

/* The first allocations are the bucket's own; those behind are the fake's. */
static void questions_without_memory_are_answered_so(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "a/b", "1");
    fixture_go_live(f);
    fake_store_lost(f->fake);
    for (unsigned n = 2; n <= 5; n++) { /* the first is that of a check which may fail */
        struct answer lookup, written;

        answer_init(&lookup);
        answer_init(&written);
        failing_malloc_start(n);
        bucket_lookup(f->bucket, "a/b", take_lookup, &lookup);
        assert_true(failing_malloc_stop());
        assert_int_equal(lookup.status, JSFS_NO_MEMORY);
        assert_int_equal(lookup.count, 1);
        failing_malloc_start(n - 1);
        bucket_written(f->bucket, "a/b", 9, 0, take_lookup, &written);
        assert_true(failing_malloc_stop());
        assert_int_equal(written.status, JSFS_NO_MEMORY);
        assert_int_equal(written.count, 1);
    }
}

int main(void)
{
#define KV(name) cmocka_unit_test_setup_teardown(name, fixture_make_kv, fixture_drop)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_is_made_whole_or_not_at_all),
        cmocka_unit_test(a_failed_entry_changes_nothing),
        cmocka_unit_test(a_lookup_without_memory_gives_nothing_half),
        cmocka_unit_test(a_page_without_memory_is_no_page),
        cmocka_unit_test(what_cannot_be_told_is_not_removed),
        KV(a_bucket_is_made_whole_or_leaves_the_store_alone),
        KV(questions_without_memory_are_answered_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
