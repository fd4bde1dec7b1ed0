/* SPDX-License-Identifier: Apache-2.0 */
/* delivery.c - the reply subject of a consumer's message as numbers.
 * Layer 2.
 */
#include "core/delivery.h"
#include <stddef.h>
#include <string.h>

#define PREFIX "$JS.ACK."

enum { SHORT_TOKENS = 9, LONG_TOKENS = 11 };

/* Read decimal digits up to the next '.' or the end; *at is left behind that '.'. */
static bool read_number(const char **at, uint64_t *out)
{
    const char *digit = *at;
    uint64_t value = 0;

    for (; *digit >= '0' && *digit <= '9'; digit++)
        value = value * 10 + (uint64_t)(*digit - '0');
    if (digit == *at || (*digit != '.' && *digit != '\0'))
        return false;
    *at = *digit == '.' ? digit + 1 : digit;
    *out = value;
    return true;
}

static const char *skip_tokens(const char *at, int count)
{
    while (at != NULL && count-- > 0) {
        at = strchr(at, '.');
        if (at != NULL)
            at++;
    }
    return at;
}

bool delivery_parse(const char *reply, struct delivery *out)
{
    uint64_t stream = 0, consumer = 0, time_ns = 0, pending = 0;
    int tokens = 1;

    if (reply == NULL || strncmp(reply, PREFIX, sizeof(PREFIX) - 1) != 0)
        return false;
    for (const char *c = reply; *c != '\0'; c++)
        tokens += *c == '.';
    if (tokens != SHORT_TOKENS && tokens < LONG_TOKENS)
        return false;

    /* Behind the stream, the consumer and the delivery count come the four numbers. */
    const char *at =
        skip_tokens(reply + sizeof(PREFIX) - 1, tokens == SHORT_TOKENS ? 3 : 5);
    if (at == NULL || !read_number(&at, &stream) || !read_number(&at, &consumer) ||
        !read_number(&at, &time_ns) || !read_number(&at, &pending))
        return false;
    *out = (struct delivery){stream, consumer, (int64_t)time_ns, pending};
    return true;
}
