/* SPDX-License-Identifier: Apache-2.0 */
/* loss.c - see loss.h. Layer 5.
 * The bytes are copied at once; the disk is written on an executor task, which needs nothing of
 * the inode any more.
 */
#include "fs/loss.h"

#include "core/cleanup.h"
#include "core/conflict_store.h"
#include "core/log.h"

#include <string.h>

struct keeping {
    struct fs *fs;
    struct bucket *bucket; /* a reference */
    char *path;
    struct value_unsaved value;
    store_done *done;
    void *arg;
};

static void end_keeping(struct keeping *keeping)
{
    if (keeping->done != NULL)
        keeping->done(keeping->arg, keeping->value.why);
    bytes_unref(keeping->value.bytes);
    bucket_unref(keeping->bucket);
    free(keeping->path);
    free(keeping);
}

static void tell(const struct keeping *keeping, const struct conflict_loss *loss)
{
    const char *kind = bucket_kind(keeping->bucket) == STORE_KV ? "kv" : "obj";
    const char *bucket = bucket_name(keeping->bucket);
    enum jsfs_status why = keeping->value.why;

    if (loss->name == NULL)
        jsfs_log(JSFS_LOG_ERROR,
                 "bucket=%s path=%s size=%zu lost: neither disk (%s) nor memory keeps it",
                 bucket, keeping->path, keeping->value.bytes->size,
                 strerror(loss->disk_errno));
    else if (loss->disk_errno != 0)
        jsfs_log(JSFS_LOG_ERROR,
                 "bucket=%s path=%s not published, kept in memory only until the unmount "
                 "(%s): "
                 "%s/%s/.jsfs/conflicts/%s",
                 bucket, keeping->path, strerror(loss->disk_errno), kind, bucket,
                 loss->name);
    else
        jsfs_log(JSFS_LOG_WARNING,
                 "bucket=%s path=%s not published (%s), kept: "
                 "%s/%s/.jsfs/conflicts/%s",
                 bucket, keeping->path,
                 why != JSFS_OK ? jsfs_status_text(why) : "not tried", kind, bucket,
                 loss->name);
}

static void keep(void *arg)
{
    struct keeping *keeping = arg;
    struct conflict_place place = {
        .store = keeping->fs->conflicts,
        .kind = bucket_kind(keeping->bucket),
        .bucket = bucket_name(keeping->bucket),
    };
    struct conflict_loss loss = {.path = keeping->path,
                                 .revision = keeping->value.revision,
                                 .bytes = keeping->value.bytes};

    conflict_store_keep(&place, &loss);
    tell(keeping, &loss);
    free(loss.name);
    end_keeping(keeping);
}

bool loss_keep(struct fs *fs, const struct inode *inode, struct value_file *value,
               store_done *done, void *arg)
{
    struct keeping *keeping = calloc(1, sizeof(*keeping));
    char *path = strdup(inode->path);
    struct value_unsaved unsaved;
    bool taken = keeping != NULL && path != NULL && fs->conflicts != NULL &&
                 value_file_take_unsaved(value, &unsaved);

    if (!taken) {
        free(keeping);
        free(path);
        return false;
    }
    *keeping = (struct keeping){
        .fs = fs,
        .bucket = bucket_ref(inode->bucket),
        .path = path,
        .value = unsaved,
        .done = done,
        .arg = arg,
    };
    executor_run(fs->executor, keep, keeping);
    return true;
}
