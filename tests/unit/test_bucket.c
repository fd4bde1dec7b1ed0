/* SPDX-License-Identifier: Apache-2.0 */
/* test_bucket.c - a bucket on a store in memory: what it answers while its watch loads, lives
 * and is lost, and what it tells its observer.
 * Test of core/bucket.c and its parts; own writes are in test_bucket_write.c, timers and
 * polls in test_bucket_watch.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/bucket_fixture.h"
#include <string.h>

static void a_live_bucket_answers_from_the_tree_before_it_returns(void **state)
{
    struct fixture *f = *state;
    struct answer answer;

    fake_store_put(f->fake, "a/b", "hello");
    fixture_go_live(f);
    answer_init(&answer);
    bucket_lookup(f->bucket, "a/b", take_lookup, &answer);
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.status, JSFS_OK);
    assert_int_equal(answer.attr.size_bytes, 5);
    assert_int_equal(answer.attr.sequence, 1);
    assert_int_equal(look_up(f, "a")->attr.type, TREE_DIRECTORY);
    assert_int_equal(look_up(f, "")->attr.type, TREE_DIRECTORY);
    assert_int_equal(look_up(f, "x")->status, JSFS_NOT_FOUND);
    assert_int_equal(look_up(f, "a/b/c")->status, JSFS_NOT_DIRECTORY);
    assert_int_equal(look_up(f, "%zz")->status, JSFS_BAD_NAME);
    assert_int_equal(fake_store_calls(f->fake, FAKE_LOOKUP), 0);
    assert_true(bucket_is_live(f->bucket));
    assert_true(bucket_lifetime_ms(f->bucket, 0, 0) == INT64_MAX);
}

static void a_key_is_asked_at_the_server_while_the_list_loads(void **state)
{
    struct fixture *f = *state;

    fake_store_manual(f->fake);
    fake_store_put(f->fake, "key", "hello");
    assert_int_equal(look_up(f, "key")->attr.size_bytes, 5);
    assert_int_equal(fake_store_calls(f->fake, FAKE_LOOKUP), 1);
    assert_false(bucket_is_live(f->bucket));
    assert_int_equal(bucket_lifetime_ms(f->bucket, 0, 0), 0);
}

static void the_top_shows_at_once_while_the_list_loads(void **state)
{
    struct fixture *f = *state;
    struct answer answer;

    fake_store_manual(f->fake);
    answer_init(&answer);
    bucket_lookup(f->bucket, "", take_lookup, &answer);
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.attr.type, TREE_DIRECTORY);
    assert_int_equal(fake_store_calls(f->fake, FAKE_LOOKUP), 0);
}

static void a_directory_shows_as_soon_as_a_name_below_it_is_listed(void **state)
{
    struct fixture *f = *state;
    struct answer answer;

    fake_store_manual(f->fake);
    fake_store_put(f->fake, "dir/key", "hello");
    answer_init(&answer);
    bucket_lookup(f->bucket, "dir", take_lookup, &answer);
    wait_until_watched(f);
    fake_store_begin(f->fake, true);
    assert_int_equal(answer.count, 0);
    fake_store_tell(f->fake, "dir/key");
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.attr.type, TREE_DIRECTORY);
}

static void a_name_that_is_not_there_waits_for_the_end_of_the_list(void **state)
{
    struct fixture *f = *state;
    struct answer answer, deleted;

    fake_store_manual(f->fake);
    fake_store_put(f->fake, "other", "hello");
    fake_store_mark(f->fake, "deleted", STORE_DELETED);
    answer_init(&answer);
    answer_init(&deleted);
    bucket_lookup(f->bucket, "none", take_lookup, &answer);
    bucket_lookup(f->bucket, "deleted", take_lookup, &deleted);
    wait_until_watched(f);
    fake_store_begin(f->fake, true);
    fake_store_tell(f->fake, "other");
    assert_int_equal(answer.count + deleted.count, 0);
    fake_store_live(f->fake);
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.status, JSFS_NOT_FOUND);
    assert_int_equal(deleted.status, JSFS_NOT_FOUND);
}

static void the_list_answers_when_the_server_does_not(void **state)
{
    struct fixture *f = *state;
    struct answer denied, held;

    fake_store_manual(f->fake);
    fake_store_put(f->fake, "a", "hello");
    answer_init(&denied);
    answer_init(&held);
    fake_store_fail(f->fake, FAKE_LOOKUP, 1, JSFS_DENIED, false);
    bucket_lookup(f->bucket, "a", take_lookup, &denied);
    fake_store_hold(f->fake, FAKE_LOOKUP);
    bucket_lookup(f->bucket, "a", take_lookup, &held);
    wait_until_watched(f);
    fake_store_begin(f->fake, true);
    fake_store_tell(f->fake, "a");
    assert_int_equal(denied.count + held.count, 0);
    fake_store_live(f->fake);
    assert_int_equal(denied.status, JSFS_OK);
    assert_int_equal(held.status, JSFS_OK);
    fake_store_release(f->fake, FAKE_LOOKUP);
    assert_int_equal(denied.count, 1);
    assert_int_equal(held.count, 1);
}

static void a_name_that_nobody_answers_for_times_out(void **state)
{
    struct fixture *f = *state;
    struct answer answer;

    fake_store_manual(f->fake);
    answer_init(&answer);
    bucket_lookup(f->bucket, "none", take_lookup, &answer);
    answer_wait(&answer);
    assert_int_equal(answer.status, JSFS_TIMEOUT);
}

static void a_failure_to_ask_is_the_answer_when_the_list_does_not_come(void **state)
{
    struct fixture *f = *state;

    fake_store_manual(f->fake);
    fake_store_fail(f->fake, FAKE_LOOKUP, 1, JSFS_DENIED, false);
    assert_int_equal(look_up(f, "a")->status, JSFS_DENIED);
}

static void listings_wait_for_the_list_and_get_its_failure(void **state)
{
    struct fixture *f = *state;
    struct answer first, second;

    fake_store_manual(f->fake);
    answer_init(&first);
    answer_init(&second);
    bucket_wait_listed(f->bucket, take_status, &first);
    wait_until_watched(f);
    fake_store_begin(f->fake, true);
    fake_store_list_failed(f->fake, JSFS_UNAVAILABLE);
    assert_int_equal(first.status, JSFS_UNAVAILABLE);
    bucket_wait_listed(f->bucket, take_status, &second);
    fake_store_begin(f->fake, true);
    assert_int_equal(second.count, 0);
    fake_store_live(f->fake);
    assert_int_equal(second.status, JSFS_OK);
    assert_int_equal(second.count, 1);
}

static void a_list_that_makes_progress_is_waited_for(void **state)
{
    struct fixture *f = *state;
    struct answer answer;

    fake_store_manual(f->fake);
    fake_store_put(f->fake, "a", "hello");
    answer_init(&answer);
    bucket_wait_listed(f->bucket, take_status, &answer);
    wait_until_watched(f);
    fake_store_begin(f->fake, true);
    for (int i = 0; i < 13; i++) {
        fake_store_tell(f->fake, "a");
        nap_ms(LOAD_TIMEOUT_MS / 10);
    }
    assert_int_equal(answer.count, 0);
    answer_wait(&answer);
    assert_int_equal(answer.status, JSFS_TIMEOUT);
}

static void every_legal_key_shows_however_strange(void **state)
{
    static const char *const keys[] = {"a:b~c",    "x//y",    "/lead", "50%",
                                       "@at",      ".jsfs/x", "a/./b", "tail/",
                                       "\xff\xfe", "k\\l",    "_kv.x", "$[]{}\"'"};
    static const char *const paths[] = {"a:b~c",    "x/%/y",     "%/lead",  "50%25",
                                        "%40at",    "%2Ejsfs/x", "a/%2E/b", "tail/%",
                                        "\xff\xfe", "k\\l",      "_kv.x",   "$[]{}\"'"};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        fake_store_put(f->fake, keys[i], "value");
    fixture_go_live(f);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        assert_int_equal(look_up(f, paths[i])->status, JSFS_OK);
        assert_int_equal(look_up(f, paths[i])->attr.sequence, i + 1);
    }
}

static void the_first_list_is_not_told_and_later_changes_are_in_order(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "a", "1");
    fixture_go_live(f);
    assert_string_equal(f->told, "");
    fake_store_put(f->fake, "b/c", "2");
    fake_store_put(f->fake, "a", "3");
    fake_store_mark(f->fake, "b/c", STORE_DELETED);
    fake_store_mark(f->fake, "never", STORE_DELETED);
    assert_string_equal(f->told, "b/c@2 a@3 b/c@4 ");
}

static void what_was_missed_is_told_after_a_resume(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "a", "1");
    fixture_go_live(f);
    fake_store_lost(f->fake);
    assert_false(bucket_is_live(f->bucket));
    fake_store_put(f->fake, "b", "2");
    fake_store_resume(f->fake, false);
    assert_true(bucket_is_live(f->bucket));
    assert_string_equal(f->told, "lost b@2 ");
}

static void a_full_list_after_a_loss_tells_changes_and_removals(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "a", "1");
    fake_store_put(f->fake, "b", "2");
    fake_store_put(f->fake, "c", "3");
    fixture_go_live(f);
    fake_store_lost(f->fake);
    fake_store_forget(f->fake, 2);
    fake_store_put(f->fake, "a", "4");
    fake_store_resume(f->fake, true);
    assert_string_equal(f->told, "lost a@4 b@gone ");
    assert_int_equal(look_up(f, "b")->status, JSFS_NOT_FOUND);
}

static void names_are_asked_at_the_server_while_the_watch_is_lost(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "dir/a", "1");
    fake_store_put(f->fake, "gone", "1");
    fixture_go_live(f);
    fake_store_lost(f->fake);
    fake_store_put(f->fake, "dir/a", "longer");
    fake_store_forget(f->fake, 2);
    assert_int_equal(look_up(f, "dir/a")->attr.size_bytes, 6);
    assert_string_equal(f->told, "lost dir/a@3 ");
    assert_int_equal(look_up(f, "dir")->attr.type, TREE_DIRECTORY);
    assert_int_equal(look_up(f, "gone")->status, JSFS_NOT_FOUND);
    assert_int_equal(look_up(f, "none")->status, JSFS_NOT_FOUND);
}

static void the_tree_answers_when_a_lost_server_does_not(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "a", "1");
    fixture_go_live(f);
    fake_store_lost(f->fake);
    fake_store_fail(f->fake, FAKE_LOOKUP, 1, JSFS_TIMEOUT, false);
    assert_int_equal(look_up(f, "a")->attr.sequence, 1);
    fake_store_fail(f->fake, FAKE_LOOKUP, 1, JSFS_DENIED, false);
    assert_int_equal(look_up(f, "a")->status, JSFS_DENIED);
}

static void a_disconnected_bucket_answers_from_the_tree_without_asking(void **state)
{
    struct fixture *f = *state;
    struct answer answer;

    fake_store_put(f->fake, "a", "1");
    fixture_go_live(f);
    f->connected = false;
    fake_store_lost(f->fake);
    assert_int_equal(look_up(f, "a")->status, JSFS_OK);
    assert_int_equal(look_up(f, "none")->status, JSFS_NOT_FOUND);
    assert_int_equal(fake_store_calls(f->fake, FAKE_LOOKUP), 0);
    answer_init(&answer);
    bucket_wait_listed(f->bucket, take_status, &answer);
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.status, JSFS_OK);
    assert_int_equal(bucket_lifetime_ms(f->bucket, 0, 0), 0);
}

static void a_waiter_is_answered_when_the_connection_goes_down(void **state)
{
    struct fixture *f = *state;
    struct answer list, name;

    fake_store_put(f->fake, "a", "1");
    fixture_go_live(f);
    fake_store_lost(f->fake);
    fake_store_hold(f->fake, FAKE_LOOKUP);
    answer_init(&list);
    answer_init(&name);
    bucket_wait_listed(f->bucket, take_status, &list);
    bucket_lookup(f->bucket, "a", take_lookup, &name);
    f->connected = false;
    answer_wait(&list);
    answer_wait(&name);
    assert_int_equal(list.status, JSFS_OK);
    assert_int_equal(name.status, JSFS_OK);
    fake_store_release(f->fake, FAKE_LOOKUP);
    assert_int_equal(name.count, 1);
}

static void an_old_answer_does_not_undo_a_newer_event(void **state)
{
    struct fixture *f = *state;
    struct answer answer;

    fake_store_put(f->fake, "a", "1");
    fixture_go_live(f);
    fake_store_lost(f->fake);
    fake_store_hold(f->fake, FAKE_LOOKUP);
    answer_init(&answer);
    bucket_lookup(f->bucket, "a", take_lookup, &answer);
    fake_store_put(f->fake, "a", "newer");
    fake_store_resume(f->fake, false);
    fake_store_release(f->fake, FAKE_LOOKUP);
    assert_int_equal(answer.attr.sequence, 2);
    assert_int_equal(look_up(f, "a")->attr.sequence, 2);
}

static void a_name_that_is_directory_and_value_is_asked_by_its_value(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "a", "1");
    fake_store_put(f->fake, "a/b", "2");
    fixture_go_live(f);
    fake_store_lost(f->fake);
    fake_store_put(f->fake, "a", "third");
    assert_int_equal(look_up(f, "a")->attr.type, TREE_DIRECTORY);
    assert_int_equal(look_up(f, "a/@value")->attr.size_bytes, 5);
}

int main(void)
{
#define KV(name) cmocka_unit_test_setup_teardown(name, fixture_make_kv, fixture_drop)
    const struct CMUnitTest tests[] = {
        KV(a_live_bucket_answers_from_the_tree_before_it_returns),
        KV(a_key_is_asked_at_the_server_while_the_list_loads),
        KV(the_top_shows_at_once_while_the_list_loads),
        KV(a_directory_shows_as_soon_as_a_name_below_it_is_listed),
        KV(a_name_that_is_not_there_waits_for_the_end_of_the_list),
        KV(the_list_answers_when_the_server_does_not),
        KV(a_name_that_nobody_answers_for_times_out),
        KV(a_failure_to_ask_is_the_answer_when_the_list_does_not_come),
        KV(listings_wait_for_the_list_and_get_its_failure),
        KV(a_list_that_makes_progress_is_waited_for),
        KV(every_legal_key_shows_however_strange),
        KV(the_first_list_is_not_told_and_later_changes_are_in_order),
        KV(what_was_missed_is_told_after_a_resume),
        KV(a_full_list_after_a_loss_tells_changes_and_removals),
        KV(names_are_asked_at_the_server_while_the_watch_is_lost),
        KV(the_tree_answers_when_a_lost_server_does_not),
        KV(a_disconnected_bucket_answers_from_the_tree_without_asking),
        KV(a_waiter_is_answered_when_the_connection_goes_down),
        KV(an_old_answer_does_not_undo_a_newer_event),
        KV(a_name_that_is_directory_and_value_is_asked_by_its_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
