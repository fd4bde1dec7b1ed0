/* SPDX-License-Identifier: Apache-2.0 */
/* handle.h - one open file: what open(2) made and release ends.
 * Layer 5. A handle is kept in fi->fh; its requests borrow it, because the kernel sends RELEASE
 * after the last of them.
 */
#ifndef JSFS_FS_HANDLE_H
#define JSFS_FS_HANDLE_H

#include "core/reader.h"
#include "core/upload.h"
#include "fs/fs_state.h"
#include "fs/handle_list.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

struct handle {
    struct fs *fs;
    struct inode *inode;     /* counted */
    int flags;               /* of open(2) */
    char *path;              /* handle_list lock; of the name by now, once it was renamed; NULL: that
                                of the inode */
    bool writable;
    bool exclusive;          /* object: O_EXCL is decided by the commit */
    pid_t opener;            /* object: the process that opened it; key: the thread, because it is
                                rarely asked whose that is; 0: unknown */
    struct reader *reader;   /* object, for reading; NULL: none */
    struct upload *upload;   /* object, once writing has begun; inode->lock */
    struct retired *retired; /* uploads that ftruncate(0) has replaced; inode->lock */
    atomic_bool written;     /* bytes since the last commit */
    atomic_bool uncommitted; /* also: a truncation or creation of its own, which only release
                                commits */
    atomic_bool reported;    /* the last commit failed and close or fsync said so */
    atomic_int failed;       /* enum jsfs_status of a write that was refused: half of what was to
                                be written is not committed, until it is truncated */
    atomic_uint references;
    struct handle *before, *after; /* the list of open ones; handle_list lock */
    struct handle *to_commit;      /* a list of handle_list_commit() */
    struct handle *late_next;      /* late lock */
    int64_t late_ms;               /* late lock; when it is committed, 0: not in the list */
};

struct retired;

/* A handle on an inode, which gets a reference, in the list; raises opened and, for a writable
 * one, writers.
 *   returns   one reference, for handle_unref(); NULL without memory
 */
struct handle *handle_new(struct fs *fs, struct inode *inode, int flags);

/* One more reference; returns its argument. */
struct handle *handle_ref(struct handle *handle);

/* The same, unless the last one has just gone and the handle is on its way out. */
bool handle_try_ref(struct handle *handle);

/* Give a reference back; NULL is fine. The last one takes it out of the list and frees it: what
 * only open handles need goes from the inode (value file, content, source; its chunks are
 * released). An upload is closed.
 */
void handle_unref(struct handle *handle);

/* Give the handle a fresh upload that starts at byte 0; commits: the release commits it even if
 * nothing is written. JSFS_NO_MEMORY; JSFS_BAD_NAME … */
enum jsfs_status handle_start_upload(struct handle *handle, bool commits);

/* A name that this mount showed and that was never committed goes again, unless a handle may
 * still commit it; hide: whatever handles there are, because a commit has failed. */
void handle_drop_local(struct fs *fs, struct inode *inode);
void handle_hide_local(struct fs *fs, struct inode *inode);

/* Commit what the handle has written; release: also a truncation or creation without a write.
 * After an upload or a value was committed the inode shows it. Holds a reference until done.
 */
void handle_commit(struct handle *handle, bool release, handle_done *done, void *arg);

#endif
