/* SPDX-License-Identifier: Apache-2.0 */
/* test_buffer.c - bytes that grow, also when memory does not.
 * Unit test of layer 1.
 */
#include "core/buffer.h"
#include "core/cleanup.h"
#include "tests/support/failing_malloc.h"
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static void appended_pieces_stand_one_after_another(void **state)
{
    CLEANUP(buffer_clear) struct buffer buffer = BUFFER_INIT;
    (void)state;

    assert_int_equal(buffer_append(&buffer, "ab", 2), JSFS_OK);
    assert_int_equal(buffer_append(&buffer, NULL, 0), JSFS_OK);
    assert_int_equal(buffer_append_text(&buffer, "cd"), JSFS_OK);
    assert_int_equal(buffer_append_format(&buffer, "%d-%s", 7, "e"), JSFS_OK);
    assert_int_equal(buffer.size, 7);
    assert_string_equal(buffer.data, "abcd7-e");
}

static void a_buffer_holds_nul_bytes_and_ends_in_one_more(void **state)
{
    CLEANUP(buffer_clear) struct buffer buffer = BUFFER_INIT;
    (void)state;

    assert_int_equal(buffer_append(&buffer, "a\0b", 3), JSFS_OK);
    assert_int_equal(buffer.size, 3);
    assert_memory_equal(buffer.data, "a\0b\0", 4);
}

static void growing_byte_by_byte_keeps_every_byte(void **state)
{
    CLEANUP(buffer_clear) struct buffer buffer = BUFFER_INIT;
    (void)state;

    for (size_t i = 0; i < 100000; i++) {
        char byte = (char)(i % 251);
        assert_int_equal(buffer_append(&buffer, &byte, 1), JSFS_OK);
        assert_true(buffer.capacity > buffer.size);
    }
    for (size_t i = 0; i < 100000; i++)
        assert_int_equal(buffer.data[i], (char)(i % 251));
    assert_int_equal(buffer.data[100000], 0);
}

static void a_reserved_buffer_does_not_move_while_it_fills(void **state)
{
    CLEANUP(buffer_clear) struct buffer buffer = BUFFER_INIT;
    (void)state;

    assert_int_equal(buffer_reserve(&buffer, 1000), JSFS_OK);
    assert_int_equal(buffer.size, 0);
    char *data = buffer.data;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(buffer_append(&buffer, "x", 1), JSFS_OK);
    assert_ptr_equal(buffer.data, data);
}

static void a_resized_buffer_gains_zeros_and_loses_its_end(void **state)
{
    CLEANUP(buffer_clear) struct buffer buffer = BUFFER_INIT;
    (void)state;

    assert_int_equal(buffer_append_text(&buffer, "abcdef"), JSFS_OK);
    assert_int_equal(buffer_resize(&buffer, 2), JSFS_OK);
    assert_string_equal(buffer.data, "ab");
    assert_int_equal(buffer_resize(&buffer, 5), JSFS_OK);
    assert_memory_equal(buffer.data, "ab\0\0\0\0", 6);
}

static void a_write_lands_at_its_offset_over_zeros(void **state)
{
    static const struct {
        size_t offset;
        const char *data;
        size_t size;
        const char *expected;
        size_t expected_size;
    } cases[] = {
        {0, "XY", 2, "XYcd",       4}, /* over the start */
        {3, "XY", 2, "abcXY",      5}, /* across the end */
        {4, "XY", 2, "abcdXY",     6}, /* behind the end */
        {6, "XY", 2, "abcd\0\0XY", 8}, /* over a gap */
        {9, "",   0, "abcd",       4}, /* nothing extends nothing */
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CLEANUP(buffer_clear) struct buffer buffer = BUFFER_INIT;
        assert_int_equal(buffer_append_text(&buffer, "abcd"), JSFS_OK);
        assert_int_equal(
            buffer_write(&buffer, cases[i].offset, cases[i].data, cases[i].size),
            JSFS_OK);
        assert_int_equal(buffer.size, cases[i].expected_size);
        assert_memory_equal(buffer.data, cases[i].expected, cases[i].expected_size + 1);
    }
}

static void sizes_that_overflow_change_nothing(void **state)
{
    CLEANUP(buffer_clear) struct buffer buffer = BUFFER_INIT;
    (void)state;

    assert_int_equal(buffer_append_text(&buffer, "abcd"), JSFS_OK);
    assert_int_equal(buffer_write(&buffer, SIZE_MAX, "x", 1), JSFS_TOO_LARGE);
    assert_int_equal(buffer_write(&buffer, SIZE_MAX - 1, "x", 1), JSFS_NO_MEMORY);
    assert_int_equal(buffer_append(&buffer, "x", SIZE_MAX), JSFS_NO_MEMORY);
    assert_int_equal(buffer_reserve(&buffer, SIZE_MAX), JSFS_NO_MEMORY);
    assert_int_equal(buffer_resize(&buffer, PTRDIFF_MAX), JSFS_NO_MEMORY);
    assert_int_equal(buffer.size, 4);
    assert_string_equal(buffer.data, "abcd");
}

static void taking_leaves_an_empty_buffer(void **state)
{
    struct buffer buffer = BUFFER_INIT;
    (void)state;

    assert_int_equal(buffer_append_text(&buffer, "abc"), JSFS_OK);
    CLEANUP(cleanup_free) char *text = buffer_take(&buffer);
    assert_string_equal(text, "abc");
    assert_null(buffer.data);
    assert_int_equal(buffer.size, 0);
    assert_int_equal(buffer.capacity, 0);

    CLEANUP(cleanup_free) char *empty = buffer_take(&buffer);
    assert_string_equal(empty, "");
}

static enum jsfs_status reserve_more(struct buffer *buffer)
{
    return buffer_reserve(buffer, 500);
}

static enum jsfs_status resize_more(struct buffer *buffer)
{
    return buffer_resize(buffer, 500);
}

static enum jsfs_status append_more(struct buffer *buffer)
{
    static const char bytes[500];

    return buffer_append(buffer, bytes, sizeof(bytes));
}

static enum jsfs_status append_format_more(struct buffer *buffer)
{
    return buffer_append_format(buffer, "%500d", 1);
}

static enum jsfs_status write_more(struct buffer *buffer)
{
    return buffer_write(buffer, 500, "x", 1);
}

static void without_memory_nothing_changes(void **state)
{
    static enum jsfs_status (*const grow[])(struct buffer *) = {
        reserve_more, resize_more, append_more, append_format_more, write_more};
    (void)state;

    for (size_t i = 0; i < sizeof(grow) / sizeof(grow[0]); i++) {
        CLEANUP(buffer_clear) struct buffer buffer = BUFFER_INIT;
        assert_int_equal(buffer_append_text(&buffer, "abcd"), JSFS_OK);
        struct buffer before = buffer;
        failing_malloc_start(1);
        enum jsfs_status status = grow[i](&buffer);
        assert_true(failing_malloc_stop());
        assert_int_equal(status, JSFS_NO_MEMORY);
        assert_memory_equal(&buffer, &before, sizeof(buffer));
        assert_string_equal(buffer.data, "abcd");
    }
}

static void without_memory_an_empty_text_cannot_be_taken(void **state)
{
    struct buffer buffer = BUFFER_INIT;
    (void)state;

    failing_malloc_start(1);
    char *text = buffer_take(&buffer);
    assert_true(failing_malloc_stop());
    assert_null(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appended_pieces_stand_one_after_another),
        cmocka_unit_test(a_buffer_holds_nul_bytes_and_ends_in_one_more),
        cmocka_unit_test(growing_byte_by_byte_keeps_every_byte),
        cmocka_unit_test(a_reserved_buffer_does_not_move_while_it_fills),
        cmocka_unit_test(a_resized_buffer_gains_zeros_and_loses_its_end),
        cmocka_unit_test(a_write_lands_at_its_offset_over_zeros),
        cmocka_unit_test(sizes_that_overflow_change_nothing),
        cmocka_unit_test(taking_leaves_an_empty_buffer),
        cmocka_unit_test(without_memory_nothing_changes),
        cmocka_unit_test(without_memory_an_empty_text_cannot_be_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
