/* SPDX-License-Identifier: Apache-2.0 */
/* config.c - one table of every key, and inih for the file.
 * Layer 2.
 */
#include "core/config.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "core/name_codec.h"
#include <errno.h>
#include <ini.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define KIB INT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S (1000 * NS_PER_MS)
#define MS_PER_DAY (INT64_C(86400) * 1000)

struct key;
typedef bool set_value(const struct key *key, void *field, const char *text);

/* A key of jsfs.conf. A number is stored in units of `unit`, and lies in min..max of them. */
struct key {
    const char *section, *name;
    set_value *set;
    size_t offset;     /* of its field in struct config */
    size_t field_size; /* of a number: that of int or int64_t */
    int64_t unit, min, max;
    const char *expected; /* "… is not EXPECTED" */
};

/* A word that ends a number, and what it multiplies by. */
struct suffix {
    const char *text;
    int64_t factor;
};

static const struct suffix no_suffixes[] = {
    {"",   1},
    {NULL, 0}
};
static const struct suffix byte_suffixes[] = {
    {"",   1         },
    {"K",  KIB       },
    {"M",  MIB       },
    {"G",  GIB       },
    {"T",  1024 * GIB},
    {NULL, 0         }
};
static const struct suffix time_suffixes[] = {
    {"ms", NS_PER_MS       },
    {"s",  NS_PER_S        },
    {"m",  60 * NS_PER_S   },
    {"h",  3600 * NS_PER_S },
    {"d",  86400 * NS_PER_S},
    {NULL, 0               }
};

/* Digits and one of the suffixes; 0 needs none. */
static bool parse_number(const char *text, const struct suffix *suffixes, int64_t *out)
{
    char *end;
    long long number;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    number = strtoll(text, &end, 10);
    if (errno != 0)
        return false;
    if (number == 0 && *end == '\0') {
        *out = 0;
        return true;
    }
    for (; suffixes->text != NULL; suffixes++) {
        if (strcmp(end, suffixes->text) == 0)
            return !__builtin_mul_overflow(number, suffixes->factor, out);
    }
    return false;
}

static bool store_number(const struct key *key, void *field, int64_t number)
{
    if (number < key->min || number > key->max)
        return false;
    if (key->field_size == sizeof(int)) {
        int narrow = (int)number;
        memcpy(field, &narrow, sizeof(narrow));
    } else {
        memcpy(field, &number, sizeof(number));
    }
    return true;
}

/* A number with a suffix, which must be a whole number of the key's units. */
static bool set_scaled(const struct key *key, void *field, const char *text,
                       const struct suffix *suffixes)
{
    int64_t number;

    return parse_number(text, suffixes, &number) && number % key->unit == 0 &&
           store_number(key, field, number / key->unit);
}

static bool set_number(const struct key *key, void *field, const char *text)
{
    return set_scaled(key, field, text, no_suffixes);
}

static bool set_bytes(const struct key *key, void *field, const char *text)
{
    return set_scaled(key, field, text, byte_suffixes);
}

static bool set_limit(const struct key *key, void *field, const char *text)
{
    int64_t limit;

    if (strcmp(text, "unlimited") == 0)
        return store_number(key, field, -1);
    return parse_number(text, byte_suffixes, &limit) && limit > 0 &&
           store_number(key, field, limit);
}

static bool set_time(const struct key *key, void *field, const char *text)
{
    return set_scaled(key, field, text, time_suffixes);
}

/* The place of text in the list; -1 when it is not there. */
static int find_word(const char *text, const char *const *words, int count)
{
    for (int i = 0; i < count; i++) {
        if (strcasecmp(text, words[i]) == 0)
            return i;
    }
    return -1;
}

static bool set_flag(const struct key *key, void *field, const char *text)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on"};
    int word = find_word(text, words, 6);
    bool flag = word % 2 == 1;

    (void)key;
    if (word < 0)
        return false;
    memcpy(field, &flag, sizeof(flag));
    return true;
}

static bool set_storage(const struct key *key, void *field, const char *text)
{
    static const char *const words[] = {"file", "memory"};
    int word = find_word(text, words, 2);
    bool memory = word == 1;

    (void)key;
    if (word < 0)
        return false;
    memcpy(field, &memory, sizeof(memory));
    return true;
}

static bool set_level(const struct key *key, void *field, const char *text)
{
    static const char *const words[] = {
        [JSFS_LOG_ERROR] = "error",
        [JSFS_LOG_WARNING] = "warning",
        [JSFS_LOG_INFO] = "info",
        [JSFS_LOG_DEBUG] = "debug",
    };
    int level = find_word(text, words, 4);

    (void)key;
    if (level < 0)
        return false;
    memcpy(field, &level, sizeof(level));
    return true;
}

static bool set_text(const struct key *key, void *field, const char *text)
{
    char **place = field;
    char *copy = text[0] != '\0' ? strdup(text) : NULL;

    (void)key;
    if (copy == NULL)
        return false;
    free(*place);
    *place = copy;
    return true;
}

/* A text that goes into JSON. */
static bool set_utf8(const struct key *key, void *field, const char *text)
{
    return name_is_utf8(text, strlen(text)) && set_text(key, field, text);
}

#define KEY(section, name, set, field, unit, min, max, expected)                         \
    {                                                                                    \
        section, name, set, offsetof(struct config, field),                              \
            sizeof(((struct config *)0)->field), unit, min, max, expected                \
    }
#define BOOL_TEXT "\"yes\" or \"no\""
#define TIME_TEXT "a time such as 500ms, 90s, 15m, 24h or 7d"
#define GLOBS_TEXT "a list of patterns, or \"none\""
#define SIZE_TEXT "a size such as 512, 64K, 10M or 2G"

/* In the order of jsfs.conf.example. */
static const struct key keys[] = {
    KEY("connection", "url", set_text, url, 1, 0, 0, "a list of server URLs"),
    KEY("connection", "timeout", set_time, timeout_ms, NS_PER_MS, 10, 3600 * 1000,
        TIME_TEXT ", from 10ms to 1h"),
    KEY("mount", "allow_other", set_flag, allow_other, 1, 0, 1, BOOL_TEXT),
    KEY("mount", "read_only", set_flag, read_only, 1, 0, 1, BOOL_TEXT),
    KEY("mount", "show_control", set_flag, show_control, 1, 0, 1, BOOL_TEXT),
    KEY("mount", "inotify", set_flag, inotify, 1, 0, 1, BOOL_TEXT),
    KEY("mount", "attr_timeout", set_time, attr_timeout_s, NS_PER_S, 0, 365 * 86400,
        TIME_TEXT ", whole seconds, at most 365d"),
    KEY("mount", "max_threads", set_number, max_threads, 1, 1, 256,
        "a number from 1 to 256"),
    KEY("mount", "log_level", set_level, log_level, 1, 0, 3,
        "\"error\", \"warning\", \"info\" or \"debug\""),
    KEY("mount", "state_dir", set_text, state_dir, 1, 0, 0, "a directory"),
    KEY("scratch", "patterns", set_text, scratch_patterns, 1, 0, 0, GLOBS_TEXT),
    KEY("scratch", "private_patterns", set_text, scratch_private, 1, 0, 0, GLOBS_TEXT),
    KEY("scratch", "probe_patterns", set_text, scratch_probes, 1, 0, 0, GLOBS_TEXT),
    KEY("scratch", "max_bytes", set_bytes, scratch_bytes, 1, 0, 1024 * GIB,
        SIZE_TEXT ", at most 1T"),
    KEY("scratch", "hold", set_time, scratch_hold_ms, NS_PER_MS, 0, 60 * 1000,
        TIME_TEXT ", at most 60s"),
    KEY("cache", "size", set_bytes, cache_bytes, 1, MIB, 1024 * GIB,
        SIZE_TEXT ", from 1M to 1T"),
    KEY("cache", "prefetch_chunks", set_number, prefetch_chunks, 1, 0, 1024,
        "a number from 0 to 1024"),
    KEY("cache", "read_ahead", set_bytes, read_ahead_kb, KIB, 0, 65536,
        SIZE_TEXT ", whole KiB, at most 64M"),
    KEY("cache", "idle", set_time, idle_s, NS_PER_S, 1, 365 * 86400,
        TIME_TEXT ", whole seconds, from 1s to 365d"),
    KEY("kv", "history", set_number, kv.history, 1, 1, 64, "a number from 1 to 64"),
    KEY("kv", "storage", set_storage, kv.memory_storage, 1, 0, 1,
        "\"file\" or \"memory\""),
    KEY("kv", "replicas", set_number, kv.replicas, 1, 1, 5, "a number from 1 to 5"),
    KEY("kv", "ttl", set_time, kv.ttl_ns, 1, 0, INT64_MAX, TIME_TEXT ", or 0 for none"),
    KEY("kv", "max_bytes", set_limit, kv.max_bytes, 1, -1, INT64_MAX,
        SIZE_TEXT ", or \"unlimited\""),
    KEY("kv", "max_value_size", set_limit, kv.max_value_bytes, 1, -1, INT_MAX,
        SIZE_TEXT ", or \"unlimited\""),
    KEY("kv", "compression", set_flag, kv.compression, 1, 0, 1, BOOL_TEXT),
    KEY("kv", "placement_cluster", set_utf8, kv.placement_cluster, 1, 0, 0,
        "the name of a cluster"),
    KEY("kv", "placement_tags", set_utf8, kv.placement_tags, 1, 0, 0,
        "a list of server tags"),
    KEY("kv", "description", set_utf8, kv.description, 1, 0, 0, "a text"),
    KEY("object", "storage", set_storage, object.memory_storage, 1, 0, 1,
        "\"file\" or \"memory\""),
    KEY("object", "replicas", set_number, object.replicas, 1, 1, 5,
        "a number from 1 to 5"),
    KEY("object", "ttl", set_time, object.ttl_ns, 1, 0, INT64_MAX,
        TIME_TEXT ", or 0 for none"),
    KEY("object", "max_bytes", set_limit, object.max_bytes, 1, -1, INT64_MAX,
        SIZE_TEXT ", or \"unlimited\""),
    KEY("object", "compression", set_flag, object.compression, 1, 0, 1, BOOL_TEXT),
    KEY("object", "placement_cluster", set_utf8, object.placement_cluster, 1, 0, 0,
        "the name of a cluster"),
    KEY("object", "placement_tags", set_utf8, object.placement_tags, 1, 0, 0,
        "a list of server tags"),
    KEY("object", "description", set_utf8, object.description, 1, 0, 0, "a text"),
    KEY("object", "chunk_size", set_bytes, chunk_bytes, 1, KIB, 64 * MIB,
        SIZE_TEXT ", from 1K to 64M"),
    KEY("object", "upload_window", set_bytes, upload_window_bytes, 1, 64 * KIB, 4 * GIB,
        SIZE_TEXT ", from 64K to 4G"),
};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

void config_init(struct config *config)
{
    static const struct config_bucket bucket = {
        .history = 1, .replicas = 1, .max_bytes = -1, .max_value_bytes = -1};

    *config = (struct config){
        .timeout_ms = 5000,
        .attr_timeout_s = 86400,
        .max_threads = 10,
        .log_level = JSFS_LOG_INFO,
        .scratch_bytes = 256 * MIB,
        .scratch_hold_ms = 2000,
        .cache_bytes = 128 * MIB,
        .prefetch_chunks = 64,
        .read_ahead_kb = 1024,
        .idle_s = 600,
        .kv = bucket,
        .object = bucket,
        .chunk_bytes = 128 * KIB,
        .upload_window_bytes = 8 * MIB,
    };
}

void config_clear(struct config *config)
{
    struct config_bucket *kv = &config->kv, *object = &config->object;
    char **texts[] = {&config->url, &config->state_dir, &config->scratch_patterns,
                      &config->scratch_private, &config->scratch_probes, &kv->placement_cluster,
                      &kv->placement_tags, &kv->description, &object->placement_cluster,
                      &object->placement_tags, &object->description};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        free(*texts[i]);
        *texts[i] = NULL;
    }
}

void config_each_key(void (*each)(void *arg, const char *section, const char *key),
                     void *arg)
{
    for (size_t i = 0; i < KEYS; i++)
        each(arg, keys[i].section, keys[i].name);
}

static bool is_section(const char *section)
{
    for (size_t i = 0; i < KEYS; i++) {
        if (strcmp(keys[i].section, section) == 0)
            return true;
    }
    return false;
}

static const struct key *find_key(const char *section, const char *name)
{
    for (size_t i = 0; i < KEYS; i++) {
        if (strcmp(keys[i].section, section) == 0 && strcmp(keys[i].name, name) == 0)
            return &keys[i];
    }
    return NULL;
}

enum jsfs_status config_set(struct config *config, const char *section, const char *key,
                            const char *value, char *error, size_t error_size)
{
    const struct key *known = find_key(section, key);

    if (known != NULL && known->set(known, (char *)config + known->offset, value))
        return JSFS_OK;
    if (known != NULL)
        snprintf(error, error_size, "[%s] %s: \"%s\" is not %s", section, key, value,
                 known->expected);
    else if (section[0] == '\0')
        snprintf(error, error_size, "\"%s\" stands before the first section", key);
    else if (is_section(section))
        snprintf(error, error_size, "no key \"%s\" in section [%s]", key, section);
    else
        snprintf(error, error_size, "no section [%s]", section);
    return JSFS_INVALID;
}

/* A file that is being read. */
struct file {
    FILE *stream;
    struct config *config;
    const char *path;
    char *error;
    size_t error_size;
    int line;        /* the last that was read, from 1 */
    int failed_line; /* 0: none so far */
    int read_errno;  /* why reading stopped early; 0: it did not */
};

__attribute__((format(printf, 2, 3))) static void fail(struct file *file,
                                                       const char *format, ...)
{
    char what[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    file->failed_line = file->line;
    snprintf(file->error, file->error_size, "%s:%d: %s", file->path, file->line, what);
}

/* inih says nothing about a section without keys, so its name is looked at here. */
static bool check_section(struct file *file, const char *line)
{
    size_t size = line[0] == '[' ? strcspn(line + 1, "]") : 0;
    char name[64];

    if (line[0] != '[' || line[1 + size] == '\0' || size >= sizeof(name))
        return true;
    memcpy(name, line + 1, size);
    name[size] = '\0';
    if (is_section(name))
        return true;
    fail(file, "no section [%s]", name);
    return false;
}

/* A line for inih, without its leading blanks: inih would take an indented line for more of
 * the value above. NULL ends the reading.
 */
static char *read_line(char *out, int out_size, void *arg)
{
    struct file *file = arg;
    CLEANUP(cleanup_free) char *text = NULL;
    size_t capacity = 0;
    ssize_t size = file->failed_line == 0 ? getline(&text, &capacity, file->stream) : -1;

    if (size < 0) {
        file->read_errno = ferror(file->stream) ? errno : 0;
        return NULL;
    }
    file->line++;
    if (strlen(text) != (size_t)size) {
        fail(file, "a NUL byte");
        return NULL;
    }
    const char *start = text + strspn(text, " \t");
    if (strlen(start) >= (size_t)out_size) {
        fail(file, "a line longer than %d bytes", out_size - 1);
        return NULL;
    }
    if (!check_section(file, start))
        return NULL;
    return strcpy(out, start);
}

static int take_value(void *arg, const char *section, const char *name, const char *value)
{
    struct file *file = arg;
    char what[256];

    if (file->failed_line != 0)
        return 0;
    if (config_set(file->config, section, name, value, what, sizeof(what)) == JSFS_OK)
        return 1;
    fail(file, "%s", what);
    return 0;
}

/* inih tells the first line that it could not read; take_value's failures count as such. */
static enum jsfs_status read_stream(struct file *file)
{
    int wrong_line = ini_parse_stream(read_line, file, take_value, file);

    if (wrong_line > 0 && wrong_line != file->failed_line) {
        file->line = wrong_line;
        fail(file, "neither [SECTION] nor KEY = VALUE");
    }
    if (file->failed_line != 0)
        return JSFS_INVALID;
    if (wrong_line == 0 && file->read_errno == 0)
        return JSFS_OK;
    snprintf(file->error, file->error_size, "%s: %s", file->path,
             strerror(wrong_line < 0 ? ENOMEM : file->read_errno));
    return wrong_line < 0 ? JSFS_NO_MEMORY : JSFS_FAILED;
}

enum jsfs_status config_read(struct config *config, const char *path, char *error,
                             size_t error_size)
{
    struct file file = {
        .config = config, .path = path, .error = error, .error_size = error_size};
    enum jsfs_status status;

    file.stream = fopen(path, "re");
    if (file.stream == NULL) {
        status = errno == ENOENT ? JSFS_NOT_FOUND : JSFS_FAILED;
        snprintf(error, error_size, "%s: %m", path);
        return status;
    }
    status = read_stream(&file);
    fclose(file.stream);
    return status;
}
