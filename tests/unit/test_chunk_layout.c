/* SPDX-License-Identifier: Apache-2.0 */
/* test_chunk_layout.c - where the chunks of an object are, also of a very large one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "core/chunk_layout.h"

#define GIB (UINT64_C(1) << 30)

/* Every chunk begins where the one before ended, and holds its own bytes. */
static void assert_whole(const struct chunk_layout *layout, uint32_t step)
{
    for (uint64_t i = 0; i < layout->count; i += step) {
        uint64_t offset = chunk_layout_offset(layout, (uint32_t)i);
        uint64_t end = offset + chunk_layout_length(layout, (uint32_t)i);
        assert_true(end > offset);
        assert_int_equal(chunk_layout_find(layout, offset), i);
        assert_int_equal(chunk_layout_find(layout, end - 1), i);
        if (i + 1 < layout->count)
            assert_int_equal(chunk_layout_offset(layout, (uint32_t)i + 1), end);
        else
            assert_int_equal(end, layout->size_bytes);
    }
}

static void equal_chunks_are_computed_beyond_4_gib(void **state)
{
    struct chunk_layout layout;
    (void)state;

    chunk_layout_set_uniform(&layout, 300 * GIB + 7, 300 * 8192 + 1, 131072, 5);
    assert_whole(&layout, 8192);
    assert_int_equal(chunk_layout_length(&layout, 300 * 8192), 7);
    assert_int_equal(chunk_layout_sequence(&layout, 300 * 8192), 300 * 8192 + 5);
}

static void numbers_that_equal_chunks_cannot_have_are_told(void **state)
{
    static const struct {
        uint64_t size;
        uint32_t chunks, most;
        bool uniform;
    } rows[] = {
        {1,                 1, 1, true },
        {10,                2, 5, true },
        {11,                3, 5, true },
        {9,                 2, 5, true },
        {11,                2, 5, false},
        {5,                 2, 5, false},
        {0,                 0, 5, false},
        {0,                 1, 5, false},
        {5,                 0, 5, false},
        {5,                 1, 0, false},
        {UINT64_MAX,        1, 1, false},
        {UINT64_C(1) << 32, 0, 1, false},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(
            chunk_layout_may_be_uniform(rows[i].size, rows[i].chunks, rows[i].most),
            rows[i].uniform);
}

static void a_map_finds_every_offset(void **state)
{
    static const struct store_chunk chunks[] = {
        {3,  1         },
        {9,  UINT32_MAX},
        {10, 2         },
        {70, 5         }
    };
    struct chunk_layout layout;
    (void)state;

    assert_int_equal(chunk_layout_set_map(&layout, (uint64_t)UINT32_MAX + 8, chunks, 4),
                     JSFS_OK);
    assert_whole(&layout, 1);
    assert_int_equal(chunk_layout_sequence(&layout, 3), 70);
    chunk_layout_clear(&layout);
    chunk_layout_clear(&layout);
}

static void a_map_that_does_not_add_up_is_corrupt_and_changes_nothing(void **state)
{
    static const struct store_chunk chunks[] = {
        {3, 1},
        {9, 4}
    };
    struct chunk_layout layout = {.size_bytes = 77};
    (void)state;

    assert_int_equal(chunk_layout_set_map(&layout, 6, chunks, 2), JSFS_CORRUPT);
    assert_int_equal(chunk_layout_set_map(&layout, 0, chunks, 0), JSFS_CORRUPT);
    assert_int_equal(layout.size_bytes, 77);
    assert_null(layout.offsets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_chunks_are_computed_beyond_4_gib),
        cmocka_unit_test(numbers_that_equal_chunks_cannot_have_are_told),
        cmocka_unit_test(a_map_finds_every_offset),
        cmocka_unit_test(a_map_that_does_not_add_up_is_corrupt_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
