/* SPDX-License-Identifier: Apache-2.0 */
/* test_base64.c - one form out, every form in.
 * Unit test of layer 1.
 */
#include "core/base64.h"
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

static void texts_are_those_of_rfc_4648(void **state)
{
    static const struct {
        const char *data;
        size_t size;
        const char *text;
    } cases[] = {
        {"",             0, ""        },
        {"f",            1, "Zg=="    },
        {"fo",           2, "Zm8="    },
        {"foo",          3, "Zm9v"    },
        {"foob",         4, "Zm9vYg=="},
        {"fooba",        5, "Zm9vYmE="},
        {"foobar",       6, "Zm9vYmFy"},
        {"\xfb\xff\xbf", 3, "-_-_"    }, /* URL-safe */
        {"\0\0\0",       3, "AAAA"    },
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[16];
        unsigned char data[16];
        size_t size = 99;
        base64_encode(cases[i].data, cases[i].size, text);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(strlen(text) + 1, BASE64_TEXT_SIZE(cases[i].size));
        assert_true(base64_decode(text, strlen(text), data, &size));
        assert_int_equal(size, cases[i].size);
        assert_memory_equal(data, cases[i].data, size);
    }
}

static void both_alphabets_are_read_with_and_without_padding(void **state)
{
    static const char *const texts[] = {"-_8=", "+/8=", "-_8", "+/8", "-/8"};
    (void)state;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        unsigned char data[8];
        size_t size = 0;
        assert_true(base64_decode(texts[i], strlen(texts[i]), data, &size));
        assert_int_equal(size, 2);
        assert_memory_equal(data, "\xfb\xff", 2);
    }
}

static void what_is_not_base64_is_refused(void **state)
{
    static const char *const texts[] = {"A",
                                        "A===",
                                        "AA=",
                                        "AAA==",
                                        "A=AA",
                                        "AA A",
                                        "AA\n=",
                                        "AAAA=",
                                        "AAA.",
                                        "====",
                                        "=",
                                        "\303\251AA"};
    (void)state;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        unsigned char data[16];
        size_t size = 99;
        assert_false(base64_decode(texts[i], strlen(texts[i]), data, &size));
        assert_int_equal(size, 99);
    }
}

static void every_byte_survives_at_every_place(void **state)
{
    (void)state;

    for (int byte = 0; byte < 256; byte++) {
        for (size_t place = 0; place < 3; place++) {
            unsigned char data[3] = {0x5a, 0x5a, 0x5a}, read[6];
            char text[BASE64_TEXT_SIZE(3)];
            size_t size;
            data[place] = (unsigned char)byte;
            base64_encode(data, 3, text);
            assert_true(base64_decode(text, 4, read, &size));
            assert_int_equal(size, 3);
            assert_memory_equal(read, data, 3);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_those_of_rfc_4648),
        cmocka_unit_test(both_alphabets_are_read_with_and_without_padding),
        cmocka_unit_test(what_is_not_base64_is_refused),
        cmocka_unit_test(every_byte_survives_at_every_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
