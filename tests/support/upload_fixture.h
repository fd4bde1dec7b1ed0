/* SPDX-License-Identifier: Apache-2.0 */
/* upload_fixture.h - an upload over an object that is there already, on the store in memory.
 * Test support; included once by each program.
 */
#ifndef JSFS_TESTS_UPLOAD_FIXTURE_H
#define JSFS_TESTS_UPLOAD_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "core/digest.h"
#include "core/reader.h"
#include "core/upload.h"
#include "tests/support/fake_bucket.h"
#include <stdlib.h>
#include <string.h>

#define CHUNK 1000
#define WINDOW (4 * CHUNK)
#define OLD_SIZE (3 * CHUNK)

struct fixture {
    struct fake_bucket made;
    struct fake_store *fake; /* as made */
    struct bucket *bucket;
    struct executor *executor;
    struct upload *upload;
    uint64_t old_sequence;
    uint64_t messages; /* stored before the upload */
};

static inline void take_info(void *arg, enum jsfs_status status,
                             const struct js_stream_info *info)
{
    (void)status;
    *(uint64_t *)arg = info->messages;
}

static inline uint64_t count_messages(struct fixture *f)
{
    struct store *store = fake_store_get(f->fake);
    uint64_t messages = 0;
    store->ops->info(store, take_info, &messages);
    return messages;
}

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->made = fake_bucket_open(STORE_OBJECT);
    f->fake = f->made.fake;
    f->bucket = f->made.bucket;
    f->executor = f->made.executor;
    f->old_sequence = fake_store_put_object(f->fake, "name", "old", OLD_SIZE, CHUNK);
    f->messages = count_messages(f);
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    upload_close(f->upload);
    fake_bucket_close(&f->made);
    free(f);
    return 0;
}

static inline void start(struct fixture *f)
{
    const struct upload_options options = {CHUNK, WINDOW};
    f->upload = upload_new(f->bucket, f->executor, "name", "name", &options);
    assert_non_null(f->upload);
}

/* Write bytes 0, 1, 2 … of the object, without waiting. */
static inline void write_at(struct upload *upload, uint64_t offset, size_t size,
                            struct end *end)
{
    unsigned char *data = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        data[i] = (unsigned char)(offset + i);
    upload_write(upload, offset, data, size, take, end);
    free(data);
}

static inline enum jsfs_status write_now(struct upload *upload, uint64_t offset,
                                         size_t size)
{
    struct end end = END_INIT;
    write_at(upload, offset, size, &end);
    return wait_for(&end);
}

static inline void commit_at(struct upload *upload, enum store_expect expect,
                             uint64_t sequence, struct end *end)
{
    struct store_write write = {.expect = expect, .sequence = sequence};
    upload_commit(upload, &write, take, end);
}

static inline enum jsfs_status commit_now(struct upload *upload, enum store_expect expect,
                                          uint64_t sequence)
{
    struct end end = END_INIT;
    commit_at(upload, expect, sequence, &end);
    return wait_for(&end);
}

/* Upload size bytes in one go and commit them over whatever is there. */
static inline enum jsfs_status put(struct fixture *f, size_t size)
{
    start(f);
    enum jsfs_status status = write_now(f->upload, 0, size);
    enum jsfs_status committed = commit_now(f->upload, STORE_EXPECT_ANY, 0);
    return status != JSFS_OK ? status : committed;
}

static inline void compare(void *arg, enum jsfs_status status, const struct iovec *parts,
                           int count)
{
    size_t at = 0;
    bool *right = arg;

    *right = status == JSFS_OK;
    for (int i = 0; i < count; i++) {
        for (size_t j = 0; j < parts[i].iov_len; j++, at++)
            *right &= ((unsigned char *)parts[i].iov_base)[j] == (unsigned char)at;
    }
}

/* The name has size bytes 0, 1, 2 …, in chunks that add up and with the right digest. */
static inline void assert_object(struct fixture *f, size_t size)
{
    const struct store_entry *entry = fake_store_newest(f->fake, "name");
    struct chunk_cache *cache = chunk_cache_new(1u << 20);
    struct source *source =
        source_new(cache, fake_store_get(f->fake), entry->meta, entry->sequence);
    struct reader *reader = reader_new(source, 0);
    bool right = false;

    assert_int_equal(entry->state, STORE_LIVE);
    assert_int_equal(entry->meta->size_bytes, size);
    assert_true(entry->meta->has_digest);
    assert_int_equal(fake_store_chunks(f->fake, entry->meta->nuid), entry->meta->chunks);
    reader_read(reader, 0, size, compare, &right);
    assert_true(right);
    reader_free(reader);
    source_unref(source);
    chunk_cache_free(cache);
}

/* The name is as it was before, and nothing else is stored. */
static inline void assert_undone(struct fixture *f)
{
    assert_int_equal(fake_store_newest(f->fake, "name")->sequence, f->old_sequence);
    assert_object(f, OLD_SIZE);
    eventually(count_messages(f) == f->messages);
}

static inline unsigned calls(struct fixture *f, enum fake_op op)
{
    return fake_store_calls(f->fake, op);
}

#endif
