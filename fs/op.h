/* SPDX-License-Identifier: Apache-2.0 */
/* op.h - one FUSE request on its way: answered at once, or parked until core calls back, or
 * interrupted; answered exactly once.
 * Layer 5. A handler makes an op, starts the core call with it, and ends with op_park(). Whoever
 * finishes it calls one op_reply_*: the first one answers, later ones only give back their
 * reference. Source: the protocol measured in reference fuse.md §4.3 (Ctrl-C).
 */
#ifndef JSFS_FS_OP_H
#define JSFS_FS_OP_H

#include "core/status.h"
#include "fs/fs_state.h"
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

struct op {
    /* set by op_new */
    fuse_req_t request;
    struct fs *fs;
    const char *what;        /* "lookup", "flush" … for the log */
    pid_t caller;            /* the thread that asks; request knows it only until the answer */
    atomic_int state;        /* op.c */
    atomic_uint references;  /* the handler's, the finisher's, the list's while parked */
    struct op *before, *after; /* the list of parked ones; op_list lock */

    /* for the handler; released with the op */
    struct inode *inode;     /* counted; the request's inode or directory */
    struct inode *child;     /* counted */
    char *name;
    struct inode *other;     /* counted; rename: the directory of the new name */
    char *other_name;        /* rename: the new name */
    char *path;
    char *nuid;
    struct value_file *value; /* counted */
    struct handle *handle;   /* borrowed from fi->fh, which outlives its requests */
    struct fuse_file_info info;
    uint64_t offset;
    size_t size;
    size_t interrupted_size; /* a write whose bytes were taken: an interrupt answers this */
    uint64_t number;         /* whatever the handler counts */
    bool creates;            /* a file that this mount has not seen */
    bool exclusive;          /* and that must not exist */
    bool moved;              /* the kernel asked with the number of one that inode_move() led to
                                inode: it is not told of changes there and must cache nothing */
    bool holds_directory;    /* the kernel holds the lock of inode, and of other, until the
                                answer */
    void (*resume)(struct op *op, enum jsfs_status status); /* what to do after a wait */
    void *arg;               /* the handler's own, for resume */
    struct op *next;         /* a list of the handler's */
};

/* A request; its inode is found and counted.
 *   returns   with the handler's and the finisher's reference; NULL: it was answered with an
 *             error (no such inode, no memory)
 */
struct op *op_new(fuse_req_t request, const char *what, uint64_t inode);

/* The same for a request on an open file, whose handle belongs to just this inode, moved or not. */
struct op *op_new_open(fuse_req_t request, const char *what, uint64_t inode);

/* The same, with a copy of the name that it is about: for requests about a name in a directory,
 * whose lock the kernel holds meanwhile (reference fuse.md §1.5). */
struct op *op_new_named(fuse_req_t request, const char *what, uint64_t inode, const char *name);

/* The same for RENAME, which holds the locks of both directories. */
struct op *op_new_rename(fuse_req_t request, uint64_t inode, const char *name,
                         uint64_t other, const char *other_name);

/* The handler's last step: if nobody has answered yet, make the request interruptible. Gives
 * back the handler's reference.
 */
void op_park(struct op *op);

/* Answers. Each gives back the finisher's reference. A status that is an error is logged once,
 * unless it is an ordinary answer (not found, exists …).
 */
void op_reply_status(struct op *op, enum jsfs_status status);
void op_reply_errno(struct op *op, int error);
void op_reply_attr(struct op *op, const struct stat *attr, double timeout);
void op_reply_buffer(struct op *op, const void *data, size_t size);
void op_reply_parts(struct op *op, const struct iovec *parts, int count);
void op_reply_write(struct op *op, size_t size);
void op_reply_poll(struct op *op, unsigned ready); /* POLLIN … */
void op_reply_link(struct op *op, const char *target);
void op_reply_statfs(struct op *op, const struct statvfs *statfs);

/* Claim the right to answer, for replies with consequences (entries count lookups, opens make
 * handles): true for exactly one caller, who then answers op->request itself and calls
 * op_done(); false: it was interrupted, undo, and call op_done().
 */
bool op_claim(struct op *op);
void op_done(struct op *op);

/* True when somebody has answered, or is about to. */
bool op_is_answered(const struct op *op);

/* Answer with a statfs if nobody has answered after so long. Call it before the core call. */
void op_statfs_within(struct op *op, int64_t delay_ms, const struct statvfs *statfs);

/* Log a failure of an operation on a place; ordinary answers are not logged. */
void op_log(const struct op *op, enum jsfs_status status);

/* Every parked request, for the end of the mount: answer each with EINTR. */
struct op_list;
struct op_list *op_list_new(void);
void op_list_interrupt(struct op_list *list);
void op_list_free(struct op_list *list);

#endif
