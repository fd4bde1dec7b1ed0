/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_object_meta.c - any bytes as a meta; what is read is written, and read the same again.
 * libFuzzer target of layer 2.
 */
#include "core/object_meta.h"
#include "core/cleanup.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* Writes a meta and reads what was written. */
static struct object_meta *rewrite(const struct object_meta *meta, char **text)
{
    struct object_meta *again = NULL;

    require(object_meta_format(meta, "bucket", 1795255651812661495, text) == JSFS_OK);
    require(object_meta_parse(*text, strlen(*text), &again) == JSFS_OK);
    return again;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(cleanup_object_meta) struct object_meta *meta = NULL;
    CLEANUP(cleanup_object_meta) struct object_meta *again = NULL;
    CLEANUP(cleanup_object_meta) struct object_meta *once_more = NULL;
    CLEANUP(cleanup_free) char *first = NULL;
    CLEANUP(cleanup_free) char *second = NULL;

    if (object_meta_parse((const char *)data, size, &meta) != JSFS_OK) {
        require(meta == NULL);
        return 0;
    }
    require(meta->name[0] != '\0' && meta->max_chunk_bytes > 0);
    if (meta->nuid == NULL)
        require((meta->nuid = strdup("nuid")) != NULL);
    again = rewrite(meta, &first);
    require(strcmp(again->name, meta->name) == 0 && again->deleted == meta->deleted);
    require(meta->deleted || again->size_bytes == meta->size_bytes);
    require((again->link_bucket == NULL) == (meta->link_bucket == NULL));
    once_more = rewrite(again, &second);
    require(strcmp(first, second) == 0);
    return 0;
}
