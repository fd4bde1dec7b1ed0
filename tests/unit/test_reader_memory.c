/* SPDX-License-Identifier: Apache-2.0 */
/* test_reader_memory.c - sources, readers and reads without memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tests/support/failing_malloc.h"
#include "tests/support/reader_fixture.h"

static void a_source_or_reader_without_memory_is_null(void **state)
{
    struct fixture *f = *state;
    put_object(f, SIZE, CHUNK);
    const struct object_meta *meta = fake_store_newest(f->fake, "object")->meta;
    unsigned n = 1;

    f->cache = chunk_cache_new(BUDGET);
    for (bool failed = true; failed; n++) {
        failing_malloc_start(n);
        struct source *source = source_new(f->cache, fake_store_get(f->fake), meta, 21);
        failed = failing_malloc_stop();
        assert_int_equal(source == NULL, failed);
        source_unref(source);
    }
    assert_true(n > 3);
    f->source = source_new(f->cache, fake_store_get(f->fake), meta, 21);
    failing_malloc_start(1);
    assert_null(reader_new(f->source, 4));
    assert_true(failing_malloc_stop());
}

/* Read one chunk with each of its allocations failing, then with none. */
static void check_reads(struct fixture *f, uint64_t offset, unsigned allocations)
{
    for (unsigned n = 1; n <= allocations; n++) {
        struct got got = {.answers = 0};
        pthread_mutex_init(&got.lock, NULL);
        pthread_cond_init(&got.changed, NULL);
        failing_malloc_start(n);
        reader_read(f->reader, offset, 10, take, &got);
        assert_true(failing_malloc_stop());
        assert_int_equal(got.answers, 1);
        assert_int_equal(got.status, JSFS_NO_MEMORY);
    }
    assert_int_equal(read_now(f->reader, offset, 10), JSFS_OK);
}

static void a_read_without_memory_says_so_and_the_next_one_works(void **state)
{
    struct fixture *f = *state;
    put_object(f, SIZE, CHUNK);
    open_object(f, BUDGET, 0);
    assert_int_equal(read_now(f->reader, 0, 10), JSFS_OK);
    check_reads(f, 5, 2);         /* cached: the read, its slots */
    check_reads(f, 3 * CHUNK, 3); /* and the request */
}

#define READER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        READER_TEST(a_source_or_reader_without_memory_is_null),
        READER_TEST(a_read_without_memory_says_so_and_the_next_one_works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
