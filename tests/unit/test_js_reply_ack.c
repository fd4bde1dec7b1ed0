/* SPDX-License-Identifier: Apache-2.0 */
/* test_js_reply_ack.c - what a publish is answered: an ack, or an error.
 * Unit test of layer 2, of js_reply.c.
 */
#include "core/js_reply.h"
#include <stdio.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void an_ack_is_read(void **state)
{
    static const struct {
        const char *json;
        uint64_t sequence;
        bool duplicate;
    } cases[] = {
        {"{\"stream\":\"KV_x\", \"seq\":1}",                                               1, false},
        {"{\"stream\":\"KV_x\",\"seq\":9007199254740993,\"duplicate\":true}",
         9007199254740993,                                                                    true },
        {"{\"stream\":\"KV_x\",\"domain\":\"hub\",\"seq\":5,\"batch\":\"b\",\"count\":2}",
         5,                                                                                   false},
        {"{\"type\":\"x\",\"stream\":\"KV_x\",\"seq\":6,\"error\":null}",                  6, false},
    };
    struct js_pub_ack ack;
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        memset(&ack, 0x5a, sizeof(ack));
        assert_int_equal(js_reply_pub_ack(cases[i].json, strlen(cases[i].json), &ack),
                         JSFS_OK);
        assert_string_equal(ack.stream, "KV_x");
        assert_true(ack.sequence == cases[i].sequence);
        assert_int_equal(ack.duplicate, cases[i].duplicate);
        assert_int_equal(ack.error.code, 0);
        assert_int_equal(ack.error.err_code, 0);
    }
}

static void a_refused_publish_is_an_error_and_no_ack(void **state)
{
    static const char json[] = "{\"error\":{\"code\":400,\"err_code\":10071,"
                               "\"description\":\"wrong last sequence: 4\"},"
                               "\"stream\":\"KV_x\",\"seq\":3}";
    struct js_pub_ack ack;
    (void)state;

    memset(&ack, 0x5a, sizeof(ack));
    assert_int_equal(js_reply_pub_ack(json, strlen(json), &ack), JSFS_OK);
    assert_int_equal(ack.error.code, 400);
    assert_int_equal(ack.error.err_code, 10071);
    assert_string_equal(ack.error.description, "wrong last sequence: 4");
    assert_string_equal(ack.stream, "");
    assert_int_equal(ack.sequence, 0);
    assert_false(ack.duplicate);
}

static void what_is_no_ack_has_failed(void **state)
{
    static const char *const replies[] = {
        "",
        "+OK",
        "[]",
        "null",
        "{}",
        "{\"seq\":1}",
        "{\"stream\":\"KV_x\"}",
        "{\"stream\":\"KV_x\",\"seq\":0}",
        "{\"stream\":\"KV_x\",\"seq\":-1}",
        "{\"stream\":\"KV_x\",\"seq\":\"1\"}",
        "{\"stream\":\"\",\"seq\":1}",
        "{\"stream\":7,\"seq\":1}",
        "{\"stream\":\"KV_x\",\"seq\":1",
        "{\"stream\":\"KV_x\",\"seq\":1}x",
    };
    struct js_pub_ack ack, nothing = {0};
    (void)state;

    for (size_t i = 0; i < COUNT(replies); i++) {
        memset(&ack, 0x5a, sizeof(ack));
        assert_int_equal(js_reply_pub_ack(replies[i], strlen(replies[i]), &ack),
                         JSFS_FAILED);
        assert_memory_equal(&ack.error, &nothing.error, sizeof(ack.error));
        assert_string_equal(ack.stream, "");
        assert_int_equal(ack.sequence, 0);
    }
}

static void a_stream_name_that_does_not_fit_is_not_cut(void **state)
{
    struct js_pub_ack ack;
    (void)state;

    for (int length = 255; length <= 256; length++) {
        char json[512];
        int size =
            snprintf(json, sizeof(json), "{\"stream\":\"%0*d\",\"seq\":1}", length, 7);
        assert_int_equal(js_reply_pub_ack(json, (size_t)size, &ack),
                         length == 255 ? JSFS_OK : JSFS_FAILED);
    }
}

static void an_error_is_told_from_none(void **state)
{
#define NOT_FOUND                                                                        \
    "{\"error\":{\"code\":404,\"err_code\":10059,\"description\":\"stream not found\"}}"
    static const struct {
        const char *json;
        int code, err_code;
        const char *description;
    } cases[] = {
        {"{\"success\":true}",                                    0,   0,     ""                },
        {"{\"error\":null}",                                      0,   0,     ""                },
        {NOT_FOUND,                                               404, 10059, "stream not found"},
        {"{\"error\":{\"code\":503}}",                            503, 0,     ""                },
        {"{\"error\":{}}",                                        500, 0,     ""                },
        {"{\"error\":{\"code\":\"404\",\"description\":7}}",      500, 0,     ""                },
        {"{\"error\":{\"code\":99999999999,\"err_code\":10071}}", 0,   10071, ""                },
    };
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct js_error error;
        memset(&error, 0x5a, sizeof(error));
        assert_int_equal(js_reply_error(cases[i].json, strlen(cases[i].json), &error),
                         JSFS_OK);
        assert_int_equal(error.code, cases[i].code);
        assert_int_equal(error.err_code, cases[i].err_code);
        assert_string_equal(error.description, cases[i].description);
    }
}

static void a_long_description_is_cut_between_characters(void **state)
{
    (void)state;

    for (int shift = 0; shift < 2; shift++) {
        char json[512] = "{\"error\":{\"description\":\"";
        struct js_error error;
        if (shift == 1)
            strcat(json, "a");
        for (int i = 0; i < 100; i++)
            strcat(json, "\xc3\xa9");
        strcat(json, "\"}}");
        assert_int_equal(js_reply_error(json, strlen(json), &error), JSFS_OK);
        assert_int_equal(strlen(error.description), shift == 0 ? 158 : 159);
        assert_int_equal(error.description[strlen(error.description) - 1], (char)0xa9);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ack_is_read),
        cmocka_unit_test(a_refused_publish_is_an_error_and_no_ack),
        cmocka_unit_test(what_is_no_ack_has_failed),
        cmocka_unit_test(a_stream_name_that_does_not_fit_is_not_cut),
        cmocka_unit_test(an_error_is_told_from_none),
        cmocka_unit_test(a_long_description_is_cut_between_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
