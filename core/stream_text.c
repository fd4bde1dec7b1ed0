/* SPDX-License-Identifier: Apache-2.0 */
/* stream_text.c - see stream_text.h. Layer 2. */
#include "core/stream_text.h"
#include "core/cleanup.h"
#include "core/js_time.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1000000000

static void cleanup_json(json_t **json)
{
    json_decref(*json);
}

/* Pretty, with a newline; NULL without memory. */
static char *print(const json_t *json)
{
    CLEANUP(cleanup_free) char *text = json_dumps(json, JSON_INDENT(2));
    char *out = NULL;

    if (text == NULL || asprintf(&out, "%s\n", text) < 0)
        return NULL;
    return out;
}

char *stream_text_config(const char *reply)
{
    CLEANUP(cleanup_json) json_t *json = json_loads(reply, 0, NULL);
    const json_t *config = json_object_get(json, "config");

    return json_is_object(config) ? print(config) : NULL;
}

/* Reading ------------------------------------------------------------------------------------- */

enum jsfs_status stream_text_parse(const char *text, size_t size, const char *stream,
                                   char **config, char *error, size_t error_size)
{
    json_error_t fault = {.line = -1};
    CLEANUP(cleanup_json)
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &fault);

    if (json == NULL) {
        snprintf(error, error_size, "line %d: %s", fault.line, fault.text);
        return json_error_code(&fault) == json_error_out_of_memory ? JSFS_NO_MEMORY
                                                                   : JSFS_INVALID;
    }
    const char *name = json_string_value(json_object_get(json, "name"));
    if (name == NULL || strcmp(name, stream) != 0) {
        snprintf(error, error_size, "the \"name\" must stay \"%s\"", stream);
        return JSFS_INVALID;
    }
    *config = json_dumps(json, JSON_COMPACT);
    return *config != NULL ? JSFS_OK : JSFS_NO_MEMORY;
}

/* Status -------------------------------------------------------------------------------------- */

/* Sets failed unless the value, which is taken, could be put in. */
static void put(json_t *object, const char *key, json_t *value, bool *failed)
{
    if (json_object_set_new(object, key, value) != 0)
        *failed = true;
}

/* A field as the server has it, or null. */
static json_t *copy(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);

    return value != NULL ? json_incref(value) : json_null();
}

/* The same, false where an older server has no such field. */
static json_t *copy_flag(const json_t *config, const char *key)
{
    return config == NULL ? json_null() : json_boolean(json_is_true(json_object_get(config, key)));
}

/* Nanoseconds as seconds, whole ones as an integer. */
static json_t *seconds_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    json_int_t ns = json_integer_value(value);

    if (value == NULL)
        return json_null();
    return ns % NS_PER_S == 0 ? json_integer(ns / NS_PER_S)
                              : json_real((double)ns / NS_PER_S);
}

static json_t *text_of_time(int64_t time_ns)
{
    char text[JS_TIME_SIZE];

    js_time_format(time_ns, text);
    return json_string(text);
}

/* The server's half; every field is null when there is no reply. */
static void put_stream(json_t *out, const json_t *reply, bool *failed)
{
    const json_t *config = json_object_get(reply, "config");
    const json_t *state = json_object_get(reply, "state");
    json_t *limits = json_object();

    put(out, "values", copy(state, "messages"), failed);
    put(out, "bytes", copy(state, "bytes"), failed);
    put(out, "keys", copy(state, "num_subjects"), failed);
    put(out, "last_revision", copy(state, "last_seq"), failed);
    put(out, "history", copy(config, "max_msgs_per_subject"), failed);
    put(out, "ttl", seconds_of(config, "max_age"), failed);
    put(out, "storage", copy(config, "storage"), failed);
    put(out, "replicas", copy(config, "num_replicas"), failed);
    put(limits, "max_bytes", copy(config, "max_bytes"), failed);
    put(limits, "max_value_size", copy(config, "max_msg_size"), failed);
    put(out, "limits", limits, failed);
    put(out, "compression", copy(config, "compression"), failed);
    put(out, "mirror", copy(reply, "mirror"), failed);
    put(out, "sources", copy(reply, "sources"), failed);
    put(out, "allow_direct", copy_flag(config, "allow_direct"), failed);
    put(out, "allow_atomic", copy_flag(config, "allow_atomic"), failed);
    put(out, "allow_msg_ttl", copy_flag(config, "allow_msg_ttl"), failed);
    put(out, "sealed", copy_flag(config, "sealed"), failed);
    put(out, "created", copy(reply, "created"), failed);
}

static json_t *error_of(const struct stream_text_mount *mount, bool *failed)
{
    if (mount->error_ns == 0)
        return json_null();
    json_t *error = json_object();

    put(error, "time", text_of_time(mount->error_ns), failed);
    put(error, "operation", json_string(mount->error_operation), failed);
    json_t *text = json_string(mount->error_text); /* NULL for a path that is no UTF-8 */
    put(error, "text", text != NULL ? text : json_string("?"), failed);
    return error;
}

static void put_mount(json_t *out, const struct stream_text_mount *mount, bool *failed)
{
    json_t *watch = json_object();

    put(watch, "state", json_string(mount->watch), failed);
    put(watch, "revision", json_integer((json_int_t)mount->revision), failed);
    put(watch, "keys", json_integer((json_int_t)mount->names), failed);
    put(out, "watch", watch, failed);
    put(out, "last_error", error_of(mount, failed), failed);
    if (mount->conflicts >= 0)
        put(out, "conflicts", json_integer(mount->conflicts), failed);
}

char *stream_text_status(const struct stream_text_mount *mount, const char *reply)
{
    CLEANUP(cleanup_json) json_t *json = reply != NULL ? json_loads(reply, 0, NULL) : NULL;
    CLEANUP(cleanup_json) json_t *out = json_object();
    bool failed = out == NULL;

    put(out, "bucket", json_string(mount->bucket), &failed);
    put(out, "stream", json_string(mount->stream), &failed);
    put(out, "server", json_string(mount->server), &failed);
    put_stream(out, json, &failed);
    put_mount(out, mount, &failed);
    return failed ? NULL : print(out);
}
