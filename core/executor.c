/* SPDX-License-Identifier: Apache-2.0 */
/* executor.c - a pool of threads behind a queue, and a timer thread behind a heap.
 * Layer 1.
 */
#include "core/executor.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include <errno.h>
#include <signal.h>
#include <stdbool.h>

#define THREADS_MAX 64

struct job {
    struct job *next;
    executor_task *task;
    void *arg;
};

struct timer {
    int64_t due_ns; /* on CLOCK_MONOTONIC */
    uint64_t order; /* of timers that are due at one moment */
    executor_task *task, *drop;
    void *arg;
};

struct executor {
    unsigned threads_max;

    /* Two locks, never held together. */
    pthread_mutex_t job_lock;
    pthread_cond_t job_added;
    struct job *first, **last;     /* job_lock */
    unsigned queued;               /* job_lock; jobs between first and last */
    unsigned idle;                 /* job_lock; threads that wait for a job */
    unsigned running;              /* job_lock; threads that run one */
    pthread_cond_t job_ended;
    unsigned threads;              /* job_lock */
    pthread_t thread[THREADS_MAX]; /* job_lock; the first `threads` */
    bool jobs_end;                 /* job_lock */

    pthread_mutex_t timer_lock;
    pthread_cond_t timer_changed;
    struct timer *heap;             /* timer_lock; the next due one first */
    size_t timers, timers_capacity; /* timer_lock */
    uint64_t timers_ever;           /* timer_lock */
    bool timers_end;                /* timer_lock */
    pthread_t timer_thread;
};

/* Signals are for the thread that waits for them: ours are started with all blocked. */
static int start_thread(pthread_t *thread, const char *name, void *(*run)(void *),
                        void *arg)
{
    sigset_t all, before;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(thread, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0)
        pthread_setname_np(*thread, name);
    return error;
}

/* The oldest job, waited for; NULL when the executor ends and nothing is queued. */
static struct job *next_job(struct executor *executor)
{
    SCOPED_LOCK(&executor->job_lock);

    while (executor->first == NULL && !executor->jobs_end) {
        executor->idle++;
        pthread_cond_wait(&executor->job_added, &executor->job_lock);
        executor->idle--;
    }
    struct job *job = executor->first;
    if (job == NULL)
        return NULL;
    executor->first = job->next;
    if (executor->first == NULL)
        executor->last = &executor->first;
    executor->queued--;
    executor->running++;
    return job;
}

static void end_job(struct executor *executor)
{
    SCOPED_LOCK(&executor->job_lock);

    executor->running--;
    pthread_cond_broadcast(&executor->job_ended);
}

static void *run_jobs(void *arg)
{
    struct job *job;

    while ((job = next_job(arg)) != NULL) {
        job->task(job->arg);
        free(job);
        end_job(arg);
    }
    return NULL;
}

/* A failure is harmless: the first thread is there since executor_new(). */
static void add_thread_locked(struct executor *executor)
{
    pthread_t *thread = &executor->thread[executor->threads];

    if (start_thread(thread, "jsfs-task", run_jobs, executor) == 0)
        executor->threads++;
}

void executor_run(struct executor *executor, executor_task *task, void *arg)
{
    struct job *job = malloc(sizeof(*job));

    if (job == NULL) {
        task(arg);
        return;
    }
    *job = (struct job){.next = NULL, .task = task, .arg = arg};

    SCOPED_LOCK(&executor->job_lock);
    *executor->last = job;
    executor->last = &job->next;
    executor->queued++;
    if (executor->queued > executor->idle && executor->threads < executor->threads_max &&
        !executor->jobs_end)
        add_thread_locked(executor);
    pthread_cond_signal(&executor->job_added);
}

void executor_settle(struct executor *executor)
{
    SCOPED_LOCK(&executor->job_lock);

    while (executor->queued > 0 || executor->running > 0)
        pthread_cond_wait(&executor->job_ended, &executor->job_lock);
}

static bool is_before(const struct timer *a, const struct timer *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

/* Put timer where heap[at] is free: move it towards the root, past all that come later. */
static void sift_up(struct timer *heap, size_t at, struct timer timer)
{
    while (at > 0 && is_before(&timer, &heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = timer;
}

/* The same away from the root, in a heap of count timers. */
static void sift_down(struct timer *heap, size_t count, size_t at, struct timer timer)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < count && is_before(&heap[child + 1], &heap[child]))
            child++;
        if (child >= count || !is_before(&heap[child], &timer))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = timer;
}

static struct timer pop_timer_locked(struct executor *executor)
{
    struct timer next = executor->heap[0];

    executor->timers--;
    if (executor->timers > 0)
        sift_down(executor->heap, executor->timers, 0, executor->heap[executor->timers]);
    return next;
}

static bool make_room_locked(struct executor *executor)
{
    if (executor->timers < executor->timers_capacity)
        return true;

    size_t capacity = executor->timers_capacity > 0 ? executor->timers_capacity * 2 : 16;
    struct timer *heap = realloc(executor->heap, capacity * sizeof(*heap));
    if (heap == NULL)
        return false;
    executor->heap = heap;
    executor->timers_capacity = capacity;
    return true;
}

static bool add_timer(struct executor *executor, struct timer timer)
{
    SCOPED_LOCK(&executor->timer_lock);

    if (executor->timers_end || !make_room_locked(executor))
        return false;
    timer.order = executor->timers_ever++;
    sift_up(executor->heap, executor->timers, timer);
    executor->timers++;
    if (executor->heap[0].order == timer.order)
        pthread_cond_signal(&executor->timer_changed);
    return true;
}

void executor_after(struct executor *executor, int64_t delay_ms, executor_task *task,
                    executor_task *drop, void *arg)
{
    int64_t now = clock_monotonic_ns(), due = INT64_MAX;

    if (delay_ms < 0)
        delay_ms = 0;
    if (delay_ms < (INT64_MAX - now) / 1000000)
        due = now + delay_ms * 1000000;

    struct timer timer = {.due_ns = due, .task = task, .drop = drop, .arg = arg};
    if (!add_timer(executor, timer) && drop != NULL)
        drop(arg);
}

/* Wait for the next timer's moment. false: the executor ends. */
static bool next_timer(struct executor *executor, struct timer *next)
{
    SCOPED_LOCK(&executor->timer_lock);

    while (!executor->timers_end) {
        if (executor->timers == 0) {
            pthread_cond_wait(&executor->timer_changed, &executor->timer_lock);
            continue;
        }
        int64_t due = executor->heap[0].due_ns;
        if (due <= clock_monotonic_ns()) {
            *next = pop_timer_locked(executor);
            return true;
        }
        struct timespec moment = {.tv_sec = due / 1000000000,
                                  .tv_nsec = due % 1000000000};
        pthread_cond_timedwait(&executor->timer_changed, &executor->timer_lock, &moment);
    }
    return false;
}

static void *run_timers(void *arg)
{
    struct timer timer;

    while (next_timer(arg, &timer))
        timer.task(timer.arg);
    return NULL;
}

static void init_locks(struct executor *executor)
{
    pthread_condattr_t attributes;

    pthread_mutex_init(&executor->job_lock, NULL);
    pthread_cond_init(&executor->job_added, NULL);
    pthread_cond_init(&executor->job_ended, NULL);
    pthread_mutex_init(&executor->timer_lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&executor->timer_changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void destroy(struct executor *executor)
{
    pthread_mutex_destroy(&executor->job_lock);
    pthread_cond_destroy(&executor->job_added);
    pthread_cond_destroy(&executor->job_ended);
    pthread_mutex_destroy(&executor->timer_lock);
    pthread_cond_destroy(&executor->timer_changed);
    free(executor->heap);
    free(executor);
}

/* End the threads of the pool, once the queue is empty. */
static void end_jobs(struct executor *executor)
{
    pthread_mutex_lock(&executor->job_lock);
    executor->jobs_end = true; /* from here on `threads` stays as it is */
    pthread_cond_broadcast(&executor->job_added);
    unsigned threads = executor->threads;
    pthread_mutex_unlock(&executor->job_lock);

    for (unsigned i = 0; i < threads; i++)
        pthread_join(executor->thread[i], NULL);
}

/* End the timer thread and drop what waits. Later executor_after() calls, by jobs that still
 * run, drop at once.
 */
void executor_drop_timers(struct executor *executor)
{
    pthread_mutex_lock(&executor->timer_lock);
    bool ended = executor->timers_end;
    executor->timers_end = true;
    pthread_cond_signal(&executor->timer_changed);
    pthread_mutex_unlock(&executor->timer_lock);
    if (ended)
        return;
    pthread_join(executor->timer_thread, NULL);

    for (size_t i = 0; i < executor->timers; i++) {
        struct timer *timer = &executor->heap[i];
        if (timer->drop != NULL)
            timer->drop(timer->arg);
    }
}

struct executor *executor_new(unsigned threads)
{
    struct executor *executor = calloc(1, sizeof(*executor));

    if (executor == NULL)
        return NULL;
    executor->threads_max = threads < THREADS_MAX ? threads : THREADS_MAX;
    executor->last = &executor->first;
    init_locks(executor);

    pthread_mutex_lock(&executor->job_lock);
    add_thread_locked(executor);
    bool started = executor->threads == 1;
    pthread_mutex_unlock(&executor->job_lock);
    if (started &&
        start_thread(&executor->timer_thread, "jsfs-timer", run_timers, executor) == 0)
        return executor;
    end_jobs(executor);
    destroy(executor);
    return NULL;
}

void executor_free(struct executor *executor)
{
    if (executor == NULL)
        return;
    executor_drop_timers(executor);
    end_jobs(executor);
    destroy(executor);
}
