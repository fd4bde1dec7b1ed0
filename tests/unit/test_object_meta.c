/* SPDX-License-Identifier: Apache-2.0 */
/* test_object_meta.c - metas as each client writes them, and as each client can read them.
 * Unit test of layer 2.
 */
#include "core/object_meta.h"
#include "core/cleanup.h"
#include "core/digest.h"
#include "tests/support/failing_malloc.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ABC "SHA-256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0="
#define NOTHING "SHA-256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU="

static void cleanup_json(json_t **json)
{
    json_decref(*json);
}

static struct object_meta *parse(const char *json)
{
    struct object_meta *meta = NULL;

    if (object_meta_parse(json, strlen(json), &meta) != JSFS_OK)
        fail_msg("not read: %s", json);
    return meta;
}

/* The JSON that jsfs writes of a meta, for json_decref(). */
static json_t *format(const struct object_meta *meta)
{
    CLEANUP(cleanup_free) char *text = NULL;

    assert_int_equal(object_meta_format(meta, "b", 1795255651812661495, &text), JSFS_OK);
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    return json;
}

static const char *text_of(const json_t *json, const char *key)
{
    return json_string_value(json_object_get(json, key));
}

/* An object "a/b" of 3 bytes in one chunk, in each client's own words. */
static const char *const of_clients[] = {
    /* nats.go */
    "{\"name\":\"a/"
    "b\",\"options\":{\"max_chunk_size\":131072},\"bucket\":\"b\",\"nuid\":\"N\","
    "\"size\":3,\"mtime\":\"0001-01-01T00:00:00Z\",\"chunks\":1,\"digest\":\"" ABC "\"}",
    /* nats.c */
    "{\"name\":\"a/"
    "b\",\"options\":{\"max_chunk_size\":131072},\"bucket\":\"b\",\"nuid\":\"N\","
    "\"size\":3,\"chunks\":1,\"mtime\":\"1970-01-01T00:00:00Z\",\"digest\":\"" ABC "\"}",
    /* nats.js */
    "{\"bucket\":\"b\",\"chunks\":1,\"size\":3,\"nuid\":\"N\",\"digest\":\"" ABC "\","
    "\"deleted\":false,\"mtime\":\"2026-11-21T10:07:31.812Z\",\"name\":\"a/b\","
    "\"description\":\"\",\"options\":{\"max_chunk_size\":131072},\"revision\":7}",
    /* nats.py */
    "{\"name\": \"a/b\", \"options\": {\"max_chunk_size\": 131072}, \"bucket\": \"b\", "
    "\"nuid\": \"N\", \"size\": 3, \"chunks\": 1, \"digest\": \"" ABC "\", "
    "\"deleted\": false, \"mtime\": \"2026-11-21T10:07:31.812661\"}",
    /* nats.rs */
    "{\"name\":\"a/b\",\"description\":null,\"headers\":null,\"metadata\":{},"
    "\"options\":{\"link\":null,\"max_chunk_size\":131072},\"bucket\":\"b\",\"nuid\":"
    "\"N\","
    "\"size\":3,\"chunks\":1,\"mtime\":\"2026-11-21T10:07:31.812661495Z\","
    "\"digest\":\"" ABC "\"}",
    /* nats.java: no mtime, no options */
    "{\"name\":\"a/b\",\"bucket\":\"b\",\"nuid\":\"N\",\"size\":3,\"chunks\":1,"
    "\"digest\":\"" ABC "\"}",
    /* with a slash escaped, numbers as JavaScript may write them, an early Go digest */
    ("{\"name\":\"a\\/\\u0062\",\"nuid\":\"N\",\"size\":3.0,\"chunks\":1e0,\"mtime\":\"\","
     "\"digest\":\"sha-256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0=\"}"),
};

static void a_meta_of_any_client_is_read(void **state)
{
    unsigned char abc[DIGEST_SIZE];
    (void)state;

    assert_true(digest_parse(ABC, abc));
    for (size_t i = 0; i < COUNT(of_clients); i++) {
        CLEANUP(cleanup_object_meta) struct object_meta *meta = parse(of_clients[i]);
        assert_string_equal(meta->name, "a/b");
        assert_string_equal(meta->nuid, "N");
        assert_int_equal(meta->size_bytes, 3);
        assert_int_equal(meta->chunks, 1);
        assert_int_equal(meta->max_chunk_bytes, 131072);
        assert_false(meta->deleted);
        assert_true(meta->has_digest);
        assert_memory_equal(meta->digest, abc, DIGEST_SIZE);
        assert_null(meta->link_bucket);
        assert_null(meta->link_name);
    }
}

static void missing_null_and_empty_fields_are_defaults(void **state)
{
    static const char *const metas[] = {
        "{\"name\":\"a\"}",
        "{\"name\":\"a\",\"nuid\":null,\"size\":null,\"chunks\":null,\"digest\":null,"
        "\"options\":null,\"deleted\":null,\"headers\":null,\"metadata\":null,"
        "\"description\":null,\"bucket\":null,\"mtime\":null}",
        "{\"name\":\"a\",\"nuid\":\"\",\"size\":\"\",\"chunks\":\"\",\"digest\":\"\","
        "\"options\":\"\",\"deleted\":\"\",\"headers\":\"\",\"metadata\":\"\","
        "\"description\":\"\",\"bucket\":\"\",\"mtime\":\"\"}",
        "{\"name\":\"a\",\"digest\":\"MD5=abc\",\"options\":{\"max_chunk_size\":0}}",
        "{\"name\":\"a\",\"digest\":7,\"nuid\":7,\"deleted\":\"true\",\"unknown\":[{}]}",
        "{\"name\":\"a\",\"options\":{\"link\":{}}}",
    };
    (void)state;

    for (size_t i = 0; i < COUNT(metas); i++) {
        CLEANUP(cleanup_object_meta) struct object_meta *meta = parse(metas[i]);
        assert_null(meta->nuid);
        assert_int_equal(meta->size_bytes, 0);
        assert_int_equal(meta->chunks, 0);
        assert_int_equal(meta->max_chunk_bytes, 131072);
        assert_false(meta->deleted);
        assert_false(meta->has_digest);
        assert_null(meta->link_bucket);
        assert_null(meta->extra);
    }
}

static void what_cannot_be_a_meta_is_corrupt(void **state)
{
    static const char *const metas[] = {
        "",
        "{",
        "null",
        "[]",
        "\"name\"",
        "{}",
        "{\"name\":\"\"}",
        "{\"name\":null}",
        "{\"name\":7}",
        "{\"name\":\"a\"} x",
        "{\"name\":\"a\"b\"}", /* as nats.c writes a name with a quote */
        "{\"name\":\"a\\u0000b\"}",
        "{\"name\":\"\xff\"}",
        "{\"name\":\"a\",\"size\":-1}",
        "{\"name\":\"a\",\"size\":\"3\"}",
        "{\"name\":\"a\",\"size\":1.5}",
        "{\"name\":\"a\",\"size\":1e300}",
        "{\"name\":\"a\",\"size\":true}",
        "{\"name\":\"a\",\"size\":[]}",
        "{\"name\":\"a\",\"size\":9223372036854775808}",
        "{\"name\":\"a\",\"chunks\":-1}",
        "{\"name\":\"a\",\"chunks\":4294967296}",
        "{\"name\":\"a\",\"options\":{\"max_chunk_size\":-1}}",
        "{\"name\":\"a\",\"options\":{\"max_chunk_size\":4294967296}}",
    };
    (void)state;

    for (size_t i = 0; i < COUNT(metas); i++) {
        struct object_meta *meta = NULL;
        assert_int_equal(object_meta_parse(metas[i], strlen(metas[i]), &meta),
                         JSFS_CORRUPT);
        assert_null(meta);
    }
}

static void only_size_bytes_are_read(void **state)
{
    struct object_meta *none = NULL;
    (void)state;

    CLEANUP(cleanup_free) char *unterminated = malloc(12);
    memcpy(unterminated, "{\"name\":\"a\"}", 12);
    CLEANUP(cleanup_object_meta) struct object_meta *meta = NULL;
    assert_int_equal(object_meta_parse(unterminated, 12, &meta), JSFS_OK);
    assert_int_equal(object_meta_parse(unterminated, 11, &none), JSFS_CORRUPT);
    assert_int_equal(object_meta_parse(NULL, 0, &none), JSFS_CORRUPT);
}

static void links_of_any_client_are_read(void **state)
{
    static const struct {
        const char *json, *bucket, *name;
    } cases[] = {
        {"{\"name\":\"l\",\"nuid\":\"N\",\"bucket\":\"b\",\"options\":{\"link\":{"
         "\"bucket\":"
         "\"x\",\"name\":\"o\"}}}",                                          "x", "o" },
        {"{\"name\":\"l\",\"options\":{\"link\":{\"bucket\":\"x\"}}}",                "x", NULL},
        {"{\"name\":\"l\",\"options\":{\"link\":{\"bucket\":\"x\",\"name\":\"\"}}}",  "x",
         NULL                                                                                  },
        {"{\"name\":\"l\",\"options\":{\"link\":{\"bucket\":\"x\",\"name\":null}}}",  "x",
         NULL                                                                                  },
        {"{\"name\":\"l\",\"bucket\":\"x\",\"options\":{\"link\":{\"name\":\"o\"}}}", "x",
         "o"                                                                                   },
    };
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        CLEANUP(cleanup_object_meta) struct object_meta *meta = parse(cases[i].json);
        assert_string_equal(meta->link_bucket, cases[i].bucket);
        if (cases[i].name != NULL)
            assert_string_equal(meta->link_name, cases[i].name);
        else
            assert_null(meta->link_name);
    }
}

static void what_jsfs_writes_has_every_field(void **state)
{
    struct object_meta meta = {.name = (char *)"caf\xc3\xa9 <&>\"\\",
                               .nuid = (char *)"N",
                               .size_bytes = 5000000000,
                               .chunks = 3,
                               .max_chunk_bytes = 65536};
    CLEANUP(cleanup_free) char *text = NULL;
    (void)state;

    meta.has_digest = digest_parse(ABC, meta.digest);
    assert_int_equal(object_meta_format(&meta, "b", 1795255651812661495, &text), JSFS_OK);
    assert_string_equal(
        text, "{\"name\":\"caf\xc3\xa9 <&>\\\"\\\\\",\"options\":{\"max_chunk_size\":"
              "65536},\"bucket\":\"b\",\"nuid\":\"N\",\"size\":5000000000,\"chunks\":3,"
              "\"mtime\":\"2026-11-21T10:07:31.812661495Z\",\"digest\":\"" ABC "\"}");
}

static void an_empty_object_has_a_digest_too(void **state)
{
    struct object_meta meta = {.name = (char *)"a", .nuid = (char *)"N"};
    CLEANUP(cleanup_json) json_t *json = format(&meta);
    (void)state;

    assert_string_equal(text_of(json, "digest"), NOTHING);
    assert_true(json_is_integer(json_object_get(json, "size")));
    assert_true(json_is_integer(json_object_get(json, "chunks")));
    assert_int_equal(json_integer_value(json_object_get(json_object_get(json, "options"),
                                                        "max_chunk_size")),
                     131072);
}

static void an_object_whose_writer_gave_no_digest_gets_none(void **state)
{
    struct object_meta meta = {
        .name = (char *)"a", .nuid = (char *)"N", .size_bytes = 1, .chunks = 1};
    CLEANUP(cleanup_json) json_t *json = format(&meta);
    (void)state;

    assert_null(json_object_get(json, "digest"));
}

static void a_tombstone_has_no_size_chunks_or_digest(void **state)
{
    struct object_meta meta = {.name = (char *)"a",
                               .nuid = (char *)"fresh",
                               .size_bytes = 3,
                               .chunks = 1,
                               .deleted = true,
                               .has_digest = true};
    CLEANUP(cleanup_json) json_t *json = format(&meta);
    (void)state;

    assert_true(json_is_true(json_object_get(json, "deleted")));
    assert_int_equal(json_integer_value(json_object_get(json, "size")), 0);
    assert_int_equal(json_integer_value(json_object_get(json, "chunks")), 0);
    assert_null(json_object_get(json, "digest"));
    assert_string_equal(text_of(json, "nuid"), "fresh");
}

static void a_link_is_written_as_it_is_read(void **state)
{
    static const char *const names[] = {"o", NULL};
    (void)state;

    for (size_t i = 0; i < COUNT(names); i++) {
        struct object_meta meta = {.name = (char *)"l",
                                   .nuid = (char *)"N",
                                   .link_bucket = (char *)"x",
                                   .link_name = (char *)names[i]};
        CLEANUP(cleanup_json) json_t *json = format(&meta);
        json_t *link = json_object_get(json_object_get(json, "options"), "link");
        assert_string_equal(text_of(link, "bucket"), "x");
        assert_int_equal(json_object_size(link), names[i] != NULL ? 2 : 1);
        if (names[i] != NULL)
            assert_string_equal(text_of(link, "name"), names[i]);
        assert_null(json_object_get(json, "digest"));
    }
}

/* The extra of a meta, and what becomes of it when jsfs writes the meta again. */
static void extras_survive_a_rewrite(void **state)
{
    static const struct {
        const char *json, *extra;
    } cases[] = {
        {"\"description\":\"d\"",                                "{\"description\":\"d\"}"            },
        {"\"headers\":{\"K\":[\"v\",\"w\"]}",                    "{\"headers\":{\"K\":[\"v\",\"w\"]}}"},
        {"\"metadata\":{\"m\":\"\xc3\xa9\"}",                    "{\"metadata\":{\"m\":\"\xc3\xa9\"}}"},
        {"\"headers\":{\"inner\":{\"K\":[\"v\"]}}",
         "{\"headers\":{\"K\":[\"v\"]}}"                                                              }, /* rs */
        {"\"headers\":{\"inner\":[\"v\"]}",                      "{\"headers\":{\"inner\":[\"v\"]}}"  },
        {"\"headers\":[],\"metadata\":\"m\",\"description\":{}", NULL                                 },
        {"\"revision\":7",                                       NULL                                 },
    };
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[256];
        snprintf(text, sizeof(text), "{\"name\":\"a\",\"nuid\":\"N\",%s}", cases[i].json);
        CLEANUP(cleanup_object_meta) struct object_meta *meta = parse(text);
        if (cases[i].extra == NULL) {
            assert_null(meta->extra);
            continue;
        }
        assert_string_equal(meta->extra, cases[i].extra);
        CLEANUP(cleanup_free) char *again = NULL;
        assert_int_equal(object_meta_format(meta, "b", 0, &again), JSFS_OK);
        CLEANUP(cleanup_object_meta) struct object_meta *read = parse(again);
        assert_string_equal(read->extra, cases[i].extra);
    }
}

static void an_extra_cannot_replace_a_field(void **state)
{
    struct object_meta meta = {.name = (char *)"a",
                               .nuid = (char *)"N",
                               .extra = (char *)"{\"name\":\"x\",\"size\":9}"};
    CLEANUP(cleanup_json) json_t *json = format(&meta);
    (void)state;

    assert_string_equal(text_of(json, "name"), "a");
    assert_int_equal(json_integer_value(json_object_get(json, "size")), 0);
}

static void a_meta_that_nobody_could_read_is_not_written(void **state)
{
    static const struct {
        struct object_meta meta;
        enum jsfs_status status;
    } cases[] = {
        {{.name = (char *)"\xff", .nuid = (char *)"N"},                        JSFS_NOT_UTF8},
        {{.name = (char *)"a"},                                                JSFS_INVALID },
        {{.name = (char *)"a", .nuid = (char *)"N", .size_bytes = UINT64_MAX},
         JSFS_INVALID                                                                       },
        {{.name = (char *)"a", .nuid = (char *)"N", .extra = (char *)"["},     JSFS_INVALID },
        {{.name = (char *)"a", .nuid = (char *)"N", .extra = (char *)"[]"},    JSFS_INVALID },
    };
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        char *text = NULL;
        assert_int_equal(object_meta_format(&cases[i].meta, "b", 0, &text),
                         cases[i].status);
        assert_null(text);
    }
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;

    for (size_t i = 0; i < COUNT(of_clients); i++) {
        CLEANUP(cleanup_object_meta) struct object_meta *meta = parse(of_clients[i]);
        CLEANUP(cleanup_free) char *once = NULL;
        CLEANUP(cleanup_free) char *twice = NULL;
        assert_int_equal(object_meta_format(meta, "b", 7, &once), JSFS_OK);
        CLEANUP(cleanup_object_meta) struct object_meta *again = parse(once);
        assert_int_equal(object_meta_format(again, "b", 7, &twice), JSFS_OK);
        assert_string_equal(once, twice);
    }
}

static const char rich[] =
    "{\"name\":\"a\",\"nuid\":\"N\",\"size\":3,\"chunks\":1,\"description\":\"d\","
    "\"headers\":"
    "{\"K\":[\"v\"]},\"metadata\":{\"m\":\"n\"},\"options\":{\"link\":{\"bucket\":\"x\","
    "\"name\":\"o\"},\"max_chunk_size\":7},\"digest\":\"" ABC "\",\"deleted\":true}";

/* Of jsfs's own allocations; jansson 2.14 does not survive a failed one of its own. */
static void without_memory_nothing_is_read(void **state)
{
    unsigned n = 1;
    (void)state;

    for (;; n++) {
        CLEANUP(cleanup_object_meta) struct object_meta *meta = NULL;
        failing_malloc_start(n);
        enum jsfs_status status = object_meta_parse(rich, sizeof(rich) - 1, &meta);
        if (!failing_malloc_stop())
            break;
        assert_int_equal(status, JSFS_NO_MEMORY);
        assert_null(meta);
    }
    assert_int_equal(n, 6); /* the struct, name, nuid, link's bucket and name */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_meta_of_any_client_is_read),
        cmocka_unit_test(missing_null_and_empty_fields_are_defaults),
        cmocka_unit_test(what_cannot_be_a_meta_is_corrupt),
        cmocka_unit_test(only_size_bytes_are_read),
        cmocka_unit_test(links_of_any_client_are_read),
        cmocka_unit_test(what_jsfs_writes_has_every_field),
        cmocka_unit_test(an_empty_object_has_a_digest_too),
        cmocka_unit_test(an_object_whose_writer_gave_no_digest_gets_none),
        cmocka_unit_test(a_tombstone_has_no_size_chunks_or_digest),
        cmocka_unit_test(a_link_is_written_as_it_is_read),
        cmocka_unit_test(extras_survive_a_rewrite),
        cmocka_unit_test(an_extra_cannot_replace_a_field),
        cmocka_unit_test(a_meta_that_nobody_could_read_is_not_written),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(without_memory_nothing_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
