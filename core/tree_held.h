/* SPDX-License-Identifier: Apache-2.0 */
/* tree_held.h - the names of a bucket that its server holds messages of, deleted ones too, as
 * directories: what a history and a list of deleted keys are made of.
 * Layer 4, over tree.h, for KV buckets. Nothing of what only this mount has is told here. Paths
 * are those of tree.h; "@value" ends none.
 */
#ifndef JSFS_CORE_TREE_HELD_H
#define JSFS_CORE_TREE_HELD_H

#include "core/tree.h"

enum tree_scope {
    TREE_HELD,   /* live names and deleted ones */
    TREE_DELETED /* names whose newest message is a marker */
};

struct tree_held {
    bool name;         /* it is a name in that scope */
    bool directory;    /* such names are below it */
    uint64_t sequence; /* of a name: of its newest message; else 0 */
    int64_t
        modified_ns; /* of a name: of its newest message; else of the newest change below */
};

/* What a path is; "" is a directory always.
 *   JSFS_NOT_FOUND   neither
 */
enum jsfs_status tree_held_lookup(struct tree *tree, const char *path,
                                  enum tree_scope scope, struct tree_held *out);

/* The items of a directory behind *cookie (0: from the start), at most most; *cookie is set to
 * where the next page starts. A page may be short, even empty, without being the last: looking
 * at names does not hold up others for long. attr says type, sequence and modified_ns only. In
 * TREE_HELD all are directories. In TREE_DELETED a name that is no directory is a file, and one
 * that is has the file "@value" in it. For tree_page_clear().
 *   JSFS_NOT_FOUND, JSFS_NO_MEMORY
 */
enum jsfs_status tree_held_list(struct tree *tree, const char *path,
                                enum tree_scope scope, uint64_t *cookie, size_t most,
                                struct tree_page *page);

#endif
