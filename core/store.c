/* SPDX-License-Identifier: Apache-2.0 */
/* store.c - tokens of writes, and the message ids that carry them to the server and back.
 * Layer 2.
 */
#include "core/store.h"
#include "core/nuid.h"
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static atomic_uint_fast64_t last_token;
static pthread_once_t prefix_once = PTHREAD_ONCE_INIT;
static char prefix[sizeof("jsfs--") + NUID_SIZE];
static size_t prefix_size;

static void draw_prefix(void)
{
    char nuid[NUID_SIZE];

    nuid_next(nuid);
    prefix_size = (size_t)snprintf(prefix, sizeof(prefix), "jsfs-%s-", nuid);
}

uint64_t store_token(void)
{
    return atomic_fetch_add_explicit(&last_token, 1, memory_order_relaxed) + 1;
}

void store_message_id(uint64_t token, char out[STORE_MESSAGE_ID_SIZE])
{
    pthread_once(&prefix_once, draw_prefix);
    snprintf(out, STORE_MESSAGE_ID_SIZE, "%s%" PRIu64, prefix, token);
}

uint64_t store_message_token(const char *message_id)
{
    pthread_once(&prefix_once, draw_prefix);
    if (message_id == NULL || strncmp(message_id, prefix, prefix_size) != 0)
        return 0;

    const char *digits = message_id + prefix_size;
    if (*digits < '1' || *digits > '9')
        return 0;
    char *end = NULL;
    uint64_t token = strtoull(digits, &end, 10);
    return *end == '\0' ? token : 0;
}
