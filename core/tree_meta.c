/* SPDX-License-Identifier: Apache-2.0 */
/* tree_meta.c - what a tree keeps of an object's meta, in one allocation.
 * Layer 4, private to tree*.c. The texts stand one behind the other, those that are NULL are
 * missing; the object's name is not kept because the path says it.
 */
#include "core/tree_node.h"
#include "core/cleanup.h"
#include "core/name_codec.h"
#include <string.h>

enum { HAS_NUID = 1, HAS_LINK_BUCKET = 2, HAS_LINK_NAME = 4, HAS_EXTRA = 8 };

struct packed_meta {
    uint64_t size_bytes;
    uint32_t chunks, max_chunk_bytes;
    unsigned char digest[32];
    bool has_digest;
    unsigned char texts; /* HAS_* */
    char text[];
};

static size_t room_for(const char *text)
{
    return text == NULL ? 0 : strlen(text) + 1;
}

static unsigned char put(char **at, const char *text, unsigned char flag)
{
    if (text == NULL)
        return 0;
    *at = stpcpy(*at, text) + 1;
    return flag;
}

struct packed_meta *meta_pack(struct tree *tree, const struct object_meta *meta)
{
    size_t size = sizeof(struct packed_meta) + room_for(meta->nuid) +
                  room_for(meta->link_bucket) + room_for(meta->link_name) +
                  room_for(meta->extra);
    struct packed_meta *packed = node_allocate(tree, size);
    char *at;

    if (packed == NULL)
        return NULL;
    packed->size_bytes = meta->size_bytes;
    packed->chunks = meta->chunks;
    packed->max_chunk_bytes = meta->max_chunk_bytes;
    packed->has_digest = meta->has_digest;
    memcpy(packed->digest, meta->digest, sizeof(packed->digest));
    at = packed->text;
    packed->texts = put(&at, meta->nuid, HAS_NUID);
    packed->texts |= put(&at, meta->link_bucket, HAS_LINK_BUCKET);
    packed->texts |= put(&at, meta->link_name, HAS_LINK_NAME);
    packed->texts |= put(&at, meta->extra, HAS_EXTRA);
    return packed;
}

uint64_t meta_size(const struct packed_meta *packed)
{
    return packed->size_bytes;
}

static bool take(const struct packed_meta *packed, const char **at, unsigned char flag,
                 char **out)
{
    if ((packed->texts & flag) == 0)
        return true;
    *out = strdup(*at);
    *at += strlen(*at) + 1;
    return *out != NULL;
}

enum jsfs_status meta_unpack(const struct packed_meta *packed, const char *path,
                             struct object_meta **out)
{
    CLEANUP(cleanup_object_meta) struct object_meta *meta = calloc(1, sizeof(*meta));
    CLEANUP(buffer_clear) struct buffer name = BUFFER_INIT;
    const char *at = packed->text;

    if (meta == NULL || name_decode(path, &name) != JSFS_OK)
        return JSFS_NO_MEMORY;
    meta->name = buffer_take(&name);
    meta->size_bytes = packed->size_bytes;
    meta->chunks = packed->chunks;
    meta->max_chunk_bytes = packed->max_chunk_bytes;
    meta->has_digest = packed->has_digest;
    memcpy(meta->digest, packed->digest, sizeof(meta->digest));
    if (meta->name == NULL || !take(packed, &at, HAS_NUID, &meta->nuid) ||
        !take(packed, &at, HAS_LINK_BUCKET, &meta->link_bucket) ||
        !take(packed, &at, HAS_LINK_NAME, &meta->link_name) ||
        !take(packed, &at, HAS_EXTRA, &meta->extra))
        return JSFS_NO_MEMORY;
    *out = meta;
    meta = NULL;
    return JSFS_OK;
}
