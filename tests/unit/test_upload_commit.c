/* SPDX-License-Identifier: Apache-2.0 */
/* test_upload_commit.c - a new version of an object, whole or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tests/support/upload_fixture.h"

/* Failures: the state afterwards ------------------------------------------------------------- */

static void a_failed_chunk_undoes_the_upload(void **state)
{
    static const enum jsfs_status failures[] = {JSFS_NO_SPACE, JSFS_BUSY, JSFS_DENIED};
    for (size_t i = 0; i < 3; i++) {
        struct fixture *f = *state;
        start(f);
        assert_int_equal(write_now(f->upload, 0, 2 * CHUNK), JSFS_OK);
        eventually(calls(f, FAKE_CHUNK_PUT) == 2);
        fake_store_fail(f->fake, FAKE_CHUNK_PUT, 1, failures[i], false);
        write_now(f->upload, 2 * CHUNK, 10 * CHUNK);
        assert_int_equal(commit_now(f->upload, STORE_EXPECT_ANY, 0), failures[i]);
        assert_int_equal(write_now(f->upload, 12 * CHUNK, 1), failures[i]);
        assert_int_equal(commit_now(f->upload, STORE_EXPECT_ANY, 0), failures[i]);
        assert_int_equal(calls(f, FAKE_META_PUT), 0);
        assert_undone(f);
        teardown(state);
        setup(state);
    }
}

static void chunks_are_purged_when_all_of_them_are_answered(void **state)
{
    struct fixture *f = *state;
    struct end committed = END_INIT;
    fake_store_hold(f->fake, FAKE_CHUNK_PUT);
    fake_store_fail(f->fake, FAKE_CHUNK_PUT, 1, JSFS_NO_SPACE, false);

    start(f);
    assert_int_equal(write_now(f->upload, 0, 4 * CHUNK), JSFS_OK);
    commit_at(f->upload, STORE_EXPECT_ANY, 0, &committed);
    eventually(fake_store_held(f->fake, FAKE_CHUNK_PUT) == 4);
    for (int i = 0; i < 3; i++)
        fake_store_release_one(f->fake, FAKE_CHUNK_PUT);
    nanosleep(&(struct timespec){0, 20000000}, NULL);
    assert_int_equal(calls(f, FAKE_CHUNKS_PURGE), 0);
    fake_store_release(f->fake, FAKE_CHUNK_PUT);
    assert_int_equal(wait_for(&committed), JSFS_NO_SPACE);
    assert_undone(f);
}

static void a_commit_of_a_lost_upload_waits_for_the_undo(void **state)
{
    struct fixture *f = *state;
    struct end committed = END_INIT;
    fake_store_hold(f->fake, FAKE_CHUNKS_PURGE);
    fake_store_fail(f->fake, FAKE_CHUNK_PUT, 1, JSFS_NO_SPACE, false);

    start(f);
    write_now(f->upload, 0, 4 * CHUNK);
    eventually(fake_store_held(f->fake, FAKE_CHUNKS_PURGE) == 1);
    commit_at(f->upload, STORE_EXPECT_ANY, 0, &committed);
    assert_false(has_ended(&committed));
    fake_store_release(f->fake, FAKE_CHUNKS_PURGE);
    assert_int_equal(wait_for(&committed), JSFS_NO_SPACE);
    assert_int_equal(count_messages(f), f->messages);
    assert_int_equal(commit_now(f->upload, STORE_EXPECT_ANY, 0), JSFS_NO_SPACE);
}

static void a_chunk_without_an_answer_is_purged_too(void **state)
{
    struct fixture *f = *state;
    fake_store_fail(f->fake, FAKE_CHUNK_PUT, 1, JSFS_TIMEOUT, true);
    assert_int_equal(put(f, 3 * CHUNK), JSFS_TIMEOUT);
    assert_undone(f);
}

static void a_purge_is_tried_again_until_the_server_answers(void **state)
{
    struct fixture *f = *state;
    fake_store_fail(f->fake, FAKE_CHUNK_PUT, 1, JSFS_UNAVAILABLE, true);
    fake_store_fail(f->fake, FAKE_CHUNKS_PURGE, 1, JSFS_UNAVAILABLE, false);
    assert_int_equal(put(f, 3 * CHUNK), JSFS_UNAVAILABLE);
    assert_int_not_equal(count_messages(f), f->messages);
    upload_close(f->upload);
    f->upload = NULL;
    assert_undone(f);
}

static void a_lost_race_leaves_the_winners_version(void **state)
{
    struct fixture *f = *state;
    start(f);
    assert_int_equal(write_now(f->upload, 0, 2500), JSFS_OK);
    assert_int_equal(commit_now(f->upload, STORE_EXPECT_AT, f->old_sequence - 1),
                     JSFS_CONFLICT);
    assert_undone(f);
}

static void an_exclusive_create_of_a_name_that_lives_fails(void **state)
{
    struct fixture *f = *state;
    start(f);
    assert_int_equal(write_now(f->upload, 0, 2500), JSFS_OK);
    assert_int_equal(commit_now(f->upload, STORE_EXPECT_ABSENT, 0), JSFS_EXISTS);
    assert_undone(f);
}

static void every_decided_failure_of_the_meta_undoes_the_upload(void **state)
{
    static const enum jsfs_status failures[] = {
        JSFS_NO_SPACE, JSFS_SEALED, JSFS_UNAVAILABLE, JSFS_FAILED, JSFS_NOT_UTF8};
    for (size_t i = 0; i < 5; i++) {
        struct fixture *f = *state;
        fake_store_fail(f->fake, FAKE_META_PUT, 1, failures[i], false);
        assert_int_equal(put(f, 2500), failures[i]);
        assert_undone(f);
        teardown(state);
        setup(state);
    }
}

static void an_undecided_meta_keeps_both_versions_whole(void **state)
{
    for (int stored = 0; stored < 2; stored++) {
        struct fixture *f = *state;
        fake_store_fail(f->fake, FAKE_META_PUT, 1, JSFS_TIMEOUT, stored);
        assert_int_equal(put(f, 2500), JSFS_TIMEOUT);
        assert_int_equal(commit_now(f->upload, STORE_EXPECT_ANY, 0), JSFS_TIMEOUT);
        upload_close(f->upload);
        f->upload = NULL;
        nanosleep(&(struct timespec){0, 20000000}, NULL);
        assert_int_equal(calls(f, FAKE_CHUNKS_PURGE), 0);
        assert_int_equal(fake_store_chunks(f->fake, "old"), 3);
        assert_object(f, stored ? 2500 : OLD_SIZE);
        teardown(state);
        setup(state);
    }
}

static void an_unclear_answer_to_the_meta_is_resolved_by_what_is_there(void **state)
{
    struct fixture *f = *state;
    fake_store_fail(f->fake, FAKE_META_PUT, 1, JSFS_FAILED, true);
    assert_int_equal(put(f, 2500), JSFS_OK);
    assert_object(f, 2500);
    eventually(fake_store_chunks(f->fake, "old") == 0);
}

/* Other clients ------------------------------------------------------------------------------ */

static void put_another(void *arg)
{
    struct fixture *f = arg;
    fake_store_put_object(f->fake, "name", "another", 5 * CHUNK, CHUNK);
}

static void the_last_writer_wins_and_discards_what_it_replaced(void **state)
{
    struct fixture *f = *state;
    fake_store_before(f->fake, FAKE_META_PUT, put_another, f);
    assert_int_equal(put(f, 2500), JSFS_OK);
    assert_object(f, 2500);
    eventually(fake_store_chunks(f->fake, "another") == 0);
    assert_int_equal(fake_store_chunks(f->fake, "old"),
                     3); /* not ours: we replaced another */
}

static void remove_it(void *arg)
{
    struct fixture *f = arg;
    fake_store_mark(f->fake, "name", STORE_DELETED);
}

static void a_name_that_vanishes_before_the_meta_is_made_again(void **state)
{
    struct fixture *f = *state;
    fake_store_before(f->fake, FAKE_META_PUT, remove_it, f);
    assert_int_equal(put(f, 2500), JSFS_OK);
    assert_object(f, 2500);
}

static void a_race_that_is_lost_every_time_is_won_in_the_end(void **state)
{
    struct fixture *f = *state;
    fake_store_fail(f->fake, FAKE_META_PUT, 4, JSFS_CONFLICT, false);
    assert_int_equal(put(f, 2500), JSFS_OK);
    assert_object(f, 2500);
    assert_int_equal(calls(f, FAKE_META_PUT), 5);
    assert_int_equal(fake_store_chunks(f->fake, "old"),
                     3); /* nobody knows what it replaced */
}

static void a_link_that_is_replaced_has_no_chunks_to_discard(void **state)
{
    struct fixture *f = *state;
    struct object_meta link = {.name = (char *)"name",
                               .nuid = (char *)"old",
                               .link_bucket = (char *)"b",
                               .link_name = (char *)"target"};
    fake_store_put_meta(f->fake, &link);
    assert_int_equal(put(f, 2500), JSFS_OK);
    assert_object(f, 2500);
    assert_int_equal(calls(f, FAKE_CHUNKS_PURGE), 0);
}

static void a_known_version_that_is_replaced_is_discarded(void **state)
{
    struct fixture *f = *state;
    start(f);
    assert_int_equal(write_now(f->upload, 0, 2500), JSFS_OK);
    assert_int_equal(commit_now(f->upload, STORE_EXPECT_AT, f->old_sequence), JSFS_OK);
    eventually(fake_store_chunks(f->fake, "old") == 0);
}

#define UPLOAD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UPLOAD_TEST(a_failed_chunk_undoes_the_upload),
        UPLOAD_TEST(chunks_are_purged_when_all_of_them_are_answered),
        UPLOAD_TEST(a_commit_of_a_lost_upload_waits_for_the_undo),
        UPLOAD_TEST(a_chunk_without_an_answer_is_purged_too),
        UPLOAD_TEST(a_purge_is_tried_again_until_the_server_answers),
        UPLOAD_TEST(a_lost_race_leaves_the_winners_version),
        UPLOAD_TEST(an_exclusive_create_of_a_name_that_lives_fails),
        UPLOAD_TEST(every_decided_failure_of_the_meta_undoes_the_upload),
        UPLOAD_TEST(an_undecided_meta_keeps_both_versions_whole),
        UPLOAD_TEST(an_unclear_answer_to_the_meta_is_resolved_by_what_is_there),
        UPLOAD_TEST(the_last_writer_wins_and_discards_what_it_replaced),
        UPLOAD_TEST(a_name_that_vanishes_before_the_meta_is_made_again),
        UPLOAD_TEST(a_race_that_is_lost_every_time_is_won_in_the_end),
        UPLOAD_TEST(a_link_that_is_replaced_has_no_chunks_to_discard),
        UPLOAD_TEST(a_known_version_that_is_replaced_is_discarded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
