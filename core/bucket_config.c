/* SPDX-License-Identifier: Apache-2.0 */
/* bucket_config.c - the stream behind a bucket: its configuration to read and to change, and what
 * is to be known of both as a text.
 * Layer 4, a part of bucket.h.
 */
#include "core/bucket_state.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/stream_text.h"
#include <stdio.h>
#include <string.h>

#define STREAM_NAME_SIZE 260 /* [bytes] of "OBJ_" and the longest bucket name */

static void stream_of(const struct bucket *bucket, char out[STREAM_NAME_SIZE])
{
    snprintf(out, STREAM_NAME_SIZE, "%s_%s", bucket_kind(bucket) == STORE_KV ? "KV" : "OBJ",
             bucket->name);
}

void bucket_stream(struct bucket *bucket, struct js_stream_info *out)
{
    SCOPED_LOCK(&bucket->lock);
    *out = bucket->info;
}

bool bucket_is_read_only(struct bucket *bucket)
{
    return bucket->read_only;
}

/* What the kernel was told to keep until another time must be told anew. */
void bucket_take_info_locked(struct bucket *bucket, const struct js_stream_info *info)
{
    bool ages = info->max_age_ns != atomic_load(&bucket->max_age_ns);

    bucket->info = *info;
    if (!ages)
        return;
    atomic_store(&bucket->max_age_ns, info->max_age_ns);
    tree_set_max_age(bucket->tree, info->max_age_ns);
    bucket_tell_lost_locked(bucket);
}

void bucket_note_error(struct bucket *bucket, const char *operation, const char *text)
{
    SCOPED_LOCK(&bucket->lock);
    struct bucket_error *error = &bucket->last_error;

    error->time_ns = clock_realtime_ns();
    snprintf(error->operation, sizeof(error->operation), "%s", operation);
    snprintf(error->text, sizeof(error->text), "%s", text);
}

/* Asking the server --------------------------------------------------------------------------- */

/* One question; a reference to the bucket. */
struct question {
    struct bucket *bucket;
    bucket_text_done *done;
    void *arg;
    int64_t conflicts; /* of a status */
};

static struct question *question_new(struct bucket *bucket, bucket_text_done *done, void *arg)
{
    struct question *question = calloc(1, sizeof(*question));

    if (question == NULL) {
        done(arg, JSFS_NO_MEMORY, "");
        return NULL;
    }
    *question = (struct question){.bucket = bucket_ref(bucket), .done = done, .arg = arg};
    return question;
}

static void answer(struct question *question, enum jsfs_status status, const char *text)
{
    question->done(question->arg, status, text);
    bucket_unref(question->bucket);
    free(question);
}

/* A stream that is gone is one that handles were opened on. */
static void answer_config(struct question *question, enum jsfs_status status,
                          const char *reply)
{
    CLEANUP(cleanup_free) char *text = status == JSFS_OK ? stream_text_config(reply) : NULL;

    if (status == JSFS_OK && text == NULL)
        status = JSFS_FAILED;
    if (status == JSFS_NOT_FOUND)
        status = JSFS_STALE;
    answer(question, status, text != NULL ? text : "");
}

static void got_config(void *arg, enum jsfs_status status, const char *reply)
{
    answer_config(arg, status, reply);
}

/* Nobody is asked who cannot answer. */
static bool is_away(const struct bucket *bucket)
{
    return bucket->options.connected != NULL &&
           !bucket->options.connected(bucket->options.connected_arg);
}

void bucket_config(struct bucket *bucket, bucket_text_done *done, void *arg)
{
    struct question *question = question_new(bucket, done, arg);

    if (question == NULL)
        return;
    if (is_away(bucket))
        answer(question, JSFS_UNAVAILABLE, "");
    else
        bucket->store->ops->describe(bucket->store, got_config, question);
}

/* Changing it --------------------------------------------------------------------------------- */

static void refuse(struct question *question, enum jsfs_status status, const char *text)
{
    if (status == JSFS_NOT_FOUND) /* of a stream that there was */
        status = JSFS_STALE;
    if (text[0] == '\0')
        text = jsfs_status_text(status);
    bucket_note_error(question->bucket, "configure", text);
    answer(question, status, text);
}

/* Everything that the bucket itself goes by is asked again: limits, age, abilities. */
static void take_reply(struct bucket *bucket, const char *reply)
{
    struct js_stream_info info;
    struct js_error error;

    if (js_reply_stream_info(reply, strlen(reply), &error, &info) != JSFS_OK ||
        error.code != 0)
        return;
    pthread_mutex_lock(&bucket->lock);
    bucket_take_info_locked(bucket, &info);
    pthread_mutex_unlock(&bucket->lock);
    bucket_give_notices(bucket);
    bucket_tick_within(bucket, 0);
}

static void configured(void *arg, enum jsfs_status status, const char *reply)
{
    struct question *question = arg;

    if (status != JSFS_OK) {
        refuse(question, status, reply);
        return;
    }
    take_reply(question->bucket, reply);
    answer_config(question, status, reply);
}

void bucket_configure(struct bucket *bucket, const char *text, size_t size,
                      bucket_text_done *done, void *arg)
{
    CLEANUP(cleanup_free) char *config = NULL;
    struct question *question = question_new(bucket, done, arg);
    char stream[STREAM_NAME_SIZE], error[256] = "";

    if (question == NULL)
        return;
    stream_of(bucket, stream);
    enum jsfs_status status =
        stream_text_parse(text, size, stream, &config, error, sizeof(error));
    if (status == JSFS_OK && is_away(bucket))
        status = JSFS_UNAVAILABLE;
    if (status == JSFS_OK)
        bucket->store->ops->configure(bucket->store, config, configured, question);
    else
        refuse(question, status, error);
}

/* Status -------------------------------------------------------------------------------------- */

static const char *watch_text(enum bucket_state state)
{
    switch (state) {
    case BUCKET_IDLE: return "idle";
    case BUCKET_LOADING: return "loading";
    case BUCKET_LIVE: return "live";
    case BUCKET_LOST: return "lost";
    case BUCKET_GONE: return "gone";
    }
    return "unknown";
}

static void got_status(void *arg, enum jsfs_status status, const char *reply)
{
    struct question *question = arg;
    struct bucket *bucket = question->bucket;
    struct stream_text_mount mount = {.bucket = bucket->name,
                                      .server = jsfs_status_text(status),
                                      .conflicts = question->conflicts};
    char stream[STREAM_NAME_SIZE];
    uint64_t known;

    stream_of(bucket, stream);
    mount.stream = stream;
    tree_count(bucket->tree, &known, &mount.names);
    pthread_mutex_lock(&bucket->lock);
    struct bucket_error error = bucket->last_error;
    mount.revision = bucket->seen;
    mount.watch = watch_text((enum bucket_state)bucket->state);
    pthread_mutex_unlock(&bucket->lock);
    mount.error_ns = error.time_ns;
    mount.error_operation = error.operation;
    mount.error_text = error.text;
    CLEANUP(cleanup_free)
    char *text = stream_text_status(&mount, status == JSFS_OK ? reply : NULL);
    answer(question, text != NULL ? JSFS_OK : JSFS_NO_MEMORY, text != NULL ? text : "");
}

void bucket_status(struct bucket *bucket, int64_t conflicts, bucket_text_done *done,
                   void *arg)
{
    struct question *question = question_new(bucket, done, arg);

    if (question == NULL)
        return;
    question->conflicts = conflicts;
    if (is_away(bucket))
        got_status(question, JSFS_UNAVAILABLE, "");
    else
        bucket->store->ops->describe(bucket->store, got_status, question);
}
