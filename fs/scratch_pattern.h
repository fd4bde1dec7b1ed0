/* SPDX-License-Identifier: Apache-2.0 */
/* scratch_pattern.h - which names are those of scratch files, and when.
 * Layer 5. Pure: globs of fnmatch(3), from [scratch] of jsfs.conf.
 */
#ifndef JSFS_FS_SCRATCH_PATTERN_H
#define JSFS_FS_SCRATCH_PATTERN_H

#include "core/config.h"
#include <stdbool.h>

/* A name that a key could have too counts only when it is made in the way of the program that
 * uses it: else a key of that name, made by cp(1) say, would never reach the server. */
enum scratch_class {
    SCRATCH_NONE,
    SCRATCH_ALWAYS,
    SCRATCH_PRIVATE, /* when made as mkstemp(3) does: O_EXCL, O_RDWR, mode 0600 */
    SCRATCH_PROBE    /* when made with O_EXCL and left empty */
};
#define SCRATCH_CLASSES 4

struct scratch_patterns {
    char *globs[SCRATCH_CLASSES]; /* each glob ends with a NUL, the last one with two */
};

/* Take the patterns of a configuration; for scratch_patterns_clear(). False without memory. */
bool scratch_patterns_init(struct scratch_patterns *patterns, const struct config *config);
void scratch_patterns_clear(struct scratch_patterns *patterns);

/* The first class that a name (a path component) belongs to. */
enum scratch_class scratch_patterns_match(const struct scratch_patterns *patterns,
                                          const char *name);

/* Is a file of this class, made with open(2) flags and mode, a scratch file? */
bool scratch_class_takes(enum scratch_class class, int flags, unsigned mode);

#endif
