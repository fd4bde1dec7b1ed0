/* SPDX-License-Identifier: Apache-2.0 */
/* drain.c - refusing what the kernel still asks between the end of the loop and the unmount.
 * Layer 5.
 */
#include "fs/drain.h"
#include "fs/session_hook.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* The kernel refuses to fill less than its largest request: max_write and a page of headers. */
#define REQUEST_BYTES (SESSION_MAX_WRITE + 4096)

struct drain {
    pthread_t thread;
    int device;
    int stop;   /* eventfd */
    char *room; /* REQUEST_BYTES */
};

static bool wants_reply(uint32_t opcode)
{
    return opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET &&
           opcode != FUSE_INTERRUPT && opcode != FUSE_NOTIFY_REPLY;
}

/* False when the mount is gone. */
static bool refuse_one(struct drain *drain)
{
    const struct fuse_in_header *request = (const struct fuse_in_header *)drain->room;
    ssize_t size = read(drain->device, drain->room, REQUEST_BYTES);

    if (size < 0)
        return errno == EAGAIN || errno == EINTR || errno == ENOENT;
    if ((size_t)size < sizeof(*request))
        return false;
    if (wants_reply(request->opcode)) {
        struct fuse_out_header reply = {sizeof(reply), -ENOTCONN, request->unique};
        /* An interrupted request does not take its answer; there is nobody to tell. */
        if (write(drain->device, &reply, sizeof(reply)) < 0)
            return errno == ENOENT || errno == EINTR;
    }
    return true;
}

static void *refuse(void *arg)
{
    struct drain *drain = arg;
    struct pollfd waiting[] = {
        {drain->device, POLLIN, 0},
        {drain->stop,   POLLIN, 0}
    };

    for (;;) {
        if (poll(waiting, 2, -1) < 0)
            continue;
        if (waiting[1].revents != 0)
            return NULL;
        if (waiting[0].revents != 0 && !refuse_one(drain))
            return NULL;
    }
}

static void release(struct drain *drain)
{
    if (drain->stop >= 0)
        close(drain->stop);
    free(drain->room);
    free(drain);
}

struct drain *drain_start(int device)
{
    struct drain *drain = calloc(1, sizeof(*drain));

    if (drain == NULL)
        return NULL;
    drain->device = device;
    drain->room = malloc(REQUEST_BYTES);
    drain->stop = eventfd(0, EFD_CLOEXEC);
    /* A request may vanish between poll and read, when its process is killed. */
    if (drain->room == NULL || drain->stop < 0 ||
        fcntl(device, F_SETFL, O_NONBLOCK) < 0 ||
        pthread_create(&drain->thread, NULL, refuse, drain) != 0) {
        release(drain);
        return NULL;
    }
    return drain;
}

void drain_stop(struct drain *drain)
{
    if (drain == NULL)
        return;
    eventfd_write(drain->stop, 1);
    pthread_join(drain->thread, NULL);
    release(drain);
}
