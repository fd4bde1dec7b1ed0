/* SPDX-License-Identifier: Apache-2.0 */
/* session_hook.c - what the kernel is asked for at INIT, also where libfuse cannot say it.
 * Layer 5.
 */
#define FUSE_USE_VERSION 312
#include "fs/session_hook.h"
#include <fuse_lowlevel.h>
#include <stddef.h>

#define MAX_BACKGROUND 256

#if FUSE_VERSION < FUSE_MAKE_VERSION(3, 17)

#include <linux/fuse.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* libfuse passes its own user data to the hooks, and that is the filesystem's; a process has
 * one session, so what the hooks remember is here. */
static atomic_bool init_replied;
static _Atomic uint64_t init_unique; /* 0: INIT was not seen yet */
static atomic_uint init_offered;     /* the kernel's flags */

/* Flags for the kernel that libfuse before 3.17 leaves out of its reply. */
#define COMPLETED_FLAGS ((unsigned)(FUSE_PARALLEL_DIROPS | FUSE_HANDLE_KILLPRIV_V2))

static void note_init(const char *request, size_t size)
{
    struct fuse_in_header header;
    struct fuse_init_in init;

    /* Kernels before 7.36 send no more than the flags. */
    if (size < sizeof(header) + offsetof(struct fuse_init_in, flags) + sizeof(init.flags))
        return;
    memcpy(&header, request, sizeof(header));
    if (header.opcode != FUSE_INIT)
        return;
    memcpy(&init, request + sizeof(header),
           offsetof(struct fuse_init_in, flags) + sizeof(init.flags));
    atomic_store(&init_offered, init.flags);
    atomic_store(&init_unique, header.unique);
}

static ssize_t read_request(int fd, void *buffer, size_t size, void *userdata)
{
    ssize_t done = read(fd, buffer, size);

    (void)userdata;
    if (done > 0 && !atomic_load_explicit(&init_replied, memory_order_relaxed))
        note_init(buffer, (size_t)done);
    return done;
}

static void complete_init(struct iovec *parts, int count)
{
    const struct fuse_out_header *header = parts[0].iov_base;
    struct fuse_init_out *init;

    if (header->unique == 0 || header->unique != atomic_load(&init_unique))
        return;
    atomic_store_explicit(&init_replied, true, memory_order_relaxed);
    if (header->error != 0 || count < 2 || parts[1].iov_len < sizeof(*init))
        return;
    init = parts[1].iov_base;
    init->flags |= COMPLETED_FLAGS & atomic_load(&init_offered);
}

static ssize_t write_reply(int fd, struct iovec *parts, int count, void *userdata)
{
    (void)userdata;
    if (!atomic_load_explicit(&init_replied, memory_order_relaxed))
        complete_init(parts, count);
    return writev(fd, parts, count);
}

enum jsfs_status session_hook_install(struct fuse_session *session)
{
    static const struct fuse_custom_io hooks = {.read = read_request,
                                                .writev = write_reply};

    if (fuse_session_custom_io(session, &hooks, fuse_session_fd(session)) != 0)
        return JSFS_FAILED;
    return JSFS_OK;
}

static void want(struct fuse_conn_info *conn, unsigned capability)
{
    conn->want |= conn->capable & capability;
}

static void decline(struct fuse_conn_info *conn, unsigned capability)
{
    conn->want &= ~capability;
}

#else

enum jsfs_status session_hook_install(struct fuse_session *session)
{
    (void)session;
    return JSFS_OK;
}

/* Only through these: libfuse keeps the flags twice, and a mixture has failed before. */
static void want(struct fuse_conn_info *conn, uint64_t capability)
{
    fuse_set_feature_flag(conn, capability);
}

static void decline(struct fuse_conn_info *conn, uint64_t capability)
{
    fuse_unset_feature_flag(conn, capability);
}

#endif

void session_capabilities(struct fuse_conn_info *conn)
{
    want(conn, FUSE_CAP_ASYNC_READ);
    want(conn, FUSE_CAP_ASYNC_DIO);
    want(conn, FUSE_CAP_ATOMIC_O_TRUNC);
    want(conn, FUSE_CAP_PARALLEL_DIROPS);
    want(conn, FUSE_CAP_READDIRPLUS);
    want(conn, FUSE_CAP_READDIRPLUS_AUTO);
    want(conn, FUSE_CAP_AUTO_INVAL_DATA);
    want(conn, FUSE_CAP_CACHE_SYMLINKS);
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
    want(conn, FUSE_CAP_HANDLE_KILLPRIV_V2);
    want(conn, FUSE_CAP_NO_EXPORT_SUPPORT);
#endif
    decline(conn, FUSE_CAP_HANDLE_KILLPRIV);
    decline(conn, FUSE_CAP_EXPLICIT_INVAL_DATA);
    decline(conn, FUSE_CAP_WRITEBACK_CACHE);
    decline(conn, FUSE_CAP_SPLICE_READ);
    decline(conn, FUSE_CAP_SPLICE_WRITE);
    decline(conn, FUSE_CAP_SPLICE_MOVE);
    conn->max_write = SESSION_MAX_WRITE;
    conn->max_background = MAX_BACKGROUND;
    conn->congestion_threshold = MAX_BACKGROUND * 3 / 4;
    conn->time_gran = 1;
}
