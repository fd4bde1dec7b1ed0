/* SPDX-License-Identifier: Apache-2.0 */
/* bucket_event.c - see bucket_event.h. Layer 4, a part of bucket.h.
 *
 * An event is a notice in the bucket's queue, put there under the lock together with the change
 * that it tells of, behind the notice that tells the kernel. Sequences make each one be told
 * once: a message is news when it is above all that the watch has told before.
 */
#include "core/bucket_event.h"
#include "core/bucket_state.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/name_codec.h"
#include <string.h>

#define LISTEN_ATTEMPTS 4 /* the watch may be lost between its going live and our being told */

struct bucket_listener {
    struct bucket *bucket; /* a reference */
    struct bucket_listening listening;
    struct bucket_listener *next; /* bucket lock */
    uint64_t since;               /* event number: those up to it are older than the listener */
    uint64_t after;               /* the giver's: what was told, or the stream's end at first */
    bool ended;                   /* bucket lock */
};

struct event_notice {
    struct notice notice; /* first */
    struct bucket_event event;
    uint64_t number;
    uint64_t seen;   /* what the watch had told before it */
    bool is_message; /* else it vanished without one */
    bool gap;        /* changes may be missing before it */
    char text[];     /* the path, then the raw name */
};

/* Telling ----------------------------------------------------------------------------------- */

/* A name that is also a directory shows as "@value" in it. */
static bool shows_as_value(struct bucket *bucket, const char *path)
{
    struct tree_attr attr;

    if (tree_lookup(bucket->tree, path, &attr) != JSFS_OK)
        return false;
    object_meta_free(attr.meta);
    return attr.type == TREE_DIRECTORY;
}

static unsigned count_components(const char *path)
{
    unsigned count = 1;

    for (; *path != '\0'; path++)
        count += *path == '/';
    return count;
}

/* How many leading components of a path show. */
static unsigned shown_components(struct bucket *bucket, const char *path)
{
    CLEANUP(cleanup_free) char *prefix = strdup(path);
    unsigned count = 0;

    for (char *end = prefix; end != NULL; count++) {
        struct tree_attr attr;
        char *slash = strchr(end, '/');

        if (slash != NULL)
            *slash = '\0';
        if (tree_lookup(bucket->tree, prefix, &attr) != JSFS_OK)
            break;
        object_meta_free(attr.meta);
        if (slash != NULL)
            *slash = '/';
        end = slash != NULL ? slash + 1 : NULL;
    }
    return count;
}

static struct event_notice *new_notice(struct bucket *bucket, const char *path,
                                       const char *name)
{
    const char *suffix = shows_as_value(bucket, path) ? "/" NAME_CODEC_VALUE : "";
    size_t path_size = strlen(path) + strlen(suffix) + 1, name_size = strlen(name) + 1;
    struct event_notice *notice = calloc(1, sizeof(*notice) + path_size + name_size);

    if (notice == NULL)
        return NULL;
    stpcpy(stpcpy(notice->text, path), suffix);
    memcpy(notice->text + path_size, name, name_size);
    notice->event.path = notice->text;
    notice->event.name = notice->text + path_size;
    return notice;
}

/* NULL: there was no memory for it, so that a gap is before the next one. */
static void push_locked(struct bucket *bucket, struct event_notice *notice)
{
    if (notice == NULL) {
        bucket->event_gap = true;
        return;
    }
    notice->notice.type = NOTICE_EVENT;
    notice->number = ++bucket->event_number;
    notice->seen = bucket->seen;
    notice->gap = bucket->event_gap;
    bucket->event_gap = false;
    bucket_push_locked(bucket, &notice->notice);
}

bool bucket_is_event_locked(struct bucket *bucket, const char *path,
                            const struct store_entry *entry, unsigned *shown)
{
    bool live = false;
    uint64_t known;

    if (bucket->listeners == NULL)
        return false;
    known = tree_sequence(bucket->tree, path, &live);
    *shown = shown_components(bucket, path);
    if (live && shows_as_value(bucket, path))
        ++*shown; /* "@value" in it */
    if (entry->sequence <= bucket->seen) /* of a store too full for a tombstone */
        return entry->state == STORE_PURGED && live && known == entry->sequence;
    /* The marker of what has expired by our own clock tells nothing new. */
    return !entry->expired || live || known == entry->sequence;
}

static enum bucket_operation operation_of(const struct store_entry *entry)
{
    switch (entry->state) {
    case STORE_DELETED: return BUCKET_DELETE;
    case STORE_PURGED: return entry->expired ? BUCKET_EXPIRY : BUCKET_PURGE;
    case STORE_LIVE:
    case STORE_CORRUPT: break;
    }
    return BUCKET_PUT;
}

/* Of objects, whose sequences have holes, a list that is had anew is a gap by itself. */
static bool begins_anew(struct bucket *bucket, const struct store_entry *entry)
{
    return bucket_kind(bucket) == STORE_OBJECT && bucket->list_full &&
           !bucket->list_gap_told && entry->sequence > bucket->seen;
}

void bucket_tell_entry_locked(struct bucket *bucket, const char *path, const char *name,
                              const struct store_entry *entry, unsigned shown)
{
    struct event_notice *notice = new_notice(bucket, path, name);

    if (begins_anew(bucket, entry))
        bucket->event_gap = bucket->list_gap_told = true;
    if (notice != NULL) {
        notice->is_message = entry->sequence > bucket->seen;
        notice->event.operation = operation_of(entry);
        notice->event.sequence = entry->sequence;
        notice->event.size_bytes = entry->size_bytes;
        notice->event.time_ns = entry->modified_ns;
        notice->event.own = entry->own_token != 0;
        notice->event.shown_before = shown;
        notice->event.shown_after = shown_components(bucket, notice->event.path);
    }
    push_locked(bucket, notice);
}

static void tell_vanished_locked(struct bucket *bucket, const char *path,
                                 const struct bucket_event *event)
{
    CLEANUP(buffer_clear) struct buffer name = BUFFER_INIT;
    struct event_notice *notice = NULL;

    if (bucket->listeners == NULL)
        return;
    if (name_decode(path, &name) == JSFS_OK)
        notice = new_notice(bucket, path, name.data);
    if (notice != NULL) {
        const char *shown_path = notice->event.path, *shown_name = notice->event.name;

        notice->event = *event;
        notice->event.path = shown_path;
        notice->event.name = shown_name;
        notice->event.shown_before = count_components(shown_path);
        notice->event.shown_after = shown_components(bucket, shown_path);
    }
    push_locked(bucket, notice);
}

/* It has expired when its time is over, whoever has noticed first. */
void bucket_tell_vanished(void *arg, const char *path, uint64_t sequence,
                          int64_t modified_ns)
{
    struct bucket *bucket = arg;
    int64_t max_age_ns = atomic_load(&bucket->max_age_ns);
    int64_t now_ns = bucket_server_now_ns(bucket);
    bool expired = max_age_ns > 0 && modified_ns + max_age_ns <= now_ns;
    struct bucket_event event = {
        .operation = expired ? BUCKET_EXPIRY : BUCKET_PURGE,
        .sequence = sequence,
        .time_ns = expired ? modified_ns + max_age_ns : now_ns,
    };

    bucket_tell_changed_locked(bucket, path, UINT64_MAX, 0);
    tell_vanished_locked(bucket, path, &event);
}

void bucket_tell_expired_locked(struct bucket *bucket, const char *path,
                                uint64_t sequence, int64_t due_ns)
{
    struct bucket_event event = {
        .operation = BUCKET_EXPIRY, .sequence = sequence, .time_ns = due_ns};

    bucket_tell_changed_locked(bucket, path, UINT64_MAX, 0);
    tell_vanished_locked(bucket, path, &event);
}

void bucket_tell_forgotten_locked(struct bucket *bucket, const char *path,
                                  uint64_t sequence, uint64_t own_token)
{
    struct bucket_event event = {
        .operation = BUCKET_PURGE,
        .sequence = sequence,
        .time_ns = clock_realtime_ns(),
        .own = own_token != 0,
    };

    bucket_tell_changed_locked(bucket, path, UINT64_MAX, own_token);
    tell_vanished_locked(bucket, path, &event);
}

void bucket_tell_went_back_locked(struct bucket *bucket, uint64_t last)
{
    struct event_notice *notice;

    if (bucket->listeners == NULL)
        return;
    notice = calloc(1, sizeof(*notice) + 1);
    if (notice != NULL) {
        notice->event.operation = BUCKET_GAP;
        notice->event.sequence = last;
        notice->event.time_ns = clock_realtime_ns();
    }
    push_locked(bucket, notice);
}

/* Giving ------------------------------------------------------------------------------------ */

static void tell_gap(struct bucket_listener *listener, const struct bucket_event *event)
{
    struct bucket_event gap = {.operation = BUCKET_GAP,
                               .sequence = event->sequence,
                               .after = listener->after,
                               .time_ns = event->time_ns};

    listener->listening.told(listener->listening.arg, &gap);
}

/* Each sequence of a KV stream is a change: one that is passed over was not told. */
static void tell(struct bucket_listener *listener, const struct event_notice *notice)
{
    const struct bucket_event *event = &notice->event;
    bool counts = bucket_kind(listener->bucket) == STORE_KV && notice->is_message;

    if (event->operation == BUCKET_GAP) {
        tell_gap(listener, event);
        listener->after = event->sequence;
        return;
    }
    if (notice->gap)
        tell_gap(listener, event);
    if (notice->seen > listener->after)
        listener->after = notice->seen;
    if (!notice->gap && counts && event->sequence > listener->after + 1)
        tell_gap(listener, event);
    if (notice->is_message && event->sequence > listener->after)
        listener->after = event->sequence;
    listener->listening.told(listener->listening.arg, event);
}

/* Take those that have ended out of the list; returns them. */
static struct bucket_listener *take_ended_locked(struct bucket *bucket)
{
    struct bucket_listener *ended = NULL;

    for (struct bucket_listener **at = &bucket->listeners; *at != NULL;) {
        struct bucket_listener *listener = *at;

        if (!listener->ended) {
            at = &listener->next;
            continue;
        }
        *at = listener->next;
        listener->next = ended;
        ended = listener;
    }
    return ended;
}

static void free_ended(struct bucket_listener *ended)
{
    for (struct bucket_listener *next; ended != NULL; ended = next) {
        next = ended->next;
        ended->listening.ended(ended->listening.arg);
        bucket_unref(ended->bucket);
        free(ended);
    }
}

/* There is one giver at a time; while it is at it nobody leaves the list. */
static void give_all(struct bucket *bucket, const struct event_notice *notice)
{
    struct bucket_listener *ended;

    pthread_mutex_lock(&bucket->lock);
    bucket->giving_event = true;
    for (struct bucket_listener *at = bucket->listeners; at != NULL; at = at->next) {
        if (at->ended || notice->number <= at->since)
            continue;
        pthread_mutex_unlock(&bucket->lock);
        tell(at, notice);
        pthread_mutex_lock(&bucket->lock);
    }
    bucket->giving_event = false;
    ended = take_ended_locked(bucket);
    pthread_mutex_unlock(&bucket->lock);
    free_ended(ended);
}

void bucket_give_event(struct bucket *bucket, struct notice *notice)
{
    give_all(bucket, (struct event_notice *)notice);
}

void bucket_give_end(struct bucket *bucket)
{
    struct event_notice end = {
        .event = {.operation = BUCKET_END, .time_ns = clock_realtime_ns()},
        .number = UINT64_MAX,
    };

    give_all(bucket, &end);
}

/* Listening --------------------------------------------------------------------------------- */

/* On the way to a listener. */
struct attempt {
    struct bucket_listener *listener; /* its bucket is counted */
    unsigned attempts;
    bucket_listen_done *done;
    void *arg;
};

static void finish(struct attempt *attempt, enum jsfs_status status)
{
    struct bucket_listener *listener = attempt->listener;

    if (status != JSFS_OK) {
        bucket_unref(listener->bucket);
        free(listener);
        listener = NULL;
    }
    attempt->done(attempt->arg, status, listener);
    free(attempt);
}

static void listed(void *arg, enum jsfs_status status);
static enum jsfs_status link_listener(struct bucket_listener *listener, uint64_t last)
{
    struct bucket *bucket = listener->bucket;

    SCOPED_LOCK(&bucket->lock);
    if (bucket->state == BUCKET_GONE)
        return JSFS_STALE;
    if (bucket->state != BUCKET_LIVE || bucket->stopped)
        return JSFS_UNAVAILABLE;
    listener->after = last;
    listener->since = bucket->event_number;
    listener->next = bucket->listeners;
    bucket->listeners = listener;
    return JSFS_OK;
}

/* What the stream ends with now need not be told: a hole behind it is one. */
static void got_end(void *arg, enum jsfs_status status, const struct js_stream_info *info)
{
    struct attempt *attempt = arg;
    struct bucket *bucket = attempt->listener->bucket;

    if (status == JSFS_OK)
        status = link_listener(attempt->listener, info->last_sequence);
    else if (status == JSFS_NOT_FOUND)
        status = JSFS_STALE;
    if (status == JSFS_UNAVAILABLE && ++attempt->attempts < LISTEN_ATTEMPTS)
        bucket_wait_listed(bucket, listed, attempt);
    else
        finish(attempt, status);
}

/* On the executor, as a request may block while the socket is full. */
static void ask_end(void *arg)
{
    struct attempt *attempt = arg;

    bucket_info(attempt->listener->bucket, got_end, attempt);
}

/* Offline, the tree may be listed all the same: what changes then would not be told. */
static void listed(void *arg, enum jsfs_status status)
{
    struct attempt *attempt = arg;
    struct bucket *bucket = attempt->listener->bucket;

    if (status == JSFS_OK && !bucket_is_live(bucket))
        status = JSFS_UNAVAILABLE;
    if (status == JSFS_OK)
        executor_run(bucket->executor, ask_end, attempt);
    else
        finish(attempt, status);
}

void bucket_listen(struct bucket *bucket, const struct bucket_listening *listening,
                   bucket_listen_done *done, void *arg)
{
    struct attempt *attempt = calloc(1, sizeof(*attempt));
    struct bucket_listener *listener = calloc(1, sizeof(*listener));

    if (attempt == NULL || listener == NULL) {
        free(attempt);
        free(listener);
        done(arg, JSFS_NO_MEMORY, NULL);
        return;
    }
    listener->bucket = bucket_ref(bucket);
    listener->listening = *listening;
    *attempt = (struct attempt){.listener = listener, .done = done, .arg = arg};
    bucket_wait_listed(bucket, listed, attempt);
}

void bucket_unlisten(struct bucket_listener *listener)
{
    struct bucket *bucket = listener->bucket;
    struct bucket_listener *ended = NULL;

    atomic_store_explicit(&bucket->used, true, memory_order_relaxed);
    pthread_mutex_lock(&bucket->lock);
    listener->ended = true;
    if (!bucket->giving_event)
        ended = take_ended_locked(bucket);
    pthread_mutex_unlock(&bucket->lock);
    free_ended(ended);
}
