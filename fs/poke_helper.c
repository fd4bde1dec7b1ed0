/* SPDX-License-Identifier: Apache-2.0 */
/* poke_helper.c - see poke_helper.h: our side of the socket. Layer 5. */
#include "fs/poke_helper.h"

#include "core/log.h"
#include "fs/poke_command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

struct poke_helper {
    char *top;
    int socket;
    pid_t child;
    dev_t device;
    atomic_bool left;
    bool gone; /* the caller's thread: it has ended by itself */
};

static bool start(struct poke_helper *helper)
{
    pid_t parent = getpid();
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return false;
    helper->child = fork();
    if (helper->child == 0)
        poke_process_run(ends[1], parent, helper->top);
    close(ends[1]);
    helper->socket = ends[0];
    return helper->child > 0;
}

struct poke_helper *poke_helper_start(const char *top)
{
    struct poke_helper *helper = calloc(1, sizeof(*helper));

    if (helper == NULL)
        return NULL;
    helper->socket = -1;
    helper->top = strdup(top);
    if (helper->top != NULL && start(helper))
        return helper;
    poke_helper_free(helper);
    return NULL;
}

/* DONT_SYNC: a call that asked us would be one of ours that waits for ourselves. */
dev_t poke_helper_mounted(struct poke_helper *helper)
{
    struct statx seen;

    if (statx(AT_FDCWD, helper->top, AT_STATX_DONT_SYNC, 0, &seen) == 0)
        helper->device = makedev(seen.stx_dev_major, seen.stx_dev_minor);
    return helper->device;
}

static ssize_t exchange(struct poke_helper *helper, const struct poke_command *command,
                        int *answer)
{
    size_t size = offsetof(struct poke_command, path) + strlen(command->path) + 1;
    ssize_t done;

    do
        done = send(helper->socket, command, size, MSG_NOSIGNAL);
    while (done < 0 && errno == EINTR);
    if (done < 0)
        return done;
    do
        done = recv(helper->socket, answer, sizeof(*answer), 0);
    while (done < 0 && errno == EINTR);
    return done;
}

int poke_helper_call(struct poke_helper *helper, enum poke_call call, const char *path)
{
    struct poke_command command = {.call = call, .device = helper->device};
    int answer;

    if (helper->gone)
        return EPIPE;
    if (strlen(path) >= sizeof(command.path))
        return ENAMETOOLONG;
    strcpy(command.path, path);
    if (exchange(helper, &command, &answer) == (ssize_t)sizeof(answer))
        return answer;
    helper->gone = true;
    if (atomic_load(&helper->left))
        return EPIPE;
    jsfs_log(JSFS_LOG_WARNING, "the helper process of inotify has ended: programs that watch are not "
                               "told of changes any more");
    return EPIPE;
}

int32_t poke_helper_process(const struct poke_helper *helper)
{
    return helper->child;
}

void poke_helper_leave(struct poke_helper *helper)
{
    atomic_store(&helper->left, true);
    shutdown(helper->socket, SHUT_RDWR);
}

void poke_helper_free(struct poke_helper *helper)
{
    if (helper == NULL)
        return;
    if (helper->socket >= 0)
        close(helper->socket);
    while (helper->child > 0 && waitpid(helper->child, NULL, 0) < 0 && errno == EINTR)
        continue;
    free(helper->top);
    free(helper);
}
