/* SPDX-License-Identifier: Apache-2.0 */
/* test_catalog.c - which buckets exist, against a real nats-server with other clients.
 * Test of core/catalog.c and its parts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/catalog.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/js_api.h"
#include "tests/support/live_store.h"
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define PATIENCE_MS 15000

struct bench {
    struct live live;
    struct config config;
    struct catalog *catalog;
    pthread_mutex_t lock;
    char told[1024]; /* lock; "+kv/a ", "-obj/b ", "gone:a " */
};

/* The observer ----------------------------------------------------------------------------- */

static void note(struct bench *bench, const char *before, const char *what,
                 const char *name)
{
    SCOPED_LOCK(&bench->lock);
    size_t size = strlen(bench->told);

    snprintf(bench->told + size, sizeof(bench->told) - size, "%s%s%s ", before, what,
             name);
}

static void on_listed(void *arg, enum store_kind kind, const char *name, bool exists)
{
    note(arg, exists ? "+" : "-", kind == STORE_KV ? "kv/" : "obj/", name);
}

static void on_gone(void *arg, struct bucket *bucket)
{
    note(arg, "gone:", "", bucket_name(bucket));
}

/* cmocka asserts only on the test's thread. */
static void wait_until_told(struct bench *bench, const char *part)
{
    int64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;
    bool told = false;

    while (!told && clock_monotonic_ms() < end_ms) {
        pthread_mutex_lock(&bench->lock);
        told = strstr(bench->told, part) != NULL;
        pthread_mutex_unlock(&bench->lock);
        pause_ms(5);
    }
    if (!told)
        fail_msg("not told: %s; told: %s", part, bench->told);
}

/* Fixture ---------------------------------------------------------------------------------- */

static void open_catalog(struct bench *bench)
{
    struct catalog_observer observer = {
        .bucket = {.gone = on_gone, .arg = bench},
          .listed = on_listed, .arg = bench
    };

    bench->catalog = catalog_new(bench->live.connection, bench->live.executor,
                                 &bench->config, &observer);
    assert_non_null(bench->catalog);
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));

    pthread_mutex_init(&bench->lock, NULL);
    config_init(&bench->config);
    live_begin(&bench->live, 3000);
    open_catalog(bench);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;

    catalog_free(bench->catalog);
    executor_settle(bench->live.executor);
    live_end(&bench->live);
    config_clear(&bench->config);
    pthread_mutex_destroy(&bench->lock);
    free(bench);
    return 0;
}

/* Calls that wait -------------------------------------------------------------------------- */

struct result {
    atomic_bool ended;
    enum jsfs_status status;
    struct bucket *bucket; /* counted */
    char names[512];       /* joined by blanks */
    int64_t storage_limit;
};

static void wait_for(struct result *result)
{
    int64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;

    while (!result->ended && clock_monotonic_ms() < end_ms)
        pause_ms(1);
    assert_true(result->ended);
}

static void take_bucket(void *arg, enum jsfs_status status, struct bucket *bucket)
{
    struct result *result = arg;

    result->status = status;
    result->bucket = bucket == NULL ? NULL : bucket_ref(bucket);
    result->ended = true;
}

static void take_names(void *arg, enum jsfs_status status, const char *const *names,
                       size_t count)
{
    struct result *result = arg;

    for (size_t i = 0; i < count; i++)
        snprintf(result->names + strlen(result->names),
                 sizeof(result->names) - strlen(result->names), "%s ", names[i]);
    result->status = status;
    result->ended = true;
}

static void take_plain(void *arg, enum jsfs_status status)
{
    struct result *result = arg;

    result->status = status;
    result->ended = true;
}

static void take_account(void *arg, enum jsfs_status status,
                         const struct js_account_info *info)
{
    struct result *result = arg;

    result->status = status;
    result->storage_limit = info == NULL ? 0 : info->storage_limit;
    result->ended = true;
}

/* The bucket is for bucket_unref(). */
static enum jsfs_status look_up(struct bench *bench, enum store_kind kind,
                                const char *name, struct bucket **bucket)
{
    struct result result = {.status = JSFS_FAILED};

    catalog_lookup(bench->catalog, kind, name, take_bucket, &result);
    wait_for(&result);
    *bucket = result.bucket;
    return result.status;
}

static enum jsfs_status exists(struct bench *bench, enum store_kind kind,
                               const char *name)
{
    struct bucket *bucket;
    enum jsfs_status status = look_up(bench, kind, name, &bucket);

    bucket_unref(bucket);
    return status;
}

static const char *names_of(struct bench *bench, enum store_kind kind)
{
    static struct result result;

    memset(&result, 0, sizeof(result));
    catalog_list(bench->catalog, kind, take_names, &result);
    wait_for(&result);
    assert_int_equal(result.status, JSFS_OK);
    return result.names;
}

/* Another client's bucket shows when its advisory has come, or within a second. */
static void wait_for_names(struct bench *bench, enum store_kind kind, const char *names)
{
    int64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;

    while (strcmp(names_of(bench, kind), names) != 0 && clock_monotonic_ms() < end_ms)
        pause_ms(10);
    assert_string_equal(names_of(bench, kind), names);
}

static enum jsfs_status create(struct bench *bench, enum store_kind kind,
                               const char *name)
{
    struct result result = {.status = JSFS_FAILED};

    catalog_create(bench->catalog, kind, name, take_plain, &result);
    wait_for(&result);
    return result.status;
}

static enum jsfs_status delete (struct bench *bench, enum store_kind kind,
                                const char *name) {
    struct result result = {.status = JSFS_FAILED};

    catalog_remove(bench->catalog, kind, name, take_plain, &result);
    wait_for(&result);
    return result.status;
}

static void go_live(struct bucket *bucket)
{
    struct result result = {.status = JSFS_FAILED};

    bucket_wait_listed(bucket, take_plain, &result);
    wait_for(&result);
    assert_int_equal(result.status, JSFS_OK);
}

/* Tests ------------------------------------------------------------------------------------ */

static void buckets_of_both_kinds_are_listed_in_order_and_nothing_else(void **state)
{
    struct bench *bench = *state;

    live_make_kv(&bench->live, "zebra", "");
    live_make_kv(&bench->live, "ant", "");
    live_make_object(&bench->live, "box", "");
    assert_int_equal(
        js_api_stream_create(bench->live.connection, "ORDERS",
                             "{\"name\":\"ORDERS\",\"subjects\":[\"orders\"]}"),
        JSFS_OK);
    wait_for_names(bench, STORE_KV, "ant zebra ");
    wait_for_names(bench, STORE_OBJECT, "box ");
    assert_int_equal(exists(bench, STORE_KV, "ant"), JSFS_OK);
    assert_int_equal(exists(bench, STORE_OBJECT, "ant"), JSFS_NOT_FOUND);
    assert_int_equal(exists(bench, STORE_KV, "RDERS"), JSFS_NOT_FOUND);
}

static void a_mirror_is_listed_too(void **state)
{
    struct bench *bench = *state;

    live_make_kv(&bench->live, "origin", "");
    assert_int_equal(js_api_stream_create(bench->live.connection, "KV_copy",
                                          "{\"name\":\"KV_copy\",\"mirror\":{\"name\":"
                                          "\"KV_origin\"},\"mirror_direct\":true}"),
                     JSFS_OK);
    wait_for_names(bench, STORE_KV, "copy origin ");
}

static void a_bucket_is_opened_once_and_shows_its_keys(void **state)
{
    struct bench *bench = *state;
    struct bucket *first, *second;
    struct tree_attr attr;

    live_make_kv(&bench->live, "b", "");
    live_publish_text(&bench->live, "$KV.b.key", "hello");
    assert_int_equal(look_up(bench, STORE_KV, "b", &first), JSFS_OK);
    assert_int_equal(look_up(bench, STORE_KV, "b", &second), JSFS_OK);
    assert_ptr_equal(first, second);
    assert_string_equal(bucket_name(first), "b");
    go_live(first);
    assert_true(bucket_is_live(first));
    assert_int_equal(tree_lookup(bucket_tree(first), "key", &attr), JSFS_OK);
    assert_int_equal(attr.size_bytes, 5);
    bucket_unref(first);
    bucket_unref(second);
}

static void an_open_bucket_is_found_without_asking(void **state)
{
    struct bench *bench = *state;
    struct bucket *bucket;
    struct result result = {.status = JSFS_FAILED};

    live_make_kv(&bench->live, "b", "");
    assert_int_equal(look_up(bench, STORE_KV, "b", &bucket), JSFS_OK);
    bucket_unref(bucket);
    pause_ms(1100); /* the list is old by now */
    catalog_lookup(bench->catalog, STORE_KV, "b", take_bucket, &result);
    assert_true(result.ended);
    assert_int_equal(result.status, JSFS_OK);
    bucket_unref(result.bucket);
}

static void buckets_that_others_make_and_delete_are_told(void **state)
{
    struct bench *bench = *state;
    struct bucket *bucket;

    live_make_kv(&bench->live, "old", "");
    assert_int_equal(look_up(bench, STORE_KV, "old", &bucket), JSFS_OK);
    live_make_object(&bench->live, "new", "");
    wait_until_told(bench, "+obj/new ");
    assert_int_equal(js_api_stream_delete(bench->live.connection, "KV_old"), JSFS_OK);
    wait_until_told(bench, "-kv/old ");
    wait_until_told(bench, "gone:old ");
    assert_true(bucket_is_gone(bucket));
    assert_int_equal(exists(bench, STORE_KV, "old"), JSFS_NOT_FOUND);
    bucket_unref(bucket);
}

static void a_bucket_that_was_made_anew_is_another_one(void **state)
{
    struct bench *bench = *state;
    struct bucket *before, *after;

    live_make_kv(&bench->live, "b", "");
    live_publish_text(&bench->live, "$KV.b.key", "hello");
    assert_int_equal(look_up(bench, STORE_KV, "b", &before), JSFS_OK);
    go_live(before);
    assert_int_equal(js_api_stream_delete(bench->live.connection, "KV_b"), JSFS_OK);
    live_make_kv(&bench->live, "b", "");
    wait_until_told(bench, "gone:b ");
    assert_int_equal(look_up(bench, STORE_KV, "b", &after), JSFS_OK);
    assert_ptr_not_equal(before, after);
    go_live(after);
    assert_false(bucket_is_gone(after));
    assert_true(bucket_is_gone(before));
    bucket_unref(before);
    bucket_unref(after);
}

static void a_bucket_is_created_once_with_the_defaults(void **state)
{
    struct bench *bench = *state;
    struct js_stream_info info;

    bench->config.kv.history = 7;
    assert_int_equal(create(bench, STORE_KV, "fresh"), JSFS_OK);
    assert_int_equal(exists(bench, STORE_KV, "fresh"), JSFS_OK);
    assert_int_equal(create(bench, STORE_KV, "fresh"), JSFS_EXISTS);
    assert_int_equal(create(bench, STORE_OBJECT, "fresh"), JSFS_OK);
    assert_int_equal(create(bench, STORE_KV, "not a name"), JSFS_BAD_NAME);
    assert_int_equal(create(bench, STORE_KV, ""), JSFS_BAD_NAME);
    assert_int_equal(js_api_stream_info(bench->live.connection, "KV_fresh", &info),
                     JSFS_OK);
    assert_int_equal(info.max_messages_per_subject, 7);
}

static void only_an_empty_bucket_is_deleted(void **state)
{
    struct bench *bench = *state;
    static const char *const marker[] = {"KV-Operation", "DEL", NULL};
    struct js_stream_info info;

    live_make_kv(&bench->live, "b", "");
    live_publish_text(&bench->live, "$KV.b.key", "hello");
    assert_int_equal(delete (bench, STORE_KV, "b"), JSFS_NOT_EMPTY);
    assert_int_equal(delete (bench, STORE_KV, "none"), JSFS_NOT_FOUND);
    live_publish(&bench->live, "$KV.b.key", marker, "", 0);
    for (int i = 0; i < 1000 && delete (bench, STORE_KV, "b") == JSFS_NOT_EMPTY; i++)
        pause_ms(20); /* until the watch has told the marker */
    assert_int_equal(js_api_stream_info(bench->live.connection, "KV_b", &info),
                     JSFS_NOT_FOUND);
    assert_int_equal(exists(bench, STORE_KV, "b"), JSFS_NOT_FOUND);
}

static void what_is_known_is_given_while_the_server_is_away(void **state)
{
    struct bench *bench = *state;
    struct bucket *bucket;
    struct result list = {.status = JSFS_FAILED};

    live_make_kv(&bench->live, "open", "");
    live_make_kv(&bench->live, "other", "");
    assert_int_equal(look_up(bench, STORE_KV, "open", &bucket), JSFS_OK);
    bucket_unref(bucket);
    wait_for_names(bench, STORE_KV, "open other ");
    server_halt(&bench->live.server);
    for (int i = 0; i < 1000 && connection_is_up(bench->live.connection); i++)
        pause_ms(10);
    pause_ms(1100);
    assert_int_equal(exists(bench, STORE_KV, "open"), JSFS_OK);
    catalog_list(bench->catalog, STORE_KV, take_names, &list);
    wait_for(&list);
    assert_int_equal(list.status, JSFS_OK);
    assert_string_equal(list.names, "open other ");
    assert_int_not_equal(create(bench, STORE_KV, "new"), JSFS_OK);
    server_resume(&bench->live.server);
}

/* The permissions that clients of one bucket get (reference nats.md §1.9) do not let them list. */
static void a_user_who_may_not_list_streams_can_name_a_bucket(void **state)
{
    struct bench bench = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct connection_options options = {.timeout_ms = 3000};
    struct result list = {.status = JSFS_FAILED};
    struct bucket *bucket;
    char error[256], urls[96];

    (void)state;
    config_init(&bench.config);
    server_begin(
        &bench.live.server,
        "jetstream {}\nauthorization {users: [{user: u, password: p, permissions: "
        "{publish: {deny: [\"$JS.API.STREAM.LIST\"]}}}]}\n");
    snprintf(urls, sizeof(urls), "nats://u:p@%s",
             bench.live.server.url + strlen("nats://"));
    options.urls = urls;
    bench.live.executor = executor_new(4);
    assert_int_equal(connection_open(&options, bench.live.executor,
                                     &bench.live.connection, error, sizeof(error)),
                     JSFS_OK);
    open_catalog(&bench);
    live_make_kv(&bench.live, "b", "");
    live_publish_text(&bench.live, "$KV.b.key", "hello");
    assert_int_equal(exists(&bench, STORE_KV, "none"), JSFS_NOT_FOUND);
    assert_int_equal(look_up(&bench, STORE_KV, "b", &bucket), JSFS_OK);
    go_live(bucket);
    bucket_unref(bucket);
    assert_int_equal(exists(&bench, STORE_KV, "b"), JSFS_OK);
    catalog_list(bench.catalog, STORE_KV, take_names, &list);
    wait_for(&list);
    assert_int_equal(list.status, JSFS_DENIED);
    assert_int_equal(js_api_stream_delete(bench.live.connection, "KV_b"), JSFS_OK);
    wait_until_told(&bench, "gone:b ");
    assert_int_equal(exists(&bench, STORE_KV, "b"), JSFS_NOT_FOUND);
    live_make_kv(&bench.live, "b", "");
    assert_int_equal(look_up(&bench, STORE_KV, "b", &bucket), JSFS_OK);
    go_live(bucket);
    bucket_unref(bucket);
    catalog_free(bench.catalog);
    executor_settle(bench.live.executor);
    live_end(&bench.live);
    config_clear(&bench.config);
}

static void the_account_is_asked_when_wanted(void **state)
{
    struct bench *bench = *state;
    struct result result = {.status = JSFS_FAILED};

    catalog_account(bench->catalog, take_account, &result);
    wait_for(&result);
    assert_int_equal(result.status, JSFS_OK);
    assert_int_equal(result.storage_limit, -1);
}

static void freeing_answers_all_who_wait(void **state)
{
    struct bench *bench = *state;
    struct result results[20];
    struct bucket *bucket;

    live_make_kv(&bench->live, "b", "");
    live_publish_text(&bench->live, "$KV.b.key", "hello");
    assert_int_equal(look_up(bench, STORE_KV, "b", &bucket), JSFS_OK);
    memset(results, 0, sizeof(results));
    pause_ms(1100);
    for (size_t i = 0; i < 20; i += 4) {
        catalog_lookup(bench->catalog, STORE_KV, "none", take_bucket, &results[i]);
        catalog_list(bench->catalog, STORE_KV, take_names, &results[i + 1]);
        catalog_remove(bench->catalog, STORE_KV, "b", take_plain, &results[i + 2]);
        catalog_account(bench->catalog, take_account, &results[i + 3]);
    }
    catalog_free(bench->catalog);
    for (size_t i = 0; i < 20; i++)
        assert_true(results[i].ended);
    bucket_unref(bucket);
    bench->catalog = NULL;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(buckets_of_both_kinds_are_listed_in_order_and_nothing_else),
        TEST(a_mirror_is_listed_too),
        TEST(a_bucket_is_opened_once_and_shows_its_keys),
        TEST(an_open_bucket_is_found_without_asking),
        TEST(buckets_that_others_make_and_delete_are_told),
        TEST(a_bucket_that_was_made_anew_is_another_one),
        TEST(a_bucket_is_created_once_with_the_defaults),
        TEST(only_an_empty_bucket_is_deleted),
        TEST(what_is_known_is_given_while_the_server_is_away),
        cmocka_unit_test(a_user_who_may_not_list_streams_can_name_a_bucket),
        TEST(the_account_is_asked_when_wanted),
        TEST(freeing_answers_all_who_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
