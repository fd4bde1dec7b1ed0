/* SPDX-License-Identifier: Apache-2.0 */
/* name_codec.h - raw names (keys, object names) as paths, and back; pure.
 * Layer 2. A raw name is split at '/'; each component is written so that a path can carry it:
 * "" is "%", "." is "%2E", ".." is "%2E%2E", every '%' and NUL byte and a leading '@' become
 * "%XX" (upper-case hex), and a first component ".jsfs" becomes "%2Ejsfs". Nothing else
 * changes. Encoding and decoding are inverses: decode accepts exactly what encode makes.
 * The path "x/@value" names the raw name "x" where "x" is also a directory.
 */
#ifndef JSFS_CORE_NAME_CODEC_H
#define JSFS_CORE_NAME_CODEC_H

#include "core/buffer.h"
#include "core/status.h"
#include <stdbool.h>
#include <stddef.h>

#define NAME_CODEC_VALUE "@value"  /* the file that holds the value of a directory's name */
#define NAME_CODEC_CONTROL ".jsfs" /* the control directory, at the top of a bucket only */

/* The path of a raw name, relative to its bucket, without leading or trailing '/'.
 *   raw, size   the name's bytes; any value is allowed, also NUL
 *   path        the text is appended; unchanged unless JSFS_OK
 *   JSFS_BAD_NAME   size is 0;   JSFS_NO_MEMORY
 */
enum jsfs_status name_encode(const char *raw, size_t size, struct buffer *path);

/* The raw name of a path; the inverse of name_encode.
 *   path   NUL-terminated, relative to its bucket, no leading, trailing or double '/'; a last
 *          component "@value" is dropped
 *   raw    the bytes are appended; unchanged unless JSFS_OK
 *   JSFS_BAD_NAME   not what name_encode writes for any raw name;   JSFS_NO_MEMORY
 */
enum jsfs_status name_decode(const char *path, struct buffer *raw);

/* True for a key that every NATS client takes: [-/_=.a-zA-Z0-9]+, no '.' first or last, no
 * "..". Source: ADR-8, nats.go kv.go keyValid.
 */
bool name_is_portable_key(const char *key);

/* True for a key that the server can hold as a subject: no white space, NUL or DEL (which its
 * index of subjects keeps for itself), no empty '.'-token, no token "*" or ">". Foreign keys
 * that are not portable but legal are shown and may be replaced.
 */
bool name_is_legal_key(const char *key, size_t size);

/* True for a bucket name: [A-Za-z0-9_-]{1,251}. */
bool name_is_bucket(const char *name);

/* True for well-formed UTF-8 (no surrogates, no overlong forms). */
bool name_is_utf8(const char *name, size_t size);

/* The subject token of an object name: URL-safe padded base64, appended to token. */
enum jsfs_status name_object_token(const char *name, size_t size, struct buffer *token);

#endif
