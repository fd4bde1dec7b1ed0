/* SPDX-License-Identifier: Apache-2.0 */
/* test_source_digest.c - what is read in order is verified before its end is given out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tests/support/reader_fixture.h"

/* Digest ----------------------------------------------------------------------------------- */

static void put_wrong_object(struct fixture *f, size_t budget, int prefetch)
{
    put_object(f, SIZE, CHUNK);
    struct object_meta meta = *fake_store_newest(f->fake, "object")->meta;
    meta.digest[7] ^= 1;
    start(f, &meta, fake_store_last_sequence(f->fake), budget, prefetch);
}

static void a_wrong_digest_is_told_before_the_last_chunk_is_out(void **state)
{
    static const size_t budgets[] = {BUDGET, 6 * CHUNK, 0};
    static const size_t steps[] = {100, 450, CHUNK, 3 * CHUNK, SIZE};
    for (size_t i = 0; i < 15; i++) {
        struct fixture *f = *state;
        size_t step = steps[i / 3], at = 0;
        put_wrong_object(f, budgets[i % 3], 4);
        for (; at + step <= (COUNT - 1) * CHUNK; at += step)
            assert_int_equal(read_now(f->reader, at, step), JSFS_OK);
        if (at < (COUNT - 1) * CHUNK)
            at = SIZE - step < at ? SIZE - step : at;
        assert_int_equal(read_now(f->reader, at, SIZE - at), JSFS_CORRUPT);
        assert_int_equal(read_now(f->reader, SIZE - 1, 1), JSFS_CORRUPT);
        teardown(state);
        setup(state);
    }
}

static void a_right_digest_lets_the_end_out(void **state)
{
    static const size_t budgets[] = {BUDGET, 6 * CHUNK, 0};
    for (size_t i = 0; i < 3; i++) {
        struct fixture *f = *state;
        put_object(f, SIZE, CHUNK);
        open_object(f, budgets[i], 4);
        for (size_t at = 0; at < SIZE; at += 400)
            assert_int_equal(read_now(f->reader, at, SIZE - at < 400 ? SIZE - at : 400),
                             JSFS_OK);
        teardown(state);
        setup(state);
    }
}

static void the_end_waits_for_chunks_that_are_still_on_their_way(void **state)
{
    struct fixture *f = *state;
    put_wrong_object(f, BUDGET, 4);
    assert_int_equal(read_now(f->reader, 0, 10 * CHUNK), JSFS_OK);
    fake_store_hold(f->fake, FAKE_CHUNK_GET);

    struct got *middle = ask(f->reader, 10 * CHUNK, 9 * CHUNK);
    struct got *end = ask(f->reader, 19 * CHUNK, CHUNK); /* it came with the proof */
    assert_int_equal(end->answers, 0);
    fake_store_release(f->fake, FAKE_CHUNK_GET);
    assert_true(has_bytes(middle, 10 * CHUNK, 9 * CHUNK));
    assert_int_equal(end->answers, 1);
    assert_int_equal(end->status, JSFS_CORRUPT);
    drop(middle);
    drop(end);
}

static void the_end_does_not_wait_for_chunks_that_failed(void **state)
{
    struct fixture *f = *state;
    put_wrong_object(f, BUDGET, 0);
    assert_int_equal(read_now(f->reader, 0, 18 * CHUNK), JSFS_OK);
    fake_store_hold(f->fake, FAKE_CHUNK_GET);
    fake_store_fail(f->fake, FAKE_CHUNK_GET, 1, JSFS_TIMEOUT, false);

    struct got *middle = ask(f->reader, 18 * CHUNK, CHUNK);
    struct got *end = ask(f->reader, 19 * CHUNK, CHUNK);
    assert_int_equal(end->answers, 0);
    fake_store_release(f->fake, FAKE_CHUNK_GET);
    assert_int_equal(middle->status, JSFS_TIMEOUT);
    assert_true(has_bytes(end, 19 * CHUNK, 345)); /* unverified */
    drop(middle);
    drop(end);
    assert_int_equal(read_now(f->reader, 18 * CHUNK, CHUNK), JSFS_OK);
    assert_int_equal(read_now(f->reader, 19 * CHUNK, 345), JSFS_CORRUPT);
}

static void a_random_reader_gets_the_end_unverified(void **state)
{
    struct fixture *f = *state;
    put_wrong_object(f, BUDGET, 4);

    assert_int_equal(read_now(f->reader, 7 * CHUNK, 10), JSFS_OK);
    assert_int_equal(read_now(f->reader, SIZE - 345, 345), JSFS_OK);
    assert_int_equal(read_now(f->reader, 0, 10), JSFS_OK);
    assert_int_equal(read_now(f->reader, SIZE - 1, 1), JSFS_OK);
}

static void a_meta_without_digest_is_unverified(void **state)
{
    struct fixture *f = *state;
    put_object(f, SIZE, CHUNK);
    struct object_meta meta = *fake_store_newest(f->fake, "object")->meta;
    meta.has_digest = false;
    start(f, &meta, fake_store_last_sequence(f->fake), BUDGET, 4);
    assert_int_equal(read_now(f->reader, 0, SIZE), JSFS_OK);
}

/* Threads ---------------------------------------------------------------------------------- */

struct walker {
    struct fixture *f;
    unsigned seed;
    bool in_order;
    int wrong;
};

static void *walk(void *arg)
{
    struct walker *walker = arg;
    struct reader *reader = reader_new(walker->f->source, 8);
    uint64_t at = 0;

    for (int i = 0; i < 300; i++) {
        size_t size = 1 + (size_t)rand_r(&walker->seed) % 4000;
        if (!walker->in_order)
            at = (uint64_t)rand_r(&walker->seed) % SIZE;
        if (size > SIZE - at)
            size = (size_t)(SIZE - at);
        struct got *got = ask(reader, at, size);
        wait_for(got);
        walker->wrong += !has_bytes(got, at, size);
        drop(got);
        at = at + size >= SIZE ? 0 : at + size;
    }
    reader_free(reader);
    return NULL;
}

static void threads_read_one_source_at_once(void **state)
{
    static const size_t budgets[] = {BUDGET, 5 * CHUNK, 0};
    for (size_t round = 0; round < 3; round++) {
        struct fixture *f = *state;
        struct executor *executor = executor_new(3);
        struct walker walkers[4];
        pthread_t threads[4];
        put_object(f, SIZE, CHUNK);
        open_object(f, budgets[round], 8);
        fake_store_answer_on(f->fake, executor);

        for (unsigned i = 0; i < 4; i++) {
            walkers[i] = (struct walker){f, i, i % 2 == 0, 0};
            assert_int_equal(pthread_create(&threads[i], NULL, walk, &walkers[i]), 0);
        }
        for (unsigned i = 0; i < 4; i++) {
            pthread_join(threads[i], NULL);
            assert_int_equal(walkers[i].wrong, 0);
        }
        executor_free(executor);
        fake_store_answer_on(f->fake, NULL);
        teardown(state);
        setup(state);
    }
}

static void *release_held(void *arg)
{
    struct fixture *f = arg;
    for (int i = 0; i < 200000; i++)
        fake_store_release_one(f->fake, FAKE_CHUNK_GET);
    fake_store_release(f->fake, FAKE_CHUNK_GET);
    return NULL;
}

static void a_wrong_digest_is_found_when_answers_come_on_other_threads(void **state)
{
    for (int round = 0; round < 20; round++) {
        struct fixture *f = *state;
        struct got *got[COUNT];
        pthread_t threads[2];
        put_wrong_object(f, round % 2 ? BUDGET : 0, 0);
        fake_store_hold(f->fake, FAKE_CHUNK_GET);
        for (int i = 0; i < 2; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, release_held, f), 0);
        for (size_t i = 0; i < COUNT; i++)
            got[i] = ask(f->reader, i * CHUNK, CHUNK);
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        for (size_t i = 0; i < COUNT; i++) {
            wait_for(got[i]);
            assert_int_equal(got[i]->status, i + 1 == COUNT ? JSFS_CORRUPT : JSFS_OK);
            drop(got[i]);
        }
        teardown(state);
        setup(state);
    }
}

#define READER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        READER_TEST(a_wrong_digest_is_told_before_the_last_chunk_is_out),
        READER_TEST(a_right_digest_lets_the_end_out),
        READER_TEST(the_end_waits_for_chunks_that_are_still_on_their_way),
        READER_TEST(the_end_does_not_wait_for_chunks_that_failed),
        READER_TEST(a_random_reader_gets_the_end_unverified),
        READER_TEST(a_meta_without_digest_is_unverified),
        READER_TEST(threads_read_one_source_at_once),
        READER_TEST(a_wrong_digest_is_found_when_answers_come_on_other_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
