/* SPDX-License-Identifier: Apache-2.0 */
/* status_fold.h - natsStatus and JetStream error codes as enum jsfs_status; the only place.
 * Layer 3.
 */
#ifndef JSFS_CORE_STATUS_FOLD_H
#define JSFS_CORE_STATUS_FOLD_H

#include "core/js_reply.h"
#include "core/status.h"
#include <nats/nats.h>

/* What a nats.c call's result means here. A JSFS_FAILED is logged at debug with its cause. */
enum jsfs_status status_fold_nats(natsStatus status);

/* What a JetStream error means (reference nats.md §3.8). code and err_code 0 is JSFS_OK.
 * 10071/10164 is JSFS_CONFLICT; 10077 is decided by its text; unknown codes by code (404, 503,
 * 429 …), else JSFS_FAILED, logged at debug.
 */
enum jsfs_status status_fold_js(const struct js_error *error);

#endif
