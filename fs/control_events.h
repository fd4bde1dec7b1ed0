/* SPDX-License-Identifier: Apache-2.0 */
/* control_events.h - .jsfs/events: one JSON line for each change of the bucket, from the moment
 * of opening.
 * Layer 5. Each open file is a reader with a queue of its own, at most 1 MiB of lines; one that
 * falls behind gets a line that says how many it has lost, and goes on.
 *
 * A read waits for a line, unless O_NONBLOCK is set: EAGAIN. Whoever asks for the end of the file
 * with lseek(2), as tail and less do and nobody who reads a stream does, is answered as by a file
 * that grows: what is there, then end of file. tail -f then compares sizes and times once a
 * second, so fstat(2) shows the size of all lines that the longest reader has been given.
 */
#ifndef JSFS_FS_CONTROL_EVENTS_H
#define JSFS_FS_CONTROL_EVENTS_H

#include "fs/special.h"

extern const struct special_ops control_events_ops;

/* The readers of a mount. */
struct event_readers;

struct event_readers *event_readers_new(void);

/* The mount ends: every reader gets what is queued and then end of file, whoever waits at once;
 * later ones too. Nothing is listened to any more. NULL is fine. Blocks: no. */
void event_readers_end(struct event_readers *readers);

/* After event_readers_end(), when no request comes any more. NULL is fine. */
void event_readers_free(struct event_readers *readers);

#endif
