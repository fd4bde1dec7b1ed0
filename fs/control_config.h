/* SPDX-License-Identifier: Apache-2.0 */
/* control_config.h - .jsfs/config.json: the stream's configuration, to read and to edit.
 * Layer 5. Every open asks the server anew. Saving it, in place or by renaming a scratch file
 * over it, sends the whole of it as STREAM.UPDATE; what the server refuses is an error from
 * close, fsync or rename, with its words in the log and in status.json.
 */
#ifndef JSFS_FS_CONTROL_CONFIG_H
#define JSFS_FS_CONTROL_CONFIG_H

#include "fs/special.h"

extern const struct special_ops control_config_ops;

#endif
