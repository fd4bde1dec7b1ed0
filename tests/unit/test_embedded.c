/* SPDX-License-Identifier: Apache-2.0 */
/* test_embedded.c - a nats-server as a child: started, found, locked, ended. */
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/embedded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <nats/nats.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DIRECTORY_MAX 128

static char base[64];

static int make_base(void **state)
{
    const char *parent = getenv("TMPDIR");
    (void)state;

    snprintf(base, sizeof(base), "%s/jsfs-test-XXXXXX", parent != NULL ? parent : "/tmp");
    return mkdtemp(base) != NULL ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *found, int kind,
                      struct FTW *place)
{
    (void)found;
    (void)kind;
    (void)place;
    return remove(path);
}

static int remove_base(void **state)
{
    (void)state;
    return nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct embedded *start(const char *directory)
{
    struct embedded *e = NULL;
    char error[256];

    if (embedded_start(directory, &e, error, sizeof(error)) != JSFS_OK)
        fail_msg("%s", error);
    return e;
}

static bool listens(const char *url)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int port = atoi(strrchr(url, ':') + 1);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    bool connected = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;

    close(fd);
    return connected;
}

/* The only child of this process. */
static pid_t child_of_ours(void)
{
    FILE *file = fopen("/proc/thread-self/children", "re");
    int pid = 0;

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &pid), 1);
    fclose(file);
    return pid;
}

static void it_answers_and_keeps_what_is_stored(void **state)
{
    char directory[DIRECTORY_MAX];
    char log[DIRECTORY_MAX + 32];
    struct stat found;
    (void)state;

    snprintf(directory, sizeof(directory), "%s/a/b/c", base); /* with its parents */
    for (int round = 0; round < 2; round++) {
        struct embedded *e = start(directory);
        natsConnection *connection = NULL;
        natsMsg *reply = NULL;
        assert_int_equal(strncmp(embedded_url(e), "nats://127.0.0.1:", 17), 0);
        assert_int_equal(natsConnection_ConnectTo(&connection, embedded_url(e)), NATS_OK);
        assert_int_equal(
            natsConnection_RequestString(
                &reply, connection,
                round == 0 ? "$JS.API.STREAM.CREATE.S" : "$JS.API.STREAM.INFO.S",
                round == 0 ? "{\"name\":\"S\",\"subjects\":[\"s\"]}" : "", 5000),
            NATS_OK);
        assert_null(strstr(natsMsg_GetData(reply), "\"error\""));
        natsMsg_Destroy(reply);
        natsConnection_Destroy(connection);
        embedded_stop(e);
    }
    snprintf(log, sizeof(log), "%s/nats-server.log", directory);
    assert_int_equal(stat(log, &found), 0);
    assert_true(found.st_size > 0);
    assert_int_equal(stat(directory, &found), 0);
    assert_int_equal(found.st_mode & 077, 0);
}

static void stopping_leaves_no_process_and_no_descriptor(void **state)
{
    char directory[DIRECTORY_MAX];
    char url[64];
    (void)state;

    snprintf(directory, sizeof(directory), "%s/stop", base);
    int before = dup(STDIN_FILENO);
    close(before);
    struct embedded *e = start(directory);
    snprintf(url, sizeof(url), "%s", embedded_url(e));
    int64_t start_ms = clock_monotonic_ms();
    embedded_stop(e);
    assert_true(clock_monotonic_ms() - start_ms < 8000); /* SIGTERM was enough */
    assert_false(listens(url));
    assert_int_equal(waitpid(-1, NULL, 0), -1);
    assert_int_equal(errno, ECHILD);
    int after = dup(STDIN_FILENO);
    close(after);
    assert_int_equal(after, before);
}

static void two_do_not_share_a_directory(void **state)
{
    char directory[DIRECTORY_MAX];
    struct embedded *second = NULL;
    char error[256];
    (void)state;

    snprintf(directory, sizeof(directory), "%s/shared", base);
    struct embedded *first = start(directory);
    assert_int_equal(embedded_start(directory, &second, error, sizeof(error)), JSFS_BUSY);
    assert_non_null(strstr(error, "in use by another jsfs"));
    assert_null(second);
    assert_true(listens(embedded_url(first)));
    embedded_stop(first);
    embedded_stop(start(directory));
}

static void the_child_gets_no_descriptor_and_no_blocked_signal(void **state)
{
    char directory[DIRECTORY_MAX];
    char path[DIRECTORY_MAX + 32];
    char line[256];
    char target[256];
    sigset_t all;
    sigset_t before;
    unsigned long blocked = 1;
    (void)state;

    snprintf(directory, sizeof(directory), "%s/clean", base);
    int leaky = open(base, O_RDONLY | O_DIRECTORY); /* not close-on-exec */
    assert_true(leaky >= 0);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    signal(SIGTERM, SIG_IGN);
    struct embedded *e = start(directory);
    signal(SIGTERM, SIG_DFL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pid_t child = child_of_ours();

    snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)child, leaky);
    ssize_t length = readlink(path, target, sizeof(target) - 1);
    target[length > 0 ? length : 0] = '\0';
    assert_string_not_equal(target, base);
    snprintf(path, sizeof(path), "/proc/%d/status", (int)child);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL)
        (void)sscanf(line, "SigBlk: %lx", &blocked);
    fclose(file);
    assert_int_equal(blocked & (1UL << (SIGTERM - 1)), 0);
    close(leaky);
    embedded_stop(e);
}

/* A jsfs that is killed while its server runs; prints the URL to fd. */
static _Noreturn void be_killed(const char *directory, int fd)
{
    struct embedded *e = NULL;
    char error[256];

    if (embedded_start(directory, &e, error, sizeof(error)) != JSFS_OK)
        _exit(1);
    if (write(fd, embedded_url(e), strlen(embedded_url(e)) + 1) < 0)
        _exit(1);
    raise(SIGKILL);
    _exit(1);
}

static void the_server_dies_with_a_jsfs_that_is_killed(void **state)
{
    char directory[DIRECTORY_MAX];
    char url[64] = "";
    int ends[2];
    int status = 0;
    struct timespec pause = {.tv_nsec = 10000000};
    (void)state;

    snprintf(directory, sizeof(directory), "%s/killed", base);
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0)
        be_killed(directory, ends[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_true(read(ends[0], url, sizeof(url)) > 17);
    for (int i = 0; i < 1000 && listens(url); i++)
        nanosleep(&pause, NULL);
    assert_false(listens(url));
    close(ends[0]);
    close(ends[1]);

    /* The lock goes when the server is gone, a moment after its port. */
    struct embedded *e = NULL;
    char error[256];
    while (embedded_start(directory, &e, error, sizeof(error)) == JSFS_BUSY)
        nanosleep(&pause, NULL);
    assert_non_null(e);
    embedded_stop(e);
}

static void write_program(const char *directory, const char *text)
{
    char path[DIRECTORY_MAX + 32];

    snprintf(path, sizeof(path), "%s/nats-server", directory);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fchmod(fileno(file), 0700), 0);
    fclose(file);
}

static void a_server_that_ends_at_once_is_an_error_that_names_its_log(void **state)
{
    CLEANUP(cleanup_free) char *path = strdup(getenv("PATH"));
    char directory[DIRECTORY_MAX];
    char log[DIRECTORY_MAX + 32];
    char text[64] = "";
    char error[256];
    struct embedded *e = NULL;
    (void)state;

    snprintf(directory, sizeof(directory), "%s/broken", base);
    write_program(base, "#!/bin/sh\necho no, thanks\nexit 3\n");
    setenv("PATH", base, 1);
    assert_int_equal(embedded_start(directory, &e, error, sizeof(error)),
                     JSFS_UNAVAILABLE);
    setenv("PATH", path, 1);
    snprintf(log, sizeof(log), "%s/nats-server.log", directory);
    assert_non_null(strstr(error, log));
    FILE *file = fopen(log, "re");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof(text), file));
    fclose(file);
    assert_string_equal(text, "no, thanks\n");
}

static void a_directory_that_cannot_be_made_is_an_error(void **state)
{
    char error[256];
    struct embedded *e = NULL;
    (void)state;

    assert_int_equal(embedded_start("/proc/none", &e, error, sizeof(error)), JSFS_FAILED);
    assert_non_null(strstr(error, "/proc/none: "));
    assert_int_equal(embedded_start("/dev/null", &e, error, sizeof(error)), JSFS_FAILED);
    assert_non_null(strstr(error, "Not a directory"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_answers_and_keeps_what_is_stored),
        cmocka_unit_test(stopping_leaves_no_process_and_no_descriptor),
        cmocka_unit_test(two_do_not_share_a_directory),
        cmocka_unit_test(the_child_gets_no_descriptor_and_no_blocked_signal),
        cmocka_unit_test(the_server_dies_with_a_jsfs_that_is_killed),
        cmocka_unit_test(a_server_that_ends_at_once_is_an_error_that_names_its_log),
        cmocka_unit_test(a_directory_that_cannot_be_made_is_an_error),
    };

    int failed = cmocka_run_group_tests(tests, make_base, remove_base);
    nats_CloseAndWait(10000);
    return failed;
}
