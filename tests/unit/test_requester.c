/* SPDX-License-Identifier: Apache-2.0 */
/* test_requester.c - requests over a real nats-server, through a link. */
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/link.h"
#include "tests/support/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 20000
#define WAIT_MS 30000

/* What many requests ended in. */
struct tally {
    pthread_mutex_t lock;
    pthread_cond_t changed;         /* lock */
    int ended;                      /* lock */
    int by_status[JSFS_FAILED + 1]; /* lock */
    int wrong;                      /* lock; answers to another question */
};

#define TALLY_INIT                                                                       \
    {                                                                                    \
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER           \
    }

struct bench {
    struct server server;
    struct executor *executor;
    struct link *link;
    struct requester *requester;
    natsConnection *service; /* answers "echo", keeps quiet on "silent" */
    natsSubscription *echo;
    natsSubscription *silent;
    char late[128]; /* the reply subject of the last message to "silent" */
    pthread_mutex_t lock;
};

static void echo(natsConnection *connection, natsSubscription *subscription,
                 natsMsg *message, void *arg)
{
    const char *header = NULL;
    natsMsg *answer = NULL;
    (void)subscription;
    (void)arg;

    (void)natsMsgHeader_Get(message, "Question", &header);
    natsMsg_Create(&answer, natsMsg_GetReply(message), NULL, natsMsg_GetData(message),
                   natsMsg_GetDataLength(message));
    if (header != NULL)
        natsMsgHeader_Set(answer, "Answer", header);
    natsConnection_PublishMsg(connection, answer);
    natsMsg_Destroy(answer);
    natsMsg_Destroy(message);
}

static void keep_quiet(natsConnection *connection, natsSubscription *subscription,
                       natsMsg *message, void *arg)
{
    struct bench *bench = arg;
    (void)connection;
    (void)subscription;

    SCOPED_LOCK(&bench->lock);
    snprintf(bench->late, sizeof(bench->late), "%s", natsMsg_GetReply(message));
    natsMsg_Destroy(message);
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    char error[256] = "";

    pthread_mutex_init(&bench->lock, NULL);
    server_begin(&bench->server, NULL);
    bench->executor = executor_new(2);
    struct link_options options = {.urls = bench->server.url,
                                   .name = "test",
                                   .timeout_ms = TIMEOUT_MS,
                                   .buffer_bytes = 64 * 1024};
    assert_int_equal(
        link_open(&options, bench->executor, &bench->link, error, sizeof(error)),
        JSFS_OK);
    bench->requester = link_requester(bench->link);
    assert_int_equal(natsConnection_ConnectTo(&bench->service, bench->server.url),
                     NATS_OK);
    assert_int_equal(
        natsConnection_Subscribe(&bench->echo, bench->service, "echo", echo, NULL),
        NATS_OK);
    natsSubscription_SetPendingLimits(bench->echo, -1, -1);
    assert_int_equal(natsConnection_Subscribe(&bench->silent, bench->service, "silent",
                                              keep_quiet, bench),
                     NATS_OK);
    assert_int_equal(natsConnection_Flush(bench->service), NATS_OK);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;

    link_close(bench->link);
    natsSubscription_Destroy(bench->echo);
    natsSubscription_Destroy(bench->silent);
    natsConnection_Destroy(bench->service);
    executor_free(bench->executor);
    server_end(&bench->server);
    pthread_mutex_destroy(&bench->lock);
    free(bench);
    return 0;
}

static void count(void *arg, enum jsfs_status status, natsMsg *reply)
{
    struct tally *tally = arg;

    natsMsg_Destroy(reply);
    SCOPED_LOCK(&tally->lock);
    tally->by_status[status]++;
    tally->ended++;
    pthread_cond_broadcast(&tally->changed);
}

/* Wait until so many requests have ended; false after WAIT_MS. */
static bool await(struct tally *tally, int wanted)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    now.tv_sec += WAIT_MS / 1000;
    SCOPED_LOCK(&tally->lock);
    while (tally->ended < wanted)
        if (pthread_cond_timedwait(&tally->changed, &tally->lock, &now) != 0)
            return false;
    return true;
}

static void send_some(struct bench *bench, const struct request *request, int times,
                      struct tally *tally)
{
    for (int i = 0; i < times; i++)
        requester_send(bench->requester, request, count, tally);
}

static void a_request_is_answered(void **state)
{
    struct bench *bench = *state;
    struct request request = {.subject = "echo", .data = "hello", .size = 5};
    natsMsg *reply = NULL;

    assert_int_equal(requester_call(bench->requester, &request, &reply), JSFS_OK);
    assert_int_equal(natsMsg_GetDataLength(reply), 5);
    assert_memory_equal(natsMsg_GetData(reply), "hello", 5);
    natsMsg_Destroy(reply);
}

static void headers_arrive_once_and_again(void **state)
{
    struct bench *bench = *state;
    const char *const headers[] = {"Other", "x", "Question", "what", NULL};
    struct request request = {.subject = "echo", .headers = headers};

    for (int i = 0; i < 2; i++) {
        const char *value = NULL;
        natsMsg *reply = NULL;
        request.resend = i == 1;
        assert_int_equal(requester_call(bench->requester, &request, &reply), JSFS_OK);
        assert_int_equal(natsMsgHeader_Get(reply, "Answer", &value), NATS_OK);
        assert_string_equal(value, "what");
        natsMsg_Destroy(reply);
    }
}

static void where_nobody_listens_the_answer_is_immediate(void **state)
{
    struct bench *bench = *state;
    struct request request = {.subject = "nobody"};
    int64_t start_ms = clock_monotonic_ms();
    natsMsg *reply = NULL;

    assert_int_equal(requester_call(bench->requester, &request, &reply),
                     JSFS_UNAVAILABLE);
    assert_null(reply);
    assert_true(clock_monotonic_ms() - start_ms < TIMEOUT_MS / 2);
}

static void a_request_without_an_answer_ends_at_its_deadline(void **state)
{
    struct bench *bench = *state;
    struct request request = {.subject = "silent", .timeout_ms = 200};
    int64_t start_ms = clock_monotonic_ms();
    natsMsg *reply = NULL;

    assert_int_equal(requester_call(bench->requester, &request, &reply), JSFS_TIMEOUT);
    int64_t took_ms = clock_monotonic_ms() - start_ms;
    assert_true(took_ms >= 200);
    assert_true(took_ms < TIMEOUT_MS / 2);
}

/* Where the answer to the last message to "silent" goes, once that has come. */
static void read_late(struct bench *bench, char *out, size_t size)
{
    struct timespec pause = {.tv_nsec = 5000000};

    out[0] = '\0';
    for (int i = 0; i < WAIT_MS / 5 && out[0] == '\0'; i++) {
        pthread_mutex_lock(&bench->lock);
        snprintf(out, size, "%s", bench->late);
        pthread_mutex_unlock(&bench->lock);
        nanosleep(&pause, NULL);
    }
    assert_string_not_equal(out, "");
}

static void an_answer_that_comes_too_late_answers_nobody(void **state)
{
    struct bench *bench = *state;
    struct request silent = {.subject = "silent", .timeout_ms = 100};
    struct request question = {.subject = "silent", .timeout_ms = 300};
    natsMsg *reply = NULL;
    struct tally tally = TALLY_INIT;
    char late[128];

    assert_int_equal(requester_call(bench->requester, &silent, &reply), JSFS_TIMEOUT);
    read_late(bench, late, sizeof(late));

    /* The next request takes the same slot. */
    send_some(bench, &question, 1, &tally);
    assert_int_equal(natsConnection_PublishString(bench->service, late, "late"), NATS_OK);
    assert_int_equal(natsConnection_Flush(bench->service), NATS_OK);
    assert_true(await(&tally, 1));
    assert_int_equal(tally.by_status[JSFS_TIMEOUT], 1);
}

static void expect(struct bench *bench, struct request request, enum jsfs_status status)
{
    natsMsg *reply = NULL;

    assert_int_equal(requester_call(bench->requester, &request, &reply), status);
    assert_null(reply);
}

static void what_cannot_be_sent_is_refused_and_the_link_lives(void **state)
{
    struct bench *bench = *state;
    CLEANUP(cleanup_free) char *large = calloc(1, 2 << 20);
    struct request request = {.subject = "echo", .data = large, .size = 2 << 20};
    char name[5000];

    expect(bench, (struct request){.subject = "a b"}, JSFS_BAD_NAME);
    expect(bench, (struct request){.subject = "a\r\nPUB echo 0"}, JSFS_BAD_NAME);
    expect(bench, (struct request){.subject = ""}, JSFS_BAD_NAME);
    expect(bench, request, JSFS_TOO_LARGE);
    request.resend = true;
    expect(bench, request, JSFS_TOO_LARGE);

    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    expect(bench, (struct request){.subject = name}, JSFS_NAME_TOO_LONG);
    name[3960] =
        '\0'; /* among the longest that are let through: it costs no connection */
    expect(bench, (struct request){.subject = name}, JSFS_UNAVAILABLE);
    a_request_is_answered(state);
}

#define THREADS 4
#define EACH 2500

struct question {
    struct tally *tally;
    char text[24];
};

static void compare(void *arg, enum jsfs_status status, natsMsg *reply)
{
    struct question *question = arg;
    bool same =
        status == JSFS_OK &&
        natsMsg_GetDataLength(reply) == (int)strlen(question->text) &&
        memcmp(natsMsg_GetData(reply), question->text, strlen(question->text)) == 0;

    if (!same) {
        SCOPED_LOCK(&question->tally->lock);
        question->tally->wrong++;
    }
    count(question->tally, status, reply);
    free(question);
}

struct asker {
    struct bench *bench;
    struct tally *tally;
    int number;
};

static void *ask_many(void *arg)
{
    struct asker *asker = arg;

    for (int i = 0; i < EACH; i++) {
        struct question *question = calloc(1, sizeof(*question));
        question->tally = asker->tally;
        snprintf(question->text, sizeof(question->text), "%d/%d", asker->number, i);
        struct request request = {.subject = "echo",
                                  .data = question->text,
                                  .size = strlen(question->text),
                                  .timeout_ms = WAIT_MS,
                                  .resend = i % 2 == 0};
        requester_send(asker->bench->requester, &request, compare, question);
    }
    return NULL;
}

static void ten_thousand_requests_get_their_own_answers(void **state)
{
    struct tally tally = TALLY_INIT;
    pthread_t threads[THREADS];
    struct asker askers[THREADS];

    for (int i = 0; i < THREADS; i++) {
        askers[i] = (struct asker){*state, &tally, i};
        assert_int_equal(pthread_create(&threads[i], NULL, ask_many, &askers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_true(await(&tally, THREADS * EACH));
    assert_int_equal(tally.by_status[JSFS_OK], THREADS * EACH);
    assert_int_equal(tally.wrong, 0);
}

static void wait_until(struct bench *bench, bool up)
{
    struct timespec pause = {.tv_nsec = 5000000};

    for (int i = 0; i < WAIT_MS / 5 && link_is_up(bench->link) != up; i++)
        nanosleep(&pause, NULL);
    assert_int_equal(link_is_up(bench->link), up);
}

static void a_lost_server_ends_what_may_not_be_sent_again(void **state)
{
    struct bench *bench = *state;
    struct request silent = {.subject = "silent", .timeout_ms = WAIT_MS};
    struct tally tally = TALLY_INIT;
    int64_t start_ms = clock_monotonic_ms();
    natsMsg *reply = NULL;

    send_some(bench, &silent, 10, &tally);
    server_halt(&bench->server);
    assert_true(await(&tally, 10));
    assert_int_equal(tally.by_status[JSFS_TIMEOUT], 10);

    wait_until(bench, false);
    assert_int_equal(requester_call(bench->requester, &silent, &reply), JSFS_UNAVAILABLE);
    assert_true(clock_monotonic_ms() - start_ms < TIMEOUT_MS);
}

static void what_may_be_sent_again_is_answered_by_the_server_that_returns(void **state)
{
    struct bench *bench = *state;
    char subject[] = "$JS.API.STREAM.CREATE.S";
    char body[] = "{\"name\":\"S\",\"subjects\":[\"s\"],\"storage\":\"memory\"}";
    struct request info = {
        .subject = "$JS.API.INFO", .timeout_ms = WAIT_MS, .resend = true};
    struct request create = {.subject = subject,
                             .data = body,
                             .size = strlen(body),
                             .timeout_ms = WAIT_MS,
                             .resend = true};
    struct tally tally = TALLY_INIT;
    natsMsg *reply = NULL;

    server_halt(&bench->server);
    send_some(bench, &info, 20, &tally); /* some before the loss is noticed, some after */
    wait_until(bench, false);
    send_some(bench, &info, 20, &tally);
    send_some(bench, &create, 1, &tally);
    memset(subject, 'x', sizeof(subject) - 1); /* what is kept is a copy */
    memset(body, 'x', sizeof(body) - 1);
    assert_int_equal(tally.ended, 0);

    server_resume(&bench->server);
    assert_true(await(&tally, 41));
    assert_int_equal(tally.by_status[JSFS_OK], 41);
    wait_until(bench, true);

    info = (struct request){.subject = "$JS.API.STREAM.INFO.S"};
    assert_int_equal(requester_call(bench->requester, &info, &reply), JSFS_OK);
    assert_null(strstr(natsMsg_GetData(reply), "\"error\""));
    natsMsg_Destroy(reply);
}

static void waiting_for_the_server_ends_at_the_deadline(void **state)
{
    struct bench *bench = *state;
    struct request info = {.subject = "$JS.API.INFO", .timeout_ms = 300, .resend = true};
    int64_t start_ms = clock_monotonic_ms();
    natsMsg *reply = NULL;

    server_halt(&bench->server);
    wait_until(bench, false);
    assert_int_equal(requester_call(bench->requester, &info, &reply), JSFS_TIMEOUT);
    assert_true(clock_monotonic_ms() - start_ms < TIMEOUT_MS);
}

static void closing_interrupts_what_is_in_flight(void **state)
{
    struct bench *bench = *state;
    struct request silent = {.subject = "silent"};
    struct request kept = {.subject = "silent", .resend = true};
    struct tally tally = TALLY_INIT;

    send_some(bench, &silent, 500, &tally);
    send_some(bench, &kept, 500, &tally);
    link_close(bench->link);
    bench->link = NULL;
    assert_int_equal(tally.ended, 1000); /* all before link_close() returned */
    assert_int_equal(tally.by_status[JSFS_INTERRUPTED], 1000);
}

/* While answers stream in, and the callbacks ask again. */
static void ask_again(void *arg, enum jsfs_status status, natsMsg *reply)
{
    struct asker *asker = arg;
    struct request request = {.subject = "echo", .data = "x", .size = 1};

    natsMsg_Destroy(reply);
    if (status == JSFS_OK)
        requester_send(asker->bench->requester, &request, ask_again, asker);
    else
        count(asker->tally, status, NULL);
}

static void closing_stops_callbacks_that_ask_again(void **state)
{
    struct bench *bench = *state;
    struct tally tally = TALLY_INIT;
    struct asker asker = {bench, &tally, 0};
    struct timespec pause = {.tv_nsec = 100000000};

    for (int i = 0; i < 32; i++)
        ask_again(&asker, JSFS_OK, NULL);
    nanosleep(&pause, NULL);
    link_close(bench->link);
    bench->link = NULL;
    assert_int_equal(tally.ended, 32);
    assert_int_equal(tally.by_status[JSFS_INTERRUPTED], 32);
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(a_request_is_answered),
        BENCH_TEST(headers_arrive_once_and_again),
        BENCH_TEST(where_nobody_listens_the_answer_is_immediate),
        BENCH_TEST(a_request_without_an_answer_ends_at_its_deadline),
        BENCH_TEST(an_answer_that_comes_too_late_answers_nobody),
        BENCH_TEST(what_cannot_be_sent_is_refused_and_the_link_lives),
        BENCH_TEST(ten_thousand_requests_get_their_own_answers),
        BENCH_TEST(a_lost_server_ends_what_may_not_be_sent_again),
        BENCH_TEST(what_may_be_sent_again_is_answered_by_the_server_that_returns),
        BENCH_TEST(waiting_for_the_server_ends_at_the_deadline),
        BENCH_TEST(closing_interrupts_what_is_in_flight),
        BENCH_TEST(closing_stops_callbacks_that_ask_again),
    };

    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    nats_CloseAndWait(10000);
    return failed;
}
