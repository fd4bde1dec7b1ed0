/* SPDX-License-Identifier: Apache-2.0 */
/* test_stream_text.c - a stream as text: what is kept, what is refused, what a status tells.
 * Unit test of layer 2.
 */
#include "core/stream_text.h"
#include "core/cleanup.h"
#include <jansson.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

static void a_configuration_is_printed_with_all_its_fields_in_order(void **state)
{
    CLEANUP(cleanup_free)
    char *text = stream_text_config("{\"type\":\"t\",\"config\":{\"name\":\"KV_x\",\"zeta\":"
                                    "{\"deep\":[1,null]},\"alpha\":9007199254740993},"
                                    "\"state\":{}}");
    (void)state;

    assert_string_equal(text, "{\n  \"name\": \"KV_x\",\n  \"zeta\": {\n    \"deep\": [\n"
                              "      1,\n      null\n    ]\n  },\n"
                              "  \"alpha\": 9007199254740993\n}\n");
}

static void a_reply_without_a_configuration_gives_none(void **state)
{
    static const char *const replies[] = {"", "{}", "[]", "{\"config\":3}", "{\"config\""};
    (void)state;

    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++)
        assert_null(stream_text_config(replies[i]));
}

static enum jsfs_status parse(const char *text, char **config, char error[128])
{
    return stream_text_parse(text, strlen(text), "KV_x", config, error, 128);
}

static void what_is_printed_is_read_back(void **state)
{
    CLEANUP(cleanup_free)
    char *text = stream_text_config("{\"config\":{\"name\":\"KV_x\",\"unknown\":[1.5,\"ä\"]}}");
    CLEANUP(cleanup_free) char *config = NULL;
    char error[128];
    (void)state;

    assert_int_equal(parse(text, &config, error), JSFS_OK);
    assert_string_equal(config, "{\"name\":\"KV_x\",\"unknown\":[1.5,\"ä\"]}");
}

static void what_is_wrong_is_told_with_its_line(void **state)
{
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"{\n\n  oops\n}",                              "line 3: "           },
        {"",                                            "line 1: "           },
        {"{\"name\":\"KV_x\"} trailing",                "line 1: "           },
        {"{\"name\":\"KV_x\",\n\"a\":1,\n\"a\":2}",     "line 3: duplicate"  },
        {"{\"name\":\"KV_y\"}",                         "the \"name\" must stay \"KV_x\""},
        {"{}",                                          "the \"name\" must stay"},
        {"[]",                                          "the \"name\" must stay"},
        {"{\"name\":\"KV_x\",\"b\":\"\xff\"}",          "line 1: "           },
    };
    char *config = NULL;
    char error[128];
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(parse(rows[i].text, &config, error), JSFS_INVALID);
        assert_null(config);
        if (strncmp(error, rows[i].error, strlen(rows[i].error)) != 0)
            fail_msg("%s: %s", rows[i].text, error);
    }
}

/* A field by its path, "a.b"; borrowed. */
static const json_t *field(const json_t *json, const char *group, const char *name)
{
    return json_object_get(group != NULL ? json_object_get(json, group) : json, name);
}

static const struct stream_text_mount mount_of_x = {.bucket = "x",
                                                    .stream = "KV_x",
                                                    .server = "ok",
                                                    .watch = "live",
                                                    .revision = 7,
                                                    .names = 3,
                                                    .conflicts = -1};

static void a_status_tells_what_stream_and_mount_know(void **state)
{
    CLEANUP(cleanup_free)
    char *text = stream_text_status(
        &mount_of_x,
        "{\"created\":\"c\",\"config\":{\"max_msgs_per_subject\":5,\"max_age\":1500000000,"
        "\"max_bytes\":9,\"max_msg_size\":-1,\"allow_direct\":true},"
        "\"state\":{\"messages\":4,\"bytes\":99,\"num_subjects\":3,\"last_seq\":8}}");
    json_t *json = json_loads(text, 0, NULL);
    (void)state;

    assert_int_equal(json_integer_value(field(json, NULL, "values")), 4);
    assert_int_equal(json_integer_value(field(json, NULL, "last_revision")), 8);
    assert_true(json_real_value(field(json, NULL, "ttl")) == 1.5);
    assert_int_equal(json_integer_value(field(json, "limits", "max_bytes")), 9);
    assert_true(json_is_true(field(json, NULL, "allow_direct")));
    assert_true(json_is_false(field(json, NULL, "allow_atomic")));
    assert_int_equal(json_integer_value(field(json, "watch", "revision")), 7);
    assert_true(json_is_null(field(json, NULL, "last_error")));
    assert_null(field(json, NULL, "conflicts"));
    json_decref(json);
}

static void without_a_reply_the_streams_fields_are_null(void **state)
{
    struct stream_text_mount mount = mount_of_x;

    mount.server = "timeout";
    mount.conflicts = 2;
    mount.error_ns = INT64_C(1700000000000000000);
    mount.error_operation = "flush";
    mount.error_text = "no space: \xff"; /* a path of bytes */
    CLEANUP(cleanup_free) char *text = stream_text_status(&mount, NULL);
    json_t *json = json_loads(text, 0, NULL);
    (void)state;

    assert_string_equal(json_string_value(field(json, NULL, "server")), "timeout");
    assert_true(json_is_null(field(json, NULL, "values")));
    assert_true(json_is_null(field(json, NULL, "allow_direct")));
    assert_true(json_is_null(field(json, "limits", "max_bytes")));
    assert_string_equal(json_string_value(field(json, "watch", "state")), "live");
    assert_int_equal(json_integer_value(field(json, NULL, "conflicts")), 2);
    assert_string_equal(json_string_value(field(json, "last_error", "operation")), "flush");
    assert_string_equal(json_string_value(field(json, "last_error", "time")),
                        "2023-11-14T22:13:20.000000000Z");
    assert_non_null(json_string_value(field(json, "last_error", "text")));
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_configuration_is_printed_with_all_its_fields_in_order),
        cmocka_unit_test(a_reply_without_a_configuration_gives_none),
        cmocka_unit_test(what_is_printed_is_read_back),
        cmocka_unit_test(what_is_wrong_is_told_with_its_line),
        cmocka_unit_test(a_status_tells_what_stream_and_mount_know),
        cmocka_unit_test(without_a_reply_the_streams_fields_are_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
