/* SPDX-License-Identifier: Apache-2.0 */
/* fs_state.h - the inside of struct fs, for the handlers.
 * Layer 5.
 */
#ifndef JSFS_FS_FS_STATE_H
#define JSFS_FS_FS_STATE_H

#include "core/catalog.h"
#include "core/chunk_cache.h"
#include "core/config.h"
#include "core/connection.h"
#include "core/executor.h"
#include "fs/fs.h"
#include "fs/inode.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

struct conflict_store;
struct event_readers;
struct handle_list;
struct late;
struct notifier;
struct op_list;
struct pending;
struct poke;
struct scratch;

struct fs {
    const struct config *config;
    struct connection *connection;
    struct executor *executor;
    struct catalog *catalog;
    struct chunk_cache *cache;
    struct inode_table *inodes;
    struct handle_list *handles;
    struct op_list *parked;
    struct conflict_store *conflicts;
    struct late *late;
    struct pending *pending; /* requests, commits and fetches under way */
    struct notifier *notifier;
    struct event_readers *event_readers;
    struct poke *poke; /* NULL without -o inotify */
    struct scratch *scratch;
    uid_t uid; /* owner of all files: who mounted */
    gid_t gid;
    atomic_bool closing; /* no new writing: fs_shutdown has begun */
};

#endif
