/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h - the two clocks: one for durations, one for dates.
 * Layer 1.
 */
#ifndef JSFS_CORE_CLOCK_H
#define JSFS_CORE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Time for deadlines and durations [ms], from CLOCK_MONOTONIC; never jumps. */
int64_t clock_monotonic_ms(void);

/* The same clock in [ns]. */
int64_t clock_monotonic_ns(void);

/* The same, but it also goes on while the machine sleeps [ms], as a server's does. */
int64_t clock_boot_ms(void);

/* Time of day [ns since 1970 UTC], from CLOCK_REALTIME. */
int64_t clock_realtime_ns(void);

/* A moment of CLOCK_MONOTONIC delay_ms from now, for pthread_cond_timedwait on a condition
 * made with pthread_condattr_setclock(CLOCK_MONOTONIC). A negative delay counts as 0.
 */
struct timespec clock_deadline(int64_t delay_ms);

#endif
