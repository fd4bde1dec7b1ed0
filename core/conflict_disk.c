/* SPDX-License-Identifier: Apache-2.0 */
/* conflict_disk.c - see conflict_disk.h. Layer 4.
 * A loss is written as "@tmp.PROCESS.NUMBER" beside its place. What of those a crash leaves is
 * not shown, and goes with its directory.
 */
#include "core/conflict_disk.h"

#include "core/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMPORARY "@tmp."
#define NS_PER_S INT64_C(1000000000)

enum { MOST_TRIES = 8, DEEPEST = 256 };

bool conflict_is_loss(const char *name)
{
    size_t revision, number;

    if (name[0] != '@')
        return false;
    revision = strspn(name + 1, "0123456789");
    if (revision == 0 || name[1 + revision] != '.')
        return false;
    number = strspn(name + revision + 2, "0123456789");
    return number > 0 && name[revision + 2 + number] == '\0';
}

/* --- writing ---------------------------------------------------------------------------- */

static int sync_directory(const char *path)
{
    CLEANUP(cleanup_fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd >= 0 && fsync(fd) == 0 ? 0 : errno;
}

/* The directory above a path; path is changed in place and put back by restore_parent(). */
static char *cut_parent(char *path)
{
    char *slash = strrchr(path, '/');

    if (slash == NULL || slash == path)
        return NULL;
    *slash = '\0';
    return slash;
}

/* Make a directory and those above it; each new one is synced into its parent. */
static int make_directories(char *path)
{
    if (mkdir(path, 0700) == 0) {
        char *slash = cut_parent(path);
        int error = slash != NULL ? sync_directory(path) : 0;
        if (slash != NULL)
            *slash = '/';
        return error;
    }
    if (errno != ENOENT)
        return errno == EEXIST ? 0 : errno;
    char *slash = cut_parent(path);
    if (slash == NULL)
        return ENOENT;
    int error = make_directories(path);
    *slash = '/';
    return error == 0 ? make_directories(path) : error;
}

static int write_all(int fd, const struct bytes *bytes)
{
    size_t done = 0;

    while (done < bytes->size) {
        ssize_t count = write(fd, bytes->data + done, bytes->size - done);
        if (count < 0 && errno != EINTR)
            return errno;
        done += count > 0 ? (size_t)count : 0;
    }
    return 0;
}

static int fill(int fd, const struct bytes *bytes, int64_t modified_ns)
{
    struct timespec time = {modified_ns / NS_PER_S, modified_ns % NS_PER_S};
    struct timespec times[2] = {time, time};
    int error = write_all(fd, bytes);

    if (error == 0 && (futimens(fd, times) < 0 || fsync(fd) < 0))
        error = errno;
    return error;
}

/* Give a file its name unless that is taken. Not every filesystem can do it by rename. */
static int name_it(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return errno;
    return link(from, to) == 0 ? 0 : errno;
}

static int write_beside(const char *directory, const char *path,
                        const struct bytes *bytes, int64_t modified_ns)
{
    static atomic_uint counter;
    char temporary[PATH_MAX];
    int length = snprintf(temporary, sizeof(temporary), "%s/" TEMPORARY "%d.%u",
                          directory, (int)getpid(), atomic_fetch_add(&counter, 1));
    if (length < 0 || (size_t)length >= sizeof(temporary))
        return ENAMETOOLONG;
    CLEANUP(cleanup_fd)
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    int error = fill(fd, bytes, modified_ns);
    if (error == 0)
        error = name_it(temporary, path);
    unlink(temporary); /* renamed: it is not there any more */
    return error == 0 ? sync_directory(directory) : error;
}

int conflict_disk_write(const char *path, const struct bytes *bytes, int64_t modified_ns)
{
    CLEANUP(cleanup_free) char *directory = strdup(path);
    int error = ENOENT;

    if (directory == NULL || cut_parent(directory) == NULL)
        return ENOMEM;
    /* Somebody may remove an empty directory between our making it and our using it. */
    for (int tries = 0; error == ENOENT && tries < MOST_TRIES; tries++) {
        error = make_directories(directory);
        if (error == 0)
            error = write_beside(directory, path, bytes, modified_ns);
    }
    return error;
}

/* --- looking ---------------------------------------------------------------------------- */

static bool is_shown(const char *name, const struct stat *state)
{
    return S_ISDIR(state->st_mode) || (S_ISREG(state->st_mode) && conflict_is_loss(name));
}

static struct conflict_entry entry_of(const struct stat *state)
{
    return (struct conflict_entry){
        .directory = S_ISDIR(state->st_mode),
        .size_bytes = S_ISDIR(state->st_mode) ? 0 : (uint64_t)state->st_size,
        .modified_ns = state->st_mtim.tv_sec * NS_PER_S + state->st_mtim.tv_nsec,
    };
}

int conflict_disk_stat(const char *path, struct conflict_entry *out)
{
    const char *slash = strrchr(path, '/');
    struct stat state;

    if (lstat(path, &state) < 0)
        return errno;
    if (!is_shown(slash != NULL ? slash + 1 : path, &state))
        return ENOENT;
    *out = entry_of(&state);
    return 0;
}

static DIR *open_directory(int above, const char *name)
{
    int fd = openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;

    if (directory == NULL && fd >= 0)
        close(fd);
    return directory;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static bool holds(int above, const char *name, int depth)
{
    DIR *directory = depth < DEEPEST ? open_directory(above, name) : NULL;
    bool found = false;
    struct stat state;

    if (directory == NULL)
        return false;
    for (struct dirent *item; !found && (item = readdir(directory)) != NULL;) {
        if (is_dots(item->d_name) ||
            fstatat(dirfd(directory), item->d_name, &state, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        found = S_ISDIR(state.st_mode) ? holds(dirfd(directory), item->d_name, depth + 1)
                                       : is_shown(item->d_name, &state);
    }
    closedir(directory);
    return found;
}

bool conflict_disk_holds(const char *path)
{
    return holds(AT_FDCWD, path, 0);
}

int conflict_disk_list(const char *path,
                       void (*each)(void *arg, const struct conflict_entry *entry),
                       void *arg)
{
    DIR *directory = open_directory(AT_FDCWD, path);
    struct stat state;

    if (directory == NULL)
        return errno;
    for (struct dirent *item; (item = readdir(directory)) != NULL;) {
        if (is_dots(item->d_name) ||
            fstatat(dirfd(directory), item->d_name, &state, AT_SYMLINK_NOFOLLOW) < 0 ||
            !is_shown(item->d_name, &state) ||
            (S_ISDIR(state.st_mode) && !holds(dirfd(directory), item->d_name, 0)))
            continue;
        struct conflict_entry entry = entry_of(&state);
        entry.name = item->d_name;
        each(arg, &entry);
    }
    closedir(directory);
    return 0;
}

int conflict_disk_rmdir(const char *path)
{
    if (rmdir(path) == 0)
        return 0;
    if (errno != ENOTEMPTY && errno != EEXIST)
        return errno;
    DIR *directory = open_directory(AT_FDCWD, path);
    if (directory == NULL)
        return errno;
    for (struct dirent *item; (item = readdir(directory)) != NULL;)
        if (strncmp(item->d_name, TEMPORARY, strlen(TEMPORARY)) == 0)
            unlinkat(dirfd(directory), item->d_name, 0);
    closedir(directory);
    return rmdir(path) == 0 ? 0 : errno;
}
