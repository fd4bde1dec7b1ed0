/* SPDX-License-Identifier: Apache-2.0 */
/* process.c - see process.h. Layer 5. */
#include "fs/process.h"

#include "core/cleanup.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

pid_t process_of(pid_t thread)
{
    char path[64], line[128];
    int process = 0;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)thread);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "Tgid: %d", &process) == 1)
            break;
    fclose(file);
    return process;
}

/* The text of a small file; "" when there is none. */
static void read_text(int directory, const char *name, char *text, size_t size)
{
    CLEANUP(cleanup_fd) int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, text, size - 1) : 0;

    text[length > 0 ? length : 0] = '\0';
}

static bool is_writer_of(const char *info, uint64_t number)
{
    const char *flags = strstr(info, "flags:"), *inode = strstr(info, "ino:");
    unsigned opened = 0;
    uint64_t found = 0;

    return flags != NULL && inode != NULL && sscanf(flags, "flags: %o", &opened) == 1 &&
           sscanf(inode, "ino: %" SCNu64, &found) == 1 && found == number &&
           (opened & O_ACCMODE) != O_RDONLY;
}

bool process_writes(pid_t process, uint64_t number)
{
    char path[64], text[512];
    bool found = false;

    snprintf(path, sizeof(path), "/proc/%d/fdinfo", (int)process);
    DIR *directory = opendir(path);
    if (directory == NULL)
        return false;
    for (struct dirent *item; !found && (item = readdir(directory)) != NULL;) {
        if (item->d_name[0] == '.')
            continue;
        read_text(dirfd(directory), item->d_name, text, sizeof(text));
        found = is_writer_of(text, number);
    }
    closedir(directory);
    return found;
}
