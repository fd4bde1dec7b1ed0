/* SPDX-License-Identifier: Apache-2.0 */
/* tree.h - the names of one bucket as directories, in memory.
 * Layer 4. Holds paths (name_codec.h), never raw names; knows nothing of the network. Deleted
 * names stay as hidden tombstones, so that an older event cannot bring one back. Aims at 200
 * bytes a name. One lock inside; any thread may call anything.
 *
 * A name that is also a directory shows as the directory, its value as the file "@value" in it.
 * Directories are implied by names below them, or local: made by tree_make_directory, or left
 * behind when this mount removed the last name below them (rm -r expects to rmdir them).
 */
#ifndef JSFS_CORE_TREE_H
#define JSFS_CORE_TREE_H

#include "core/status.h"
#include "core/store.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tree;

enum tree_type { TREE_FILE, TREE_DIRECTORY, TREE_LINK };

/* What is known of a path. */
struct tree_attr {
    enum tree_type type;
    bool corrupt;        /* STORE_CORRUPT: reading fails */
    bool local;          /* a file this mount has created and not yet committed */
    uint64_t sequence;   /* file, link: the version; directory: 0 */
    int64_t modified_ns; /* directory: the newest change below it that was seen */
    uint64_t size_bytes;
    int64_t expires_ns; /* file: as store_entry.expires_ns */
    struct object_meta *meta; /* object: a copy, for object_meta_free(), only from
                                 tree_lookup(); else NULL */
};

/* An empty tree; NULL without memory. max_age_ns: names older than that are gone (0: never). */
struct tree *tree_new(int64_t max_age_ns);
/* From now on names live so long.   Threads: any. */
void tree_set_max_age(struct tree *tree, int64_t max_age_ns);
void tree_free(struct tree *tree);

/* What an event or an acknowledged write did to the shown names. */
struct tree_change {
    bool applied; /* false: older than what is known; nothing has changed */
    bool shown;   /* a name appeared, vanished or has another version */
};

/* Put a name's newest message into the tree. Older messages than the known are ignored; a
 * STORE_PURGED at the sequence of what is known removes that (a purge that left no message).
 *   path     of the name (never with @value); "": JSFS_BAD_NAME
 *   keep_directory   when the name goes away, its directories stay as local ones
 *   JSFS_NO_MEMORY   nothing has changed
 */
enum jsfs_status tree_apply(struct tree *tree, const char *path,
                            const struct store_entry *entry, bool keep_directory,
                            struct tree_change *change);

/* The sequence of a name's newest known message, a tombstone's too; 0 when nothing is known.
 *   live   out: it is a value, object or link; may be NULL */
uint64_t tree_sequence(struct tree *tree, const char *path, bool *live);

/* Forget a name that the server holds nothing of any more, unless a message newer than
 * `sequence` is known. keep_directory as tree_apply().
 *   returns   true when a name vanished */
bool tree_forget(struct tree *tree, const char *path, uint64_t sequence,
                 bool keep_directory);

/* Begin a full list: every name is unconfirmed until it is applied again. */
void tree_list_begin(struct tree *tree);

/* A name has vanished without a message: its newest message and when that was stored. Called
 * without the tree's lock. */
typedef void tree_removed(void *arg, const char *path, uint64_t sequence,
                          int64_t modified_ns);

/* End a full list: what is still unconfirmed is removed; removed is called for each shown one. What is newer than all the list told is kept once, because the
 * list may have come from a replica that lags behind an answer of the leader.
 *   returns   how many were kept so: doubtful until they are told again
 */
size_t tree_list_end(struct tree *tree, tree_removed *removed, void *arg);

/* Before the end of a full list: the names of which it told only older messages than what is known,
 * although it told newer ones of others, become tombstones; take is called for each, without the
 * lock. What is there now is to be asked, and told after tree_forget(). */
void tree_take_outdated(struct tree *tree, tree_removed *take, void *arg);

/* Remove names whose sequence is below first (purged or expired on the server); as above. */
void tree_drop_below(struct tree *tree, uint64_t first,
                     tree_removed *removed, void *arg);

/* Forget names whose sequence is above last (the server lost its newest messages); as above. */
void tree_drop_above(struct tree *tree, uint64_t last,
                     tree_removed *removed, void *arg);

/* Remove names older than max_age as of now_ns; as above. Returns the time [ns] at which the
 * next one expires, or INT64_MAX. May look at a bounded part only; call it again. */
int64_t tree_expire(struct tree *tree, int64_t now_ns,
                    tree_removed *removed, void *arg);

/* End the entries whose own time (store_entry.expires_ns) has come as of now_ns; take is called for
 * each, in place of modified_ns with when it was due, 0 when it did not show.
 *   forget    nothing older can be kept of a name: the entry is removed. Else it becomes a
 *             tombstone, until tree_forget() or a newer message
 *   returns   when the next one expires [ns], or INT64_MAX; may look at a bounded part only
 */
int64_t tree_take_due(struct tree *tree, int64_t now_ns, bool forget, tree_removed *take,
                      void *arg);
/* By how much the server's clock is ahead of ours, for what max_age hides. */
void tree_set_clock(struct tree *tree, int64_t ahead_ns);

/* What the tree knows of a path ("" is the bucket's own directory).
 *   JSFS_NOT_FOUND, JSFS_NOT_DIRECTORY (a component on the way is a file);   JSFS_NO_MEMORY
 */
enum jsfs_status tree_lookup(struct tree *tree, const char *path, struct tree_attr *out);

/* One page of a directory. */
struct tree_item {
    char *name; /* path component, NUL-terminated */
    uint64_t
        cookie; /* position behind this item, > 0; stable while the directory lives */
    struct tree_attr attr; /* meta is NULL */
};
struct tree_page {
    struct tree_item *items;
    size_t count;
    bool end; /* nothing is behind the last item */
};

/* The items behind a cookie (0: from the start), at most most. For tree_page_clear().
 *   JSFS_NOT_FOUND, JSFS_NOT_DIRECTORY, JSFS_NO_MEMORY
 */
enum jsfs_status tree_list(struct tree *tree, const char *path, uint64_t cookie,
                           size_t most, struct tree_page *page);
void tree_page_clear(struct tree_page *page);

/* Make a local directory. JSFS_EXISTS, JSFS_NOT_FOUND (no parent), JSFS_NOT_DIRECTORY. */
enum jsfs_status tree_make_directory(struct tree *tree, const char *path);

/* Remove a local directory. JSFS_NOT_EMPTY (names below), JSFS_NOT_FOUND, JSFS_NOT_DIRECTORY. */
enum jsfs_status tree_remove_directory(struct tree *tree, const char *path);

/* Show a file that this mount is creating; it counts as a name below its directories.
 *   JSFS_EXISTS, JSFS_IS_DIRECTORY, JSFS_NOT_FOUND (no parent directory), JSFS_NOT_DIRECTORY */
enum jsfs_status tree_add_local(struct tree *tree, const char *path);

/* Hide such a file again when it was not committed. */
void tree_drop_local(struct tree *tree, const char *path);

/* Treat a name as absent while its newest message is the one at `sequence`: it is not looked up
 * nor listed, and a local file may take its place. Its directories stay as local ones. Whatever
 * newer message the tree is told of ends this; the same one, told again, does not. For a file
 * that this mount has renamed away and whose removal is held back. Nobody is notified.
 *   path      of the name, with @value or without
 *   returns   false: another message is the newest one, or nothing lives there; nothing changed
 */
bool tree_hide(struct tree *tree, const char *path, uint64_t sequence);

/* Show such a name again, in place of a local file that was made there; nothing when it is not
 * hidden. */
void tree_unhide(struct tree *tree, const char *path);

/* Keep a directory, whatever goes below it, until it was unpinned as often; meanwhile removing it
 * is JSFS_NOT_EMPTY. A directory that nothing else keeps then stays as a local one. Without the
 * names that this mount has below it but that the tree does not know (scratch files) it would
 * vanish under them.
 *   JSFS_NOT_FOUND, JSFS_NOT_DIRECTORY */
enum jsfs_status tree_pin(struct tree *tree, const char *path);
void tree_unpin(struct tree *tree, const char *path);
bool tree_is_pinned(struct tree *tree, const char *path);

/* How many names the server holds by this tree, live ones and tombstones, and how many show. */
void tree_count(struct tree *tree, uint64_t *known, uint64_t *shown);

/* [bytes] of memory that the tree uses, nearly. */
size_t tree_memory(struct tree *tree);

#endif
