/* SPDX-License-Identifier: Apache-2.0 */
/* test_reader.c - reading ranges of one object version, on the store in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tests/support/reader_fixture.h"

/* Layouts ---------------------------------------------------------------------------------- */

static void every_range_of_an_object_reads_back(void **state)
{
    struct fixture *f = *state;
    put_object(f, SIZE, CHUNK);
    open_object(f, BUDGET, 4);

    assert_int_equal(source_size(f->source), SIZE);
    for (uint64_t offset = 0; offset < SIZE; offset += 333) {
        for (size_t size = 1; offset + size <= SIZE && size < 9000; size = size * 3 + 1)
            assert_int_equal(read_now(f->reader, offset, size), JSFS_OK);
    }
    assert_int_equal(fake_store_calls(f->fake, FAKE_CHUNK_MAP), 0);
}

static void a_range_is_cut_at_the_end(void **state)
{
    struct fixture *f = *state;
    put_object(f, SIZE, CHUNK);
    open_object(f, BUDGET, 0);

    struct got *got = ask(f->reader, SIZE - 10, 5000);
    assert_true(has_bytes(got, SIZE - 10, 10));
    drop(got);
    got = ask(f->reader, SIZE, 1);
    assert_true(has_bytes(got, SIZE, 0));
    drop(got);
    got = ask(f->reader, UINT64_MAX, SIZE_MAX);
    assert_true(has_bytes(got, 0, 0));
    drop(got);
}

static void an_empty_object_needs_no_request(void **state)
{
    struct fixture *f = *state;
    put_object(f, 0, CHUNK);
    open_object(f, BUDGET, 4);

    assert_int_equal(read_now(f->reader, 0, 0), JSFS_OK);
    struct got *got = ask(f->reader, 0, 4096);
    assert_true(has_bytes(got, 0, 0));
    drop(got);
    assert_int_equal(requests(f), 0);
}

static void one_chunk_takes_one_request(void **state)
{
    struct fixture *f = *state;
    put_object(f, 777, CHUNK);
    open_object(f, 0, 4); /* also when nothing can be cached */

    assert_int_equal(read_now(f->reader, 0, 777), JSFS_OK);
    assert_int_equal(requests(f), 1);
}

static void the_first_read_asks_for_proof_and_chunks_at_once(void **state)
{
    struct fixture *f = *state;
    put_object(f, SIZE, CHUNK);
    open_object(f, BUDGET, 4);
    fake_store_hold(f->fake, FAKE_CHUNK_FIRST);
    fake_store_hold(f->fake, FAKE_CHUNK_LAST);

    struct got *got = ask(f->reader, 2 * CHUNK, 3 * CHUNK);
    assert_int_equal(fake_store_calls(f->fake, FAKE_CHUNK_GET), 3);
    fake_store_release(f->fake, FAKE_CHUNK_LAST);
    assert_int_equal(got->answers, 0); /* not proven yet, though the chunks are here */
    fake_store_release(f->fake, FAKE_CHUNK_FIRST);
    assert_true(has_bytes(got, 2 * CHUNK, 3 * CHUNK));
    assert_int_equal(requests(f), 5);
    drop(got);
}

static void the_probes_give_the_first_and_the_last_chunk(void **state)
{
    struct fixture *f = *state;
    put_object(f, 2 * CHUNK, CHUNK);
    open_object(f, 0, 0);

    assert_int_equal(read_now(f->reader, 0, 2 * CHUNK), JSFS_OK);
    assert_int_equal(requests(f), 2);
}

static void a_wrong_guess_is_asked_for_again(void **state)
{
    struct fixture *f = *state;
    struct object_meta other = {.name = (char *)"other", .nuid = (char *)"n"};
    put_object(f, SIZE, CHUNK);
    fake_store_put_meta(f->fake, &other);
    struct object_meta meta = *fake_store_newest(f->fake, "object")->meta;
    /* renamed: the meta is stored anew, far from its chunks */
    uint64_t sequence = fake_store_put_meta(f->fake, &meta);
    start(f, &meta, sequence, BUDGET, 0);
    fake_store_hold(f->fake, FAKE_CHUNK_FIRST);

    struct got *got = ask(f->reader, 2 * CHUNK, 3 * CHUNK);
    assert_int_equal(fake_store_calls(f->fake, FAKE_CHUNK_GET), 3);
    fake_store_release(f->fake, FAKE_CHUNK_FIRST);
    assert_int_equal(fake_store_calls(f->fake, FAKE_CHUNK_GET), 6);
    assert_true(has_bytes(got, 2 * CHUNK, 3 * CHUNK));
    drop(got);
    assert_int_equal(read_now(f->reader, 0, SIZE), JSFS_OK);
}

static void a_wrong_guess_that_is_answered_late_is_nobodys(void **state)
{
    struct fixture *f = *state;
    put_object(f, SIZE, CHUNK);
    struct object_meta meta = *fake_store_newest(f->fake, "object")->meta;
    uint64_t sequence = fake_store_put_meta(f->fake, &meta);
    start(f, &meta, sequence, BUDGET, 0);
    fake_store_hold(f->fake, FAKE_CHUNK_FIRST);
    fake_store_hold(f->fake, FAKE_CHUNK_GET);

    struct got *got = ask(f->reader, 2 * CHUNK, 3 * CHUNK);
    fake_store_release(f->fake, FAKE_CHUNK_FIRST);
    assert_int_equal(fake_store_held(f->fake, FAKE_CHUNK_GET), 6);
    for (int i = 0; i < 3; i++)
        fake_store_release_one(f->fake, FAKE_CHUNK_GET);
    assert_int_equal(got->answers, 0);
    fake_store_release(f->fake, FAKE_CHUNK_GET);
    assert_true(has_bytes(got, 2 * CHUNK, 3 * CHUNK));
    drop(got);
}

/* An object whose chunks the test lays out. */
struct pieces {
    struct fixture *f;
    unsigned char next;
    struct object_meta meta;
};

static void put_piece(struct pieces *pieces, size_t size)
{
    unsigned char *data = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        data[i] = pieces->next++;
    fake_store_put_chunk(pieces->f->fake, "nuid", data, size);
    pieces->meta.size_bytes += size;
    pieces->meta.chunks += size > 0;
    free(data);
}

static struct pieces begin_pieces(struct fixture *f)
{
    return (struct pieces){
        .f = f,
        .meta = {
                 .name = (char *)"object", .nuid = (char *)"nuid", .max_chunk_bytes = CHUNK}
    };
}

static void open_pieces(struct pieces *pieces, size_t budget)
{
    uint64_t sequence = fake_store_put_meta(pieces->f->fake, &pieces->meta);
    start(pieces->f, &pieces->meta, sequence, budget, 2);
}

static void read_everywhere(struct fixture *f, size_t total)
{
    for (uint64_t offset = 0; offset < total; offset += 77) {
        size_t size = total - offset < 1500 ? total - offset : 1500;
        assert_int_equal(read_now(f->reader, offset, size), JSFS_OK);
    }
    assert_int_equal(fake_store_calls(f->fake, FAKE_CHUNK_MAP), 1);
}

static void interleaved_uploads_are_mapped(void **state)
{
    struct pieces pieces = begin_pieces(*state);
    for (size_t i = 0; i < 5; i++) {
        put_piece(&pieces, i < 4 ? CHUNK : 10);
        fake_store_put_chunk(pieces.f->fake, "another", "zzz", 3);
    }
    open_pieces(&pieces, BUDGET);
    read_everywhere(pieces.f, 4 * CHUNK + 10);
}

static void unequal_chunks_are_mapped(void **state)
{
    static const size_t sizes[] = {CHUNK, 17, 999, CHUNK, 1, 500};
    struct pieces pieces = begin_pieces(*state);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        put_piece(&pieces, sizes[i]);
    open_pieces(&pieces, BUDGET);
    read_everywhere(pieces.f, 3517);
}

static void an_empty_chunk_at_the_end_is_passed_over(void **state)
{
    struct pieces pieces = begin_pieces(*state);
    put_piece(&pieces, CHUNK);
    put_piece(&pieces, CHUNK);
    put_piece(&pieces, 0);
    open_pieces(&pieces, 0);
    read_everywhere(pieces.f, 2 * CHUNK);
}

static void a_meta_that_counts_no_chunks_is_mapped(void **state)
{
    struct pieces pieces = begin_pieces(*state);
    put_piece(&pieces, CHUNK);
    put_piece(&pieces, 5);
    pieces.meta.chunks = 0;
    open_pieces(&pieces, BUDGET);
    read_everywhere(pieces.f, CHUNK + 5);
}

static void chunks_that_do_not_add_up_are_corrupt(void **state)
{
    static const int wrong[] = {-1, 1, 1000};
    for (size_t i = 0; i < 3; i++) {
        struct fixture *f = *state;
        struct pieces pieces = begin_pieces(f);
        put_piece(&pieces, CHUNK);
        put_piece(&pieces, CHUNK);
        pieces.meta.size_bytes += (uint64_t)wrong[i];
        open_pieces(&pieces, BUDGET);
        assert_int_equal(read_now(f->reader, 0, 100), JSFS_CORRUPT);
        teardown(state);
        setup(state);
    }
}

static void a_chunk_longer_than_the_meta_allows_is_corrupt(void **state)
{
    struct pieces pieces = begin_pieces(*state);
    put_piece(&pieces, CHUNK);
    put_piece(&pieces, CHUNK + 100);
    put_piece(&pieces, CHUNK - 100);
    put_piece(&pieces, CHUNK);
    open_pieces(&pieces, BUDGET);
    assert_int_equal(read_now(pieces.f->reader, CHUNK, 10), JSFS_CORRUPT);
    assert_int_equal(read_now(pieces.f->reader, 2 * CHUNK, 10), JSFS_CORRUPT);
}

static void an_object_without_its_chunks_is_corrupt(void **state)
{
    struct fixture *f = *state;
    put_object(f, SIZE, CHUNK);
    fake_store_forget_below(f->fake, COUNT + 1);
    open_object(f, BUDGET, 0);
    assert_int_equal(read_now(f->reader, 0, 100), JSFS_CORRUPT);
}

static void a_meta_without_nuid_is_corrupt(void **state)
{
    struct fixture *f = *state;
    struct object_meta meta = {
        .name = (char *)"x", .size_bytes = 10, .chunks = 1, .max_chunk_bytes = CHUNK};
    start(f, &meta, 1, BUDGET, 0);
    assert_int_equal(read_now(f->reader, 0, 10), JSFS_CORRUPT);
    assert_int_equal(requests(f), 0);
}

static void chunks_that_vanish_under_a_reader_are_stale(void **state)
{
    struct fixture *f = *state;
    put_object(f, SIZE, CHUNK);
    open_object(f, BUDGET, 0);

    assert_int_equal(read_now(f->reader, 0, 100), JSFS_OK);
    fake_store_forget_below(f->fake, COUNT + 1);
    assert_int_equal(read_now(f->reader, 5 * CHUNK, 100), JSFS_STALE);
    assert_int_equal(read_now(f->reader, 0, 100), JSFS_OK); /* cached */
}

/* Failures --------------------------------------------------------------------------------- */

static void a_failure_is_passed_on_and_not_remembered(void **state)
{
    static const enum fake_op ops[] = {FAKE_CHUNK_FIRST, FAKE_CHUNK_LAST, FAKE_CHUNK_GET};
    struct fixture *f = *state;
    put_object(f, SIZE, CHUNK);
    open_object(f, BUDGET, 0);

    for (size_t i = 0; i < 3; i++) {
        fake_store_fail(f->fake, ops[i], 1, JSFS_TIMEOUT, false);
        assert_int_equal(read_now(f->reader, 3 * CHUNK, 2 * CHUNK), JSFS_TIMEOUT);
    }
    assert_int_equal(read_now(f->reader, 3 * CHUNK, 2 * CHUNK), JSFS_OK);
}

static void a_map_that_fails_is_made_again(void **state)
{
    struct pieces pieces = begin_pieces(*state);
    put_piece(&pieces, 10);
    put_piece(&pieces, CHUNK);
    open_pieces(&pieces, BUDGET);
    fake_store_fail(pieces.f->fake, FAKE_CHUNK_MAP, 1, JSFS_UNAVAILABLE, false);
    assert_int_equal(read_now(pieces.f->reader, 0, 100), JSFS_UNAVAILABLE);
    assert_int_equal(read_now(pieces.f->reader, 0, 100), JSFS_OK);
}

static void one_failed_chunk_fails_only_the_reads_that_need_it(void **state)
{
    struct fixture *f = *state;
    put_object(f, SIZE, CHUNK);
    open_object(f, BUDGET, 0);
    assert_int_equal(read_now(f->reader, 0, 1), JSFS_OK);
    fake_store_hold(f->fake, FAKE_CHUNK_GET);
    fake_store_fail(f->fake, FAKE_CHUNK_GET, 1, JSFS_BUSY, false);

    struct got *broken = ask(f->reader, 7 * CHUNK, 2 * CHUNK);
    struct got *whole = ask(f->reader, 8 * CHUNK, 2 * CHUNK);
    fake_store_release(f->fake, FAKE_CHUNK_GET);
    assert_int_equal(broken->answers, 1);
    assert_int_equal(broken->status, JSFS_BUSY);
    assert_true(has_bytes(whole, 8 * CHUNK, 2 * CHUNK));
    drop(broken);
    drop(whole);
}

/* Sharing and prefetch --------------------------------------------------------------------- */

static void a_chunk_is_asked_for_once_however_many_wait(void **state)
{
    struct fixture *f = *state;
    struct got *got[5];
    put_object(f, SIZE, CHUNK);
    open_object(f, BUDGET, 0);
    struct reader *other = reader_new(f->source, 0);
    assert_int_equal(read_now(f->reader, 0, 1), JSFS_OK);
    fake_store_hold(f->fake, FAKE_CHUNK_GET);
    unsigned before = requests(f);

    for (size_t i = 0; i < 5; i++)
        got[i] = ask(i % 2 ? f->reader : other, 6 * CHUNK + i, 2 * CHUNK);
    assert_int_equal(requests(f) - before, 3);
    fake_store_release(f->fake, FAKE_CHUNK_GET);
    for (size_t i = 0; i < 5; i++) {
        assert_true(has_bytes(got[i], 6 * CHUNK + i, 2 * CHUNK));
        drop(got[i]);
    }
    reader_free(other);
}

static void what_is_cached_is_answered_without_a_request(void **state)
{
    struct fixture *f = *state;
    put_object(f, SIZE, CHUNK);
    open_object(f, BUDGET, 0);

    assert_int_equal(read_now(f->reader, 0, SIZE), JSFS_OK);
    unsigned before = requests(f);
    for (uint64_t offset = 0; offset < SIZE; offset += 100)
        assert_int_equal(read_now(f->reader, offset, 45), JSFS_OK);
    assert_int_equal(requests(f), before);
}

static void reading_in_order_opens_the_window(void **state)
{
    struct fixture *f = *state;
    put_object(f, 100 * CHUNK, CHUNK);
    open_object(f, BUDGET, 8);

    assert_int_equal(read_now(f->reader, 0, CHUNK),
                     JSFS_OK); /* window 2, nothing proven yet */
    assert_int_equal(requests(f), 2);
    assert_int_equal(read_now(f->reader, CHUNK, CHUNK), JSFS_OK); /* 1, and 2..5 ahead */
    assert_int_equal(requests(f), 2 + 5);
    assert_int_equal(read_now(f->reader, 2 * CHUNK, CHUNK), JSFS_OK); /* 6..10 */
    assert_int_equal(requests(f), 7 + 5);
    assert_int_equal(read_now(f->reader, 3 * CHUNK, CHUNK),
                     JSFS_OK); /* the widest: one more */
    assert_int_equal(requests(f), 12 + 1);
}

static void small_reads_within_a_chunk_do_not_open_the_window(void **state)
{
    struct fixture *f = *state;
    put_object(f, 100 * CHUNK, CHUNK);
    open_object(f, BUDGET, 64);

    for (uint64_t offset = 0; offset < CHUNK; offset += 10)
        assert_int_equal(read_now(f->reader, offset, 10), JSFS_OK);
    assert_int_equal(requests(f), 2 + 2);
}

static void reads_a_little_out_of_order_keep_the_window(void **state)
{
    static const uint64_t order[] = {0, 1, 3, 2, 4, 6, 5, 7};
    struct fixture *f = *state;
    put_object(f, 100 * CHUNK, CHUNK);
    open_object(f, BUDGET, 16);

    for (size_t i = 0; i < 8; i++)
        assert_int_equal(read_now(f->reader, order[i] * 2 * CHUNK, 2 * CHUNK), JSFS_OK);
    /* 0..15, sixteen ahead of those, and the last chunk for the proof */
    assert_int_equal(requests(f), 16 + 16 + 1);
}

static void random_backward_and_strided_reads_ask_for_nothing_else(void **state)
{
    static const uint64_t chunks[] = {50, 10, 90, 30, 70, 66, 62, 58, 54, 10, 20, 30, 40};
    struct fixture *f = *state;
    put_object(f, 100 * CHUNK, CHUNK);
    open_object(f, BUDGET, 64);

    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++)
        assert_int_equal(read_now(f->reader, chunks[i] * CHUNK + 5, 100), JSFS_OK);
    assert_int_equal(requests(f), 2 + 11); /* two of them were read twice */
}

static void prefetch_keeps_to_what_the_cache_can_hold(void **state)
{
    struct fixture *f = *state;
    put_object(f, 100 * CHUNK, CHUNK);
    open_object(f, 8 * CHUNK, 64);

    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(read_now(f->reader, i * CHUNK, CHUNK), JSFS_OK);
    assert_int_equal(requests(f),
                     101); /* the last one twice: it was the proof, and then out */
}

static void what_is_in_flight_is_bounded(void **state)
{
    struct fixture *f = *state;
    put_object(f, 2000 * 10, 10);
    open_object(f, BUDGET, 64);
    assert_int_equal(read_now(f->reader, 0, 1), JSFS_OK);
    fake_store_hold(f->fake, FAKE_CHUNK_GET);

    struct got *got = ask(f->reader, 0, 2000 * 10);
    size_t most = fake_store_held(f->fake, FAKE_CHUNK_GET);
    assert_in_range(most, 1, 256);
    while (fake_store_release_one(f->fake, FAKE_CHUNK_GET))
        assert_true(fake_store_held(f->fake, FAKE_CHUNK_GET) <= most);
    assert_true(has_bytes(got, 0, 2000 * 10));
    drop(got);
}

static void a_reader_may_go_while_its_reads_are_in_flight(void **state)
{
    struct fixture *f = *state;
    put_object(f, SIZE, CHUNK);
    open_object(f, BUDGET, 8);
    assert_int_equal(read_now(f->reader, 0, CHUNK), JSFS_OK);
    fake_store_hold(f->fake, FAKE_CHUNK_GET);

    struct got *got = ask(f->reader, CHUNK, CHUNK);
    reader_free(f->reader);
    f->reader = NULL;
    source_unref(f->source);
    f->source = NULL;
    fake_store_release(f->fake, FAKE_CHUNK_GET);
    assert_true(has_bytes(got, CHUNK, CHUNK));
    assert_int_equal(chunk_cache_room(f->cache),
                     BUDGET / 2); /* its chunks went with it */
    drop(got);
}

#define READER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        READER_TEST(every_range_of_an_object_reads_back),
        READER_TEST(a_range_is_cut_at_the_end),
        READER_TEST(an_empty_object_needs_no_request),
        READER_TEST(one_chunk_takes_one_request),
        READER_TEST(the_first_read_asks_for_proof_and_chunks_at_once),
        READER_TEST(the_probes_give_the_first_and_the_last_chunk),
        READER_TEST(a_wrong_guess_is_asked_for_again),
        READER_TEST(a_wrong_guess_that_is_answered_late_is_nobodys),
        READER_TEST(interleaved_uploads_are_mapped),
        READER_TEST(unequal_chunks_are_mapped),
        READER_TEST(an_empty_chunk_at_the_end_is_passed_over),
        READER_TEST(a_meta_that_counts_no_chunks_is_mapped),
        READER_TEST(chunks_that_do_not_add_up_are_corrupt),
        READER_TEST(a_chunk_longer_than_the_meta_allows_is_corrupt),
        READER_TEST(an_object_without_its_chunks_is_corrupt),
        READER_TEST(a_meta_without_nuid_is_corrupt),
        READER_TEST(chunks_that_vanish_under_a_reader_are_stale),
        READER_TEST(a_failure_is_passed_on_and_not_remembered),
        READER_TEST(a_map_that_fails_is_made_again),
        READER_TEST(one_failed_chunk_fails_only_the_reads_that_need_it),
        READER_TEST(a_chunk_is_asked_for_once_however_many_wait),
        READER_TEST(what_is_cached_is_answered_without_a_request),
        READER_TEST(reading_in_order_opens_the_window),
        READER_TEST(small_reads_within_a_chunk_do_not_open_the_window),
        READER_TEST(reads_a_little_out_of_order_keep_the_window),
        READER_TEST(random_backward_and_strided_reads_ask_for_nothing_else),
        READER_TEST(prefetch_keeps_to_what_the_cache_can_hold),
        READER_TEST(what_is_in_flight_is_bounded),
        READER_TEST(a_reader_may_go_while_its_reads_are_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
