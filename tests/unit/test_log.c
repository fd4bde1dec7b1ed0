/* SPDX-License-Identifier: Apache-2.0 */
/* test_log.c - a line is one line, whatever it is about.
 * Unit test of layer 1. Takes the place of syslog(3) and catches stderr.
 */
#include "core/log.h"
#include "core/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define THREADS 4
#define LINES 200

static int syslog_priority;
static char syslog_text[8192];

/* Declared here: syslog.h would replace them by fortified ones. */
void syslog(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));
void __syslog_chk(int priority, int flag, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void syslog(int priority, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(syslog_text, sizeof(syslog_text), format, arguments);
    va_end(arguments);
    syslog_priority = priority;
}

void __syslog_chk(int priority, int flag, const char *format, ...)
{
    va_list arguments;

    (void)flag;
    va_start(arguments, format);
    vsnprintf(syslog_text, sizeof(syslog_text), format, arguments);
    va_end(arguments);
    syslog_priority = priority;
}

/* Where stderr goes between catch_stderr() and caught(). */
static int caught_fd = -1, real_stderr = -1;
static char caught_text[1 << 20];

static void catch_stderr(void)
{
    caught_fd = memfd_create("stderr", 0);
    real_stderr = dup(STDERR_FILENO);
    assert_true(caught_fd >= 0 && real_stderr >= 0);
    dup2(caught_fd, STDERR_FILENO);
}

static const char *caught(void)
{
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    ssize_t size = pread(caught_fd, caught_text, sizeof(caught_text) - 1, 0);
    close(caught_fd);
    assert_true(size >= 0);
    caught_text[size] = '\0';
    return caught_text;
}

static int reset(void **state)
{
    (void)state;
    jsfs_log_open(JSFS_LOG_TO_STDERR, JSFS_LOG_INFO);
    return 0;
}

static void a_line_has_its_level_in_front_and_a_newline_behind(void **state)
{
    static const char *const expected[] = {"error: n=1\n", "warning: n=1\n",
                                           "info: n=1\n", "debug: n=1\n"};
    (void)state;

    jsfs_log_open(JSFS_LOG_TO_STDERR, JSFS_LOG_DEBUG);
    for (int level = JSFS_LOG_ERROR; level <= JSFS_LOG_DEBUG; level++) {
        catch_stderr();
        jsfs_log((enum jsfs_log_level)level, "n=%d", 1);
        assert_string_equal(caught(), expected[level]);
    }
}

static void lines_above_the_level_are_not_written(void **state)
{
    (void)state;

    for (int chosen = JSFS_LOG_ERROR; chosen <= JSFS_LOG_DEBUG; chosen++) {
        jsfs_log_open(JSFS_LOG_TO_STDERR, (enum jsfs_log_level)chosen);
        for (int level = JSFS_LOG_ERROR; level <= JSFS_LOG_DEBUG; level++) {
            catch_stderr();
            jsfs_log((enum jsfs_log_level)level, "text");
            assert_int_equal(caught()[0] != '\0', level <= chosen);
            assert_int_equal(jsfs_log_enabled((enum jsfs_log_level)level),
                             level <= chosen);
        }
    }
}

static void a_debug_line_that_is_not_written_costs_no_arguments(void **state)
{
    int evaluated = 0;
    (void)state;

    jsfs_debug("%d", ++evaluated);
    assert_int_equal(evaluated, 0);
    jsfs_log_open(JSFS_LOG_TO_STDERR, JSFS_LOG_DEBUG);
    catch_stderr();
    jsfs_debug("%d", ++evaluated);
    assert_string_equal(caught(), "debug: 1\n");
}

static void a_name_cannot_forge_a_line(void **state)
{
    (void)state;

    catch_stderr();
    jsfs_log(JSFS_LOG_ERROR, "key=%s", "a\nerror: b\t\x1b[2J\x7f\xc3\xa9");
    assert_string_equal(caught(),
                        "error: key=a\\x0aerror: b\\x09\\x1b[2J\\x7f\xc3\xa9\n");
}

static void a_long_line_is_cut_at_4_kib(void **state)
{
    char text[6000];
    (void)state;

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    catch_stderr();
    jsfs_log(JSFS_LOG_ERROR, "%s", text);
    const char *line = caught();
    assert_int_equal(strlen(line), 4096);
    assert_int_equal(line[4095], '\n');
}

static void a_long_line_is_not_cut_inside_an_escape(void **state)
{
    char text[3000];
    (void)state;

    memset(text, '\n', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (int shift = 0; shift < 4; shift++) {
        catch_stderr();
        jsfs_log(JSFS_LOG_ERROR, "%.*s%s", shift, "abc", text);
        const char *line = caught();
        size_t size = strlen(line);
        assert_in_range(size, 4093, 4096);
        assert_string_equal(line + size - 5, "\\x0a\n");
    }
}

static void errno_survives_a_line_and_can_be_written(void **state)
{
    (void)state;

    catch_stderr();
    errno = ENOSPC;
    jsfs_log(JSFS_LOG_ERROR, "%m");
    int after = errno;
    assert_string_equal(caught(), "error: No space left on device\n");
    assert_int_equal(after, ENOSPC);
}

static void syslog_gets_the_line_with_its_priority(void **state)
{
    static const int priorities[] = {3, 4, 6,
                                     7}; /* RFC 5424: error, warning, info, debug */
    (void)state;

    jsfs_log_open(JSFS_LOG_TO_SYSLOG, JSFS_LOG_DEBUG);
    for (int level = JSFS_LOG_ERROR; level <= JSFS_LOG_DEBUG; level++) {
        catch_stderr();
        jsfs_log((enum jsfs_log_level)level, "%s", "100%d\n");
        assert_string_equal(caught(), "");
        assert_int_equal(syslog_priority, priorities[level]);
        assert_non_null(strstr(syslog_text, ": 100%d\\x0a"));
        assert_null(strchr(syslog_text, '\n'));
    }
}

static void *log_lines(void *arg)
{
    for (int i = 0; i < LINES; i++)
        jsfs_log(JSFS_LOG_INFO, "%s", (const char *)arg);
    return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
    static char texts[THREADS][501];
    pthread_t threads[THREADS];
    size_t lines = 0;
    (void)state;

    catch_stderr();
    for (int i = 0; i < THREADS; i++) {
        memset(texts[i], 'a' + i, sizeof(texts[i]) - 1);
        pthread_create(&threads[i], NULL, log_lines, texts[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (const char *line = caught(); *line != '\0'; lines++) {
        const char *text = line + strlen("info: ");
        assert_int_equal(strspn(text, (char[]){text[0], '\0'}), 500);
        assert_int_equal(text[500], '\n');
        line = text + 501;
    }
    assert_int_equal(lines, THREADS * LINES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_line_has_its_level_in_front_and_a_newline_behind, reset),
        cmocka_unit_test_setup(lines_above_the_level_are_not_written, reset),
        cmocka_unit_test_setup(a_debug_line_that_is_not_written_costs_no_arguments,
                               reset),
        cmocka_unit_test_setup(a_name_cannot_forge_a_line, reset),
        cmocka_unit_test_setup(a_long_line_is_cut_at_4_kib, reset),
        cmocka_unit_test_setup(a_long_line_is_not_cut_inside_an_escape, reset),
        cmocka_unit_test_setup(errno_survives_a_line_and_can_be_written, reset),
        cmocka_unit_test_setup(syslog_gets_the_line_with_its_priority, reset),
        cmocka_unit_test_setup(lines_of_threads_do_not_mix, reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
