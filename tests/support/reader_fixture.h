/* SPDX-License-Identifier: Apache-2.0 */
/* reader_fixture.h - a reader of one object on the store in memory, and what its reads end in.
 * Test support; included once by each program.
 */
#ifndef JSFS_TESTS_READER_FIXTURE_H
#define JSFS_TESTS_READER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "core/reader.h"
#include "tests/support/fake_store.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 1000
#define COUNT 20
#define SIZE (CHUNK * (COUNT - 1) + 345)
#define BUDGET (1u << 20)

struct fixture {
    struct fake_store *fake;
    struct chunk_cache *cache;
    struct source *source;
    struct reader *reader;
};

/* What a read ended in. */
struct got {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int answers;
    enum jsfs_status status;
    size_t size;
    char *data;
};

static inline void take(void *arg, enum jsfs_status status, const struct iovec *parts,
                        int count)
{
    struct got *got = arg;

    pthread_mutex_lock(&got->lock);
    got->answers++;
    got->status = status;
    got->size = 0;
    for (int i = 0; i < count; i++) {
        got->data = realloc(got->data, got->size + parts[i].iov_len);
        memcpy(got->data + got->size, parts[i].iov_base, parts[i].iov_len);
        got->size += parts[i].iov_len;
    }
    pthread_cond_broadcast(&got->changed);
    pthread_mutex_unlock(&got->lock);
}

static inline struct got *ask(struct reader *reader, uint64_t offset, size_t size)
{
    struct got *got = calloc(1, sizeof(*got));

    pthread_mutex_init(&got->lock, NULL);
    pthread_cond_init(&got->changed, NULL);
    reader_read(reader, offset, size, take, got);
    return got;
}

static inline void wait_for(struct got *got)
{
    pthread_mutex_lock(&got->lock);
    while (got->answers == 0)
        pthread_cond_wait(&got->changed, &got->lock);
    pthread_mutex_unlock(&got->lock);
}

static inline void drop(struct got *got)
{
    pthread_cond_destroy(&got->changed);
    pthread_mutex_destroy(&got->lock);
    free(got->data);
    free(got);
}

/* True when it has been answered, once, with these bytes of fake_store_put_object(). */
static inline bool has_bytes(const struct got *got, uint64_t offset, size_t size)
{
    if (got->answers != 1 || got->status != JSFS_OK || got->size != size)
        return false;
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)got->data[i] != (unsigned char)(offset + i))
            return false;
    }
    return true;
}

/* Read now and say what it ended in; the bytes must be right if it ended well. */
static inline enum jsfs_status read_now(struct reader *reader, uint64_t offset,
                                        size_t size)
{
    struct got *got = ask(reader, offset, size);
    enum jsfs_status status = got->status;

    assert_int_equal(got->answers, 1);
    if (status == JSFS_OK)
        assert_true(has_bytes(got, offset, size));
    drop(got);
    return status;
}

static inline void start(struct fixture *f, const struct object_meta *meta,
                         uint64_t sequence, size_t budget, int prefetch)
{
    f->cache = chunk_cache_new(budget);
    f->source = source_new(f->cache, fake_store_get(f->fake), meta, sequence);
    f->reader = reader_new(f->source, prefetch);
    assert_non_null(f->reader);
}

/* Read an object of the fake. */
static inline void open_object(struct fixture *f, size_t budget, int prefetch)
{
    const struct store_entry *entry = fake_store_newest(f->fake, "object");
    start(f, entry->meta, entry->sequence, budget, prefetch);
}

static inline void put_object(struct fixture *f, size_t size, uint32_t chunk)
{
    fake_store_put_object(f->fake, "object", "nuid", size, chunk);
}

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->fake = fake_store_new(STORE_OBJECT);
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    reader_free(f->reader);
    source_unref(f->source);
    fake_store_free(f->fake);
    chunk_cache_free(f->cache);
    free(f);
    return 0;
}

static inline unsigned requests(struct fixture *f)
{
    return fake_store_calls(f->fake, FAKE_CHUNK_GET) +
           fake_store_calls(f->fake, FAKE_CHUNK_FIRST) +
           fake_store_calls(f->fake, FAKE_CHUNK_LAST) +
           fake_store_calls(f->fake, FAKE_CHUNK_MAP);
}

#endif
