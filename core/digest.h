/* SPDX-License-Identifier: Apache-2.0 */
/* digest.h - SHA-256 as ADR-20 writes it: "SHA-256=" and URL-safe padded base64.
 * Layer 2, over OpenSSL. One running digest belongs to one thread at a time.
 */
#ifndef JSFS_CORE_DIGEST_H
#define JSFS_CORE_DIGEST_H

#include "core/status.h"
#include <stdbool.h>
#include <stddef.h>

#define DIGEST_SIZE 32       /* [bytes] of a SHA-256 */
#define DIGEST_TEXT_SIZE 53  /* [bytes] of "SHA-256=" + 44 characters + NUL */

struct digest;

/* Start a digest of nothing; NULL without memory. For digest_free(). */
struct digest *digest_new(void);

/* NULL is fine. */
void digest_free(struct digest *digest);

/* Add size bytes. */
void digest_add(struct digest *digest, const void *data, size_t size);

/* End it: the SHA-256 of all that was added. Nothing may be added afterwards. */
void digest_finish(struct digest *digest, unsigned char out[DIGEST_SIZE]);

/* The canonical text of a digest, NUL-terminated. */
void digest_format(const unsigned char hash[DIGEST_SIZE], char out[DIGEST_TEXT_SIZE]);

/* Read a digest as any client wrote it: prefix "SHA-256=" in any case, then URL-safe or
 * standard base64, padded or not, or 64 hex digits.
 *   returns   false for NULL, "" and everything else; out is untouched then ("unverified",
 *             not an error: reference nats.md §2.2)
 */
bool digest_parse(const char *text, unsigned char out[DIGEST_SIZE]);

#endif
