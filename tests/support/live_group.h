/* SPDX-License-Identifier: Apache-2.0 */
/* live_group.h - one live server for all tests of a program: begin and end are the group's set-up
 * and teardown. Test support; included once by each program.
 */
#ifndef JSFS_TESTS_LIVE_GROUP_H
#define JSFS_TESTS_LIVE_GROUP_H

#include "tests/support/live_store.h"

enum { TIMEOUT_MS = 3000 }; /* of one request */

static struct live live;

static inline int begin(void **state)
{
    (void)state;
    live_begin(&live, TIMEOUT_MS);
    return 0;
}

static inline int end(void **state)
{
    (void)state;
    live_end(&live);
    return 0;
}

#endif
