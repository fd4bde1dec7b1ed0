/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the program: from its arguments to its exit status.
 * Layer 5.
 */
#include "core/cleanup.h"
#include "core/connection.h"
#include "core/embedded.h"
#include "core/executor.h"
#include "core/log.h"
#include "core/version.h"
#include "fs/daemon.h"
#include "fs/failure.h"
#include "fs/fs.h"
#include "fs/mount.h"
#include "fs/mountpoint.h"
#include "fs/options.h"
#include "fs/poke_helper.h"
#include "fs/signals.h"
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SYSTEM_CONFIG "/etc/jsfs/jsfs.conf"
#define SYSTEM_STATE "/var/lib/jsfs"
#define EXECUTOR_THREADS 16

/* What the program holds, in the order in which it comes. */
struct program {
    struct options options;
    struct mountpoint mountpoint;
    int signals;
    struct poke_helper *helper; /* NULL without -o inotify */
    int daemon; /* of daemon_fork(); -1 in the foreground */
    struct embedded *embedded;
    struct executor *executor;
    struct connection *connection;
    struct fs *fs;
    char *source;
    struct mount *mount;
};

/* Where a standard stream is closed, something of ours would get its number and be lost when
 * the daemon turns its streams to /dev/null. */
static void keep_streams_open(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

/* What is relative to the directory we are started in, before a daemon leaves it. */
static bool make_absolute(char **path, struct failure *failure)
{
    CLEANUP(cleanup_free) char *here = NULL;
    char *absolute;

    if (*path == NULL || **path == '/')
        return true;
    here = getcwd(NULL, 0);
    if (here == NULL)
        return failure_set(failure, EXIT_SYSTEM, "current directory: %s",
                           strerror(errno));
    if (asprintf(&absolute, "%s/%s", here, *path) < 0)
        return failure_set(failure, EXIT_SYSTEM, "out of memory");
    free(*path);
    *path = absolute;
    return true;
}

static bool interrupted(const struct program *program, struct failure *failure)
{
    if (signals_take(program->signals) == 0)
        return false;
    failure_set(failure, EXIT_USER, "interrupted");
    return true;
}

/* While there is one thread, and no socket or device that it could inherit. */
static bool start_helper(struct program *program, struct failure *failure)
{
    if (!program->options.config.inotify)
        return true;
    program->helper = poke_helper_start(program->mountpoint.path);
    if (program->helper == NULL)
        return failure_set(failure, EXIT_SYSTEM, "cannot start a process: %s", strerror(errno));
    return true;
}

/* Check what needs no server, then go to the background. */
static bool prepare(struct program *program, struct failure *failure)
{
    struct options *options = &program->options;

    jsfs_log_open(JSFS_LOG_TO_STDERR, (enum jsfs_log_level)options->config.log_level);
    program->signals = signals_open();
    if (program->signals < 0)
        return failure_set(failure, EXIT_SYSTEM, "signals: %s", strerror(errno));
    if (!mountpoint_prepare(options->mountpoint, &program->mountpoint, failure) ||
        !make_absolute(&options->embedded_directory, failure) ||
        !make_absolute(&options->config.state_dir, failure))
        return false;
    if (options->foreground)
        return start_helper(program, failure);
    if (!daemon_fork(program->signals, &program->daemon, failure))
        return false;
    /* Now, while there is one thread; why a start fails is told on stderr all the same. */
    jsfs_log_open(JSFS_LOG_TO_SYSLOG, (enum jsfs_log_level)options->config.log_level);
    return start_helper(program, failure);
}

static bool start_embedded(struct program *program, struct failure *failure)
{
    const char *directory = program->options.embedded_directory;
    char error[400];

    if (directory == NULL)
        return true;
    if (embedded_start(directory, &program->embedded, error, sizeof(error)) != JSFS_OK)
        return failure_set(failure, EXIT_SYSTEM, "%s", error);
    return !interrupted(program, failure);
}

static enum failure_exit exit_of(enum jsfs_status status)
{
    if (status == JSFS_INVALID)
        return EXIT_USAGE;
    return status == JSFS_NO_MEMORY ? EXIT_SYSTEM : EXIT_MOUNT;
}

static bool connect_to_server(struct program *program, struct failure *failure)
{
    struct connection_options options = {
        .urls = program->embedded != NULL ? embedded_url(program->embedded)
                                          : program->options.urls,
        .timeout_ms = program->options.config.timeout_ms,
    };
    enum jsfs_status status;
    char error[400];

    program->source = options_source(options.urls);
    program->executor = executor_new(EXECUTOR_THREADS);
    if (program->source == NULL || program->executor == NULL)
        return failure_set(failure, EXIT_SYSTEM, "out of memory");
    status = connection_open(&options, program->executor, &program->connection, error,
                             sizeof(error));
    if (status != JSFS_OK)
        return failure_set(failure, exit_of(status), "%s", error);
    return !interrupted(program, failure);
}

static bool mount_filesystem(struct program *program, struct failure *failure)
{
    const struct mount_options options = {
        .mountpoint = &program->mountpoint,
        .config = &program->options.config,
        .source = program->source,
        .debug = program->options.debug_libfuse,
        .signals = program->signals,
        .helper = program->helper,
    };

    const char *server = program->options.embedded_directory != NULL
                             ? program->options.embedded_directory
                             : program->source;

    program->fs = fs_new(&program->options.config, server, program->connection,
                         program->executor);
    if (program->fs == NULL)
        return failure_set(failure, EXIT_SYSTEM, "out of memory");
    return mount_open(program->fs, &options, &program->mount, failure) &&
           mount_await(program->mount, failure);
}

static bool announce(struct program *program, struct failure *failure)
{
    jsfs_log(JSFS_LOG_INFO, "mounted source=%s path=%s", program->source,
             program->mountpoint.path);
    if (program->embedded != NULL) {
        printf("%s\n", embedded_url(program->embedded));
        fflush(stdout);
    }
    if (program->daemon >= 0 && !daemon_ready(program->daemon))
        return failure_set(failure, EXIT_USER, "interrupted");
    return true;
}

static void take_down(struct program *program)
{
    mount_close(program->mount);
    poke_helper_free(program->helper);
    fs_free(program->fs);
    connection_close(program->connection);
    executor_free(program->executor);
    embedded_stop(program->embedded);
    free(program->source);
    mountpoint_clear(&program->mountpoint);
    if (program->signals >= 0)
        close(program->signals);
}

static int serve(struct program *program)
{
    enum mount_end end = mount_serve(program->mount);

    if (end == MOUNT_ABANDONED) {
        embedded_stop(program->embedded);
        _exit(EXIT_SYSTEM);
    }
    return end == MOUNT_COMMITTED ? EXIT_SUCCESS : EXIT_SYSTEM;
}

static int run(struct program *program)
{
    struct failure failure;
    int exit_status;

    if (prepare(program, &failure) && start_embedded(program, &failure) &&
        connect_to_server(program, &failure) && mount_filesystem(program, &failure) &&
        announce(program, &failure)) {
        exit_status = serve(program);
    } else {
        failure_print(&failure);
        exit_status = failure.exit_status;
    }
    take_down(program);
    return exit_status;
}

static void print_versions(void)
{
    printf("jsfs %s\nlibfuse %s\nlibnats %s\n", JSFS_VERSION, mount_library_version(),
           version_of_libnats());
}

static struct options_environment environment(void)
{
    const char *home = getenv("HOME");
    const struct passwd *user = NULL;

    if (home == NULL || home[0] == '\0')
        user = getpwuid(getuid());
    return (struct options_environment){
        .nats_url = getenv("NATS_URL"),
        .home = user != NULL ? user->pw_dir : home,
        .config_home = getenv("XDG_CONFIG_HOME"),
        .data_home = getenv("XDG_DATA_HOME"),
        .state_home = getenv("XDG_STATE_HOME"),
        .system_state = user != NULL && getuid() == 0 ? SYSTEM_STATE : NULL,
        .system_config = SYSTEM_CONFIG,
    };
}

int main(int argc, char **argv)
{
    struct program program = {.signals = -1, .daemon = -1};
    const struct options_environment surroundings = environment();
    struct failure failure;
    int exit_status = EXIT_SUCCESS;

    keep_streams_open();
    if (!options_parse(argc, argv, &surroundings, &program.options, &failure)) {
        failure_print(&failure);
        return failure.exit_status;
    }
    switch (program.options.action) {
    case OPTIONS_HELP: fputs(options_help, stdout); break;
    case OPTIONS_VERSION: print_versions(); break;
    case OPTIONS_MOUNT: exit_status = run(&program); break;
    }
    options_clear(&program.options);
    return exit_status;
}
