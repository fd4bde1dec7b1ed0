/* SPDX-License-Identifier: Apache-2.0 */
/* test_bucket_rename.c - renames of keys and directories, stopped and disturbed at every step.
 * Test of core/bucket_rename.c and its parts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/bucket_rename.h"
#include "tests/support/bucket_fixture.h"
#include <stdio.h>
#include <string.h>

static void start(struct fixture *f, const char *from, const char *to, unsigned flags,
                  struct answer *answer)
{
    answer_init(answer);
    bucket_rename(f->bucket, from, to, flags, take_status, answer);
}

static enum jsfs_status move(struct fixture *f, const char *from, const char *to,
                             unsigned flags)
{
    struct answer answer;

    start(f, from, to, flags, &answer);
    answer_wait(&answer);
    return answer.status;
}

/* "" when no value lives. */
static const char *value_of(struct fixture *f, const char *key)
{
    static char text[64];
    struct bytes *bytes = fake_store_value(f->fake, key);

    snprintf(text, sizeof(text), "%.*s", bytes != NULL ? (int)bytes->size : 0,
             bytes != NULL ? bytes->data : "");
    bytes_unref(bytes);
    return text;
}

static enum jsfs_status look(struct fixture *f, const char *path)
{
    return look_up(f, path)->status;
}

static void allow_batches(struct fixture *f)
{
    fake_store_info(f->fake)->allow_atomic = true;
}

/* Runs a check without and with batches. */
static void both_ways(void (*check)(struct fixture *f))
{
    for (int atomic = 0; atomic < 2; atomic++) {
        void *state;

        assert_int_equal(fixture_make_kv(&state), 0);
        fake_store_info(((struct fixture *)state)->fake)->allow_atomic = atomic != 0;
        check(state);
        assert_int_equal(fixture_drop(&state), 0);
    }
}

/* Files ------------------------------------------------------------------------------------- */

static void check_moved(struct fixture *f)
{
    fake_store_put(f->fake, "d/a", "v");
    fixture_go_live(f);
    assert_int_equal(move(f, "d/a", "b", 0), JSFS_OK);
    assert_string_equal(value_of(f, "b"), "v");
    assert_int_equal(fake_store_newest(f->fake, "d/a")->state, STORE_DELETED);
    assert_int_equal(look(f, "d/a"), JSFS_NOT_FOUND);
    assert_int_equal(look(f, "b"), JSFS_OK);
    assert_int_equal(look(f, "d"), JSFS_OK);
    assert_string_equal(f->told, "b@2 d/a@3 ");
    assert_true(f->last_token != 0);
}

static void a_key_gets_its_new_name_and_a_marker_under_the_old_one(void **state)
{
    (void)state;
    both_ways(check_moved);
}

static void check_replaced(struct fixture *f)
{
    fake_store_put(f->fake, "a", "new");
    fake_store_put(f->fake, "b", "old");
    fixture_go_live(f);
    assert_int_equal(move(f, "a", "b", BUCKET_RENAME_NOREPLACE), JSFS_EXISTS);
    assert_string_equal(value_of(f, "b"), "old");
    assert_int_equal(move(f, "a", "b", 0), JSFS_OK);
    assert_string_equal(value_of(f, "b"), "new");
    assert_string_equal(value_of(f, "a"), "");
    assert_int_equal(move(f, "b", "a", BUCKET_RENAME_NOREPLACE), JSFS_OK); /* over a marker */
    assert_string_equal(value_of(f, "a"), "new");
}

static void a_key_is_replaced_unless_the_caller_forbids_it(void **state)
{
    (void)state;
    both_ways(check_replaced);
}

static void put_target(void *arg)
{
    fake_store_put(((struct fixture *)arg)->fake, "b", "theirs");
}

static void check_created_meanwhile(struct fixture *f)
{
    fake_store_put(f->fake, "a", "v");
    fixture_go_live(f);
    fake_store_before(f->fake, FAKE_VALUE_GET, put_target, f);
    assert_int_equal(move(f, "a", "b", BUCKET_RENAME_NOREPLACE), JSFS_EXISTS);
    assert_string_equal(value_of(f, "b"), "theirs");
    assert_string_equal(value_of(f, "a"), "v");
}

static void a_target_made_by_another_client_meanwhile_is_not_replaced(void **state)
{
    (void)state;
    both_ways(check_created_meanwhile);
}

static void what_cannot_be_renamed_is_refused(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "a", "v");
    fake_store_put(f->fake, "d/x", "v");
    fixture_go_live(f);
    assert_int_equal(move(f, "none", "b", 0), JSFS_NOT_FOUND);
    assert_int_equal(move(f, "a", "d", 0), JSFS_IS_DIRECTORY);
    assert_int_equal(move(f, "d", "a", 0), JSFS_NOT_DIRECTORY);
    assert_int_equal(move(f, "a", "no space", 0), JSFS_BAD_NAME);
    assert_int_equal(move(f, "d", "no space", 0), JSFS_BAD_NAME);
    assert_int_equal(move(f, "d", "d/e", 0), JSFS_INVALID);
    assert_int_equal(move(f, "a", "a", 0), JSFS_OK);
    assert_int_equal(tree_add_local(bucket_tree(f->bucket), "local"), JSFS_OK);
    assert_int_equal(move(f, "local", "b", 0), JSFS_NOT_FOUND);
    assert_int_equal(fake_store_last_sequence(f->fake), 2);
}

static void change_source(void *arg)
{
    fake_store_put(((struct fixture *)arg)->fake, "a", "later");
}

static void check_changed(struct fixture *f, enum fake_op before)
{
    fake_store_put(f->fake, "a", "early");
    fixture_go_live(f);
    fake_store_before(f->fake, before, change_source, f);
    assert_int_equal(move(f, "a", "b", 0), JSFS_OK);
    assert_string_equal(value_of(f, "b"), "later");
    assert_string_equal(value_of(f, "a"), "");
}

static void a_source_that_changes_meanwhile_is_copied_again(void **state)
{
    static const enum fake_op steps[] = {FAKE_VALUE_PUT, FAKE_REMOVE, FAKE_BATCH};
    void *fixture;

    (void)state;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        assert_int_equal(fixture_make_kv(&fixture), 0);
        if (steps[i] == FAKE_BATCH)
            allow_batches(fixture);
        check_changed(fixture, steps[i]);
        assert_int_equal(fixture_drop(&fixture), 0);
    }
}

static void change_and_forget(void *arg)
{
    struct fixture *f = arg;

    fake_store_put(f->fake, "a", "later");
    fake_store_forget(f->fake, 1);
}

static void a_revision_that_is_not_kept_any_more_gives_way_to_the_newest(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "a", "early");
    fixture_go_live(f);
    fake_store_hold(f->fake, FAKE_EVENTS);
    fake_store_before(f->fake, FAKE_VALUE_GET, change_and_forget, f);
    struct answer answer;
    start(f, "a", "b", 0, &answer);
    answer_wait(&answer);
    assert_int_equal(answer.status, JSFS_OK);
    assert_string_equal(value_of(f, "b"), "later");
    fake_store_release(f->fake, FAKE_EVENTS);
}

static void remove_source(void *arg)
{
    fake_store_mark(((struct fixture *)arg)->fake, "a", STORE_DELETED);
}

static void a_source_that_is_removed_after_the_copy_was_renamed(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "a", "v");
    fixture_go_live(f);
    fake_store_before(f->fake, FAKE_REMOVE, remove_source, f);
    assert_int_equal(move(f, "a", "b", 0), JSFS_OK);
    assert_string_equal(value_of(f, "b"), "v");
    assert_string_equal(value_of(f, "a"), "");
}

static void a_source_that_is_removed_before_the_copy_is_not_found(void **state)
{
    struct fixture *f = *state;

    allow_batches(f);
    fake_store_put(f->fake, "a", "v");
    fixture_go_live(f);
    fake_store_before(f->fake, FAKE_BATCH, remove_source, f);
    assert_int_equal(move(f, "a", "b", 0), JSFS_NOT_FOUND);
    assert_string_equal(value_of(f, "b"), "");
}

/* Wherever it fails, and whether or not the failed step was done all the same, the value is under
 * one of the names, and the same call goes on. */
static void what_fails_at_any_step_leaves_the_value_and_can_be_repeated(void **state)
{
    static const enum fake_op steps[] = {FAKE_VALUE_GET, FAKE_VALUE_PUT, FAKE_REMOVE,
                                         FAKE_BATCH};
    void *fixture;

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(steps) / sizeof(steps[0]); i++) {
        enum fake_op step = steps[i / 2];

        assert_int_equal(fixture_make_kv(&fixture), 0);
        struct fixture *f = fixture;
        fake_store_info(f->fake)->allow_atomic = step == FAKE_BATCH;
        fake_store_put(f->fake, "a", "v");
        fixture_go_live(f);
        fake_store_fail(f->fake, step, 1, JSFS_TIMEOUT, i % 2 == 1);
        assert_int_equal(move(f, "a", "b", 0), JSFS_TIMEOUT);
        assert_true(strcmp(value_of(f, "a"), "v") == 0 || strcmp(value_of(f, "b"), "v") == 0);
        wait_until_quiet(f);
        if (look(f, "a") == JSFS_OK)
            assert_int_equal(move(f, "a", "b", 0), JSFS_OK);
        assert_string_equal(value_of(f, "b"), "v");
        assert_string_equal(value_of(f, "a"), "");
        assert_int_equal(fixture_drop(&fixture), 0);
    }
}

static void a_server_that_stores_the_first_message_of_a_batch_is_noticed(void **state)
{
    struct fixture *f = *state;

    allow_batches(f);
    fake_store_set_half_batches(f->fake, true);
    fake_store_put(f->fake, "a", "v");
    fixture_go_live(f);
    assert_int_equal(move(f, "a", "b", BUCKET_RENAME_NOREPLACE), JSFS_OK);
    assert_string_equal(value_of(f, "b"), "v");
    assert_string_equal(value_of(f, "a"), "");
    assert_int_equal(fake_store_revisions(f->fake, "b"), 1);
}

static void a_value_above_the_limit_stays(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "a", "a long value");
    fixture_go_live(f);
    fake_store_set_message_max(f->fake, 3);
    assert_int_equal(move(f, "a", "b", 0), JSFS_TOO_LARGE);
    allow_batches(f);
    assert_int_equal(move(f, "a", "b", 0), JSFS_TOO_LARGE);
    assert_string_equal(value_of(f, "a"), "a long value");
}

static void a_name_that_is_hidden_here_can_be_replaced(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "a", "v");
    fake_store_put(f->fake, "b", "hidden");
    fixture_go_live(f);
    assert_true(tree_hide(bucket_tree(f->bucket), "b", 2));
    assert_int_equal(move(f, "a", "b", BUCKET_RENAME_NOREPLACE), JSFS_OK);
    assert_string_equal(value_of(f, "b"), "v");
    assert_int_equal(look(f, "b"), JSFS_OK);
}

/* Exchange ---------------------------------------------------------------------------------- */

static void two_values_swap_in_one_batch(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "a", "1");
    fake_store_put(f->fake, "b", "2");
    fake_store_put(f->fake, "d/x", "3");
    fixture_go_live(f);
    assert_int_equal(move(f, "a", "b", BUCKET_RENAME_EXCHANGE), JSFS_INVALID);
    allow_batches(f);
    assert_int_equal(move(f, "a", "none", BUCKET_RENAME_EXCHANGE), JSFS_NOT_FOUND);
    assert_int_equal(move(f, "a", "d", BUCKET_RENAME_EXCHANGE), JSFS_INVALID);
    assert_int_equal(move(f, "d", "a", BUCKET_RENAME_EXCHANGE), JSFS_INVALID);
    fake_store_before(f->fake, FAKE_BATCH, change_source, f);
    assert_int_equal(move(f, "a", "b", BUCKET_RENAME_EXCHANGE), JSFS_OK);
    assert_string_equal(value_of(f, "a"), "2");
    assert_string_equal(value_of(f, "b"), "later");
    assert_int_equal(look_up(f, "b")->attr.sequence, 5);
    assert_int_equal(look_up(f, "a")->attr.sequence, 6);
}

static void an_exchange_that_is_half_stored_is_finished(void **state)
{
    struct fixture *f = *state;

    allow_batches(f);
    fake_store_set_half_batches(f->fake, true);
    fake_store_put(f->fake, "a", "1");
    fake_store_put(f->fake, "b", "2");
    fixture_go_live(f);
    assert_int_equal(move(f, "a", "b", BUCKET_RENAME_EXCHANGE), JSFS_OK);
    assert_string_equal(value_of(f, "a"), "2");
    assert_string_equal(value_of(f, "b"), "1");
}

static void write_first(void *arg)
{
    fake_store_put(((struct fixture *)arg)->fake, "a", "3");
}

static void an_exchange_that_is_half_stored_loses_no_other_clients_write(void **state)
{
    struct fixture *f = *state;

    allow_batches(f);
    fake_store_set_half_batches(f->fake, true);
    fake_store_put(f->fake, "a", "1");
    fake_store_put(f->fake, "b", "2");
    fixture_go_live(f);
    fake_store_before(f->fake, FAKE_VALUE_PUT, write_first, f);
    assert_int_equal(move(f, "a", "b", BUCKET_RENAME_EXCHANGE), JSFS_OK);
    assert_string_equal(value_of(f, "a"), "2");
    assert_string_equal(value_of(f, "b"), "3");
}

/* Directories ------------------------------------------------------------------------------- */

static void put_names(struct fixture *f, int count)
{
    char name[32];

    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "d/s%d/k%d", i % 3, i);
        fake_store_put(f->fake, name, name + 2);
    }
}

static void assert_names(struct fixture *f, const char *directory, int count)
{
    char name[64], text[32];

    for (int i = 0; i < count; i++) {
        snprintf(text, sizeof(text), "s%d/k%d", i % 3, i);
        snprintf(name, sizeof(name), "%s/%s", directory, text);
        assert_string_equal(value_of(f, name), text);
        assert_int_equal(look(f, name), JSFS_OK);
    }
}

static void check_directory(struct fixture *f)
{
    bool atomic = fake_store_info(f->fake)->allow_atomic;

    put_names(f, 300);
    fake_store_put(f->fake, "d", "the directory's own");
    fake_store_put(f->fake, "other", "v");
    fixture_go_live(f);
    assert_int_equal(tree_make_directory(bucket_tree(f->bucket), "d/empty"), JSFS_OK);
    assert_int_equal(move(f, "d", "e", 0), JSFS_OK);
    assert_names(f, "e", 300);
    assert_string_equal(value_of(f, "e"), "the directory's own");
    assert_string_equal(value_of(f, "d"), "");
    assert_int_equal(look(f, "d"), JSFS_NOT_FOUND);
    assert_int_equal(look_up(f, "e/empty")->attr.type, TREE_DIRECTORY);
    assert_int_equal(look(f, "other"), JSFS_OK);
    assert_int_equal(fake_store_calls(f->fake, FAKE_VALUE_PUT), atomic ? 0 : 301);
    if (atomic)
        assert_int_equal(fake_store_calls(f->fake, FAKE_BATCH), 1);
}

static void a_directory_takes_all_below_it_along(void **state)
{
    (void)state;
    both_ways(check_directory);
}

static void check_large_directory(struct fixture *f)
{
    put_names(f, 1500);
    fixture_go_live(f);
    assert_int_equal(move(f, "d", "e", 0), JSFS_OK);
    assert_names(f, "e", 1500);
    assert_int_equal(look(f, "d"), JSFS_NOT_FOUND);
}

static void a_large_directory_is_moved_piece_by_piece(void **state)
{
    (void)state;
    both_ways(check_large_directory);
}

static void an_empty_directory_moves_and_is_replaced(void **state)
{
    struct fixture *f = *state;
    struct tree *tree = bucket_tree(f->bucket);

    fake_store_put(f->fake, "x", "v");
    fixture_go_live(f);
    assert_int_equal(tree_make_directory(tree, "a"), JSFS_OK);
    assert_int_equal(tree_make_directory(tree, "a/b"), JSFS_OK);
    assert_int_equal(tree_make_directory(tree, "c"), JSFS_OK);
    assert_int_equal(move(f, "a", "c", BUCKET_RENAME_NOREPLACE), JSFS_EXISTS);
    assert_int_equal(move(f, "a", "c", 0), JSFS_OK);
    assert_int_equal(look(f, "a"), JSFS_NOT_FOUND);
    assert_int_equal(look(f, "c/b"), JSFS_OK);
}

static void a_directory_that_holds_other_names_is_not_replaced(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "d/a", "v");
    fake_store_put(f->fake, "e/b", "v");
    fixture_go_live(f);
    assert_int_equal(move(f, "d", "e", 0), JSFS_NOT_EMPTY);
    assert_int_equal(look(f, "d/a"), JSFS_OK);
    fake_store_put(f->fake, "g/a", "w");
    assert_int_equal(move(f, "d", "g", 0), JSFS_NOT_EMPTY);
    assert_string_equal(value_of(f, "g/a"), "w");
}

/* Each step fails once, somewhere in the middle. */
static void a_rename_of_a_directory_goes_on_where_it_stopped(void **state)
{
    static const enum fake_op steps[] = {FAKE_VALUE_PUT, FAKE_REMOVE, FAKE_VALUE_GET};
    void *fixture;

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(steps) / sizeof(steps[0]); i++) {
        assert_int_equal(fixture_make_kv(&fixture), 0);
        struct fixture *f = fixture;
        put_names(f, 700);
        fixture_go_live(f);
        struct answer answer;
        fake_store_hold(f->fake, steps[i / 2]);
        start(f, "d", "e", 0, &answer);
        for (int given = 0; given < 70;) {
            if (fake_store_release_one(f->fake, steps[i / 2]))
                given++;
            else
                nap_ms(1);
        }
        fake_store_fail(f->fake, steps[i / 2], 1, JSFS_NO_SPACE, i % 2 == 1);
        fake_store_release(f->fake, steps[i / 2]);
        answer_wait(&answer);
        assert_int_equal(answer.status, JSFS_NO_SPACE);
        assert_int_equal(look(f, "d"), JSFS_OK);
        assert_int_equal(move(f, "d", "e", 0), JSFS_OK);
        assert_names(f, "e", 700);
        assert_int_equal(look(f, "d"), JSFS_NOT_FOUND);
        assert_int_equal(fixture_drop(&fixture), 0);
    }
}

static void make_name(void *arg)
{
    fake_store_put(((struct fixture *)arg)->fake, "d/new", "v");
}

static void a_name_that_comes_meanwhile_is_moved_too(void **state)
{
    struct fixture *f = *state;

    allow_batches(f);
    fake_store_put(f->fake, "d/a", "v");
    fixture_go_live(f);
    fake_store_before(f->fake, FAKE_BATCH, make_name, f);
    assert_int_equal(move(f, "d", "e", 0), JSFS_OK);
    assert_string_equal(value_of(f, "e/new"), "v");
    assert_int_equal(look(f, "d"), JSFS_NOT_FOUND);
}

static void a_directory_with_a_file_that_is_being_written_is_busy(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "d/a", "v");
    fixture_go_live(f);
    assert_int_equal(tree_add_local(bucket_tree(f->bucket), "d/local"), JSFS_OK);
    assert_int_equal(move(f, "d", "e", 0), JSFS_BUSY);
    tree_drop_local(bucket_tree(f->bucket), "d/local");
    assert_int_equal(tree_pin(bucket_tree(f->bucket), "d"), JSFS_OK);
    assert_int_equal(move(f, "d", "e", 0), JSFS_BUSY);
    assert_string_equal(value_of(f, "d/a"), "v");
    tree_unpin(bucket_tree(f->bucket), "d");
    assert_int_equal(move(f, "d", "e", 0), JSFS_OK);
}

static void a_bucket_that_is_stopped_ends_a_rename(void **state)
{
    struct fixture *f = *state;
    struct answer answer;

    fake_store_put(f->fake, "a", "v");
    fixture_go_live(f);
    fake_store_hold(f->fake, FAKE_EVENTS);
    start(f, "a", "b", 0, &answer);
    while (fake_store_calls(f->fake, FAKE_REMOVE) == 0)
        nap_ms(1);
    bucket_stop(f->bucket);
    answer_wait(&answer);
    assert_int_equal(answer.count, 1);
    fake_store_release(f->fake, FAKE_EVENTS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_make_kv, fixture_drop)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_gets_its_new_name_and_a_marker_under_the_old_one),
        cmocka_unit_test(a_key_is_replaced_unless_the_caller_forbids_it),
        cmocka_unit_test(a_target_made_by_another_client_meanwhile_is_not_replaced),
        TEST(what_cannot_be_renamed_is_refused),
        cmocka_unit_test(a_source_that_changes_meanwhile_is_copied_again),
        TEST(a_revision_that_is_not_kept_any_more_gives_way_to_the_newest),
        TEST(a_source_that_is_removed_after_the_copy_was_renamed),
        TEST(a_source_that_is_removed_before_the_copy_is_not_found),
        cmocka_unit_test(what_fails_at_any_step_leaves_the_value_and_can_be_repeated),
        TEST(a_server_that_stores_the_first_message_of_a_batch_is_noticed),
        TEST(a_value_above_the_limit_stays),
        TEST(a_name_that_is_hidden_here_can_be_replaced),
        TEST(two_values_swap_in_one_batch),
        TEST(an_exchange_that_is_half_stored_is_finished),
        TEST(an_exchange_that_is_half_stored_loses_no_other_clients_write),
        cmocka_unit_test(a_directory_takes_all_below_it_along),
        cmocka_unit_test(a_large_directory_is_moved_piece_by_piece),
        TEST(an_empty_directory_moves_and_is_replaced),
        TEST(a_directory_that_holds_other_names_is_not_replaced),
        cmocka_unit_test(a_rename_of_a_directory_goes_on_where_it_stopped),
        TEST(a_name_that_comes_meanwhile_is_moved_too),
        TEST(a_directory_with_a_file_that_is_being_written_is_busy),
        TEST(a_bucket_that_is_stopped_ends_a_rename),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
