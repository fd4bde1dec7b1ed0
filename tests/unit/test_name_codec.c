/* SPDX-License-Identifier: Apache-2.0 */
/* test_name_codec.c - paths and names are each other's inverse, for every byte there is.
 * Unit test of layer 2, with properties over random and over all short names.
 */
#include "core/name_codec.h"
#include "core/cleanup.h"
#include "tests/support/failing_malloc.h"
#include <string.h>
#include <time.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A string literal that may hold NUL bytes, with its size. */
#define RAW(literal) literal, sizeof(literal) - 1

static void a_name_is_written_as_its_path_and_read_back(void **state)
{
    static const struct {
        const char *raw;
        size_t size;
        const char *path;
    } cases[] = {
        {RAW("sue.color"),              "sue.color"             },
        {RAW("app/db.yaml"),            "app/db.yaml"           },
        {RAW("caf\xc3\xa9/\xff~ *>\n"), "caf\xc3\xa9/\xff~ *>\n"},
        {RAW("/"),                      "%/%"                   },
        {RAW("/a"),                     "%/a"                   },
        {RAW("a/"),                     "a/%"                   },
        {RAW("a//b"),                   "a/%/b"                 },
        {RAW("."),                      "%2E"                   },
        {RAW(".."),                     "%2E%2E"                },
        {RAW("a/./../b"),               "a/%2E/%2E%2E/b"        },
        {RAW("..."),                    "..."                   },
        {RAW(".a"),                     ".a"                    },
        {RAW("%"),                      "%25"                   },
        {RAW("100%/%41%2E"),            "100%25/%2541%252E"     },
        {RAW("\0"),                     "%00"                   },
        {RAW("a\0b/\0"),                "a%00b/%00"             },
        {RAW("@"),                      "%40"                   },
        {RAW("@value"),                 "%40value"              },
        {RAW("a/@value"),               "a/%40value"            },
        {RAW("@@a@/b@c"),               "%40@a@/b@c"            },
        {RAW(".jsfs"),                  "%2Ejsfs"               },
        {RAW(".jsfs/a"),                "%2Ejsfs/a"             },
        {RAW("a/.jsfs"),                "a/.jsfs"               },
        {RAW(".jsfs2/.JSFS"),           ".jsfs2/.JSFS"          },
        {RAW(".jsf%"),                  ".jsf%25"               },
    };
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        CLEANUP(buffer_clear) struct buffer path = BUFFER_INIT, raw = BUFFER_INIT;
        assert_int_equal(name_encode(cases[i].raw, cases[i].size, &path), JSFS_OK);
        assert_string_equal(path.data, cases[i].path);
        assert_int_equal(path.size, strlen(cases[i].path));
        assert_int_equal(name_decode(path.data, &raw), JSFS_OK);
        assert_int_equal(raw.size, cases[i].size);
        assert_memory_equal(raw.data, cases[i].raw, raw.size);
    }
}

static void a_last_component_value_is_the_name_of_its_directory(void **state)
{
    static const char *const cases[][2] = {
        {"x/@value",        "x"     },
        {"a/b/@value",      "a/b"   },
        {"%40value/@value", "@value"},
        {"a/%/@value",      "a/"    },
    };
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        CLEANUP(buffer_clear) struct buffer raw = BUFFER_INIT;
        assert_int_equal(name_decode(cases[i][0], &raw), JSFS_OK);
        assert_string_equal(raw.data, cases[i][1]);
    }
}

static void a_path_that_no_name_has_is_refused(void **state)
{
    static const char *const paths[] = {
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/.",
        "./a",
        "a/../b",
        "%",
        "a%",
        "a%/b",
        "a%2",
        "%41",
        "%2f",
        "%2F",
        "%2e",
        "%2E%2e",
        "%2E%2E%2E",
        "%2Ea",
        "a%2E",
        "%2E.",
        ".%2E",
        "a%40",
        "a/b%40",
        "%4",
        "%20",
        "%%",
        "%%25",
        "@",
        "@value",
        "@valu",
        "@x/a",
        "a/@x",
        "@value/a",
        "a/@value/b",
        "x/@value/@value",
        "/@value",
        "%/@value",
        ".jsfs",
        ".jsfs/a",
        ".jsfs/@value",
        "a/%2Ejsfs",
        "%2Ejsfsx",
        "%2EJSFS",
        "%2Ejsf",
        "%000%0",
    };
    (void)state;

    for (size_t i = 0; i < COUNT(paths); i++) {
        CLEANUP(buffer_clear) struct buffer raw = BUFFER_INIT;
        assert_int_equal(buffer_append_text(&raw, "before"), JSFS_OK);
        if (name_decode(paths[i], &raw) != JSFS_BAD_NAME)
            fail_msg("\"%s\" was read as \"%s\"", paths[i], raw.data + 6);
        assert_string_equal(raw.data, "before");
    }
}

static void an_empty_name_has_no_path(void **state)
{
    CLEANUP(buffer_clear) struct buffer path = BUFFER_INIT;
    (void)state;

    assert_int_equal(name_encode("", 0, &path), JSFS_BAD_NAME);
    assert_int_equal(path.size, 0);
}

static void a_path_is_appended(void **state)
{
    CLEANUP(buffer_clear) struct buffer path = BUFFER_INIT, raw = BUFFER_INIT;
    (void)state;

    assert_int_equal(buffer_append_text(&path, "kv/b/"), JSFS_OK);
    assert_int_equal(name_encode("a%", 2, &path), JSFS_OK);
    assert_string_equal(path.data, "kv/b/a%25");
    assert_int_equal(buffer_append_text(&raw, "$KV.b."), JSFS_OK);
    assert_int_equal(name_decode("a%25", &raw), JSFS_OK);
    assert_string_equal(raw.data, "$KV.b.a%");
}

/* True when a kernel may hand out the path and jsfs keeps none of it for itself. */
static bool is_plain_path(const struct buffer *path)
{
    bool first = true;

    if (memchr(path->data, '\0', path->size) != NULL)
        return false;
    for (const char *from = path->data;; from++) {
        size_t size = strcspn(from, "/");
        if (size == 0 || from[0] == '@' || (size == 1 && from[0] == '.') ||
            (size == 2 && memcmp(from, "..", 2) == 0) ||
            (first && size == 5 && memcmp(from, ".jsfs", 5) == 0))
            return false;
        first = false;
        from += size;
        if (*from == '\0')
            return true;
    }
}

static void assert_survives(const char *raw, size_t size)
{
    CLEANUP(buffer_clear) struct buffer path = BUFFER_INIT;
    CLEANUP(buffer_clear) struct buffer back = BUFFER_INIT;

    assert_int_equal(name_encode(raw, size, &path), JSFS_OK);
    assert_true(is_plain_path(&path));
    assert_int_equal(name_decode(path.data, &back), JSFS_OK);
    assert_int_equal(back.size, size);
    assert_memory_equal(back.data, raw, size);
    if (memchr(raw, '\0', size) == NULL) {
        assert_int_equal(buffer_append_text(&path, "/@value"), JSFS_OK);
        assert_int_equal(buffer_resize(&back, 0), JSFS_OK);
        assert_int_equal(name_decode(path.data, &back), JSFS_OK);
        assert_string_equal(back.data, raw);
    }
}

/* What decode accepts is what encode makes of the result, but for a last "/@value". */
static void assert_only_own_paths_are_read(const char *path)
{
    CLEANUP(buffer_clear) struct buffer raw = BUFFER_INIT;
    CLEANUP(buffer_clear) struct buffer again = BUFFER_INIT;
    size_t size = strlen(path);

    if (name_decode(path, &raw) != JSFS_OK)
        return;
    assert_int_equal(name_encode(raw.data, raw.size, &again), JSFS_OK);
    if (size > 7 && strcmp(path + size - 7, "/@value") == 0)
        assert_int_equal(buffer_append_text(&again, "/@value"), JSFS_OK);
    assert_string_equal(again.data, path);
}

/* Calls check for every text of 1..longest bytes of an alphabet. */
static void for_each_text(const char *alphabet, size_t letters, size_t longest,
                          void (*check)(const char *text, size_t size))
{
    size_t digits[8] = {0};
    char text[8];

    for (size_t size = 1; size <= longest; size++) {
        memset(digits, 0, sizeof(digits));
        for (size_t place = 0; place < size;) {
            for (size_t i = 0; i < size; i++)
                text[i] = alphabet[digits[i]];
            text[size] = '\0';
            check(text, size);
            for (place = 0; place < size && ++digits[place] == letters; place++)
                digits[place] = 0;
        }
    }
}

static void check_own_paths(const char *text, size_t size)
{
    (void)size;
    assert_only_own_paths_are_read(text);
}

static void every_short_name_of_special_bytes_survives(void **state)
{
    (void)state;

    for_each_text("/.%@a\0", 6, 5, assert_survives);
}

static void every_short_path_that_is_read_is_the_one_that_is_written(void **state)
{
    (void)state;

    for_each_text("/.%@2E05a", 9, 5, check_own_paths);
}

/* xorshift64: the same names for the same seed, on every machine. */
static uint64_t draw(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

/* Pieces that mean something to the codec, among bytes that do not. */
static size_t draw_text(uint64_t *random, char *out, size_t out_size, bool any_byte)
{
    static const char *const pieces[] = {
        "/",   ".",       "..", "%", "@",   "@value",   ".jsfs",   "%25", "%00", "%40",
        "%2E", "%2Ejsfs", "//", "a", "key", "\xc3\xa9", "/@value", "/./", "/../"};
    size_t wanted = 1 + draw(random) % (out_size - 16), size = 0;

    while (size < wanted) {
        if (any_byte && draw(random) % 2 == 0) {
            out[size++] = (char)draw(random);
            continue;
        }
        const char *piece = pieces[draw(random) % COUNT(pieces)];
        memcpy(out + size, piece, strlen(piece));
        size += strlen(piece);
    }
    out[size] = '\0';
    return size;
}

static size_t draw_key(uint64_t *random, char *out, size_t out_size)
{
    static const char set[] = "-/_=.abcXYZ019";
    size_t size = 1 + draw(random) % (out_size - 1);

    for (size_t i = 0; i < size; i++)
        out[i] = set[draw(random) % (sizeof(set) - 1)];
    out[size] = '\0';
    return size;
}

static void check_seed(uint64_t seed)
{
    uint64_t random = seed;
    char text[128];

    print_message("seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < 5000; i++) {
        assert_survives(text, draw_text(&random, text, sizeof(text), true));
        assert_survives(text, draw_key(&random, text, sizeof(text)));
        draw_text(&random, text, 48, false);
        assert_only_own_paths_are_read(text);
    }
}

static void random_names_survive_and_random_paths_are_read_only_if_written(void **state)
{
    static const uint64_t seeds[] = {1, 2, 3, 0x9e3779b97f4a7c15, UINT64_MAX};
    (void)state;

    for (size_t i = 0; i < COUNT(seeds); i++)
        check_seed(seeds[i]);
    check_seed((uint64_t)time(NULL));
}

static void without_memory_the_output_is_as_before(void **state)
{
    char raw[300];
    (void)state;

    memset(raw, '%', sizeof(raw));
    for (unsigned n = 1;; n++) {
        CLEANUP(buffer_clear) struct buffer path = BUFFER_INIT;
        assert_int_equal(buffer_append_text(&path, "before"), JSFS_OK);
        failing_malloc_start(n);
        enum jsfs_status status = name_encode(raw, sizeof(raw), &path);
        if (!failing_malloc_stop()) {
            assert_int_equal(status, JSFS_OK);
            assert_true(n > 2);
            return;
        }
        assert_int_equal(status, JSFS_NO_MEMORY);
        assert_string_equal(path.data, "before");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_written_as_its_path_and_read_back),
        cmocka_unit_test(a_last_component_value_is_the_name_of_its_directory),
        cmocka_unit_test(a_path_that_no_name_has_is_refused),
        cmocka_unit_test(an_empty_name_has_no_path),
        cmocka_unit_test(a_path_is_appended),
        cmocka_unit_test(every_short_name_of_special_bytes_survives),
        cmocka_unit_test(every_short_path_that_is_read_is_the_one_that_is_written),
        cmocka_unit_test(random_names_survive_and_random_paths_are_read_only_if_written),
        cmocka_unit_test(without_memory_the_output_is_as_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
