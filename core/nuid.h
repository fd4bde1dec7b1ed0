/* SPDX-License-Identifier: Apache-2.0 */
/* nuid.h - unique identifiers of 22 base62 characters, as NATS clients make them.
 * Layer 2. 12 random characters a process, 10 that count on.
 */
#ifndef JSFS_CORE_NUID_H
#define JSFS_CORE_NUID_H

#define NUID_SIZE 23 /* [bytes] with the NUL */

/* A new identifier, never given twice; safe as a subject token and a file name. The random
 * part is drawn again after fork(2) and whenever the count wraps.
 * Threads: any.   Source: nats-io/nuid; randomness from getrandom(2).
 */
void nuid_next(char out[NUID_SIZE]);

#endif
