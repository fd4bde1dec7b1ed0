/* SPDX-License-Identifier: Apache-2.0 */
/* test_stream_config.c - request bodies, field by field.
 * Unit test of layer 2.
 */
#include "core/stream_config.h"
#include "core/cleanup.h"
#include <jansson.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

static struct config_bucket defaults_of_kv(void)
{
    struct config config;

    config_init(&config);
    return config.kv;
}

/* Compare as JSON, so that the order of fields does not matter. Takes text. */
static void assert_json(char *text, const char *expected)
{
    CLEANUP(cleanup_free) char *made = text;

    assert_non_null(made);
    json_t *a = json_loads(made, JSON_REJECT_DUPLICATES, NULL);
    json_t *b = json_loads(expected, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(b);
    if (!json_equal(a, b))
        fail_msg("%s\nis not\n%s", made, expected);
    json_decref(a);
    json_decref(b);
}

static void a_kv_bucket_is_made_as_official_clients_do(void **state)
{
    struct config_bucket defaults = defaults_of_kv();
    (void)state;

    assert_json(
        stream_config_kv("x", &defaults, 0),
        "{\"name\":\"KV_x\",\"subjects\":[\"$KV.x.>\"],\"retention\":\"limits\","
        "\"max_consumers\":-1,\"max_msgs\":-1,\"max_bytes\":-1,\"max_age\":0,"
        "\"max_msgs_per_subject\":1,\"max_msg_size\":-1,\"discard\":\"new\","
        "\"storage\":\"file\",\"num_replicas\":1,\"duplicate_window\":120000000000,"
        "\"deny_delete\":true,\"allow_rollup_hdrs\":true,\"allow_direct\":true}");
}

static void an_object_store_is_made_as_official_clients_do(void **state)
{
    struct config_bucket defaults = defaults_of_kv();
    (void)state;

    assert_json(stream_config_object("x", &defaults, 0),
                "{\"name\":\"OBJ_x\",\"subjects\":[\"$O.x.C.>\",\"$O.x.M.>\"],"
                "\"retention\":\"limits\",\"max_consumers\":-1,\"max_msgs\":-1,"
                "\"max_bytes\":-1,\"max_age\":0,\"discard\":\"new\",\"storage\":\"file\","
                "\"num_replicas\":1,\"duplicate_window\":120000000000,"
                "\"allow_rollup_hdrs\":true,\"allow_direct\":true}");
}

static void the_settings_of_a_bucket_are_sent(void **state)
{
    struct config_bucket defaults = {.history = 5,
                                     .memory_storage = true,
                                     .replicas = 3,
                                     .ttl_ns = INT64_C(604800000000000),
                                     .max_bytes = 10485760,
                                     .max_value_bytes = 1024,
                                     .compression = true};
    (void)state;

    assert_json(
        stream_config_kv("x", &defaults, 2),
        "{\"name\":\"KV_x\",\"subjects\":[\"$KV.x.>\"],\"retention\":\"limits\","
        "\"max_consumers\":-1,\"max_msgs\":-1,\"max_bytes\":10485760,"
        "\"max_age\":604800000000000,\"max_msgs_per_subject\":5,"
        "\"max_msg_size\":1024,\"discard\":\"new\",\"storage\":\"memory\","
        "\"num_replicas\":3,\"duplicate_window\":120000000000,\"deny_delete\":true,"
        "\"allow_rollup_hdrs\":true,\"allow_direct\":true,\"compression\":\"s2\","
        "\"allow_atomic\":true}");
}

static void placement_and_description_are_sent_when_they_are_set(void **state)
{
    struct config_bucket defaults = {.history = 1,
                                     .replicas = 1,
                                     .max_bytes = -1,
                                     .max_value_bytes = -1,
                                     .placement_cluster = "west",
                                     .placement_tags = " ssd, eu west ,,az:1,",
                                     .description = "k\u00e4se \"x\""};
    CLEANUP(cleanup_free) char *text = stream_config_object("x", &defaults, 0);
    json_t *json = json_loads(text, 0, NULL);
    (void)state;

    CLEANUP(cleanup_free)
    char *placement = json_dumps(json_object_get(json, "placement"), JSON_COMPACT);
    assert_string_equal(placement,
                        "{\"cluster\":\"west\",\"tags\":[\"ssd\",\"eu west\",\"az:1\"]}");
    assert_string_equal(json_string_value(json_object_get(json, "description")),
                        defaults.description);
    json_decref(json);
}

/* A field of a KV bucket's configuration, for json_decref(). */
static json_t *field_of(const struct config_bucket *defaults, int api_level,
                        const char *key)
{
    CLEANUP(cleanup_free) char *text = stream_config_kv("x", defaults, api_level);
    json_t *json = json_loads(text, 0, NULL);
    json_t *field = json_incref(json_object_get(json, key));

    json_decref(json);
    return field;
}

static void atomic_batches_are_allowed_from_level_2_on(void **state)
{
    struct config_bucket defaults = defaults_of_kv();
    (void)state;

    for (int level = 0; level <= 5; level++) {
        json_t *field = field_of(&defaults, level, "allow_atomic");
        assert_int_equal(json_is_true(field), level >= 2);
        assert_int_equal(field != NULL,
                         level >= 2); /* older servers may refuse the field */
        json_decref(field);
    }
}

static void the_duplicate_window_is_never_longer_than_the_ttl(void **state)
{
    static const int64_t seconds[][2] = {
        {0,   120},
        {60,  60 },
        {120, 120},
        {121, 120}
    };
    struct config_bucket defaults = defaults_of_kv();
    (void)state;

    for (size_t i = 0; i < 4; i++) {
        defaults.ttl_ns = seconds[i][0] * 1000000000;
        json_t *field = field_of(&defaults, 0, "duplicate_window");
        assert_int_equal(json_integer_value(field), seconds[i][1] * 1000000000);
        json_decref(field);
    }
}

static void an_ordered_consumer_asks_for_what_adr_17_says(void **state)
{
    (void)state;

    assert_json(
        stream_config_consumer("KV_x", "n", "_INBOX.a", "$KV.x.>",
                               STREAM_DELIVER_LAST_PER_SUBJECT, 0, true, 500),
        "{\"stream_name\":\"KV_x\",\"action\":\"create\",\"config\":{\"name\":\"n\","
        "\"deliver_subject\":\"_INBOX.a\",\"filter_subject\":\"$KV.x.>\","
        "\"deliver_policy\":\"last_per_subject\",\"ack_policy\":\"none\",\"max_deliver\":"
        "1,"
        "\"ack_wait\":79200000000000,\"replay_policy\":\"instant\",\"flow_control\":true,"
        "\"idle_heartbeat\":500000000,\"mem_storage\":true,\"num_replicas\":1,"
        "\"inactive_threshold\":5000000000,\"headers_only\":true}}");
    assert_json(
        stream_config_consumer("OBJ_x", "n", "_INBOX.a", "$O.x.M.>", STREAM_DELIVER_ALL,
                               7, false, 5000),
        "{\"stream_name\":\"OBJ_x\",\"action\":\"create\",\"config\":{\"name\":\"n\","
        "\"deliver_subject\":\"_INBOX.a\",\"filter_subject\":\"$O.x.M.>\","
        "\"deliver_policy\":\"all\",\"ack_policy\":\"none\",\"max_deliver\":1,"
        "\"ack_wait\":79200000000000,\"replay_policy\":\"instant\",\"flow_control\":true,"
        "\"idle_heartbeat\":5000000000,\"mem_storage\":true,\"num_replicas\":1,"
        "\"inactive_threshold\":5000000000}}");
}

static void a_consumer_that_resumes_says_where(void **state)
{
    CLEANUP(cleanup_free)
    char *text = stream_config_consumer("KV_x", "n", "_INBOX.a", "$KV.x.>",
                                        STREAM_DELIVER_FROM_SEQUENCE, 4711, false, 500);
    json_t *json = json_loads(text, 0, NULL);
    json_t *config = json_object_get(json, "config");
    (void)state;

    assert_string_equal(json_string_value(json_object_get(config, "deliver_policy")),
                        "by_start_sequence");
    assert_int_equal(json_integer_value(json_object_get(config, "opt_start_seq")), 4711);
    json_decref(json);
}

static void a_name_that_json_cannot_carry_gives_no_body(void **state)
{
    struct config_bucket defaults = defaults_of_kv();
    (void)state;

    assert_null(stream_config_kv("\xff", &defaults, 2));
    assert_null(stream_config_object("\xff", &defaults, 2));
    assert_null(stream_config_consumer("KV_x", "n", "_INBOX.a", "$KV.x.\xff",
                                       STREAM_DELIVER_FROM_SEQUENCE, 1, true, 500));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kv_bucket_is_made_as_official_clients_do),
        cmocka_unit_test(an_object_store_is_made_as_official_clients_do),
        cmocka_unit_test(placement_and_description_are_sent_when_they_are_set),
        cmocka_unit_test(the_settings_of_a_bucket_are_sent),
        cmocka_unit_test(atomic_batches_are_allowed_from_level_2_on),
        cmocka_unit_test(the_duplicate_window_is_never_longer_than_the_ttl),
        cmocka_unit_test(an_ordered_consumer_asks_for_what_adr_17_says),
        cmocka_unit_test(a_consumer_that_resumes_says_where),
        cmocka_unit_test(a_name_that_json_cannot_carry_gives_no_body),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
