/* SPDX-License-Identifier: Apache-2.0 */
/* test_upload.c - a new version of an object in chunks, within a window. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tests/support/failing_malloc.h"
#include "tests/support/upload_fixture.h"

/* What is stored ---------------------------------------------------------------------------- */

static void what_is_written_is_what_the_name_has(void **state)
{
    static const size_t sizes[] = {0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 12345};
    for (size_t i = 0; i < 6; i++) {
        struct fixture *f = *state;
        assert_int_equal(put(f, sizes[i]), JSFS_OK);
        assert_object(f, sizes[i]);
        assert_int_equal(fake_store_newest(f->fake, "name")->meta->chunks,
                         (sizes[i] + CHUNK - 1) / CHUNK);
        assert_int_equal(fake_store_chunks(f->fake, "old"), 0);
        assert_int_equal(count_messages(f), (sizes[i] + CHUNK - 1) / CHUNK + 1);
        teardown(state);
        setup(state);
    }
}

static void an_empty_object_has_the_digest_of_nothing(void **state)
{
    static const unsigned char start_of_hash[] = {0xe3, 0xb0, 0xc4, 0x42};
    struct fixture *f = *state;

    assert_int_equal(put(f, 0), JSFS_OK);
    const struct object_meta *meta = fake_store_newest(f->fake, "name")->meta;
    assert_memory_equal(meta->digest, start_of_hash, sizeof(start_of_hash));
    assert_int_equal(calls(f, FAKE_CHUNK_PUT), 0);
}

static void writes_of_any_length_are_cut_into_equal_chunks(void **state)
{
    struct fixture *f = *state;
    uint64_t at = 0;

    start(f);
    for (size_t size = 1; size < 3000; at += size, size = size * 2 + 7)
        assert_int_equal(write_now(f->upload, at, size), JSFS_OK);
    assert_int_equal(upload_size(f->upload), at);
    assert_int_equal(commit_now(f->upload, STORE_EXPECT_ANY, 0), JSFS_OK);
    assert_object(f, at);
    assert_int_equal(calls(f, FAKE_CHUNK_PUT), (at + CHUNK - 1) / CHUNK);
}

static void chunks_are_cut_to_what_a_message_carries(void **state)
{
    struct fixture *f = *state;
    fake_store_set_message_max(f->fake, 300);
    assert_int_equal(put(f, 1000), JSFS_OK);
    assert_object(f, 1000);
    assert_int_equal(fake_store_newest(f->fake, "name")->meta->max_chunk_bytes, 300);
}

static void a_write_elsewhere_is_refused_and_takes_nothing(void **state)
{
    struct fixture *f = *state;
    start(f);
    assert_int_equal(write_now(f->upload, 0, 500), JSFS_OK);
    assert_int_equal(write_now(f->upload, 499, 10), JSFS_UNSUPPORTED);
    assert_int_equal(write_now(f->upload, 501, 10), JSFS_UNSUPPORTED);
    assert_int_equal(upload_size(f->upload), 500);
    assert_int_equal(commit_now(f->upload, STORE_EXPECT_ANY, 0), JSFS_OK);
    assert_object(f, 500);
}

static void a_committed_upload_takes_no_more(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put(f, 1500), JSFS_OK);
    uint64_t sequence = fake_store_last_sequence(f->fake);

    assert_int_equal(upload_sequence(f->upload), sequence);
    assert_int_equal(fake_store_newest(f->fake, "name")->own_token,
                     upload_token(f->upload));
    assert_int_equal(commit_now(f->upload, STORE_EXPECT_ANY, 0), JSFS_OK);
    assert_int_equal(write_now(f->upload, 1500, 1), JSFS_UNSUPPORTED);
    assert_int_equal(commit_now(f->upload, STORE_EXPECT_ANY, 0), JSFS_OK);
    assert_int_equal(fake_store_last_sequence(f->fake), sequence);
    assert_object(f, 1500);
}

/* Order and window -------------------------------------------------------------------------- */

static void the_meta_waits_for_every_chunk(void **state)
{
    struct fixture *f = *state;
    struct end committed = END_INIT;
    fake_store_hold(f->fake, FAKE_CHUNK_PUT);

    start(f);
    assert_int_equal(write_now(f->upload, 0, 2500), JSFS_OK);
    assert_int_equal(upload_token(f->upload), 0);
    commit_at(f->upload, STORE_EXPECT_ANY, 0, &committed);
    assert_int_not_equal(upload_token(f->upload), 0);
    eventually(fake_store_held(f->fake, FAKE_CHUNK_PUT) == 3);
    for (int i = 0; i < 2; i++)
        fake_store_release_one(f->fake, FAKE_CHUNK_PUT);
    nanosleep(&(struct timespec){0, 20000000}, NULL);
    assert_int_equal(calls(f, FAKE_META_PUT), 0);
    assert_false(has_ended(&committed));
    fake_store_release(f->fake, FAKE_CHUNK_PUT);
    assert_int_equal(wait_for(&committed), JSFS_OK);
    assert_object(f, 2500);
}

static void old_chunks_go_after_the_meta_is_acknowledged(void **state)
{
    struct fixture *f = *state;
    struct end committed = END_INIT;
    fake_store_hold(f->fake, FAKE_META_PUT);

    start(f);
    assert_int_equal(write_now(f->upload, 0, 2500), JSFS_OK);
    commit_at(f->upload, STORE_EXPECT_ANY, 0, &committed);
    eventually(fake_store_held(f->fake, FAKE_META_PUT) == 1);
    assert_int_equal(fake_store_chunks(f->fake, "old"), 3);
    fake_store_release(f->fake, FAKE_META_PUT);
    assert_int_equal(wait_for(&committed), JSFS_OK);
    eventually(fake_store_chunks(f->fake, "old") == 0);
}

static void old_chunks_stay_while_somebody_reads_them(void **state)
{
    struct fixture *f = *state;
    bucket_hold_chunks(f->bucket, "old");
    assert_int_equal(put(f, 10), JSFS_OK);
    assert_int_equal(fake_store_chunks(f->fake, "old"), 3);
    bucket_release_chunks(f->bucket, "old");
    eventually(fake_store_chunks(f->fake, "old") == 0);
}

static void a_writer_waits_while_the_window_is_full(void **state)
{
    struct fixture *f = *state;
    struct end end = END_INIT, later = END_INIT;
    fake_store_hold(f->fake, FAKE_CHUNK_PUT);

    start(f);
    assert_int_equal(write_now(f->upload, 0, WINDOW), JSFS_OK);
    write_at(f->upload, WINDOW, 2 * CHUNK + 1, &end);
    eventually(fake_store_held(f->fake, FAKE_CHUNK_PUT) == 6);
    fake_store_release_one(f->fake, FAKE_CHUNK_PUT);
    assert_false(has_ended(&end));
    fake_store_release_one(f->fake, FAKE_CHUNK_PUT);
    assert_int_equal(wait_for(&end), JSFS_OK);
    write_at(f->upload, WINDOW + 2 * CHUNK + 1, CHUNK, &later);
    assert_false(has_ended(&later));
    fake_store_release(f->fake, FAKE_CHUNK_PUT);
    assert_int_equal(wait_for(&later), JSFS_OK);
    assert_int_equal(commit_now(f->upload, STORE_EXPECT_ANY, 0), JSFS_OK);
    assert_object(f, WINDOW + 3 * CHUNK + 1);
}

/* Ends --------------------------------------------------------------------------------------- */

static void closing_without_a_commit_undoes_the_upload(void **state)
{
    struct fixture *f = *state;
    start(f);
    assert_int_equal(write_now(f->upload, 0, 4 * CHUNK), JSFS_OK);
    upload_close(f->upload);
    f->upload = NULL;
    assert_undone(f);
    upload_close(NULL);
}

static void a_parked_writer_is_told_when_the_upload_is_closed(void **state)
{
    struct fixture *f = *state;
    struct end end = END_INIT;
    fake_store_hold(f->fake, FAKE_CHUNK_PUT);

    start(f);
    write_at(f->upload, 0, 10 * CHUNK, &end);
    assert_false(has_ended(&end));
    upload_close(f->upload);
    f->upload = NULL;
    assert_int_equal(wait_for(&end), JSFS_INTERRUPTED);
    fake_store_release(f->fake, FAKE_CHUNK_PUT);
    assert_undone(f);
}

static void a_commit_goes_on_after_the_close(void **state)
{
    struct fixture *f = *state;
    struct end committed = END_INIT;
    fake_store_hold(f->fake, FAKE_CHUNK_PUT);

    start(f);
    assert_int_equal(write_now(f->upload, 0, 2500), JSFS_OK);
    commit_at(f->upload, STORE_EXPECT_ANY, 0, &committed);
    upload_close(f->upload);
    f->upload = NULL;
    fake_store_release(f->fake, FAKE_CHUNK_PUT);
    assert_int_equal(wait_for(&committed), JSFS_OK);
    assert_object(f, 2500);
}

static void commits_that_come_together_end_together(void **state)
{
    struct fixture *f = *state;
    struct end first = END_INIT, second = END_INIT;
    fake_store_hold(f->fake, FAKE_META_PUT);

    start(f);
    assert_int_equal(write_now(f->upload, 0, 2500), JSFS_OK);
    commit_at(f->upload, STORE_EXPECT_ANY, 0, &first);
    commit_at(f->upload, STORE_EXPECT_ANY, 0, &second);
    eventually(fake_store_held(f->fake, FAKE_META_PUT) == 1);
    fake_store_release(f->fake, FAKE_META_PUT);
    assert_int_equal(wait_for(&first), JSFS_OK);
    assert_int_equal(wait_for(&second), JSFS_OK);
    assert_int_equal(calls(f, FAKE_META_PUT), 1);
}

static void uploads_run_beside_each_other_when_answers_come_on_threads(void **state)
{
    struct fixture *f = *state;
    struct executor *answers = executor_new(2);
    const struct upload_options options = {CHUNK, WINDOW};
    struct upload *other = upload_new(f->bucket, f->executor, "other", "other", &options);
    fake_store_answer_on(f->fake, answers);

    start(f);
    for (uint64_t at = 0; at < 200 * CHUNK; at += 3333) {
        assert_int_equal(write_now(f->upload, at, 3333), JSFS_OK);
        assert_int_equal(write_now(other, at, 3333), JSFS_OK);
    }
    assert_int_equal(commit_now(other, STORE_EXPECT_ABSENT, 0), JSFS_OK);
    assert_int_equal(commit_now(f->upload, STORE_EXPECT_ANY, 0), JSFS_OK);
    size_t size = (size_t)upload_size(f->upload);
    upload_close(other);
    eventually(fake_store_chunks(f->fake, "old") == 0);
    executor_free(answers);
    fake_store_answer_on(f->fake, NULL);
    assert_object(f, size);
}

static void without_memory_nothing_is_taken_and_nothing_is_lost(void **state)
{
    struct fixture *f = *state;
    const struct upload_options options = {CHUNK, WINDOW};
    char data[2 * CHUNK + 1];

    for (unsigned n = 1; n <= 3; n++) {
        failing_malloc_start(n);
        assert_null(upload_new(f->bucket, f->executor, "name", "name", &options));
        assert_true(failing_malloc_stop());
    }
    start(f);
    for (unsigned n = 1; n <= 4; n++) { /* the waiter and three chunks */
        struct end end = END_INIT;
        failing_malloc_start(n);
        upload_write(f->upload, 0, data, sizeof(data), take, &end);
        assert_true(failing_malloc_stop());
        assert_int_equal(wait_for(&end), JSFS_NO_MEMORY);
        assert_int_equal(upload_size(f->upload), 0);
    }
    assert_int_equal(write_now(f->upload, 0, 2500), JSFS_OK);
    assert_int_equal(commit_now(f->upload, STORE_EXPECT_ANY, 0), JSFS_OK);
    assert_object(f, 2500);
}

#define UPLOAD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UPLOAD_TEST(what_is_written_is_what_the_name_has),
        UPLOAD_TEST(an_empty_object_has_the_digest_of_nothing),
        UPLOAD_TEST(writes_of_any_length_are_cut_into_equal_chunks),
        UPLOAD_TEST(chunks_are_cut_to_what_a_message_carries),
        UPLOAD_TEST(a_write_elsewhere_is_refused_and_takes_nothing),
        UPLOAD_TEST(a_committed_upload_takes_no_more),
        UPLOAD_TEST(the_meta_waits_for_every_chunk),
        UPLOAD_TEST(old_chunks_go_after_the_meta_is_acknowledged),
        UPLOAD_TEST(old_chunks_stay_while_somebody_reads_them),
        UPLOAD_TEST(a_writer_waits_while_the_window_is_full),
        UPLOAD_TEST(closing_without_a_commit_undoes_the_upload),
        UPLOAD_TEST(a_parked_writer_is_told_when_the_upload_is_closed),
        UPLOAD_TEST(a_commit_goes_on_after_the_close),
        UPLOAD_TEST(commits_that_come_together_end_together),
        UPLOAD_TEST(uploads_run_beside_each_other_when_answers_come_on_threads),
        UPLOAD_TEST(without_memory_nothing_is_taken_and_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
