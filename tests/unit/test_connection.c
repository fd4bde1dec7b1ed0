/* SPDX-License-Identifier: Apache-2.0 */
/* test_connection.c - what a user is told, and what observers hear, against real servers. */
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/connection.h"
#include "core/link.h"
#include "tests/support/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TIMEOUT_MS 8000

struct attempt {
    struct executor *executor;
    struct connection *connection;
    enum jsfs_status status;
    char error[256];
};

static struct attempt open_url(const char *url)
{
    struct attempt attempt = {.executor = executor_new(2)};
    struct connection_options options = {.urls = url, .timeout_ms = TIMEOUT_MS};

    attempt.status = connection_open(&options, attempt.executor, &attempt.connection,
                                     attempt.error, sizeof(attempt.error));
    return attempt;
}

static void end(struct attempt *attempt)
{
    connection_close(attempt->connection);
    executor_free(attempt->executor);
}

static void refused(const char *url, enum jsfs_status status, const char *text)
{
    struct attempt attempt = open_url(url);

    assert_int_equal(attempt.status, status);
    assert_null(attempt.connection);
    if (strstr(attempt.error, text) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", text, attempt.error);
    assert_null(strchr(attempt.error, '\n'));
    assert_null(strstr(attempt.error, "secret"));
    end(&attempt);
}

static void a_server_that_is_not_there_is_named(void **state)
{
    int64_t start_ms = clock_monotonic_ms();
    (void)state;

    refused("nats://joe:secret@127.0.0.1:1", JSFS_UNAVAILABLE,
            "no NATS server answers at nats://127.0.0.1:1");
    refused("nats://127.0.0.1:1,joe:secret@127.0.0.1:2", JSFS_UNAVAILABLE,
            "nats://127.0.0.1:1,127.0.0.1:2");
    assert_true(clock_monotonic_ms() - start_ms < 2 * TIMEOUT_MS);
}

static void what_is_no_url_is_said(void **state)
{
    (void)state;
    refused("nats://127.0.0.1:port", JSFS_INVALID, "not a NATS server URL");
    refused(" , ", JSFS_INVALID, "not a NATS server URL");
}

static void credentials_are_hidden(void **state)
{
    static const struct {
        const char *urls, *shown;
    } rows[] = {
        {"nats://h:1",                "nats://h:1"        },
        {"nats://u:p@h:1",            "nats://h:1"        },
        {"u:p@h",                     "h"                 },
        {"nats://token@h",            "nats://h"          },
        {"nats://u:p@ss@h:1,tls://b", "nats://h:1,tls://b"},
        {"",                          ""                  },
    };
    char shown[64];
    char small[8];
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        link_hide_credentials(rows[i].urls, shown, sizeof(shown));
        assert_string_equal(shown, rows[i].shown);
    }
    link_hide_credentials("nats://u:p@host,nats://x", small, sizeof(small));
    assert_string_equal(small, "nats://");
}

static void a_wrong_password_is_denied(void **state)
{
    struct server server;
    char url[128];
    (void)state;

    server_begin(&server, "jetstream {}\nauthorization {user: joe, password: right}\n");
    snprintf(url, sizeof(url), "nats://joe:secret@127.0.0.1:%d", server.port);
    refused(url, JSFS_DENIED, "refuses the user");

    snprintf(url, sizeof(url), "nats://joe:right@127.0.0.1:%d", server.port);
    struct attempt attempt = open_url(url);
    char shown[64];
    assert_int_equal(attempt.status, JSFS_OK);
    connection_url(attempt.connection, shown, sizeof(shown));
    assert_string_equal(shown, server.url);
    end(&attempt);
    server_end(&server);
}

static void a_server_without_jetstream_is_unsupported(void **state)
{
    struct server server;
    (void)state;

    server_begin(&server, "debug: false\n");
    refused(server.url, JSFS_UNSUPPORTED, "JetStream is not enabled");
    server_end(&server);
}

static void an_account_without_jetstream_is_unsupported(void **state)
{
    struct server server;
    (void)state;

    server_begin(&server, "jetstream {}\naccounts {A {users: [{user: a, password: b}]}}\n"
                          "no_auth_user: a\n");
    refused(server.url, JSFS_UNSUPPORTED, "JetStream");
    server_end(&server);
}

static void a_user_who_may_not_listen_is_told_so(void **state)
{
    struct server server;
    (void)state;

    server_begin(&server, "jetstream {}\nauthorization {users: [{user: a, password: b,"
                          " permissions: {subscribe: {deny: \"_INBOX.>\"}}}]}\n"
                          "no_auth_user: a\n");
    refused(server.url, JSFS_DENIED, "may not subscribe to _INBOX.>");
    server_end(&server);
}

static void a_forbidden_request_is_denied_before_its_deadline(void **state)
{
    struct server server;
    struct request request = {.subject = "$JS.API.STREAM.INFO.X", .timeout_ms = 20000};
    natsMsg *reply = NULL;
    (void)state;

    server_begin(&server, "jetstream {}\nauthorization {users: [{user: a, password: b,"
                          " permissions: {publish: {deny: \"$JS.API.STREAM.>\"}}}]}\n"
                          "no_auth_user: a\n");
    struct attempt attempt = open_url(server.url);
    assert_int_equal(attempt.status, JSFS_OK);
    for (int i = 0; i < 3; i++) {
        int64_t start_ms = clock_monotonic_ms();
        assert_int_equal(requester_call(connection_requester(attempt.connection,
                                                             (enum connection_link)i),
                                        &request, &reply),
                         JSFS_DENIED);
        assert_true(clock_monotonic_ms() - start_ms < request.timeout_ms);
    }
    end(&attempt);
    server_end(&server);
}

struct heard {
    struct connection *connection;
    atomic_int ups, downs, wrong;
};

static void hear(void *arg, bool up)
{
    struct heard *heard = arg;

    atomic_fetch_add(up ? &heard->ups : &heard->downs, 1);
    if (connection_is_up(heard->connection) != up)
        atomic_fetch_add(&heard->wrong, 1);
}

static bool becomes(atomic_int *value, int wanted)
{
    struct timespec pause = {.tv_nsec = 10000000};

    for (int i = 0; i < 2000 && atomic_load(value) < wanted; i++)
        nanosleep(&pause, NULL);
    return atomic_load(value) == wanted;
}

static void observers_hear_of_loss_and_return_until_they_leave(void **state)
{
    struct server server;
    (void)state;

    server_begin(&server, NULL);
    struct attempt attempt = open_url(server.url);
    assert_int_equal(attempt.status, JSFS_OK);
    struct heard stays = {.connection = attempt.connection};
    struct heard leaves = {.connection = attempt.connection};
    struct connection_observer first = {.changed = hear, .arg = &stays};
    struct connection_observer second = {.changed = hear, .arg = &leaves};
    connection_observe(attempt.connection, &first);
    connection_observe(attempt.connection, &second);

    server_halt(&server);
    assert_true(becomes(&stays.downs, 1));
    assert_true(becomes(&leaves.downs, 1));
    connection_unobserve(attempt.connection, &second);
    server_resume(&server);
    assert_true(becomes(&stays.ups, 1));
    assert_int_equal(leaves.ups, 0);
    assert_int_equal(stays.wrong, 0);
    assert_true(connection_is_up(attempt.connection));
    connection_unobserve(attempt.connection, &first);
    end(&attempt);
    server_end(&server);
}

static void the_limit_of_a_message_is_that_of_the_server_that_returned(void **state)
{
    struct server server;
    char path[128];
    (void)state;

    server_begin(&server, "jetstream {}\nmax_payload: 65536\n");
    struct attempt attempt = open_url(server.url);
    assert_int_equal(attempt.status, JSFS_OK);
    assert_int_equal(connection_max_payload(attempt.connection), 65536);
    struct heard heard = {.connection = attempt.connection};
    struct connection_observer observer = {.changed = hear, .arg = &heard};
    connection_observe(attempt.connection, &observer);

    server_halt(&server);
    snprintf(path, sizeof(path), "%s/server.conf", server.directory);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs("jetstream {}\nmax_payload: 131072\n", file);
    fclose(file);
    server_resume(&server);
    assert_true(becomes(&heard.ups, 1));
    assert_int_equal(connection_max_payload(attempt.connection), 131072);
    connection_unobserve(attempt.connection, &observer);
    end(&attempt);
    server_end(&server);
}

static void closing_while_the_server_is_away_ends(void **state)
{
    struct server server;
    (void)state;

    server_begin(&server, NULL);
    struct attempt attempt = open_url(server.url);
    assert_int_equal(attempt.status, JSFS_OK);
    struct heard heard = {.connection = attempt.connection};
    struct connection_observer observer = {.changed = hear, .arg = &heard};
    connection_observe(attempt.connection, &observer);
    server_halt(&server);
    assert_true(becomes(&heard.downs, 1));
    connection_unobserve(attempt.connection, &observer);
    int64_t start_ms = clock_monotonic_ms();
    end(&attempt);
    assert_true(clock_monotonic_ms() - start_ms < TIMEOUT_MS);
    server_end(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_that_is_not_there_is_named),
        cmocka_unit_test(what_is_no_url_is_said),
        cmocka_unit_test(credentials_are_hidden),
        cmocka_unit_test(a_wrong_password_is_denied),
        cmocka_unit_test(a_server_without_jetstream_is_unsupported),
        cmocka_unit_test(an_account_without_jetstream_is_unsupported),
        cmocka_unit_test(a_user_who_may_not_listen_is_told_so),
        cmocka_unit_test(a_forbidden_request_is_denied_before_its_deadline),
        cmocka_unit_test(observers_hear_of_loss_and_return_until_they_leave),
        cmocka_unit_test(the_limit_of_a_message_is_that_of_the_server_that_returned),
        cmocka_unit_test(closing_while_the_server_is_away_ends),
    };

    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    nats_CloseAndWait(10000);
    return failed;
}
