/* SPDX-License-Identifier: Apache-2.0 */
/* cleanup.h - release by scope: CLEANUP(f) variables and SCOPED_LOCK.
 * Layer 1. After gcc's and clang's cleanup attribute (gcc manual, "Common Variable
 * Attributes").
 */
#ifndef JSFS_CORE_CLEANUP_H
#define JSFS_CORE_CLEANUP_H

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(function) __attribute__((cleanup(function)))

/* For CLEANUP(cleanup_free) char *p = NULL: frees what p points to at the end of the scope. */
static inline void cleanup_free(void *pointer_to_pointer)
{
    free(*(void **)pointer_to_pointer);
}

/* For CLEANUP(cleanup_fd) int fd = -1: closes the descriptor unless it is negative. */
static inline void cleanup_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void cleanup_unlock(pthread_mutex_t **mutex)
{
    pthread_mutex_unlock(*mutex);
}

static inline pthread_mutex_t *cleanup_lock(pthread_mutex_t *mutex)
{
    pthread_mutex_lock(mutex);
    return mutex;
}

#define JSFS_JOIN2(a, b) a##b
#define JSFS_JOIN(a, b) JSFS_JOIN2(a, b)

/* Hold a mutex until the end of the enclosing block. */
#define SCOPED_LOCK(mutex)                                                               \
    CLEANUP(cleanup_unlock)                                                              \
    __attribute__((unused)) pthread_mutex_t *JSFS_JOIN(scoped_lock_, __COUNTER__) =      \
        cleanup_lock(mutex)

#endif
