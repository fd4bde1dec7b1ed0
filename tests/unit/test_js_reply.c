/* SPDX-License-Identifier: Apache-2.0 */
/* test_js_reply.c - JetStream's answers as nats-server 2.9 and 2.15 give them, and broken ones.
 * Unit test of layer 2.
 */
#include "core/js_reply.h"
#include "core/cleanup.h"
#include "tests/support/failing_malloc.h"
#include <stdio.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ERROR_404                                                                        \
    "{\"type\":\"io.nats.jetstream.api.v1.x\",\"error\":{\"code\":404,\"err_code\":"     \
    "10059,"                                                                             \
    "\"description\":\"stream not found\"},\"total\":0,\"offset\":0,\"limit\":0}"

/* STREAM.INFO of nats-server 2.15.1, a KV bucket. */
#define STREAM_KV                                                                        \
    "\"config\":{\"name\":\"KV_x\",\"subjects\":[\"$KV.x.\\u003e\"],\"retention\":"      \
    "\"limits\","                                                                        \
    "\"max_consumers\":-1,\"max_msgs\":-1,\"max_bytes\":1048576,\"max_age\":"            \
    "60000000000,"                                                                       \
    "\"max_msgs_per_subject\":5,\"max_msg_size\":1024,\"discard\":\"new\","              \
    "\"storage\":\"memory\",\"num_replicas\":3,\"duplicate_window\":60000000000,"        \
    "\"compression\":\"s2\",\"allow_direct\":true,\"mirror_direct\":false,\"sealed\":"   \
    "true,"                                                                              \
    "\"deny_delete\":true,\"deny_purge\":true,\"allow_rollup_hdrs\":true,"               \
    "\"consumer_limits\":{},\"allow_msg_ttl\":true,\"allow_atomic\":true,"               \
    "\"metadata\":{\"_nats.level\":\"5\"}},\"created\":\"2026-11-21T10:07:31.5Z\","      \
    "\"state\":{\"messages\":4,\"bytes\":42,\"first_seq\":2,\"first_ts\":\"x\","         \
    "\"last_seq\":7,\"last_ts\":\"x\",\"num_subjects\":3,\"consumer_count\":1}"

static void a_description_is_cut_between_two_characters(void **state)
{
    char json[2048], text[1025] = "";
    struct js_stream_info info;
    struct js_error error;

    (void)state;
    memset(text, 'y', 1022);
    memcpy(text + 1022, "\u00e4", sizeof("\u00e4")); /* its second byte would be the 1024th */
    snprintf(json, sizeof(json),
             "{\"config\":{\"name\":\"s\",\"description\":\"%s\"},\"state\":{}}", text);
    assert_int_equal(js_reply_stream_info(json, strlen(json), &error, &info), JSFS_OK);
    assert_int_equal(strlen(info.description), 1022);
    assert_memory_equal(info.description, text, 1022);
    snprintf(json, sizeof(json), "{\"config\":{\"name\":\"s\"},\"state\":{}}");
    assert_int_equal(js_reply_stream_info(json, strlen(json), &error, &info), JSFS_OK);
    assert_string_equal(info.description, "");
}

static void a_stream_is_read_field_by_field(void **state)
{
    static const char json[] = "{\"type\":\"x\"," STREAM_KV ",\"did_create\":true}";
    struct js_stream_info info;
    struct js_error error;
    (void)state;

    memset(&info, 0x5a, sizeof(info));
    assert_int_equal(js_reply_stream_info(json, strlen(json), &error, &info), JSFS_OK);
    assert_int_equal(error.code, 0);
    assert_string_equal(info.name, "KV_x");
    assert_string_equal(info.mirror, "");
    assert_int_equal(info.messages, 4);
    assert_int_equal(info.bytes, 42);
    assert_int_equal(info.first_sequence, 2);
    assert_int_equal(info.last_sequence, 7);
    assert_int_equal(info.subjects, 3);
    assert_int_equal(info.max_bytes, 1048576);
    assert_int_equal(info.max_message_bytes, 1024);
    assert_int_equal(info.max_messages_per_subject, 5);
    assert_true(info.max_age_ns == INT64_C(60000000000));
    assert_true(info.duplicate_window_ns == INT64_C(60000000000));
    assert_int_equal(info.replicas, 3);
    assert_true(info.allow_direct && info.allow_rollup && info.sealed && info.deny_purge);
    assert_true(info.deny_delete && info.allow_atomic && info.allow_message_ttl);
    assert_true(info.memory_storage);
    assert_true(info.created_ns == INT64_C(1795255651500000000));
}

static void a_field_that_an_old_server_does_not_know_is_off(void **state)
{
    static const char json[] =
        "{\"config\":{\"name\":\"KV_m\",\"storage\":\"file\",\"mirror\":{"
        "\"name\":\"KV_x\"}},\"created\":\"?\",\"state\":{}}";
    struct js_stream_info info;
    struct js_error error;
    (void)state;

    assert_int_equal(js_reply_stream_info(json, strlen(json), &error, &info), JSFS_OK);
    assert_string_equal(info.name, "KV_m");
    assert_string_equal(info.mirror, "KV_x");
    assert_int_equal(info.max_bytes, -1);
    assert_int_equal(info.max_message_bytes, -1);
    assert_int_equal(info.max_messages_per_subject, -1);
    assert_int_equal(info.max_age_ns, 0);
    assert_int_equal(info.duplicate_window_ns, 0);
    assert_int_equal(info.created_ns, 0);
    assert_int_equal(info.last_sequence, 0);
    assert_false(info.allow_direct || info.allow_rollup || info.sealed ||
                 info.deny_purge);
    assert_false(info.deny_delete || info.allow_atomic || info.allow_message_ttl);
    assert_false(info.memory_storage);
}

struct names {
    int count;
    char names[4][256];
};

static void note_name(void *arg, const struct js_stream_info *info)
{
    struct names *names = arg;

    strcpy(names->names[names->count++], info->name);
}

static void a_page_of_streams_leaves_out_only_what_cannot_be_read(void **state)
{
    static const char json[] =
        "{\"type\":\"x\",\"total\":300,\"offset\":0,\"limit\":256,\"streams\":["
        "{" STREAM_KV "},"
        "{\"config\":{}},7,{\"config\":{\"name\":\"OBJ_y\"},\"state\":{}}]}";
    struct names names = {0};
    struct js_error error;
    uint64_t total = 0, count = 0;
    (void)state;

    assert_int_equal(js_reply_stream_list(json, strlen(json), &error, note_name, &names,
                                          &total, &count),
                     JSFS_OK);
    assert_int_equal(names.count, 2);
    assert_string_equal(names.names[0], "KV_x");
    assert_string_equal(names.names[1], "OBJ_y");
    assert_int_equal(total, 300);
    assert_int_equal(count, 4);
}

static void an_empty_page_of_streams_is_null(void **state)
{
    static const char json[] =
        "{\"total\":0,\"offset\":0,\"limit\":256,\"streams\":null}";
    struct names names = {0};
    struct js_error error;
    uint64_t total = 9, count = 9;
    (void)state;

    assert_int_equal(js_reply_stream_list(json, strlen(json), &error, note_name, &names,
                                          &total, &count),
                     JSFS_OK);
    assert_int_equal(names.count, 0);
    assert_int_equal(total, 0);
    assert_int_equal(count, 0);
}

static void a_consumer_is_read(void **state)
{
    static const char json[] = "{\"type\":\"x\",\"stream_name\":\"KV_x\",\"name\":\"n\","
                               "\"config\":{\"name\":\"other\"},\"num_pending\":12}";
    char name[256];
    uint64_t pending = 0;
    struct js_error error;
    (void)state;

    assert_int_equal(js_reply_consumer(json, strlen(json), &error, name, &pending),
                     JSFS_OK);
    assert_string_equal(name, "n");
    assert_int_equal(pending, 12);
}

static void a_stored_message_is_decoded(void **state)
{
    static const char json[] =
        "{\"type\":\"x\",\"message\":{\"subject\":\"$KV.x.\\u003ca\",\"seq\":7,"
        "\"hdrs\":\"TkFUUy8xLjANCkE6IGINCg0K\",\"data\":\"/+8A\","
        "\"time\":\"2026-11-21T10:07:31.812661495Z\"}}";
    struct js_stored_message message;
    struct js_error error;
    (void)state;

    assert_int_equal(js_reply_message(json, strlen(json), &error, &message), JSFS_OK);
    assert_string_equal(message.subject, "$KV.x.<a");
    assert_int_equal(message.sequence, 7);
    assert_true(message.time_ns == INT64_C(1795255651812661495));
    assert_string_equal(message.headers, "NATS/1.0\r\nA: b\r\n\r\n");
    assert_int_equal(message.headers_size, strlen(message.headers));
    assert_int_equal(message.size, 3);
    assert_memory_equal(message.data, "\xff\xef\0", 3);
    js_stored_message_clear(&message);
    assert_null(message.subject);
}

static void an_empty_stored_message_has_no_data_and_no_headers(void **state)
{
    static const char json[] = "{\"message\":{\"subject\":\"s\",\"seq\":1,\"data\":\"\","
                               "\"time\":\"2026-11-21T10:07:31Z\"}}";
    struct js_stored_message message;
    struct js_error error;
    (void)state;

    assert_int_equal(js_reply_message(json, strlen(json), &error, &message), JSFS_OK);
    assert_null(message.headers);
    assert_int_equal(message.headers_size, 0);
    assert_null(message.data);
    assert_int_equal(message.size, 0);
    js_stored_message_clear(&message);
}

static void what_is_no_stored_message_has_failed(void **state)
{
    static const char *const replies[] = {
        "{}",
        "{\"message\":null}",
        "{\"message\":{\"seq\":1,\"time\":\"2026-11-21T10:07:31Z\"}}",
        "{\"message\":{\"subject\":\"s\",\"time\":\"2026-11-21T10:07:31Z\"}}",
        "{\"message\":{\"subject\":\"s\",\"seq\":1}}",
        "{\"message\":{\"subject\":\"s\",\"seq\":1,\"time\":\"today\"}}",
        "{\"message\":{\"subject\":\"s\",\"seq\":1,\"time\":\"2026-11-21T10:07:31Z\","
        "\"data\":\"?\"}}",
        "{\"message\":{\"subject\":\"s\",\"seq\":1,\"time\":\"2026-11-21T10:07:31Z\","
        "\"data\":\"AAAA\",\"hdrs\":\"A\"}}",
    };
    (void)state;

    for (size_t i = 0; i < COUNT(replies); i++) {
        struct js_stored_message message;
        struct js_error error;
        assert_int_equal(
            js_reply_message(replies[i], strlen(replies[i]), &error, &message),
            JSFS_FAILED);
        assert_int_equal(error.code, 0);
    }
}

/* A tier of an account, and an account with tiers. */
#define TIER(used, limit)                                                                \
    "{\"memory\":1,\"storage\":" #used                                                   \
    ",\"limits\":{\"max_memory\":-1,\"max_storage\":" #limit "}}"
#define TIERS(tiers) "{\"storage\":42,\"tiers\":{" tiers "}}"
#define ROW(json, ...)                                                                   \
    {                                                                                    \
        json,                                                                            \
        {                                                                                \
            __VA_ARGS__                                                                  \
        }                                                                                \
    }

static void an_account_is_read_with_and_without_tiers(void **state)
{
    static const struct {
        const char *json;
        struct js_account_info expected;
    } cases[] = {
        ROW("{\"memory\":5,\"storage\":42,\"limits\":{\"max_memory\":10,\"max_storage\":-"
            "1},"
            "\"api\":{\"level\":5}}",
            42, -1, 5, 10, 5),
        ROW("{\"memory\":5,\"storage\":42,\"api\":{\"total\":7}}", 42, -1, 5, -1, 0),
        ROW(TIERS(""), 42, -1, 0, -1, 0),
        ROW(TIERS("\"R3\":" TIER(30, 300) ",\"R1\":" TIER(10, 100)), 10, 100, 1, -1, 0),
        ROW(TIERS("\"R3\":" TIER(30, 300) ",\"R5\":" TIER(50, 500)), 80, 800, 2, -1, 0),
        ROW(TIERS("\"R3\":" TIER(30, -1) ",\"R5\":" TIER(50, 500)), 80, -1, 2, -1, 0),
        ROW(TIERS("\"R3\":" TIER(-5, 9223372036854775807) ",\"R5\":" TIER(
                9223372036854775807, 1)),
            INT64_MAX, INT64_MAX, 2, -1, 0),
    };
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct js_account_info info;
        struct js_error error;
        assert_int_equal(
            js_reply_account(cases[i].json, strlen(cases[i].json), &error, &info),
            JSFS_OK);
        assert_true(info.storage_used == cases[i].expected.storage_used);
        assert_true(info.storage_limit == cases[i].expected.storage_limit);
        assert_true(info.memory_used == cases[i].expected.memory_used);
        assert_true(info.memory_limit == cases[i].expected.memory_limit);
        assert_int_equal(info.api_level, cases[i].expected.api_level);
    }
}

/* As 2.10.27 answers when a memory stream has no max_bytes. */
static void a_number_above_int64_does_not_spoil_a_reply(void **state)
{
    static const char json[] =
        "{\"memory\":5,\"storage\":42,\"reserved_memory\":18446744073709551615,"
        "\"limits\":{\"max_memory\":-1,\"max_storage\":18446744073709551615},"
        "\"api\":{\"level\":1}}";
    struct js_account_info info;
    struct js_error error;
    (void)state;

    assert_int_equal(js_reply_account(json, strlen(json), &error, &info), JSFS_OK);
    assert_true(info.storage_used == 42);
    assert_true(info.memory_used == 5);
    assert_true(info.memory_limit == -1);
    assert_true(info.storage_limit == INT64_MAX);
    assert_int_equal(info.api_level, 1);
}

static void a_purge_tells_how_many(void **state)
{
    static const char done[] = "{\"type\":\"x\",\"success\":true,\"purged\":12}";
    static const char not_done[] = "{\"type\":\"x\",\"purged\":12}";
    struct js_error error;
    uint64_t purged = 0;
    (void)state;

    assert_int_equal(js_reply_purge(done, strlen(done), &error, &purged), JSFS_OK);
    assert_int_equal(purged, 12);
    assert_int_equal(js_reply_purge(not_done, strlen(not_done), &error, &purged),
                     JSFS_FAILED);
}

/* Everything a parser can put out, so that one function can try them all. */
struct outputs {
    struct js_pub_ack ack;
    struct js_stream_info stream;
    struct names names;
    char name[256];
    struct js_stored_message message;
    struct js_account_info account;
    uint64_t numbers[4];
};

static void ignore_stream(void *arg, const struct js_stream_info *info)
{
    (void)arg;
    (void)info;
}

/* How many of the parsers read the bytes as an answer. Frees what they allocate. */
static int parse_all(const char *json, size_t size, struct js_error *error,
                     struct outputs *out)
{
    int read = 0;

    read += js_reply_stream_info(json, size, error, &out->stream) == JSFS_OK;
    read += js_reply_stream_list(json, size, error, ignore_stream, out, &out->numbers[0],
                                 &out->numbers[1]) == JSFS_OK;
    read += js_reply_consumer(json, size, error, out->name, &out->numbers[2]) == JSFS_OK;
    read += js_reply_account(json, size, error, &out->account) == JSFS_OK;
    read += js_reply_purge(json, size, error, &out->numbers[3]) == JSFS_OK;
    if (js_reply_message(json, size, error, &out->message) == JSFS_OK)
        read++;
    return read;
}

static void an_error_reply_leaves_every_output_alone(void **state)
{
    struct outputs out, before;
    struct js_error error;
    (void)state;

    memset(&out, 0x5a, sizeof(out));
    before = out;
    assert_int_equal(parse_all(ERROR_404, strlen(ERROR_404), &error, &out), 6);
    assert_int_equal(error.err_code, 10059);
    assert_memory_equal(&out, &before, sizeof(out));
}

static void a_cut_reply_has_failed_and_leaves_every_output_alone(void **state)
{
    static const char *const replies[] = {
        "{" STREAM_KV "}",
        "{\"total\":1,\"streams\":[{" STREAM_KV "}]}",
        "{\"name\":\"n\",\"num_pending\":12}",
        "{\"message\":{\"subject\":\"s\",\"seq\":1,\"time\":\"2026-11-21T10:07:31Z\"}}",
        "{\"storage\":42,\"limits\":{}}",
        "{\"success\":true,\"purged\":12}",
        ERROR_404,
    };
    struct outputs out, before;
    struct js_error error, nothing = {0};
    (void)state;

    memset(&out, 0x5a, sizeof(out));
    before = out;
    for (size_t i = 0; i < COUNT(replies); i++) {
        for (size_t size = 0; size < strlen(replies[i]); size++) {
            CLEANUP(cleanup_free) char *cut = malloc(size + 1);
            memcpy(cut, replies[i], size);
            assert_int_equal(parse_all(cut, size, &error, &out), 0);
            assert_memory_equal(&error, &nothing, sizeof(error));
        }
    }
    assert_memory_equal(&out, &before, sizeof(out));
}

/* Of jsfs's own allocations; jansson 2.14 does not survive a failed one of its own. */
static void without_memory_there_is_no_stored_message(void **state)
{
    static const char json[] =
        "{\"message\":{\"subject\":\"s\",\"seq\":1,\"data\":\"AAAA\",\"hdrs\":"
        "\"AAAA\",\"time\":\"2026-11-21T10:07:31Z\"}}";
    (void)state;

    for (unsigned n = 1; n <= 3; n++) {
        struct js_stored_message message, before;
        struct js_error error;
        memset(&message, 0x5a, sizeof(message));
        before = message;
        failing_malloc_start(n);
        enum jsfs_status status = js_reply_message(json, strlen(json), &error, &message);
        assert_true(failing_malloc_stop());
        assert_int_equal(status, JSFS_NO_MEMORY);
        assert_memory_equal(&message, &before, sizeof(message));
    }
}

static void what_a_stream_copies_from_is_read(void **state)
{
    static const char json[] =
        "{\"config\":{\"name\":\"KV_m\",\"sources\":[{\"name\":\"KV_a\"},"
        "{\"name\":\"KV_b\",\"subject_transforms\":[{\"src\":\"x\",\"dest\":\"y\"}]},"
        "{\"name\":\"KV_c\",\"subject_transforms\":[],\"filter_subject\":\"$KV.c.>\"},"
        "{\"name\":7},{}]},\"state\":{}}";
    struct js_stream_info info;
    struct js_error error;
    (void)state;

    assert_int_equal(js_reply_stream_info(json, strlen(json), &error, &info), JSFS_OK);
    assert_memory_equal(info.sources, "KV_a\0KV_c\0", 11);
    assert_false(info.has_subjects);
    assert_string_equal(info.mirror_api, "");
}

static void sources_that_do_not_fit_are_left_out(void **state)
{
    char json[8192] = "{\"config\":{\"name\":\"KV_m\",\"subjects\":[\"s\"],\"sources\":[";
    struct js_stream_info info;
    struct js_error error;
    size_t names = 0;
    (void)state;

    for (int i = 0; i < 100; i++)
        sprintf(json + strlen(json), "%s{\"name\":\"KV_source_%02d\"}", i > 0 ? "," : "", i);
    strcat(json, "]},\"state\":{}}");
    assert_int_equal(js_reply_stream_info(json, strlen(json), &error, &info), JSFS_OK);
    for (const char *name = info.sources; *name != '\0'; name += strlen(name) + 1)
        names++;
    assert_int_equal(names, (JS_SOURCES_SIZE - 1) / sizeof("KV_source_00"));
    assert_true(info.has_subjects);
}

static void the_api_of_a_mirrors_origin_is_read(void **state)
{
    static const char json[] =
        "{\"config\":{\"name\":\"KV_m\",\"mirror\":{\"name\":\"KV_o\",\"external\":"
        "{\"api\":\"$JS.hub.API\",\"deliver\":\"\"}}},\"state\":{}}";
    struct js_stream_info info;
    struct js_error error;
    (void)state;

    assert_int_equal(js_reply_stream_info(json, strlen(json), &error, &info), JSFS_OK);
    assert_string_equal(info.mirror, "KV_o");
    assert_string_equal(info.mirror_api, "$JS.hub.API");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_stream_copies_from_is_read),
        cmocka_unit_test(sources_that_do_not_fit_are_left_out),
        cmocka_unit_test(the_api_of_a_mirrors_origin_is_read),
        cmocka_unit_test(a_stream_is_read_field_by_field),
        cmocka_unit_test(a_description_is_cut_between_two_characters),
        cmocka_unit_test(a_field_that_an_old_server_does_not_know_is_off),
        cmocka_unit_test(a_page_of_streams_leaves_out_only_what_cannot_be_read),
        cmocka_unit_test(an_empty_page_of_streams_is_null),
        cmocka_unit_test(a_consumer_is_read),
        cmocka_unit_test(a_stored_message_is_decoded),
        cmocka_unit_test(an_empty_stored_message_has_no_data_and_no_headers),
        cmocka_unit_test(what_is_no_stored_message_has_failed),
        cmocka_unit_test(an_account_is_read_with_and_without_tiers),
        cmocka_unit_test(a_number_above_int64_does_not_spoil_a_reply),
        cmocka_unit_test(a_purge_tells_how_many),
        cmocka_unit_test(an_error_reply_leaves_every_output_alone),
        cmocka_unit_test(a_cut_reply_has_failed_and_leaves_every_output_alone),
        cmocka_unit_test(without_memory_there_is_no_stored_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
