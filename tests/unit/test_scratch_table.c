/* SPDX-License-Identifier: Apache-2.0 */
/* test_scratch_table.c - scratch files: their names, bytes, attributes and what they keep.
 * Test of fs/scratch_table.c and fs/scratch_file.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fs/scratch_table.h"
#include "tests/support/bucket_fixture.h"
#include "tests/support/failing_malloc.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT 1000 /* [bytes] of all files of a test's table */

static const struct special_ops ops = {.free = scratch_file_free};

struct world {
    struct fixture *fixture;
    struct scratch_table *table;
    struct tree *tree;
};

static int make_world(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    void *fixture;

    if (w == NULL || fixture_make_kv(&fixture) != 0)
        return -1;
    w->fixture = fixture;
    fixture_go_live(fixture);
    w->tree = bucket_tree(w->fixture->bucket);
    w->table = scratch_table_new(LIMIT);
    *state = w;
    return w->table == NULL;
}

static int drop_world(void **state)
{
    struct world *w = *state;
    void *fixture = w->fixture;

    scratch_table_free(w->table);
    free(w);
    return fixture_drop(&fixture);
}

static struct scratch_place at(struct world *w, const char *directory, const char *name)
{
    return (struct scratch_place){w->fixture->bucket, directory, name};
}

static enum jsfs_status make(struct world *w, const char *directory, const char *name,
                             const char *text, bool replace, struct scratch_file **out)
{
    struct scratch_place place = at(w, directory, name);
    struct bytes *bytes = bytes_copy(text, strlen(text));
    struct scratch_make made = {.ops = &ops,
                                .mode = S_IFREG | 0640,
                                .uid = 7,
                                .gid = 8,
                                .bytes = bytes,
                                .revision = 5,
                                .replace = replace,
                                .in_tree = true};
    enum jsfs_status status = scratch_table_make(w->table, &place, &made, out);

    bytes_unref(bytes);
    return status;
}

/* The only reference is the table's. */
static void make_text(struct world *w, const char *directory, const char *name,
                      const char *text)
{
    struct scratch_file *file;

    assert_int_equal(make(w, directory, name, text, false, &file), JSFS_OK);
    special_unref(&file->special);
}

static const char *text_of(struct scratch_file *file)
{
    static char text[LIMIT + 1];

    text[scratch_file_read(file, 0, LIMIT, text)] = '\0';
    return text;
}

static const char *text_at(struct world *w, const char *directory, const char *name)
{
    struct scratch_place place = at(w, directory, name);
    struct scratch_file *file = scratch_table_find(w->table, &place);

    if (file == NULL)
        return NULL;
    const char *text = text_of(file);
    special_unref(&file->special);
    return text;
}

static enum jsfs_status rename_at(struct world *w, const char *from, const char *directory,
                                  const char *name, enum scratch_rename how)
{
    struct scratch_place place = at(w, "", from), to = at(w, directory, name);
    struct scratch_file *file = scratch_table_find(w->table, &place);

    assert_non_null(file);
    enum jsfs_status status = scratch_table_rename(file, &to, true, how);
    special_unref(&file->special);
    return status;
}

static void a_file_has_the_name_bytes_and_attributes_it_was_made_with(void **state)
{
    struct world *w = *state;
    struct scratch_file *file;
    struct stat attr = {.st_size = 0};
    uint64_t revision;

    assert_false(scratch_table_in_use(w->table));
    assert_int_equal(make(w, "", "a~", "hello", false, &file), JSFS_OK);
    assert_true(scratch_table_in_use(w->table));
    assert_string_equal(text_at(w, "", "a~"), "hello");
    assert_null(text_at(w, "d", "a~"));
    scratch_file_stat(file, &attr);
    assert_int_equal(attr.st_mode, S_IFREG | 0640);
    assert_int_equal(attr.st_uid, 7);
    assert_int_equal(attr.st_gid, 8);
    assert_int_equal(attr.st_size, 5);
    assert_int_equal(attr.st_nlink, 1);
    struct bytes *bytes = scratch_file_bytes(file, &revision);
    assert_int_equal(bytes->size, 5);
    assert_int_equal(revision, 5);
    bytes_unref(bytes);
    special_unref(&file->special);
}

static void a_name_is_given_once_unless_it_is_to_be_replaced(void **state)
{
    struct world *w = *state;
    struct scratch_file *first, *second, *none;
    struct stat attr = {.st_size = 0};

    assert_int_equal(make(w, "", "a~", "first", false, &first), JSFS_OK);
    assert_int_equal(make(w, "", "a~", "other", false, &none), JSFS_EXISTS);
    assert_int_equal(make(w, "", "a~", "second", true, &second), JSFS_OK);
    assert_string_equal(text_at(w, "", "a~"), "second");
    assert_string_equal(text_of(first), "first");
    scratch_file_stat(first, &attr);
    assert_int_equal(attr.st_nlink, 0);
    assert_true(first->special.number != second->special.number);
    special_unref(&first->special);
    special_unref(&second->special);
}

static void an_unlinked_file_lives_while_somebody_has_it(void **state)
{
    struct world *w = *state;
    struct scratch_file *file;

    assert_int_equal(make(w, "", "a~", "hello", false, &file), JSFS_OK);
    assert_true(scratch_table_unlink(file));
    assert_false(scratch_table_unlink(file));
    assert_null(text_at(w, "", "a~"));
    assert_int_equal(scratch_file_write(file, 5, "!", 1, false), JSFS_OK);
    assert_string_equal(text_of(file), "hello!");
    assert_false(scratch_table_in_use(w->table));
    special_unref(&file->special);
}

static void files_are_renamed_kept_and_exchanged(void **state)
{
    struct world *w = *state;

    fake_store_put(w->fixture->fake, "d/key", "");
    make_text(w, "", "a~", "a");
    make_text(w, "", "b~", "b");
    assert_int_equal(rename_at(w, "a~", "", "b~", SCRATCH_KEEP), JSFS_EXISTS);
    assert_int_equal(rename_at(w, "a~", "", "c~", SCRATCH_EXCHANGE), JSFS_NOT_FOUND);
    assert_int_equal(rename_at(w, "a~", "", "b~", SCRATCH_EXCHANGE), JSFS_OK);
    assert_string_equal(text_at(w, "", "a~"), "b");
    assert_string_equal(text_at(w, "", "b~"), "a");
    assert_int_equal(rename_at(w, "a~", "", "a~", SCRATCH_REPLACE), JSFS_OK);
    assert_int_equal(rename_at(w, "a~", "", "b~", SCRATCH_REPLACE), JSFS_OK);
    assert_null(text_at(w, "", "a~"));
    assert_string_equal(text_at(w, "", "b~"), "b");
    assert_int_equal(rename_at(w, "b~", "nowhere", "b~", SCRATCH_REPLACE), JSFS_NOT_FOUND);
    assert_int_equal(rename_at(w, "b~", "d", "b~", SCRATCH_KEEP), JSFS_OK);
    assert_string_equal(text_at(w, "d", "b~"), "b");
}

static void all_files_together_have_a_limit(void **state)
{
    struct world *w = *state;
    struct scratch_file *one, *two, *none;
    char bytes[LIMIT] = "";

    assert_int_equal(make(w, "", "a~", "", false, &one), JSFS_OK);
    assert_int_equal(make(w, "", "b~", "0123456789", false, &two), JSFS_OK);
    assert_int_equal(scratch_file_write(one, 0, bytes, LIMIT - 10, false), JSFS_OK);
    assert_int_equal(scratch_file_write(two, 9, "9x", 2, false), JSFS_NO_SPACE);
    assert_int_equal(scratch_file_write(two, 9, "9", 1, false), JSFS_OK);
    assert_int_equal(scratch_file_resize(two, 11), JSFS_NO_SPACE);
    assert_int_equal(scratch_file_write(two, UINT64_MAX - 1, "99", 2, false), JSFS_NO_SPACE);
    assert_int_equal(make(w, "", "c~", "x", false, &none), JSFS_NO_SPACE);
    assert_string_equal(text_of(two), "0123456789");
    assert_int_equal(scratch_file_resize(one, 1), JSFS_OK);
    assert_int_equal(scratch_file_resize(two, 11), JSFS_OK);
    scratch_table_unlink(one);
    special_unref(&one->special);
    assert_int_equal(scratch_file_resize(two, LIMIT), JSFS_OK);
    special_unref(&two->special);
}

static void changed_bytes_are_no_revisions_any_more(void **state)
{
    struct world *w = *state;
    struct scratch_file *file;
    uint64_t revision;

    assert_int_equal(make(w, "", "a~", "hello", false, &file), JSFS_OK);
    assert_int_equal(scratch_file_write(file, 0, "J", 1, false), JSFS_OK);
    assert_int_equal(scratch_file_write(file, 0, "!", 1, true), JSFS_OK);
    bytes_unref(scratch_file_bytes(file, &revision));
    assert_int_equal(revision, 0);
    assert_string_equal(text_of(file), "Jello!");
    special_unref(&file->special);
}

static void attributes_are_set_as_asked(void **state)
{
    struct world *w = *state;
    struct scratch_file *file;
    struct stat attr = {.st_mode = 0600, .st_uid = 1, .st_gid = 2, .st_mtim = {3, 4}};

    assert_int_equal(make(w, "", "a~", "", false, &file), JSFS_OK);
    scratch_file_set(file, &attr, FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_GID | FUSE_SET_ATTR_MTIME);
    memset(&attr, 0, sizeof(attr));
    scratch_file_stat(file, &attr);
    assert_int_equal(attr.st_mode, S_IFREG | 0600);
    assert_int_equal(attr.st_uid, 7);
    assert_int_equal(attr.st_gid, 2);
    assert_int_equal(attr.st_mtim.tv_sec, 3);
    assert_int_equal(attr.st_mtim.tv_nsec, 4);
    assert_true(attr.st_atim.tv_sec > 3);
    special_unref(&file->special);
}

struct names {
    char text[200];
    uint64_t last;
    unsigned most;
};

static bool add_name(void *arg, const char *name, mode_t type, uint64_t number, uint64_t cookie)
{
    struct names *names = arg;

    assert_int_equal(type, S_IFREG);
    assert_true(number != 0 && cookie > SCRATCH_COOKIE && cookie > names->last);
    if (names->most == 0)
        return false;
    names->most--;
    names->last = cookie;
    strcat(strcat(names->text, name), " ");
    return true;
}

static const char *list(struct world *w, struct names *names, unsigned most)
{
    names->most = most;
    names->text[0] = '\0';
    scratch_table_list(w->table, w->fixture->bucket, "", names->last, add_name, names);
    return names->text;
}

static void a_directory_is_listed_in_pages_while_files_come_and_go(void **state)
{
    struct world *w = *state;
    struct names names = {.last = 0};

    fake_store_put(w->fixture->fake, "d/key", "");
    make_text(w, "", "a~", "");
    make_text(w, "d", "b~", "");
    make_text(w, "", "c~", "");
    make_text(w, "", "d~", "");
    assert_string_equal(list(w, &names, 2), "a~ c~ ");
    make_text(w, "", "e~", "");
    assert_int_equal(rename_at(w, "d~", "", "f~", SCRATCH_KEEP), JSFS_OK);
    assert_string_equal(list(w, &names, 9), "e~ f~ ");
    assert_string_equal(list(w, &names, 9), "");
}

static void a_directory_stays_while_files_are_in_it(void **state)
{
    struct world *w = *state;
    struct tree_attr attr;
    struct scratch_file *none;

    fake_store_put(w->fixture->fake, "d/key", "");
    assert_int_equal(make(w, "nowhere", "a~", "", false, &none), JSFS_NOT_FOUND);
    make_text(w, "d", "a~", "");
    fake_store_mark(w->fixture->fake, "d/key", STORE_DELETED);
    assert_int_equal(tree_lookup(w->tree, "d/key", &attr), JSFS_NOT_FOUND);
    assert_int_equal(tree_lookup(w->tree, "d", &attr), JSFS_OK);
    assert_int_equal(tree_remove_directory(w->tree, "d"), JSFS_NOT_EMPTY);
    scratch_table_drop(w->table, w->fixture->bucket);
    assert_int_equal(tree_remove_directory(w->tree, "d"), JSFS_OK);
}

static void files_go_along_with_a_renamed_directory(void **state)
{
    struct world *w = *state;
    struct tree_attr attr;

    fake_store_put(w->fixture->fake, "d/e/key", "");
    fake_store_put(w->fixture->fake, "dx/key", "");
    make_text(w, "d", "a~", "a");
    make_text(w, "d/e", "b~", "b");
    make_text(w, "dx", "c~", "c");
    fake_store_put(w->fixture->fake, "n/e/key", "");
    scratch_table_release(w->table, w->fixture->bucket, "d");
    fake_store_mark(w->fixture->fake, "d/e/key", STORE_DELETED);
    assert_int_equal(tree_lookup(w->tree, "d/e", &attr), JSFS_NOT_FOUND);
    scratch_table_move(w->table, w->fixture->bucket, "d", "n");
    assert_string_equal(text_at(w, "n", "a~"), "a");
    assert_string_equal(text_at(w, "n/e", "b~"), "b");
    assert_string_equal(text_at(w, "dx", "c~"), "c");
    assert_null(text_at(w, "d", "a~"));
    assert_false(scratch_table_holds(w->table, w->fixture->bucket, "d"));
    assert_true(scratch_table_holds(w->table, w->fixture->bucket, "n"));
    assert_int_equal(tree_remove_directory(w->tree, "n"), JSFS_NOT_EMPTY);
}

static void a_bucket_is_known_by_its_files(void **state)
{
    struct world *w = *state;
    const char *name = bucket_name(w->fixture->bucket);

    assert_false(scratch_table_has(w->table, STORE_KV, name));
    make_text(w, "", "a~", "");
    assert_true(scratch_table_has(w->table, STORE_KV, name));
    assert_false(scratch_table_has(w->table, STORE_OBJECT, name));
    assert_false(scratch_table_has(w->table, STORE_KV, "another"));
    scratch_table_drop(w->table, w->fixture->bucket);
    assert_false(scratch_table_has(w->table, STORE_KV, name));
}

static void a_file_that_memory_does_not_allow_leaves_nothing(void **state)
{
    struct world *w = *state;
    struct scratch_place place = at(w, "", "a~");
    struct scratch_make made = {
        .ops = &ops, .mode = S_IFLNK | 0777, .target = "x", .in_tree = true};
    struct scratch_file *file;

    for (unsigned n = 1;; n++) {
        failing_malloc_start(n);
        enum jsfs_status status = scratch_table_make(w->table, &place, &made, &file);
        if (!failing_malloc_stop()) {
            assert_int_equal(status, JSFS_OK);
            break;
        }
        assert_int_equal(status, JSFS_NO_MEMORY);
        assert_false(scratch_table_in_use(w->table));
    }
    special_unref(&file->special);
}

int main(void)
{
#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, make_world, drop_world)
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_file_has_the_name_bytes_and_attributes_it_was_made_with),
        WORLD_TEST(a_name_is_given_once_unless_it_is_to_be_replaced),
        WORLD_TEST(an_unlinked_file_lives_while_somebody_has_it),
        WORLD_TEST(files_are_renamed_kept_and_exchanged),
        WORLD_TEST(all_files_together_have_a_limit),
        WORLD_TEST(changed_bytes_are_no_revisions_any_more),
        WORLD_TEST(attributes_are_set_as_asked),
        WORLD_TEST(a_directory_is_listed_in_pages_while_files_come_and_go),
        WORLD_TEST(a_directory_stays_while_files_are_in_it),
        WORLD_TEST(files_go_along_with_a_renamed_directory),
        WORLD_TEST(a_bucket_is_known_by_its_files),
        WORLD_TEST(a_file_that_memory_does_not_allow_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
