/* SPDX-License-Identifier: Apache-2.0 */
/* test_kv_sources.c - writes of keys that a source's copies lie beside, tried again after a lost
 * answer, on a real nats-server.
 * Test of core/kv_sources.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/clock.h"
#include "core/js_api.h"
#include "core/kv_store.h"
#include "tests/support/live_group.h"
#include <stdio.h>
#include <string.h>

/* A bucket that also has what others store for the key under the subject of a source. */
static struct store *open_beside(const char *bucket)
{
    struct js_stream_info info;
    char stream[64];

    snprintf(stream, sizeof(stream), "KV_%s", bucket);
    live_make_kv(&live, bucket, "");
    assert_int_equal(js_api_stream_info(live.connection, stream, &info), JSFS_OK);
    strcpy(info.sources, "KV_theirs");
    return kv_store_open(live.connection, &info);
}

static enum jsfs_status put(struct store *store, const char *text, const struct store_write *write,
                            uint64_t *sequence)
{
    struct bytes *value = bytes_copy(text, strlen(text));
    struct outcome outcome;

    outcome_begin(&outcome);
    store->ops->value_put(store, "k", value, write, outcome_write, &outcome);
    enum jsfs_status status = outcome_wait(&outcome);
    *sequence = outcome.sequence;
    bytes_unref(value);
    outcome_end(&outcome);
    return status;
}

static uint64_t last_sequence(const char *stream)
{
    struct js_stream_info info;

    assert_int_equal(js_api_stream_info(live.connection, stream, &info), JSFS_OK);
    return info.last_sequence;
}

static void a_write_that_was_stored_is_found_when_it_is_tried_again(void **state)
{
    struct store *store = open_beside("again");
    struct store_write write = {.expect = STORE_EXPECT_ABSENT, .token = store_token()};
    uint64_t created, edited, sequence;

    (void)state;
    assert_int_equal(put(store, "one", &write, &created), JSFS_OK);
    write.tried_ms = clock_boot_ms();
    assert_int_equal(put(store, "one", &write, &sequence), JSFS_OK);
    assert_int_equal(sequence, created);

    write = (struct store_write){
        .expect = STORE_EXPECT_AT, .sequence = created, .token = store_token()};
    assert_int_equal(put(store, "two", &write, &edited), JSFS_OK);
    live_publish_text(&live, "$KV.again.k", "somebody's, on top");
    write.tried_ms = clock_boot_ms();
    assert_int_equal(put(store, "two", &write, &sequence), JSFS_OK);
    assert_int_equal(sequence, edited);
    assert_int_equal(last_sequence("KV_again"), edited + 1);
    store->ops->close(store);
}

static void a_write_that_was_not_stored_and_lost_its_race_is_not_stored_later(void **state)
{
    struct store *store = open_beside("late");
    uint64_t first = live_publish_text(&live, "$KV.late.k", "first");
    struct store_write write = {.expect = STORE_EXPECT_AT,
                                .sequence = first,
                                .token = store_token(),
                                .tried_ms = clock_boot_ms()};
    uint64_t second = live_publish_text(&live, "$KV.late.k", "second"), sequence;

    (void)state;
    assert_int_equal(put(store, "ours", &write, &sequence), JSFS_CONFLICT);
    write.expect = STORE_EXPECT_ABSENT;
    write.token = store_token();
    assert_int_equal(put(store, "ours", &write, &sequence), JSFS_CONFLICT);
    assert_int_equal(last_sequence("KV_late"), second);
    write.expect = STORE_EXPECT_AT;
    write.sequence = second;
    assert_int_equal(put(store, "ours", &write, &sequence), JSFS_OK);
    assert_int_equal(sequence, second + 1);
    store->ops->close(store);
}

static void a_write_that_expects_nothing_is_stored_where_nothing_is(void **state)
{
    struct store *store = open_beside("none");
    struct store_write write = {.expect = STORE_EXPECT_AT, .token = store_token()};
    uint64_t first, sequence;

    (void)state;
    assert_int_equal(put(store, "one", &write, &first), JSFS_OK);
    write.token = store_token();
    assert_int_equal(put(store, "two", &write, &sequence), JSFS_CONFLICT);
    assert_int_equal(last_sequence("KV_none"), first);
    store->ops->close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_that_was_stored_is_found_when_it_is_tried_again),
        cmocka_unit_test(a_write_that_expects_nothing_is_stored_where_nothing_is),
        cmocka_unit_test(a_write_that_was_not_stored_and_lost_its_race_is_not_stored_later),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
