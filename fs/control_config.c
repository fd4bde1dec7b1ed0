/* SPDX-License-Identifier: Apache-2.0 */
/* control_config.c - see control_config.h. Layer 5. */
#include "fs/control_config.h"

#include "core/cleanup.h"
#include "core/log.h"
#include "fs/control_text.h"
#include "fs/errno_map.h"

#include <string.h>

static void make(struct op *op, bucket_text_done *done, void *arg)
{
    bucket_config(op->inode->bucket, done, arg);
}

static void config_open(struct op *op)
{
    control_text_open(op, make);
}

static void config_getattr(struct op *op)
{
    control_text_getattr(op, make);
}

static double config_attr(struct fs *fs, struct inode *inode, struct stat *out)
{
    return control_text_attr(fs, inode, 0644, out);
}

static void log_outcome(struct bucket *bucket, enum jsfs_status status, const char *text)
{
    if (status == JSFS_OK)
        jsfs_log(JSFS_LOG_INFO, "op=configure bucket=%s", bucket_name(bucket));
    else
        jsfs_log(JSFS_LOG_WARNING, "op=configure bucket=%s error=\"%s\" errno=%s",
                 bucket_name(bucket), text, strerrorname_np(errno_of(status)));
}

static void configured(void *arg, enum jsfs_status status, const char *text)
{
    struct op *op = arg;

    log_outcome(op->inode->bucket, status, text);
    control_text_taken(op, status);
}

static void take(struct op *op, const char *data, size_t size)
{
    bucket_configure(op->inode->bucket, data, size, configured, op);
}

static void config_flush(struct op *op)
{
    control_text_commit(op, take);
}

static void replaced(void *arg, enum jsfs_status status, const char *text)
{
    struct op *op = arg;

    log_outcome(op->other->bucket, status, text);
    op->resume(op, status);
}

static void config_replace(struct op *op, const char *data, size_t size)
{
    bucket_configure(op->other->bucket, data, size, replaced, op);
}

/* Who gets the text as bytes. */
struct copy {
    store_bytes_done *done;
    void *arg;
};

static void text_came(void *arg, enum jsfs_status status, const char *text)
{
    struct copy *copy = arg;
    CLEANUP(cleanup_bytes) struct bytes *bytes = NULL;

    if (status == JSFS_OK) {
        bytes = bytes_copy(text, strlen(text));
        status = bytes != NULL ? JSFS_OK : JSFS_NO_MEMORY;
    }
    copy->done(copy->arg, status, bytes, 0);
    free(copy);
}

static void config_copy(struct op *op, store_bytes_done *done, void *arg)
{
    struct copy *copy = malloc(sizeof(*copy));

    if (copy == NULL) {
        done(arg, JSFS_NO_MEMORY, NULL, 0);
        return;
    }
    *copy = (struct copy){done, arg};
    bucket_config(op->inode->bucket, text_came, copy);
}

const struct special_ops control_config_ops = {
    .open = config_open,
    .read = control_text_read,
    .write = control_text_write,
    .flush = config_flush,
    .fsync = config_flush,
    .release = control_text_release,
    .setattr = control_text_setattr,
    .getattr = config_getattr,
    .attr = config_attr,
    .replace = config_replace,
    .copy = config_copy,
    .entry_timeout_s = 3600,
};
