/* SPDX-License-Identifier: Apache-2.0 */
/* js_reply.c - JetStream's answers, field by field.
 * Layer 2.
 */
#include "core/js_reply.h"
#include "core/base64.h"
#include "core/cleanup.h"
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define CODE_UNKNOWN 500 /* for an error without a code: still an error */

static void cleanup_json(json_t **json)
{
    json_decref(*json);
}

/* See parse() for why a real can stand for an integer; what is out of range is cut to it. */
static json_int_t integer_of(const json_t *value)
{
    double real = json_real_value(value);

    if (!json_is_real(value))
        return json_integer_value(value);
    if (real >= 0x1p63)
        return INT64_MAX;
    return real < -0x1p63 ? INT64_MIN : (json_int_t)real;
}

/* Missing, of another type, or negative: 0. */
static uint64_t get_unsigned(const json_t *object, const char *key)
{
    json_int_t value = integer_of(json_object_get(object, key));

    return value > 0 ? (uint64_t)value : 0;
}

static int64_t get_signed(const json_t *object, const char *key, int64_t missing)
{
    const json_t *value = json_object_get(object, key);

    return json_is_number(value) ? integer_of(value) : missing;
}

static int get_int(const json_t *object, const char *key)
{
    json_int_t value = integer_of(json_object_get(object, key));

    return value >= INT_MIN && value <= INT_MAX ? (int)value : 0;
}

static bool get_bool(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

/* Copy a text that fits whole; false when it is missing, empty or does not fit. */
static bool get_name(const json_t *object, const char *key, char out[256])
{
    const json_t *value = json_object_get(object, key);
    size_t size = json_string_length(value);

    if (size == 0 || size > 255)
        return false;
    memcpy(out, json_string_value(value), size + 1);
    return true;
}

/* Copy what fits, whole UTF-8 characters. */
static void copy_cut(const char *text, char *out, size_t out_size)
{
    size_t size = strlen(text);

    if (size >= out_size) {
        size = out_size - 1;
        while (size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80)
            size--;
    }
    memcpy(out, text, size);
    out[size] = '\0';
}

static void read_error(const json_t *reply, struct js_error *out)
{
    const json_t *error = json_object_get(reply, "error");
    const char *description = json_string_value(json_object_get(error, "description"));

    *out = (struct js_error){0};
    if (!json_is_object(error))
        return;
    out->code = get_int(error, "code");
    out->err_code = get_int(error, "err_code");
    if (out->code == 0 && out->err_code == 0)
        out->code = CODE_UNKNOWN;
    if (description != NULL)
        copy_cut(description, out->description, sizeof(out->description));
}

static bool is_error(const struct js_error *error)
{
    return error->code != 0 || error->err_code != 0;
}

/* nats-server 2.10 writes a reserved_memory of -1 as 18446744073709551615, which jansson does
 * not read as an integer: such a reply is read with all its numbers as reals, exact to 2^53. */
static json_t *parse(const char *json, size_t size)
{
    json_error_t error;
    json_t *reply = json_loadb(json, size, 0, &error);

    if (reply == NULL && json_error_code(&error) == json_error_numeric_overflow)
        reply = json_loadb(json, size, JSON_DECODE_INT_AS_REAL, NULL);
    return reply;
}

/* The reply as an object, for json_decref(), with its error read; NULL when it is none. */
static json_t *load(const char *json, size_t size, struct js_error *error)
{
    json_t *reply = size > 0 ? parse(json, size) : NULL;

    *error = (struct js_error){0};
    if (!json_is_object(reply)) {
        json_decref(reply);
        return NULL;
    }
    read_error(reply, error);
    return reply;
}

enum jsfs_status js_reply_pub_ack(const char *json, size_t size, struct js_pub_ack *out)
{
    struct js_error error;
    CLEANUP(cleanup_json) json_t *reply = load(json, size, &error);

    out->error = error;
    out->stream[0] = '\0';
    out->sequence = 0;
    out->duplicate = false;
    if (reply == NULL)
        return JSFS_FAILED;
    if (is_error(&error))
        return JSFS_OK;

    uint64_t sequence = get_unsigned(reply, "seq");
    if (sequence == 0 || !get_name(reply, "stream", out->stream))
        return JSFS_FAILED;
    out->sequence = sequence;
    out->duplicate = get_bool(reply, "duplicate");
    return JSFS_OK;
}

enum jsfs_status js_reply_error(const char *json, size_t size, struct js_error *out)
{
    CLEANUP(cleanup_json) json_t *reply = load(json, size, out);

    return reply != NULL ? JSFS_OK : JSFS_FAILED;
}

/* A longer prefix than fits is none: then the origin is asked under our own, and not found. */
static void read_mirror(const json_t *mirror, struct js_stream_info *out)
{
    const json_t *external = json_object_get(mirror, "external");
    const char *api = json_string_value(json_object_get(external, "api"));

    get_name(mirror, "name", out->mirror);
    if (api != NULL && strlen(api) < sizeof(out->mirror_api))
        snprintf(out->mirror_api, sizeof(out->mirror_api), "%s", api);
}

static bool has_transform(const json_t *source)
{
    return json_array_size(json_object_get(source, "subject_transforms")) > 0 ||
           json_string_length(json_object_get(source, "subject_transform_dest")) > 0;
}

static void read_sources(const json_t *sources, struct js_stream_info *out)
{
    size_t used = 0, i;
    const json_t *source;
    char name[256];

    json_array_foreach(sources, i, source)
    {
        if (has_transform(source) || !get_name(source, "name", name))
            continue;
        size_t size = strlen(name) + 1;
        if (size > sizeof(out->sources) - 1 - used)
            continue;
        memcpy(out->sources + used, name, size);
        used += size;
    }
}

static void read_stream_config(const json_t *config, struct js_stream_info *out)
{
    const char *storage = json_string_value(json_object_get(config, "storage"));

    const char *description = json_string_value(json_object_get(config, "description"));

    if (description != NULL)
        copy_cut(description, out->description, sizeof(out->description));
    out->max_bytes = get_signed(config, "max_bytes", -1);
    out->max_message_bytes = get_signed(config, "max_msg_size", -1);
    out->max_messages_per_subject = get_signed(config, "max_msgs_per_subject", -1);
    out->max_age_ns = get_signed(config, "max_age", 0);
    out->duplicate_window_ns = get_signed(config, "duplicate_window", 0);
    out->replicas = get_int(config, "num_replicas");
    out->allow_direct = get_bool(config, "allow_direct");
    out->allow_rollup = get_bool(config, "allow_rollup_hdrs");
    out->sealed = get_bool(config, "sealed");
    out->deny_purge = get_bool(config, "deny_purge");
    out->deny_delete = get_bool(config, "deny_delete");
    out->allow_atomic = get_bool(config, "allow_atomic");
    out->allow_message_ttl = get_bool(config, "allow_msg_ttl");
    out->memory_storage = storage != NULL && strcmp(storage, "memory") == 0;
    out->has_subjects = json_array_size(json_object_get(config, "subjects")) > 0;
    read_mirror(json_object_get(config, "mirror"), out);
    read_sources(json_object_get(config, "sources"), out);
}

static void read_stream_state(const json_t *state, struct js_stream_info *out)
{
    out->messages = get_unsigned(state, "messages");
    out->bytes = get_unsigned(state, "bytes");
    out->first_sequence = get_unsigned(state, "first_seq");
    out->last_sequence = get_unsigned(state, "last_seq");
    out->subjects = get_unsigned(state, "num_subjects");
}

/* false for what is no stream: it has a config with a name, and a state. */
static bool read_stream(const json_t *stream, struct js_stream_info *out)
{
    struct js_stream_info info = {0};
    const json_t *config = json_object_get(stream, "config");
    const json_t *state = json_object_get(stream, "state");
    const char *created = json_string_value(json_object_get(stream, "created"));
    const char *told = json_string_value(json_object_get(stream, "ts"));

    if (!json_is_object(state) || !get_name(config, "name", info.name))
        return false;
    read_stream_config(config, &info);
    read_stream_state(state, &info);
    if (created != NULL)
        js_time_parse(created, &info.created_ns);
    if (told != NULL)
        js_time_parse(told, &info.told_ns);
    *out = info;
    return true;
}

enum jsfs_status js_reply_stream_info(const char *json, size_t size,
                                      struct js_error *error, struct js_stream_info *out)
{
    CLEANUP(cleanup_json) json_t *reply = load(json, size, error);

    if (reply == NULL)
        return JSFS_FAILED;
    if (is_error(error) || read_stream(reply, out))
        return JSFS_OK;
    return JSFS_FAILED;
}

enum jsfs_status
js_reply_stream_list(const char *json, size_t size, struct js_error *error,
                     void (*each)(void *arg, const struct js_stream_info *), void *arg,
                     uint64_t *total, uint64_t *count)
{
    CLEANUP(cleanup_json) json_t *reply = load(json, size, error);
    const json_t *streams = json_object_get(reply, "streams");
    struct js_stream_info info;
    const json_t *stream;
    size_t i;

    if (reply == NULL)
        return JSFS_FAILED;
    if (is_error(error))
        return JSFS_OK;
    if (!json_is_number(json_object_get(reply, "total")))
        return JSFS_FAILED;
    json_array_foreach(streams, i, stream)
    {
        if (read_stream(stream, &info))
            each(arg, &info);
    }
    *total = get_unsigned(reply, "total");
    *count = json_array_size(streams);
    return JSFS_OK;
}

enum jsfs_status js_reply_consumer(const char *json, size_t size, struct js_error *error,
                                   char name[256], uint64_t *pending)
{
    CLEANUP(cleanup_json) json_t *reply = load(json, size, error);

    if (reply == NULL)
        return JSFS_FAILED;
    if (is_error(error))
        return JSFS_OK;
    if (!get_name(reply, "name", name))
        return JSFS_FAILED;
    *pending = get_unsigned(reply, "num_pending");
    return JSFS_OK;
}

/* Read base64 into an allocation with a NUL behind it. A missing or empty text gives NULL. */
static enum jsfs_status get_base64(const json_t *object, const char *key, char **out,
                                   size_t *out_size)
{
    const json_t *value = json_object_get(object, key);
    size_t length = json_string_length(value);

    if (length == 0)
        return JSFS_OK;
    CLEANUP(cleanup_free) char *data = malloc(BASE64_DATA_SIZE(length) + 1);
    if (data == NULL)
        return JSFS_NO_MEMORY;
    if (!base64_decode(json_string_value(value), length, data, out_size))
        return JSFS_FAILED;
    data[*out_size] = '\0';
    *out = data;
    data = NULL;
    return JSFS_OK;
}

/* Fills out as far as it gets; the caller clears it unless JSFS_OK. */
static enum jsfs_status read_message(const json_t *message, struct js_stored_message *out)
{
    const char *subject = json_string_value(json_object_get(message, "subject"));
    const char *time = json_string_value(json_object_get(message, "time"));
    enum jsfs_status status;

    out->sequence = get_unsigned(message, "seq");
    if (subject == NULL || out->sequence == 0 || time == NULL ||
        !js_time_parse(time, &out->time_ns))
        return JSFS_FAILED;
    out->subject = strdup(subject);
    if (out->subject == NULL)
        return JSFS_NO_MEMORY;
    status = get_base64(message, "hdrs", &out->headers, &out->headers_size);
    if (status != JSFS_OK)
        return status;
    return get_base64(message, "data", &out->data, &out->size);
}

enum jsfs_status js_reply_message(const char *json, size_t size, struct js_error *error,
                                  struct js_stored_message *out)
{
    CLEANUP(cleanup_json) json_t *reply = load(json, size, error);
    struct js_stored_message message = {0};
    enum jsfs_status status;

    if (reply == NULL)
        return JSFS_FAILED;
    if (is_error(error))
        return JSFS_OK;
    status = read_message(json_object_get(reply, "message"), &message);
    if (status == JSFS_OK)
        *out = message;
    else
        js_stored_message_clear(&message);
    return status;
}

void js_stored_message_clear(struct js_stored_message *message)
{
    free(message->subject);
    free(message->headers);
    free(message->data);
    *message = (struct js_stored_message){0};
}

static void read_usage(const json_t *tier, struct js_account_info *out)
{
    const json_t *limits = json_object_get(tier, "limits");

    out->storage_used = get_signed(tier, "storage", 0);
    out->memory_used = get_signed(tier, "memory", 0);
    out->storage_limit = get_signed(limits, "max_storage", -1);
    out->memory_limit = get_signed(limits, "max_memory", -1);
}

/* a + b, where a negative one is "none" and the largest number is the end. */
static int64_t add_limits(int64_t a, int64_t b)
{
    int64_t sum;

    if (a < 0 || b < 0)
        return -1;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static int64_t add_usage(int64_t a, int64_t b)
{
    return add_limits(a > 0 ? a : 0, b > 0 ? b : 0);
}

/* New buckets are R1 unless told otherwise, so that tier counts; else all of them together. */
static void read_tiers(json_t *tiers, struct js_account_info *out)
{
    const json_t *r1 = json_object_get(tiers, "R1");
    struct js_account_info sum = {0}, one;
    const char *name;
    json_t *tier;

    if (json_is_object(r1)) {
        read_usage(r1, out);
        return;
    }
    json_object_foreach(tiers, name, tier)
    {
        read_usage(tier, &one);
        sum.storage_used = add_usage(sum.storage_used, one.storage_used);
        sum.memory_used = add_usage(sum.memory_used, one.memory_used);
        sum.storage_limit = add_limits(sum.storage_limit, one.storage_limit);
        sum.memory_limit = add_limits(sum.memory_limit, one.memory_limit);
    }
    *out = sum;
}

enum jsfs_status js_reply_account(const char *json, size_t size, struct js_error *error,
                                  struct js_account_info *out)
{
    CLEANUP(cleanup_json) json_t *reply = load(json, size, error);
    json_t *tiers = json_object_get(reply, "tiers");
    struct js_account_info info = {0};

    if (reply == NULL)
        return JSFS_FAILED;
    if (is_error(error))
        return JSFS_OK;
    if (!json_is_number(json_object_get(reply, "storage")))
        return JSFS_FAILED;
    if (json_object_size(tiers) > 0)
        read_tiers(tiers, &info);
    else
        read_usage(reply, &info);
    info.api_level = get_int(json_object_get(reply, "api"), "level");
    *out = info;
    return JSFS_OK;
}

enum jsfs_status js_reply_purge(const char *json, size_t size, struct js_error *error,
                                uint64_t *purged)
{
    CLEANUP(cleanup_json) json_t *reply = load(json, size, error);

    if (reply == NULL)
        return JSFS_FAILED;
    if (is_error(error))
        return JSFS_OK;
    if (!get_bool(reply, "success"))
        return JSFS_FAILED;
    *purged = get_unsigned(reply, "purged");
    return JSFS_OK;
}
