/* SPDX-License-Identifier: Apache-2.0 */
/* embedded.c - a nats-server of our own: a child process that lives as long as jsfs.
 * Layer 3. The child inherits nothing but the lock's descriptor: flock(2) belongs to the open
 * file, so the lock is held until both processes are gone.
 */
#include "core/embedded.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_MS 60000
#define STOP_MS 10000
#define POLL_MS 10
#define LOCK_PATIENCE_MS 3000
#define LOCK_STEP_MS 20
#define PROGRAM "nats-server"
#define LOCK_FILE "jsfs.lock"
#define LOG_FILE PROGRAM ".log"
#define PORTS_DIRECTORY "run" /* where the server writes which port it got */

struct embedded {
    char *directory; /* absolute */
    char *ports;     /* directory/run */
    int lock_fd;
    pid_t child; /* 0: none */
    int port;
    char url[64];
};

static enum jsfs_status make_directory(const char *path)
{
    CLEANUP(cleanup_free) char *copy = strdup(path);
    struct stat found;

    if (copy == NULL)
        return JSFS_NO_MEMORY;
    for (char *slash = copy + 1; slash[0] != '\0'; slash++) {
        if (*slash != '/')
            continue;
        *slash = '\0';
        (void)mkdir(copy, 0777); /* what matters is the last one's result */
        *slash = '/';
    }
    if (mkdir(copy, 0700) != 0 && errno != EEXIST)
        return JSFS_FAILED;
    if (stat(copy, &found) != 0)
        return JSFS_FAILED;
    if (!S_ISDIR(found.st_mode)) {
        errno = ENOTDIR;
        return JSFS_FAILED;
    }
    return JSFS_OK;
}

/* umount(8) returns before the jsfs that it ends has stopped its server. */
static bool lock_within(int fd, int patience_ms)
{
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK || patience_ms <= 0)
            return false;
        poll(NULL, 0, LOCK_STEP_MS);
        patience_ms -= LOCK_STEP_MS;
    }
    return true;
}

static enum jsfs_status lock_directory(struct embedded *e, char *error, size_t error_size)
{
    CLEANUP(cleanup_free) char *path = NULL;

    if (asprintf(&path, "%s/" LOCK_FILE, e->directory) < 0) {
        path = NULL; /* asprintf leaves it undefined */
        return JSFS_NO_MEMORY;
    }
    e->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (e->lock_fd < 0) {
        snprintf(error, error_size, "%s: %s", path, strerror(errno));
        return JSFS_FAILED;
    }
    if (!lock_within(e->lock_fd, LOCK_PATIENCE_MS)) {
        snprintf(error, error_size, "%s is in use by another jsfs", e->directory);
        return JSFS_BUSY;
    }
    return JSFS_OK;
}

/* Remove what an earlier server left of its ports, or all when the directory goes too. */
static void clear_ports(const char *path, bool whole)
{
    DIR *directory = opendir(path);
    struct dirent *entry = NULL;

    while (directory != NULL && (entry = readdir(directory)) != NULL)
        if (strstr(entry->d_name, ".ports") != NULL)
            (void)unlinkat(dirfd(directory), entry->d_name, 0);
    if (directory != NULL)
        closedir(directory);
    if (whole)
        (void)rmdir(path);
}

static enum jsfs_status prepare(struct embedded *e, const char *directory, char *error,
                                size_t error_size)
{
    enum jsfs_status status = make_directory(directory);

    if (status == JSFS_OK && (e->directory = realpath(directory, NULL)) == NULL)
        status = JSFS_FAILED;
    if (status == JSFS_OK)
        status = lock_directory(e, error, error_size);
    if (status != JSFS_OK)
        return status;

    if (asprintf(&e->ports, "%s/" PORTS_DIRECTORY, e->directory) < 0) {
        e->ports = NULL; /* asprintf leaves it undefined */
        return JSFS_NO_MEMORY;
    }
    clear_ports(e->ports, false);
    return make_directory(e->ports);
}

/* Open the log anew, keeping the one before. */
static int open_log(const char *directory)
{
    CLEANUP(cleanup_free) char *path = NULL;
    CLEANUP(cleanup_free) char *old = NULL;

    if (asprintf(&path, "%s/" LOG_FILE, directory) < 0 ||
        asprintf(&old, "%s.old", path) < 0)
        return -1;
    (void)rename(path, old);
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* In the child, between fork and exec: only what signal-safety(7) allows. */
static _Noreturn void become_server(const struct embedded *e, int log_fd, int failure_fd,
                                    pid_t parent, char *const arguments[])
{
    sigset_t none;
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) /* it died before prctl */
        _exit(1);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL); /* exec keeps what is ignored */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid(); /* Ctrl-C is for jsfs, which still has to commit */

    if (null_fd >= 0 && dup2(null_fd, STDIN_FILENO) >= 0 &&
        dup2(log_fd, STDOUT_FILENO) >= 0 && dup2(log_fd, STDERR_FILENO) >= 0 &&
        chdir("/") == 0) {
        close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
        fcntl(e->lock_fd, F_SETFD, 0);
        execvp(PROGRAM, arguments);
        if (errno == ENOENT)
            execv("/usr/sbin/" PROGRAM, arguments);
    }
    int cause = errno;
    (void)!write(failure_fd, &cause, sizeof(cause));
    _exit(127);
}

/* 0, or the errno of an exec that failed. */
static int read_failure(int fd)
{
    int cause = 0;
    ssize_t size = 0;

    do {
        size = read(fd, &cause, sizeof(cause));
    } while (size < 0 && errno == EINTR);
    return size == (ssize_t)sizeof(cause) ? cause : 0;
}

static enum jsfs_status spawn(struct embedded *e, char *error, size_t error_size)
{
    CLEANUP(cleanup_fd) int log_fd = open_log(e->directory);
    int failure[2];
    char *arguments[] = {PROGRAM, "-a",         "127.0.0.1",        "-p",     "-1", "-js",
                         "-sd",   e->directory, "--ports_file_dir", e->ports, NULL};

    if (log_fd < 0) {
        snprintf(error, error_size, "%s/" LOG_FILE ": %s", e->directory, strerror(errno));
        return JSFS_FAILED;
    }
    if (pipe2(failure, O_CLOEXEC) != 0)
        return JSFS_FAILED;
    pid_t parent = getpid();
    e->child = fork();
    if (e->child == 0)
        become_server(e, log_fd, failure[1], parent, arguments);
    close(failure[1]);
    if (e->child < 0) {
        close(failure[0]);
        e->child = 0;
        return JSFS_FAILED;
    }
    int cause = read_failure(failure[0]);
    close(failure[0]);
    if (cause == 0)
        return JSFS_OK;
    snprintf(error, error_size, "cannot run " PROGRAM ": %s",
             cause == ENOENT ? "it is not in PATH" : strerror(cause));
    return cause == ENOENT ? JSFS_NOT_FOUND : JSFS_FAILED;
}

/* True once the child has ended; it is reaped then. */
static bool has_ended(struct embedded *e)
{
    if (e->child != 0 && waitpid(e->child, NULL, WNOHANG) != 0)
        e->child = 0;
    return e->child == 0;
}

/* The port in {"nats":["nats://127.0.0.1:4222"],…}; 0 while the file is not complete. */
static int parse_port(const char *text)
{
    static const char before[] = "nats://127.0.0.1:";
    const char *number = strstr(text, before);
    char *end = NULL;

    if (number == NULL)
        return 0;
    long port = strtol(number + sizeof(before) - 1, &end, 10);
    return *end == '"' && port > 0 && port < 65536 ? (int)port : 0;
}

static int read_port_file(int directory_fd, const char *name)
{
    CLEANUP(cleanup_fd) int fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC);
    char text[1024];
    ssize_t size = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;

    if (size <= 0)
        return 0;
    text[size] = '\0';
    return parse_port(text);
}

static int find_port(const char *path)
{
    DIR *directory = opendir(path);
    struct dirent *entry = NULL;
    int port = 0;

    while (directory != NULL && port == 0 && (entry = readdir(directory)) != NULL)
        if (strstr(entry->d_name, ".ports") != NULL)
            port = read_port_file(dirfd(directory), entry->d_name);
    if (directory != NULL)
        closedir(directory);
    return port;
}

/* True when a NATS server greets on the port. */
static bool answers(int port)
{
    CLEANUP(cleanup_fd) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    char greeting[5];

    return fd >= 0 &&
           connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
           poll(&readable, 1, 1000) == 1 &&
           recv(fd, greeting, sizeof(greeting), MSG_WAITALL) ==
               (ssize_t)sizeof(greeting) &&
           memcmp(greeting, "INFO ", sizeof(greeting)) == 0;
}

static void pause_ms(int duration_ms)
{
    struct timespec time = {.tv_nsec = duration_ms * 1000000L};

    nanosleep(&time, NULL);
}

static enum jsfs_status wait_until_ready(struct embedded *e, char *error,
                                         size_t error_size)
{
    int64_t end_ms = clock_monotonic_ms() + START_MS;

    while (!has_ended(e) && clock_monotonic_ms() < end_ms) {
        e->port = find_port(e->ports);
        if (e->port != 0 && answers(e->port)) {
            snprintf(e->url, sizeof(e->url), "nats://127.0.0.1:%d", e->port);
            return JSFS_OK;
        }
        pause_ms(POLL_MS);
    }
    snprintf(error, error_size, PROGRAM " %s; see %s/" LOG_FILE,
             e->child == 0 ? "ended" : "does not answer", e->directory);
    return JSFS_UNAVAILABLE;
}

enum jsfs_status embedded_start(const char *directory, struct embedded **out, char *error,
                                size_t error_size)
{
    struct embedded *e = calloc(1, sizeof(*e));

    error[0] = '\0';
    if (e == NULL) {
        snprintf(error, error_size, "out of memory");
        return JSFS_NO_MEMORY;
    }
    e->lock_fd = -1;
    enum jsfs_status status = prepare(e, directory, error, error_size);
    if (status == JSFS_OK)
        status = spawn(e, error, error_size);
    if (status == JSFS_OK)
        status = wait_until_ready(e, error, error_size);
    if (status != JSFS_OK) {
        if (error[0] == '\0')
            snprintf(error, error_size, "%s: %s", directory, strerror(errno));
        embedded_stop(e);
        return status;
    }
    jsfs_debug("embedded=%s pid=%d", e->url, (int)e->child);
    *out = e;
    return JSFS_OK;
}

const char *embedded_url(const struct embedded *e)
{
    return e->url;
}

static void end_child(struct embedded *e)
{
    int64_t end_ms = clock_monotonic_ms() + STOP_MS;

    if (has_ended(e))
        return;
    kill(e->child, SIGTERM);
    while (!has_ended(e) && clock_monotonic_ms() < end_ms)
        pause_ms(POLL_MS);
    if (e->child != 0) {
        kill(e->child, SIGKILL);
        while (waitpid(e->child, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
}

void embedded_stop(struct embedded *e)
{
    if (e == NULL)
        return;

    end_child(e);
    if (e->ports != NULL)
        clear_ports(e->ports, true);
    if (e->lock_fd >= 0)
        close(e->lock_fd);
    free(e->ports);
    free(e->directory);
    free(e);
}
