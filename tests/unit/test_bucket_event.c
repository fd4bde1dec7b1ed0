/* SPDX-License-Identifier: Apache-2.0 */
/* test_bucket_event.c - listeners of a bucket get every change once, in order.
 * Test of core/bucket_event.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/bucket_event.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "tests/support/bucket_fixture.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define POLL_MS 30
#define SECOND_NS INT64_C(1000000000)

/* Someone who listens, and what was told: "put a@1 ", "gap 1-5 ", "end ". */
struct ear {
    struct fixture *fixture;
    struct bucket_listener *listener;
    enum jsfs_status status;
    atomic_bool answered, ended;
    bool leaves; /* unlistens at the next event */
    pthread_mutex_t lock;
    char told[4096]; /* lock */
    struct bucket_event last; /* lock; without its texts */
};

static void note(struct ear *ear, const struct bucket_event *event)
{
    static const char *const texts[] = {"put", "delete", "purge", "expiry", "gap", "end"};
    size_t size = strlen(ear->told);
    char *at = ear->told + size;
    size_t left = sizeof(ear->told) - size;

    if (event->operation == BUCKET_GAP)
        snprintf(at, left, "gap %" PRIu64 "-%" PRIu64 " ", event->after, event->sequence);
    else if (event->operation == BUCKET_END)
        snprintf(at, left, "end ");
    else
        snprintf(at, left, "%s %s@%" PRIu64 " ", texts[event->operation], event->path,
                 event->sequence);
}

static void on_told(void *arg, const struct bucket_event *event)
{
    struct ear *ear = arg;

    assert_false(ear->ended);
    pthread_mutex_lock(&ear->lock);
    note(ear, event);
    ear->last = *event;
    pthread_mutex_unlock(&ear->lock);
    if (ear->leaves) {
        ear->leaves = false;
        bucket_unlisten(ear->listener);
    }
}

static void on_ended(void *arg)
{
    struct ear *ear = arg;

    assert_false(ear->ended);
    ear->ended = true;
}

static void on_listening(void *arg, enum jsfs_status status, struct bucket_listener *listener)
{
    struct ear *ear = arg;

    ear->status = status;
    ear->listener = listener;
    ear->answered = true;
}

static bool is_answered(void *arg)
{
    return ((struct ear *)arg)->answered;
}

static bool has_ended(void *arg)
{
    return ((struct ear *)arg)->ended;
}

static void ear_init(struct ear *ear, struct fixture *fixture)
{
    *ear = (struct ear){.fixture = fixture};
    pthread_mutex_init(&ear->lock, NULL);
}

static enum jsfs_status listen_to(struct ear *ear, struct fixture *fixture)
{
    struct bucket_listening listening = {on_told, on_ended, ear};

    ear_init(ear, fixture);
    bucket_listen(fixture->bucket, &listening, on_listening, ear);
    wait_until(is_answered, ear);
    if (ear->status == JSFS_OK)
        wait_until_quiet(fixture);
    return ear->status;
}

static void unlisten(struct ear *ear)
{
    bucket_unlisten(ear->listener);
    wait_until(has_ended, ear);
}

struct expectation {
    struct ear *ear;
    const char *told;
};

static bool was_heard(void *arg)
{
    struct expectation *expectation = arg;
    SCOPED_LOCK(&expectation->ear->lock);

    return strcmp(expectation->ear->told, expectation->told) == 0;
}

static void wait_until_heard(struct ear *ear, const char *told)
{
    int64_t end_ms = clock_monotonic_ms() + 10000;
    struct expectation expectation = {ear, told};

    while (!was_heard(&expectation)) {
        if (clock_monotonic_ms() > end_ms)
            assert_string_equal(ear->told, told);
        nap_ms(1);
    }
}

static int make_polled_kv(void **state)
{
    *state = fixture_new(STORE_KV, 0, 0, POLL_MS);
    return *state == NULL;
}

static int make_aging_kv(void **state)
{
    *state = fixture_new(STORE_KV, 2 * SECOND_NS, 0, POLL_MS);
    return *state == NULL;
}

static int make_idle_kv(void **state)
{
    *state = fixture_new(STORE_KV, 0, 100, POLL_MS);
    return *state == NULL;
}

/* What is told ------------------------------------------------------------------------------ */

static void only_what_comes_later_is_told(void **state)
{
    struct fixture *f = *state;
    struct ear ear;

    fake_store_put(f->fake, "a", "1");
    fake_store_put(f->fake, "b", "1");
    assert_int_equal(listen_to(&ear, f), JSFS_OK);
    fake_store_put(f->fake, "a", "22");
    assert_int_equal(ear.last.size_bytes, 2);
    assert_int_equal(ear.last.time_ns, FAKE_EPOCH_NS + 3000000);
    fake_store_mark(f->fake, "a", STORE_DELETED);
    fake_store_mark(f->fake, "b", STORE_PURGED);
    wait_until_heard(&ear, "put a@3 delete a@4 purge b@5 ");
    unlisten(&ear);
}

static void the_path_is_that_of_the_mount(void **state)
{
    struct fixture *f = *state;
    struct ear ear;

    fake_store_put(f->fake, "a/b", "1");
    assert_int_equal(listen_to(&ear, f), JSFS_OK);
    fake_store_put(f->fake, "a", "1");
    fake_store_put(f->fake, ".jsfs/%", "1");
    wait_until_heard(&ear, "put a/@value@2 put %2Ejsfs/%25@3 ");
    unlisten(&ear);
}

static void all_listeners_are_told_and_leave_when_they_like(void **state)
{
    struct fixture *f = *state;
    struct ear one, two, three;

    assert_int_equal(listen_to(&one, f), JSFS_OK);
    assert_int_equal(listen_to(&two, f), JSFS_OK);
    fake_store_put(f->fake, "a", "1");
    assert_int_equal(listen_to(&three, f), JSFS_OK);
    two.leaves = true; /* within the call */
    fake_store_put(f->fake, "a", "2");
    wait_until(has_ended, &two);
    fake_store_put(f->fake, "a", "3");
    wait_until_heard(&one, "put a@1 put a@2 put a@3 ");
    wait_until_heard(&two, "put a@1 put a@2 ");
    wait_until_heard(&three, "put a@2 put a@3 ");
    unlisten(&one);
    unlisten(&three);
}

/* Names that vanish ------------------------------------------------------------------------- */

static void a_computed_expiry_is_told_with_what_expired(void **state)
{
    struct fixture *f = *state;
    struct ear ear;
    int64_t stored_ns = clock_realtime_ns() - SECOND_NS;
    struct store_entry marker = {.state = STORE_PURGED, .expired = true, .sequence = 2};

    fake_store_set_time(f->fake, stored_ns);
    fake_store_put(f->fake, "a", "1");
    assert_int_equal(listen_to(&ear, f), JSFS_OK);
    wait_until_heard(&ear, "expiry a@1 ");
    assert_int_equal(ear.last.time_ns, stored_ns + 2 * SECOND_NS);
    fake_store_tell_entry(f->fake, "a", &marker); /* the server's, of what was told */
    fake_store_set_time(f->fake, clock_realtime_ns());
    fake_store_put(f->fake, "b", "1");
    assert_true(strstr(ear.told, "expiry a@2") == NULL);
    unlisten(&ear);
}

static void a_marker_of_what_lives_here_is_an_expiry(void **state)
{
    struct fixture *f = *state;
    struct ear ear;
    struct store_entry marker = {.state = STORE_PURGED, .expired = true, .sequence = 2};

    fake_store_put(f->fake, "a", "1");
    assert_int_equal(listen_to(&ear, f), JSFS_OK);
    fake_store_tell_entry(f->fake, "a", &marker);
    wait_until_heard(&ear, "expiry a@2 ");
    unlisten(&ear);
}

static void a_purge_without_a_message_is_told_when_it_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct ear ear;

    fake_store_put(f->fake, "a", "1");
    fake_store_put(f->fake, "b", "1");
    assert_int_equal(listen_to(&ear, f), JSFS_OK);
    fake_store_forget_below(f->fake, 2);
    wait_until_heard(&ear, "purge a@1 ");
    unlisten(&ear);
}

static void a_removal_in_a_full_store_is_told_once(void **state)
{
    struct fixture *f = *state;
    struct ear ear;

    fake_store_put_object(f->fake, "a", "N1", 10, 10);
    assert_int_equal(listen_to(&ear, f), JSFS_OK);
    fake_store_set_full(f->fake, true);
    assert_int_equal(remove_name(f, "a"), JSFS_OK);
    wait_until_heard(&ear, "purge a@2 ");
    unlisten(&ear);
}

/* Lists ------------------------------------------------------------------------------------- */

static void what_came_while_it_was_lost_is_told_once(void **state)
{
    struct fixture *f = *state;
    struct ear ear;

    assert_int_equal(listen_to(&ear, f), JSFS_OK);
    fake_store_put(f->fake, "a", "1");
    fake_store_lost(f->fake);
    fake_store_put(f->fake, "b", "1");
    fake_store_resume(f->fake, false);
    wait_until_heard(&ear, "put a@1 put b@2 ");
    fake_store_lost(f->fake);
    fake_store_resume(f->fake, true);
    fake_store_put(f->fake, "a", "2");
    wait_until_heard(&ear, "put a@1 put b@2 put a@3 ");
    unlisten(&ear);
}

static void what_was_replaced_meanwhile_is_a_gap(void **state)
{
    struct fixture *f = *state;
    struct ear ear;

    assert_int_equal(listen_to(&ear, f), JSFS_OK);
    fake_store_put(f->fake, "a", "1");
    fake_store_lost(f->fake);
    for (unsigned i = 2; i < 5; i++)
        fake_store_put(f->fake, "a", "1");
    fake_store_put(f->fake, "b", "1");
    fake_store_resume(f->fake, true);
    wait_until_heard(&ear, "put a@1 gap 1-4 put a@4 put b@5 ");
    unlisten(&ear);
}

/* The watch has not told of what was purged before, but that is no gap to who came later. */
static void what_is_missing_from_before_is_no_gap(void **state)
{
    struct fixture *f = *state;
    struct ear ear;

    fake_store_put(f->fake, "a", "1");
    uint64_t last = fake_store_put(f->fake, "b", "1");
    fake_store_forget(f->fake, last);
    assert_int_equal(listen_to(&ear, f), JSFS_OK);
    fake_store_put(f->fake, "c", "1");
    wait_until_heard(&ear, "put c@3 ");
    unlisten(&ear);
}

static void chunks_between_metas_are_no_gap(void **state)
{
    struct fixture *f = *state;
    struct ear ear;

    assert_int_equal(listen_to(&ear, f), JSFS_OK);
    fake_store_put_object(f->fake, "a", "N1", 30, 10);
    fake_store_put_object(f->fake, "b", "N2", 30, 10);
    wait_until_heard(&ear, "put a@4 put b@8 ");
    fake_store_lost(f->fake);
    fake_store_put_object(f->fake, "a", "N3", 30, 10);
    fake_store_resume(f->fake, true);
    wait_until_heard(&ear, "put a@4 put b@8 gap 8-12 put a@12 ");
    unlisten(&ear);
}

static void a_stream_that_went_back_is_a_gap(void **state)
{
    struct fixture *f = *state;
    struct ear ear;

    fake_store_put(f->fake, "a", "1");
    assert_int_equal(listen_to(&ear, f), JSFS_OK);
    struct store_entry ahead = {.sequence = 9};
    fake_store_tell_entry(f->fake, "b", &ahead);
    wait_until_heard(&ear, "gap 1-9 put b@9 gap 9-1 purge b@9 ");
    unlisten(&ear);
}

/* Beginnings and ends ----------------------------------------------------------------------- */

static void nobody_listens_to_what_is_gone_or_away(void **state)
{
    struct fixture *f = *state;
    struct ear ear;

    fixture_go_live(f);
    fake_store_lost(f->fake);
    f->connected = false;
    wait_until_told(f, "lost ");
    assert_int_equal(listen_to(&ear, f), JSFS_UNAVAILABLE);
    f->connected = true;
    fake_store_vanish(f->fake, true);
    wait_until_told(f, "lost gone ");
    assert_int_equal(listen_to(&ear, f), JSFS_STALE);
}

static void the_end_of_the_bucket_is_told(void **state)
{
    struct fixture *f = *state;
    struct ear ear;

    assert_int_equal(listen_to(&ear, f), JSFS_OK);
    fake_store_put(f->fake, "a", "1");
    fake_store_vanish(f->fake, true);
    wait_until_heard(&ear, "put a@1 end ");
    unlisten(&ear);
}

static bool is_unwatched(void *arg)
{
    return !fake_store_is_watched(((struct fixture *)arg)->fake);
}

static void the_watch_runs_while_somebody_listens(void **state)
{
    struct fixture *f = *state;
    struct ear ear;

    assert_int_equal(listen_to(&ear, f), JSFS_OK);
    nap_ms(400); /* idleness is what is tested */
    fake_store_put(f->fake, "a", "1");
    wait_until_heard(&ear, "put a@1 ");
    unlisten(&ear);
    wait_until(is_unwatched, f);
}

static void a_bucket_can_be_stopped_under_who_listens(void **state)
{
    struct fixture *f = *state;
    struct ear ear;

    assert_int_equal(listen_to(&ear, f), JSFS_OK);
    bucket_stop(f->bucket);
    unlisten(&ear);
    assert_string_equal(ear.told, "");
}

int main(void)
{
#define TEST(name, make) cmocka_unit_test_setup_teardown(name, make, fixture_drop)
    const struct CMUnitTest tests[] = {
        TEST(only_what_comes_later_is_told, fixture_make_kv),
        TEST(the_path_is_that_of_the_mount, fixture_make_kv),
        TEST(all_listeners_are_told_and_leave_when_they_like, fixture_make_kv),
        TEST(a_computed_expiry_is_told_with_what_expired, make_aging_kv),
        TEST(a_marker_of_what_lives_here_is_an_expiry, fixture_make_kv),
        TEST(a_purge_without_a_message_is_told_when_it_is_noticed, make_polled_kv),
        TEST(a_removal_in_a_full_store_is_told_once, fixture_make_object),
        TEST(what_came_while_it_was_lost_is_told_once, fixture_make_kv),
        TEST(what_was_replaced_meanwhile_is_a_gap, fixture_make_kv),
        TEST(what_is_missing_from_before_is_no_gap, fixture_make_kv),
        TEST(chunks_between_metas_are_no_gap, fixture_make_object),
        TEST(a_stream_that_went_back_is_a_gap, make_polled_kv),
        TEST(nobody_listens_to_what_is_gone_or_away, fixture_make_kv),
        TEST(the_end_of_the_bucket_is_told, fixture_make_kv),
        TEST(the_watch_runs_while_somebody_listens, make_idle_kv),
        TEST(a_bucket_can_be_stopped_under_who_listens, fixture_make_kv),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
