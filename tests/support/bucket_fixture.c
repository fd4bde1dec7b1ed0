/* SPDX-License-Identifier: Apache-2.0 */
/* bucket_fixture.c - a bucket on a fake store, with what its observer was told.
 * Test support.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/bucket_fixture.h"
#include "core/bucket_state.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_MS 30000

void nap_ms(int64_t ms)
{
    usleep((useconds_t)(ms * 1000));
}

void wait_until(bool (*check)(void *arg), void *arg)
{
    int64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;

    while (!check(arg)) {
        assert_true(clock_monotonic_ms() < end_ms);
        nap_ms(1);
    }
}

/* The observer ----------------------------------------------------------------------------- */

static void note(struct fixture *fixture, const char *text)
{
    size_t size = strlen(fixture->told);

    snprintf(fixture->told + size, sizeof(fixture->told) - size, "%s ", text);
}

static void on_changed(void *arg, struct bucket *bucket, const char *path,
                       uint64_t sequence, uint64_t own_token)
{
    struct fixture *fixture = arg;
    SCOPED_LOCK(&fixture->lock);
    char text[256];

    (void)bucket;
    if (sequence == UINT64_MAX)
        snprintf(text, sizeof(text), "%s@gone", path);
    else
        snprintf(text, sizeof(text), "%s@%" PRIu64, path, sequence);
    note(fixture, text);
    fixture->last_token = own_token;
}

static void on_lost(void *arg, struct bucket *bucket)
{
    struct fixture *fixture = arg;
    SCOPED_LOCK(&fixture->lock);

    (void)bucket;
    note(fixture, "lost");
}

static void on_gone(void *arg, struct bucket *bucket)
{
    struct fixture *fixture = arg;
    SCOPED_LOCK(&fixture->lock);

    (void)bucket;
    note(fixture, "gone");
}

struct expectation {
    struct fixture *fixture;
    const char *told;
};

static bool is_told(void *arg)
{
    struct expectation *expectation = arg;
    SCOPED_LOCK(&expectation->fixture->lock);

    return strcmp(expectation->fixture->told, expectation->told) == 0;
}

void wait_until_told(struct fixture *fixture, const char *told)
{
    struct expectation expectation = {fixture, told};

    wait_until(is_told, &expectation);
}

bool was_told(struct fixture *fixture, const char *part)
{
    SCOPED_LOCK(&fixture->lock);
    return strstr(fixture->told, part) != NULL;
}

/* Life ------------------------------------------------------------------------------------- */

static bool ask_connected(void *arg)
{
    return ((struct fixture *)arg)->connected;
}

struct fixture *fixture_new(enum store_kind kind, int64_t max_age_ns, int64_t idle_ms,
                            int64_t poll_ms)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    struct bucket_options options = {.connected = ask_connected,
                                     .connected_arg = fixture,
                                     .load_timeout_ms = LOAD_TIMEOUT_MS,
                                     .idle_ms = idle_ms};
    struct bucket_observer observer = {on_changed, on_lost, on_gone, fixture};

    if (fixture == NULL)
        return NULL;
    pthread_mutex_init(&fixture->lock, NULL);
    fixture->connected = true;
    fixture->executor = executor_new(4);
    fixture->fake = fake_store_new(kind);
    fixture->store = fake_store_get(fixture->fake);
    fake_store_info(fixture->fake)->max_age_ns = max_age_ns;
    fixture->bucket = bucket_new(fixture->store, "fake", fake_store_info(fixture->fake),
                                 fixture->executor, &options, &observer);
    fixture->bucket->poll_ms = poll_ms;
    return fixture;
}

int fixture_make_kv(void **state)
{
    *state = fixture_new(STORE_KV, 0, 0, 60000);
    return *state == NULL;
}

int fixture_make_object(void **state)
{
    *state = fixture_new(STORE_OBJECT, 0, 0, 60000);
    return *state == NULL;
}

static bool is_closed(void *arg)
{
    return fake_store_is_closed(((struct fixture *)arg)->fake);
}

int fixture_drop(void **state)
{
    struct fixture *fixture = *state;

    if (fixture->bucket != NULL)
        bucket_stop(fixture->bucket);
    bucket_unref(fixture->bucket);
    wait_until(is_closed, fixture);
    executor_free(fixture->executor);
    fake_store_free(fixture->fake);
    pthread_mutex_destroy(&fixture->lock);
    free(fixture);
    return 0;
}

/* From now on events are delivered on the test's own thread. */
static bool is_quiet(void *arg)
{
    struct fixture *fixture = arg;
    struct bucket *bucket = fixture->bucket;
    SCOPED_LOCK(&bucket->lock);

    return !bucket->task_running && !bucket->giving && fake_store_is_quiet(fixture->fake);
}

void wait_until_quiet(struct fixture *fixture)
{
    wait_until(is_quiet, fixture);
}

static bool is_watched(void *arg)
{
    return fake_store_is_watched(((struct fixture *)arg)->fake);
}

void wait_until_watched(struct fixture *fixture)
{
    wait_until(is_watched, fixture);
    wait_until_quiet(fixture);
}

void fixture_go_live(struct fixture *fixture)
{
    struct answer answer;

    answer_init(&answer);
    bucket_wait_listed(fixture->bucket, take_status, &answer);
    answer_wait(&answer);
    assert_int_equal(answer.status, JSFS_OK);
    wait_until_quiet(fixture);
}

/* Answers ---------------------------------------------------------------------------------- */

void answer_init(struct answer *answer)
{
    memset(answer, 0, sizeof(*answer));
}

static bool is_answered(void *arg)
{
    return ((struct answer *)arg)->count > 0;
}

void answer_wait(struct answer *answer)
{
    wait_until(is_answered, answer);
}

void take_lookup(void *arg, enum jsfs_status status, const struct tree_attr *attr)
{
    struct answer *answer = arg;

    answer->status = status;
    if (attr != NULL) {
        answer->attr = *attr;
        answer->attr.meta = NULL;
        if (attr->meta != NULL && attr->meta->nuid != NULL)
            snprintf(answer->nuid, sizeof(answer->nuid), "%s", attr->meta->nuid);
    }
    answer->count++;
}

void take_status(void *arg, enum jsfs_status status)
{
    struct answer *answer = arg;

    answer->status = status;
    answer->count++;
}

void take_write(void *arg, enum jsfs_status status, uint64_t sequence)
{
    struct answer *answer = arg;

    answer->status = status;
    answer->sequence = sequence;
    answer->count++;
}

void take_info(void *arg, enum jsfs_status status, const struct js_stream_info *info)
{
    struct answer *answer = arg;

    answer->status = status;
    answer->sequence = info == NULL ? 0 : info->last_sequence;
    answer->count++;
}

struct answer *look_up(struct fixture *fixture, const char *path)
{
    static struct answer answer;

    answer_init(&answer);
    bucket_lookup(fixture->bucket, path, take_lookup, &answer);
    answer_wait(&answer);
    return &answer;
}

enum jsfs_status remove_name(struct fixture *fixture, const char *path)
{
    struct answer answer;

    answer_init(&answer);
    bucket_remove(fixture->bucket, path, take_status, &answer);
    answer_wait(&answer);
    return answer.status;
}
