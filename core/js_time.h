/* SPDX-License-Identifier: Apache-2.0 */
/* js_time.h - the times in JetStream's JSON (RFC 3339) as nanoseconds, and back; pure.
 * Layer 2.
 */
#ifndef JSFS_CORE_JS_TIME_H
#define JSFS_CORE_JS_TIME_H

#include <stdbool.h>
#include <stdint.h>

#define JS_TIME_SIZE 31 /* [bytes] of "2006-01-02T15:04:05.000000000Z" and its NUL */

/* Read an RFC 3339 time with up to nine decimals and any zone.
 *   text      NUL-terminated
 *   out       [ns since 1970]; untouched on false
 *   returns   false when the text is not one, or outside of what out can hold (1677..2262)
 */
bool js_time_parse(const char *text, int64_t *out);

/* Read a Nats-TTL as nats-server does (ADR-43): whole seconds, or a duration of Go such as "1h30m",
 * of which the part below a second does not count.
 *   text      NUL-terminated; NULL is no time to live
 *   returns   [ns], INT64_MAX for "never"; 0 when the text says none
 */
int64_t js_time_ttl(const char *text);

/* Write a time in UTC, with nine decimals.
 *   time_ns   [ns since 1970], any
 */
void js_time_format(int64_t time_ns, char out[JS_TIME_SIZE]);

#endif
