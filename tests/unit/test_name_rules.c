/* SPDX-License-Identifier: Apache-2.0 */
/* test_name_rules.c - which names keys, buckets and objects may have.
 * Unit test of layer 2: the predicates of name_codec.h, and the object token.
 */
#include "core/name_codec.h"
#include "core/cleanup.h"
#include "tests/support/failing_malloc.h"
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A string literal that may hold NUL bytes, with its size. */
#define RAW(literal) literal, sizeof(literal) - 1

static void portable_keys_are_those_every_client_takes(void **state)
{
    static const char *const portable[] = {"a", "sue.color", "app/db.yaml",  "-",    "_",
                                           "=", "/",         "a=b/c-d_e.F9", "a./.b"};
    static const char *const others[] = {
        "",   ".", ".a",   "a.", "a..b", "a b", "a:b",  "a~",
        "a*", ">", "a\\b", "a%", "a@",   "a\n", "\x7f", "caf\xc3\xa9"};
    (void)state;

    for (size_t i = 0; i < COUNT(portable); i++)
        assert_true(name_is_portable_key(portable[i]));
    for (size_t i = 0; i < COUNT(others); i++)
        assert_false(name_is_portable_key(others[i]));
}

static void legal_keys_are_those_a_subject_can_hold(void **state)
{
    static const struct {
        const char *key;
        size_t size;
        bool legal;
    } cases[] = {
        {RAW("a"),       true },
        {RAW("a.b"),     true },
        {RAW("a:b~&%@"), true },
        {RAW("\xff"),    true },
        {RAW("a*"),      true },
        {RAW(">a.b"),    true },
        {RAW("a\\b"),    true },
        {RAW("a\x01b"),  true },
        {RAW(""),        false},
        {RAW("."),       false},
        {RAW(".a"),      false},
        {RAW("a."),      false},
        {RAW("a..b"),    false},
        {RAW("*"),       false},
        {RAW("a.*"),     false},
        {RAW(">.a"),     false},
        {RAW("a.>"),     false},
        {RAW("a b"),     false},
        {RAW("a\tb"),    false},
        {RAW("a\r\n"),   false},
        {RAW("a\0b"),    false},
        {RAW("a\fb"),    false},
        {RAW("a\vb"),    false},
        {RAW("\x7f"),    false},
        {RAW("\0"),      false},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(name_is_legal_key(cases[i].key, cases[i].size), cases[i].legal);
}

static void a_portable_key_is_a_legal_one(void **state)
{
    static const char set[] = "-/_=.aZ9* >%";
    char key[6];
    size_t portable = 0;
    (void)state;

    for (unsigned n = 0; n < 12 * 12 * 12 * 12 * 12; n++) {
        unsigned rest = n;
        for (size_t i = 0; i < 5; i++, rest /= 12)
            key[i] = set[rest % 12];
        key[5] = '\0';
        if (!name_is_portable_key(key))
            continue;
        portable++;
        assert_true(name_is_legal_key(key, 5));
    }
    assert_true(portable > 10000);
}

static void bucket_names_are_those_of_streams(void **state)
{
    static const char *const others[] = {"",   "a.b",         "a b", "a/b",
                                         "a*", "caf\xc3\xa9", "@a",  "a\n"};
    char longest[253];
    (void)state;

    assert_true(name_is_bucket("Profiles_2-x"));
    for (size_t i = 0; i < COUNT(others); i++)
        assert_false(name_is_bucket(others[i]));
    memset(longest, 'a', 252);
    longest[251] = '\0';
    assert_true(name_is_bucket(longest));
    longest[251] = 'a';
    longest[252] = '\0';
    assert_false(name_is_bucket(longest));
}

/* Source: Unicode 15, table 3-7. */
static void utf8_is_what_unicode_says(void **state)
{
    static const struct {
        const char *text;
        size_t size;
        bool utf8;
    } cases[] = {
        {RAW(""),                                 true },
        {RAW("a\0b"),                             true },
        {RAW("\xc2\x80\xdf\xbf"),                 true },
        {RAW("\xe0\xa0\x80\xef\xbf\xbf"),         true },
        {RAW("\xed\x9f\xbf\xee\x80\x80"),         true },
        {RAW("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"), true },
        {RAW("\x80"),                             false},
        {RAW("\xc1\xbf"),                         false}, /* overlong */
        {RAW("\xe0\x9f\xbf"),                     false}, /* overlong */
        {RAW("\xf0\x8f\xbf\xbf"),                 false}, /* overlong */
        {RAW("\xed\xa0\x80"),                     false}, /* surrogate */
        {RAW("\xed\xbf\xbf"),                     false}, /* surrogate */
        {RAW("\xf4\x90\x80\x80"),                 false}, /* above U+10FFFF */
        {RAW("\xf5\x80\x80\x80"),                 false},
        {RAW("\xc3"),                             false},
        {RAW("\xe2\x82"),                         false},
        {RAW("\xf0\x9f\x98"),                     false},
        {RAW("\xc3("),                            false},
        {RAW("\xe2\x82("),                        false},
        {RAW("\xf0\x9f\x98("),                    false},
        {RAW("ab\xff"),                           false},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(name_is_utf8(cases[i].text, cases[i].size), cases[i].utf8);
}

static void an_object_token_is_appended_url_safe_and_padded(void **state)
{
    CLEANUP(buffer_clear) struct buffer token = BUFFER_INIT;
    (void)state;

    assert_int_equal(buffer_append_text(&token, "$O.b.M."), JSFS_OK);
    assert_int_equal(name_object_token("a?>~.txt", 8, &token), JSFS_OK);
    assert_string_equal(token.data, "$O.b.M.YT8-fi50eHQ=");
    assert_int_equal(token.size, strlen(token.data));
}

static void without_memory_there_is_no_object_token(void **state)
{
    CLEANUP(buffer_clear) struct buffer token = BUFFER_INIT;
    (void)state;

    failing_malloc_start(1);
    enum jsfs_status status = name_object_token("a", 1, &token);
    assert_true(failing_malloc_stop());
    assert_int_equal(status, JSFS_NO_MEMORY);
    assert_int_equal(name_object_token("a", SIZE_MAX, &token), JSFS_NO_MEMORY);
    assert_int_equal(token.size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(portable_keys_are_those_every_client_takes),
        cmocka_unit_test(legal_keys_are_those_a_subject_can_hold),
        cmocka_unit_test(a_portable_key_is_a_legal_one),
        cmocka_unit_test(bucket_names_are_those_of_streams),
        cmocka_unit_test(utf8_is_what_unicode_says),
        cmocka_unit_test(an_object_token_is_appended_url_safe_and_padded),
        cmocka_unit_test(without_memory_there_is_no_object_token),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
