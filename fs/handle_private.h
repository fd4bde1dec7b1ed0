/* SPDX-License-Identifier: Apache-2.0 */
/* handle_private.h - the list of open handles, for handle.c and handle_list.c.
 * Layer 5.
 */
#ifndef JSFS_FS_HANDLE_PRIVATE_H
#define JSFS_FS_HANDLE_PRIVATE_H

#include "fs/handle.h"
#include <pthread.h>

struct handle_list {
    pthread_mutex_t lock;
    pthread_cond_t committed;
    struct handle *first; /* lock */
    unsigned waiting;     /* lock: commits of handle_list_commit that have not ended */
    unsigned failed;      /* lock */
};

#endif
