/* SPDX-License-Identifier: Apache-2.0 */
/* test_chunk_cache.c - the chunk cache keeps to its budget and forgets the oldest first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "core/chunk_cache.h"
#include "tests/support/failing_malloc.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 10000

static atomic_int living;

static void release_counted(void *owner)
{
    free(owner);
    atomic_fetch_sub(&living, 1);
}

/* A chunk of size bytes of one letter, counted while it lives. */
static struct bytes *letters(char letter, size_t size)
{
    char *data = malloc(size);
    assert_non_null(data);
    memset(data, letter, size);
    atomic_fetch_add(&living, 1);
    return bytes_wrap(data, size, release_counted, data);
}

static void put(struct chunk_cache *cache, uint64_t source, uint32_t index, char letter)
{
    struct bytes *chunk = letters(letter, CHUNK);
    chunk_cache_put(cache, source, index, chunk);
    bytes_unref(chunk);
}

/* The letter of a cached chunk; 0: not there. */
static char get(struct chunk_cache *cache, uint64_t source, uint32_t index)
{
    struct bytes *chunk = chunk_cache_get(cache, source, index);
    char letter = chunk == NULL ? 0 : chunk->data[0];
    bytes_unref(chunk);
    return letter;
}

static int setup(void **state)
{
    atomic_store(&living, 0);
    *state = chunk_cache_new(10 * CHUNK);
    return *state == NULL;
}

static int teardown(void **state)
{
    chunk_cache_free(*state);
    return atomic_load(&living); /* whatever is left has leaked */
}

static void a_chunk_is_found_under_its_own_source_and_index_only(void **state)
{
    struct chunk_cache *cache = *state;
    uint64_t a = chunk_cache_source(cache), b = chunk_cache_source(cache);

    assert_int_not_equal(a, b);
    put(cache, a, 1, 'x');
    put(cache, b, 2, 'y');
    assert_int_equal(get(cache, a, 1), 'x');
    assert_int_equal(get(cache, b, 2), 'y');
    assert_int_equal(get(cache, a, 2), 0);
    assert_int_equal(get(cache, b, 1), 0);
}

static void what_was_used_longest_ago_goes_first(void **state)
{
    struct chunk_cache *cache = *state;

    for (uint32_t i = 0; i < 9; i++)
        put(cache, 1, i, 'a');
    assert_int_equal(get(cache, 1, 0), 'a');
    assert_int_equal(get(cache, 1, 0), 'a');
    put(cache, 1, 9, 'b');
    assert_int_equal(get(cache, 1, 0), 'a');
    assert_int_equal(get(cache, 1, 1), 0);
    assert_int_equal(get(cache, 1, 2), 'a');
    assert_int_equal(get(cache, 1, 9), 'b');
}

static void what_was_read_once_goes_before_what_came_later(void **state)
{
    struct chunk_cache *cache = *state;

    for (uint32_t i = 0; i < 9; i++)
        put(cache, 1, i, 'a');
    assert_int_equal(get(cache, 1, 0), 'a');
    put(cache, 1, 9, 'b');
    assert_int_equal(get(cache, 1, 0), 0);
    assert_int_equal(get(cache, 1, 1), 'a');
}

static void the_budget_is_never_exceeded(void **state)
{
    struct chunk_cache *cache = *state;

    for (uint32_t i = 0; i < 1000; i++) {
        put(cache, i % 7, i, 'a');
        assert_true(atomic_load(&living) <=
                    9); /* ten chunks and their entries are too much */
    }
    assert_int_equal(atomic_load(&living), 9);
}

static void a_chunk_above_the_budget_is_not_kept_and_pushes_nothing_out(void **state)
{
    struct chunk_cache *cache = *state;
    struct bytes *large = letters('l', 10 * CHUNK);

    put(cache, 1, 1, 'a');
    chunk_cache_put(cache, 1, 2, large);
    bytes_unref(large);
    assert_int_equal(get(cache, 1, 2), 0);
    assert_int_equal(get(cache, 1, 1), 'a');
}

static void a_second_put_replaces_the_first(void **state)
{
    struct chunk_cache *cache = *state;

    put(cache, 1, 1, 'a');
    put(cache, 1, 1, 'b');
    assert_int_equal(get(cache, 1, 1), 'b');
    assert_int_equal(atomic_load(&living), 1);
}

static void a_reference_outlives_eviction(void **state)
{
    struct chunk_cache *cache = *state;

    put(cache, 1, 0, 'a');
    struct bytes *chunk = chunk_cache_get(cache, 1, 0);
    for (uint32_t i = 1; i < 100; i++)
        put(cache, 1, i, 'b');
    assert_int_equal(get(cache, 1, 0), 0);
    assert_int_equal(chunk->data[CHUNK - 1], 'a');
    bytes_unref(chunk);
}

static void dropping_a_source_leaves_the_others(void **state)
{
    struct chunk_cache *cache = *state;

    for (uint32_t i = 0; i < 4; i++) {
        put(cache, 1, i, 'a');
        put(cache, 2, i, 'b');
    }
    chunk_cache_drop(cache, 2, 3);
    chunk_cache_drop(cache, 2, 77);
    chunk_cache_drop_source(cache, 1);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(get(cache, 1, i), 0);
        assert_int_equal(get(cache, 2, i), i == 3 ? 0 : 'b');
    }
    assert_int_equal(atomic_load(&living), 3);
}

static void what_nobody_has_got_yet_takes_from_the_room(void **state)
{
    struct chunk_cache *cache = *state;

    assert_int_equal(chunk_cache_room(cache), 5 * CHUNK);
    put(cache, 1, 0, 'a');
    put(cache, 1, 1, 'a');
    assert_true(chunk_cache_room(cache) <= 3 * CHUNK);
    assert_true(chunk_cache_has(cache, 1, 0));
    assert_true(chunk_cache_room(cache) <= 3 * CHUNK);
    get(cache, 1, 0);
    get(cache, 1, 0);
    assert_true(chunk_cache_room(cache) > 3 * CHUNK);
    chunk_cache_drop_source(cache, 1);
    assert_int_equal(chunk_cache_room(cache), 5 * CHUNK);
    for (uint32_t i = 0; i < 9; i++)
        put(cache, 2, i, 'a');
    assert_int_equal(chunk_cache_room(cache), 0);
    assert_false(chunk_cache_has(cache, 1, 0));
}

static void a_budget_of_nothing_keeps_nothing(void **state)
{
    struct chunk_cache *cache = chunk_cache_new(0);
    (void)state;

    put(cache, 1, 1, 'a');
    assert_int_equal(get(cache, 1, 1), 0);
    assert_int_equal(chunk_cache_room(cache), 0);
    chunk_cache_free(cache);
    chunk_cache_free(NULL);
}

static void without_memory_there_is_no_cache_and_nothing_is_kept(void **state)
{
    for (unsigned n = 1; n <= 3; n++) {
        failing_malloc_start(n);
        assert_null(chunk_cache_new(CHUNK));
        assert_true(failing_malloc_stop());
    }
    struct bytes *chunk = letters('a', CHUNK);
    failing_malloc_start(1);
    chunk_cache_put(*state, 1, 1, chunk);
    assert_true(failing_malloc_stop());
    bytes_unref(chunk);
    assert_int_equal(get(*state, 1, 1), 0);
}

static void *hammer(void *arg)
{
    struct chunk_cache *cache = arg;
    uint64_t source = chunk_cache_source(cache);
    uintptr_t wrong = 0;

    for (uint32_t i = 0; i < 5000; i++) {
        char letter = (char)('a' + i % 13);
        put(cache, source, i % 13, letter);
        char there = get(cache, source, i % 13);
        wrong += there != 0 && there != letter;
        if (i % 100 == 0)
            chunk_cache_drop_source(cache, source);
    }
    return (void *)wrong;
}

static void threads_never_get_each_others_chunks(void **state)
{
    pthread_t threads[4];
    void *wrong;

    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, *state), 0);
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    assert_true(atomic_load(&living) <= 9);
}

#define CACHE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CACHE_TEST(a_chunk_is_found_under_its_own_source_and_index_only),
        CACHE_TEST(what_was_used_longest_ago_goes_first),
        CACHE_TEST(what_was_read_once_goes_before_what_came_later),
        CACHE_TEST(the_budget_is_never_exceeded),
        CACHE_TEST(a_chunk_above_the_budget_is_not_kept_and_pushes_nothing_out),
        CACHE_TEST(a_second_put_replaces_the_first),
        CACHE_TEST(a_reference_outlives_eviction),
        CACHE_TEST(dropping_a_source_leaves_the_others),
        CACHE_TEST(what_nobody_has_got_yet_takes_from_the_room),
        CACHE_TEST(a_budget_of_nothing_keeps_nothing),
        CACHE_TEST(without_memory_there_is_no_cache_and_nothing_is_kept),
        CACHE_TEST(threads_never_get_each_others_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
