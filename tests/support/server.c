/* SPDX-License-Identifier: Apache-2.0 */
/* server.c - a real nats-server for a test. */
#include "tests/support/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CONFIG_FILE "server.conf"

extern char **environ;

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* Sets port. The socket never listens and is kept: nobody is given that port as a free one, yet
 * a server, which like this asks for SO_REUSEADDR, may listen on it, again and again.
 */
static int keep_port(int *port)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static bool listens(int port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool connected = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;

    close(fd);
    return connected;
}

static void wait_until_listening(const struct server *server)
{
    struct timespec pause = {.tv_nsec = 10000000};

    for (int i = 0; i < 2000; i++) {
        if (listens(server->port))
            return;
        assert_int_equal(waitpid(server->pid, NULL, WNOHANG), 0);
        nanosleep(&pause, NULL);
    }
    fail_msg("nats-server does not listen");
}

void server_resume(struct server *server)
{
    char config[128];
    char log[128];
    char port[16];

    snprintf(config, sizeof(config), "%s/" CONFIG_FILE, server->directory);
    snprintf(log, sizeof(log), "%s/log", server->directory);
    snprintf(port, sizeof(port), "%d", server->port);
    char *arguments[] = {"nats-server",     "-a", "127.0.0.1", "-p", port,   "-sd",
                         server->directory, "-l", log,         "-c", config, NULL};
    assert_int_equal(
        posix_spawnp(&server->pid, arguments[0], NULL, NULL, arguments, environ), 0);
    wait_until_listening(server);
}

void server_begin(struct server *server, const char *config)
{
    const char *parent = getenv("TMPDIR");
    char path[128];

    *server = (struct server){.pid = 0};
    server->kept = keep_port(&server->port);
    snprintf(server->directory, sizeof(server->directory), "%s/jsfs-test-XXXXXX",
             parent != NULL ? parent : "/tmp");
    assert_non_null(mkdtemp(server->directory));
    snprintf(server->url, sizeof(server->url), "nats://127.0.0.1:%d", server->port);

    snprintf(path, sizeof(path), "%s/" CONFIG_FILE, server->directory);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(config != NULL ? config : "jetstream {}\n", file);
    assert_int_equal(fclose(file), 0);
    server_resume(server);
}

void server_halt(struct server *server)
{
    if (server->pid == 0)
        return;
    kill(server->pid, SIGKILL);
    assert_int_equal(waitpid(server->pid, NULL, 0), server->pid);
    server->pid = 0;
}

void server_freeze(const struct server *server)
{
    siginfo_t stopped;

    assert_int_equal(kill(server->pid, SIGSTOP), 0);
    assert_int_equal(waitid(P_PID, (id_t)server->pid, &stopped, WSTOPPED), 0);
}

static int remove_one(const char *path, const struct stat *found, int kind,
                      struct FTW *place)
{
    (void)found;
    (void)kind;
    (void)place;
    return remove(path);
}

void server_end(struct server *server)
{
    server_halt(server);
    close(server->kept);
    nftw(server->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
