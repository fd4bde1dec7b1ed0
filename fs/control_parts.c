/* SPDX-License-Identifier: Apache-2.0 */
/* control_parts.c - what .jsfs holds, see control.h. Layer 5. */
#include "fs/control.h"

/* In the order of their names, which is that of listings. */
struct control_part control_parts[] = {
    {.name = NULL},
};
