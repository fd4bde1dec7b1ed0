/* SPDX-License-Identifier: Apache-2.0 */
/* end.h - what an asynchronous call ended in, to be waited for; an observer that looks away.
 * Test support; included once by each program.
 */
#ifndef JSFS_TESTS_END_H
#define JSFS_TESTS_END_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "core/bucket.h"
#include "core/clock.h"
#include <pthread.h>
#include <time.h>

#define PATIENCE_MS 30000

/* What an asynchronous call ended in. */
struct end {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int answers;
    enum jsfs_status status;
};

#define END_INIT                                                                         \
    {                                                                                    \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, JSFS_OK                  \
    }

static inline void take(void *arg, enum jsfs_status status)
{
    struct end *end = arg;
    pthread_mutex_lock(&end->lock);
    end->answers++;
    end->status = status;
    pthread_cond_broadcast(&end->changed);
    pthread_mutex_unlock(&end->lock);
}

static inline bool has_ended(struct end *end)
{
    pthread_mutex_lock(&end->lock);
    bool ended = end->answers > 0;
    pthread_mutex_unlock(&end->lock);
    return ended;
}

static inline enum jsfs_status wait_for(struct end *end)
{
    pthread_mutex_lock(&end->lock);
    while (end->answers == 0)
        pthread_cond_wait(&end->changed, &end->lock);
    assert_int_equal(end->answers, 1);
    pthread_mutex_unlock(&end->lock);
    return end->status;
}

/* Ask a question until it is answered with yes, or for too long. */
#define eventually(question)                                                             \
    do {                                                                                 \
        int64_t stop_ms = clock_monotonic_ms() + PATIENCE_MS;                            \
        while (!(question) && clock_monotonic_ms() < stop_ms)                            \
            nanosleep(&(struct timespec){0, 200000}, NULL);                              \
        assert_true(question);                                                           \
    } while (0)

static inline void ignore_change(void *arg, struct bucket *bucket, const char *path,
                                 uint64_t sequence, uint64_t own_token)
{
    (void)arg, (void)bucket, (void)path, (void)sequence, (void)own_token;
}

static inline void ignore_event(void *arg, struct bucket *bucket)
{
    (void)arg, (void)bucket;
}

#endif
