/* SPDX-License-Identifier: Apache-2.0 */
/* object_names.c - names, nuids and meta messages as subjects and entries.
 * Layer 3, part of the object store; nothing here asks the server.
 */
#include "core/base64.h"
#include "core/buffer.h"
#include "core/cleanup.h"
#include "core/header_block.h"
#include "core/name_codec.h"
#include "core/object_private.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUID_MAX = 200 };

static void re_encode(char *token, enum object_encoding encoding)
{
    if (encoding == OBJECT_UNPADDED)
        token[strcspn(token, "=")] = '\0';
    for (char *c = token; encoding == OBJECT_STANDARD && *c != '\0'; c++)
        *c = *c == '-' ? '+' : *c == '_' ? '/' : *c;
}

enum jsfs_status object_meta_subject(const struct object_store *store, const char *name,
                                     enum object_encoding encoding, char **subject)
{
    CLEANUP(buffer_clear) struct buffer token = BUFFER_INIT;

    if (*name == '\0')
        return JSFS_BAD_NAME;
    if (!name_is_utf8(name, strlen(name)))
        return JSFS_NOT_UTF8;
    enum jsfs_status status = name_object_token(name, strlen(name), &token);
    if (status != JSFS_OK)
        return status;
    re_encode(token.data, encoding);
    if (strlen(store->meta_prefix) + token.size > STORE_CORE_SUBJECT_MAX)
        return JSFS_NAME_TOO_LONG;
    return asprintf(subject, "%s%s", store->meta_prefix, token.data) < 0 ? JSFS_NO_MEMORY
                                                                         : JSFS_OK;
}

char *object_name_of_token(const char *token)
{
    size_t length = strlen(token), size = 0;
    char *name = malloc(BASE64_DATA_SIZE(length) + 1);

    if (name == NULL)
        return NULL;
    if (base64_decode(token, length, name, &size) && size > 0 &&
        memchr(name, '\0', size) == NULL) {
        name[size] = '\0';
        return name;
    }
    free(name);
    return strdup(token);
}

enum jsfs_status object_chunk_subject(const struct object_store *store, const char *nuid,
                                      char **subject)
{
    size_t length = strlen(nuid);

    for (const char *c = nuid; *c != '\0'; c++)
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 127 ||
            strchr(".*>\"\\", *c) != NULL)
            return JSFS_CORRUPT;
    if (length == 0 || length > NUID_MAX)
        return JSFS_CORRUPT;
    return asprintf(subject, "%s%s", store->chunk_prefix, nuid) < 0 ? JSFS_NO_MEMORY
                                                                    : JSFS_OK;
}

enum jsfs_status object_read_entry(const struct object_message *message,
                                   struct store_entry *entry, struct object_meta **meta)
{
    struct object_meta *read = NULL;
    enum jsfs_status status = JSFS_OK;

    *entry = (struct store_entry){.state = STORE_PURGED,
                                  .sequence = message->sequence,
                                  .modified_ns = message->time_ns,
                                  .own_token = store_message_token(message->message_id),
                                  .expired = message->marker != NULL &&
                                             strcmp(message->marker, "MaxAge") == 0};
    *meta = NULL;
    if (message->size == 0 && message->marker != NULL)
        return JSFS_OK;
    entry->expired = false;
    status = object_meta_parse(message->data, message->size, &read);
    if (status != JSFS_OK) {
        entry->state = STORE_CORRUPT;
        return status == JSFS_NO_MEMORY ? status : JSFS_OK;
    }
    entry->state = read->deleted ? STORE_DELETED : STORE_LIVE;
    entry->size_bytes = read->deleted ? 0 : read->size_bytes;
    entry->meta = *meta = read;
    return JSFS_OK;
}

struct object_message object_leader_message(const struct js_stored_message *stored,
                                            struct object_headers *headers)
{
    const char *block = stored->headers;
    size_t size = stored->headers_size;

    return (struct object_message){
        .data = stored->data,
        .size = stored->size,
        .sequence = stored->sequence,
        .time_ns = stored->time_ns,
        .marker = header_block_copy(block, size, "Nats-Marker-Reason", headers->marker,
                                    sizeof(headers->marker))
                      ? headers->marker
                      : NULL,
        .message_id = header_block_copy(block, size, "Nats-Msg-Id", headers->message_id,
                                        sizeof(headers->message_id))
                          ? headers->message_id
                          : NULL,
    };
}
