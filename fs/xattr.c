/* SPDX-License-Identifier: Apache-2.0 */
/* xattr.c - see xattr.h. Layer 5. */
#include "fs/xattr.h"

#include "core/digest.h"
#include "core/js_time.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1000000000LL

/* Sets -------------------------------------------------------------------------------------- */

void xattr_clear(struct xattr_set *set)
{
    buffer_clear(&set->text);
    set->failed = false;
}

/* A text with its NUL. */
static void append(struct xattr_set *set, const char *text)
{
    if (!set->failed && buffer_append(&set->text, text, strlen(text) + 1) != JSFS_OK)
        set->failed = true;
}

void xattr_add(struct xattr_set *set, const char *name, const char *format, ...)
{
    va_list arguments;
    char *value;

    va_start(arguments, format);
    int size = vasprintf(&value, format, arguments);
    va_end(arguments);
    if (size < 0) {
        set->failed = true;
        return;
    }
    append(set, name);
    append(set, value);
    free(value);
}

/* Go through a set; *at starts at 0. False at its end. */
static bool next(const struct xattr_set *set, size_t *at, const char **name,
                 const char **value)
{
    if (set->failed || *at >= set->text.size)
        return false;
    *name = set->text.data + *at;
    *value = *name + strlen(*name) + 1;
    *at = (size_t)(*value - set->text.data) + strlen(*value) + 1;
    return true;
}

const char *xattr_get(const struct xattr_set *set, const char *name)
{
    const char *found, *value;

    for (size_t at = 0; next(set, &at, &found, &value);)
        if (strcmp(found, name) == 0)
            return value;
    return NULL;
}

enum jsfs_status xattr_list(const struct xattr_set *set, struct buffer *out)
{
    enum jsfs_status status = set->failed ? JSFS_NO_MEMORY : JSFS_OK;
    const char *name, *value;

    for (size_t at = 0; status == JSFS_OK && next(set, &at, &name, &value);) {
        status = buffer_append_text(out, XATTR_PREFIX);
        if (status == JSFS_OK)
            status = buffer_append(out, name, strlen(name) + 1);
    }
    return status;
}

/* What has attributes ----------------------------------------------------------------------- */

static void add_message(struct xattr_set *set, uint64_t revision, int64_t created_ns,
                        const char *operation)
{
    char created[JS_TIME_SIZE];

    js_time_format(created_ns, created);
    xattr_add(set, "revision", "%" PRIu64, revision);
    xattr_add(set, "created", "%s", created);
    xattr_add(set, "operation", "%s", operation);
}

static const char *operation_of(enum store_state state)
{
    switch (state) {
    case STORE_DELETED: return "DEL";
    case STORE_PURGED: return "PURGE";
    case STORE_LIVE:
    case STORE_CORRUPT: break;
    }
    return "PUT";
}

void xattr_of_key(struct xattr_set *set, const char *bucket, const char *key,
                  uint64_t revision, int64_t created_ns)
{
    xattr_add(set, "bucket", "%s", bucket);
    xattr_add(set, "key", "%s", key);
    if (revision != 0)
        add_message(set, revision, created_ns, operation_of(STORE_LIVE));
}

void xattr_of_revision(struct xattr_set *set, const char *bucket, const char *key,
                       const struct store_entry *entry)
{
    xattr_add(set, "bucket", "%s", bucket);
    xattr_add(set, "key", "%s", key);
    if (entry->sequence != 0)
        add_message(set, entry->sequence, entry->modified_ns, operation_of(entry->state));
}

void xattr_of_object(struct xattr_set *set, const char *bucket, const char *name,
                     const struct object_meta *meta)
{
    xattr_add(set, "bucket", "%s", bucket);
    xattr_add(set, "name", "%s", name);
    if (meta == NULL)
        return;
    xattr_add(set, "size", "%" PRIu64, meta->size_bytes);
    xattr_add(set, "chunks", "%" PRIu32, meta->chunks);
    if (meta->nuid != NULL)
        xattr_add(set, "nuid", "%s", meta->nuid);
    if (meta->has_digest) {
        char digest[DIGEST_TEXT_SIZE];

        digest_format(meta->digest, digest);
        xattr_add(set, "digest", "%s", digest);
    }
}

/* Buckets ----------------------------------------------------------------------------------- */

/* With the largest unit that leaves a whole number, as jsfs.conf takes it; 0: none. */
static void add_duration(struct xattr_set *set, const char *name, int64_t ns)
{
    static const struct {
        const char *unit;
        int64_t ns;
    } units[] = {
        {"h",  3600 * NS_PER_S},
        {"m",  60 * NS_PER_S  },
        {"s",  NS_PER_S       },
        {"ms", 1000000        },
        {"ns", 1              },
    };
    size_t i = 0;

    if (ns <= 0) {
        xattr_add(set, name, "0");
        return;
    }
    while (ns % units[i].ns != 0)
        i++;
    xattr_add(set, name, "%" PRId64 "%s", ns / units[i].ns, units[i].unit);
}

static void add_limit(struct xattr_set *set, const char *name, int64_t limit)
{
    if (limit < 0)
        xattr_add(set, name, "unlimited");
    else
        xattr_add(set, name, "%" PRId64, limit);
}

void xattr_of_bucket(struct xattr_set *set, enum store_kind kind, const char *bucket,
                     const struct js_stream_info *info, uint64_t keys)
{
    bool kv = kind == STORE_KV;

    xattr_add(set, "bucket", "%s", bucket);
    xattr_add(set, kv ? "keys" : "objects", "%" PRIu64, keys);
    if (kv) {
        xattr_add(set, "values", "%" PRIu64, info->messages);
        add_limit(set, "history", info->max_messages_per_subject);
        add_limit(set, "max_value_size", info->max_message_bytes);
    }
    xattr_add(set, "bytes", "%" PRIu64, info->bytes);
    add_duration(set, "ttl", info->max_age_ns);
    xattr_add(set, "storage", "%s", info->memory_storage ? "memory" : "file");
    xattr_add(set, "replicas", "%d", info->replicas);
    add_limit(set, "max_bytes", info->max_bytes);
    xattr_add(set, "description", "%s", info->description);
    xattr_add(set, "mirror", "%s", info->mirror);
    xattr_add(set, "sealed", "%s", info->sealed ? "yes" : "no");
}

void xattr_names_of_bucket(struct xattr_set *set, enum store_kind kind)
{
    static const struct js_stream_info nothing;

    xattr_of_bucket(set, kind, "", &nothing, 0);
}

/* A time to live ---------------------------------------------------------------------------- */

static int64_t unit_ns(char unit)
{
    switch (unit) {
    case 's': return NS_PER_S;
    case 'm': return 60 * NS_PER_S;
    case 'h': return 3600 * NS_PER_S;
    case 'd': return 86400 * NS_PER_S;
    default: return 0;
    }
}

/* Digits, of which there is at least one. */
static bool take_number(const char *text, size_t size, size_t *at, int64_t *out)
{
    int64_t number = 0;
    size_t start = *at;

    for (; *at < size && text[*at] >= '0' && text[*at] <= '9'; ++*at)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, text[*at] - '0', &number))
            return false;
    *out = number;
    return *at > start;
}

int64_t xattr_parse_ttl(const char *text, size_t size)
{
    int64_t total_ns = 0, number;
    size_t at = 0;

    while (at < size) {
        bool first = at == 0;

        if (!take_number(text, size, &at, &number))
            return 0;
        bool bare = first && at == size; /* seconds, as the server takes them */
        int64_t unit = bare ? NS_PER_S : at < size ? unit_ns(text[at]) : 0;
        int64_t part_ns;

        at += !bare;
        if (unit == 0 || __builtin_mul_overflow(number, unit, &part_ns) ||
            __builtin_add_overflow(total_ns, part_ns, &total_ns))
            return 0;
    }
    return total_ns;
}
