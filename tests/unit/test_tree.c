/* SPDX-License-Identifier: Apache-2.0 */
/* test_tree.c - names as directories: what shows, what a removal leaves, paging, memory.
 * Test of core/tree.c and its parts. A random test against a naive model is in test_tree_model.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/object_meta.h"
#include "core/tree.h"
#include <stdio.h>
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

static void remove_here(struct tree *tree, const char *path, uint64_t sequence)
{
    struct store_entry entry = {.state = STORE_DELETED, .sequence = sequence};
    struct tree_change change;

    assert_int_equal(tree_apply(tree, path, &entry, true, &change), JSFS_OK);
}

static enum jsfs_status look(struct tree *tree, const char *path)
{
    struct tree_attr attr;
    enum jsfs_status status = tree_lookup(tree, path, &attr);

    if (status == JSFS_OK)
        object_meta_free(attr.meta);
    return status;
}

static enum tree_type type_of(struct tree *tree, const char *path)
{
    struct tree_attr attr;

    assert_int_equal(tree_lookup(tree, path, &attr), JSFS_OK);
    object_meta_free(attr.meta);
    return attr.type;
}

/* The names of a directory, joined by blanks. */
static const char *names_of(struct tree *tree, const char *path)
{
    static char names[512];
    struct tree_page page;

    names[0] = '\0';
    assert_int_equal(tree_list(tree, path, 0, 100, &page), JSFS_OK);
    assert_true(page.end);
    for (size_t i = 0; i < page.count; i++) {
        if (i > 0)
            strcat(names, " ");
        strcat(names, page.items[i].name);
    }
    tree_page_clear(&page);
    return names;
}

/* Notes removed paths, joined by blanks. */
static char removed_paths[512];

static void note_removed(void *arg, const char *path, uint64_t sequence,
                          int64_t modified_ns)
{
    (void)sequence;
    (void)modified_ns;
    (void)arg;
    if (removed_paths[0] != '\0')
        strcat(removed_paths, " ");
    strcat(removed_paths, path);
}

static void an_empty_tree_shows_its_own_directory_only(void **state)
{
    assert_int_equal(type_of(*state, ""), TREE_DIRECTORY);
    assert_string_equal(names_of(*state, ""), "");
    assert_int_equal(look(*state, "a"), JSFS_NOT_FOUND);
    assert_int_equal(look(*state, "@value"), JSFS_NOT_FOUND);
}

static void a_name_shows_with_its_version_time_and_size(void **state)
{
    struct tree_attr attr;
    struct tree_change change = put(*state, "a", 7);

    assert_true(change.applied && change.shown);
    assert_int_equal(tree_lookup(*state, "a", &attr), JSFS_OK);
    assert_int_equal(attr.type, TREE_FILE);
    assert_int_equal(attr.sequence, 7);
    assert_int_equal(attr.modified_ns, EPOCH_NS + 7);
    assert_int_equal(attr.size_bytes, 70);
    assert_false(attr.corrupt || attr.local);
    assert_null(attr.meta);
}

static void names_with_slashes_imply_directories(void **state)
{
    put(*state, "x/y/z", 1);
    assert_int_equal(type_of(*state, "x"), TREE_DIRECTORY);
    assert_int_equal(type_of(*state, "x/y"), TREE_DIRECTORY);
    assert_int_equal(type_of(*state, "x/y/z"), TREE_FILE);
    assert_string_equal(names_of(*state, "x"), "y");
    assert_int_equal(look(*state, "x/y/z/more"), JSFS_NOT_DIRECTORY);
    assert_int_equal(look(*state, "x/q/z"), JSFS_NOT_FOUND);
}

static void implied_directories_vanish_with_their_last_name(void **state)
{
    put(*state, "x/y/z", 1);
    put(*state, "x/w", 2);
    apply(*state, "x/y/z", STORE_DELETED, 3);
    assert_int_equal(look(*state, "x/y"), JSFS_NOT_FOUND);
    assert_string_equal(names_of(*state, "x"), "w");
    apply(*state, "x/w", STORE_PURGED, 4);
    assert_int_equal(look(*state, "x"), JSFS_NOT_FOUND);
    assert_string_equal(names_of(*state, ""), "");
}

static void directories_stay_when_this_mount_removed_the_last_name(void **state)
{
    put(*state, "x/y/z", 1);
    remove_here(*state, "x/y/z", 2);
    assert_int_equal(type_of(*state, "x/y"), TREE_DIRECTORY);
    assert_int_equal(tree_remove_directory(*state, "x"), JSFS_NOT_EMPTY);
    assert_int_equal(tree_remove_directory(*state, "x/y"), JSFS_OK);
    assert_int_equal(type_of(*state, "x"), TREE_DIRECTORY);
    assert_int_equal(tree_remove_directory(*state, "x"), JSFS_OK);
    assert_int_equal(look(*state, "x"), JSFS_NOT_FOUND);
}

static void a_name_that_is_a_directory_too_shows_its_value_in_it(void **state)
{
    struct tree_attr attr;

    put(*state, "a", 1);
    assert_int_equal(look(*state, "a/@value"), JSFS_NOT_DIRECTORY);
    put(*state, "a/b", 2);
    assert_int_equal(type_of(*state, "a"), TREE_DIRECTORY);
    assert_string_equal(names_of(*state, "a"), "@value b");
    assert_int_equal(tree_lookup(*state, "a/@value", &attr), JSFS_OK);
    assert_int_equal(attr.sequence, 1);
    assert_int_equal(look(*state, "a/@value/x"), JSFS_NOT_DIRECTORY);
    apply(*state, "a/b", STORE_DELETED, 3);
    assert_int_equal(type_of(*state, "a"), TREE_FILE);
    put(*state, "a/b", 4);
    apply(*state, "a", STORE_DELETED, 5);
    assert_int_equal(look(*state, "a/@value"), JSFS_NOT_FOUND);
    assert_string_equal(names_of(*state, "a"), "b");
}

static void an_older_event_changes_nothing(void **state)
{
    struct tree_change change;

    put(*state, "a", 5);
    change = apply(*state, "a", STORE_DELETED, 4);
    assert_false(change.applied || change.shown);
    change = put(*state, "a", 5);
    assert_false(change.applied || change.shown);
    assert_int_equal(type_of(*state, "a"), TREE_FILE);
    apply(*state, "a", STORE_DELETED, 9);
    change = put(*state, "a", 8);
    assert_false(change.applied || change.shown);
    assert_int_equal(look(*state, "a"), JSFS_NOT_FOUND);
}

static void a_tombstone_of_an_unknown_name_shows_nothing(void **state)
{
    struct tree_change change = apply(*state, "x/a", STORE_DELETED, 4);
    uint64_t known, shown;

    assert_true(change.applied);
    assert_false(change.shown);
    assert_int_equal(look(*state, "x"), JSFS_NOT_FOUND);
    tree_count(*state, &known, &shown);
    assert_int_equal(known, 1);
    assert_int_equal(shown, 0);
}

static void a_meta_that_cannot_be_read_shows_as_corrupt(void **state)
{
    struct tree_attr attr;

    apply(*state, "a", STORE_CORRUPT, 1);
    assert_int_equal(tree_lookup(*state, "a", &attr), JSFS_OK);
    assert_int_equal(attr.type, TREE_FILE);
    assert_true(attr.corrupt);
}

static void an_objects_meta_comes_back_whole(void **state)
{
    struct object_meta meta = {
        .name = (char *)"d/a%b",
        .nuid = (char *)"NUID",
        .size_bytes = 300,
        .chunks = 3,
        .max_chunk_bytes = 128,
        .has_digest = true,
        .digest = {1, 2, 3},
        .extra = (char *)"{\"description\":\"d\"}"
    };
    struct store_entry entry = {.sequence = 4, .meta = &meta, .size_bytes = 300};
    CLEANUP(cleanup_object_meta) struct object_meta *got = NULL;
    struct tree_change change;
    struct tree_attr attr;

    assert_int_equal(tree_apply(*state, "d/a%25b", &entry, false, &change), JSFS_OK);
    assert_int_equal(tree_lookup(*state, "d/a%25b", &attr), JSFS_OK);
    got = attr.meta;
    assert_int_equal(attr.size_bytes, 300);
    assert_string_equal(got->name, "d/a%b");
    assert_string_equal(got->nuid, "NUID");
    assert_int_equal(got->size_bytes, 300);
    assert_int_equal(got->chunks, 3);
    assert_int_equal(got->max_chunk_bytes, 128);
    assert_true(got->has_digest);
    assert_memory_equal(got->digest, meta.digest, sizeof(meta.digest));
    assert_string_equal(got->extra, meta.extra);
    assert_null(got->link_bucket);
    assert_null(got->link_name);
}

static void a_link_shows_as_a_link_with_its_target(void **state)
{
    struct object_meta meta = {.name = (char *)"l",
                               .link_bucket = (char *)"other",
                               .link_name = (char *)"there"};
    struct store_entry entry = {.sequence = 4, .meta = &meta};
    CLEANUP(cleanup_object_meta) struct object_meta *got = NULL;
    struct tree_change change;
    struct tree_attr attr;

    assert_int_equal(tree_apply(*state, "l", &entry, false, &change), JSFS_OK);
    assert_int_equal(tree_lookup(*state, "l", &attr), JSFS_OK);
    got = attr.meta;
    assert_int_equal(attr.type, TREE_LINK);
    assert_string_equal(got->link_bucket, "other");
    assert_string_equal(got->link_name, "there");
    assert_null(got->nuid);
    assert_null(got->extra);
}

static void a_directory_has_the_time_of_the_newest_change_below(void **state)
{
    struct tree_attr attr;

    put(*state, "x/y/a", 5);
    put(*state, "x/b", 3);
    assert_int_equal(tree_lookup(*state, "x", &attr), JSFS_OK);
    assert_int_equal(attr.modified_ns, EPOCH_NS + 5);
    assert_int_equal(attr.sequence, 0);
    apply(*state, "x/b", STORE_DELETED, 9);
    assert_int_equal(tree_lookup(*state, "x", &attr), JSFS_OK);
    assert_int_equal(attr.modified_ns, EPOCH_NS + 9);
    assert_int_equal(tree_lookup(*state, "x/y", &attr), JSFS_OK);
    assert_int_equal(attr.modified_ns, EPOCH_NS + 5);
}

static void a_full_list_removes_what_it_does_not_tell(void **state)
{
    put(*state, "a", 1);
    put(*state, "x/b", 2);
    apply(*state, "x/t", STORE_DELETED, 3);
    put(*state, "c", 4);
    tree_list_begin(*state);
    put(*state, "a", 1);
    put(*state, "c", 5);
    removed_paths[0] = '\0';
    assert_int_equal(tree_list_end(*state, note_removed, NULL), 0);
    assert_string_equal(removed_paths, "x/b");
    assert_string_equal(names_of(*state, ""), "a c");
}

static void a_name_newer_than_the_whole_list_is_kept_once(void **state)
{
    put(*state, "a", 1);
    put(*state, "b", 9);
    for (int round = 0; round < 2; round++) {
        removed_paths[0] = '\0';
        tree_list_begin(*state);
        put(*state, "a", 1);
        assert_int_equal(tree_list_end(*state, note_removed, NULL), round == 0 ? 1 : 0);
        assert_string_equal(removed_paths, round == 0 ? "" : "b");
    }
}

static void names_below_the_first_sequence_are_dropped(void **state)
{
    put(*state, "a", 1);
    put(*state, "x/b", 5);
    put(*state, "c", 9);
    put(*state, "a", 7);
    apply(*state, "t", STORE_DELETED, 2);
    removed_paths[0] = '\0';
    tree_drop_below(*state, 7, note_removed, NULL);
    assert_string_equal(removed_paths, "x/b");
    assert_string_equal(names_of(*state, ""), "a c");
}

static void names_above_the_last_sequence_are_forgotten(void **state)
{
    put(*state, "a", 1);
    put(*state, "b", 5);
    put(*state, "c", 9);
    removed_paths[0] = '\0';
    tree_drop_above(*state, 5, note_removed, NULL);
    assert_string_equal(removed_paths, "c");
    assert_true(put(*state, "c", 6).applied);
}

static void old_names_do_not_show_and_expire(void **state)
{
    struct tree *tree = tree_new(INT64_C(3600) * 1000000000);
    int64_t now = clock_realtime_ns(), hour = INT64_C(3600) * 1000000000;
    struct store_entry old = {.sequence = 1, .modified_ns = now - 2 * hour};
    struct store_entry young = {.sequence = 2, .modified_ns = now - hour / 2};
    struct tree_change change;

    (void)state;
    assert_int_equal(tree_apply(tree, "x/old", &old, false, &change), JSFS_OK);
    assert_int_equal(tree_apply(tree, "x/young", &young, false, &change), JSFS_OK);
    assert_int_equal(look(tree, "x/old"), JSFS_NOT_FOUND);
    assert_string_equal(names_of(tree, "x"), "young");
    removed_paths[0] = '\0';
    assert_int_equal(tree_expire(tree, now, note_removed, NULL),
                     young.modified_ns + hour);
    assert_string_equal(removed_paths, "x/old");
    assert_int_equal(tree_expire(tree, now + hour, note_removed, NULL), INT64_MAX);
    assert_int_equal(look(tree, "x"), JSFS_NOT_FOUND);
    tree_free(tree);
}

static void local_directories_are_made_and_removed_one_by_one(void **state)
{
    put(*state, "file", 1);
    assert_int_equal(tree_make_directory(*state, "d"), JSFS_OK);
    assert_int_equal(tree_make_directory(*state, "d"), JSFS_EXISTS);
    assert_int_equal(tree_make_directory(*state, "d/e"), JSFS_OK);
    assert_int_equal(tree_make_directory(*state, "q/e"), JSFS_NOT_FOUND);
    assert_int_equal(tree_make_directory(*state, "file"), JSFS_EXISTS);
    assert_int_equal(tree_make_directory(*state, "file/e"), JSFS_NOT_DIRECTORY);
    assert_int_equal(tree_make_directory(*state, ""), JSFS_EXISTS);
    assert_int_equal(tree_remove_directory(*state, "d"), JSFS_NOT_EMPTY);
    assert_int_equal(tree_remove_directory(*state, "file"), JSFS_NOT_DIRECTORY);
    assert_int_equal(tree_remove_directory(*state, "d/e"), JSFS_OK);
    assert_int_equal(tree_remove_directory(*state, "d"), JSFS_OK);
    assert_int_equal(tree_remove_directory(*state, "d"), JSFS_NOT_FOUND);
    assert_int_equal(tree_remove_directory(*state, ""), JSFS_NOT_EMPTY);
}

static void a_local_directory_survives_names_that_come_and_go(void **state)
{
    assert_int_equal(tree_make_directory(*state, "d"), JSFS_OK);
    put(*state, "d/a", 1);
    assert_int_equal(tree_remove_directory(*state, "d"), JSFS_NOT_EMPTY);
    apply(*state, "d/a", STORE_DELETED, 2);
    assert_int_equal(type_of(*state, "d"), TREE_DIRECTORY);
    assert_int_equal(tree_remove_directory(*state, "d"), JSFS_OK);
}

static void a_pinned_directory_stays_and_is_local_afterwards(void **state)
{
    put(*state, "d/e/a", 1);
    assert_int_equal(tree_pin(*state, ""), JSFS_OK);
    assert_int_equal(tree_pin(*state, "q"), JSFS_NOT_FOUND);
    assert_int_equal(tree_pin(*state, "d/e/a"), JSFS_NOT_DIRECTORY);
    assert_int_equal(tree_pin(*state, "d/e"), JSFS_OK);
    assert_int_equal(tree_pin(*state, "d/e"), JSFS_OK);
    apply(*state, "d/e/a", STORE_DELETED, 2);
    tree_unpin(*state, "d/e");
    assert_int_equal(type_of(*state, "d/e"), TREE_DIRECTORY);
    assert_int_equal(tree_remove_directory(*state, "d/e"), JSFS_NOT_EMPTY);
    tree_unpin(*state, "d/e");
    tree_unpin(*state, "d/e");
    tree_unpin(*state, "");
    assert_int_equal(type_of(*state, "d/e"), TREE_DIRECTORY);
    assert_int_equal(tree_remove_directory(*state, "d/e"), JSFS_OK);
    assert_int_equal(tree_remove_directory(*state, "d"), JSFS_OK);
    assert_string_equal(names_of(*state, ""), "");
}

static void a_local_file_shows_until_it_is_dropped_or_committed(void **state)
{
    struct tree_attr attr;

    assert_int_equal(tree_add_local(*state, "q/f"), JSFS_NOT_FOUND);
    assert_int_equal(tree_add_local(*state, "f"), JSFS_OK);
    assert_int_equal(tree_add_local(*state, "f"), JSFS_EXISTS);
    assert_int_equal(tree_add_local(*state, "f/g"), JSFS_NOT_DIRECTORY);
    assert_int_equal(tree_lookup(*state, "f", &attr), JSFS_OK);
    assert_true(attr.local);
    assert_int_equal(attr.sequence, 0);
    put(*state, "f", 3);
    assert_int_equal(tree_lookup(*state, "f", &attr), JSFS_OK);
    assert_false(attr.local);
    tree_drop_local(*state, "f");
    assert_int_equal(look(*state, "f"), JSFS_OK);

    assert_int_equal(tree_make_directory(*state, "d"), JSFS_OK);
    assert_int_equal(tree_add_local(*state, "d"), JSFS_IS_DIRECTORY);
    assert_int_equal(tree_add_local(*state, "d/g"), JSFS_OK);
    assert_int_equal(tree_remove_directory(*state, "d"), JSFS_NOT_EMPTY);
    tree_drop_local(*state, "d/g");
    assert_int_equal(look(*state, "d/g"), JSFS_NOT_FOUND);
    assert_int_equal(tree_remove_directory(*state, "d"), JSFS_OK);
}

static void the_value_of_a_directory_can_be_local(void **state)
{
    put(*state, "d/a", 1);
    assert_int_equal(tree_add_local(*state, "d/@value"), JSFS_OK);
    assert_string_equal(names_of(*state, "d"), "@value a");
    tree_drop_local(*state, "d/@value");
    assert_string_equal(names_of(*state, "d"), "a");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_tree, drop_tree)
    const struct CMUnitTest tests[] = {
        TEST(an_empty_tree_shows_its_own_directory_only),
        TEST(a_name_shows_with_its_version_time_and_size),
        TEST(names_with_slashes_imply_directories),
        TEST(implied_directories_vanish_with_their_last_name),
        TEST(directories_stay_when_this_mount_removed_the_last_name),
        TEST(a_name_that_is_a_directory_too_shows_its_value_in_it),
        TEST(an_older_event_changes_nothing),
        TEST(a_tombstone_of_an_unknown_name_shows_nothing),
        TEST(a_meta_that_cannot_be_read_shows_as_corrupt),
        TEST(an_objects_meta_comes_back_whole),
        TEST(a_link_shows_as_a_link_with_its_target),
        TEST(a_directory_has_the_time_of_the_newest_change_below),
        TEST(a_full_list_removes_what_it_does_not_tell),
        TEST(a_name_newer_than_the_whole_list_is_kept_once),
        TEST(names_below_the_first_sequence_are_dropped),
        TEST(names_above_the_last_sequence_are_forgotten),
        TEST(old_names_do_not_show_and_expire),
        TEST(local_directories_are_made_and_removed_one_by_one),
        TEST(a_local_directory_survives_names_that_come_and_go),
        TEST(a_pinned_directory_stays_and_is_local_afterwards),
        TEST(a_local_file_shows_until_it_is_dropped_or_committed),
        TEST(the_value_of_a_directory_can_be_local),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
