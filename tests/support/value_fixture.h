/* SPDX-License-Identifier: Apache-2.0 */
/* value_fixture.h - a value that is open for writing, on the store in memory.
 * Test support; included once by each program.
 */
#ifndef JSFS_TESTS_VALUE_FIXTURE_H
#define JSFS_TESTS_VALUE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "core/value_file.h"
#include "tests/support/fake_bucket.h"
#include <stdlib.h>
#include <string.h>

#define OLD "old value"

struct fixture {
    struct fake_bucket made;
    struct fake_store *fake; /* as made */
    struct bucket *bucket;
    struct value_file *file;
    uint64_t old_revision;
};

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->made = fake_bucket_open(STORE_KV);
    f->fake = f->made.fake;
    f->bucket = f->made.bucket;
    f->old_revision = fake_store_put(f->fake, "key", OLD);
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    value_file_unref(f->file);
    fake_bucket_close(&f->made);
    free(f);
    return 0;
}

/* Open the key as it is. */
static inline void open_old(struct fixture *f)
{
    const struct store_entry *entry = fake_store_newest(f->fake, "key");
    f->file = value_file_new(f->bucket, "key", "key", entry->sequence, entry->size_bytes,
                             entry->modified_ns);
    assert_non_null(f->file);
}

static inline enum jsfs_status load_now(struct value_file *file)
{
    struct end end = END_INIT;
    value_file_load(file, take, &end);
    return wait_for(&end);
}

static inline void open_loaded(struct fixture *f)
{
    open_old(f);
    assert_int_equal(load_now(f->file), JSFS_OK);
}

static inline void open_new(struct fixture *f)
{
    f->file = value_file_new(f->bucket, "new", "new", 0, 0, 0);
    assert_non_null(f->file);
}

static inline void commit(struct fixture *f, bool release, struct end *end)
{
    value_file_commit(f->file, release, take, end);
}

static inline enum jsfs_status commit_now(struct fixture *f, bool release)
{
    struct end end = END_INIT;
    commit(f, release, &end);
    return wait_for(&end);
}

static inline enum jsfs_status write_text(struct fixture *f, uint64_t offset,
                                          const char *text)
{
    return value_file_write(f->file, offset, text, strlen(text), false);
}

static inline enum jsfs_status append_text(struct fixture *f, const char *text)
{
    return value_file_write(f->file, 0, text, strlen(text), true);
}

static inline void assert_stored(struct fixture *f, const char *key, const char *text)
{
    struct bytes *value = fake_store_value(f->fake, key);
    assert_non_null(value);
    assert_int_equal(value->size, strlen(text));
    if (value->size > 0)
        assert_memory_equal(value->data, text, value->size);
    bytes_unref(value);
}

static inline void assert_local(struct fixture *f, const char *text)
{
    char data[256];
    size_t size = 0;
    assert_int_equal(value_file_read(f->file, 0, sizeof(data), data, &size), JSFS_OK);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(data, text, size);
}

static inline struct value_file_stat stat_of(struct fixture *f)
{
    struct value_file_stat stat;
    value_file_get(f->file, &stat);
    return stat;
}

static inline unsigned calls(struct fixture *f, enum fake_op op)
{
    return fake_store_calls(f->fake, op);
}

#endif
