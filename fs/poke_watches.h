/* SPDX-License-Identifier: Apache-2.0 */
/* poke_watches.h - which inodes of a device programs watch with inotify, as /proc tells it.
 * Layer 5. Only processes whose /proc this user may read are seen: all of them as root, else the
 * user's own.
 */
#ifndef JSFS_FS_POKE_WATCHES_H
#define JSFS_FS_POKE_WATCHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The st_ino of watched inodes, in ascending order, each once. */
struct poke_watches {
    uint64_t *numbers;
    size_t count, capacity;
};

/* Read one line of /proc/PID/fdinfo/FD.
 *   number, device   st_ino and st_dev; untouched unless true
 *   returns   false when it does not tell of a watch */
bool poke_parse_watch(const char *line, uint64_t *number, dev_t *device);

/* Add every watch on a device that a fdinfo's text tells of; false without memory. */
bool poke_watches_add(struct poke_watches *watches, char *text, dev_t device);

/* What is watched on a device now, in place of what was in it.
 *   proc   "/proc"
 *   returns   false when it cannot be found out: watches is unusable then, but for clear
 * Blocks: for /proc. */
bool poke_watches_scan(struct poke_watches *watches, const char *proc, dev_t device);

bool poke_watches_has(const struct poke_watches *watches, uint64_t number);

void poke_watches_clear(struct poke_watches *watches);

#endif
