/* SPDX-License-Identifier: Apache-2.0 */
/* test_bucket_put.c - whole values that are published and seen.
 * Test of core/bucket_put.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/bucket_put.h"
#include "tests/support/bucket_fixture.h"
#include <string.h>

static void start_put(struct fixture *f, const char *path, const char *text, bool exclusive,
                      struct answer *answer)
{
    struct bytes *bytes = bytes_copy(text, strlen(text));

    answer_init(answer);
    bucket_put(f->bucket, path, bytes, exclusive, take_lookup, answer);
    bytes_unref(bytes);
}

static enum jsfs_status put(struct fixture *f, const char *path, const char *text,
                            bool exclusive)
{
    struct answer answer;

    start_put(f, path, text, exclusive, &answer);
    answer_wait(&answer);
    return answer.status;
}

static void assert_value(struct fixture *f, const char *key, const char *text)
{
    struct bytes *bytes = fake_store_value(f->fake, key);

    assert_non_null(bytes);
    assert_int_equal(bytes->size, strlen(text));
    assert_memory_equal(bytes->data, text, bytes->size);
    bytes_unref(bytes);
}

static void a_put_is_done_when_this_mount_shows_it(void **state)
{
    struct fixture *f = *state;
    struct answer answer;

    fixture_go_live(f);
    fake_store_hold(f->fake, FAKE_EVENTS);
    start_put(f, "d/a", "hello", false, &answer);
    assert_int_equal(answer.count, 0);
    fake_store_release(f->fake, FAKE_EVENTS);
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.status, JSFS_OK);
    assert_int_equal(answer.attr.sequence, 1);
    assert_int_equal(answer.attr.size_bytes, 5);
    assert_string_equal(f->told, "d/a@1 ");
    assert_true(f->last_token != 0);
    assert_value(f, "d/a", "hello");
}

static void a_put_replaces_whatever_is_there(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "a", "old");
    fixture_go_live(f);
    assert_int_equal(put(f, "a", "new", false), JSFS_OK);
    assert_value(f, "a", "new");
    assert_int_equal(fake_store_revisions(f->fake, "a"), 2);
}

static void an_exclusive_put_takes_only_a_free_name(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "a", "old");
    fake_store_put(f->fake, "b", "old");
    fake_store_mark(f->fake, "b", STORE_DELETED);
    fixture_go_live(f);
    assert_int_equal(put(f, "a", "new", true), JSFS_EXISTS);
    assert_value(f, "a", "old");
    assert_int_equal(put(f, "b", "new", true), JSFS_OK);
    assert_value(f, "b", "new");
    assert_int_equal(put(f, "c", "new", true), JSFS_OK);
}

static void names_are_checked_before_anything_is_sent(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "d/a", "x");
    fixture_go_live(f);
    assert_int_equal(put(f, "no space", "x", false), JSFS_BAD_NAME);
    assert_int_equal(put(f, "f~", "x", false), JSFS_BAD_NAME);
    assert_int_equal(put(f, "d", "x", false), JSFS_IS_DIRECTORY);
    assert_int_equal(fake_store_calls(f->fake, FAKE_VALUE_PUT), 0);
    assert_int_equal(put(f, "d/@value", "x", false), JSFS_OK);
    assert_value(f, "d", "x");
}

static void what_the_store_refuses_is_told(void **state)
{
    struct fixture *f = *state;

    fixture_go_live(f);
    fake_store_fail(f->fake, FAKE_VALUE_PUT, 1, JSFS_NO_SPACE, false);
    assert_int_equal(put(f, "a", "x", false), JSFS_NO_SPACE);
    fake_store_fail(f->fake, FAKE_VALUE_PUT, 1, JSFS_TIMEOUT, true);
    assert_int_equal(put(f, "a", "x", false), JSFS_TIMEOUT);
}

static void remove_elsewhere(void *arg)
{
    fake_store_mark(((struct fixture *)arg)->fake, "a", STORE_DELETED);
}

static void what_was_stored_and_is_gone_again_is_stored(void **state)
{
    struct fixture *f = *state;
    struct answer answer;

    fixture_go_live(f);
    fake_store_lost(f->fake);
    fake_store_before(f->fake, FAKE_LOOKUP, remove_elsewhere, f);
    start_put(f, "a", "x", false, &answer);
    answer_wait(&answer);
    assert_int_equal(answer.status, JSFS_OK);
    assert_int_equal(answer.attr.sequence, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_make_kv, fixture_drop)
    const struct CMUnitTest tests[] = {
        TEST(a_put_is_done_when_this_mount_shows_it),
        TEST(a_put_replaces_whatever_is_there),
        TEST(an_exclusive_put_takes_only_a_free_name),
        TEST(names_are_checked_before_anything_is_sent),
        TEST(what_the_store_refuses_is_told),
        TEST(what_was_stored_and_is_gone_again_is_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
