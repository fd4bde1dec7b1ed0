/* SPDX-License-Identifier: Apache-2.0 */
/* test_value_commit.c - what a commit asks the server to check, and how it fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tests/support/value_fixture.h"
#include <stdio.h>

/* What the server is asked to check ------------------------------------------------------------ */

static void an_edit_of_a_value_that_changed_elsewhere_is_a_conflict(void **state)
{
    struct fixture *f = *state;
    open_loaded(f);
    fake_store_put(f->fake, "key", "theirs");
    assert_int_equal(write_text(f, 0, "OLD"), JSFS_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(commit_now(f, false), JSFS_CONFLICT);
        assert_stored(f, "key", "theirs");
        assert_local(f, "OLD value");
        assert_true(stat_of(f).dirty);
    }
}

static void every_edit_that_keeps_bytes_is_checked(void **state)
{
    for (int i = 0; i < 4; i++) {
        struct fixture *f = *state;
        open_loaded(f);
        fake_store_put(f->fake, "key", "theirs");
        if (i == 0)
            value_file_truncate(f->file, 3, false);
        else if (i == 1)
            value_file_truncate(f->file, 100, false);
        else
            append_text(f, "more");
        if (i == 2)
            write_text(f, 2, "x"); /* an append, then an edit */
        else if (i == 3)
            value_file_truncate(f->file, 1, false);
        assert_int_equal(commit_now(f, false), JSFS_CONFLICT);
        assert_stored(f, "key", "theirs");
        teardown(state);
        setup(state);
    }
}

static void a_replacement_wins_over_what_came_between(void **state)
{
    struct fixture *f = *state;
    open_old(f);
    fake_store_put(f->fake, "key", "theirs");
    assert_int_equal(value_file_truncate(f->file, 0, true), JSFS_OK);
    assert_int_equal(write_text(f, 0, "mine"), JSFS_OK);
    assert_int_equal(append_text(f, " and more"), JSFS_OK);
    assert_int_equal(commit_now(f, false), JSFS_OK);
    assert_stored(f, "key", "mine and more");
}

/* What the rename does at the server is done by the test. */
static void what_is_written_after_a_rename_goes_to_the_new_name(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct fixture *f = *state;
        if (i == 0)
            open_loaded(f);
        else
            open_old(f);
        fake_store_put(f->fake, "new", "old value");
        fake_store_mark(f->fake, "key", STORE_DELETED);
        value_file_move(f->file, "new", "new", fake_store_newest(f->fake, "new")->sequence);
        assert_int_equal(load_now(f->file), JSFS_OK);
        write_text(f, 0, "OLD");
        assert_int_equal(commit_now(f, false), JSFS_OK);
        assert_stored(f, "new", "OLD value");
        assert_null(fake_store_value(f->fake, "key"));
        teardown(state);
        setup(state);
    }
}

static void a_value_that_was_removed_is_no_base_for_an_edit(void **state)
{
    struct fixture *f = *state;
    open_loaded(f);
    fake_store_mark(f->fake, "key", STORE_DELETED);
    write_text(f, 0, "OLD");
    assert_int_equal(commit_now(f, false), JSFS_CONFLICT);
    assert_null(fake_store_value(f->fake, "key"));
}

static void one_commit_after_another_is_based_on_the_first(void **state)
{
    struct fixture *f = *state;
    open_loaded(f);
    for (int i = 0; i < 3; i++) {
        char digit[2] = {(char)('0' + i), 0};
        assert_int_equal(write_text(f, 0, digit), JSFS_OK);
        assert_int_equal(commit_now(f, false), JSFS_OK);
    }
    assert_stored(f, "key", "2ld value");
    assert_int_equal(fake_store_revisions(f->fake, "key"), 4);
}

static void an_exclusive_creation_is_decided_by_the_server(void **state)
{
    struct fixture *f = *state;
    struct end end = END_INIT, again = END_INIT;

    open_new(f);
    value_file_create_exclusive(f->file, take, &end);
    assert_int_equal(wait_for(&end), JSFS_OK);
    assert_stored(f, "new", "");
    assert_false(stat_of(f).dirty);
    assert_int_equal(commit_now(f, true), JSFS_OK);
    assert_int_equal(fake_store_revisions(f->fake, "new"), 1);
    value_file_unref(f->file);

    open_new(f);
    value_file_create_exclusive(f->file, take, &again);
    assert_int_equal(wait_for(&again), JSFS_EXISTS);
    assert_int_equal(commit_now(f, true), JSFS_OK); /* and nothing is overwritten later */
    assert_int_equal(fake_store_revisions(f->fake, "new"), 1);
}

static void a_file_created_exclusively_is_edited_from_its_revision(void **state)
{
    struct fixture *f = *state;
    struct end end = END_INIT;
    open_new(f);
    value_file_create_exclusive(f->file, take, &end);
    assert_int_equal(wait_for(&end), JSFS_OK);
    assert_int_equal(write_text(f, 0, "1234"), JSFS_OK);
    assert_int_equal(commit_now(f, false), JSFS_OK);
    assert_stored(f, "new", "1234");
}

/* Appends -------------------------------------------------------------------------------------- */

static void an_append_goes_behind_what_others_appended(void **state)
{
    struct fixture *f = *state;
    open_loaded(f);
    fake_store_put(f->fake, "key", OLD "+theirs");
    assert_int_equal(append_text(f, "+mine"), JSFS_OK);
    assert_int_equal(append_text(f, "+more"), JSFS_OK);
    assert_int_equal(commit_now(f, false), JSFS_OK);
    assert_stored(f, "key", OLD "+theirs+mine+more");
    assert_local(f, OLD "+theirs+mine+more");
    assert_int_equal(append_text(f, "+last"), JSFS_OK);
    assert_int_equal(commit_now(f, false), JSFS_OK);
    assert_stored(f, "key", OLD "+theirs+mine+more+last");
}

static void append_theirs(void *arg)
{
    struct fixture *f = arg;
    struct bytes *value = fake_store_value(f->fake, "key");
    char text[256];
    snprintf(text, sizeof(text), "%.*s+theirs", (int)value->size, value->data);
    bytes_unref(value);
    fake_store_put(f->fake, "key", text);
    if (calls(f, FAKE_VALUE_PUT) < 6)
        fake_store_before(f->fake, FAKE_VALUE_PUT, append_theirs, f);
}

static void an_append_is_tried_until_it_lands(void **state)
{
    struct fixture *f = *state;
    open_loaded(f);
    append_text(f, "+mine");
    fake_store_before(f->fake, FAKE_VALUE_PUT, append_theirs, f);
    assert_int_equal(commit_now(f, false), JSFS_OK);
    assert_int_equal(calls(f, FAKE_VALUE_PUT), 7);
    assert_stored(f, "key", OLD "+theirs+theirs+theirs+theirs+theirs+theirs+mine");
}

static void an_append_to_a_removed_value_starts_a_new_one(void **state)
{
    struct fixture *f = *state;
    open_loaded(f);
    fake_store_mark(f->fake, "key", STORE_DELETED);
    append_text(f, "mine");
    assert_int_equal(commit_now(f, false), JSFS_OK);
    assert_stored(f, "key", "mine");
}

static void an_append_that_grows_too_large_fails_and_stays(void **state)
{
    struct fixture *f = *state;
    fake_store_set_message_max(f->fake, 20);
    open_loaded(f);
    append_text(f, "+mine");
    fake_store_put(f->fake, "key", "theirs is long: 1234");
    assert_int_equal(commit_now(f, false), JSFS_TOO_LARGE);
    assert_true(stat_of(f).dirty);
    fake_store_put(f->fake, "key", "short");
    assert_int_equal(commit_now(f, false), JSFS_OK);
    assert_stored(f, "key", "short+mine");
}

static void an_append_whose_base_vanishes_again_looks_again(void **state)
{
    struct fixture *f = *state;
    open_loaded(f);
    append_text(f, "+mine");
    fake_store_put(f->fake, "key", "theirs");
    fake_store_fail(f->fake, FAKE_VALUE_GET, 1, JSFS_STALE, false);
    assert_int_equal(commit_now(f, false), JSFS_OK);
    assert_stored(f, "key", "theirs+mine");
}

struct appender {
    struct fixture *f;
    char letter;
    int failures;
};

static void *append_lines(void *arg)
{
    struct appender *appender = arg;
    struct fixture *f = appender->f;
    for (int i = 0; i < 20; i++) {
        struct end loaded = END_INIT, committed = END_INIT;
        struct value_file *file =
            value_file_new(f->bucket, "key", "key", f->old_revision, strlen(OLD), 0);
        value_file_load(file, take, &loaded);
        appender->failures += wait_for(&loaded) != JSFS_OK;
        appender->failures +=
            value_file_write(file, 0, &appender->letter, 1, true) != JSFS_OK;
        value_file_commit(file, false, take, &committed);
        appender->failures += wait_for(&committed) != JSFS_OK;
        value_file_unref(file);
    }
    return NULL;
}

static void appends_from_many_threads_are_all_kept(void **state)
{
    struct fixture *f = *state;
    struct executor *answers = executor_new(2);
    struct appender appenders[3];
    pthread_t threads[3];
    size_t kept[3] = {0, 0, 0};

    fake_store_answer_on(f->fake, answers);
    for (int i = 0; i < 3; i++) {
        appenders[i] = (struct appender){f, (char)('A' + i), 0};
        pthread_create(&threads[i], NULL, append_lines, &appenders[i]);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(appenders[i].failures, 0);
    }
    executor_free(answers);
    fake_store_answer_on(f->fake, NULL);

    struct bytes *value = fake_store_value(f->fake, "key");
    assert_int_equal(value->size, strlen(OLD) + 60);
    for (size_t i = strlen(OLD); i < value->size; i++)
        kept[value->data[i] - 'A']++;
    bytes_unref(value);
    for (int i = 0; i < 3; i++)
        assert_int_equal(kept[i], 20);
}

/* Failures ------------------------------------------------------------------------------------- */

static void a_failed_commit_keeps_the_bytes_for_the_next(void **state)
{
    static const enum jsfs_status failures[] = {JSFS_UNAVAILABLE, JSFS_NO_SPACE,
                                                JSFS_TIMEOUT, JSFS_DENIED};
    struct fixture *f = *state;
    open_loaded(f);
    write_text(f, 0, "NEW");
    for (size_t i = 0; i < 4; i++) {
        fake_store_fail(f->fake, FAKE_VALUE_PUT, 1, failures[i], false);
        assert_int_equal(commit_now(f, false), failures[i]);
        assert_stored(f, "key", OLD);
        assert_true(stat_of(f).dirty);
        assert_int_equal(stat_of(f).sequence, f->old_revision);
    }
    assert_int_equal(commit_now(f, false), JSFS_OK);
    assert_stored(f, "key", "NEW value");
}

/* The next put lands, and nobody tells. */
static void lose_the_answer(struct fixture *f)
{
    fake_store_fail(f->fake, FAKE_VALUE_PUT, 1, JSFS_TIMEOUT, true);
    assert_int_equal(commit_now(f, false), JSFS_TIMEOUT);
    assert_true(stat_of(f).dirty);
}

static void an_unacknowledged_write_is_asked_about_and_not_put_twice(void **state)
{
    for (int i = 0; i < 3; i++) {
        struct fixture *f = *state;
        open_loaded(f);
        if (i == 0)
            write_text(f, 0, "OLD");
        else if (i == 1)
            append_text(f, "+mine");
        else
            value_file_truncate(f->file, 0, false);
        lose_the_answer(f);
        assert_int_equal(commit_now(f, false), JSFS_OK);
        assert_false(stat_of(f).dirty);
        assert_int_equal(fake_store_revisions(f->fake, "key"), 2);
        assert_stored(f, "key", i == 0 ? "OLD value" : i == 1 ? OLD "+mine" : "");
        teardown(state);
        setup(state);
    }
}

static void what_came_after_an_unacknowledged_write_is_put_on_top(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct fixture *f = *state;
        open_loaded(f);
        if (i == 0)
            write_text(f, 0, "NEW");
        else
            append_text(f, "+mine");
        lose_the_answer(f);
        if (i == 0)
            write_text(f, 4, "VALUE");
        else
            append_text(f, "+more");
        assert_int_equal(commit_now(f, false), JSFS_OK);
        assert_stored(f, "key", i == 0 ? "NEW VALUE" : OLD "+mine+more");
        assert_int_equal(fake_store_revisions(f->fake, "key"), 3);
        assert_int_equal(commit_now(f, true), JSFS_OK);
        assert_int_equal(fake_store_revisions(f->fake, "key"), 3);
        teardown(state);
        setup(state);
    }
}

static void an_unacknowledged_write_that_never_landed_is_put_after_all(void **state)
{
    struct fixture *f = *state;
    open_loaded(f);
    append_text(f, "+mine");
    for (int i = 0; i < 2; i++) {
        fake_store_fail(f->fake, FAKE_VALUE_PUT, 1, JSFS_TIMEOUT, false);
        assert_int_equal(commit_now(f, false), JSFS_TIMEOUT);
    }
    append_text(f, "+more");
    fake_store_put(f->fake, "key", "theirs");
    assert_int_equal(commit_now(f, false), JSFS_OK);
    assert_stored(f, "key", "theirs+mine+more");
    assert_int_equal(fake_store_revisions(f->fake, "key"), 3);
}

static void an_unacknowledged_append_that_others_built_on_is_not_repeated(void **state)
{
    struct fixture *f = *state;
    open_loaded(f);
    append_text(f, "+mine");
    lose_the_answer(f);
    fake_store_put(f->fake, "key", OLD "+mine+theirs");
    assert_int_equal(commit_now(f, false), JSFS_OK);
    assert_int_equal(fake_store_revisions(f->fake, "key"), 3);
    append_text(f, "+more");
    assert_int_equal(commit_now(f, false), JSFS_OK);
    assert_stored(f, "key", OLD "+mine+theirs+more");
}

static void an_edit_on_an_unacknowledged_one_that_another_replaced_is_a_conflict(void **state)
{
    struct fixture *f = *state;
    open_loaded(f);
    write_text(f, 0, "NEW");
    lose_the_answer(f);
    fake_store_put(f->fake, "key", "theirs");
    assert_int_equal(commit_now(f, false), JSFS_OK); /* it was stored, and then replaced */
    write_text(f, 0, "TWO");
    assert_int_equal(commit_now(f, false), JSFS_CONFLICT);
    assert_stored(f, "key", "theirs");
}

static void an_exclusive_creation_without_an_answer_leaves_nothing_to_commit(void **state)
{
    struct fixture *f = *state;
    struct end end = END_INIT;
    open_new(f);
    fake_store_fail(f->fake, FAKE_VALUE_PUT, 1, JSFS_TIMEOUT, false);
    value_file_create_exclusive(f->file, take, &end);
    assert_int_equal(wait_for(&end), JSFS_TIMEOUT);
    assert_false(stat_of(f).dirty);
    assert_int_equal(commit_now(f, true), JSFS_OK);
    assert_int_equal(fake_store_revisions(f->fake, "new"), 0);
}

static void what_was_not_saved_can_be_taken_once(void **state)
{
    struct fixture *f = *state;
    struct value_unsaved unsaved;

    open_loaded(f);
    assert_false(value_file_take_unsaved(f->file, &unsaved));
    write_text(f, 0, "OLD");
    fake_store_put(f->fake, "key", "theirs");
    assert_int_equal(commit_now(f, false), JSFS_CONFLICT);
    assert_true(value_file_take_unsaved(f->file, &unsaved));
    assert_int_equal(unsaved.revision, f->old_revision);
    assert_int_equal(unsaved.why, JSFS_CONFLICT);
    assert_int_equal(unsaved.bytes->size, strlen(OLD));
    assert_memory_equal(unsaved.bytes->data, "OLD value", unsaved.bytes->size);
    bytes_unref(unsaved.bytes);
    assert_false(value_file_take_unsaved(f->file, &unsaved));
    write_text(f, 4, "VALUE");
    assert_true(value_file_take_unsaved(f->file, &unsaved));
    bytes_unref(unsaved.bytes);
    value_file_forget(f->file);
    write_text(f, 4, "value");
    assert_false(value_file_take_unsaved(f->file, &unsaved));
}

static void a_look_that_fails_after_a_lost_race_fails_the_commit(void **state)
{
    struct fixture *f = *state;
    open_loaded(f);
    append_text(f, "+mine");
    fake_store_put(f->fake, "key", "theirs");
    fake_store_fail(f->fake, FAKE_LOOKUP, 1, JSFS_UNAVAILABLE, false);
    assert_int_equal(commit_now(f, false), JSFS_UNAVAILABLE);
    fake_store_fail(f->fake, FAKE_VALUE_GET, 1, JSFS_TIMEOUT, false);
    assert_int_equal(commit_now(f, false), JSFS_TIMEOUT);
    assert_int_equal(commit_now(f, false), JSFS_OK);
    assert_stored(f, "key", "theirs+mine");
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(an_edit_of_a_value_that_changed_elsewhere_is_a_conflict),
        FILE_TEST(every_edit_that_keeps_bytes_is_checked),
        FILE_TEST(a_replacement_wins_over_what_came_between),
        FILE_TEST(what_is_written_after_a_rename_goes_to_the_new_name),
        FILE_TEST(a_value_that_was_removed_is_no_base_for_an_edit),
        FILE_TEST(one_commit_after_another_is_based_on_the_first),
        FILE_TEST(an_exclusive_creation_is_decided_by_the_server),
        FILE_TEST(a_file_created_exclusively_is_edited_from_its_revision),
        FILE_TEST(an_append_goes_behind_what_others_appended),
        FILE_TEST(an_append_is_tried_until_it_lands),
        FILE_TEST(an_append_to_a_removed_value_starts_a_new_one),
        FILE_TEST(an_append_that_grows_too_large_fails_and_stays),
        FILE_TEST(an_append_whose_base_vanishes_again_looks_again),
        FILE_TEST(appends_from_many_threads_are_all_kept),
        FILE_TEST(a_failed_commit_keeps_the_bytes_for_the_next),
        FILE_TEST(an_unacknowledged_write_is_asked_about_and_not_put_twice),
        FILE_TEST(what_came_after_an_unacknowledged_write_is_put_on_top),
        FILE_TEST(an_unacknowledged_write_that_never_landed_is_put_after_all),
        FILE_TEST(an_unacknowledged_append_that_others_built_on_is_not_repeated),
        FILE_TEST(an_edit_on_an_unacknowledged_one_that_another_replaced_is_a_conflict),
        FILE_TEST(an_exclusive_creation_without_an_answer_leaves_nothing_to_commit),
        FILE_TEST(what_was_not_saved_can_be_taken_once),
        FILE_TEST(a_look_that_fails_after_a_lost_race_fails_the_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
