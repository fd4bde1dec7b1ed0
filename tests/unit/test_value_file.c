/* SPDX-License-Identifier: Apache-2.0 */
/* test_value_file.c - the staged bytes of a value, and when there is something to commit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tests/support/failing_malloc.h"
#include "tests/support/value_fixture.h"

/* Bytes -------------------------------------------------------------------------------------- */

static void nothing_is_read_or_written_before_a_load(void **state)
{
    struct fixture *f = *state;
    size_t size = 7;
    char data[10];

    open_old(f);
    assert_int_equal(stat_of(f).size_bytes, strlen(OLD));
    assert_int_equal(value_file_read(f->file, 0, 10, data, &size), JSFS_INVALID);
    assert_int_equal(write_text(f, 0, "x"), JSFS_INVALID);
    assert_int_equal(append_text(f, "x"), JSFS_INVALID);
    assert_int_equal(value_file_truncate(f->file, 3, false), JSFS_INVALID);
    assert_int_equal(load_now(f->file), JSFS_OK);
    assert_int_equal(load_now(f->file), JSFS_OK);
    assert_int_equal(calls(f, FAKE_VALUE_GET), 1);
    assert_local(f, OLD);
    assert_false(stat_of(f).dirty);
}

static void loads_that_come_together_ask_once(void **state)
{
    struct fixture *f = *state;
    struct end ends[3] = {END_INIT, END_INIT, END_INIT};

    open_old(f);
    fake_store_hold(f->fake, FAKE_VALUE_GET);
    for (int i = 0; i < 3; i++)
        value_file_load(f->file, take, &ends[i]);
    fake_store_release(f->fake, FAKE_VALUE_GET);
    for (int i = 0; i < 3; i++)
        assert_int_equal(wait_for(&ends[i]), JSFS_OK);
    assert_int_equal(calls(f, FAKE_VALUE_GET), 1);
}

static void a_failed_load_can_be_tried_again(void **state)
{
    struct fixture *f = *state;
    open_old(f);
    fake_store_fail(f->fake, FAKE_VALUE_GET, 1, JSFS_TIMEOUT, false);
    assert_int_equal(load_now(f->file), JSFS_TIMEOUT);
    assert_int_equal(load_now(f->file), JSFS_OK);
    assert_local(f, OLD);
}

static void a_revision_that_is_not_kept_is_stale(void **state)
{
    struct fixture *f = *state;
    open_old(f);
    fake_store_forget(f->fake, f->old_revision);
    assert_int_equal(load_now(f->file), JSFS_STALE);
}

static void a_truncation_beats_a_load_that_is_in_flight(void **state)
{
    struct fixture *f = *state;
    struct end end = END_INIT;

    open_old(f);
    fake_store_hold(f->fake, FAKE_VALUE_GET);
    value_file_load(f->file, take, &end);
    assert_int_equal(value_file_truncate(f->file, 0, true), JSFS_OK);
    fake_store_release(f->fake, FAKE_VALUE_GET);
    assert_int_equal(wait_for(&end), JSFS_OK);
    assert_local(f, "");
}

static void bytes_are_written_cut_and_filled_up(void **state)
{
    struct fixture *f = *state;
    char data[4];
    size_t size;

    open_loaded(f);
    assert_int_equal(write_text(f, 0, "OLD"), JSFS_OK);
    assert_int_equal(append_text(f, "!"), JSFS_OK);
    assert_local(f, "OLD value!");
    assert_int_equal(value_file_truncate(f->file, 5, false), JSFS_OK);
    assert_local(f, "OLD v");
    assert_int_equal(write_text(f, 7, "x"), JSFS_OK);
    assert_int_equal(value_file_read(f->file, 4, 4, data, &size), JSFS_OK);
    assert_int_equal(size, 4);
    assert_memory_equal(data, "v\0\0x", 4);
    assert_int_equal(value_file_read(f->file, 100, 4, data, &size), JSFS_OK);
    assert_int_equal(size, 0);
    assert_int_equal(stat_of(f).size_bytes, 8);
}

static void a_value_above_the_limit_is_refused_as_a_whole(void **state)
{
    struct fixture *f = *state;
    fake_store_set_message_max(f->fake, 12);
    open_loaded(f);
    assert_int_equal(write_text(f, 9, "1234"), JSFS_TOO_LARGE);
    assert_int_equal(append_text(f, "1234"), JSFS_TOO_LARGE);
    assert_int_equal(write_text(f, UINT64_MAX, "1"), JSFS_TOO_LARGE);
    assert_int_equal(value_file_truncate(f->file, 13, false), JSFS_TOO_LARGE);
    assert_local(f, OLD);
    assert_false(stat_of(f).dirty);
    assert_int_equal(append_text(f, "123"), JSFS_OK);
    assert_int_equal(commit_now(f, false), JSFS_OK);
}

/* When there is something to commit ------------------------------------------------------------ */

static void a_clean_file_commits_nothing(void **state)
{
    struct fixture *f = *state;
    open_loaded(f);
    assert_int_equal(value_file_truncate(f->file, strlen(OLD), false), JSFS_OK);
    assert_int_equal(write_text(f, 3, ""), JSFS_OK);
    assert_int_equal(commit_now(f, false), JSFS_OK);
    assert_int_equal(commit_now(f, true), JSFS_OK);
    assert_int_equal(calls(f, FAKE_VALUE_PUT), 0);
}

static void a_truncation_by_open_alone_waits_for_the_release(void **state)
{
    struct fixture *f = *state;
    open_old(f);
    assert_int_equal(value_file_truncate(f->file, 0, true), JSFS_OK);
    assert_true(stat_of(f).dirty);
    assert_int_equal(commit_now(f, false), JSFS_OK);
    assert_int_equal(calls(f, FAKE_VALUE_PUT), 0);
    assert_int_equal(commit_now(f, true), JSFS_OK);
    assert_stored(f, "key", "");
    assert_false(stat_of(f).dirty);
}

static void a_truncation_by_call_is_committed_by_a_flush(void **state)
{
    struct fixture *f = *state;
    open_old(f);
    assert_int_equal(value_file_truncate(f->file, 0, false), JSFS_OK);
    assert_int_equal(commit_now(f, false), JSFS_OK);
    assert_stored(f, "key", "");
}

static void a_new_file_is_made_by_its_first_bytes_or_its_release(void **state)
{
    struct fixture *f = *state;
    open_new(f);
    assert_int_equal(commit_now(f, false), JSFS_OK);
    assert_null(fake_store_newest(f->fake, "new"));
    assert_int_equal(write_text(f, 0, "a\n"), JSFS_OK);
    assert_int_equal(commit_now(f, false), JSFS_OK);
    assert_int_equal(commit_now(f, true), JSFS_OK);
    assert_stored(f, "new", "a\n");
    assert_int_equal(fake_store_revisions(f->fake, "new"), 1);
    value_file_unref(f->file);

    f->file = value_file_new(f->bucket, "empty", "empty", 0, 0, 0);
    assert_int_equal(commit_now(f, true), JSFS_OK);
    assert_stored(f, "empty", "");
}

static void after_a_commit_the_stat_is_the_servers(void **state)
{
    struct fixture *f = *state;
    open_loaded(f);
    fake_store_set_time(f->fake, INT64_C(1234567890000000000));
    int64_t before = clock_realtime_ns();
    assert_int_equal(write_text(f, 0, "N"), JSFS_OK);
    assert_true(stat_of(f).modified_ns >= before);
    assert_true(stat_of(f).dirty);
    assert_int_equal(stat_of(f).sequence, f->old_revision);
    assert_int_equal(commit_now(f, false), JSFS_OK);
    struct value_file_stat stat = stat_of(f);
    assert_int_equal(stat.modified_ns, INT64_C(1234567890000000000));
    assert_int_equal(stat.sequence, fake_store_last_sequence(f->fake));
    assert_int_equal(stat.token, 0);
    assert_false(stat.dirty);
}

static void a_commit_in_flight_shows_its_token(void **state)
{
    struct fixture *f = *state;
    struct end end = END_INIT;
    open_loaded(f);
    write_text(f, 0, "N");
    fake_store_hold(f->fake, FAKE_VALUE_PUT);
    commit(f, false, &end);
    uint64_t token = stat_of(f).token;
    assert_int_not_equal(token, 0);
    assert_true(stat_of(f).dirty);
    fake_store_release(f->fake, FAKE_VALUE_PUT);
    assert_int_equal(wait_for(&end), JSFS_OK);
    assert_int_equal(fake_store_newest(f->fake, "key")->own_token, token);
}

/* Writes and commits at once ------------------------------------------------------------------- */

static void a_write_during_a_commit_needs_another_one(void **state)
{
    struct fixture *f = *state;
    struct end first = END_INIT, second = END_INIT, third = END_INIT;
    open_loaded(f);
    write_text(f, 0, "1");
    fake_store_hold(f->fake, FAKE_VALUE_PUT);
    commit(f, false, &first);
    write_text(f, 1, "2");
    commit(f, false, &second);
    commit(f, true, &third);
    assert_int_equal(fake_store_held(f->fake, FAKE_VALUE_PUT), 1);
    fake_store_release_one(f->fake, FAKE_VALUE_PUT);
    assert_int_equal(wait_for(&first), JSFS_OK);
    assert_false(has_ended(&second));
    assert_int_equal(fake_store_held(f->fake, FAKE_VALUE_PUT), 1);
    fake_store_release(f->fake, FAKE_VALUE_PUT);
    assert_int_equal(wait_for(&second), JSFS_OK);
    assert_int_equal(wait_for(&third), JSFS_OK);
    assert_stored(f, "key", "12d value");
    assert_int_equal(fake_store_revisions(f->fake, "key"), 3);
}

static void a_second_commit_without_new_bytes_publishes_nothing(void **state)
{
    struct fixture *f = *state;
    struct end first = END_INIT, second = END_INIT;
    open_loaded(f);
    write_text(f, 0, "1");
    fake_store_hold(f->fake, FAKE_VALUE_PUT);
    commit(f, false, &first);
    commit(f, true, &second);
    fake_store_release(f->fake, FAKE_VALUE_PUT);
    assert_int_equal(wait_for(&first), JSFS_OK);
    assert_int_equal(wait_for(&second), JSFS_OK);
    assert_int_equal(fake_store_revisions(f->fake, "key"), 2);
}

static void a_commit_that_waited_for_a_failed_one_publishes_all(void **state)
{
    struct fixture *f = *state;
    struct end first = END_INIT, second = END_INIT;
    open_loaded(f);
    append_text(f, "+1");
    fake_store_hold(f->fake, FAKE_VALUE_PUT);
    fake_store_fail(f->fake, FAKE_VALUE_PUT, 1, JSFS_NO_SPACE, false);
    commit(f, false, &first);
    append_text(f, "+2");
    commit(f, false, &second);
    fake_store_release(f->fake, FAKE_VALUE_PUT);
    assert_int_equal(wait_for(&first), JSFS_NO_SPACE);
    assert_int_equal(wait_for(&second), JSFS_OK);
    assert_stored(f, "key", OLD "+1+2");
}

static void an_append_during_an_append_that_lost_keeps_the_order(void **state)
{
    struct fixture *f = *state;
    struct end first = END_INIT, second = END_INIT;
    open_loaded(f);
    fake_store_put(f->fake, "key", "theirs");
    append_text(f, "+1");
    fake_store_hold(f->fake, FAKE_VALUE_PUT);
    commit(f, false, &first);
    append_text(f, "+2");
    commit(f, false, &second);
    fake_store_release(f->fake, FAKE_VALUE_PUT);
    assert_int_equal(wait_for(&first), JSFS_OK);
    assert_int_equal(wait_for(&second), JSFS_OK);
    assert_stored(f, "key", "theirs+1+2");
}

static void an_edit_during_an_append_that_lost_is_a_conflict(void **state)
{
    struct fixture *f = *state;
    struct end end = END_INIT;
    open_loaded(f);
    fake_store_put(f->fake, "key", "theirs");
    append_text(f, "+1");
    fake_store_hold(f->fake, FAKE_VALUE_PUT);
    commit(f, false, &end);
    write_text(f, 0, "OLD");
    fake_store_release(f->fake, FAKE_VALUE_PUT);
    assert_int_equal(wait_for(&end), JSFS_CONFLICT);
    assert_stored(f, "key", "theirs");
    assert_local(f, "OLD value+1");
}

static void a_truncation_during_a_commit_makes_the_next_a_replacement(void **state)
{
    struct fixture *f = *state;
    struct end end = END_INIT;
    open_loaded(f);
    write_text(f, 0, "1");
    fake_store_hold(f->fake, FAKE_VALUE_PUT);
    commit(f, false, &end);
    value_file_truncate(f->file, 0, true);
    fake_store_release(f->fake, FAKE_VALUE_PUT);
    assert_int_equal(wait_for(&end), JSFS_OK);
    assert_stored(f, "key", "1ld value");
    fake_store_put(f->fake, "key", "theirs");
    assert_int_equal(commit_now(f, true), JSFS_OK);
    assert_stored(f, "key", "");
}

static void a_forgotten_file_commits_nothing_any_more(void **state)
{
    struct fixture *f = *state;
    open_loaded(f);
    write_text(f, 0, "NEW");
    value_file_forget(f->file);
    assert_false(stat_of(f).dirty);
    assert_int_equal(commit_now(f, false), JSFS_OK);
    assert_int_equal(commit_now(f, true), JSFS_OK);
    assert_int_equal(calls(f, FAKE_VALUE_PUT), 0);
    assert_local(f, "NEW value");
}

static void a_new_file_takes_a_time_to_live_until_it_is_committed(void **state)
{
    struct fixture *f = *state;

    open_new(f);
    assert_int_equal(value_file_set_ttl(f->file, 5), JSFS_OK);
    assert_int_equal(value_file_set_ttl(f->file, 7), JSFS_OK);
    fake_store_fail(f->fake, FAKE_VALUE_PUT, 1, JSFS_NO_SPACE, false);
    write_text(f, 0, "x");
    assert_int_equal(commit_now(f, false), JSFS_NO_SPACE);
    assert_int_equal(value_file_set_ttl(f->file, 9), JSFS_OK);
    assert_int_equal(commit_now(f, false), JSFS_OK);
    assert_int_equal(value_file_set_ttl(f->file, 11), JSFS_UNSUPPORTED);
    assert_int_equal(stat_of(f).ttl_ns, 9);
}

static void an_exclusive_creation_does_not_end_the_time_for_a_time_to_live(void **state)
{
    struct fixture *f = *state;
    struct end end = END_INIT;

    open_new(f);
    value_file_create_exclusive(f->file, take, &end);
    assert_int_equal(wait_for(&end), JSFS_OK);
    assert_int_equal(value_file_set_ttl(f->file, 5), JSFS_OK);
    write_text(f, 0, "x");
    assert_int_equal(commit_now(f, false), JSFS_OK);
    assert_int_equal(value_file_set_ttl(f->file, 7), JSFS_UNSUPPORTED);
}

static void an_old_file_takes_no_time_to_live(void **state)
{
    struct fixture *f = *state;

    open_old(f);
    assert_int_equal(value_file_set_ttl(f->file, 5), JSFS_UNSUPPORTED);
    assert_int_equal(value_file_truncate(f->file, 0, true), JSFS_OK);
    assert_int_equal(value_file_set_ttl(f->file, 5), JSFS_UNSUPPORTED);
}

static void a_commit_goes_on_when_the_last_owner_has_gone(void **state)
{
    struct fixture *f = *state;
    struct end end = END_INIT;
    open_loaded(f);
    write_text(f, 0, "NEW");
    fake_store_hold(f->fake, FAKE_VALUE_PUT);
    commit(f, true, &end);
    assert_ptr_equal(value_file_ref(f->file), f->file);
    value_file_unref(f->file);
    value_file_unref(f->file);
    f->file = NULL;
    value_file_unref(NULL);
    fake_store_release(f->fake, FAKE_VALUE_PUT);
    assert_int_equal(wait_for(&end), JSFS_OK);
    assert_stored(f, "key", "NEW value");
}

static void without_memory_nothing_changes(void **state)
{
    struct fixture *f = *state;
    for (unsigned n = 1; n <= 3; n++) {
        failing_malloc_start(n);
        assert_null(value_file_new(f->bucket, "key", "key", f->old_revision, 9, 0));
        assert_true(failing_malloc_stop());
    }
    open_loaded(f);
    failing_malloc_start(1);
    assert_int_equal(value_file_truncate(f->file, 1000, false), JSFS_NO_MEMORY);
    assert_true(failing_malloc_stop());
    assert_local(f, OLD);
    assert_false(stat_of(f).dirty);

    write_text(f, 0, "NEW");
    for (unsigned n = 1; n <= 2; n++) { /* the waiter, the snapshot */
        struct end end = END_INIT;
        failing_malloc_start(n);
        commit(f, false, &end);
        assert_true(failing_malloc_stop());
        assert_int_equal(wait_for(&end), JSFS_NO_MEMORY);
        assert_true(stat_of(f).dirty);
    }
    assert_int_equal(commit_now(f, false), JSFS_OK);
    assert_stored(f, "key", "NEW value");
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(nothing_is_read_or_written_before_a_load),
        FILE_TEST(loads_that_come_together_ask_once),
        FILE_TEST(a_failed_load_can_be_tried_again),
        FILE_TEST(a_revision_that_is_not_kept_is_stale),
        FILE_TEST(a_truncation_beats_a_load_that_is_in_flight),
        FILE_TEST(bytes_are_written_cut_and_filled_up),
        FILE_TEST(a_value_above_the_limit_is_refused_as_a_whole),
        FILE_TEST(a_clean_file_commits_nothing),
        FILE_TEST(a_truncation_by_open_alone_waits_for_the_release),
        FILE_TEST(a_truncation_by_call_is_committed_by_a_flush),
        FILE_TEST(a_new_file_is_made_by_its_first_bytes_or_its_release),
        FILE_TEST(after_a_commit_the_stat_is_the_servers),
        FILE_TEST(a_commit_in_flight_shows_its_token),
        FILE_TEST(a_write_during_a_commit_needs_another_one),
        FILE_TEST(a_second_commit_without_new_bytes_publishes_nothing),
        FILE_TEST(a_commit_that_waited_for_a_failed_one_publishes_all),
        FILE_TEST(an_append_during_an_append_that_lost_keeps_the_order),
        FILE_TEST(an_edit_during_an_append_that_lost_is_a_conflict),
        FILE_TEST(a_truncation_during_a_commit_makes_the_next_a_replacement),
        FILE_TEST(a_forgotten_file_commits_nothing_any_more),
        FILE_TEST(a_new_file_takes_a_time_to_live_until_it_is_committed),
        FILE_TEST(an_exclusive_creation_does_not_end_the_time_for_a_time_to_live),
        FILE_TEST(an_old_file_takes_no_time_to_live),
        FILE_TEST(a_commit_goes_on_when_the_last_owner_has_gone),
        FILE_TEST(without_memory_nothing_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
