/* SPDX-License-Identifier: Apache-2.0 */
/* special.h - files and directories of this mount that are no names of a store: what .jsfs
 * shows (control.h), and editors' scratch files (scratch.h).
 * Layer 5. A handler asks special_of() first and lets the answer serve the request; what that
 * says nothing of is refused with EPERM.
 */
#ifndef JSFS_FS_SPECIAL_H
#define JSFS_FS_SPECIAL_H

#include "fs/op.h"
#include <stdatomic.h>
#include <sys/stat.h>

/* How a kind of special node serves requests. Each call takes over the op's finisher's
 * reference: it answers now or later, never blocks, and is followed by op_park() of the handler.
 * op->inode, name, info, offset and size are set where the request has them. NULL: EPERM, or
 * what is said. */
struct special_ops {
    /* For a name in a directory: op->inode, op->name. lookup NULL: ENOENT. */
    void (*lookup)(struct op *op);
    void (*create)(struct op *op, mode_t mode); /* answers with op_reply_create() */
    void (*mknod)(struct op *op, mode_t mode);
    void (*symlink)(struct op *op, const char *target);
    void (*mkdir)(struct op *op, mode_t mode);
    void (*unlink)(struct op *op);
    void (*rmdir)(struct op *op);
    /* For the name op->other_name in the directory op->other, over which a scratch file is
     * renamed, as editors save: take over its whole content. data is borrowed for the call. Ends
     * in op->resume(op, status), which the caller has set, once, from any thread; JSFS_OK: the
     * name has the content, the scratch file may go; else the name is unchanged and the scratch
     * file is to stay. NULL: EPERM. */
    void (*replace)(struct op *op, const char *data, size_t size);
    /* For the name op->name in op->inode, which an editor renames to a scratch name: it stays, and
     * the scratch name gets a copy. Ends in done(arg, status, bytes, 0), once, from any thread; op
     * is not to be answered. NULL: EPERM. */
    void (*copy)(struct op *op, store_bytes_done *done, void *arg);

    /* For an inode whose special has these ops: op->inode. */
    void (*opendir)(struct op *op); /* ends in dir_open_names(), dir_open_pages() or an error;
                                       NULL: ENOTDIR */
    /* The items of a directory behind *cookie, as tree_held_list() gives them: for
     * dir_open_pages(). Never blocks. */
    enum jsfs_status (*list)(struct inode *inode, uint64_t *cookie, struct tree_page *page);
    void (*readlink)(struct op *op); /* NULL: EINVAL */
    void (*open)(struct op *op);     /* answers with op_reply_open(), op->info.fh is its own */
    void (*read)(struct op *op);     /* op->info, offset, size */
    void (*write)(struct op *op, const char *data);
    void (*flush)(struct op *op);    /* NULL: success */
    void (*fsync)(struct op *op);    /* NULL: success */
    void (*release)(struct op *op);  /* NULL: success */
    void (*setattr)(struct op *op, const struct stat *attr, int to_set); /* NULL: nothing changes */
    void (*poll)(struct op *op, struct fuse_pollhandle *handle); /* NULL: always ready */

    void (*xattr)(struct op *op);   /* ends in xattr_reply() of ops_xattr.h; NULL: it has none */
    void (*getattr)(struct op *op); /* where attr must be asked for; ends in op_reply_attr() of
                                       attr_of(); NULL: attr_of() at once. op->info is set when
                                       it is asked through an open file, as lseek(2) to its end
                                       does and fstat(2) does not */

    /* What stat(2) shows; st_ino is set. Returns how long it may be cached [s]. Never blocks. */
    double (*attr)(struct fs *fs, struct inode *inode, struct stat *out);
    /* Is it the same thing, so that a name keeps its inode? NULL: only the same pointer. */
    bool (*same)(const struct special *one, const struct special *other);
    /* Free one that nobody refers to any more. */
    void (*free)(struct special *special);
    double entry_timeout_s; /* how long a name that leads here may be cached */
};

/* The first member of a kind's own struct; its inode holds one reference. */
struct special {
    const struct special_ops *ops;
    atomic_uint references;
    uint64_t number; /* st_ino, unless 0: then it follows from the place */
};

/* One reference, the caller's. */
void special_init(struct special *special, const struct special_ops *ops);
struct special *special_ref(struct special *special);
void special_unref(struct special *special); /* NULL is fine */

/* What a request is about, where that decides who serves it. */
enum special_use {
    SPECIAL_INODE,  /* op->inode itself */
    SPECIAL_FIND,   /* op->name in op->inode: lookup, unlink, rmdir */
    SPECIAL_CREATE, /* op->name is to be made; op->info.flags tells O_EXCL */
    SPECIAL_MAKE    /* the same, by mknod or symlink */
};

/* Who serves this op; NULL: it is about names of a store, or buckets. While the bucket is gone it
 * is a table whose every call answers ESTALE. */
const struct special_ops *special_of(struct op *op, enum special_use use);

/* Answer with the inode of a special under op->name in op->inode, path in its bucket: LOOKUP and
 * its like. special is borrowed. */
void special_reply_entry(struct op *op, const char *path, struct special *special);

/* The inode of a special under op->name in op->inode becomes op->child.
 *   returns   false without memory */
bool special_bind(struct op *op, const char *path, struct special *special);

#endif
