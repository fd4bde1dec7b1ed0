/* SPDX-License-Identifier: Apache-2.0 */
/* control_parts.c - what .jsfs holds, see control.h. Layer 5. */
#include "fs/control.h"

#include "fs/control_config.h"
#include "fs/control_conflicts.h"
#include "fs/control_deleted.h"
#include "fs/control_events.h"
#include "fs/control_history.h"
#include "fs/control_status.h"

/* In the order of their names, which is that of listings. */
struct control_part control_parts[] = {
    CONTROL_PART("config.json", S_IFREG | 0644, &control_config_ops, false),
    CONTROL_PART("conflicts", S_IFDIR | 0700, &control_conflicts_ops, false),
    CONTROL_PART("deleted", S_IFDIR | 0755, &control_deleted_ops, true),
    CONTROL_PART("events", S_IFREG | 0444, &control_events_ops, false),
    CONTROL_PART("history", S_IFDIR | 0755, &control_history_ops, true),
    CONTROL_PART("status.json", S_IFREG | 0444, &control_status_ops, false),
    {.name = NULL},
};
