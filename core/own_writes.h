/* SPDX-License-Identifier: Apache-2.0 */
/* own_writes.h - which sequence our own last write of a name got, until something newer or as
 * new was seen: what read-your-writes compares answers of replicas with.
 * Layer 2, memory only. Any number of threads.
 */
#ifndef JSFS_CORE_OWN_WRITES_H
#define JSFS_CORE_OWN_WRITES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { OWN_WRITES_SLOTS = 256, OWN_WRITES_MAX = 4096 };

struct own_write;

struct own_writes {
    pthread_mutex_t lock;
    struct own_write *slots[OWN_WRITES_SLOTS]; /* lock: by hash */
    struct own_write *oldest, **newest;        /* lock: in the order of notes */
    atomic_size_t count;                       /* written under lock */
};

void own_writes_init(struct own_writes *writes);
void own_writes_clear(struct own_writes *writes);

/* Remember a write. Of more than OWN_WRITES_MAX the oldest is forgotten; without memory
 * nothing is remembered. */
void own_writes_note(struct own_writes *writes, const char *name, uint64_t sequence);

/* A message of a name was seen: forget a write that is not newer. Cheap when none is noted. */
void own_writes_seen(struct own_writes *writes, const char *name, uint64_t sequence);

/* The sequence that an answer must at least have; 0: none is remembered. */
uint64_t own_writes_sequence(struct own_writes *writes, const char *name);

#endif
