/* SPDX-License-Identifier: Apache-2.0 */
/* version.h - which nats.c this program runs with.
 * Layer 3.
 */
#ifndef JSFS_CORE_VERSION_H
#define JSFS_CORE_VERSION_H

/* The version of the libnats that is loaded, such as "3.4.1"; static text. Threads: any. */
const char *version_of_libnats(void);

#endif
