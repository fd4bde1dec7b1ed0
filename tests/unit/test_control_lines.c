/* SPDX-License-Identifier: Apache-2.0 */
/* test_control_lines.c - a bounded queue of lines that tells what it has lost. */
#include "fs/control_lines.h"
#include "core/cleanup.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define LIMIT 100

static bool write_lost(void *arg, const struct lines_lost *lost, struct buffer *line)
{
    bool *fails = arg;

    return !*fails &&
           buffer_append_format(line, "lost %" PRIu64 " %" PRIu64 "-%" PRIu64 "\n",
                                lost->count, lost->first, lost->last) == JSFS_OK;
}

struct fixture {
    struct lines lines;
    bool fails;
    uint64_t number;
};

static int make(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    if (fixture == NULL)
        return -1;
    fixture->lines =
        (struct lines){.limit = LIMIT, .write_lost = write_lost, .arg = &fixture->fails};
    *state = fixture;
    return 0;
}

static int drop(void **state)
{
    struct fixture *fixture = *state;

    lines_clear(&fixture->lines);
    free(fixture);
    return 0;
}

/* Ten bytes a line, numbered from 1. */
static void put(struct fixture *fixture, unsigned count)
{
    while (count-- > 0) {
        char line[16];

        snprintf(line, sizeof(line), "%09" PRIu64 "\n", ++fixture->number);
        lines_put(&fixture->lines, line, 10, fixture->number);
    }
}

static void expect(struct fixture *fixture, size_t most, const char *wanted)
{
    char text[2 * LIMIT + 1];
    size_t size = lines_ready(&fixture->lines, most);

    assert_in_range(size, 0, most);
    lines_take(&fixture->lines, text, size);
    text[size] = '\0';
    assert_string_equal(text, wanted);
}

static void nothing_is_there_at_first(void **state)
{
    struct fixture *fixture = *state;

    assert_false(lines_waiting(&fixture->lines));
    expect(fixture, LIMIT, "");
}

static void lines_come_in_order(void **state)
{
    struct fixture *fixture = *state;

    put(fixture, 2);
    assert_true(lines_waiting(&fixture->lines));
    expect(fixture, LIMIT, "000000001\n000000002\n");
    assert_false(lines_waiting(&fixture->lines));
    assert_int_equal(fixture->lines.total, 20);
}

static void a_read_gets_whole_lines_where_one_fits(void **state)
{
    struct fixture *fixture = *state;

    put(fixture, 3);
    expect(fixture, 25, "000000001\n000000002\n");
    expect(fixture, 4, "0000");
    expect(fixture, 4, "0000");
    expect(fixture, 4, "3\n");
    assert_false(lines_waiting(&fixture->lines));
}

static void what_does_not_fit_is_told_in_its_place(void **state)
{
    struct fixture *fixture = *state;

    put(fixture, 13);
    for (unsigned i = 1; i <= 5; i++)
        lines_take(&fixture->lines, (char[10]){0}, 10);
    expect(fixture, 50, "000000006\n000000007\n000000008\n000000009\n000000010\n");
    expect(fixture, LIMIT, "lost 3 11-13\n");
    assert_false(lines_waiting(&fixture->lines));
    put(fixture, 1);
    expect(fixture, LIMIT, "000000014\n");
}

/* Else a reader that is a little too slow would get as many such lines as others. */
static void more_is_lost_until_half_was_read(void **state)
{
    struct fixture *fixture = *state;
    char text[LIMIT];

    put(fixture, 11);
    lines_take(&fixture->lines, text, 40);
    put(fixture, 2);
    lines_take(&fixture->lines, text, 10);
    put(fixture, 1);
    expect(fixture, LIMIT,
           "000000006\n000000007\n000000008\n000000009\n000000010\nlost 3 11-13\n000000014\n");
}

static void a_line_that_could_not_be_made_is_lost(void **state)
{
    struct fixture *fixture = *state;

    put(fixture, 1);
    lines_lose(&fixture->lines, ++fixture->number);
    put(fixture, 1);
    expect(fixture, LIMIT, "000000001\nlost 1 2-2\n000000003\n");
}

static void lines_without_a_number_do_not_hide_others(void **state)
{
    struct fixture *fixture = *state;

    lines_lose(&fixture->lines, 0);
    lines_lose(&fixture->lines, 5);
    lines_lose(&fixture->lines, 0);
    assert_true(lines_waiting(&fixture->lines));
    expect(fixture, LIMIT, "lost 3 5-5\n");
}

static void a_loss_that_cannot_be_told_is_told_later(void **state)
{
    struct fixture *fixture = *state;

    fixture->fails = true;
    lines_lose(&fixture->lines, 1);
    assert_int_equal(lines_ready(&fixture->lines, LIMIT), 0);
    fixture->number = 1;
    put(fixture, 1);
    fixture->fails = false;
    assert_true(lines_waiting(&fixture->lines));
    put(fixture, 1);
    expect(fixture, LIMIT, "lost 2 1-2\n000000003\n");
}

/* However much goes through it, it holds no more than twice its limit. */
static void its_memory_is_bounded(void **state)
{
    struct fixture *fixture = *state;

    for (unsigned i = 0; i < 10000; i++) {
        char text[7];

        put(fixture, i % 3);
        lines_take(&fixture->lines, text, lines_ready(&fixture->lines, sizeof(text)));
        assert_in_range(fixture->lines.text.capacity, 0, 4 * LIMIT);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_there_at_first),
        TEST(lines_come_in_order),
        TEST(a_read_gets_whole_lines_where_one_fits),
        TEST(what_does_not_fit_is_told_in_its_place),
        TEST(more_is_lost_until_half_was_read),
        TEST(a_line_that_could_not_be_made_is_lost),
        TEST(lines_without_a_number_do_not_hide_others),
        TEST(a_loss_that_cannot_be_told_is_told_later),
        TEST(its_memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
