/* SPDX-License-Identifier: Apache-2.0 */
/* scratch_private.h - the inside of scratch_table.h.
 * Layer 5, private to scratch_table.c (names) and scratch_file.c (bytes and attributes).
 */
#ifndef JSFS_FS_SCRATCH_PRIVATE_H
#define JSFS_FS_SCRATCH_PRIVATE_H

#include "fs/scratch_table.h"
#include <pthread.h>

#define SCRATCH_SLOTS 1024

struct scratch_table {
    pthread_mutex_t lock;
    uint64_t max_bytes;
    uint64_t bytes;                       /* lock, as all below: of files that still live */
    uint64_t next_cookie;                 /* counts files and renames */
    atomic_uint count;                    /* linked files */
    struct scratch_file *oldest, *newest; /* linked ones by cookie */
    struct scratch_file *slots[SCRATCH_SLOTS];    /* linked ones by place */
};

/* A file for a name that it does not have yet, and without bytes: one reference. NULL without
 * memory. */
struct scratch_file *scratch_file_new(struct scratch_table *table,
                                      const struct scratch_place *place,
                                      const struct scratch_make *make);

/* Give a new file its bytes (NULL: none). JSFS_NO_SPACE, JSFS_NO_MEMORY. */
enum jsfs_status scratch_file_fill_locked(struct scratch_file *file,
                                          const struct bytes *bytes);

/* The file has another name, or none: that is a change of it, too. */
void scratch_file_touch_locked(struct scratch_file *file);

#endif
