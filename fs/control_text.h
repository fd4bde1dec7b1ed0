/* SPDX-License-Identifier: Apache-2.0 */
/* control_text.h - control files whose content is one text, made anew for each open: config.json
 * and status.json.
 * Layer 5. Reads bypass the page cache, so that a text longer or shorter than the last stat(2)
 * said is read whole. What is written is staged for its handle and handed over when the handle
 * is flushed or synced.
 */
#ifndef JSFS_FS_CONTROL_TEXT_H
#define JSFS_FS_CONTROL_TEXT_H

#include "fs/special.h"

#define CONTROL_TEXT_MAX (1024 * 1024) /* [bytes] that can be staged: EFBIG above */

/* Make the text; done is called once, from any thread. */
typedef void control_text_make(struct op *op, bucket_text_done *done, void *arg);

/* Answer OPEN with a new text, or with an empty one for O_TRUNC; the rest of it for the other
 * requests. The op's inode remembers size and time of the text that was made last. */
void control_text_open(struct op *op, control_text_make *make);
void control_text_read(struct op *op);
void control_text_write(struct op *op, const char *data);
void control_text_release(struct op *op);

/* Answer SETATTR: the size is that of the handle's text; without a handle nothing changes. */
void control_text_setattr(struct op *op, const struct stat *attr, int to_set);

/* Answer FLUSH or FSYNC: hand over what was written since the last time, if it is more than
 * nothing. take is called with the whole text, and ends in control_text_taken(op, status), once,
 * from any thread. What the server could not be asked about (JSFS_UNAVAILABLE, JSFS_TIMEOUT) is
 * handed over again by the next flush. */
void control_text_commit(struct op *op,
                         void (*take)(struct op *op, const char *data, size_t size));
void control_text_taken(struct op *op, enum jsfs_status status);

/* Answer GETATTR with the size that a text made now has; when it cannot be made, with that of the
 * last one. */
void control_text_getattr(struct op *op, control_text_make *make);

/* For a part's attr: a regular file with the size and time of the last text. */
double control_text_attr(struct fs *fs, struct inode *inode, mode_t permissions,
                         struct stat *out);

#endif
