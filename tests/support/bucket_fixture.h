/* SPDX-License-Identifier: Apache-2.0 */
/* bucket_fixture.h - a bucket on a fake store, with what its observer was told, and answers
 * that can be waited for.
 * Test support.
 */
#ifndef JSFS_TESTS_BUCKET_FIXTURE_H
#define JSFS_TESTS_BUCKET_FIXTURE_H

#include "core/bucket.h"
#include "tests/support/fake_store.h"
#include <pthread.h>
#include <stdatomic.h>

#define LOAD_TIMEOUT_MS 3000

struct fixture {
    struct executor *executor;
    struct fake_store *fake;
    struct store *store;
    struct bucket *bucket; /* NULL when the test has given it up */
    atomic_bool connected;
    pthread_mutex_t lock;
    char told[4096];     /* lock; "path@sequence ", "path@gone ", "lost ", "gone " */
    uint64_t last_token; /* lock */
};

/* What a callback got. */
struct answer {
    atomic_int count;
    enum jsfs_status status;
    struct tree_attr attr; /* meta is NULL */
    char nuid[64];
    uint64_t sequence;
};

/* cmocka fixtures: *state becomes a struct fixture. */
int fixture_make_kv(void **state);
int fixture_make_object(void **state);
int fixture_drop(void **state);

/* A fixture whose bucket's options the test chooses. */
struct fixture *fixture_new(enum store_kind kind, int64_t max_age_ns, int64_t idle_ms,
                            int64_t poll_ms);

/* Start the watch and wait until the list is complete. */
void fixture_go_live(struct fixture *fixture);
void wait_until_watched(struct fixture *fixture);
/* Wait until no other thread tells anything: then the test's own does, at once. */
void wait_until_quiet(struct fixture *fixture);
/* Wait until the observer was told exactly this. */
void wait_until_told(struct fixture *fixture, const char *told);
bool was_told(struct fixture *fixture, const char *part);
void nap_ms(int64_t ms);
/* Wait until check(arg) holds; fails the test after some seconds. */
void wait_until(bool (*check)(void *arg), void *arg);

void answer_init(struct answer *answer);
void answer_wait(struct answer *answer);

/* Callbacks of core/bucket.h and core/store.h; arg is a struct answer. */
void take_lookup(void *arg, enum jsfs_status status, const struct tree_attr *attr);
void take_status(void *arg, enum jsfs_status status);
void take_write(void *arg, enum jsfs_status status, uint64_t sequence);
void take_info(void *arg, enum jsfs_status status, const struct js_stream_info *info);

/* Look a path up and wait; borrowed until the next call. */
struct answer *look_up(struct fixture *fixture, const char *path);
/* Remove a name and wait. */
enum jsfs_status remove_name(struct fixture *fixture, const char *path);

#endif
