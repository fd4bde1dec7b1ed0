/* SPDX-License-Identifier: Apache-2.0 */
/* test_js_time.c - times as nanoseconds.
 * Unit test of layer 2.
 */
#include "core/js_time.h"
#include <string.h>
#include <time.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NS INT64_C(1000000000)

static void times_are_read_to_the_nanosecond_in_any_zone(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
    } cases[] = {
        {"1970-01-01T00:00:00Z",           0                          },
        {"2026-11-21T10:07:31.812661495Z", 1795255651 * NS + 812661495},
        {"2026-11-21T10:07:31.5Z",         1795255651 * NS + 500000000},
        {"2026-11-21t10:07:31.000000001z", 1795255651 * NS + 1        },
        {"2026-11-21T12:37:31+02:30",      1795255651 * NS            },
        {"2026-11-21T02:07:31.25-08:00",   1795255651 * NS + 250000000},
        {"2026-11-21T10:07:31-00:00",      1795255651 * NS            },
        {"2000-02-29T23:59:59Z",           951868799 * NS             },
        {"2016-12-31T23:59:60Z",           1483228800 * NS            }, /* leap second */
        {"1969-12-31T23:59:59.999999999Z", -1                         },
        {"1900-03-01T00:00:00Z",           -2203891200 * NS           },
        {"2262-04-11T23:47:16.854775807Z", INT64_MAX                  },
    };
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t ns = 4711;
        assert_true(js_time_parse(cases[i].text, &ns));
        assert_true(ns == cases[i].ns);
    }
}

static void what_is_no_time_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "x",
        "2026",
        "2026-11-21",
        "2026-11-21T10:07:31",
        "2026-11-21 10:07:31Z",
        "2026-11-21T10:07Z",
        "2026-1-21T10:07:31Z",
        "+026-11-21T10:07:31Z",
        "2026-11-21T10:07:31Zx",
        "2026-11-21T10:07:31 Z",
        "2026-11-21T10:07:31.Z",
        "2026-11-21T10:07:31.0123456789Z",
        "2026-11-21T10:07:31,5Z",
        "2026-11-21T10:07:31+0100",
        "2026-11-21T10:07:31+01",
        "2026-11-21T10:07:31+24:00",
        "2026-11-21T10:07:31+01:60",
        "2026-00-21T10:07:31Z",
        "2026-13-21T10:07:31Z",
        "2026-11-00T10:07:31Z",
        "2026-11-31T10:07:31Z",
        "2026-02-29T10:07:31Z",
        "1900-02-29T10:07:31Z",
        "2026-11-21T24:00:00Z",
        "2026-11-21T10:60:31Z",
        "2026-11-21T10:07:61Z",
        "0001-01-01T00:00:00Z", /* Go's zero time: before what 64 bits of nanoseconds hold */
        "9999-12-31T23:59:59Z",
        "2262-04-11T23:47:16.854775808Z",
    };
    (void)state;

    for (size_t i = 0; i < COUNT(texts); i++) {
        int64_t ns = 4711;
        if (js_time_parse(texts[i], &ns))
            fail_msg("\"%s\" was read", texts[i]);
        assert_int_equal(ns, 4711);
    }
}

static void days_are_those_of_timegm(void **state)
{
    (void)state;

    for (int64_t day = -106000; day < 106000; day += 13) {
        time_t seconds = day * 86400 + 3661;
        struct tm utc;
        char text[32];
        int64_t ns;
        gmtime_r(&seconds, &utc);
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
        assert_true(js_time_parse(text, &ns));
        assert_true(ns == seconds * NS);
    }
}

static void a_written_time_is_read_back(void **state)
{
    static const struct {
        int64_t ns;
        const char *text;
    } cases[] = {
        {0,                           "1970-01-01T00:00:00.000000000Z"},
        {-1,                          "1969-12-31T23:59:59.999999999Z"},
        {1795255651 * NS + 812661495, "2026-11-21T10:07:31.812661495Z"},
        {INT64_MAX,                   "2262-04-11T23:47:16.854775807Z"},
        {INT64_MIN + 854775808,       "1677-09-21T00:12:44.000000000Z"},
    };
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[JS_TIME_SIZE];
        int64_t ns;
        js_time_format(cases[i].ns, text);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(strlen(text) + 1, JS_TIME_SIZE);
        assert_true(js_time_parse(text, &ns));
        assert_true(ns == cases[i].ns);
    }
}

static void a_time_to_live_is_read_as_the_server_does(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds;
    } cases[] = {{"30", 30},    {"30s", 30},   {"1h30m", 5400}, {"1.5s", 1}, {"1500ms", 1},
                 {"2m0.5s", 120}, {"500ms", 0}, {"", 0},         {"x", 0},    {"5x", 0},
                 {"-3", 0},     {"3 s", 0},    {"s", 0}};
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++)
        assert_true(js_time_ttl(cases[i].text) == cases[i].seconds * INT64_C(1000000000));
    assert_true(js_time_ttl(NULL) == 0);
    assert_true(js_time_ttl("never") == INT64_MAX);
    assert_true(js_time_ttl("99999999999999999999") == INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_read_to_the_nanosecond_in_any_zone),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(days_are_those_of_timegm),
        cmocka_unit_test(a_written_time_is_read_back),
        cmocka_unit_test(a_time_to_live_is_read_as_the_server_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
