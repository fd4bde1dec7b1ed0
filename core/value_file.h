/* SPDX-License-Identifier: Apache-2.0 */
/* value_file.h - a KV value that is open for writing: staged in memory, committed by revision.
 * Layer 4, over bucket.h. One per name and mount, shared by all handles that write it: they see
 * each other's bytes. Reference counted.
 *
 * What a commit asks the server to check follows from how the bytes came about (design §2):
 * replaced as a whole (O_TRUNC, truncate to 0 and on, a new file): the last writer wins;
 * exclusive creation: decided when it happens; only appended (O_APPEND): put behind the newest
 * value until it lands; any other edit: the revision it was based on, else JSFS_CONFLICT.
 */
#ifndef JSFS_CORE_VALUE_FILE_H
#define JSFS_CORE_VALUE_FILE_H

#include "core/bucket.h"
#include "core/status.h"
#include <stdbool.h>
#include <stdint.h>

struct value_file;

struct value_file_stat {
    uint64_t size_bytes;
    int64_t modified_ns; /* the server's of the base revision; this machine's while dirty */
    uint64_t sequence;   /* the revision it is based on; 0: none yet */
    uint64_t token;      /* of the commit in flight, or that may yet have landed; 0: none */
    bool dirty;          /* bytes or a truncation wait for a commit */
    int64_t ttl_ns;      /* value_file_set_ttl(); 0: none */
};

/* A file for a name.
 *   path        of the name; raw: its raw name, copied
 *   revision    what it starts from; 0: nothing (a new file). size/modified: of that revision
 *   returns     one reference; NULL without memory
 */
struct value_file *value_file_new(struct bucket *bucket, const char *path, const char *raw,
                                  uint64_t revision, uint64_t size_bytes, int64_t modified_ns);
struct value_file *value_file_ref(struct value_file *file);
void value_file_unref(struct value_file *file);

/* Create the name at the server now, empty, if nothing lives there (O_EXCL). JSFS_EXISTS. */
void value_file_create_exclusive(struct value_file *file, store_done *done, void *arg);

/* The handle that loads next will only append (O_APPEND): where the base revision is not kept any
 * more the newest one takes its place, and a new file is an append to nothing, so that of two
 * mounts that begin one log both keep their lines.
 */
void value_file_append_only(struct value_file *file);

/* Load the base revision's bytes; needed before a write that keeps some of them, and by reads.
 * At once when they are there, or the file was truncated. JSFS_STALE: not kept any more. */
void value_file_load(struct value_file *file, store_done *done, void *arg);

/* Bytes from offset, at most size, cut at the end; after a load.
 *   out, read   size bytes of room; how many were copied */
enum jsfs_status value_file_read(struct value_file *file, uint64_t offset, size_t size,
                                 char *out, size_t *read);

/* Write bytes; after a load, or into a truncated file. append: at the end, whatever offset says.
 *   JSFS_TOO_LARGE   above what the bucket takes (then nothing is written);  JSFS_NO_MEMORY */
enum jsfs_status value_file_write(struct value_file *file, uint64_t offset, const void *data,
                                  size_t size, bool append);

/* Cut or extend (with zeros). To 0: no load is needed, and what follows is a replacement.
 * as_open: by open(O_TRUNC): alone it is committed by the release, not by a flush. */
enum jsfs_status value_file_truncate(struct value_file *file, uint64_t size, bool as_open);

/* Publish what was written since the last commit; done when the server has it and this mount
 * shows it. Nothing to commit: JSFS_OK at once. One commit at a time: a second one waits for the
 * first and then publishes what came since. After a failure the bytes stay, dirty.
 *   release   also commit a truncation without a write
 *   JSFS_CONFLICT   the name has another revision: see above;  others as store.h's value_put
 */
void value_file_commit(struct value_file *file, bool release, store_done *done, void *arg);

/* What is committed from now on lives only so long, counted anew by each commit. For a new name,
 * until its first commit; what an exclusive creation left does not count.
 *   ttl_ns   at least a second; 0: for ever again. Whether the bucket allows it is the caller's to
 *            know
 *   JSFS_UNSUPPORTED   it is no new name, or was committed already
 */
enum jsfs_status value_file_set_ttl(struct value_file *file, int64_t ttl_ns);

/* This mount has given the name another one, where its base is stored at revision: what is
 * written from now on goes there. A commit in flight goes where it went.
 *   path, raw   of the new name; copied. Without memory the old name stays, and what is written is
 *               a conflict
 */
void value_file_move(struct value_file *file, const char *path, const char *raw,
                     uint64_t revision);

/* The name was removed by this mount: nothing is committed any more. */
void value_file_forget(struct value_file *file);

struct value_unsaved {
    struct bytes *bytes;  /* all of the value; one reference */
    uint64_t revision;    /* what they were based on */
    enum jsfs_status why; /* what the last commit ended in; JSFS_OK: there was none */
};

/* What the server does not have of it, for whoever keeps it when there will be no commit any more,
 * or another revision is in the way. Once for the same changes.
 *   out       untouched unless true
 *   returns   false: there is nothing (an empty value is nothing), or it was taken before, or
 *             memory is out
 */
bool value_file_take_unsaved(struct value_file *file, struct value_unsaved *out);

/* Its state now. */
void value_file_get(struct value_file *file, struct value_file_stat *out);

#endif
