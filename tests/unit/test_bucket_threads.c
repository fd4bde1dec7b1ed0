/* SPDX-License-Identifier: Apache-2.0 */
/* test_bucket_threads.c - many threads look up, list, write and remove while events come, the
 * watch is lost and the list runs again: everything is answered once, changes of a name are
 * told in order, and at the end the tree is what the store holds.
 * Test of core/bucket.c and its parts; meant for the thread sanitizer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/cleanup.h"
#include "tests/support/bucket_fixture.h"
#include <stdio.h>
#include <string.h>

#define KEYS 40
#define ROUNDS 400

struct world {
    struct executor *executor;
    struct fake_store *fake;
    struct bucket *bucket;
    atomic_bool done, connected;
    atomic_uint asked, answered, disorder;
    uint64_t newest[KEYS]; /* the observer's: one notice at a time */
    atomic_int observing;
};

static void key_of(unsigned number, char out[32])
{
    snprintf(out, 32, "d%u/e/k%u", number % 4, number);
}

/* The observer ----------------------------------------------------------------------------- */

static void on_changed(void *arg, struct bucket *bucket, const char *path,
                       uint64_t sequence, uint64_t own_token)
{
    struct world *world = arg;
    unsigned number = 0;

    (void)bucket;
    (void)own_token;
    if (atomic_fetch_add(&world->observing, 1) != 0)
        world->disorder++;
    if (sscanf(strrchr(path, 'k'), "k%u", &number) == 1 && number < KEYS) {
        if (sequence != UINT64_MAX && sequence <= world->newest[number])
            world->disorder++;
        if (sequence != UINT64_MAX)
            world->newest[number] = sequence;
    }
    atomic_fetch_sub(&world->observing, 1);
}

static void on_event(void *arg, struct bucket *bucket)
{
    struct world *world = arg;

    (void)bucket;
    if (atomic_fetch_add(&world->observing, 1) != 0)
        world->disorder++;
    atomic_fetch_sub(&world->observing, 1);
}

static bool is_connected(void *arg)
{
    return ((struct world *)arg)->connected;
}

/* Those who ask ---------------------------------------------------------------------------- */

static void count_lookup(void *arg, enum jsfs_status status, const struct tree_attr *attr)
{
    struct world *world = arg;

    if ((status == JSFS_OK) != (attr != NULL))
        world->disorder++;
    world->answered++;
}

static void count_status(void *arg, enum jsfs_status status)
{
    (void)status;
    ((struct world *)arg)->answered++;
}

/* Has a reference to the bucket, which may be stopped and let go before the answer comes. */
static void count_written(void *arg, enum jsfs_status status, uint64_t sequence)
{
    struct world *world = arg;

    if (status == JSFS_OK) {
        world->asked++;
        bucket_written(world->bucket, "d0/e/k0", sequence, 0, count_lookup, world);
    }
    world->answered++;
    bucket_unref(world->bucket);
}

static void *look_up_names(void *arg)
{
    struct world *world = arg;
    char key[32];

    for (unsigned i = 0; i < ROUNDS; i++) {
        key_of(i % KEYS, key);
        if (i % 3 == 0)
            key[2 + (i % 2) * 2] = '\0'; /* "d0" or "d0/e" */
        world->asked++;
        bucket_lookup(world->bucket, key, count_lookup, world);
        nap_ms(i % 16 == 0);
    }
    return NULL;
}

static void *list_names(void *arg)
{
    struct world *world = arg;

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct tree_page page;

        world->asked++;
        bucket_wait_listed(world->bucket, count_status, world);
        if (tree_list(bucket_tree(world->bucket), "d1/e", i % 7, 5, &page) == JSFS_OK)
            tree_page_clear(&page);
        nap_ms(i % 16 == 0);
    }
    return NULL;
}

static void *write_names(void *arg)
{
    struct world *world = arg;
    struct store *store = bucket_store(world->bucket);
    struct bytes *bytes = bytes_copy("value", 5);
    char key[32];

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct store_write write = {.expect = STORE_EXPECT_ANY, .token = store_token()};

        key_of(i % KEYS, key);
        world->asked++;
        if (i % 4 == 0)
            bucket_remove(world->bucket, key, count_status, world);
        else if (i % 4 == 1) {
            bucket_ref(world->bucket);
            store->ops->value_put(store, "d0/e/k0", bytes, &write, count_written, world);
        } else {
            fake_store_put(world->fake, key, "foreign");
            world->answered++;
        }
        nap_ms(i % 16 == 0);
    }
    bytes_unref(bytes);
    return NULL;
}

static void *disturb(void *arg)
{
    struct world *world = arg;

    for (unsigned i = 0; !world->done; i++) {
        nap_ms(7);
        fake_store_lost(world->fake);
        world->connected = i % 3 != 0;
        nap_ms(2);
        world->connected = true;
        fake_store_resume(world->fake, i % 2 == 0);
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------------ */

static void make_world(struct world *world)
{
    struct bucket_options options = {
        .connected = is_connected, .connected_arg = world, .load_timeout_ms = 5000};
    struct bucket_observer observer = {on_changed, on_event, on_event, world};
    char key[32];

    memset(world, 0, sizeof(*world));
    world->connected = true;
    world->executor = executor_new(4);
    world->fake = fake_store_new(STORE_KV);
    fake_store_answer_on(world->fake, world->executor);
    for (unsigned i = 0; i < KEYS; i += 2) {
        key_of(i, key);
        fake_store_put(world->fake, key, "first");
    }
    world->bucket =
        bucket_new(fake_store_get(world->fake), "fake", fake_store_info(world->fake),
                   world->executor, &options, &observer);
}

static bool all_answered(void *arg)
{
    struct world *world = arg;

    return world->asked == world->answered;
}

static bool is_live(void *arg)
{
    return bucket_is_live(((struct world *)arg)->bucket);
}

static bool is_closed(void *arg)
{
    return fake_store_is_closed(((struct world *)arg)->fake);
}

static bool is_settled(void *arg)
{
    return fake_store_is_quiet(((struct world *)arg)->fake);
}

static void compare(struct world *world)
{
    for (unsigned i = 0; i < KEYS; i++) {
        const struct store_entry *entry;
        struct tree_attr attr;
        char key[32];
        enum jsfs_status status;

        key_of(i, key);
        entry = fake_store_newest(world->fake, key);
        status = tree_lookup(bucket_tree(world->bucket), key, &attr);
        if (entry != NULL && entry->state == STORE_LIVE) {
            assert_int_equal(status, JSFS_OK);
            assert_int_equal(attr.sequence, entry->sequence);
        } else {
            assert_int_equal(status, JSFS_NOT_FOUND);
        }
    }
}

static void everything_is_answered_once_and_in_order_under_disturbance(void **state)
{
    static void *(*const jobs[])(void *) = {look_up_names, look_up_names, list_names,
                                            write_names, write_names};
    pthread_t threads[5], disturber;
    struct world world;

    (void)state;
    make_world(&world);
    world.asked++;
    bucket_wait_listed(world.bucket, count_status, &world);
    wait_until(is_live, &world);
    assert_int_equal(pthread_create(&disturber, NULL, disturb, &world), 0);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, jobs[i], &world), 0);
    for (size_t i = 0; i < 5; i++)
        pthread_join(threads[i], NULL);
    wait_until(all_answered, &world);
    world.done = true;
    pthread_join(disturber, NULL);
    wait_until(is_live, &world);
    wait_until(is_settled, &world);
    compare(&world);
    assert_int_equal(world.disorder, 0);
    bucket_stop(world.bucket);
    bucket_unref(world.bucket);
    wait_until(is_closed, &world);
    assert_int_equal(world.asked, world.answered);
    executor_free(world.executor);
    fake_store_free(world.fake);
}

static void a_bucket_can_be_stopped_at_any_moment(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        pthread_t threads[3];
        struct world world;

        make_world(&world);
        assert_int_equal(pthread_create(&threads[0], NULL, look_up_names, &world), 0);
        assert_int_equal(pthread_create(&threads[1], NULL, list_names, &world), 0);
        assert_int_equal(pthread_create(&threads[2], NULL, write_names, &world), 0);
        nap_ms(round);
        bucket_stop(world.bucket);
        for (size_t i = 0; i < 3; i++)
            pthread_join(threads[i], NULL);
        bucket_unref(world.bucket);
        wait_until(is_closed, &world);
        assert_int_equal(world.asked, world.answered);
        executor_free(world.executor);
        fake_store_free(world.fake);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_answered_once_and_in_order_under_disturbance),
        cmocka_unit_test(a_bucket_can_be_stopped_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
