/* SPDX-License-Identifier: Apache-2.0 */
/* test_bytes.c - bytes live as long as somebody holds them, and their owner no longer.
 * Unit test of layer 1.
 */
#include "core/bytes.h"
#include "core/cleanup.h"
#include "tests/support/failing_malloc.h"
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define THREADS 4
#define ROUNDS 20000

static void count_release(void *owner)
{
    atomic_fetch_add((atomic_int *)owner, 1);
}

static void the_last_reference_releases_the_owner_once(void **state)
{
    static const char data[] = "abc";
    atomic_int released = 0;
    (void)state;

    struct bytes *bytes = bytes_wrap(data, 3, count_release, &released);
    assert_ptr_equal(bytes->data, data);
    assert_int_equal(bytes->size, 3);
    assert_ptr_equal(bytes_ref(bytes), bytes);
    bytes_unref(bytes);
    assert_int_equal(released, 0);
    bytes_unref(bytes);
    assert_int_equal(released, 1);
}

static void a_copy_does_not_follow_its_original(void **state)
{
    char original[] = "abc";
    CLEANUP(cleanup_bytes) struct bytes *bytes = bytes_copy(original, 3);
    (void)state;

    memset(original, 'x', 3);
    assert_int_equal(bytes->size, 3);
    assert_memory_equal(bytes->data, "abc", 3);
}

static void a_copy_of_nothing_is_empty(void **state)
{
    CLEANUP(cleanup_bytes) struct bytes *bytes = bytes_copy(NULL, 0);
    (void)state;

    assert_non_null(bytes);
    assert_non_null(bytes->data);
    assert_int_equal(bytes->size, 0);
}

static void giving_back_nothing_is_fine(void **state)
{
    CLEANUP(cleanup_bytes) struct bytes *none = NULL;
    (void)state;

    bytes_unref(none);
}

static void without_memory_the_owner_stays_the_callers(void **state)
{
    atomic_int released = 0;
    (void)state;

    failing_malloc_start(1);
    struct bytes *wrapped = bytes_wrap("abc", 3, count_release, &released);
    assert_true(failing_malloc_stop());
    failing_malloc_start(1);
    struct bytes *copied = bytes_copy("abc", 3);
    assert_true(failing_malloc_stop());

    assert_null(wrapped);
    assert_null(copied);
    assert_null(bytes_copy("", SIZE_MAX));
    assert_int_equal(released, 0);
}

/* Reads the bytes before each reference goes, so that a release too early is a report of the
 * sanitizers.
 */
static void *hold_and_give_back(void *arg)
{
    struct bytes *bytes = arg;
    size_t sum = 0;

    for (int i = 0; i < ROUNDS; i++) {
        struct bytes *mine = bytes_ref(bytes);
        sum += (unsigned char)mine->data[i % (int)mine->size];
        bytes_unref(mine);
    }
    bytes_unref(bytes);
    return (void *)sum;
}

static void threads_may_hold_the_same_bytes(void **state)
{
    atomic_int released = 0;
    pthread_t threads[THREADS];
    struct bytes *bytes = bytes_wrap("\1\1\1", 3, count_release, &released);
    (void)state;

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, hold_and_give_back, bytes_ref(bytes)), 0);
    bytes_unref(bytes);
    for (int i = 0; i < THREADS; i++) {
        void *sum;
        pthread_join(threads[i], &sum);
        assert_int_equal((size_t)sum, ROUNDS);
    }
    assert_int_equal(released, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_reference_releases_the_owner_once),
        cmocka_unit_test(a_copy_does_not_follow_its_original),
        cmocka_unit_test(a_copy_of_nothing_is_empty),
        cmocka_unit_test(giving_back_nothing_is_fine),
        cmocka_unit_test(without_memory_the_owner_stays_the_callers),
        cmocka_unit_test(threads_may_hold_the_same_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
