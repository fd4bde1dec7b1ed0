/* SPDX-License-Identifier: Apache-2.0 */
/* mount.c - a filesystem mounted and served, from the session to its end.
 * Layer 5.
 *
 * Threads: libfuse's loop and its workers; one that asks the mount point for an answer; one
 * that commits at the end. The main thread waits for what comes: signals and their ends.
 *
 * The order at the end: commit while requests are still served; end the loop; take the
 * filesystem down while drain.h refuses requests; then unmount, which closes the device. The
 * device is not closed earlier: its number could become a socket of nats.c, and a late reply
 * would be written into that.
 */
#define FUSE_USE_VERSION 312
#include "fs/mount.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "fs/drain.h"
#include "fs/session_hook.h"
#include "fs/signals.h"
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define ANSWER_TIMEOUT_MS 30000
#define INTERRUPTED_TIMEOUT_MS 1000
#define COMMIT_TIMEOUT_MS 30000
#define WAKE_EVERY_MS 10

/* A thread whose end can be polled for. */
struct task {
    pthread_t thread;
    bool started;
    int ended; /* eventfd */
};

struct mount {
    struct fs *fs;
    struct mount_options options;
    struct fuse_session *session;
    struct fuse_loop_config *loop_config;
    struct task loop, answer, commit;
    int answer_errno;     /* of the answer task, once it has ended; 0: it answered */
    unsigned uncommitted; /* of the commit task, once it has ended */
    bool mounted, attached;
};

static bool start(struct task *task, void *(*run)(void *), struct mount *mount)
{
    task->started = pthread_create(&task->thread, NULL, run, mount) == 0;
    return task->started;
}

static void join(struct task *task)
{
    if (task->started)
        pthread_join(task->thread, NULL);
    task->started = false;
}

static void *run_loop(void *arg)
{
    struct mount *mount = arg;
    int result = fuse_session_loop_mt(mount->session, mount->loop_config);

    if (result < 0)
        jsfs_log(JSFS_LOG_ERROR, "serving ended error=\"%s\"", strerror(-result));
    eventfd_write(mount->loop.ended, 1);
    return NULL;
}

/* The device's read-ahead is 128 KiB whatever INIT says; only root can raise it. */
static void raise_read_ahead(dev_t device, int read_ahead_kb)
{
    char path[64];
    FILE *file;

    if (read_ahead_kb <= 0 || geteuid() != 0)
        return;
    snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", major(device),
             minor(device));
    file = fopen(path, "we");
    if (file != NULL)
        fprintf(file, "%d", read_ahead_kb);
    if (file == NULL || fclose(file) != 0)
        jsfs_log(JSFS_LOG_INFO, "read-ahead not raised path=%s error=\"%s\"", path,
                 strerror(errno));
}

/* In a thread of its own, for this waits for our own workers. */
static void *ask_for_answer(void *arg)
{
    struct mount *mount = arg;
    const struct mountpoint *mountpoint = mount->options.mountpoint;
    struct stat attributes;

    if (stat(mountpoint->path, &attributes) < 0)
        mount->answer_errno = errno;
    else if (attributes.st_dev == mountpoint->device)
        mount->answer_errno = ENOTCONN;
    else
        raise_read_ahead(attributes.st_dev, mount->options.config->read_ahead_kb);
    eventfd_write(mount->answer.ended, 1);
    return NULL;
}

static void *run_commit(void *arg)
{
    struct mount *mount = arg;

    mount->uncommitted = fs_shutdown(mount->fs, COMMIT_TIMEOUT_MS);
    eventfd_write(mount->commit.ended, 1);
    return NULL;
}

/* Append "NAME=VALUE"; libfuse splits options at commas that are not escaped. */
static int add_value(struct fuse_args *args, const char *name, const char *value)
{
    char *options = NULL;
    CLEANUP(cleanup_free) char *pair = NULL;
    int result = -1;

    if (asprintf(&pair, "%s=%s", name, value) < 0)
        pair = NULL; /* asprintf leaves it undefined */
    else if (fuse_opt_add_opt_escaped(&options, pair) == 0 &&
             fuse_opt_add_arg(args, "-o") == 0)
        result = fuse_opt_add_arg(args, options);
    free(options);
    return result;
}

static int add_arguments(struct fuse_args *args, const struct mount_options *options)
{
    const struct config *config = options->config;

    if (fuse_opt_add_arg(args, "jsfs") < 0 ||
        add_value(args, "fsname", options->source) < 0 ||
        fuse_opt_add_arg(args, "-osubtype=jsfs") < 0)
        return -1;
    /* Everyone may come in, so the kernel has to check modes. */
    if (config->allow_other &&
        fuse_opt_add_arg(args, "-oallow_other,default_permissions") < 0)
        return -1;
    if (config->read_only && fuse_opt_add_arg(args, "-oro") < 0)
        return -1;
    if (options->debug && fuse_opt_add_arg(args, "-odebug") < 0)
        return -1;
    return 0;
}

static bool make_session(struct mount *mount, struct failure *failure)
{
    struct fuse_args args = FUSE_ARGS_INIT(0, NULL);

    if (add_arguments(&args, &mount->options) == 0)
        mount->session =
            fuse_session_new(&args, &fs_operations, sizeof(fs_operations), mount->fs);
    fuse_opt_free_args(&args);
    mount->loop_config = fuse_loop_cfg_create();
    if (mount->session == NULL || mount->loop_config == NULL)
        return failure_set(failure, EXIT_SYSTEM, "cannot make a FUSE session");
    /* Idle threads are left at libfuse's default: setting it to that default complains before
     * 3.14.1. One device: an answer to INTERRUPT can be lost with several. */
    fuse_loop_cfg_set_max_threads(mount->loop_config,
                                  (unsigned)mount->options.config->max_threads);
    fuse_loop_cfg_set_clone_fd(mount->loop_config, 0);
    return true;
}

/* The last line of what libfuse and fusermount3 said, without their names; in text. */
static const char *last_line(int file, char *text, size_t size)
{
    static const char *const names[] = {"fuse: ", "fusermount3: "};
    ssize_t length = pread(file, text, size - 1, 0);
    char *line = text, *rest = text;

    text[length > 0 ? length : 0] = '\0';
    for (char *next; (next = strsep(&rest, "\n")) != NULL;)
        if (*next != '\0')
            line = next;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strncmp(line, names[i], strlen(names[i])) == 0)
            line += strlen(names[i]);
    return *line != '\0' ? line : "unknown reason";
}

/* Mount, and catch what libfuse and fusermount3 write to stderr, so that the user gets one
 * line with the reason in it. */
static bool mount_session(struct mount *mount, struct failure *failure)
{
    const char *path = mount->options.mountpoint->path;
    CLEANUP(cleanup_fd) int caught = memfd_create("mount", MFD_CLOEXEC);
    CLEANUP(cleanup_fd) int kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    char said[1024];

    if (caught >= 0 && kept >= 0)
        dup2(caught, STDERR_FILENO);
    mount->mounted = fuse_session_mount(mount->session, path) == 0;
    if (kept >= 0)
        dup2(kept, STDERR_FILENO);
    if (mount->mounted)
        return true;
    return failure_set(failure, EXIT_MOUNT, "cannot mount on %s: %s", path,
                       last_line(caught, said, sizeof(said)));
}

/* libfuse's messages after the mount, as lines of our log. */
static void log_libfuse(enum fuse_log_level level, const char *format, va_list arguments)
{
    char line[512];
    size_t length;

    vsnprintf(line, sizeof(line), format, arguments);
    length = strlen(line);
    while (length > 0 && line[length - 1] == '\n')
        line[--length] = '\0';
    jsfs_log(level <= FUSE_LOG_ERR       ? JSFS_LOG_ERROR
             : level == FUSE_LOG_WARNING ? JSFS_LOG_WARNING
             : level <= FUSE_LOG_INFO    ? JSFS_LOG_INFO
                                         : JSFS_LOG_DEBUG,
             "libfuse: %s", line);
}

static void ignore_signal(int number)
{
    (void)number;
}

/* fuse_session_exit() alone does not end the loop before libfuse 3.18: its thread sleeps in
 * sem_wait(), which only a signal handler interrupts (reference fuse.md §2.4). */
static void catch_wake_signal(void)
{
    struct sigaction action = {.sa_handler = ignore_signal};

    sigaction(SIGUSR1, &action, NULL);
}

static bool start_serving(struct mount *mount, struct failure *failure)
{
    fuse_set_log_func(log_libfuse);
    catch_wake_signal();
    if (session_hook_install(mount->session) != JSFS_OK)
        jsfs_log(JSFS_LOG_WARNING, "directory operations will not run in parallel");
    if (fs_attach(mount->fs, mount->session, mount->options.helper) != JSFS_OK)
        return failure_set(failure, EXIT_SYSTEM, "cannot start threads");
    mount->attached = true;
    if (!start(&mount->loop, run_loop, mount))
        return failure_set(failure, EXIT_SYSTEM, "cannot start threads");
    return true;
}

bool mount_open(struct fs *fs, const struct mount_options *options, struct mount **out,
                struct failure *failure)
{
    struct mount *mount = calloc(1, sizeof(*mount));

    if (mount == NULL)
        return failure_set(failure, EXIT_SYSTEM, "out of memory");
    mount->fs = fs;
    mount->options = *options;
    mount->loop.ended = eventfd(0, EFD_CLOEXEC);
    mount->answer.ended = eventfd(0, EFD_CLOEXEC);
    mount->commit.ended = eventfd(0, EFD_CLOEXEC);
    if (mount->loop.ended < 0 || mount->answer.ended < 0 || mount->commit.ended < 0)
        failure_set(failure, EXIT_SYSTEM, "too many open files");
    else if (make_session(mount, failure) && mount_session(mount, failure) &&
             start_serving(mount, failure)) {
        *out = mount;
        return true;
    }
    mount_close(mount);
    return false;
}

/* Wait for one of two descriptors (-1: none), or the time. Returns the first that is readable,
 * or -1. */
static int wait_for(int first, int second, int timeout_ms)
{
    struct pollfd waiting[] = {
        {first,  POLLIN, 0},
        {second, POLLIN, 0}
    };

    while (poll(waiting, 2, timeout_ms) < 0 && errno == EINTR)
        continue;
    if (waiting[0].revents != 0)
        return first;
    return waiting[1].revents != 0 ? second : -1;
}

bool mount_await(struct mount *mount, struct failure *failure)
{
    const char *path = mount->options.mountpoint->path;
    int event;

    if (!start(&mount->answer, ask_for_answer, mount))
        return failure_set(failure, EXIT_SYSTEM, "cannot start threads");
    event = wait_for(mount->answer.ended, mount->options.signals, ANSWER_TIMEOUT_MS);
    /* A signal finds a mount that is just coming up; mount_serve() will end it in order. */
    if (event == mount->options.signals &&
        wait_for(mount->answer.ended, -1, INTERRUPTED_TIMEOUT_MS) < 0)
        return failure_set(failure, EXIT_USER, "interrupted");
    if (event < 0)
        return failure_set(failure, EXIT_MOUNT, "the mount on %s does not answer", path);
    join(&mount->answer);
    if (mount->answer_errno != 0)
        return failure_set(failure, EXIT_MOUNT, "the mount on %s does not answer: %s",
                           path, strerror(mount->answer_errno));
    return true;
}

/* Commit what is dirty. False when a signal, counting those before, was the second one. */
static bool commit(struct mount *mount, unsigned signals)
{
    if (!start(&mount->commit, run_commit, mount)) {
        run_commit(mount);
        return true;
    }
    while (wait_for(mount->commit.ended, mount->options.signals, -1) !=
           mount->commit.ended)
        if (signals_take(mount->options.signals) != 0 && ++signals >= 2)
            return false;
    join(&mount->commit);
    return true;
}

enum mount_end mount_serve(struct mount *mount)
{
    unsigned signals = 0;

    wait_for(mount->options.signals, mount->loop.ended, -1);
    if (signals_take(mount->options.signals) != 0)
        signals = 1;
    /* An unmount from outside can lose a RELEASE, so there may be something to commit, too. */
    if (!commit(mount, signals)) {
        jsfs_log(JSFS_LOG_WARNING,
                 "ended by a second signal before everything was committed");
        fuse_session_exit(mount->session); /* or it reports replies that are too late */
        fuse_session_unmount(mount->session);
        return MOUNT_ABANDONED;
    }
    return mount->uncommitted == 0 ? MOUNT_COMMITTED : MOUNT_LOST;
}

static void end_loop(struct mount *mount)
{
    if (!mount->loop.started)
        return;
    fuse_session_exit(mount->session);
    /* Again and again: a signal just before sem_wait() would be lost. */
    do
        pthread_kill(mount->loop.thread, SIGUSR1);
    while (wait_for(mount->loop.ended, -1, WAKE_EVERY_MS) != mount->loop.ended);
    join(&mount->loop);
    /* The loop has reset it; set, it keeps libfuse from reporting replies that are refused. */
    fuse_session_exit(mount->session);
}

void mount_close(struct mount *mount)
{
    if (mount == NULL)
        return;
    end_loop(mount);
    if (mount->attached) {
        struct drain *drain = drain_start(fuse_session_fd(mount->session));
        fs_detach(mount->fs);
        drain_stop(drain);
    }
    if (mount->mounted)
        fuse_session_unmount(mount->session);
    join(&mount->answer);
    if (mount->session != NULL)
        fuse_session_destroy(mount->session);
    fuse_loop_cfg_destroy(mount->loop_config);
    close(mount->loop.ended);
    close(mount->answer.ended);
    close(mount->commit.ended);
    free(mount);
}

const char *mount_library_version(void)
{
    return fuse_pkgversion();
}
