/* SPDX-License-Identifier: Apache-2.0 */
/* handle_list.h - every open handle, for the end of the mount.
 * Layer 5.
 */
#ifndef JSFS_FS_HANDLE_LIST_H
#define JSFS_FS_HANDLE_LIST_H

#include "core/status.h"

struct bucket;
struct handle;
struct handle_list;

typedef void handle_done(void *arg, enum jsfs_status status);

struct handle_list *handle_list_new(void); /* NULL without memory */
/* Give back one reference to each handle that is left, and free. */
void handle_list_free(struct handle_list *list);

/* A handle came; its last reference has gone. */
void handle_list_add(struct handle_list *list, struct handle *handle);
void handle_list_remove(struct handle_list *list, struct handle *handle);

/* Commit every open handle and wait, at most timeout_ms. One call at a time.
 *   returns   how many could not be
 */
unsigned handle_list_commit(struct handle_list *list, int timeout_ms);

/* Commit the open handles on a name of a bucket and below it, before it gets another name; done
 * gets the first failure. Does not block. */
void handle_list_commit_below(struct handle_list *list, const struct bucket *bucket,
                              const char *path, handle_done *done, void *arg);

#endif
