/* SPDX-License-Identifier: Apache-2.0 */
/* test_bucket_write.c - how a mount's own writes come to show, removals, names, chunks.
 * Test of core/bucket.c and its parts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/bucket_fixture.h"
#include <stdlib.h>
#include <string.h>

static uint64_t write_here(struct fixture *f, const char *key, const char *text,
                           uint64_t *token)
{
    struct store_write write = {.expect = STORE_EXPECT_ANY, .token = store_token()};
    struct bytes *bytes = bytes_copy(text, strlen(text));
    struct answer answer;

    answer_init(&answer);
    f->store->ops->value_put(f->store, key, bytes, &write, take_write, &answer);
    bytes_unref(bytes);
    assert_int_equal(answer.status, JSFS_OK);
    *token = write.token;
    return answer.sequence;
}

struct written {
    struct answer answer; /* of bucket_written() */
    uint64_t token, sequence;
};

/* A write while the watch tells nothing, for bucket_written() to look for. */
static void write_unheard(struct fixture *f, struct written *written)
{
    fixture_go_live(f);
    fake_store_lost(f->fake);
    written->sequence = write_here(f, "a", "hello", &written->token);
    answer_init(&written->answer);
}

static void look_for(struct fixture *f, struct written *written)
{
    bucket_written(f->bucket, "a", written->sequence, written->token, take_lookup,
                   &written->answer);
}

static void a_write_shows_when_its_echo_has_come(void **state)
{
    struct fixture *f = *state;
    struct answer before, after;
    uint64_t token, sequence;

    fixture_go_live(f);
    fake_store_hold(f->fake, FAKE_EVENTS);
    sequence = write_here(f, "a", "hello", &token);
    answer_init(&before);
    bucket_written(f->bucket, "a", sequence, token, take_lookup, &before);
    assert_int_equal(before.count, 0);
    fake_store_release(f->fake, FAKE_EVENTS);
    assert_int_equal(before.count, 1);
    assert_int_equal(before.attr.sequence, sequence);
    assert_int_equal(before.attr.modified_ns, FAKE_EPOCH_NS + 1000000);
    assert_int_equal(f->last_token, token);
    answer_init(&after);
    bucket_written(f->bucket, "a", sequence, token, take_lookup, &after);
    assert_int_equal(after.count, 1);
    assert_int_equal(fake_store_calls(f->fake, FAKE_LOOKUP), 0);
}

static void the_leader_is_asked_when_the_echo_does_not_come(void **state)
{
    struct fixture *f = *state;
    struct answer answer;
    uint64_t token, sequence;

    fixture_go_live(f);
    fake_store_hold(f->fake, FAKE_EVENTS);
    sequence = write_here(f, "a", "hello", &token);
    answer_init(&answer);
    fake_store_fail(f->fake, FAKE_LOOKUP, 1, JSFS_UNAVAILABLE, false);
    bucket_written(f->bucket, "a", sequence, token, take_lookup, &answer);
    answer_wait(&answer);
    assert_int_equal(answer.status, JSFS_OK);
    assert_int_equal(answer.attr.sequence, sequence);
    assert_int_equal(fake_store_calls(f->fake, FAKE_LOOKUP), 2);
    fake_store_release(f->fake, FAKE_EVENTS);
    assert_int_equal(answer.count, 1);
    assert_string_equal(f->told, "a@1 ");
}

static void the_leader_is_asked_at_once_while_the_watch_is_lost(void **state)
{
    struct fixture *f = *state;
    struct written written;

    write_unheard(f, &written);
    look_for(f, &written);
    assert_int_equal(written.answer.count, 1);
    assert_int_equal(written.answer.attr.sequence, written.sequence);
}

static void a_write_that_cannot_be_seen_times_out(void **state)
{
    struct fixture *f = *state;
    struct written written;

    write_unheard(f, &written);
    fake_store_fail(f->fake, FAKE_LOOKUP, 1000, JSFS_UNAVAILABLE, false);
    look_for(f, &written);
    answer_wait(&written.answer);
    assert_int_equal(written.answer.status, JSFS_TIMEOUT);
}

static void a_removed_name_vanishes_and_its_directories_stay(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "x/y/key", "hello");
    fixture_go_live(f);
    assert_int_equal(remove_name(f, "x/y/key"), JSFS_OK);
    assert_int_equal(fake_store_newest(f->fake, "x/y/key")->state, STORE_DELETED);
    assert_int_equal(look_up(f, "x/y/key")->status, JSFS_NOT_FOUND);
    assert_int_equal(look_up(f, "x/y")->attr.type, TREE_DIRECTORY);
    assert_string_equal(f->told, "x/y/key@2 ");
    assert_true(f->last_token != 0);
}

static void a_removed_names_directories_stay_when_the_echo_is_late_or_lost(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "x/key", "hello");
    fake_store_put(f->fake, "z/key", "hello");
    fixture_go_live(f);
    fake_store_hold(f->fake, FAKE_EVENTS);
    assert_int_equal(remove_name(f, "x/key"), JSFS_OK);
    assert_int_equal(look_up(f, "x")->attr.type, TREE_DIRECTORY);
    fake_store_release(f->fake, FAKE_EVENTS);
    assert_int_equal(look_up(f, "x")->attr.type, TREE_DIRECTORY);
    fake_store_lost(f->fake);
    assert_int_equal(remove_name(f, "z/key"), JSFS_OK);
    assert_int_equal(look_up(f, "z")->attr.type, TREE_DIRECTORY);
}

static enum jsfs_status remove_at(struct fixture *f, const char *path, uint64_t sequence)
{
    struct answer answer;

    answer_init(&answer);
    bucket_remove_at(f->bucket, path, sequence, take_status, &answer);
    answer_wait(&answer);
    return answer.status;
}

static void a_hidden_name_is_removed_only_at_its_revision(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "x/key", "one");
    fixture_go_live(f);
    assert_true(tree_hide(bucket_tree(f->bucket), "x/key", 1));
    assert_int_equal(remove_at(f, "x/key", 7), JSFS_CONFLICT);
    assert_int_equal(fake_store_newest(f->fake, "x/key")->state, STORE_LIVE);
    assert_int_equal(remove_at(f, "x/key", 1), JSFS_OK);
    assert_int_equal(fake_store_newest(f->fake, "x/key")->state, STORE_DELETED);
    assert_int_equal(look_up(f, "x/key")->status, JSFS_NOT_FOUND);
    assert_int_equal(look_up(f, "x")->attr.type, TREE_DIRECTORY);
    assert_int_equal(remove_at(f, "%zz", 1), JSFS_BAD_NAME);
}

static void what_another_client_removes_takes_its_directories_along(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "x/key", "hello");
    fixture_go_live(f);
    fake_store_mark(f->fake, "x/key", STORE_DELETED);
    assert_int_equal(look_up(f, "x")->status, JSFS_NOT_FOUND);
}

static void only_files_can_be_removed(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "x/key", "hello");
    fake_store_put(f->fake, "x", "value");
    fixture_go_live(f);
    assert_int_equal(remove_name(f, "x"), JSFS_IS_DIRECTORY);
    assert_int_equal(remove_name(f, "none"), JSFS_NOT_FOUND);
    assert_int_equal(remove_name(f, "x/key/y"), JSFS_NOT_DIRECTORY);
    assert_int_equal(fake_store_calls(f->fake, FAKE_REMOVE), 0);
    assert_int_equal(remove_name(f, "x/@value"), JSFS_OK);
    assert_int_equal(fake_store_newest(f->fake, "x")->state, STORE_DELETED);
    fake_store_fail(f->fake, FAKE_REMOVE, 1, JSFS_DENIED, false);
    assert_int_equal(remove_name(f, "x/key"), JSFS_DENIED);
    assert_int_equal(look_up(f, "x/key")->status, JSFS_OK);
}

static void removing_from_a_full_store_purges_the_name(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "x/a", "hello");
    fake_store_put(f->fake, "x/b", "hello");
    fixture_go_live(f);
    fake_store_set_full(f->fake, true);
    assert_int_equal(remove_name(f, "x/a"), JSFS_OK);
    assert_int_equal(look_up(f, "x/a")->status, JSFS_NOT_FOUND);
    fake_store_lost(f->fake);
    assert_int_equal(remove_name(f, "x/b"), JSFS_OK);
    assert_int_equal(look_up(f, "x/b")->status, JSFS_NOT_FOUND);
    assert_int_equal(look_up(f, "x")->attr.type, TREE_DIRECTORY);
}

/* Names ------------------------------------------------------------------------------------ */

static enum jsfs_status raw_name(struct fixture *f, const char *path, bool create)
{
    char *name = NULL;
    enum jsfs_status status = bucket_raw_name(f->bucket, path, create, &name);

    free(name);
    return status;
}

static void only_portable_keys_are_created(void **state)
{
    struct fixture *f = *state;
    char longest[4100];
    char *name;

    fake_store_put(f->fake, "a~", "lives");
    fixture_go_live(f);
    memset(longest, 'k', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(bucket_raw_name(f->bucket, "a/%2E/b", false, &name), JSFS_OK);
    assert_string_equal(name, "a/./b");
    free(name);
    assert_int_equal(raw_name(f, "a/b.c", true), JSFS_OK);
    assert_int_equal(raw_name(f, "b~", true), JSFS_BAD_NAME);
    assert_int_equal(raw_name(f, "b~", false), JSFS_OK);
    assert_int_equal(raw_name(f, "a~", true), JSFS_OK);
    assert_int_equal(raw_name(f, "a b", true), JSFS_BAD_NAME);
    assert_int_equal(raw_name(f, "a%zz", false), JSFS_BAD_NAME);
    assert_int_equal(raw_name(f, longest, true), JSFS_NAME_TOO_LONG);
}

static void an_object_name_is_any_utf8(void **state)
{
    struct fixture *f = *state;
    char longest[3100];

    memset(longest, 'k', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(raw_name(f, "a b~", true), JSFS_OK);
    assert_int_equal(raw_name(f, "\xc3\xa4", true), JSFS_OK);
    assert_int_equal(raw_name(f, "\xff", true), JSFS_NOT_UTF8);
    assert_int_equal(raw_name(f, "a%00", true), JSFS_BAD_NAME);
    assert_int_equal(raw_name(f, longest, true), JSFS_NAME_TOO_LONG);
}

static void a_path_that_no_key_can_have_is_not_asked_for(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "a", "1");
    fixture_go_live(f);
    fake_store_lost(f->fake);
    assert_int_equal(look_up(f, "with space")->status, JSFS_NOT_FOUND);
    assert_int_equal(look_up(f, "nul%00")->status, JSFS_NOT_FOUND);
    assert_int_equal(look_up(f, "bad%zz")->status, JSFS_BAD_NAME);
    assert_int_equal(fake_store_calls(f->fake, FAKE_LOOKUP), 0);
}

/* Chunks ----------------------------------------------------------------------------------- */

static void an_objects_meta_comes_with_its_attributes(void **state)
{
    struct fixture *f = *state;
    struct answer *answer;

    fake_store_put_object(f->fake, "o", "NUID1", 300, 128);
    answer = look_up(f, "o");
    assert_int_equal(answer->status, JSFS_OK);
    assert_int_equal(answer->attr.size_bytes, 300);
    assert_string_equal(answer->nuid, "NUID1");
}

static void discarded_chunks_are_purged_when_nobody_reads_them(void **state)
{
    struct fixture *f = *state;

    fake_store_put_object(f->fake, "o", "FREE", 300, 128);
    fake_store_put_object(f->fake, "p", "READ", 300, 128);
    bucket_discard_chunks(f->bucket, "FREE");
    assert_int_equal(fake_store_chunks(f->fake, "FREE"), 0);
    bucket_hold_chunks(f->bucket, "READ");
    bucket_hold_chunks(f->bucket, "READ");
    bucket_discard_chunks(f->bucket, "READ");
    bucket_release_chunks(f->bucket, "READ");
    assert_int_equal(fake_store_chunks(f->fake, "READ"), 3);
    bucket_release_chunks(f->bucket, "READ");
    assert_int_equal(fake_store_chunks(f->fake, "READ"), 0);
}

static void chunks_that_were_not_discarded_stay(void **state)
{
    struct fixture *f = *state;

    fake_store_put_object(f->fake, "o", "KEPT", 300, 128);
    bucket_hold_chunks(f->bucket, "KEPT");
    bucket_release_chunks(f->bucket, "KEPT");
    bucket_release_chunks(f->bucket, "NEVER");
    assert_int_equal(fake_store_chunks(f->fake, "KEPT"), 3);
    assert_int_equal(fake_store_calls(f->fake, FAKE_CHUNKS_PURGE), 0);
}

static void removing_an_object_leaves_its_chunks_to_the_caller(void **state)
{
    struct fixture *f = *state;

    fake_store_put_object(f->fake, "d/o", "NUID", 300, 128);
    fixture_go_live(f);
    assert_int_equal(remove_name(f, "d/o"), JSFS_OK);
    assert_int_equal(look_up(f, "d/o")->status, JSFS_NOT_FOUND);
    assert_int_equal(fake_store_chunks(f->fake, "NUID"), 3);
}

static void the_state_of_the_stream_is_asked_when_wanted(void **state)
{
    struct fixture *f = *state;
    struct answer answer;

    fake_store_put(f->fake, "a", "1");
    answer_init(&answer);
    bucket_info(f->bucket, take_info, &answer);
    assert_int_equal(answer.status, JSFS_OK);
    assert_int_equal(answer.sequence, 1);
}

int main(void)
{
#define KV(name) cmocka_unit_test_setup_teardown(name, fixture_make_kv, fixture_drop)
#define OBJECT(name)                                                                     \
    cmocka_unit_test_setup_teardown(name, fixture_make_object, fixture_drop)
    const struct CMUnitTest tests[] = {
        KV(a_write_shows_when_its_echo_has_come),
        KV(the_leader_is_asked_when_the_echo_does_not_come),
        KV(the_leader_is_asked_at_once_while_the_watch_is_lost),
        KV(a_write_that_cannot_be_seen_times_out),
        KV(a_removed_name_vanishes_and_its_directories_stay),
        KV(a_removed_names_directories_stay_when_the_echo_is_late_or_lost),
        KV(a_hidden_name_is_removed_only_at_its_revision),
        KV(what_another_client_removes_takes_its_directories_along),
        KV(only_files_can_be_removed),
        KV(removing_from_a_full_store_purges_the_name),
        KV(only_portable_keys_are_created),
        OBJECT(an_object_name_is_any_utf8),
        KV(a_path_that_no_key_can_have_is_not_asked_for),
        OBJECT(an_objects_meta_comes_with_its_attributes),
        OBJECT(discarded_chunks_are_purged_when_nobody_reads_them),
        OBJECT(chunks_that_were_not_discarded_stay),
        OBJECT(removing_an_object_leaves_its_chunks_to_the_caller),
        KV(the_state_of_the_stream_is_asked_when_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
