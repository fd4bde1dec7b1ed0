/* SPDX-License-Identifier: Apache-2.0 */
/* errno_map.c - see errno_map.h. Layer 5. No default in the switch: -Wswitch names a row that
 * is missing.
 */
#include "fs/errno_map.h"

#include <errno.h>

int errno_of(enum jsfs_status status)
{
    switch (status) {
    case JSFS_OK: return 0;
    case JSFS_NOT_FOUND: return ENOENT;
    case JSFS_EXISTS: return EEXIST;
    case JSFS_CONFLICT: return ESTALE;
    case JSFS_STALE: return ESTALE;
    case JSFS_TOO_LARGE: return EFBIG;
    case JSFS_NO_SPACE: return ENOSPC;
    case JSFS_QUOTA: return EDQUOT;
    case JSFS_SEALED: return EROFS;
    case JSFS_READ_ONLY: return EROFS;
    case JSFS_DENIED: return EACCES;
    case JSFS_NOT_ALLOWED: return EPERM;
    case JSFS_TIMEOUT: return ETIMEDOUT;
    case JSFS_UNAVAILABLE: return EHOSTDOWN; /* ENOTCONN reads as a dead mount */
    case JSFS_BUSY: return EBUSY;
    case JSFS_BAD_NAME: return EINVAL;
    case JSFS_NOT_UTF8: return EILSEQ;
    case JSFS_NAME_TOO_LONG: return ENAMETOOLONG;
    case JSFS_NOT_EMPTY: return ENOTEMPTY;
    case JSFS_IS_DIRECTORY: return EISDIR;
    case JSFS_NOT_DIRECTORY: return ENOTDIR;
    case JSFS_UNSUPPORTED: return EOPNOTSUPP;
    case JSFS_CORRUPT: return EIO;
    case JSFS_INTERRUPTED: return EINTR;
    case JSFS_NO_MEMORY: return ENOMEM;
    case JSFS_INVALID: return EINVAL;
    case JSFS_FAILED: return EIO;
    }
    return EIO; /* not a member of the list */
}
