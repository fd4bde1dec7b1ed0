/* SPDX-License-Identifier: Apache-2.0 */
/* status.c - the statuses as words.
 * Layer 1.
 */
#include "core/status.h"

const char *jsfs_status_text(enum jsfs_status status)
{
    switch (status) {
    case JSFS_OK: return "ok";
    case JSFS_NOT_FOUND: return "not found";
    case JSFS_EXISTS: return "exists";
    case JSFS_CONFLICT: return "conflict";
    case JSFS_STALE: return "stale";
    case JSFS_TOO_LARGE: return "too large";
    case JSFS_NO_SPACE: return "no space";
    case JSFS_QUOTA: return "quota";
    case JSFS_SEALED: return "sealed";
    case JSFS_READ_ONLY: return "read-only";
    case JSFS_DENIED: return "denied";
    case JSFS_NOT_ALLOWED: return "not allowed";
    case JSFS_TIMEOUT: return "timeout";
    case JSFS_UNAVAILABLE: return "unavailable";
    case JSFS_BUSY: return "busy";
    case JSFS_BAD_NAME: return "bad name";
    case JSFS_NOT_UTF8: return "not utf-8";
    case JSFS_NAME_TOO_LONG: return "name too long";
    case JSFS_NOT_EMPTY: return "not empty";
    case JSFS_IS_DIRECTORY: return "is a directory";
    case JSFS_NOT_DIRECTORY: return "not a directory";
    case JSFS_UNSUPPORTED: return "unsupported";
    case JSFS_CORRUPT: return "corrupt";
    case JSFS_INTERRUPTED: return "interrupted";
    case JSFS_NO_MEMORY: return "no memory";
    case JSFS_INVALID: return "invalid";
    case JSFS_FAILED: return "failed";
    }
    return "unknown status";
}
