/* SPDX-License-Identifier: Apache-2.0 */
/* name_set.h - which of many names are marked, in 8 bytes a name.
 * Layer 2, memory only; one thread at a time. Keeps 63 bits of a hash, not the names: two names
 * that share them are taken for one.
 */
#ifndef JSFS_CORE_NAME_SET_H
#define JSFS_CORE_NAME_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct name_set { /* zeroed: empty */
    uint64_t *slots;
    size_t capacity; /* a power of two, or 0 */
    size_t used;
};

/* Mark or unmark a name; without memory a new name stays unmarked. */
void name_set_put(struct name_set *set, const char *name, bool marked);
bool name_set_has(const struct name_set *set, const char *name);

/* Unmark all and release the memory. */
void name_set_clear(struct name_set *set);

#endif
