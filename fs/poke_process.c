/* SPDX-License-Identifier: Apache-2.0 */
/* poke_process.c - the helper process, see poke_helper.h. Layer 5.
 * Between two calls it has nothing open in the mount, and never stands in it, so that it can be
 * unmounted. The first thread makes the calls, so that its requests come under the process's
 * number; the second one waits for the death of jsfs.
 */
#include "fs/poke_command.h"

#include "core/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define DEATH SIGUSR2 /* not one that a service manager sends to all processes */
#define ABORT_AGAIN_US 20000

static const char *mount_point;
static atomic_bool orphaned, calling;
static dev_t called; /* written before calling is set */

/* Calls ------------------------------------------------------------------------------------- */

static bool is_on(int directory, dev_t device)
{
    struct statx seen;

    return statx(directory, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &seen) == 0 &&
           makedev(seen.stx_dev_major, seen.stx_dev_minor) == device;
}

/* The size stays what it is. */
static int touch(int top, const char *path)
{
    CLEANUP(cleanup_fd)
    int file = openat(top, path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat attr;

    if (file < 0 || fstat(file, &attr) < 0 || ftruncate(file, attr.st_size) < 0)
        return -1;
    return futimens(file, NULL);
}

static int make_call(int top, const struct poke_command *command)
{
    const char *path = command->path;
    struct stat attr;

    switch (command->call) {
    case POKE_MAKE_FILE: return mknodat(top, path, S_IFREG | 0644, 0);
    case POKE_MAKE_DIRECTORY: return mkdirat(top, path, 0755);
    case POKE_MAKE_LINK: return symlinkat(".", top, path);
    case POKE_TOUCH: return touch(top, path);
    case POKE_UNLINK: return unlinkat(top, path, 0);
    case POKE_RMDIR: return unlinkat(top, path, AT_REMOVEDIR);
    case POKE_LOOK: return fstatat(top, path, &attr, AT_SYMLINK_NOFOLLOW);
    }
    errno = EINVAL;
    return -1;
}

/* Not on what is there after the unmount, which may be another mount. */
static int call_on_mount(const struct poke_command *command)
{
    CLEANUP(cleanup_fd) int top = open(mount_point, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (top < 0)
        return errno;
    if (!is_on(top, command->device))
        return ENODEV;
    return make_call(top, command) == 0 ? 0 : errno;
}

/* The death of jsfs comes before, and no call is made, or it finds us calling. */
static int call_unless_orphaned(const struct poke_command *command)
{
    int answer = EPIPE;

    called = command->device;
    atomic_store(&calling, true);
    if (!atomic_load(&orphaned))
        answer = call_on_mount(command);
    atomic_store(&calling, false);
    return answer;
}

/* The death of jsfs -------------------------------------------------------------------------- */

/* Of the user who mounted, where fusectl is mounted. */
static bool abort_by_control(dev_t device)
{
    char path[64];

    snprintf(path, sizeof(path), "/sys/fs/fuse/connections/%u/abort", minor(device));
    CLEANUP(cleanup_fd) int file = open(path, O_WRONLY | O_CLOEXEC);
    return file >= 0 && write(file, "1", 1) == 1;
}

/* Root's. The descriptor keeps it mounted, dead as any that was killed. */
static void abort_by_unmount(dev_t device)
{
    CLEANUP(cleanup_fd) int top = open(mount_point, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (top >= 0 && is_on(top, device))
        umount2(mount_point, MNT_FORCE);
}

/* A call that runs keeps the device from being another mount's. */
static void *await_death(void *arg)
{
    const sigset_t *death = arg;
    int number;

    while (sigwait(death, &number) != 0)
        continue;
    atomic_store(&orphaned, true);
    while (atomic_load(&calling)) {
        if (!abort_by_control(called))
            abort_by_unmount(called);
        usleep(ABORT_AGAIN_US);
    }
    _exit(0);
}

/* Life -------------------------------------------------------------------------------------- */

static bool leave_everything(int *socket)
{
    CLEANUP(cleanup_fd) int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    int kept = STDERR_FILENO + 1;

    for (int fd = STDIN_FILENO; nothing >= 0 && fd <= STDERR_FILENO; fd++)
        dup2(nothing, fd);
    if (*socket != kept && dup2(*socket, kept) < 0)
        return false;
    *socket = kept;
    if (nothing == kept)
        nothing = -1;
    return close_range((unsigned)kept + 1, ~0U, 0) == 0 && chdir("/") == 0;
}

_Noreturn void poke_process_run(int socket, pid_t parent, const char *top)
{
    struct poke_command command;
    sigset_t all, death;
    pthread_t guard;

    mount_point = top;
    sigfillset(&all);
    sigemptyset(&death);
    sigaddset(&death, DEATH);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    prctl(PR_SET_PDEATHSIG, DEATH);
    prctl(PR_SET_NAME, "jsfs-inotify");
    if (getppid() != parent || !leave_everything(&socket) ||
        pthread_create(&guard, NULL, await_death, &death) != 0)
        _exit(1);
    while (recv(socket, &command, sizeof(command), 0) > 0) {
        int answer = call_unless_orphaned(&command);

        if (send(socket, &answer, sizeof(answer), MSG_NOSIGNAL) < 0)
            break;
    }
    _exit(0);
}
