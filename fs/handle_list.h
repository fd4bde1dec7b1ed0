/* SPDX-License-Identifier: Apache-2.0 */
/* handle_list.h - every open handle, for the end of the mount.
 * Layer 5.
 */
#ifndef JSFS_FS_HANDLE_LIST_H
#define JSFS_FS_HANDLE_LIST_H

#include "core/status.h"
#include <stdbool.h>

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

/* The open handles on a name of a bucket and below it that may write, each counted, in an array for
 * free(); the names are those that they have by now. NULL without memory, and then none. */
struct handle **handle_list_below(struct handle_list *list, const struct bucket *bucket,
                                  const char *path, unsigned *count);

/* The name that an open handle has by now, for free(); NULL without memory. */
char *handle_list_path(struct handle_list *list, const struct handle *handle);

/* It has another name; false without memory. */
bool handle_list_move(struct handle_list *list, struct handle *handle, const char *path);

/* Has it ever got another one? */
bool handle_list_is_moved(struct handle_list *list, const struct handle *handle);

#endif
