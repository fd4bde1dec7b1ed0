/* SPDX-License-Identifier: Apache-2.0 */
/* test_bucket_catch_up.c - waiting until the tree shows what the server has.
 * Test of core/bucket_catch_up.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/bucket_fixture.h"

static void a_bucket_that_is_up_to_date_answers_without_a_search(void **state)
{
    struct fixture *f = *state;
    struct answer answer;

    fake_store_put(f->fake, "a", "1");
    fixture_go_live(f);
    answer_init(&answer);
    bucket_catch_up(f->bucket, take_status, &answer);
    answer_wait(&answer);
    assert_int_equal(answer.status, JSFS_OK);
    assert_int_equal(fake_store_calls(f->fake, FAKE_NEXT), 0);
}

static void what_the_watch_has_not_told_yet_is_waited_for(void **state)
{
    struct fixture *f = *state;
    struct answer answer;

    fixture_go_live(f);
    fake_store_hold(f->fake, FAKE_EVENTS);
    fake_store_put(f->fake, "a", "1");
    answer_init(&answer);
    bucket_catch_up(f->bucket, take_status, &answer);
    nap_ms(50);
    assert_int_equal(answer.count, 0);
    fake_store_release(f->fake, FAKE_EVENTS);
    answer_wait(&answer);
    assert_int_equal(answer.status, JSFS_OK);
    assert_int_equal(look_up(f, "a")->status, JSFS_OK);
}

static void messages_that_are_gone_are_not_waited_for(void **state)
{
    struct fixture *f = *state;
    struct answer answer;

    fixture_go_live(f);
    fake_store_hold(f->fake, FAKE_EVENTS);
    fake_store_forget(f->fake, fake_store_put(f->fake, "a", "1"));
    answer_init(&answer);
    bucket_catch_up(f->bucket, take_status, &answer);
    answer_wait(&answer);
    assert_int_equal(answer.status, JSFS_OK);
    assert_true(fake_store_calls(f->fake, FAKE_NEXT) > 0);
}

static void a_watch_that_stays_behind_is_a_timeout(void **state)
{
    struct fixture *f = *state;
    struct answer answer;

    fixture_go_live(f);
    fake_store_hold(f->fake, FAKE_EVENTS);
    fake_store_put(f->fake, "a", "1");
    answer_init(&answer);
    bucket_catch_up(f->bucket, take_status, &answer);
    answer_wait(&answer);
    assert_int_equal(answer.status, JSFS_TIMEOUT);
}

static void a_server_that_cannot_be_asked_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct answer answer;

    fixture_go_live(f);
    fake_store_fail(f->fake, FAKE_INFO, 1, JSFS_DENIED, false);
    answer_init(&answer);
    bucket_catch_up(f->bucket, take_status, &answer);
    answer_wait(&answer);
    assert_int_equal(answer.status, JSFS_DENIED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_make_kv, fixture_drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_bucket_that_is_up_to_date_answers_without_a_search),
        TEST(what_the_watch_has_not_told_yet_is_waited_for),
        TEST(messages_that_are_gone_are_not_waited_for),
        TEST(a_watch_that_stays_behind_is_a_timeout),
        TEST(a_server_that_cannot_be_asked_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
