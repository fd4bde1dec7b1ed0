/* SPDX-License-Identifier: Apache-2.0 */
/* version.c - which nats.c this program runs with.
 * Layer 3.
 */
#include "core/version.h"
#include <nats/nats.h>

const char *version_of_libnats(void)
{
    return nats_GetVersion();
}
