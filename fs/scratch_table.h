/* SPDX-License-Identifier: Apache-2.0 */
/* scratch_table.h - the scratch files of a mount: names, bytes and attributes in memory.
 * Layer 5. Knows nothing of requests. One lock inside; any thread may call anything; nothing
 * blocks.
 *
 * A file has a name until it is unlinked or replaced, and lives as long as somebody refers to
 * it: the table while it has a name, inodes, open handles through them.
 */
#ifndef JSFS_FS_SCRATCH_TABLE_H
#define JSFS_FS_SCRATCH_TABLE_H

#include "core/buffer.h"
#include "core/bucket.h"
#include "core/bytes.h"
#include "fs/special.h"
#include <sys/types.h>

struct scratch_table;

/* A directory of a bucket that scratch files are in: one of its tree, or of .jsfs. */
struct scratch_place {
    struct bucket *bucket;
    const char *directory; /* path in the bucket; "" for its own */
    const char *name;      /* in there */
};

struct scratch_file {
    struct special special; /* first; its references are the file's */
    /* private to scratch_table.c and scratch_file.c, under the table's lock */
    struct scratch_table *table;
    struct bucket *bucket; /* counted */
    char *directory, *name;
    bool linked;           /* it has that name */
    bool in_tree;          /* its directory is one of the bucket's tree */
    bool pins;             /* and is kept there by this file */
    uint64_t cookie;       /* its place in listings */
    struct scratch_file *older, *newer; /* linked ones by cookie */
    struct scratch_file *next;          /* of the same hash */
    struct buffer data;
    uint64_t revision; /* of the key, that data is the value of; 0: of none */
    struct stat attr;  /* mode, uid, gid, times; size and nlink when asked */
    char *target;      /* of a symbolic link */
    bool probe;        /* SCRATCH_PROBE: written to it is no scratch file */
};

/* A table of at most max_bytes; NULL without memory. Free it after the last reference to a
 * file has gone, but for its own. */
struct scratch_table *scratch_table_new(uint64_t max_bytes);
void scratch_table_free(struct scratch_table *table);

/* True while it has any names: looking one up is then worth it. */
bool scratch_table_in_use(struct scratch_table *table);

/* What a new file is made of. */
struct scratch_make {
    const struct special_ops *ops;
    mode_t mode; /* with S_IFREG, S_IFLNK, S_IFIFO */
    uid_t uid;
    gid_t gid;
    const char *target;    /* of a symbolic link, borrowed; else NULL */
    struct bytes *bytes;   /* what it holds, copied; NULL: nothing */
    uint64_t revision;     /* whose value that is */
    int64_t modified_ns;   /* 0: now */
    bool probe;
    bool replace;          /* whatever has the name is unlinked */
    bool in_tree;          /* the directory is the bucket's tree's, and is kept there */
};

/* Make a file under a name.
 *   out   one reference, the caller's
 *   JSFS_EXISTS (unless replace), JSFS_NO_SPACE, JSFS_NO_MEMORY, JSFS_NOT_FOUND (no such
 *   directory): nothing has changed
 */
enum jsfs_status scratch_table_make(struct scratch_table *table,
                                    const struct scratch_place *place,
                                    const struct scratch_make *make,
                                    struct scratch_file **out);

/* The file of a name, for special_unref(); NULL: there is none. */
struct scratch_file *scratch_table_find(struct scratch_table *table,
                                        const struct scratch_place *place);

/* Take the name away from a file; false when it has none any more. */
bool scratch_table_unlink(struct scratch_file *file);

/* Give a file another name; a file that has it is unlinked, or (exchange) gets this one's.
 *   JSFS_EXISTS      keep, and there is one;   JSFS_NO_MEMORY
 *   JSFS_NOT_FOUND   exchange, and there is none; the file itself has no name; no directory
 */
enum scratch_rename { SCRATCH_REPLACE, SCRATCH_KEEP, SCRATCH_EXCHANGE };
enum jsfs_status scratch_table_rename(struct scratch_file *file,
                                      const struct scratch_place *to, bool in_tree,
                                      enum scratch_rename how);

/* Are files in a directory of a bucket, or below it? */
bool scratch_table_holds(struct scratch_table *table, const struct bucket *bucket,
                         const char *directory);

/* A directory of a bucket is going to be renamed: the files in and below it do not keep it, nor
 * those below it, until scratch_table_move(). */
void scratch_table_release(struct scratch_table *table, struct bucket *bucket,
                           const char *directory);

/* It is now called `to`: the files in and below it go with it. The same name: it has stayed. */
void scratch_table_move(struct scratch_table *table, struct bucket *bucket, const char *from,
                        const char *to);

/* Unlink all of a bucket (NULL: of all); it is gone. */
void scratch_table_drop(struct scratch_table *table, const struct bucket *bucket);

/* Has a bucket files? By its kind and name, because who asks has no bucket. */
bool scratch_table_has(struct scratch_table *table, enum store_kind kind, const char *bucket);

/* The names in a directory behind a cookie (0: from the start), in the order of their cookies,
 * which are above SCRATCH_COOKIE and stay: each(arg) for one after the other, with the lock
 * held, until it returns false.
 */
#define SCRATCH_COOKIE (UINT64_C(1) << 62)
typedef bool scratch_each(void *arg, const char *name, mode_t type, uint64_t number,
                          uint64_t cookie);
void scratch_table_list(struct scratch_table *table, struct bucket *bucket,
                        const char *directory, uint64_t cookie, scratch_each *each, void *arg);

/* Bytes from offset, at most size; returns how many were copied. */
size_t scratch_file_read(struct scratch_file *file, uint64_t offset, size_t size, char *out);

/* Write at offset, or at the end; JSFS_NO_SPACE, JSFS_NO_MEMORY: nothing was written. */
enum jsfs_status scratch_file_write(struct scratch_file *file, uint64_t offset,
                                    const void *data, size_t size, bool append);

/* Cut or extend with zeros. */
enum jsfs_status scratch_file_resize(struct scratch_file *file, uint64_t size);

/* What FUSE_SET_ATTR_* in to_set says, but for the size. */
void scratch_file_set(struct scratch_file *file, const struct stat *attr, int to_set);

/* Type, mode, owner, size, times and link count. */
void scratch_file_stat(struct scratch_file *file, struct stat *out);

/* A copy of its bytes; the revision that they are the value of, or 0. NULL without memory. */
struct bytes *scratch_file_bytes(struct scratch_file *file, uint64_t *revision);

/* Is it a probe with bytes in it, which is to become a key? */
bool scratch_file_is_written_probe(struct scratch_file *file);

/* Free one that nobody refers to: the `free` of its ops. */
void scratch_file_free(struct special *special);

#endif
