/* SPDX-License-Identifier: Apache-2.0 */
/* test_json_line.c - any bytes as a line that every JSON reader takes. */
#include "core/json_line.h"
#include "core/cleanup.h"
#include "tests/support/failing_malloc.h"
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void expect(const char *text, const char *wanted)
{
    const struct json_member member = {"key", text, 0};
    CLEANUP(buffer_clear) struct buffer line = BUFFER_INIT;

    assert_int_equal(json_line(&member, 1, &line), JSFS_OK);
    assert_string_equal(line.data, wanted);
}

static void members_keep_their_order(void **state)
{
    const struct json_member members[] = {
        {"z", "text", 0},
        {"a", NULL,   7},
        {"m", "",     0},
    };
    CLEANUP(buffer_clear) struct buffer line = BUFFER_INIT;

    (void)state;
    assert_int_equal(json_line(members, 3, &line), JSFS_OK);
    assert_string_equal(line.data, "{\"z\":\"text\",\"a\":7,\"m\":\"\"}\n");
}

static void lines_are_appended(void **state)
{
    const struct json_member member = {"n", NULL, 1};
    CLEANUP(buffer_clear) struct buffer line = BUFFER_INIT;

    (void)state;
    assert_int_equal(json_line(&member, 1, &line), JSFS_OK);
    assert_int_equal(json_line(&member, 1, &line), JSFS_OK);
    assert_string_equal(line.data, "{\"n\":1}\n{\"n\":1}\n");
}

static void a_number_can_be_as_large_as_a_sequence(void **state)
{
    const struct json_member member = {"n", NULL, INT64_MAX};
    CLEANUP(buffer_clear) struct buffer line = BUFFER_INIT;

    (void)state;
    assert_int_equal(json_line(&member, 1, &line), JSFS_OK);
    assert_string_equal(line.data, "{\"n\":9223372036854775807}\n");
}

static void what_json_reserves_is_escaped(void **state)
{
    (void)state;
    expect("a\"b\\c", "{\"key\":\"a\\\"b\\\\c\"}\n");
    expect("line\nend\t\x01\x7f", "{\"key\":\"line\\nend\\t\\u0001\x7f\"}\n");
    expect("gr\xc3\xbcn \xf0\x9f\x98\x80", "{\"key\":\"gr\xc3\xbcn \xf0\x9f\x98\x80\"}\n");
}

static void wrong_bytes_are_replaced_and_given_in_base64(void **state)
{
    (void)state;
    expect("a\xff", "{\"key\":\"a\xEF\xBF\xBD\",\"key_base64\":\"Yf8=\"}\n");
    expect("\xc3", "{\"key\":\"\xEF\xBF\xBD\",\"key_base64\":\"ww==\"}\n");
    /* a surrogate, an overlong '/', and what is right behind them */
    expect("\xed\xa0\x80z", "{\"key\":\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz\",\"key_base64\":"
                            "\"7aCAeg==\"}\n");
    expect("\xc0\xaf\xc3\xa4", "{\"key\":\"\xEF\xBF\xBD\xEF\xBF\xBD\xc3\xa4\",\"key_base64\":"
                               "\"wK_DpA==\"}\n");
}

/* Every two bytes, which covers all ways in which a character can be cut. */
static void every_line_is_json(void **state)
{
    (void)state;
    for (unsigned value = 0x0101; value <= 0xffff; value++) {
        const char text[] = {(char)(value >> 8), (char)(value & 0xff), '.', '\0'};
        const struct json_member member = {"key", text, 0};
        CLEANUP(buffer_clear) struct buffer line = BUFFER_INIT;

        if (text[0] == '\0' || text[1] == '\0')
            continue;
        assert_int_equal(json_line(&member, 1, &line), JSFS_OK);
        json_t *read = json_loadb(line.data, line.size, 0, NULL);
        assert_non_null(read);
        assert_ptr_equal(strchr(line.data, '\n'), line.data + line.size - 1);
        json_decref(read);
    }
}

static void without_memory_nothing_is_appended(void **state)
{
    const struct json_member members[] = {
        {"one", "x",       0},
        {"two", "\xff" "x", 0},
    };

    (void)state;
    for (unsigned n = 1;; n++) {
        CLEANUP(buffer_clear) struct buffer line = BUFFER_INIT;

        assert_int_equal(buffer_append_text(&line, "before\n"), JSFS_OK);
        failing_malloc_start(n);
        enum jsfs_status status = json_line(members, 2, &line);
        if (!failing_malloc_stop())
            break;
        assert_int_equal(status, JSFS_NO_MEMORY);
        assert_string_equal(line.data, "before\n");
        assert_int_equal(line.size, strlen("before\n"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_keep_their_order),
        cmocka_unit_test(lines_are_appended),
        cmocka_unit_test(a_number_can_be_as_large_as_a_sequence),
        cmocka_unit_test(what_json_reserves_is_escaped),
        cmocka_unit_test(wrong_bytes_are_replaced_and_given_in_base64),
        cmocka_unit_test(every_line_is_json),
        cmocka_unit_test(without_memory_nothing_is_appended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
