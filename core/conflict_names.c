/* SPDX-License-Identifier: Apache-2.0 */
/* conflict_names.c - see conflict_names.h. Layer 4. */
#include "core/conflict_names.h"

#include "core/cleanup.h"
#include "core/conflict_store.h"
#include "core/name_codec.h"

#include <inttypes.h>
#include <string.h>

#define COMPONENT_MAX 200   /* [bytes] of a key's component that stay one file name */
#define SERVER_NAME_MAX 200 /* [bytes] */

/* A text that is one file name, different for different texts as far as it fits. */
static enum jsfs_status append_file_name(struct buffer *out, const char *text)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    enum jsfs_status status = JSFS_OK;
    size_t size = 0;

    for (const char *c = text; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    for (; status == JSFS_OK && text[size] != '\0' && size < SERVER_NAME_MAX; size++) {
        bool plain = strchr("/:,@", text[size]) == NULL && text[size] > ' ' &&
                     (size > 0 || text[size] != '.');
        status = buffer_append(out, plain ? &text[size] : "_", 1);
    }
    if (status == JSFS_OK && text[size] != '\0')
        status = buffer_append_format(out, "+%08" PRIx32, hash);
    return status;
}

char *conflict_directory(const char *state, const char *server)
{
    CLEANUP(buffer_clear) struct buffer path = BUFFER_INIT;
    static const char scheme[] = "nats://";

    if (strncmp(server, scheme, strlen(scheme)) == 0)
        server += strlen(scheme);
    if (buffer_append_format(&path, "%s/conflicts/", state) != JSFS_OK ||
        append_file_name(&path, server) != JSFS_OK)
        return NULL;
    return buffer_take(&path);
}

static enum jsfs_status append_component(struct buffer *name, const char *component,
                                         size_t size)
{
    enum jsfs_status status = JSFS_OK;
    bool split = size > COMPONENT_MAX;

    for (; status == JSFS_OK && size > COMPONENT_MAX; size -= COMPONENT_MAX) {
        status = buffer_append_format(name, "@+%.*s/", COMPONENT_MAX, component);
        component += COMPONENT_MAX;
    }
    if (status == JSFS_OK)
        status = buffer_append_format(name, "%s%.*s/", split ? "@=" : "", (int)size,
                                      component);
    return status;
}

enum jsfs_status conflict_append_key(struct buffer *name, const char *path)
{
    static const char value[] = "/" NAME_CODEC_VALUE;
    size_t size = strlen(path);
    enum jsfs_status status = JSFS_OK;

    if (size > strlen(value) && strcmp(path + size - strlen(value), value) == 0)
        size -= strlen(value);
    for (size_t start = 0; status == JSFS_OK && start < size;) {
        const char *slash = memchr(path + start, '/', size - start);
        size_t end = slash != NULL ? (size_t)(slash - path) : size;
        status = append_component(name, path + start, end - start);
        start = end + 1;
    }
    return status;
}
