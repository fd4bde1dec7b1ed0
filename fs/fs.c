/* SPDX-License-Identifier: Apache-2.0 */
/* fs.c - see fs.h. Layer 5. */
#include "fs/fs.h"

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/conflict_store.h"
#include "core/log.h"
#include "fs/changes.h"
#include "fs/control_events.h"
#include "fs/fs_state.h"
#include "fs/handle.h"
#include "fs/late.h"
#include "fs/notifier.h"
#include "fs/op.h"
#include "fs/ops.h"
#include "fs/pending.h"
#include "fs/poke.h"
#include "fs/poke_ops.h"
#include "fs/scratch.h"
#include "fs/scratch_hold.h"
#include "fs/session_hook.h"

#include <stdlib.h>
#include <unistd.h>

#define POKE_TIMEOUT_MS 1000

static void init(void *user_data, struct fuse_conn_info *connection)
{
    (void)user_data;
    session_capabilities(connection);
}

const struct fuse_lowlevel_ops fs_operations = {
    .init = init,
    .lookup = poke_lookup,
    .forget = op_forget,
    .forget_multi = op_forget_multi,
    .getattr = op_getattr,
    .setattr = poke_setattr,
    .readlink = op_readlink,
    .mknod = poke_mknod,
    .mkdir = poke_mkdir,
    .unlink = poke_unlink,
    .rmdir = poke_rmdir,
    .symlink = poke_symlink,
    .rename = op_rename,
    .link = op_link,
    .open = poke_open,
    .create = op_create,
    .read = op_read,
    .write = op_write,
    .flush = poke_flush,
    .release = poke_release,
    .fsync = op_fsync,
    .opendir = op_opendir,
    .readdir = op_readdir,
    .readdirplus = op_readdirplus,
    .releasedir = op_releasedir,
    .statfs = op_statfs,
    .getxattr = op_getxattr,
    .listxattr = op_listxattr,
    .setxattr = op_setxattr,
    .removexattr = op_removexattr,
    .poll = op_poll,
};

static struct conflict_store *open_conflicts(const struct config *config, const char *server)
{
    CLEANUP(cleanup_free) char *directory = NULL;

    if (config->state_dir == NULL)
        return conflict_store_new(NULL);
    directory = conflict_directory(config->state_dir, server);
    return directory != NULL ? conflict_store_new(directory) : NULL;
}

struct fs *fs_new(const struct config *config, const char *server,
                  struct connection *connection, struct executor *executor)
{
    struct fs *fs = calloc(1, sizeof(*fs));

    if (fs == NULL)
        return NULL;
    fs->config = config;
    fs->connection = connection;
    fs->executor = executor;
    fs->uid = getuid();
    fs->gid = getgid();
    fs->inodes = inode_table_new();
    fs->handles = handle_list_new();
    fs->parked = op_list_new();
    fs->pending = pending_new();
    fs->scratch = scratch_new(config);
    fs->conflicts = open_conflicts(config, server);
    fs->late = late_new(executor);
    fs->event_readers = event_readers_new();
    fs->cache = chunk_cache_new((size_t)config->cache_bytes);
    struct catalog_observer observer = changes_observer(fs);
    if (fs->inodes != NULL && fs->handles != NULL && fs->parked != NULL &&
        fs->pending != NULL && fs->scratch != NULL && fs->cache != NULL &&
        fs->conflicts != NULL && fs->late != NULL && fs->event_readers != NULL)
        fs->catalog = catalog_new(connection, executor, config, &observer);
    if (fs->catalog == NULL) {
        fs_free(fs);
        return NULL;
    }
    return fs;
}

enum jsfs_status fs_attach(struct fs *fs, struct fuse_session *session,
                           struct poke_helper *helper)
{
    fs->notifier = notifier_new(session, fs->inodes);
    if (fs->notifier == NULL)
        return JSFS_NO_MEMORY;
    if (helper == NULL)
        return JSFS_OK;
    fs->poke = poke_new(fs, session, helper);
    return fs->poke != NULL ? JSFS_OK : JSFS_NO_MEMORY;
}

unsigned fs_shutdown(struct fs *fs, int timeout_ms)
{
    atomic_store(&fs->closing, true);
    event_readers_end(fs->event_readers);
    poke_end(fs->poke);
    poke_settle(fs->poke, POKE_TIMEOUT_MS);
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;
    unsigned failed = handle_list_commit(fs->handles, timeout_ms);
    int64_t left_ms = until_ms - clock_monotonic_ms();

    scratch_holds_settle(fs, left_ms > 0 ? (int)left_ms : 0);
    return failed;
}

/* Parked requests first: a notification may wait in the kernel for one of them. What core still
 * has under way ends at once, and only when nothing is left does anything go.
 */
void fs_detach(struct fs *fs)
{
    op_list_interrupt(fs->parked);
    event_readers_end(fs->event_readers);
    poke_end(fs->poke);
    poke_free(fs->poke);
    fs->poke = NULL;
    catalog_stop(fs->catalog);
    connection_interrupt(fs->connection);
    executor_drop_timers(fs->executor);
    pending_wait(fs->pending);
    catalog_free(fs->catalog);
    fs->catalog = NULL;
    notifier_free(fs->notifier);
    fs->notifier = NULL;
}

void fs_free(struct fs *fs)
{
    if (fs == NULL)
        return;
    catalog_free(fs->catalog);
    event_readers_free(fs->event_readers);
    if (fs->handles != NULL)
        handle_list_free(fs->handles);
    inode_table_free(fs->inodes);
    scratch_free(fs->scratch);
    op_list_free(fs->parked);
    pending_free(fs->pending);
    executor_settle(fs->executor); /* buckets close their stores there, losses are kept */
    unsigned lost = conflict_store_free(fs->conflicts);
    if (lost > 0)
        jsfs_log(JSFS_LOG_ERROR, "lost: %u values that were in .jsfs/conflicts, for no disk took them",
                 lost);
    late_free(fs->late);
    chunk_cache_free(fs->cache);
    free(fs);
}
