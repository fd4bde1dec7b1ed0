/* SPDX-License-Identifier: Apache-2.0 */
/* catalog.h - which buckets exist, and the open ones.
 * Layer 4. Streams KV_* and OBJ_*; creation and deletion elsewhere are told by advisories
 * ($JS.EVENT.ADVISORY.STREAM.CREATED/DELETED.>) and, where those do not come, by asking the
 * server at most once a second when somebody looks.
 */
#ifndef JSFS_CORE_CATALOG_H
#define JSFS_CORE_CATALOG_H

#include "core/bucket.h"
#include "core/config.h"
#include "core/connection.h"

struct catalog;

struct catalog_observer {
    struct bucket_observer bucket; /* given to every bucket that is opened */
    /* A bucket appeared or vanished; with no lock held, must not block. */
    void (*listed)(void *arg, enum store_kind kind, const char *name, bool exists);
    void *arg;
};

struct catalog *catalog_new(struct connection *connection, struct executor *executor,
                            const struct config *config,
                            const struct catalog_observer *observer);
/* Stop every bucket: no observer is called any more, and those who wait are told
 * JSFS_INTERRUPTED, as is whoever calls from now on.  Blocks for the tasks that run. */
void catalog_stop(struct catalog *catalog);
/* Stops every bucket (bucket_stop) and drops the catalog's references. Blocks. */
void catalog_free(struct catalog *catalog);

typedef void catalog_bucket_done(void *arg, enum jsfs_status status,
                                 struct bucket *bucket);
/* The bucket of a name; done gets a borrowed reference (bucket_ref() to keep it).
 *   JSFS_NOT_FOUND, JSFS_TIMEOUT, JSFS_UNAVAILABLE. While disconnected, buckets that were open
 *   are still given.
 */
void catalog_lookup(struct catalog *catalog, enum store_kind kind, const char *name,
                    catalog_bucket_done *done, void *arg);

/* names: count sorted names, borrowed; NULL unless JSFS_OK. Never a short list. */
typedef void catalog_list_done(void *arg, enum jsfs_status status,
                               const char *const *names, size_t count);
void catalog_list(struct catalog *catalog, enum store_kind kind, catalog_list_done *done,
                  void *arg);

/* Make a bucket with the config's defaults.
 *   JSFS_EXISTS, JSFS_BAD_NAME, JSFS_NO_SPACE, JSFS_QUOTA, JSFS_DENIED … */
void catalog_create(struct catalog *catalog, enum store_kind kind, const char *name,
                    store_done *done, void *arg);

/* Delete a bucket that holds no live key or object, by a complete list that has all that the
 * server had when it was asked. JSFS_NOT_FOUND, JSFS_NOT_EMPTY … The check and the deletion are two messages: a
 * key put in between is lost with the bucket (docs/semantics.md). */
void catalog_remove(struct catalog *catalog, enum store_kind kind, const char *name,
                    store_done *done, void *arg);

/* The account's storage, for statfs of the top; see js_reply.h. */
typedef void catalog_account_done(void *arg, enum jsfs_status status,
                                  const struct js_account_info *info);
void catalog_account(struct catalog *catalog, catalog_account_done *done, void *arg);

#endif
