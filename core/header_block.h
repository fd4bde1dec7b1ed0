/* SPDX-License-Identifier: Apache-2.0 */
/* header_block.h - one header out of a stored message's "NATS/1.0\r\n…" block; pure.
 * Layer 2. For what js_reply_message() decodes (js_stored_message.headers); messages that
 * nats.c delivers have natsMsgHeader_*.
 */
#ifndef JSFS_CORE_HEADER_BLOCK_H
#define JSFS_CORE_HEADER_BLOCK_H

#include <stdbool.h>
#include <stddef.h>

/* A value inside the block: not NUL-terminated. */
struct header_value {
    const char *text;
    size_t size; /* [bytes], without white space around it */
};

/* The last value of a header (a stored message may repeat a name; the server appends its own).
 *   block   size bytes as the server stored them; any bytes; NULL when size is 0
 *   name    compared without regard to case
 *   out     points into block; untouched when false
 *   returns false: no such header, or not a header block
 * Source: ADR-4.
 */
bool header_block_find(const char *block, size_t size, const char *name,
                       struct header_value *out);

/* The same, copied as NUL-terminated text.
 *   returns   false also when the value and its NUL do not fit into out_size bytes
 */
bool header_block_copy(const char *block, size_t size, const char *name, char *out,
                       size_t out_size);

/* The size of the block that nats.c makes of headers: "NATS/1.0\r\n", "name: value\r\n" each, "\r\n".
 *   headers   name, value, name, value …, NULL
 */
size_t header_block_size(const char *const *headers);

#endif
