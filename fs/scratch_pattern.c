/* SPDX-License-Identifier: Apache-2.0 */
/* scratch_pattern.c - see scratch_pattern.h. Layer 5. */
#include "fs/scratch_pattern.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

/* The words of a text, one behind the other, each with its NUL, and an empty one. */
static char *split(const char *text)
{
    size_t size = strlen(text);
    char *words = calloc(1, size + 2), *end = words;

    if (words == NULL || strcmp(text, "none") == 0)
        return words;
    for (;;) {
        text += strspn(text, " \t");
        size = strcspn(text, " \t");
        if (size == 0)
            return words;
        end = (char *)mempcpy(end, text, size) + 1;
        text += size;
    }
}

bool scratch_patterns_init(struct scratch_patterns *patterns, const struct config *config)
{
    static const char *const defaults[SCRATCH_CLASSES] = {
        [SCRATCH_ALWAYS] = CONFIG_SCRATCH_PATTERNS,
        [SCRATCH_PRIVATE] = CONFIG_SCRATCH_PRIVATE,
        [SCRATCH_PROBE] = CONFIG_SCRATCH_PROBES,
    };
    const char *const given[SCRATCH_CLASSES] = {
        [SCRATCH_ALWAYS] = config->scratch_patterns,
        [SCRATCH_PRIVATE] = config->scratch_private,
        [SCRATCH_PROBE] = config->scratch_probes,
    };

    *patterns = (struct scratch_patterns){{NULL}};
    for (int class = SCRATCH_ALWAYS; class < SCRATCH_CLASSES; class++) {
        patterns->globs[class] = split(given[class] != NULL ? given[class] : defaults[class]);
        if (patterns->globs[class] == NULL) {
            scratch_patterns_clear(patterns);
            return false;
        }
    }
    return true;
}

void scratch_patterns_clear(struct scratch_patterns *patterns)
{
    for (int class = 0; class < SCRATCH_CLASSES; class++) {
        free(patterns->globs[class]);
        patterns->globs[class] = NULL;
    }
}

enum scratch_class scratch_patterns_match(const struct scratch_patterns *patterns,
                                          const char *name)
{
    for (int class = SCRATCH_ALWAYS; class < SCRATCH_CLASSES; class++) {
        for (const char *glob = patterns->globs[class]; glob != NULL && *glob != '\0';
             glob += strlen(glob) + 1) {
            if (fnmatch(glob, name, 0) == 0)
                return (enum scratch_class)class;
        }
    }
    return SCRATCH_NONE;
}

bool scratch_class_takes(enum scratch_class class, int flags, unsigned mode)
{
    bool exclusive = (flags & O_EXCL) != 0;

    switch (class) {
    case SCRATCH_NONE: return false;
    case SCRATCH_ALWAYS: return true;
    case SCRATCH_PRIVATE:
        return exclusive && (flags & O_ACCMODE) == O_RDWR && (mode & 0077) == 0;
    case SCRATCH_PROBE: return exclusive;
    }
    return false;
}
