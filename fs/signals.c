/* SPDX-License-Identifier: Apache-2.0 */
/* signals.c - the signals that end jsfs, read from a descriptor instead of delivered.
 * Layer 5.
 */
#include "fs/signals.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

int signals_open(void)
{
    sigset_t blocked, ending;

    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    blocked = ending;
    sigaddset(&blocked, SIGHUP);
    sigaddset(&blocked, SIGQUIT);
    signal(SIGPIPE, SIG_IGN);
    errno = pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    if (errno != 0)
        return -1;
    return signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK);
}

int signals_take(int descriptor)
{
    struct signalfd_siginfo info;

    if (read(descriptor, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return 0;
    return (int)info.ssi_signo;
}
