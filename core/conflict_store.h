/* SPDX-License-Identifier: Apache-2.0 */
/* conflict_store.h - bytes of local writes that did not reach the server: an edit that lost a
 * race, a commit that failed for good. Nothing is thrown away.
 * Layer 4. One file a loss, below a directory of this user and server that several mounts may
 * share: KIND/BUCKET/KEY/@REVISION.NUMBER, where KEY is the key's path, REVISION what the bytes
 * were based on (0: a new key), and NUMBER counts from 1. So they can be had without jsfs, too.
 * A component too long for a file name is split: "@+" in front of each part, "@=" of the last.
 *
 * A file is complete or not there: it is written under another name, synced, then given its own.
 * What the disk refuses (full, read-only, path too long) is kept in memory, at most
 * CONFLICT_MEMORY_MAX in all, shown the same, and tried again at the end.
 *
 * Names below are relative to a bucket's directory: "" is that itself, else "app/db.yaml/@7.1".
 * All functions block for the disk, so never on a thread that must not.   Threads: any.
 */
#ifndef JSFS_CORE_CONFLICT_STORE_H
#define JSFS_CORE_CONFLICT_STORE_H

#include "core/bytes.h"
#include "core/status.h"
#include "core/store.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFLICT_MEMORY_MAX (INT64_C(64) * 1024 * 1024) /* [bytes] that no disk has */

struct conflict_store;

/* A store below a directory, which is made (0700) when something is kept first.
 *   directory   copied; NULL: there is none, memory has it all
 *   returns     for conflict_store_free(); NULL without memory
 */
struct conflict_store *conflict_store_new(const char *directory);

/* Try to write once more what is in memory only, and free. NULL is fine.
 *   returns   how many losses no disk has now
 */
unsigned conflict_store_free(struct conflict_store *store);

/* The directory that keeps what a server's buckets lost.
 *   state    of this user's programs;   server: URLs without credentials
 *   returns  for free(): state/conflicts/SERVER, where SERVER is a file name; NULL without memory
 */
char *conflict_directory(const char *state, const char *server);

/* A bucket's part of the store. */
struct conflict_place {
    struct conflict_store *store;
    enum store_kind kind;
    const char *bucket;
};

/* What was lost, and where it went. */
struct conflict_loss {
    const char
        *path; /* in: the key's, as in its bucket; "/@value" at its end is left out */
    uint64_t revision;   /* in: what the bytes were based on */
    struct bytes *bytes; /* in */
    char *name;          /* out: of the file, for free(); NULL: it was not kept */
    int disk_errno;      /* out: 0: the disk has it; else why only memory does */
};

/* Keep bytes.
 *   JSFS_OK; JSFS_NO_SPACE, JSFS_NO_MEMORY: neither disk nor memory took them
 */
enum jsfs_status conflict_store_keep(const struct conflict_place *place,
                                     struct conflict_loss *loss);

struct conflict_entry {
    char *name; /* one component; NULL from conflict_store_stat() */
    bool directory;
    uint64_t size_bytes;
    int64_t modified_ns; /* when it was lost, by this machine's clock */
};

struct conflict_list {
    struct conflict_entry *entries;
    size_t count;
};

/* What a name is. JSFS_NOT_FOUND; "" always exists. */
enum jsfs_status conflict_store_stat(const struct conflict_place *place, const char *name,
                                     struct conflict_entry *out);

/* What is in a directory; one with nothing kept below is not listed. For conflict_list_clear().
 *   JSFS_NOT_FOUND, JSFS_NOT_DIRECTORY, JSFS_NO_MEMORY, JSFS_FAILED (the disk) */
enum jsfs_status conflict_store_list(const struct conflict_place *place, const char *name,
                                     struct conflict_list *out);
void conflict_list_clear(struct conflict_list *list);

/* Throw away one file, or an empty directory.
 *   JSFS_NOT_FOUND, JSFS_IS_DIRECTORY, JSFS_NOT_DIRECTORY, JSFS_NOT_EMPTY, JSFS_FAILED */
enum jsfs_status conflict_store_remove(const struct conflict_place *place,
                                       const char *name, bool directory);

/* An open file: its bytes stay readable when it is removed. */
struct conflict_file;
enum jsfs_status conflict_store_open(const struct conflict_place *place, const char *name,
                                     struct conflict_file **out);
/* At most size bytes from offset; JSFS_FAILED: the disk. */
enum jsfs_status conflict_file_read(struct conflict_file *file, uint64_t offset,
                                    size_t size, char *out, size_t *read);
void conflict_file_close(struct conflict_file *file); /* NULL is fine */

#endif
