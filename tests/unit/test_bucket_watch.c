/* SPDX-License-Identifier: Apache-2.0 */
/* test_bucket_watch.c - what a bucket does by itself: polls, expiry, idleness, its end.
 * Test of core/bucket.c and its parts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/clock.h"
#include "tests/support/bucket_fixture.h"
#include <string.h>

#define POLL_MS 30
#define IDLE_MS 100
#define SECOND_NS INT64_C(1000000000)

static int make_polled_kv(void **state)
{
    *state = fixture_new(STORE_KV, 0, 0, POLL_MS);
    return *state == NULL;
}

static int make_polled_object(void **state)
{
    *state = fixture_new(STORE_OBJECT, 0, 0, POLL_MS);
    return *state == NULL;
}

static int make_aging_kv(void **state)
{
    *state = fixture_new(STORE_KV, 2 * SECOND_NS, 0, POLL_MS);
    return *state == NULL;
}

static int make_idle_kv(void **state)
{
    *state = fixture_new(STORE_KV, 0, IDLE_MS, POLL_MS);
    return *state == NULL;
}

/* Polls ------------------------------------------------------------------------------------ */

static void a_deleted_stream_is_noticed_without_an_event(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "a", "1");
    fixture_go_live(f);
    fake_store_vanish(f->fake, false);
    wait_until_told(f, "gone ");
    assert_true(bucket_is_gone(f->bucket));
    assert_int_equal(look_up(f, "a")->status, JSFS_STALE);
}

static void a_stream_that_was_made_anew_is_another_bucket(void **state)
{
    struct fixture *f = *state;

    fixture_go_live(f);
    fake_store_set_created(f->fake, FAKE_EPOCH_NS + 1);
    wait_until_told(f, "gone ");
}

static void purged_names_are_noticed_by_the_first_sequence(void **state)
{
    struct fixture *f = *state;

    fake_store_put_object(f->fake, "a", "N1", 10, 10);
    fake_store_put_object(f->fake, "b", "N2", 10, 10);
    fixture_go_live(f);
    fake_store_forget_below(f->fake, 3);
    wait_until_told(f, "a@gone ");
    assert_true(bucket_is_live(f->bucket));
    assert_int_equal(look_up(f, "b")->status, JSFS_OK);
}

static void a_purged_stream_shows_nothing_any_more(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "a", "1");
    fake_store_put(f->fake, "b", "2");
    fixture_go_live(f);
    fake_store_forget_below(f->fake, 100);
    wait_until_told(f, "a@gone b@gone ");
}

static void a_name_that_was_purged_alone_is_noticed_by_its_missing_subject(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "a", "1");
    fake_store_put(f->fake, "b", "2");
    fake_store_put(f->fake, "c", "3");
    fixture_go_live(f);
    fake_store_forget(f->fake, 2);
    wait_until_told(f, "lost b@gone ");
    assert_int_equal(look_up(f, "c")->status, JSFS_OK);
}

/* The purged one is newer than all a new list tells. */
static void the_newest_name_is_noticed_too_when_it_was_purged(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "a", "1");
    fake_store_put(f->fake, "b", "2");
    fixture_go_live(f);
    fake_store_forget(f->fake, 2);
    wait_until_told(f, "lost lost b@gone ");
    assert_int_equal(fake_store_calls(f->fake, FAKE_WATCH), 3);
}

/* Nothing counts the objects: the list that did not tell it is made again. */
static void
the_newest_object_is_noticed_when_it_was_purged_while_the_watch_was_lost(void **state)
{
    struct fixture *f = *state;

    fake_store_put_object(f->fake, "a", "N1", 10, 10);
    fake_store_put_object(f->fake, "b", "N2", 10, 10);
    fixture_go_live(f);
    fake_store_lost(f->fake);
    fake_store_forget(f->fake, 4);
    fake_store_resume(f->fake, true);
    wait_until_told(f, "lost lost b@gone ");
    assert_int_equal(look_up(f, "a")->status, JSFS_OK);
}

static bool polled_often(void *arg)
{
    return fake_store_calls(arg, FAKE_INFO) >= 20;
}

static void subjects_that_are_no_names_are_listed_for_once_only(void **state)
{
    struct fixture *f = *state;

    fake_store_manual(f->fake);
    fake_store_put(f->fake, "a", "1");
    fake_store_put(f->fake, "never told", "2");
    for (int round = 0; round < 2; round++) {
        struct answer answer;

        answer_init(&answer);
        bucket_wait_listed(f->bucket, take_status, &answer);
        wait_until_watched(f);
        fake_store_begin(f->fake, true);
        fake_store_tell(f->fake, "a");
        fake_store_live(f->fake);
        answer_wait(&answer);
        while (round == 0 && fake_store_calls(f->fake, FAKE_WATCH) < 2)
            nap_ms(1);
    }
    wait_until(polled_often, f->fake);
    assert_int_equal(fake_store_calls(f->fake, FAKE_WATCH), 2);
    assert_true(bucket_is_live(f->bucket));
}

static void a_stream_that_went_back_is_listed_anew(void **state)
{
    struct fixture *f = *state;
    struct store_entry lost = {.sequence = 50, .modified_ns = FAKE_EPOCH_NS};

    fake_store_put(f->fake, "a", "1");
    fixture_go_live(f);
    fake_store_tell_entry(f->fake, "b", &lost);
    wait_until_told(f, "b@50 b@gone lost ");
    while (!bucket_is_live(f->bucket))
        nap_ms(1);
    assert_int_equal(look_up(f, "a")->status, JSFS_OK);
    assert_int_equal(look_up(f, "b")->status, JSFS_NOT_FOUND);
}

static void a_quiet_live_bucket_keeps_its_one_watch(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "a", "1");
    fake_store_mark(f->fake, "b", STORE_DELETED);
    fixture_go_live(f);
    wait_until(polled_often, f->fake);
    assert_int_equal(fake_store_calls(f->fake, FAKE_WATCH), 1);
    assert_string_equal(f->told, "");
}

static bool has_no_chunks(void *arg)
{
    return fake_store_chunks(arg, "N1") == 0;
}

static void a_purge_that_failed_is_tried_again(void **state)
{
    struct fixture *f = *state;

    fake_store_put_object(f->fake, "a", "N1", 10, 10);
    fixture_go_live(f);
    fake_store_fail(f->fake, FAKE_CHUNKS_PURGE, 2, JSFS_UNAVAILABLE, false);
    bucket_discard_chunks(f->bucket, "N1");
    assert_int_equal(fake_store_chunks(f->fake, "N1"), 1);
    wait_until(has_no_chunks, f->fake);
    assert_int_equal(fake_store_calls(f->fake, FAKE_CHUNKS_PURGE), 3);
}

/* Time ------------------------------------------------------------------------------------- */

static void names_expire_and_the_observer_is_told(void **state)
{
    struct fixture *f = *state;
    int64_t now_ns = clock_realtime_ns();

    fake_store_set_time(f->fake, now_ns - SECOND_NS);
    fake_store_put(f->fake, "x/old", "1");
    fake_store_set_time(f->fake, now_ns + 100 * SECOND_NS);
    fake_store_put(f->fake, "new", "2");
    fixture_go_live(f);
    int64_t lifetime_ms = bucket_lifetime_ms(f->bucket, now_ns - SECOND_NS, 0);
    enum jsfs_status status = look_up(f, "x/old")->status;
    if (clock_realtime_ns() < now_ns + SECOND_NS) { /* else this was too slow to see it */
        assert_in_range(lifetime_ms, 1, 1000);
        assert_int_equal(status, JSFS_OK);
    }
    assert_int_equal(bucket_lifetime_ms(f->bucket, now_ns - 3 * SECOND_NS, 0), 0);
    while (!was_told(f, "x/old@gone "))
        nap_ms(10);
    assert_true(clock_realtime_ns() >= now_ns + SECOND_NS);
    assert_int_equal(look_up(f, "x")->status, JSFS_NOT_FOUND);
    assert_int_equal(look_up(f, "new")->status, JSFS_OK);
}

static bool is_not_watched(void *arg)
{
    return !fake_store_is_watched(arg);
}

static void an_unused_bucket_stops_its_watch_and_lists_anew_when_used(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "a", "1");
    fixture_go_live(f);
    assert_int_equal(tree_make_directory(bucket_tree(f->bucket), "mine"), JSFS_OK);
    wait_until(is_not_watched, f->fake);
    wait_until_told(f, "lost ");
    assert_false(bucket_is_live(f->bucket));
    fake_store_put(f->fake, "b", "2");
    fake_store_forget(f->fake, 1);
    fixture_go_live(f);
    assert_int_equal(look_up(f, "a")->status, JSFS_NOT_FOUND);
    assert_int_equal(look_up(f, "b")->status, JSFS_OK);
    assert_int_equal(look_up(f, "mine")->attr.type, TREE_DIRECTORY);
}

/* Use a bucket for longer than it may be idle; the longest that it was not used [ms]. */
static int64_t use_for_a_while(struct fixture *f)
{
    int64_t last_ms = clock_monotonic_ms(), longest_ms = 0;

    for (int i = 0; i < 30; i++) {
        look_up(f, "a");
        nap_ms(10);
        int64_t now_ms = clock_monotonic_ms();
        longest_ms = now_ms - last_ms > longest_ms ? now_ms - last_ms : longest_ms;
        last_ms = now_ms;
    }
    return longest_ms;
}

static void a_bucket_in_use_keeps_its_watch(void **state)
{
    struct fixture *f = *state;
    size_t before;

    do { /* until no pause of ours was long enough to be idle */
        fixture_go_live(f);
        before = (size_t)fake_store_calls(f->fake, FAKE_UNWATCH);
    } while (use_for_a_while(f) >= IDLE_MS / 2);
    assert_int_equal(fake_store_calls(f->fake, FAKE_UNWATCH), before);
}

/* Ends ------------------------------------------------------------------------------------- */

static void a_stream_that_goes_fails_what_waits(void **state)
{
    struct fixture *f = *state;
    struct answer list, name;

    fake_store_manual(f->fake);
    answer_init(&list);
    answer_init(&name);
    fake_store_hold(f->fake, FAKE_LOOKUP);
    bucket_wait_listed(f->bucket, take_status, &list);
    bucket_lookup(f->bucket, "a", take_lookup, &name);
    wait_until_watched(f);
    fake_store_vanish(f->fake, true);
    assert_int_equal(list.status, JSFS_STALE);
    assert_int_equal(name.status, JSFS_STALE);
    assert_string_equal(f->told, "gone ");
    wait_until(is_not_watched, f->fake);
    fake_store_release(f->fake, FAKE_LOOKUP);
    assert_int_equal(name.count, 1);
}

static void stopping_answers_what_waits_and_silences_the_observer(void **state)
{
    struct fixture *f = *state;
    struct answer list, name, late;

    fake_store_manual(f->fake);
    answer_init(&list);
    answer_init(&name);
    answer_init(&late);
    fake_store_hold(f->fake, FAKE_LOOKUP);
    bucket_wait_listed(f->bucket, take_status, &list);
    bucket_lookup(f->bucket, "a", take_lookup, &name);
    bucket_stop(f->bucket);
    assert_int_equal(list.status, JSFS_INTERRUPTED);
    assert_int_equal(name.status, JSFS_INTERRUPTED);
    assert_false(fake_store_is_watched(f->fake));
    bucket_lookup(f->bucket, "a", take_lookup, &late);
    assert_int_equal(late.status, JSFS_INTERRUPTED);
    fake_store_put(f->fake, "a", "1");
    fake_store_release(f->fake, FAKE_LOOKUP);
    assert_string_equal(f->told, "");
    assert_false(fake_store_is_closed(f->fake));
}

static bool is_store_closed(void *arg)
{
    return fake_store_is_closed(arg);
}

static void the_last_reference_closes_the_store_when_nothing_is_in_flight(void **state)
{
    struct fixture *f = *state;
    struct answer name;

    fixture_go_live(f);
    fake_store_lost(f->fake);
    fake_store_hold(f->fake, FAKE_LOOKUP);
    answer_init(&name);
    bucket_lookup(f->bucket, "a", take_lookup, &name);
    bucket_unref(f->bucket);
    f->bucket = NULL;
    assert_int_equal(name.count, 0);
    assert_false(fake_store_is_closed(f->fake));
    fake_store_release(f->fake, FAKE_LOOKUP);
    assert_int_equal(name.status, JSFS_NOT_FOUND);
    wait_until(is_store_closed, f->fake);
}

int main(void)
{
#define TEST(name, make) cmocka_unit_test_setup_teardown(name, make, fixture_drop)
    const struct CMUnitTest tests[] = {
        TEST(a_deleted_stream_is_noticed_without_an_event, make_polled_kv),
        TEST(a_stream_that_was_made_anew_is_another_bucket, make_polled_kv),
        TEST(purged_names_are_noticed_by_the_first_sequence, make_polled_object),
        TEST(a_purged_stream_shows_nothing_any_more, make_polled_kv),
        TEST(a_name_that_was_purged_alone_is_noticed_by_its_missing_subject,
             make_polled_kv),
        TEST(the_newest_name_is_noticed_too_when_it_was_purged, make_polled_kv),
        TEST(the_newest_object_is_noticed_when_it_was_purged_while_the_watch_was_lost,
             make_polled_object),
        TEST(subjects_that_are_no_names_are_listed_for_once_only, make_polled_kv),
        TEST(a_stream_that_went_back_is_listed_anew, make_polled_kv),
        TEST(a_quiet_live_bucket_keeps_its_one_watch, make_polled_kv),
        TEST(a_purge_that_failed_is_tried_again, make_polled_object),
        TEST(names_expire_and_the_observer_is_told, make_aging_kv),
        TEST(an_unused_bucket_stops_its_watch_and_lists_anew_when_used, make_idle_kv),
        TEST(a_bucket_in_use_keeps_its_watch, make_idle_kv),
        TEST(a_stream_that_goes_fails_what_waits, fixture_make_kv),
        TEST(stopping_answers_what_waits_and_silences_the_observer, fixture_make_kv),
        TEST(the_last_reference_closes_the_store_when_nothing_is_in_flight,
             fixture_make_kv),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
