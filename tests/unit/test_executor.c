/* SPDX-License-Identifier: Apache-2.0 */
/* test_executor.c - every task runs once, every timer at its time or is dropped.
 * Unit test of layer 1; run it under ThreadSanitizer too.
 */
#include "core/executor.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "tests/support/failing_malloc.h"
#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#define LONG_MS 600000 /* a time that no test reaches */
#define WAIT_S 20      /* a time that only a broken executor reaches */

static void count(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void fail_test(void *arg)
{
    (void)arg;
    abort();
}

static void post(void *arg)
{
    sem_post(arg);
}

/* false when nobody posts within WAIT_S. */
static bool wait_for(sem_t *semaphore)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    while (sem_timedwait(semaphore, &until) != 0) {
        if (errno != EINTR)
            return false;
    }
    return true;
}

struct producer {
    struct executor *executor;
    atomic_int *ran;
};

static void *queue_many(void *arg)
{
    struct producer *producer = arg;

    for (int i = 0; i < 5000; i++)
        executor_run(producer->executor, count, producer->ran);
    return NULL;
}

static void every_task_of_every_thread_runs_once(void **state)
{
    atomic_int ran = 0;
    struct producer producer = {executor_new(4), &ran};
    pthread_t threads[4];
    (void)state;

    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, queue_many, &producer);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    executor_free(producer.executor);
    assert_int_equal(ran, 4 * 5000);
}

static void a_task_is_taken_up_each_time_the_executor_was_idle(void **state)
{
    struct executor *executor = executor_new(3);
    sem_t done;
    (void)state;

    sem_init(&done, 0, 0);
    for (int i = 0; i < 3000; i++) {
        executor_run(executor, post, &done);
        assert_true(wait_for(&done));
    }
    executor_free(executor);
    sem_destroy(&done);
}

struct order {
    pthread_mutex_t lock;
    int count, values[32]; /* lock */
};

struct step {
    struct order *order;
    int value;
};

static void note(void *arg)
{
    struct step *step = arg;
    SCOPED_LOCK(&step->order->lock);

    step->order->values[step->order->count++] = step->value;
}

static void assert_counted_up(const struct order *order, int expected)
{
    assert_int_equal(order->count, expected);
    for (int i = 0; i < expected; i++)
        assert_int_equal(order->values[i], i);
}

static void tasks_start_in_the_order_of_their_calls(void **state)
{
    struct order order = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct executor *executor = executor_new(1);
    struct step steps[32];
    (void)state;

    for (int i = 0; i < 32; i++) {
        steps[i] = (struct step){&order, i};
        executor_run(executor, note, &steps[i]);
    }
    executor_free(executor);
    assert_counted_up(&order, 32);
}

struct crowd {
    sem_t arrived, leave;
    atomic_int inside, most;
};

static void crowd_in(void *arg)
{
    struct crowd *crowd = arg;
    int inside = atomic_fetch_add(&crowd->inside, 1) + 1,
        most = atomic_load(&crowd->most);

    while (inside > most && !atomic_compare_exchange_weak(&crowd->most, &most, inside))
        continue;
    sem_post(&crowd->arrived);
    wait_for(&crowd->leave);
    atomic_fetch_sub(&crowd->inside, 1);
}

static void as_many_tasks_run_at_once_as_there_are_threads_and_no_more(void **state)
{
    struct crowd crowd = {.inside = 0};
    struct executor *executor = executor_new(3);
    (void)state;

    sem_init(&crowd.arrived, 0, 0);
    sem_init(&crowd.leave, 0, 0);
    for (int i = 0; i < 12; i++)
        executor_run(executor, crowd_in, &crowd);
    for (int i = 0; i < 3; i++)
        assert_true(wait_for(&crowd.arrived));
    for (int i = 0; i < 12; i++)
        sem_post(&crowd.leave);
    executor_free(executor);
    assert_int_equal(crowd.most, 3);
    assert_int_equal(crowd.inside, 0);
}

struct chain {
    struct executor *executor;
    atomic_int left;
};

static void queue_next(void *arg)
{
    struct chain *chain = arg;

    if (atomic_fetch_sub(&chain->left, 1) > 1)
        executor_run(chain->executor, queue_next, chain);
}

static void what_tasks_queue_while_the_executor_ends_runs_too(void **state)
{
    struct chain chain = {executor_new(2), 500};
    (void)state;

    executor_run(chain.executor, queue_next, &chain);
    executor_free(chain.executor);
    assert_int_equal(chain.left, 0);
}

static void timers_run_in_the_order_of_their_moments(void **state)
{
    static const int moments[] = {5, 2, 9, 0, 7, 3, 8, 1, 6, 4};
    struct order order = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct executor *executor = executor_new(1);
    struct step steps[10];
    sem_t done;
    (void)state;

    sem_init(&done, 0, 0);
    for (int i = 0; i < 10; i++) {
        steps[i] = (struct step){&order, moments[i]};
        executor_after(executor, 50 + 10 * moments[i], note, NULL, &steps[i]);
    }
    executor_after(executor, 160, post, NULL, &done);
    assert_true(wait_for(&done));
    executor_free(executor);
    sem_destroy(&done);
    assert_counted_up(&order, 10);
}

static void timers_of_one_moment_run_in_the_order_of_their_calls(void **state)
{
    struct order order = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct executor *executor = executor_new(1);
    struct step steps[32];
    sem_t done;
    (void)state;

    sem_init(&done, 0, 0);
    for (int i = 0; i < 32; i++) {
        steps[i] = (struct step){&order, i};
        executor_after(executor, i % 2 == 0 ? 0 : -5, note, NULL, &steps[i]);
    }
    executor_after(executor, 0, post, NULL, &done);
    assert_true(wait_for(&done));
    executor_free(executor);
    sem_destroy(&done);
    assert_counted_up(&order, 32);
}

struct alarm_clock {
    sem_t rang;
    int64_t at_ns;
};

static void ring(void *arg)
{
    struct alarm_clock *clock = arg;

    clock->at_ns = clock_monotonic_ns();
    sem_post(&clock->rang);
}

static void no_timer_runs_before_its_time(void **state)
{
    struct executor *executor = executor_new(1);
    struct alarm_clock clock = {.at_ns = 0};
    (void)state;

    sem_init(&clock.rang, 0, 0);
    for (int delay_ms = 0; delay_ms < 40; delay_ms += 3) {
        int64_t asked_ns = clock_monotonic_ns();
        executor_after(executor, delay_ms, ring, NULL, &clock);
        assert_true(wait_for(&clock.rang));
        assert_true(clock.at_ns - asked_ns >= delay_ms * INT64_C(1000000));
    }
    executor_free(executor);
    sem_destroy(&clock.rang);
}

static void an_earlier_timer_overtakes_one_that_waits(void **state)
{
    struct executor *executor = executor_new(1);
    sem_t done;
    (void)state;

    sem_init(&done, 0, 0);
    executor_after(executor, LONG_MS, fail_test, NULL, NULL);
    executor_after(executor, 20, post, NULL, &done);
    assert_true(wait_for(&done));
    executor_free(executor);
    sem_destroy(&done);
}

static void a_timer_that_waits_is_dropped_when_the_executor_ends(void **state)
{
    static const int64_t delays[] = {LONG_MS, INT64_MAX, INT64_MAX / 1000000};
    atomic_int dropped = 0;
    struct executor *executor = executor_new(1);
    (void)state;

    for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++)
        executor_after(executor, delays[i], fail_test, count, &dropped);
    executor_after(executor, LONG_MS, fail_test, NULL, NULL);
    executor_free(executor);
    assert_int_equal(dropped, 3);
}

struct late_timer {
    struct executor *executor;
    sem_t ending;
    atomic_int dropped;
};

static void start_late_timer(void *arg)
{
    struct late_timer *late = arg;

    wait_for(&late->ending);
    executor_after(late->executor, LONG_MS, fail_test, count, &late->dropped);
}

static void a_timer_that_comes_while_the_executor_ends_is_dropped(void **state)
{
    struct late_timer late = {.executor = executor_new(1)};
    (void)state;

    sem_init(&late.ending, 0, 0);
    executor_run(late.executor, start_late_timer, &late);
    executor_after(late.executor, LONG_MS, fail_test, post, &late.ending);
    executor_free(late.executor);
    assert_int_equal(late.dropped, 1);
    sem_destroy(&late.ending);
}

static void read_signal_mask(void *arg)
{
    pthread_sigmask(SIG_SETMASK, NULL, arg);
}

static void tasks_and_timers_get_no_signals(void **state)
{
    struct executor *executor = executor_new(1);
    sigset_t of_task, of_timer, of_caller;
    sem_t done;
    (void)state;

    sem_init(&done, 0, 0);
    executor_run(executor, read_signal_mask, &of_task);
    executor_after(executor, 0, read_signal_mask, NULL, &of_timer);
    executor_after(executor, 0, post, NULL, &done);
    assert_true(wait_for(&done));
    executor_free(executor);
    sem_destroy(&done);
    assert_true(sigismember(&of_task, SIGTERM));
    assert_true(sigismember(&of_timer, SIGTERM));
    pthread_sigmask(SIG_SETMASK, NULL, &of_caller);
    assert_false(sigismember(&of_caller, SIGTERM));
}

static void note_thread(void *arg)
{
    *(pthread_t *)arg = pthread_self();
}

static void without_memory_a_task_runs_at_once_and_a_timer_is_dropped(void **state)
{
    struct executor *executor = executor_new(1);
    pthread_t ran_on = 0;
    atomic_int dropped = 0;
    (void)state;

    failing_malloc_start(1);
    executor_run(executor, note_thread, &ran_on);
    assert_true(failing_malloc_stop());
    assert_true(pthread_equal(ran_on, pthread_self()));

    failing_malloc_start(1);
    executor_after(executor, LONG_MS, fail_test, count, &dropped);
    assert_true(failing_malloc_stop());
    assert_int_equal(dropped, 1);
    executor_free(executor);
}

static void without_memory_there_is_no_executor(void **state)
{
    (void)state;

    failing_malloc_start(1);
    struct executor *executor = executor_new(1);
    assert_true(failing_malloc_stop());
    assert_null(executor);
    executor_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_of_every_thread_runs_once),
        cmocka_unit_test(a_task_is_taken_up_each_time_the_executor_was_idle),
        cmocka_unit_test(tasks_start_in_the_order_of_their_calls),
        cmocka_unit_test(as_many_tasks_run_at_once_as_there_are_threads_and_no_more),
        cmocka_unit_test(what_tasks_queue_while_the_executor_ends_runs_too),
        cmocka_unit_test(timers_run_in_the_order_of_their_moments),
        cmocka_unit_test(timers_of_one_moment_run_in_the_order_of_their_calls),
        cmocka_unit_test(no_timer_runs_before_its_time),
        cmocka_unit_test(an_earlier_timer_overtakes_one_that_waits),
        cmocka_unit_test(a_timer_that_waits_is_dropped_when_the_executor_ends),
        cmocka_unit_test(a_timer_that_comes_while_the_executor_ends_is_dropped),
        cmocka_unit_test(tasks_and_timers_get_no_signals),
        cmocka_unit_test(without_memory_a_task_runs_at_once_and_a_timer_is_dropped),
        cmocka_unit_test(without_memory_there_is_no_executor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
