/* SPDX-License-Identifier: Apache-2.0 */
/* nuid.c - identifiers of a random part and a count.
 * Layer 2.
 */
#include "core/nuid.h"
#include "core/cleanup.h"
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#define RANDOM_LENGTH 12
#define COUNT_LENGTH 10
#define COUNT_END 839299365868340224u /* 62 to the power of COUNT_LENGTH */
#define STEP_MIN 33
#define STEP_END 333

static const char base62[] =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool drawn;                      /* lock */
static char random_part[RANDOM_LENGTH]; /* lock */
static uint64_t count, step;            /* lock */

static void draw_bytes(void *out, size_t size)
{
    ssize_t got;

    do
        got = getrandom(out, size, 0); /* whole, up to 256 bytes: getrandom(2) */
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)size)
        abort(); /* without randomness identifiers would repeat, and with them objects */
}

static uint64_t draw_number(void)
{
    uint64_t number;

    draw_bytes(&number, sizeof(number));
    return number;
}

/* Bytes above the last multiple of 62 are drawn again, else some characters come oftener. */
static char draw_character(void)
{
    unsigned char byte;

    do
        draw_bytes(&byte, 1);
    while (byte >= 62 * 4);
    return base62[byte % 62];
}

static void draw_locked(void)
{
    for (size_t i = 0; i < RANDOM_LENGTH; i++)
        random_part[i] = draw_character();
    count = draw_number() % COUNT_END;
    step = STEP_MIN + draw_number() % (STEP_END - STEP_MIN);
    drawn = true;
}

static void before_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&lock);
}

static void after_fork_in_child(void)
{
    drawn = false;
    pthread_mutex_unlock(&lock);
}

static void watch_forks(void)
{
    pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

void nuid_next(char out[NUID_SIZE])
{
    pthread_once(&once, watch_forks);
    SCOPED_LOCK(&lock);

    count += step;
    if (!drawn || count >= COUNT_END)
        draw_locked();
    memcpy(out, random_part, RANDOM_LENGTH);
    uint64_t rest = count;
    for (size_t i = NUID_SIZE - 1; i-- > RANDOM_LENGTH; rest /= 62)
        out[i] = base62[rest % 62];
    out[NUID_SIZE - 1] = '\0';
}
