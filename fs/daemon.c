/* SPDX-License-Identifier: Apache-2.0 */
/* daemon.c - going to the background: the parent waits until the child serves the mount.
 * Layer 5.
 */
#include "fs/daemon.h"
#include "fs/signals.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Say why a child that is not wanted, or has ended too early, is gone. */
static int tell_end(int status, bool interrupted)
{
    struct failure failure;

    if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
        return WEXITSTATUS(status); /* it has told itself */
    if (interrupted)
        failure_set(&failure, EXIT_USER, "interrupted");
    else if (WIFSIGNALED(status))
        failure_set(&failure, EXIT_SYSTEM,
                    "ended by a signal before the mount answered: %s",
                    strsignal(WTERMSIG(status)));
    else
        failure_set(&failure, EXIT_SYSTEM, "ended before the mount answered");
    failure_print(&failure);
    return failure.exit_status;
}

/* Wait for the child's byte, or for its end; pass signals on to it.
 * Returns the exit status for the parent. */
static int await(pid_t child, int signals, int pipe_end)
{
    struct pollfd waiting[] = {
        {pipe_end, POLLIN, 0},
        {signals,  POLLIN, 0}
    };
    bool interrupted = false;
    int status = 0;
    char byte;

    do {
        if (poll(waiting, 2, -1) > 0 && signals_take(signals) != 0) {
            interrupted = true;
            kill(child, SIGTERM);
        }
    } while (waiting[0].revents == 0);
    if (read(pipe_end, &byte, 1) == 1 && !interrupted)
        return 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return tell_end(status, interrupted);
}

bool daemon_fork(int signals, int *out, struct failure *failure)
{
    int ends[2];
    pid_t child;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return failure_set(failure, EXIT_SYSTEM, "cannot make a pipe: %s",
                           strerror(errno));
    child = fork();
    if (child < 0) {
        failure_set(failure, EXIT_SYSTEM, "cannot start a process: %s", strerror(errno));
        close(ends[0]);
        close(ends[1]);
        return false;
    }
    if (child > 0) {
        close(ends[1]);
        _exit(await(child, signals, ends[0]));
    }
    close(ends[0]);
    setsid();
    if (chdir("/") < 0) {
        close(ends[1]);
        return failure_set(failure, EXIT_SYSTEM, "cannot enter /: %s", strerror(errno));
    }
    *out = ends[1];
    return true;
}

bool daemon_ready(int daemon)
{
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    bool told;

    if (nothing >= 0) {
        fflush(stdout);
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
            dup2(nothing, fd);
        if (nothing > STDERR_FILENO)
            close(nothing);
    }
    told = write(daemon, "", 1) == 1;
    close(daemon);
    return told;
}
