/* SPDX-License-Identifier: Apache-2.0 */
/* embedded.h - a nats-server of our own: a child process that lives as long as jsfs.
 * Layer 3. It listens on a free port of 127.0.0.1 only, stores JetStream in a directory, and
 * writes its log to "nats-server.log" there. The directory is locked while jsfs or the server
 * lives, so that never two servers work on the same files.
 */
#ifndef JSFS_CORE_EMBEDDED_H
#define JSFS_CORE_EMBEDDED_H

#include "core/status.h"
#include <stddef.h>

struct embedded;

/* Start `nats-server` (found in PATH, or in /usr/sbin) and wait until it answers.
 *   directory   made with its parents, private to the user, when it does not exist
 *   out         for embedded_stop()
 *   error       on failure one line for the user, cut to error_size
 *   JSFS_BUSY          another jsfs uses the directory, also after 3 s: one that is being
 *                      unmounted has ended by then
 *   JSFS_NOT_FOUND     there is no nats-server
 *   JSFS_UNAVAILABLE   it ended, or it did not answer in time (60 s: it reads its streams)
 *   JSFS_FAILED        the directory or the process could not be made
 * The kernel ends the server (SIGTERM) when the *thread* that called this ends, however it
 * ends (PR_SET_PDEATHSIG): call it from the main thread, after any daemonizing fork(2).
 * Any local user can connect to it, as to any nats-server without a configuration.
 * Blocks: up to 60 s.
 */
enum jsfs_status embedded_start(const char *directory, struct embedded **out, char *error,
                                size_t error_size);

/* "nats://127.0.0.1:<port>"; lives as long as e. */
const char *embedded_url(const struct embedded *e);

/* Stop the server (SIGTERM, after 10 s SIGKILL), unlock the directory, free. NULL is fine.
 * Blocks until the process has ended.
 */
void embedded_stop(struct embedded *e);

#endif
