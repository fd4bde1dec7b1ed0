/* SPDX-License-Identifier: Apache-2.0 */
/* test_config.c - jsfs.conf: what it may say, and where it is wrong.
 * Unit test of layer 2. Reads jsfs.conf.example from beside the sources.
 */
#include "core/config.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "tests/support/failing_malloc.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MIB INT64_C(1048576)

static void assert_same_bucket(const struct config_bucket *a,
                               const struct config_bucket *b)
{
    assert_int_equal(a->history, b->history);
    assert_int_equal(a->memory_storage, b->memory_storage);
    assert_int_equal(a->replicas, b->replicas);
    assert_int_equal(a->ttl_ns, b->ttl_ns);
    assert_int_equal(a->max_bytes, b->max_bytes);
    assert_int_equal(a->max_value_bytes, b->max_value_bytes);
    assert_int_equal(a->compression, b->compression);
}

/* All but url, state_dir and patterns. */
static void assert_same(const struct config *a, const struct config *b)
{
    assert_int_equal(a->timeout_ms, b->timeout_ms);
    assert_int_equal(a->allow_other, b->allow_other);
    assert_int_equal(a->read_only, b->read_only);
    assert_int_equal(a->attr_timeout_s, b->attr_timeout_s);
    assert_int_equal(a->max_threads, b->max_threads);
    assert_int_equal(a->log_level, b->log_level);
    assert_int_equal(a->scratch_bytes, b->scratch_bytes);
    assert_int_equal(a->scratch_hold_ms, b->scratch_hold_ms);
    assert_int_equal(a->cache_bytes, b->cache_bytes);
    assert_int_equal(a->prefetch_chunks, b->prefetch_chunks);
    assert_int_equal(a->read_ahead_kb, b->read_ahead_kb);
    assert_int_equal(a->idle_s, b->idle_s);
    assert_same_bucket(&a->kv, &b->kv);
    assert_same_bucket(&a->object, &b->object);
    assert_int_equal(a->chunk_bytes, b->chunk_bytes);
    assert_int_equal(a->upload_window_bytes, b->upload_window_bytes);
}

/* A configuration file with this content, for the time of one test. */
static const char *write_file(const char *text, size_t size)
{
    static char path[64];

    strcpy(path, "/tmp/jsfs-test-config-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, size), size);
    close(fd);
    return path;
}

static enum jsfs_status read_text(struct config *config, const char *text, char *error,
                                  size_t error_size)
{
    const char *path = write_file(text, strlen(text));
    enum jsfs_status status = config_read(config, path, error, error_size);

    unlink(path);
    return status;
}

static void the_defaults_are_those_of_the_header(void **state)
{
    CLEANUP(config_clear) struct config config;
    (void)state;

    config_init(&config);
    assert_null(config.url);
    assert_null(config.state_dir);
    assert_int_equal(config.timeout_ms, 5000);
    assert_int_equal(config.attr_timeout_s, 86400);
    assert_int_equal(config.max_threads, 10);
    assert_int_equal(config.log_level, JSFS_LOG_INFO);
    assert_int_equal(config.cache_bytes, 128 * MIB);
    assert_int_equal(config.prefetch_chunks, 64);
    assert_int_equal(config.read_ahead_kb, 1024);
    assert_int_equal(config.idle_s, 600);
    assert_int_equal(config.kv.history, 1);
    assert_int_equal(config.kv.max_value_bytes, -1);
    assert_int_equal(config.object.replicas, 1);
    assert_int_equal(config.object.max_bytes, -1);
    assert_int_equal(config.chunk_bytes, 131072);
    assert_int_equal(config.upload_window_bytes, 8 * MIB);
}

/* jsfs.conf.example with every "#key = value" taken into use. */
static FILE *open_example(void)
{
    char path[PATH_MAX], *end;

    snprintf(path, sizeof(path), "%s", __FILE__);
    end = strstr(path, "tests/unit/");
    assert_non_null(end);
    strcpy(end, "jsfs.conf.example");
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    return file;
}

struct example {
    struct config config;
    char keys[64][2][64];
    size_t count, compared;
};

static void take_example_line(struct example *example, const char *line, char section[64])
{
    char key[64], value[256], error[256] = "";

    sscanf(line, "[%63[a-z]]", section);
    if (sscanf(line, "#%63[a-z_] = %255[^\n]", key, value) != 2)
        return;
    if (config_set(&example->config, section, key, value, error, sizeof(error)) !=
        JSFS_OK)
        fail_msg("%s", error);
    assert_true(example->count < COUNT(example->keys));
    strcpy(example->keys[example->count][0], section);
    strcpy(example->keys[example->count++][1], key);
}

static void compare_key(void *arg, const char *section, const char *key)
{
    struct example *example = arg;

    assert_true(example->compared < example->count);
    assert_string_equal(example->keys[example->compared][0], section);
    assert_string_equal(example->keys[example->compared++][1], key);
}

static void the_example_has_every_key_in_order_with_its_default(void **state)
{
    struct example example = {.count = 0};
    char line[512], section[64] = "";
    struct config defaults;
    FILE *file = open_example();
    (void)state;

    config_init(&example.config);
    while (fgets(line, sizeof(line), file) != NULL)
        take_example_line(&example, line, section);
    fclose(file);
    config_each_key(compare_key, &example);
    assert_int_equal(example.compared, example.count);
    config_init(&defaults);
    assert_same(&example.config, &defaults);
    assert_string_equal(example.config.url, "nats://127.0.0.1:4222");
    assert_string_equal(example.config.scratch_patterns, CONFIG_SCRATCH_PATTERNS);
    assert_string_equal(example.config.scratch_private, CONFIG_SCRATCH_PRIVATE);
    assert_string_equal(example.config.scratch_probes, CONFIG_SCRATCH_PROBES);
    config_clear(&example.config);
}

static void a_file_sets_what_it_names_and_nothing_else(void **state)
{
    CLEANUP(config_clear) struct config config;
    struct config expected;
    char error[256] = "";
    (void)state;

    config_init(&config);
    config_init(&expected);
    expected.read_only = true;
    expected.kv.history = 5;
    expected.kv.ttl_ns = INT64_C(604800000000000);
    expected.object.memory_storage = true;
    assert_int_equal(read_text(&config,
                               "\xef\xbb\xbf# a comment\n"
                               "[connection]\n"
                               "url = nats://a:1, nats://b:2   ; both\r\n"
                               "\n"
                               "[mount]\n"
                               "  read_only: yes\n"
                               "[kv]\n"
                               "\thistory = 3\n"
                               "\thistory = 5\n"
                               "\tttl = 7d\n"
                               "[cache]\n"
                               "[object]\n"
                               "storage=memory",
                               error, sizeof(error)),
                     JSFS_OK);
    assert_string_equal(config.url, "nats://a:1, nats://b:2");
    assert_same(&config, &expected);
    assert_string_equal(error, "");
}

static void a_mistake_is_told_with_its_file_and_line(void **state)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"[kv]\nhistory = 65\n",                 ":2: [kv] history: \"65\" is not a number from 1 to 64"},
        {"\n\n[kv]\nhistry = 1\nreplicas = 9\n", ":4: no key \"histry\" in section [kv]"                },
        {"[kvs]\nhistory = 1\n",                 ":1: no section [kvs]"                                 },
        {"[mount]\nread_only = no\n[empty]\n",   ":3: no section [empty]"                               },
        {"  [empty]\n",                          ":1: no section [empty]"                               },
        {"history = 1\n",                        ":1: \"history\" stands before the first section"      },
        {"[kv]\nhistory 1\nhistory = 0\n",       ":2: neither [SECTION] nor KEY = VALUE"                },
        {"[kv\n",                                ":1: neither [SECTION] nor KEY = VALUE"                },
        {"[kv]\nstorage =\n",                    ":2: [kv] storage: \"\" is not \"file\" or \"memory\"" },
        {"[connection]\nurl =\n",
         ":2: [connection] url: \"\" is not a list of server URLs"                                      },
        {"[kv]\nttl = 1d # a day\n",             ":2: [kv] ttl: \"1d # a day\" is not a time such as "
         "500ms, 90s, 15m, 24h or 7d, or 0 "
                                     "for none"                                                                    },
    };
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        CLEANUP(config_clear) struct config config;
        char error[512] = "";
        config_init(&config);
        assert_int_equal(read_text(&config, cases[i].text, error, sizeof(error)),
                         JSFS_INVALID);
        assert_int_equal(strncmp(error, "/tmp/jsfs-test-config-", 22), 0);
        assert_string_equal(strchr(error, ':'), cases[i].error);
    }
}

static void a_line_that_would_be_cut_is_refused(void **state)
{
    CLEANUP(config_clear) struct config config;
    char text[5000], error[256];
    (void)state;

    config_init(&config);
    memset(text, 'a', sizeof(text));
    memcpy(text, "[connection]\nurl = ", 19);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(read_text(&config, text, error, sizeof(error)), JSFS_INVALID);
    assert_non_null(strstr(error, ":2: a line longer than "));
    assert_null(config.url);
}

static void a_nul_byte_is_refused(void **state)
{
    static const char text[] = "[kv]\nhistory = 2\0\n";
    CLEANUP(config_clear) struct config config;
    char error[256];
    (void)state;

    config_init(&config);
    const char *path = write_file(text, sizeof(text) - 1);
    assert_int_equal(config_read(&config, path, error, sizeof(error)), JSFS_INVALID);
    unlink(path);
    assert_non_null(strstr(error, ":2: a NUL byte"));
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
    CLEANUP(config_clear) struct config config;
    char error[256];
    (void)state;

    config_init(&config);
    assert_int_equal(config_read(&config, "/nowhere/jsfs.conf", error, sizeof(error)),
                     JSFS_NOT_FOUND);
    assert_string_equal(error, "/nowhere/jsfs.conf: No such file or directory");
    assert_int_equal(config_read(&config, "/tmp", error, sizeof(error)), JSFS_FAILED);
    assert_string_equal(error, "/tmp: Is a directory");
}

static void an_error_is_cut_to_its_room(void **state)
{
    CLEANUP(config_clear) struct config config;
    char error[12];
    (void)state;

    config_init(&config);
    memset(error, 'x', sizeof(error));
    assert_int_equal(config_set(&config, "nope", "a", "b", error, 11), JSFS_INVALID);
    assert_string_equal(error, "no section");
    assert_int_equal(error[11], 'x');
}

/* What a value becomes, through the key that shows it. */
static void values_are_read_in_their_units(void **state)
{
    static const struct {
        const char *section, *key, *value;
        size_t offset, size;
        int64_t expected;
    } cases[] = {
#define CASE(section, key, field, value, expected)                                       \
    {section,                                                                            \
     key,                                                                                \
     value,                                                                              \
     offsetof(struct config, field),                                                     \
     sizeof(((struct config *)0)->field),                                                \
     expected}
        CASE("connection", "timeout", timeout_ms, "250ms", 250),
        CASE("connection", "timeout", timeout_ms, "90s", 90000),
        CASE("connection", "timeout", timeout_ms, "1h", 3600000),
        CASE("mount", "attr_timeout", attr_timeout_s, "0", 0),
        CASE("mount", "attr_timeout", attr_timeout_s, "2000ms", 2),
        CASE("mount", "attr_timeout", attr_timeout_s, "7d", 604800),
        CASE("mount", "allow_other", allow_other, "true", 1),
        CASE("mount", "allow_other", allow_other, "On", 1),
        CASE("mount", "allow_other", allow_other, "NO", 0),
        CASE("mount", "max_threads", max_threads, "256", 256),
        CASE("mount", "log_level", log_level, "error", JSFS_LOG_ERROR),
        CASE("mount", "log_level", log_level, "Debug", JSFS_LOG_DEBUG),
        CASE("cache", "size", cache_bytes, "1M", MIB),
        CASE("cache", "size", cache_bytes, "2G", 2048 * MIB),
        CASE("cache", "size", cache_bytes, "2097152", 2 * MIB),
        CASE("cache", "prefetch_chunks", prefetch_chunks, "0", 0),
        CASE("cache", "read_ahead", read_ahead_kb, "256K", 256),
        CASE("cache", "read_ahead", read_ahead_kb, "0", 0),
        CASE("cache", "idle", idle_s, "15m", 900),
        CASE("kv", "ttl", kv.ttl_ns, "0", 0),
        CASE("kv", "ttl", kv.ttl_ns, "500ms", 500000000),
        CASE("kv", "max_bytes", kv.max_bytes, "512", 512),
        CASE("kv", "max_bytes", kv.max_bytes, "unlimited", -1),
        CASE("kv", "max_value_size", kv.max_value_bytes, "64K", 65536),
        CASE("object", "storage", object.memory_storage, "memory", 1),
        CASE("object", "compression", object.compression, "yes", 1),
        CASE("object", "chunk_size", chunk_bytes, "1M", MIB),
        CASE("object", "upload_window", upload_window_bytes, "1G", 1024 * MIB),
#undef CASE
    };
    (void)state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        CLEANUP(config_clear) struct config config;
        int64_t value = 0; /* little-endian or not: compared in its own width */
        char error[256] = "";
        config_init(&config);
        if (config_set(&config, cases[i].section, cases[i].key, cases[i].value, error,
                       sizeof(error)) != JSFS_OK)
            fail_msg("%s", error);
        const char *field = (const char *)&config + cases[i].offset;
        if (cases[i].size == sizeof(int64_t))
            memcpy(&value, field, sizeof(value));
        else if (cases[i].size == sizeof(int))
            value = *(const int *)(const void *)field;
        else
            value = *(const bool *)field;
        assert_int_equal(value, cases[i].expected);
    }
}

static void wrong_values_change_nothing(void **state)
{
    static const char *const cases[][3] = {
        {"connection", "timeout",        "5"                   },
        {"connection", "timeout",        "5 s"                 },
        {"connection", "timeout",        "0"                   },
        {"connection", "timeout",        "1d"                  },
        {"connection", "timeout",        "-5s"                 },
        {"connection", "timeout",        "5S"                  },
        {"connection", "timeout",        ""                    },
        {"connection", "url",            ""                    },
        {"mount",      "allow_other",    "1"                   },
        {"mount",      "allow_other",    ""                    },
        {"mount",      "attr_timeout",   "1500ms"              },
        {"mount",      "attr_timeout",   "99999d"              },
        {"mount",      "attr_timeout",   "99999999999999999d"  },
        {"mount",      "max_threads",    "0"                   },
        {"mount",      "max_threads",    "257"                 },
        {"mount",      "max_threads",    "4294967297"          },
        {"mount",      "max_threads",    "99999999999999999999"},
        {"mount",      "max_threads",    "0x10"                },
        {"mount",      "max_threads",    " 1"                  },
        {"mount",      "log_level",      "loud"                },
        {"cache",      "size",           "1"                   },
        {"cache",      "size",           "1MB"                 },
        {"cache",      "size",           "1.5G"                },
        {"cache",      "size",           "unlimited"           },
        {"cache",      "read_ahead",     "1000"                },
        {"kv",         "max_bytes",      "0"                   },
        {"kv",         "max_bytes",      "-1"                  },
        {"kv",         "max_value_size", "2G"                  },
        {"kv",         "replicas",       "6"                   },
        {"kv",         "storage",        "disk"                },
        {"kv",         "chunk_size",     "64K"                 },
        {"object",     "history",        "1"                   },
        {"object",     "chunk_size",     "65M"                 },
        {"object",     "chunk_size",     "512"                 },
        {"Kv",         "history",        "2"                   },
        {"kv",         "History",        "2"                   },
        {"",           "history",        "2"                   },
    };
    struct config defaults;
    (void)state;

    config_init(&defaults);
    for (size_t i = 0; i < COUNT(cases); i++) {
        CLEANUP(config_clear) struct config config;
        char error[256] = "";
        config_init(&config);
        if (config_set(&config, cases[i][0], cases[i][1], cases[i][2], error,
                       sizeof(error)) != JSFS_INVALID)
            fail_msg("[%s] %s = %s was taken", cases[i][0], cases[i][1], cases[i][2]);
        assert_string_not_equal(error, "");
        assert_same(&config, &defaults);
        assert_null(config.url);
    }
}

static void a_text_is_replaced_and_kept_without_memory(void **state)
{
    CLEANUP(config_clear) struct config config;
    char error[256];
    (void)state;

    config_init(&config);
    config_set(&config, "connection", "url", "nats://a", error, sizeof(error));
    config_set(&config, "connection", "url", "nats://b", error, sizeof(error));
    failing_malloc_start(1);
    enum jsfs_status status =
        config_set(&config, "connection", "url", "nats://c", error, sizeof(error));
    assert_true(failing_malloc_stop());
    assert_int_not_equal(status, JSFS_OK);
    assert_string_equal(config.url, "nats://b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_are_those_of_the_header),
        cmocka_unit_test(the_example_has_every_key_in_order_with_its_default),
        cmocka_unit_test(a_file_sets_what_it_names_and_nothing_else),
        cmocka_unit_test(a_mistake_is_told_with_its_file_and_line),
        cmocka_unit_test(a_line_that_would_be_cut_is_refused),
        cmocka_unit_test(a_nul_byte_is_refused),
        cmocka_unit_test(a_file_that_cannot_be_read_is_named),
        cmocka_unit_test(an_error_is_cut_to_its_room),
        cmocka_unit_test(values_are_read_in_their_units),
        cmocka_unit_test(wrong_values_change_nothing),
        cmocka_unit_test(a_text_is_replaced_and_kept_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
