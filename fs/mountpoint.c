/* SPDX-License-Identifier: Apache-2.0 */
/* mountpoint.c - the directory that will be mounted on: checked, and cleared of a dead mount.
 * Layer 5.
 */
#include "fs/mountpoint.h"
#include "core/cleanup.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Detach the mount at path: lazily, since the program behind it does not answer. */
static void detach(const char *path)
{
    char *const arguments[] = {"fusermount3", "-u", "-q", "-z", "--", (char *)path, NULL};
    pid_t child;

    if (geteuid() == 0)
        umount2(path, MNT_DETACH);
    else if (posix_spawnp(&child, arguments[0], NULL, NULL, arguments, environ) == 0)
        waitpid(child, NULL, 0);
}

static bool check_empty(const char *path, struct failure *failure)
{
    DIR *directory = opendir(path);
    const struct dirent *entry;
    int error;

    if (directory == NULL)
        return failure_set(failure, EXIT_MOUNT, "mount point %s: %s", path,
                           strerror(errno));
    do {
        errno = 0;
        entry = readdir(directory);
        error = errno;
    } while (entry != NULL &&
             (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
    closedir(directory);
    if (entry != NULL)
        return failure_set(failure, EXIT_MOUNT, "mount point %s is not empty", path);
    if (error != 0)
        return failure_set(failure, EXIT_MOUNT, "mount point %s: %s", path,
                           strerror(error));
    return true;
}

/* The kernel may know the attributes of a dead mount for a day; statfs it always asks. */
static bool is_dead(const char *path)
{
    struct statfs unused;

    return statfs(path, &unused) < 0 && errno == ENOTCONN;
}

static bool check_directory(const char *path, dev_t *device, struct failure *failure)
{
    struct stat attributes;

    if (is_dead(path)) {
        detach(path);
        if (is_dead(path))
            return failure_set(
                failure, EXIT_MOUNT,
                "mount point %s: a mount whose program has ended is in the "
                "way and cannot be unmounted",
                path);
    }
    if (stat(path, &attributes) < 0)
        return failure_set(failure, EXIT_MOUNT, "mount point %s: %s", path,
                           strerror(errno));
    if (!S_ISDIR(attributes.st_mode))
        return failure_set(failure, EXIT_MOUNT, "mount point %s is not a directory",
                           path);
    *device = attributes.st_dev;
    return check_empty(path, failure);
}

/* True when a program is found the way libfuse looks for it: beside its own, or in PATH. */
static bool installed(const char *program)
{
    const char *path = getenv("PATH");
    CLEANUP(cleanup_free) char *places = NULL;
    char *rest;

    if (asprintf(&places, "/usr/bin:/bin:%s", path != NULL ? path : "") < 0) {
        places = NULL; /* asprintf leaves it undefined */
        return false;
    }
    rest = places;
    for (char *place; (place = strsep(&rest, ":")) != NULL;) {
        CLEANUP(cleanup_free) char *file = NULL;
        if (asprintf(&file, "%s/%s", place, program) < 0)
            file = NULL;
        else if (access(file, X_OK) == 0)
            return true;
    }
    return false;
}

static bool check_fuse(struct failure *failure)
{
    CLEANUP(cleanup_fd) int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);

    if (device < 0)
        return failure_set(
            failure, EXIT_SYSTEM, "cannot open /dev/fuse: %s%s", strerror(errno),
            errno == ENOENT || errno == ENODEV ? " (try 'modprobe fuse')" : "");
    if (geteuid() != 0 && !installed("fusermount3"))
        return failure_set(failure, EXIT_SYSTEM,
                           "fusermount3 is not installed (Debian package fuse3)");
    return true;
}

bool mountpoint_prepare(const char *path, struct mountpoint *out, struct failure *failure)
{
    CLEANUP(cleanup_free) char *absolute = realpath(path, NULL);
    dev_t device = 0;

    if (absolute == NULL)
        return failure_set(failure, EXIT_MOUNT, "mount point %s: %s", path,
                           strerror(errno));
    if (!check_directory(absolute, &device, failure) || !check_fuse(failure))
        return false;
    out->path = absolute;
    out->device = device;
    absolute = NULL;
    return true;
}

void mountpoint_clear(struct mountpoint *mountpoint)
{
    free(mountpoint->path);
    mountpoint->path = NULL;
}
