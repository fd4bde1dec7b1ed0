/* SPDX-License-Identifier: Apache-2.0 */
/* stream_config.c - request bodies, built with jansson.
 * Layer 2.
 */
#include "core/stream_config.h"
#include <jansson.h>
#include <string.h>

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S (1000 * NS_PER_MS)
#define DUPLICATE_WINDOW_NS (120 * NS_PER_S) /* nats.go's; the server's default too */
#define ACK_WAIT_NS (22 * 3600 * NS_PER_S)   /* ADR-17: never again */
#define INACTIVE_THRESHOLD_NS (5 * NS_PER_S)

#define API_LEVEL_ATOMIC 2 /* nats-server 2.12 */

/* The text of a JSON value, which is taken; NULL when either has no memory. */
static char *take_text(json_t *json)
{
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;

    json_decref(json);
    return text;
}

/* The tags of a comma-separated list, without blanks around them. */
static json_t *split_tags(const char *text)
{
    json_t *tags = json_array();
    int failed = tags == NULL;

    while (!failed && *text != '\0') {
        size_t size;

        text += strspn(text, ", \t");
        size = strcspn(text, ",");
        size_t trimmed = size;
        while (trimmed > 0 && (text[trimmed - 1] == ' ' || text[trimmed - 1] == '\t'))
            trimmed--;
        if (trimmed > 0)
            failed |= json_array_append_new(tags, json_stringn(text, trimmed));
        text += size;
    }
    if (!failed)
        return tags;
    json_decref(tags);
    return NULL;
}

/* Where and what for; nonzero without memory. */
static int add_placement(json_t *config, const struct config_bucket *defaults)
{
    json_t *placement = json_object();
    int failed = placement == NULL;

    if (!failed && defaults->placement_cluster != NULL)
        failed |= json_object_set_new(placement, "cluster",
                                      json_string(defaults->placement_cluster));
    if (!failed && defaults->placement_tags != NULL)
        failed |= json_object_set_new(placement, "tags", split_tags(defaults->placement_tags));
    if (!failed && json_object_size(placement) > 0)
        failed |= json_object_set(config, "placement", placement);
    if (!failed && defaults->description != NULL)
        failed |= json_object_set_new(config, "description", json_string(defaults->description));
    json_decref(placement);
    return failed;
}

/* What both kinds of bucket have. config is taken; NULL without memory.
 * "allow_atomic" lets a rename be one step for everyone.
 */
static json_t *add_common(json_t *config, const struct config_bucket *defaults,
                          int api_level)
{
    int64_t window = defaults->ttl_ns > 0 && defaults->ttl_ns < DUPLICATE_WINDOW_NS
                         ? defaults->ttl_ns
                         : DUPLICATE_WINDOW_NS;
    json_t *common = json_pack(
        "{ss ss ss si si sI sI si sI sb sb}", "retention", "limits", "discard", "new",
        "storage", defaults->memory_storage ? "memory" : "file", "max_consumers", -1,
        "max_msgs", -1, "max_bytes", (json_int_t)defaults->max_bytes, "max_age",
        (json_int_t)defaults->ttl_ns, "num_replicas", defaults->replicas,
        "duplicate_window", (json_int_t)window, "allow_rollup_hdrs", 1, "allow_direct",
        1);
    int failed = common == NULL;

    if (!failed && defaults->compression)
        failed |= json_object_set_new(common, "compression", json_string("s2"));
    if (!failed && api_level >= API_LEVEL_ATOMIC)
        failed |= json_object_set_new(common, "allow_atomic", json_true());
    if (!failed)
        failed |= add_placement(common, defaults);
    if (!failed)
        failed |= json_object_update(config, common);
    json_decref(common);
    if (!failed)
        return config;
    json_decref(config);
    return NULL;
}

char *stream_config_kv(const char *bucket, const struct config_bucket *defaults,
                       int api_level)
{
    json_t *config =
        json_pack("{ss+ s[s++] si sI sb}", "name", "KV_", bucket, "subjects", "$KV.",
                  bucket, ".>", "max_msgs_per_subject", defaults->history, "max_msg_size",
                  (json_int_t)defaults->max_value_bytes, "deny_delete", 1);

    return take_text(add_common(config, defaults, api_level));
}

char *stream_config_object(const char *bucket, const struct config_bucket *defaults,
                           int api_level)
{
    json_t *config = json_pack("{ss+ s[s++ s++]}", "name", "OBJ_", bucket, "subjects",
                               "$O.", bucket, ".C.>", "$O.", bucket, ".M.>");

    return take_text(add_common(config, defaults, api_level));
}

static const char *deliver_policy(enum stream_deliver deliver)
{
    switch (deliver) {
    case STREAM_DELIVER_LAST_PER_SUBJECT: return "last_per_subject";
    case STREAM_DELIVER_FROM_SEQUENCE: return "by_start_sequence";
    case STREAM_DELIVER_ALL: return "all";
    }
    return "all";
}

char *stream_config_consumer(const char *stream, const char *name,
                             const char *deliver_subject, const char *filter,
                             enum stream_deliver deliver, uint64_t start_sequence,
                             bool headers_only, int64_t heartbeat_ms)
{
    json_t *request = json_pack(
        "{ss ss s{ss ss ss* ss ss si sI ss sb sI sb si sI}}", "stream_name", stream,
        "action", "create", "config", "name", name, "deliver_subject", deliver_subject,
        "filter_subject", filter, "deliver_policy", deliver_policy(deliver), "ack_policy",
        "none", "max_deliver", 1, "ack_wait", (json_int_t)ACK_WAIT_NS, "replay_policy",
        "instant", "flow_control", 1, "idle_heartbeat",
        (json_int_t)(heartbeat_ms * NS_PER_MS), "mem_storage", 1, "num_replicas", 1,
        "inactive_threshold", (json_int_t)INACTIVE_THRESHOLD_NS);
    json_t *config = json_object_get(request, "config");
    int failed = request == NULL;

    if (!failed && deliver == STREAM_DELIVER_FROM_SEQUENCE)
        failed |= json_object_set_new(config, "opt_start_seq",
                                      json_integer((json_int_t)start_sequence));
    if (!failed && headers_only)
        failed |= json_object_set_new(config, "headers_only", json_true());
    if (!failed)
        return take_text(request);
    json_decref(request);
    return NULL;
}
