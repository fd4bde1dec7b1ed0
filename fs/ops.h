/* SPDX-License-Identifier: Apache-2.0 */
/* ops.h - the handlers, private to fs/: find, ask core, translate.
 * Layer 5. Signatures and meanings are those of fuse_lowlevel_ops; fs.c puts them into the
 * table.
 */
#ifndef JSFS_FS_OPS_H
#define JSFS_FS_OPS_H

#include "fs/handle.h"
#include "fs/op.h"

/* ops_lookup.c: names and attributes */
void op_lookup(fuse_req_t request, fuse_ino_t parent, const char *name);
void op_forget(fuse_req_t request, fuse_ino_t number, uint64_t count);
void op_forget_multi(fuse_req_t request, size_t count, struct fuse_forget_data *forgets);
void op_getattr(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info);
void op_readlink(fuse_req_t request, fuse_ino_t number);
void op_statfs(fuse_req_t request, fuse_ino_t number);

/* ops_dir.c: directories. What a directory that is no bucket's holds, for opendir: */
struct dir_name {
    const char *name; /* borrowed */
    mode_t type;      /* S_IFDIR, S_IFREG …; 0: not told */
};
void dir_open_names(struct op *op, const struct dir_name *names, size_t count);

/* The same for a special with `list`: these names, then what that gives, page by page. */
void dir_open_pages(struct op *op, const struct dir_name *names, size_t count);

void op_opendir(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info);
void op_readdir(fuse_req_t request, fuse_ino_t number, size_t size, off_t offset,
                struct fuse_file_info *info);
void op_readdirplus(fuse_req_t request, fuse_ino_t number, size_t size, off_t offset,
                    struct fuse_file_info *info);
void op_releasedir(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info);

/* ops_name.c: making and removing names */
void op_mkdir(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode);
void op_rmdir(fuse_req_t request, fuse_ino_t parent, const char *name);
void op_unlink(fuse_req_t request, fuse_ino_t parent, const char *name);
void op_mknod(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode, dev_t device);
void op_symlink(fuse_req_t request, const char *target, fuse_ino_t parent, const char *name);
void op_link(fuse_req_t request, fuse_ino_t number, fuse_ino_t parent, const char *name);

/* ops_rename.c */
void op_rename(fuse_req_t request, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
               const char *new_name, unsigned flags);

/* ops_poll.c */
void op_poll(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info,
             struct fuse_pollhandle *handle);

/* ops_open.c: open, create, release */
void op_open(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info);
void op_create(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode,
               struct fuse_file_info *info);
void op_release(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info);

/* ops_data.c: bytes */
void op_read(fuse_req_t request, fuse_ino_t number, size_t size, off_t offset,
             struct fuse_file_info *info);
void op_write(fuse_req_t request, fuse_ino_t number, const char *data, size_t size,
              off_t offset, struct fuse_file_info *info);
void op_flush(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info);
void op_fsync(fuse_req_t request, fuse_ino_t number, int data_only,
              struct fuse_file_info *info);

/* ops_xattr.c: extended attributes */
void op_getxattr(fuse_req_t request, fuse_ino_t number, const char *name, size_t size);
void op_listxattr(fuse_req_t request, fuse_ino_t number, size_t size);
void op_setxattr(fuse_req_t request, fuse_ino_t number, const char *name, const char *value,
                 size_t size, int flags);
void op_removexattr(fuse_req_t request, fuse_ino_t number, const char *name);

/* ops_setattr.c: sizes, and what is accepted without effect */
void op_setattr(fuse_req_t request, fuse_ino_t number, struct stat *attr, int to_set,
                struct fuse_file_info *info);

/* content.c: the bytes of a KV version, fetched once for all that wait.
 * op->resume(op, status) is called when they are in inode->content, at once if they are. The op
 * holds the inode.
 */
void content_fetch(struct op *op, struct inode *inode);

/* The same for an inode that shows a certain revision of the key at path. */
void content_fetch_revision(struct op *op, struct inode *inode, const char *path,
                            uint64_t revision);

/* Answer READ with what op->offset and op->size cut out of them; NULL: nothing. */
void content_reply(struct op *op, const struct bytes *bytes);

/* Get the handle of an op ready for its flags; op->resume(op, status) is called when it is. */
void op_prepare_handle(struct op *op);

/* Give an inode the source of its version, unless it has one. */
enum jsfs_status inode_set_source(struct fs *fs, struct inode *inode,
                                  const struct object_meta *meta, uint64_t sequence);

/* changes.c: the kernel must look an inode's name up again. */
void fs_name_changed(struct fs *fs, struct inode *inode);

/* This mount has removed a name, but not by a request for that name: the kernel must look it up
 * again, wherever its knowledge of the path ends. */
void fs_path_removed(struct fs *fs, struct bucket *bucket, const char *path);

/* Answer UNLINK or RMDIR with success when the kernel has been told what it is to be told by now, so that whoever
 * gets the answer sees it; at the latest a little later (ops_name.c). */
void op_reply_told(struct op *op);

/* Answer UNLINK or RMDIR (ops_name.c). An interrupted one has told the kernel nothing of what was
 * done after all, so the name is looked up again. */
void op_reply_removed(struct op *op, enum jsfs_status status);

/* ops_name.c: this mount has removed or replaced a file: what it still writes into the file is
 * dropped, readers keep their version. */
void fs_forget_file(struct fs *fs, struct inode *file);

/* ops_open.c: CREATE of a name of the store; op->info is set. */
void op_create_key(struct op *op);

/* The path in the bucket of a name in a directory inode.
 *   returns   for free(); NULL without memory
 */
char *op_child_path(const struct inode *directory, const char *name);

/* What a path of a bucket leads to, by its attributes. */
struct inode_target op_target(struct bucket *bucket, const char *path,
                              const struct tree_attr *attr);

/* Find op->name in op->inode and answer its entry: LOOKUP. */
void op_lookup_in(struct op *op);

/* Find op->name in op->inode, which is kv/ or obj/, and answer its entry. */
void op_lookup_bucket(struct op *op);

/* Answer an entry: raises the kernel's count, and lowers it again when the reply did not reach
 * the kernel. The op's child is the inode.
 */
void op_reply_entry(struct op *op);

/* Answer OPEN with op->info. undo: called when the kernel did not take it; may be NULL. */
void op_reply_open(struct op *op, void (*undo)(struct op *op));

/* The same for CREATE, with op->child as the entry. */
void op_reply_create(struct op *op, void (*undo)(struct op *op));

/* The handle of an open file. */
static inline struct handle *op_handle(const struct fuse_file_info *info)
{
    return (struct handle *)(uintptr_t)info->fh; /* NOLINT(performance-no-int-to-ptr) */
}

#endif
