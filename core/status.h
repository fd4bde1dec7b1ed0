/* SPDX-License-Identifier: Apache-2.0 */
/* status.h - what a call of core/ can end in: one closed list for both halves.
 * Layer 1. Folded from nats.c and JetStream only in status_fold.c; made an errno only in
 * fs/errno_map.c.
 */
#ifndef JSFS_CORE_STATUS_H
#define JSFS_CORE_STATUS_H

enum jsfs_status {
    JSFS_OK = 0,
    JSFS_NOT_FOUND,   /* no such bucket, key, object or message */
    JSFS_EXISTS,      /* the name is taken: an exclusive create lost */
    JSFS_CONFLICT,    /* the name has another revision by now; nothing was written */
    JSFS_STALE,       /* the version that was asked for is gone */
    JSFS_TOO_LARGE,   /* above max_payload, max_msg_size or the stream's limits */
    JSFS_NO_SPACE,    /* the stream, account or server is full */
    JSFS_QUOTA,       /* an account limit */
    JSFS_SEALED,      /* a sealed stream takes no change */
    JSFS_READ_ONLY,   /* no subject leads into the stream: it only copies others */
    JSFS_DENIED,      /* permissions, on the server */
    JSFS_NOT_ALLOWED, /* the stream's configuration forbids it */
    JSFS_TIMEOUT,     /* no answer in time: a write may have happened */
    JSFS_UNAVAILABLE, /* not connected, no responders, JetStream (temporarily) off */
    JSFS_BUSY,        /* the server pushes back (429, too many consumers): try later */
    JSFS_BAD_NAME,    /* a name that the store does not allow */
    JSFS_NOT_UTF8,    /* an object name that is not UTF-8 */
    JSFS_NAME_TOO_LONG,
    JSFS_NOT_EMPTY,   /* a bucket or directory that still holds something */
    JSFS_IS_DIRECTORY,
    JSFS_NOT_DIRECTORY,
    JSFS_UNSUPPORTED, /* this server, stream or issue cannot do it */
    JSFS_CORRUPT,     /* data that is not what it says: digest, meta, missing chunks */
    JSFS_INTERRUPTED,
    JSFS_NO_MEMORY,
    JSFS_INVALID,     /* the caller's argument, or a configuration that the server refuses */
    JSFS_FAILED       /* anything else; a debug log line has the cause */
};

/* The status as a lower-case word for logs, such as "not found".
 *   returns   static text; "unknown status" outside the list
 * Blocks: no.   Threads: any.
 */
const char *jsfs_status_text(enum jsfs_status status);

#endif
