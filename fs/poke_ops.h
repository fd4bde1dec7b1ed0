/* SPDX-License-Identifier: Apache-2.0 */
/* poke_ops.h - handlers that answer the helper that pokes by themselves, and pass all others on.
 * Layer 5. No request of a poke reaches the server: names come from what the kernel knows, or
 * from a live tree; what makes or removes a name, opens or changes a file does nothing. So a
 * poke adds no revision, and another mount that pokes too never hears of it.
 */
#ifndef JSFS_FS_POKE_OPS_H
#define JSFS_FS_POKE_OPS_H

#include "fs/op.h"

void poke_lookup(fuse_req_t request, fuse_ino_t parent, const char *name);
void poke_mknod(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode,
                dev_t device);
void poke_mkdir(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode);
void poke_symlink(fuse_req_t request, const char *target, fuse_ino_t parent, const char *name);
void poke_unlink(fuse_req_t request, fuse_ino_t parent, const char *name);
void poke_rmdir(fuse_req_t request, fuse_ino_t parent, const char *name);
void poke_open(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info);
void poke_setattr(fuse_req_t request, fuse_ino_t number, struct stat *attr, int to_set,
                  struct fuse_file_info *info);
void poke_flush(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info);
void poke_release(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info);

#endif
