/* SPDX-License-Identifier: Apache-2.0 */
/* fake_bucket.h - a bucket on the store in memory that nobody observes.
 * Test support; included once by each program.
 */
#ifndef JSFS_TESTS_FAKE_BUCKET_H
#define JSFS_TESTS_FAKE_BUCKET_H

#include "tests/support/end.h"
#include "tests/support/fake_store.h"

/* A bucket "b" with a store and an executor of its own. */
struct fake_bucket {
    struct fake_store *fake;
    struct bucket *bucket;
    struct executor *executor;
};

static inline struct fake_bucket fake_bucket_open(enum store_kind kind)
{
    const struct bucket_options options = {.load_timeout_ms = 5000};
    const struct bucket_observer observer = {ignore_change, ignore_event, ignore_event,
                                             NULL};
    struct fake_store *fake = fake_store_new(kind);
    struct executor *executor = executor_new(2);

    return (struct fake_bucket){
        .fake = fake,
        .bucket = bucket_new(fake_store_get(fake), "b", fake_store_info(fake), executor,
                             &options, &observer),
        .executor = executor,
    };
}

static inline void fake_bucket_close(const struct fake_bucket *made)
{
    bucket_stop(made->bucket);
    bucket_unref(made->bucket);
    executor_free(made->executor);
    fake_store_free(made->fake);
}

#endif
