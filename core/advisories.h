/* SPDX-License-Identifier: Apache-2.0 */
/* advisories.h - the server's word that a stream was created or deleted.
 * Layer 3. Where the user may not subscribe to advisories none come, and nobody is told: the
 * owner asks for itself now and then.   Source: reference nats.md §3; ADR-1 advisories.
 */
#ifndef JSFS_CORE_ADVISORIES_H
#define JSFS_CORE_ADVISORIES_H

#include "core/connection.h"

struct advisories;

/* Call changed(arg) after each creation or deletion of a stream, and after each reconnect, when
 * some may have been missed; on a nats.c thread, so it must not block.
 *   returns   for advisories_close(); NULL when they cannot be had
 */
struct advisories *advisories_open(struct connection *connection, void (*changed)(void *arg),
                                   void *arg);

/* Blocks until a running call has returned; not from one. NULL is fine. */
void advisories_close(struct advisories *advisories);

#endif
