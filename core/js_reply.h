/* SPDX-License-Identifier: Apache-2.0 */
/* js_reply.h - what JetStream answers, read from JSON; pure.
 * Layer 2, over jansson. Every parser takes any bytes and returns
 *   JSFS_OK       read; an error reply too: then `error` says so, and the other outputs are
 *                 untouched
 *   JSFS_FAILED   not the reply that was asked for (or no memory to read it); error is all 0
 * Unknown fields are ignored; a missing one is what its comment says, else 0.
 */
#ifndef JSFS_CORE_JS_REPLY_H
#define JSFS_CORE_JS_REPLY_H

#include "core/js_time.h"
#include "core/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The error part of any reply; err_code 0 and code 0 when there is none. An error that the
 * server gave no code has code 500.
 */
struct js_error {
    int code;                 /* HTTP-like: 400, 404, 503 … */
    int err_code;             /* JetStream's own: 10071 … */
    char description[160];    /* cut, NUL-terminated; for logs and for the texts of 10077 */
};

struct js_pub_ack {
    struct js_error error;    /* when err_code or code is not 0, the rest is 0 */
    char stream[256];
    uint64_t sequence;
    bool duplicate;
};

/* An ack or an error, read into out, all of which is set whatever is returned. */
enum jsfs_status js_reply_pub_ack(const char *json, size_t size, struct js_pub_ack *out);

/* Only whether a reply is an error: out->code and out->err_code. */
enum jsfs_status js_reply_error(const char *json, size_t size, struct js_error *out);

#define JS_SOURCES_SIZE 512 /* [bytes] */
#define JS_DESCRIPTION_SIZE 1024 /* [bytes] */

struct js_stream_info {
    uint64_t messages, bytes, first_sequence, last_sequence;
    uint64_t subjects;             /* num_subjects; 0 when the server does not say */
    int64_t max_bytes;             /* -1: none */
    int64_t max_message_bytes;     /* -1: none */
    int64_t max_messages_per_subject;
    int64_t max_age_ns;            /* 0: none */
    int64_t duplicate_window_ns;   /* 0: the server does not say */
    int replicas;
    bool allow_direct, allow_rollup, sealed, deny_purge, deny_delete, allow_atomic;
    bool allow_message_ttl, memory_storage;
    char name[256];
    char mirror[256];              /* the origin stream's name; "" when this is no mirror */
    char mirror_api[128];          /* the API prefix of its domain or account, without a dot at
                                      the end; "" when it is ours */
    bool has_subjects;             /* something can be published into it */
    /* What the streams that this one copies from without a transform are called: their messages
     * keep their subjects. NUL behind each, an empty name ends them; those that do not fit are
     * left out. */
    char sources[JS_SOURCES_SIZE];
    char description[JS_DESCRIPTION_SIZE]; /* cut between two characters; "" when there is none */
    int64_t created_ns;            /* [ns since 1970]; 0 when it cannot be read */
    int64_t told_ns;               /* the server's time of this answer; 0: it did not say (2.9) */
    int64_t clock_ahead_ns;        /* of the server's clock, to ours, when it was received; less
                                      the time the answer took. js_api.h sets it; 0: unknown */
};

/* The reply of STREAM.INFO, STREAM.CREATE or STREAM.UPDATE. */
enum jsfs_status js_reply_stream_info(const char *json, size_t size, struct js_error *error,
                                      struct js_stream_info *out);

/* One page of STREAM.LIST: calls each(arg, info) for every stream in it.
 *   total   all streams there are, as the server counts them
 *   count   how many this page held, also those that could not be read and were left out
 */
enum jsfs_status js_reply_stream_list(const char *json, size_t size, struct js_error *error,
                                      void (*each)(void *arg, const struct js_stream_info *),
                                      void *arg, uint64_t *total, uint64_t *count);

/* The reply of CONSUMER.CREATE: its name (at most 255 bytes) and num_pending. */
enum jsfs_status js_reply_consumer(const char *json, size_t size, struct js_error *error,
                                   char name[256], uint64_t *pending);

struct js_stored_message {   /* the reply of STREAM.MSG.GET */
    char *subject;           /* NUL-terminated */
    uint64_t sequence;
    int64_t time_ns;
    char *headers;           /* decoded "NATS/1.0\r\n…" block, NUL-terminated; NULL if none */
    size_t headers_size;
    char *data;              /* NULL when empty */
    size_t size;
};

/* out is for js_stored_message_clear() when JSFS_OK and error is none. JSFS_NO_MEMORY too. */
enum jsfs_status js_reply_message(const char *json, size_t size, struct js_error *error,
                                  struct js_stored_message *out);

/* Release what the struct holds. */
void js_stored_message_clear(struct js_stored_message *message);

struct js_account_info {
    int64_t storage_used, storage_limit, memory_used, memory_limit; /* [bytes], limit -1: none */
    int api_level;  /* 0: below 2.11 */
};

/* The reply of $JS.API.INFO. Where the account has tiers, those of R1 are told, and the sum of
 * all when there is no R1.
 */
enum jsfs_status js_reply_account(const char *json, size_t size, struct js_error *error,
                                  struct js_account_info *out);

/* The number of messages that STREAM.PURGE removed. */
enum jsfs_status js_reply_purge(const char *json, size_t size, struct js_error *error,
                                uint64_t *purged);

#endif
