/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_name_codec.c - any bytes as a raw name and as a path: encode and decode are inverses.
 * libFuzzer target of layer 2.
 */
#include "core/name_codec.h"
#include "core/cleanup.h"
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check_name(const char *raw, size_t size)
{
    CLEANUP(buffer_clear) struct buffer path = BUFFER_INIT;
    CLEANUP(buffer_clear) struct buffer back = BUFFER_INIT;

    if (size == 0) {
        require(name_encode(raw, 0, &path) == JSFS_BAD_NAME);
        return;
    }
    require(name_encode(raw, size, &path) == JSFS_OK);
    require(memchr(path.data, '\0', path.size) == NULL);
    require(name_decode(path.data, &back) == JSFS_OK);
    require(back.size == size && memcmp(back.data, raw, size) == 0);
}

static void check_path(const char *path)
{
    CLEANUP(buffer_clear) struct buffer raw = BUFFER_INIT;
    CLEANUP(buffer_clear) struct buffer again = BUFFER_INIT;
    size_t size = strlen(path);

    if (name_decode(path, &raw) != JSFS_OK)
        return;
    require(name_encode(raw.data, raw.size, &again) == JSFS_OK);
    if (size > 7 && strcmp(path + size - 7, "/" NAME_CODEC_VALUE) == 0)
        require(buffer_append_text(&again, "/" NAME_CODEC_VALUE) == JSFS_OK);
    require(strcmp(again.data, path) == 0);
}

static void check_rules(const char *text, size_t size)
{
    CLEANUP(buffer_clear) struct buffer token = BUFFER_INIT;

    if (strlen(text) == size && name_is_portable_key(text)) {
        require(name_is_legal_key(text, size));
        require(name_is_utf8(text, size));
    }
    if (strlen(text) == size && name_is_bucket(text))
        require(name_is_portable_key(text));
    require(name_object_token(text, size, &token) == JSFS_OK);
    require(token.size == (size + 2) / 3 * 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(cleanup_free) char *text = malloc(size + 1);

    memcpy(text, data, size);
    text[size] = '\0';
    check_name((const char *)data, size);
    check_path(text);
    check_rules(text, size);
    return 0;
}
