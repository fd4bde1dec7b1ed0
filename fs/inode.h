/* SPDX-License-Identifier: Apache-2.0 */
/* inode.h - what the kernel knows: one inode a directory, one a version of a file.
 * Layer 5. A nodeid is a counter and never given again. A name is bound to at most one inode; a
 * remote change unbinds it, and the next lookup makes another one. Handles and the kernel keep
 * an unbound inode alive until both have let go.
 */
#ifndef JSFS_FS_INODE_H
#define JSFS_FS_INODE_H

#include "core/bucket.h"
#include "core/reader.h"
#include "core/value_file.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct op;
struct special;
struct upload;

enum inode_kind {
    INODE_ROOT,        /* the mount's top */
    INODE_KV_ROOT,     /* kv/ */
    INODE_OBJECT_ROOT, /* obj/ */
    INODE_BUCKET,
    INODE_DIRECTORY, /* below a bucket */
    INODE_FILE,
    INODE_LINK,
    INODE_SPECIAL /* special.h: no name of a store */
};

#define INODE_NUMBER_ROOT 1 /* FUSE_ROOT_ID */
#define INODE_NUMBER_KV 2
#define INODE_NUMBER_OBJECT 3

struct inode {
    /* fixed from the start */
    uint64_t number;         /* nodeid */
    uint64_t shown_number;   /* st_ino, d_ino: a hash of the place and the version */
    enum inode_kind kind;
    struct inode *parent;    /* counted; NULL for the root */
    char *name;              /* in parent; "" for the root */
    struct bucket *bucket;   /* counted; NULL above buckets */
    char *path;              /* in the bucket; "" for a bucket; NULL above */
    struct special *special; /* counted; NULL unless INODE_SPECIAL */
    int64_t born_ns;         /* when it was made, by this machine's clock */

    /* table lock */
    uint64_t lookups;        /* the kernel's count */
    unsigned references;     /* ours: handles, requests, children, queued notifications */
    bool bound;              /* the name leads here */
    bool removed;            /* unlinked or replaced: nlink 0 */
    bool unlinked;           /* by this mount: nothing is committed any more */
    unsigned writers;        /* handles that may write; they keep the binding */
    struct inode *moved;     /* counted; requests for this one are served as that one */
    struct tree_attr attr;   /* a file's version, or when it was bound; meta is NULL */
    struct inode *next_number, *next_name; /* hash chains */

    pthread_mutex_t lock;    /* taken before the table's; guards what follows: */
    struct value_file *value; /* lock: KV, while a handle may write */
    unsigned writable;       /* lock: open handles that may */
    struct upload *upload;   /* lock: object, the newest upload of a handle; borrowed from it */
    struct source *source;   /* lock: object, while a handle reads */
    uint64_t source_sequence; /* lock: the version that source reads */
    char *nuid;              /* lock: object, whose chunks are held while source is there */
    struct bytes *content;   /* lock: KV, the version's bytes while a handle reads */
    struct op *fetching;     /* lock: requests that wait for content; linked by op->next */
    bool fetched;            /* lock: content was given to the kernel once */
    unsigned opened;         /* lock: open handles */

    atomic_uint held;          /* parked requests for which the kernel locks this directory */
    atomic_bool notify_queued; /* an invalidation of its data is in the notifier's queue */
    atomic_bool listed_plus;   /* the kernel listed this directory with attributes last */
    atomic_uint_fast64_t doubts; /* of a directory: see inode_doubt() */
};

struct inode_table;

/* A table with the three fixed directories; NULL without memory. */
struct inode_table *inode_table_new(void);
/* Free everything, whatever is still counted: the kernel forgets nothing at unmount. */
void inode_table_free(struct inode_table *table);

/* A counted reference by nodeid, or NULL. One that was moved is followed, so the result may have
 * another number: then the kernel hears nothing of its changes under the number it asked for,
 * and must not cache the answer. */
struct inode *inode_get(struct inode_table *table, uint64_t number);
/* The same without following: for requests on an open file. */
struct inode *inode_get_exactly(struct inode_table *table, uint64_t number);
/* One more reference to one that is held. */
struct inode *inode_ref(struct inode_table *table, struct inode *inode);
/* Give one back; NULL is fine. */
void inode_put(struct inode_table *table, struct inode *inode);

/* What a name leads to now, as the store says it. */
struct inode_target {
    enum inode_kind kind;
    struct bucket *bucket;       /* borrowed */
    const char *path;            /* in the bucket; borrowed */
    const struct tree_attr *attr; /* of a file or link; NULL: a directory */
    struct special *special;     /* INODE_SPECIAL: borrowed; bucket may be NULL then */
};

/* The inode a name is bound to, made or replaced when it is another kind or version; an inode
 * that is open for writing keeps its name.
 *   returns   a counted reference; NULL without memory
 */
struct inode *inode_bind(struct inode_table *table, struct inode *parent, const char *name,
                         const struct inode_target *target);

/* The kernel gets one more reference: call it before the reply that gives it. */
void inode_remember(struct inode_table *table, struct inode *inode);

/* The inode that a name is bound to, counted; NULL when there is none. */
struct inode *inode_bound(struct inode_table *table, const struct inode *parent,
                          const char *name);

/* The kernel drops count of its references. */
void inode_forget(struct inode_table *table, uint64_t number, uint64_t count);

/* The name does not lead here any more. */
void inode_unbind(struct inode_table *table, struct inode *inode);

/* A handle that may write came or went (+1, -1). */
void inode_writers(struct inode_table *table, struct inode *inode, int change);

/* The same, because this mount has unlinked it: what its handles still write is dropped. */
void inode_unlink(struct inode_table *table, struct inode *inode);

/* This mount has renamed what the kernel knows as `old`: it is `new` from now on. The name of old
 * leads there no more; requests for its number are served as new, so that nobody sees a wrong
 * answer until the kernel has been told to look the new name up again, and whoever works in a
 * renamed directory goes on working. Directories below old follow to their namesakes below new,
 * files below it are unbound. Both stay counted as they are; old keeps new. Handles of old stay
 * with old.
 */
void inode_move(struct inode_table *table, struct inode *old, struct inode *new);
bool inode_is_moved(struct inode_table *table, const struct inode *inode);

/* True when it was unlinked or replaced; when this mount has unlinked it. */
bool inode_is_removed(struct inode_table *table, const struct inode *inode);
bool inode_is_unlinked(struct inode_table *table, const struct inode *inode);

/* True while a handle may write. */
bool inode_has_writers(struct inode_table *table, const struct inode *inode);

/* The st_ino that a name has, or would have when it were looked up now. */
uint64_t inode_shown_number(struct inode_table *table, const struct inode *parent,
                            const char *name, const struct inode_target *target);

/* The st_ino of a bucket's directory. */
uint64_t inode_bucket_number(enum store_kind kind, const char *name);

/* The kernel may hold something of a name that no inode is bound to: that it is absent, or an older
 * version. Once doubted, a name stays so, and others that share its bit with it: a filter, so that
 * changes of names that the kernel knows nothing of need no notification. */
void inode_doubt(struct inode *directory, const char *name);
bool inode_is_doubted(struct inode *directory, const char *name);

/* Every inode of a bucket that the kernel knows, counted, in an array for free(); the caller
 * puts each one. bucket NULL: of all buckets.
 *   returns   how many; 0 without memory
 */
size_t inode_collect(struct inode_table *table, const struct bucket *bucket,
                     struct inode ***out);

/* The version's attributes changed in place: our own write. attr->meta is ignored. */
void inode_update(struct inode_table *table, struct inode *inode,
                  const struct tree_attr *attr);

/* The version's attributes; meta is NULL. */
struct tree_attr inode_attr(struct inode_table *table, const struct inode *inode);

#endif
