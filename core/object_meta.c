/* SPDX-License-Identifier: Apache-2.0 */
/* object_meta.c - ObjectInfo in and out of JSON.
 * Layer 2.
 */
#include "core/object_meta.h"
#include "core/cleanup.h"
#include "core/digest.h"
#include "core/js_time.h"
#include "core/name_codec.h"
#include <jansson.h>
#include <string.h>

#define DEFAULT_CHUNK_BYTES 131072 /* of every official client */

static void cleanup_json(json_t **json)
{
    json_decref(*json);
}

/* Copy a text; a missing, null or empty one is NULL. false without memory. */
static bool copy_text(const json_t *object, const char *key, char **out)
{
    const char *text = json_string_value(json_object_get(object, key));

    if (text == NULL || text[0] == '\0')
        return true;
    *out = strdup(text);
    return *out != NULL;
}

/* A number of 0..max. Missing, null and "" are 0. false for what no count can be. */
static bool read_count(const json_t *object, const char *key, uint64_t max, uint64_t *out)
{
    const json_t *value = json_object_get(object, key);
    double real = json_real_value(value);
    uint64_t count;

    *out = 0;
    if (value == NULL || json_is_null(value) ||
        (json_is_string(value) && json_string_length(value) == 0))
        return true;
    if (json_is_integer(value) && json_integer_value(value) >= 0)
        count = (uint64_t)json_integer_value(value);
    else if (json_is_real(value) && real >= 0 && real < 0x1p53 &&
             real == (double)(uint64_t)real)
        count = (uint64_t)real;
    else
        return false;
    *out = count;
    return count <= max;
}

static bool read_counts(const json_t *json, struct object_meta *meta)
{
    const json_t *options = json_object_get(json, "options");
    uint64_t chunks, max_chunk;

    if (!read_count(json, "size", INT64_MAX, &meta->size_bytes) ||
        !read_count(json, "chunks", UINT32_MAX, &chunks) ||
        !read_count(options, "max_chunk_size", UINT32_MAX, &max_chunk))
        return false;
    meta->chunks = (uint32_t)chunks;
    meta->max_chunk_bytes = max_chunk > 0 ? (uint32_t)max_chunk : DEFAULT_CHUNK_BYTES;
    return true;
}

/* A link names its bucket itself; nats.js also puts the target's at the top. */
static bool read_link(const json_t *json, struct object_meta *meta)
{
    const json_t *link = json_object_get(json_object_get(json, "options"), "link");

    if (!json_is_object(link))
        return true;
    if (!copy_text(link, "bucket", &meta->link_bucket))
        return false;
    if (meta->link_bucket == NULL && !copy_text(json, "bucket", &meta->link_bucket))
        return false;
    return meta->link_bucket == NULL || copy_text(link, "name", &meta->link_name);
}

/* The headers of a meta. Older Rust clients wrote them as {"inner":{…}}, which others cannot
 * read (reference nats.md §2.2).
 */
static json_t *find_headers(const json_t *json)
{
    json_t *headers = json_object_get(json, "headers");
    json_t *inner = json_object_get(headers, "inner");

    return json_object_size(headers) == 1 && json_is_object(inner) ? inner : headers;
}

/* Keep what jsfs does not understand but must not lose. false without memory. */
static bool read_extra(const json_t *json, struct object_meta *meta)
{
    json_t *description = json_object_get(json, "description");
    json_t *headers = find_headers(json), *metadata = json_object_get(json, "metadata");
    CLEANUP(cleanup_json) json_t *extra = json_object();
    int failed = extra == NULL;

    if (json_string_length(description) > 0)
        failed |= json_object_set(extra, "description", description);
    if (json_is_object(headers))
        failed |= json_object_set(extra, "headers", headers);
    if (json_is_object(metadata))
        failed |= json_object_set(extra, "metadata", metadata);
    if (failed)
        return false;
    if (json_object_size(extra) == 0)
        return true;
    meta->extra = json_dumps(extra, JSON_COMPACT);
    return meta->extra != NULL;
}

static bool read_texts(const json_t *json, struct object_meta *meta)
{
    return copy_text(json, "name", &meta->name) && copy_text(json, "nuid", &meta->nuid) &&
           read_link(json, meta) && read_extra(json, meta);
}

static enum jsfs_status load(const char *json, size_t size, json_t **out)
{
    json_error_t error = {0};

    if (size == 0)
        return JSFS_CORRUPT;
    *out = json_loadb(json, size, 0, &error);
    if (*out != NULL)
        return JSFS_OK;
    return json_error_code(&error) == json_error_out_of_memory ? JSFS_NO_MEMORY
                                                               : JSFS_CORRUPT;
}

enum jsfs_status object_meta_parse(const char *json, size_t size,
                                   struct object_meta **out)
{
    CLEANUP(cleanup_json) json_t *root = NULL;
    CLEANUP(cleanup_object_meta) struct object_meta *meta = NULL;
    enum jsfs_status status = load(json, size, &root);

    if (status != JSFS_OK)
        return status;
    meta = calloc(1, sizeof(*meta));
    if (meta == NULL)
        return JSFS_NO_MEMORY;
    if (json_string_length(json_object_get(root, "name")) == 0 ||
        !read_counts(root, meta))
        return JSFS_CORRUPT;
    if (!read_texts(root, meta))
        return JSFS_NO_MEMORY;
    meta->deleted = json_is_true(json_object_get(root, "deleted"));
    meta->has_digest =
        digest_parse(json_string_value(json_object_get(root, "digest")), meta->digest);
    *out = meta;
    meta = NULL;
    return JSFS_OK;
}

/* Java's and JavaScript's readers want a digest of an empty object too. A tombstone has none,
 * nor has an object whose writer gave none.
 */
static enum jsfs_status add_digest(const struct object_meta *meta, json_t *json)
{
    static const unsigned char of_nothing[DIGEST_SIZE] = {
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4,
        0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b,
        0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55};
    bool is_empty = meta->size_bytes == 0 && meta->link_bucket == NULL;
    char text[DIGEST_TEXT_SIZE];

    if (meta->deleted || (!meta->has_digest && !is_empty))
        return JSFS_OK;
    digest_format(meta->has_digest ? meta->digest : of_nothing, text);
    return json_object_set_new(json, "digest", json_string(text)) == 0 ? JSFS_OK
                                                                       : JSFS_NO_MEMORY;
}

/* {"max_chunk_size":…,"link":{…}}, for json_decref(); NULL without memory. */
static json_t *make_options(const struct object_meta *meta)
{
    json_int_t max_chunk =
        meta->max_chunk_bytes > 0 ? meta->max_chunk_bytes : DEFAULT_CHUNK_BYTES;

    if (meta->link_bucket == NULL)
        return json_pack("{sI}", "max_chunk_size", max_chunk);
    return json_pack("{sI s{ss ss*}}", "max_chunk_size", max_chunk, "link", "bucket",
                     meta->link_bucket, "name", meta->link_name);
}

/* All fields but digest and extra; NULL without memory. */
static json_t *make_fields(const struct object_meta *meta, const char *bucket,
                           int64_t now_ns)
{
    char mtime[JS_TIME_SIZE];
    json_int_t size = meta->deleted ? 0 : (json_int_t)meta->size_bytes;
    json_int_t chunks = meta->deleted ? 0 : meta->chunks;
    json_t *json;

    js_time_format(now_ns, mtime);
    json = json_pack("{ss so ss ss sI sI ss}", "name", meta->name, "options",
                     make_options(meta), "bucket", bucket, "nuid", meta->nuid, "size",
                     size, "chunks", chunks, "mtime", mtime);
    if (json == NULL || !meta->deleted ||
        json_object_set_new(json, "deleted", json_true()) == 0)
        return json;
    json_decref(json);
    return NULL;
}

static enum jsfs_status add_extra(const struct object_meta *meta, json_t *json)
{
    CLEANUP(cleanup_json) json_t *extra = NULL;
    enum jsfs_status status;

    if (meta->extra == NULL)
        return JSFS_OK;
    status = load(meta->extra, strlen(meta->extra), &extra);
    if (status != JSFS_OK || !json_is_object(extra))
        return status == JSFS_NO_MEMORY ? status : JSFS_INVALID;
    return json_object_update_missing(json, extra) == 0 ? JSFS_OK : JSFS_NO_MEMORY;
}

enum jsfs_status object_meta_format(const struct object_meta *meta, const char *bucket,
                                    int64_t now_ns, char **out)
{
    enum jsfs_status status;
    char *text;

    if (!name_is_utf8(meta->name, strlen(meta->name)))
        return JSFS_NOT_UTF8;
    if (meta->nuid == NULL || meta->size_bytes > INT64_MAX)
        return JSFS_INVALID;

    CLEANUP(cleanup_json) json_t *json = make_fields(meta, bucket, now_ns);
    if (json == NULL)
        return JSFS_NO_MEMORY;
    status = add_digest(meta, json);
    if (status == JSFS_OK)
        status = add_extra(meta, json);
    if (status != JSFS_OK)
        return status;
    text = json_dumps(json, JSON_COMPACT);
    if (text == NULL)
        return JSFS_NO_MEMORY;
    *out = text;
    return JSFS_OK;
}

void object_meta_free(struct object_meta *meta)
{
    if (meta == NULL)
        return;
    free(meta->name);
    free(meta->nuid);
    free(meta->link_bucket);
    free(meta->link_name);
    free(meta->extra);
    free(meta);
}
