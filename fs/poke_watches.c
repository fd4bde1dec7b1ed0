/* SPDX-License-Identifier: Apache-2.0 */
/* poke_watches.c - see poke_watches.h. Layer 5.
 * Format: Documentation/filesystems/proc.rst of Linux, "inotify files"; sdev is the kernel's own
 * dev_t, the major in the bits above 20.
 */
#include "fs/poke_watches.h"

#include "core/cleanup.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define KERNEL_MINOR_BITS 20
#define FDINFO_FIRST 4096 /* [bytes] that a read of it begins with */

/* "name:HEX"; false when the field is not there. */
static bool find_hex(const char *line, const char *name, uint64_t *out)
{
    const char *at = strstr(line, name);
    char *end;

    if (at == NULL || !isxdigit((unsigned char)at[strlen(name)]))
        return false;
    *out = strtoull(at + strlen(name), &end, 16);
    return *end == ' ' || *end == '\0' || *end == '\n';
}

bool poke_parse_watch(const char *line, uint64_t *number, dev_t *device)
{
    static const char start[] = "inotify wd:";
    uint64_t inode, kernel_device;

    if (strncmp(line, start, strlen(start)) != 0 || !find_hex(line, " ino:", &inode) ||
        !find_hex(line, " sdev:", &kernel_device))
        return false;
    *number = inode;
    *device = makedev((unsigned)(kernel_device >> KERNEL_MINOR_BITS),
                      (unsigned)(kernel_device & ((1U << KERNEL_MINOR_BITS) - 1)));
    return true;
}

static bool add(struct poke_watches *watches, uint64_t number)
{
    if (watches->count == watches->capacity) {
        size_t capacity = watches->capacity > 0 ? 2 * watches->capacity : 16;
        uint64_t *grown = realloc(watches->numbers, capacity * sizeof(*grown));

        if (grown == NULL)
            return false;
        watches->numbers = grown;
        watches->capacity = capacity;
    }
    watches->numbers[watches->count++] = number;
    return true;
}

bool poke_watches_add(struct poke_watches *watches, char *text, dev_t device)
{
    for (char *line; (line = strsep(&text, "\n")) != NULL;) {
        uint64_t number;
        dev_t on;

        if (poke_parse_watch(line, &number, &on) && on == device && !add(watches, number))
            return false;
    }
    return true;
}

/* The whole text of a small file, for free(); NULL: it is gone, or no memory. */
static char *read_text(int directory, const char *name)
{
    CLEANUP(cleanup_fd) int file = openat(directory, name, O_RDONLY | O_CLOEXEC);
    size_t size = 0, room = FDINFO_FIRST;
    char *text = file >= 0 ? malloc(room + 1) : NULL;

    while (text != NULL) {
        ssize_t got = read(file, text + size, room - size);

        if (got <= 0)
            break;
        size += (size_t)got;
        if (size < room)
            continue;
        char *grown = realloc(text, 2 * room + 1);
        if (grown == NULL) {
            free(text);
            return NULL;
        }
        text = grown;
        room *= 2;
    }
    if (text != NULL)
        text[size] = '\0';
    return text;
}

static bool is_inotify(int descriptors, const char *name)
{
    static const char inotify[] = "anon_inode:inotify";
    char target[sizeof(inotify)];

    return readlinkat(descriptors, name, target, sizeof(target)) ==
               (ssize_t)sizeof(inotify) - 1 &&
           memcmp(target, inotify, sizeof(inotify) - 1) == 0;
}

/* A process that has gone, or that we may not look into, watches nothing. */
static bool scan_process(struct poke_watches *watches, int proc, const char *pid, dev_t device)
{
    char name[300];
    bool complete = true;

    snprintf(name, sizeof(name), "%s/fd", pid);
    int descriptors = openat(proc, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = descriptors >= 0 ? fdopendir(descriptors) : NULL;
    if (list == NULL) {
        cleanup_fd(&descriptors);
        return true;
    }
    for (struct dirent *entry; complete && (entry = readdir(list)) != NULL;) {
        if (!is_inotify(descriptors, entry->d_name))
            continue;
        snprintf(name, sizeof(name), "%s/fdinfo/%s", pid, entry->d_name);
        CLEANUP(cleanup_free) char *text = read_text(proc, name);
        complete = text == NULL || poke_watches_add(watches, text, device);
    }
    closedir(list);
    return complete;
}

static int compare(const void *one, const void *other)
{
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;

    return (a > b) - (a < b);
}

static void sort_and_drop_doubles(struct poke_watches *watches)
{
    size_t kept = 0;

    if (watches->count > 1)
        qsort(watches->numbers, watches->count, sizeof(uint64_t), compare);
    for (size_t i = 0; i < watches->count; i++) {
        if (kept == 0 || watches->numbers[i] != watches->numbers[kept - 1])
            watches->numbers[kept++] = watches->numbers[i];
    }
    watches->count = kept;
}

bool poke_watches_scan(struct poke_watches *watches, const char *proc, dev_t device)
{
    DIR *list = opendir(proc);
    bool complete = list != NULL;

    watches->count = 0;
    for (struct dirent *entry; complete && (entry = readdir(list)) != NULL;) {
        if (isdigit((unsigned char)entry->d_name[0]))
            complete = scan_process(watches, dirfd(list), entry->d_name, device);
    }
    if (list != NULL)
        closedir(list);
    sort_and_drop_doubles(watches);
    return complete;
}

bool poke_watches_has(const struct poke_watches *watches, uint64_t number)
{
    return watches->count > 0 && bsearch(&number, watches->numbers, watches->count,
                                         sizeof(uint64_t), compare) != NULL;
}

void poke_watches_clear(struct poke_watches *watches)
{
    free(watches->numbers);
    *watches = (struct poke_watches){0};
}
