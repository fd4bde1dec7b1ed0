/* SPDX-License-Identifier: Apache-2.0 */
/* test_process.c - threads lead to their process, and processes to what they have open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "fs/process.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void *ask_own_process(void *arg)
{
    *(pid_t *)arg = process_of(gettid());
    return NULL;
}

static void a_thread_leads_to_its_process(void **state)
{
    pthread_t thread;
    pid_t process = 0;

    (void)state;
    assert_int_equal(process_of(getpid()), getpid());
    assert_int_equal(pthread_create(&thread, NULL, ask_own_process, &process), 0);
    pthread_join(thread, NULL);
    assert_int_equal(process, getpid());
    assert_int_equal(process_of(0x7ffffff0), 0);
}

static void a_descriptor_that_can_write_is_seen_until_it_is_closed(void **state)
{
    char path[] = "/tmp/jsfs-test-process-XXXXXX";
    int writer = mkstemp(path), reader = open(path, O_RDONLY);
    struct stat attr;

    (void)state;
    assert_true(writer >= 0 && reader >= 0);
    assert_int_equal(fstat(writer, &attr), 0);
    assert_true(process_writes(getpid(), attr.st_ino));
    assert_false(process_writes(getpid(), attr.st_ino + 1));
    close(writer);
    assert_false(process_writes(getpid(), attr.st_ino));
    close(reader);
    unlink(path);
    assert_false(process_writes(0x7ffffff0, attr.st_ino));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_leads_to_its_process),
        cmocka_unit_test(a_descriptor_that_can_write_is_seen_until_it_is_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
