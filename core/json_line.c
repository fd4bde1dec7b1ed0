/* SPDX-License-Identifier: Apache-2.0 */
/* json_line.c - see json_line.h. Layer 2. */
#include "core/json_line.h"
#include "core/base64.h"
#include "core/cleanup.h"
#include "core/name_codec.h"
#include <jansson.h>
#include <string.h>

#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */
#define CHARACTER_MOST 4           /* [bytes] in UTF-8 */

/* [bytes] of the character that text begins with; 0: none does. */
static size_t character_size(const char *text, size_t left)
{
    for (size_t size = 1; size <= CHARACTER_MOST && size <= left; size++) {
        if (name_is_utf8(text, size))
            return size;
    }
    return 0;
}

static json_t *readable(const char *text, size_t size)
{
    CLEANUP(buffer_clear) struct buffer shown = BUFFER_INIT;
    enum jsfs_status status = JSFS_OK;

    for (size_t at = 0; at < size && status == JSFS_OK;) {
        size_t length = character_size(text + at, size - at);

        status = length > 0 ? buffer_append(&shown, text + at, length)
                            : buffer_append_text(&shown, REPLACEMENT);
        at += length > 0 ? length : 1;
    }
    return status == JSFS_OK ? json_stringn(shown.data, shown.size) : NULL;
}

static json_t *in_base64(const char *text, size_t size)
{
    CLEANUP(cleanup_free) char *encoded = malloc(BASE64_TEXT_SIZE(size));

    if (encoded == NULL)
        return NULL;
    base64_encode(text, size, encoded);
    return json_string(encoded);
}

/* True when it is in; a NULL value is lack of memory. */
static bool add_text(json_t *object, const struct json_member *member)
{
    CLEANUP(cleanup_free) char *name = NULL;
    size_t size = strlen(member->text);

    if (name_is_utf8(member->text, size))
        return json_object_set_new(object, member->name,
                                   json_stringn(member->text, size)) == 0;
    name = malloc(strlen(member->name) + sizeof("_base64"));
    if (name == NULL)
        return false;
    stpcpy(stpcpy(name, member->name), "_base64");
    return json_object_set_new(object, member->name, readable(member->text, size)) == 0 &&
           json_object_set_new(object, name, in_base64(member->text, size)) == 0;
}

static bool add_member(json_t *object, const struct json_member *member)
{
    if (member->text != NULL)
        return add_text(object, member);
    return json_object_set_new(object, member->name,
                               json_integer((json_int_t)member->number)) == 0;
}

static int append(const char *data, size_t size, void *arg)
{
    return buffer_append(arg, data, size) == JSFS_OK ? 0 : -1;
}

enum jsfs_status json_line(const struct json_member *members, size_t count,
                           struct buffer *line)
{
    size_t before = line->size;
    json_t *object = json_object();
    bool complete = object != NULL;

    for (size_t i = 0; i < count && complete; i++)
        complete = add_member(object, &members[i]);
    complete = complete && json_dump_callback(object, append, line, JSON_COMPACT) == 0 &&
               buffer_append(line, "\n", 1) == JSFS_OK;
    json_decref(object);
    if (complete)
        return JSFS_OK;
    if (line->size > before)
        (void)buffer_resize(line, before);
    return JSFS_NO_MEMORY;
}
