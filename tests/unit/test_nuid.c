/* SPDX-License-Identifier: Apache-2.0 */
/* test_nuid.c - identifiers have their form and never come twice.
 * Unit test of layer 2.
 */
#include "core/nuid.h"
#include "core/cleanup.h"
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define RANDOM_LENGTH 12
#define THREADS 4
#define EACH 20000

static void an_identifier_is_22_characters_of_base62(void **state)
{
    char id[NUID_SIZE];
    (void)state;

    for (int i = 0; i < 1000; i++) {
        memset(id, '!', sizeof(id));
        nuid_next(id);
        assert_int_equal(strlen(id), 22);
        assert_int_equal(strspn(id, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                    "abcdefghijklmnopqrstuvwxyz"),
                         22);
    }
}

static void identifiers_of_a_process_count_on_behind_one_random_part(void **state)
{
    char first[NUID_SIZE], second[NUID_SIZE];
    (void)state;

    nuid_next(first);
    nuid_next(second);
    assert_memory_equal(first, second, RANDOM_LENGTH);
    assert_string_not_equal(first, second);
}

static void *draw_many(void *arg)
{
    char(*ids)[NUID_SIZE] = arg;

    for (int i = 0; i < EACH; i++)
        nuid_next(ids[i]);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void no_two_threads_get_the_same_identifier(void **state)
{
    static char ids[THREADS * EACH][NUID_SIZE];
    pthread_t threads[THREADS];
    (void)state;

    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, draw_many, ids[i * EACH]);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    qsort(ids, THREADS * EACH, NUID_SIZE, compare);
    for (int i = 1; i < THREADS * EACH; i++)
        assert_string_not_equal(ids[i - 1], ids[i]);
}

/* What a forked child draws; false when it could not tell. */
static bool draw_in_child(char out[NUID_SIZE])
{
    int ends[2];
    pid_t child;

    if (pipe(ends) != 0 || (child = fork()) < 0)
        return false;
    if (child == 0) {
        char id[NUID_SIZE];
        nuid_next(id);
        _exit(write(ends[1], id, sizeof(id)) == sizeof(id) ? 0 : 1);
    }
    close(ends[1]);
    bool read_all = read(ends[0], out, NUID_SIZE) == NUID_SIZE;
    close(ends[0]);
    waitpid(child, NULL, 0);
    return read_all;
}

static void a_forked_process_draws_its_own_random_part(void **state)
{
    char mine[NUID_SIZE], of_one[NUID_SIZE], of_other[NUID_SIZE], after[NUID_SIZE];
    (void)state;

    nuid_next(mine);
    assert_true(draw_in_child(of_one));
    assert_true(draw_in_child(of_other));
    nuid_next(after);
    assert_memory_not_equal(mine, of_one, RANDOM_LENGTH);
    assert_memory_not_equal(mine, of_other, RANDOM_LENGTH);
    assert_memory_not_equal(of_one, of_other, RANDOM_LENGTH);
    assert_memory_equal(mine, after, RANDOM_LENGTH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_identifier_is_22_characters_of_base62),
        cmocka_unit_test(identifiers_of_a_process_count_on_behind_one_random_part),
        cmocka_unit_test(no_two_threads_get_the_same_identifier),
        cmocka_unit_test(a_forked_process_draws_its_own_random_part),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
