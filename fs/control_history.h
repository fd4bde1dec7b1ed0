/* SPDX-License-Identifier: Apache-2.0 */
/* control_history.h - .jsfs/history/KEY/@REVISION: every kept revision of every key.
 * Layer 5. The keys are directories, live and deleted ones, those with '/' in directories; a key
 * with others below it shows its revisions and them. rmdir of a key purges it.
 */
#ifndef JSFS_FS_CONTROL_HISTORY_H
#define JSFS_FS_CONTROL_HISTORY_H

#include "fs/special.h"

extern const struct special_ops control_history_ops;

#endif
