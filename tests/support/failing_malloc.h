/* SPDX-License-Identifier: Apache-2.0 */
/* failing_malloc.h - let one allocation of this thread fail.
 * Test support. The linker's --wrap sends malloc, calloc, realloc and strdup of core/, fs/ and
 * the tests through it (tests/unit.cmake); those of shared libraries are not touched.
 */
#ifndef JSFS_TESTS_FAILING_MALLOC_H
#define JSFS_TESTS_FAILING_MALLOC_H

#include <stdbool.h>

/* The n-th allocation of the calling thread from now on fails, n from 1; later ones do not. */
void failing_malloc_start(unsigned n);

/* No allocation fails any more. Returns whether one did since failing_malloc_start(). */
bool failing_malloc_stop(void);

#endif
