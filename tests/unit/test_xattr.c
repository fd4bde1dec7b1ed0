/* SPDX-License-Identifier: Apache-2.0 */
/* test_xattr.c - names and texts of user.nats.*.
 * Test of fs/xattr.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/cleanup.h"
#include "fs/xattr.h"
#include <string.h>

#define NS_PER_S INT64_C(1000000000)

static void a_set_gives_what_was_added(void **state)
{
    CLEANUP(xattr_clear) struct xattr_set set = XATTR_SET_INIT;

    (void)state;
    assert_null(xattr_get(&set, "one"));
    xattr_add(&set, "one", "%d", 1);
    xattr_add(&set, "empty", "%s", "");
    xattr_add(&set, "text", "%s", "a b");
    assert_string_equal(xattr_get(&set, "one"), "1");
    assert_string_equal(xattr_get(&set, "empty"), "");
    assert_string_equal(xattr_get(&set, "text"), "a b");
    assert_null(xattr_get(&set, "on"));
    assert_null(xattr_get(&set, "a b"));
}

static void the_list_is_full_names_each_with_its_nul(void **state)
{
    static const char expected[] = "user.nats.one\0user.nats.two";
    CLEANUP(xattr_clear) struct xattr_set set = XATTR_SET_INIT;
    CLEANUP(buffer_clear) struct buffer names = BUFFER_INIT;

    (void)state;
    assert_int_equal(xattr_list(&set, &names), JSFS_OK);
    assert_int_equal(names.size, 0);
    xattr_add(&set, "one", "1");
    xattr_add(&set, "two", "%s", "");
    assert_int_equal(xattr_list(&set, &names), JSFS_OK);
    assert_int_equal(names.size, sizeof(expected));
    assert_memory_equal(names.data, expected, sizeof(expected));
}

static void a_set_that_lost_one_has_failed_as_a_whole(void **state)
{
    CLEANUP(xattr_clear) struct xattr_set set = XATTR_SET_INIT;
    CLEANUP(buffer_clear) struct buffer names = BUFFER_INIT;

    (void)state;
    xattr_add(&set, "one", "1");
    set.failed = true;
    assert_null(xattr_get(&set, "one"));
    assert_int_equal(xattr_list(&set, &names), JSFS_NO_MEMORY);
}

static void a_key_has_its_revision_once_it_has_one(void **state)
{
    CLEANUP(xattr_clear) struct xattr_set set = XATTR_SET_INIT;
    CLEANUP(xattr_clear) struct xattr_set local = XATTR_SET_INIT;

    (void)state;
    xattr_of_key(&set, "bucket", "a.b/c", 7, INT64_C(1700000000000000005));
    assert_string_equal(xattr_get(&set, "bucket"), "bucket");
    assert_string_equal(xattr_get(&set, "key"), "a.b/c");
    assert_string_equal(xattr_get(&set, "revision"), "7");
    assert_string_equal(xattr_get(&set, "created"), "2023-11-14T22:13:20.000000005Z");
    assert_string_equal(xattr_get(&set, "operation"), "PUT");
    xattr_of_key(&local, "bucket", "new", 0, 1);
    assert_string_equal(xattr_get(&local, "key"), "new");
    assert_null(xattr_get(&local, "revision"));
}

static void a_marker_says_what_it_is(void **state)
{
    static const struct {
        enum store_state state;
        const char *operation;
    } cases[] = {
        {STORE_LIVE,    "PUT"  },
        {STORE_DELETED, "DEL"  },
        {STORE_PURGED,  "PURGE"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CLEANUP(xattr_clear) struct xattr_set set = XATTR_SET_INIT;
        struct store_entry entry = {.state = cases[i].state, .sequence = 9};

        xattr_of_revision(&set, "b", "k", &entry);
        assert_string_equal(xattr_get(&set, "operation"), cases[i].operation);
        assert_string_equal(xattr_get(&set, "revision"), "9");
    }
}

static void an_object_has_what_its_meta_says(void **state)
{
    CLEANUP(xattr_clear) struct xattr_set set = XATTR_SET_INIT;
    CLEANUP(xattr_clear) struct xattr_set bare = XATTR_SET_INIT;
    struct object_meta meta = {
        .nuid = (char *)"NUID", .size_bytes = 300, .chunks = 3, .has_digest = true};

    (void)state;
    xattr_of_object(&set, "store", "dir/name", &meta);
    assert_string_equal(xattr_get(&set, "name"), "dir/name");
    assert_string_equal(xattr_get(&set, "nuid"), "NUID");
    assert_string_equal(xattr_get(&set, "size"), "300");
    assert_string_equal(xattr_get(&set, "chunks"), "3");
    assert_string_equal(xattr_get(&set, "digest"),
                        "SHA-256=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    xattr_of_object(&bare, "store", "new", NULL);
    assert_string_equal(xattr_get(&bare, "bucket"), "store");
    assert_null(xattr_get(&bare, "size"));
}

static const char *ttl_of(int64_t max_age_ns)
{
    static char text[64];
    CLEANUP(xattr_clear) struct xattr_set set = XATTR_SET_INIT;
    struct js_stream_info info = {.max_age_ns = max_age_ns};

    xattr_of_bucket(&set, STORE_KV, "b", &info, 0);
    strcpy(text, xattr_get(&set, "ttl"));
    return text;
}

static void a_bucket_has_its_status(void **state)
{
    CLEANUP(xattr_clear) struct xattr_set set = XATTR_SET_INIT;
    struct js_stream_info info = {.messages = 12,
                                  .bytes = 345,
                                  .max_messages_per_subject = 5,
                                  .max_bytes = -1,
                                  .max_message_bytes = 1024,
                                  .replicas = 3,
                                  .memory_storage = true,
                                  .description = "what for"};

    (void)state;
    xattr_of_bucket(&set, STORE_KV, "b", &info, 4);
    assert_string_equal(xattr_get(&set, "keys"), "4");
    assert_string_equal(xattr_get(&set, "values"), "12");
    assert_string_equal(xattr_get(&set, "bytes"), "345");
    assert_string_equal(xattr_get(&set, "history"), "5");
    assert_string_equal(xattr_get(&set, "max_bytes"), "unlimited");
    assert_string_equal(xattr_get(&set, "max_value_size"), "1024");
    assert_string_equal(xattr_get(&set, "storage"), "memory");
    assert_string_equal(xattr_get(&set, "replicas"), "3");
    assert_string_equal(xattr_get(&set, "description"), "what for");
    assert_string_equal(ttl_of(0), "0");
    assert_string_equal(ttl_of(90 * NS_PER_S), "90s");
    assert_string_equal(ttl_of(120 * NS_PER_S), "2m");
    assert_string_equal(ttl_of(48 * 3600 * NS_PER_S), "48h");
    assert_string_equal(ttl_of(1500000000), "1500ms");
    assert_string_equal(ttl_of(7), "7ns");
}

static void the_names_of_a_bucket_are_known_without_its_status(void **state)
{
    CLEANUP(xattr_clear) struct xattr_set keys = XATTR_SET_INIT, store = XATTR_SET_INIT;

    (void)state;
    xattr_names_of_bucket(&keys, STORE_KV);
    xattr_names_of_bucket(&store, STORE_OBJECT);
    assert_non_null(xattr_get(&keys, "history"));
    assert_non_null(xattr_get(&keys, "keys"));
    assert_null(xattr_get(&store, "history"));
    assert_non_null(xattr_get(&store, "objects"));
}

static int64_t parse(const char *text)
{
    return xattr_parse_ttl(text, strlen(text));
}

static void a_time_to_live_is_read_as_people_write_it(void **state)
{
    (void)state;
    assert_int_equal(parse("30s"), 30 * NS_PER_S);
    assert_int_equal(parse("30"), 30 * NS_PER_S);
    assert_int_equal(parse("15m"), 900 * NS_PER_S);
    assert_int_equal(parse("1h30m"), 5400 * NS_PER_S);
    assert_int_equal(parse("1h0m0s"), 3600 * NS_PER_S);
    assert_int_equal(parse("7d"), 7 * 86400 * NS_PER_S);
    assert_int_equal(xattr_parse_ttl("30s!", 3), 30 * NS_PER_S);
}

static void what_is_no_time_to_live_is_refused(void **state)
{
    static const char *const texts[] = {
        "",     "s",    "x",    "-5s", "0",  "0s",          "500ms",
        "1.5s", "1h30", "0h30", "30 s", " 3s", "3w", "9999999999h", "99999999999999999999s",
        "never"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(parse(texts[i]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_gives_what_was_added),
        cmocka_unit_test(the_list_is_full_names_each_with_its_nul),
        cmocka_unit_test(a_set_that_lost_one_has_failed_as_a_whole),
        cmocka_unit_test(a_key_has_its_revision_once_it_has_one),
        cmocka_unit_test(a_marker_says_what_it_is),
        cmocka_unit_test(an_object_has_what_its_meta_says),
        cmocka_unit_test(a_bucket_has_its_status),
        cmocka_unit_test(the_names_of_a_bucket_are_known_without_its_status),
        cmocka_unit_test(a_time_to_live_is_read_as_people_write_it),
        cmocka_unit_test(what_is_no_time_to_live_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
