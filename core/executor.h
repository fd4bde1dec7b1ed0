/* SPDX-License-Identifier: Apache-2.0 */
/* executor.h - threads for what may block, and one timer for what comes later.
 * Layer 1. Delivery threads and FUSE workers hand blocking sequences (a commit of an object,
 * a bucket's deletion) to the executor; the timer thread runs short functions at their time.
 */
#ifndef JSFS_CORE_EXECUTOR_H
#define JSFS_CORE_EXECUTOR_H

#include <stdint.h>

struct executor;

typedef void executor_task(void *arg);

/* Start an executor.
 *   threads   most tasks that run at once, 1..64; threads are started when needed
 *   returns   for executor_free(); NULL without memory or threads
 */
struct executor *executor_new(unsigned threads);

/* Drop what waits for its time, and from now on what would, at once; end the timer thread.
 * Tasks go on.  Blocks until a running timer function has returned. */
void executor_drop_timers(struct executor *executor);

/* Run every task still queued, drop what waits for its time (its arg is passed to drop, see
 * executor_after), end all threads and free. NULL is fine.
 * Blocks: until running and queued tasks have ended. Not to be called from a task.
 */
void executor_free(struct executor *executor);

/* Queue a task that may block; they start in order. Without memory it runs at once on the
 * caller's thread, so that no completion is ever lost.
 * Threads: any.
 */
void executor_run(struct executor *executor, executor_task *task, void *arg);

/* Wait until no task is queued or runs, those that tasks have queued meanwhile too. What waits
 * for its time is left.  Blocks. Not to be called from a task.
 */
void executor_settle(struct executor *executor);

/* Run a short function on the timer thread, once, delay_ms from now or a little later.
 *   task   must not block
 *   drop   runs instead of task when the executor ends first; may be NULL
 * Without memory, drop runs at once.   Threads: any.
 */
void executor_after(struct executor *executor, int64_t delay_ms, executor_task *task,
                    executor_task *drop, void *arg);

#endif
