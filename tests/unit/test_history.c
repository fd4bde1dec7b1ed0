/* SPDX-License-Identifier: Apache-2.0 */
/* test_history.c - the names of kept messages, and what purging and erasing does to the tree.
 * Test of core/history.c, with the server's part played here over the fake store.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/history.h"
#include "core/tree_held.h"
#include "tests/support/bucket_fixture.h"
#include <string.h>

/* Names ------------------------------------------------------------------------------------- */

static const struct store_entry kept[] = {
    {.state = STORE_LIVE,    .sequence = 3         },
    {.state = STORE_DELETED, .sequence = 5         },
    {.state = STORE_LIVE,    .sequence = 7         },
    {.state = STORE_PURGED,  .sequence = UINT64_MAX},
};

static void a_name_says_what_a_message_is(void **state)
{
    static const char *const names[] = {"@3", "@5.deleted", "@7",
                                        "@18446744073709551615.purged"};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        char name[HISTORY_NAME_SIZE];

        history_name(&kept[i], name);
        assert_string_equal(name, names[i]);
        assert_ptr_equal(history_find(kept, 4, name), &kept[i]);
    }
}

static void only_the_exact_name_finds_a_message(void **state)
{
    static const char *const names[] = {"3",   "@03",       "@5",          "@3.deleted",
                                        "@ 3", "@5.purged", "@",           "",
                                        "@4",  "@3 ",       "@3.deleted2", "@value"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_null(history_find(kept, 4, names[i]));
    assert_null(history_find(NULL, 0, "@3"));
}

static void the_last_value_is_before_its_markers(void **state)
{
    (void)state;
    assert_ptr_equal(history_last_value(kept, 4), &kept[2]);
    assert_ptr_equal(history_last_value(kept, 2), &kept[0]);
    assert_null(history_last_value(&kept[3], 1));
    assert_null(history_last_value(NULL, 0));
}

static void newer_messages_are_counted_with_markers(void **state)
{
    (void)state;
    assert_int_equal(history_newer(kept, 4, 3), 3);
    assert_int_equal(history_newer(kept, 4, 4), 3);
    assert_int_equal(history_newer(kept, 4, UINT64_MAX), 0);
}

/* The server's part ------------------------------------------------------------------------- */

static struct {
    struct store_ops ops;
    struct fake_store *fake;
    enum jsfs_status status; /* of what comes next */
    char name[64];           /* that was asked for */
    const char *put_before_the_answer;
} server;

static void serve_history(struct store *store, const char *name, store_history_done *done,
                          void *arg)
{
    (void)store;
    strcpy(server.name, name);
    done(arg, server.status, server.status == JSFS_OK ? kept : NULL,
         server.status == JSFS_OK ? 4 : 0);
}

static void serve_purge(struct store *store, const char *name,
                        const struct store_write *write, store_write_done *done,
                        void *arg)
{
    (void)store;
    strcpy(server.name, name);
    assert_int_equal(write->expect, STORE_EXPECT_ANY);
    assert_true(write->token != 0);
    if (server.status == JSFS_OK)
        done(arg, JSFS_OK, fake_store_mark(server.fake, name, STORE_PURGED));
    else
        done(arg, server.status, 0);
}

static void serve_erase(struct store *store, const char *name, store_write_done *done,
                        void *arg)
{
    const struct store_entry *newest = fake_store_newest(server.fake, name);
    uint64_t marker = newest != NULL ? newest->sequence : 0;

    (void)store;
    if (server.status == JSFS_OK)
        fake_store_forget(server.fake, marker);
    if (server.put_before_the_answer != NULL)
        fake_store_put(server.fake, name, server.put_before_the_answer);
    done(arg, server.status, server.status == JSFS_OK ? marker : 0);
}

static int setup(void **state)
{
    if (fixture_make_kv(state) != 0)
        return 1;
    struct fixture *f = *state;
    memset(&server, 0, sizeof(server));
    server.fake = f->fake;
    server.ops = *f->store->ops;
    server.ops.history = serve_history;
    server.ops.purge = serve_purge;
    server.ops.erase = serve_erase;
    f->store->ops = &server.ops;
    return 0;
}

struct listed {
    enum jsfs_status status;
    size_t count;
};

static void take_list(void *arg, enum jsfs_status status,
                      const struct store_entry *entries, size_t count)
{
    struct listed *listed = arg;

    assert_true((status == JSFS_OK) == (entries != NULL));
    *listed = (struct listed){status, count};
}

static enum jsfs_status purge(struct fixture *f, const char *path)
{
    struct answer answer;

    answer_init(&answer);
    history_purge(f->bucket, path, take_status, &answer);
    answer_wait(&answer);
    return answer.status;
}

static enum jsfs_status erase(struct fixture *f, const char *path)
{
    struct answer answer;

    answer_init(&answer);
    history_erase(f->bucket, path, take_status, &answer);
    answer_wait(&answer);
    return answer.status;
}

static bool is_held(struct fixture *f, const char *path, enum tree_scope scope)
{
    struct tree_held held;

    return tree_held_lookup(bucket_tree(f->bucket), path, scope, &held) == JSFS_OK;
}

/* Tests ------------------------------------------------------------------------------------- */

static void a_list_is_asked_for_by_the_raw_name(void **state)
{
    struct fixture *f = *state;
    struct listed listed;

    history_list(f->bucket, "dir/%40odd", take_list, &listed);
    assert_int_equal(listed.status, JSFS_OK);
    assert_int_equal(listed.count, 4);
    assert_string_equal(server.name, "dir/@odd");
    history_list(f->bucket, "a//b", take_list, &listed);
    assert_int_equal(listed.status, JSFS_BAD_NAME);
    server.status = JSFS_TIMEOUT;
    history_list(f->bucket, "a", take_list, &listed);
    assert_int_equal(listed.status, JSFS_TIMEOUT);
}

static void a_bucket_that_is_gone_has_no_history(void **state)
{
    struct fixture *f = *state;
    struct listed listed;

    fixture_go_live(f);
    fake_store_vanish(f->fake, true);
    wait_until_told(f, "gone ");
    history_list(f->bucket, "a", take_list, &listed);
    assert_int_equal(listed.status, JSFS_STALE);
    assert_int_equal(purge(f, "a"), JSFS_STALE);
    assert_int_equal(erase(f, "a"), JSFS_STALE);
}

static void a_purge_is_done_when_this_mount_shows_it(void **state)
{
    struct fixture *f = *state;
    struct answer answer;

    fake_store_put(f->fake, "d/a", "x");
    fixture_go_live(f);
    fake_store_hold(f->fake, FAKE_EVENTS);
    answer_init(&answer);
    history_purge(f->bucket, "d/a", take_status, &answer);
    assert_int_equal(answer.count, 0);
    fake_store_release(f->fake, FAKE_EVENTS);
    answer_wait(&answer);
    assert_int_equal(answer.status, JSFS_OK);
    assert_int_equal(look_up(f, "d/a")->status, JSFS_NOT_FOUND);
    assert_true(is_held(f, "d/a", TREE_DELETED));
}

static void a_refused_purge_changes_nothing(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "a", "x");
    fixture_go_live(f);
    server.status = JSFS_READ_ONLY;
    assert_int_equal(purge(f, "a"), JSFS_READ_ONLY);
    assert_int_equal(look_up(f, "a")->status, JSFS_OK);
}

static void an_erased_key_is_forgotten(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "a", "x");
    fake_store_mark(f->fake, "a", STORE_DELETED);
    fixture_go_live(f);
    assert_true(is_held(f, "a", TREE_DELETED));
    assert_int_equal(erase(f, "a"), JSFS_OK);
    assert_false(is_held(f, "a", TREE_HELD));
    assert_string_equal(f->told, "");
}

static void a_value_that_comes_meanwhile_is_not_forgotten(void **state)
{
    struct fixture *f = *state;

    fake_store_mark(f->fake, "a", STORE_DELETED);
    fixture_go_live(f);
    server.put_before_the_answer = "new";
    assert_int_equal(erase(f, "a"), JSFS_OK);
    assert_int_equal(look_up(f, "a")->status, JSFS_OK);
    server.status = JSFS_NOT_FOUND; /* the leader had nothing when it was asked */
    server.put_before_the_answer = "newer";
    assert_int_equal(erase(f, "a"), JSFS_NOT_FOUND);
    assert_int_equal(look_up(f, "a")->status, JSFS_OK);
}

static void a_key_that_lives_is_not_among_the_deleted(void **state)
{
    struct fixture *f = *state;

    fake_store_put(f->fake, "a", "x");
    fixture_go_live(f);
    server.status = JSFS_EXISTS;
    assert_int_equal(erase(f, "a"), JSFS_NOT_FOUND);
    assert_int_equal(look_up(f, "a")->status, JSFS_OK);
}

static void what_the_server_has_no_more_is_forgotten(void **state)
{
    struct fixture *f = *state;

    fake_store_mark(f->fake, "a", STORE_DELETED);
    fixture_go_live(f);
    server.status = JSFS_NOT_FOUND;
    assert_int_equal(erase(f, "a"), JSFS_NOT_FOUND);
    assert_false(is_held(f, "a", TREE_HELD));
}

#define WITH_BUCKET(name) cmocka_unit_test_setup_teardown(name, setup, fixture_drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_says_what_a_message_is),
        cmocka_unit_test(only_the_exact_name_finds_a_message),
        cmocka_unit_test(the_last_value_is_before_its_markers),
        cmocka_unit_test(newer_messages_are_counted_with_markers),
        WITH_BUCKET(a_list_is_asked_for_by_the_raw_name),
        WITH_BUCKET(a_bucket_that_is_gone_has_no_history),
        WITH_BUCKET(a_purge_is_done_when_this_mount_shows_it),
        WITH_BUCKET(a_refused_purge_changes_nothing),
        WITH_BUCKET(an_erased_key_is_forgotten),
        WITH_BUCKET(a_value_that_comes_meanwhile_is_not_forgotten),
        WITH_BUCKET(a_key_that_lives_is_not_among_the_deleted),
        WITH_BUCKET(what_the_server_has_no_more_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
