/* SPDX-License-Identifier: Apache-2.0 */
/* control_events.c - see control_events.h. Layer 5.
 *
 * Reads are answered by one thread at a time for each reader: the worker that brought the read,
 * or the watch's thread that brought the line. So a request is claimed before bytes are taken for
 * it, and an interrupted one takes none with it.
 */
#include "fs/control_events.h"

#include "core/bucket_event.h"
#include "core/cleanup.h"
#include "core/js_time.h"
#include "core/json_line.h"
#include "fs/attr.h"
#include "fs/control_lines.h"
#include "fs/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#define QUEUE_BYTES (1024 * 1024) /* of lines, a reader */
#define LIFETIME_S 3600.0         /* the name stays while its bucket does */

struct event_reader {
    struct bucket *bucket;  /* a reference */
    atomic_uint references; /* the open file's, the listener's, a passing one's */
    struct event_readers *readers;
    struct event_reader *before, *after; /* readers' lock */

    pthread_mutex_t lock;             /* behind the readers'; guards what follows: */
    struct bucket_listener *listener; /* NULL: not yet, or not any more */
    struct lines lines;
    int64_t changed_ns; /* when the last line came */
    struct op *reading; /* requests that wait, oldest first; linked by op->next */
    struct fuse_pollhandle *poll; /* the newest one */
    bool like_file;               /* the end of the file was asked for */
    bool ended;                   /* nothing follows what is queued */
    bool serving;                 /* a thread answers reads */
};

struct event_readers {
    pthread_mutex_t lock;
    struct event_reader *first; /* lock */
    bool ended;                 /* lock */
};

/* Lines ------------------------------------------------------------------------------------- */

static const char *const operation_texts[] = {
    [BUCKET_PUT] = "put",       [BUCKET_DELETE] = "delete", [BUCKET_PURGE] = "purge",
    [BUCKET_EXPIRY] = "expiry", [BUCKET_GAP] = "gap",       [BUCKET_END] = "end",
};

/* What follows time, bucket and operation. Returns how many members. */
static size_t describe(const struct bucket_event *event, struct json_member *members)
{
    switch (event->operation) {
    case BUCKET_GAP:
        members[0] = (struct json_member){"after", NULL, event->after};
        members[1] = (struct json_member){"before", NULL, event->sequence};
        return 2;
    case BUCKET_END: return 0;
    default: break;
    }
    members[0] = (struct json_member){"key", event->name, 0};
    members[1] = (struct json_member){"path", event->path, 0};
    members[2] = (struct json_member){"revision", NULL, event->sequence};
    members[3] = (struct json_member){"size", NULL, event->size_bytes};
    return 4;
}

static enum jsfs_status write_event(const struct event_reader *reader,
                                    const struct bucket_event *event, struct buffer *line)
{
    struct json_member members[7];
    char time[JS_TIME_SIZE];

    js_time_format(event->time_ns, time);
    members[0] = (struct json_member){"time", time, 0};
    members[1] = (struct json_member){"bucket", bucket_name(reader->bucket), 0};
    members[2] = (struct json_member){"operation", operation_texts[event->operation], 0};
    return json_line(members, 3 + describe(event, members + 3), line);
}

static bool write_lost(void *arg, const struct lines_lost *lost, struct buffer *line)
{
    const struct event_reader *reader = arg;
    char time[JS_TIME_SIZE];
    const struct json_member members[] = {
        {"time", time, 0},
        {"bucket", bucket_name(reader->bucket), 0},
        {"operation", "lost", 0},
        {"lost", NULL, lost->count},
        {"first", NULL, lost->first},
        {"last", NULL, lost->last},
    };

    js_time_format(reader->changed_ns, time);
    return json_line(members, sizeof(members) / sizeof(members[0]), line) == JSFS_OK;
}

/* Readers ----------------------------------------------------------------------------------- */

static struct event_reader *event_reader_new(struct event_readers *readers, struct bucket *bucket)
{
    struct event_reader *reader = calloc(1, sizeof(*reader));

    if (reader == NULL)
        return NULL;
    reader->bucket = bucket_ref(bucket);
    reader->readers = readers;
    reader->lines = (struct lines){.limit = QUEUE_BYTES, .write_lost = write_lost, .arg = reader};
    atomic_init(&reader->references, 1);
    pthread_mutex_init(&reader->lock, NULL);
    SCOPED_LOCK(&readers->lock);
    reader->ended = readers->ended;
    reader->after = readers->first;
    if (reader->after != NULL)
        reader->after->before = reader;
    readers->first = reader;
    return reader;
}

static void event_reader_unref(struct event_reader *reader)
{
    if (atomic_fetch_sub(&reader->references, 1) != 1)
        return;
    lines_clear(&reader->lines);
    if (reader->poll != NULL)
        fuse_pollhandle_destroy(reader->poll);
    pthread_mutex_destroy(&reader->lock);
    bucket_unref(reader->bucket);
    free(reader);
}

static struct event_reader *event_reader_of(const struct op *op)
{
    return (struct event_reader *)(uintptr_t)op->info.fh; /* NOLINT(performance-no-int-to-ptr) */
}

static bool may_wait(const struct event_reader *reader, const struct op *op)
{
    return !reader->ended && !reader->like_file && (op->info.flags & O_NONBLOCK) == 0;
}

/* A read that can be answered, taken out of those that wait; one that was interrupted too. */
static struct op *take_read_locked(struct event_reader *reader)
{
    bool ready = lines_waiting(&reader->lines);

    for (struct op **at = &reader->reading; *at != NULL; at = &(*at)->next) {
        struct op *op = *at;

        if (ready || !may_wait(reader, op) || op_is_answered(op)) {
            *at = op->next;
            op->next = NULL;
            return op;
        }
    }
    return NULL;
}

static void answer_read(struct event_reader *reader, struct op *op)
{
    CLEANUP(cleanup_free) char *data = NULL;

    if (!op_claim(op)) {
        op_done(op);
        return;
    }
    pthread_mutex_lock(&reader->lock);
    size_t size = lines_ready(&reader->lines, op->size);
    bool at_end = reader->ended || reader->like_file;
    data = malloc(size > 0 ? size : 1);
    if (data != NULL)
        lines_take(&reader->lines, data, size);
    pthread_mutex_unlock(&reader->lock);
    if (data == NULL)
        fuse_reply_err(op->request, ENOMEM);
    else if (size > 0 || at_end)
        fuse_reply_buf(op->request, data, size);
    else
        fuse_reply_err(op->request, EAGAIN);
    op_done(op);
}

/* Answer every read that can be. Whoever finds another thread at it leaves it to that. */
static void serve(struct event_reader *reader)
{
    struct op *op;

    pthread_mutex_lock(&reader->lock);
    if (!reader->serving) {
        reader->serving = true;
        while ((op = take_read_locked(reader)) != NULL) {
            pthread_mutex_unlock(&reader->lock);
            answer_read(reader, op);
            pthread_mutex_lock(&reader->lock);
        }
        reader->serving = false;
    }
    pthread_mutex_unlock(&reader->lock);
}

/* Whoever polls asks again, so that one notification is enough. It takes only a spinlock in the
 * kernel, and may come from any thread (reference fuse.md §1.4). */
static void wake_pollers(struct event_reader *reader)
{
    pthread_mutex_lock(&reader->lock);
    struct fuse_pollhandle *handle = reader->poll;
    reader->poll = NULL;
    pthread_mutex_unlock(&reader->lock);
    if (handle == NULL)
        return;
    fuse_lowlevel_notify_poll(handle);
    fuse_pollhandle_destroy(handle);
}

static void told(void *arg, const struct bucket_event *event)
{
    struct event_reader *reader = arg;
    CLEANUP(buffer_clear) struct buffer line = BUFFER_INIT;
    enum jsfs_status status = write_event(reader, event, &line);

    pthread_mutex_lock(&reader->lock);
    reader->changed_ns = event->time_ns;
    if (status == JSFS_OK)
        lines_put(&reader->lines, line.data, line.size, event->sequence);
    else
        lines_lose(&reader->lines, event->sequence);
    if (event->operation == BUCKET_END)
        reader->ended = true;
    pthread_mutex_unlock(&reader->lock);
    serve(reader);
    wake_pollers(reader);
}

static void listening_ended(void *arg)
{
    event_reader_unref(arg);
}

static void stop_listening(struct event_reader *reader)
{
    pthread_mutex_lock(&reader->lock);
    struct bucket_listener *listener = reader->listener;
    reader->listener = NULL;
    reader->ended = true;
    pthread_mutex_unlock(&reader->lock);
    if (listener != NULL)
        bucket_unlisten(listener);
    serve(reader);
}

/* The open file is gone. */
static void event_reader_close(struct event_reader *reader)
{
    struct event_readers *readers = reader->readers;

    stop_listening(reader);
    pthread_mutex_lock(&readers->lock);
    if (reader->before != NULL)
        reader->before->after = reader->after;
    else
        readers->first = reader->after;
    if (reader->after != NULL)
        reader->after->before = reader->before;
    pthread_mutex_unlock(&readers->lock);
    event_reader_unref(reader);
}

/* All readers --------------------------------------------------------------------------------- */

struct event_readers *event_readers_new(void)
{
    struct event_readers *readers = calloc(1, sizeof(*readers));

    if (readers != NULL)
        pthread_mutex_init(&readers->lock, NULL);
    return readers;
}

/* One that still listens or waits, counted; NULL when all have ended. */
static struct event_reader *find_running(struct event_readers *readers)
{
    SCOPED_LOCK(&readers->lock);

    readers->ended = true;
    for (struct event_reader *at = readers->first; at != NULL; at = at->after) {
        SCOPED_LOCK(&at->lock);
        if (at->listener != NULL || !at->ended) {
            atomic_fetch_add(&at->references, 1);
            return at;
        }
    }
    return NULL;
}

void event_readers_end(struct event_readers *readers)
{
    struct event_reader *reader;

    if (readers == NULL)
        return;
    while ((reader = find_running(readers)) != NULL) {
        stop_listening(reader);
        wake_pollers(reader);
        event_reader_unref(reader);
    }
}

void event_readers_free(struct event_readers *readers)
{
    if (readers == NULL)
        return;
    while (readers->first != NULL)
        event_reader_close(readers->first);
    pthread_mutex_destroy(&readers->lock);
    free(readers);
}

/* Requests ------------------------------------------------------------------------------------ */

static void close_unopened(struct op *op)
{
    event_reader_close(event_reader_of(op));
}

static void opened(void *arg, enum jsfs_status status, struct bucket_listener *listener)
{
    struct op *op = arg;
    struct event_reader *reader = event_reader_of(op);

    if (status != JSFS_OK) {
        event_reader_unref(reader); /* the listener's */
        event_reader_close(reader);
        op_reply_status(op, status);
        return;
    }
    pthread_mutex_lock(&reader->lock);
    bool ended = reader->ended;
    if (!ended)
        reader->listener = listener;
    pthread_mutex_unlock(&reader->lock);
    if (ended) /* the mount ends, or the bucket is gone already */
        bucket_unlisten(listener);
    op_reply_open(op, close_unopened);
}

/* Answered when the watch is live, so that nothing which happens after open(2) is missed. */
static void events_open(struct op *op)
{
    struct bucket_listening listening = {.told = told, .ended = listening_ended};
    struct event_reader *reader;

    if ((op->info.flags & O_ACCMODE) != O_RDONLY) {
        op_reply_errno(op, EACCES);
        return;
    }
    reader = event_reader_new(op->fs->event_readers, op->inode->bucket);
    if (reader == NULL) {
        op_reply_status(op, JSFS_NO_MEMORY);
        return;
    }
    op->info.fh = (uint64_t)(uintptr_t)reader;
    op->info.direct_io = 1;
    op->info.noflush = 1;
    atomic_fetch_add(&reader->references, 1);
    listening.arg = reader;
    bucket_listen(op->inode->bucket, &listening, opened, op);
}

/* Once it is answered, the file may be closed at any moment. */
static void events_read(struct op *op)
{
    struct event_reader *reader = event_reader_of(op);

    atomic_fetch_add(&reader->references, 1);
    pthread_mutex_lock(&reader->lock);
    struct op **at = &reader->reading;
    while (*at != NULL)
        at = &(*at)->next;
    *at = op;
    pthread_mutex_unlock(&reader->lock);
    serve(reader);
    event_reader_unref(reader);
}

static void events_release(struct op *op)
{
    event_reader_close(event_reader_of(op));
    op_reply_errno(op, 0);
}

static void events_poll(struct op *op, struct fuse_pollhandle *handle)
{
    struct event_reader *reader = event_reader_of(op);
    unsigned ready = 0;

    pthread_mutex_lock(&reader->lock);
    struct fuse_pollhandle *older = handle != NULL ? reader->poll : NULL;
    if (handle != NULL)
        reader->poll = handle;
    if (lines_waiting(&reader->lines) || reader->ended)
        ready = POLLIN | POLLRDNORM | (reader->ended ? POLLHUP : 0);
    pthread_mutex_unlock(&reader->lock);
    if (older != NULL)
        fuse_pollhandle_destroy(older);
    op_reply_poll(op, ready);
}

/* The kernel asks through an open file only to find its end. To that it is empty: tail(1) would
 * read the lines of a file that is not twice, once to count them. */
static void events_getattr(struct op *op)
{
    struct event_reader *reader = event_reader_of(op);
    struct stat attr;
    double timeout = attr_of(op->fs, op->inode, &attr);

    if (reader != NULL) {
        SCOPED_LOCK(&reader->lock);
        reader->like_file = true;
        attr.st_size = 0;
    }
    op_reply_attr(op, &attr, timeout);
}

static double events_attr(struct fs *fs, struct inode *inode, struct stat *out)
{
    struct event_readers *readers = fs->event_readers;
    int64_t changed_ns = bucket_created_ns(inode->bucket);
    uint64_t size = 0;

    SCOPED_LOCK(&readers->lock);
    for (struct event_reader *at = readers->first; at != NULL; at = at->after) {
        if (at->bucket != inode->bucket)
            continue;
        SCOPED_LOCK(&at->lock);
        if (at->lines.total > size)
            size = at->lines.total;
        if (at->changed_ns > changed_ns)
            changed_ns = at->changed_ns;
    }
    attr_set_file(out, 0444, size, changed_ns);
    return 0;
}

const struct special_ops control_events_ops = {
    .open = events_open,
    .read = events_read,
    .release = events_release,
    .poll = events_poll,
    .getattr = events_getattr,
    .attr = events_attr,
    .entry_timeout_s = LIFETIME_S,
};
