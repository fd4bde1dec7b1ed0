/* SPDX-License-Identifier: Apache-2.0 */
/* js_api.h - the JetStream API as calls: streams, consumers, stored messages.
 * Layer 3. Calls block for one round trip (a list: for its pages), at most the request timeout,
 * and are not for delivery threads; *_async answer by callback. Errors are folded
 * (status_fold.h).
 */
#ifndef JSFS_CORE_JS_API_H
#define JSFS_CORE_JS_API_H

#include "core/connection.h"
#include "core/js_reply.h"
#include "core/store.h"

enum jsfs_status js_api_account(struct connection *connection, struct js_account_info *out);

enum jsfs_status js_api_stream_info(struct connection *connection, const char *stream,
                                    struct js_stream_info *out);
void js_api_stream_info_async(struct connection *connection, const char *stream,
                              store_info_done *done, void *arg);

/* Every stream there is: calls each(arg, info); all pages, without a filter, so that mirrors
 * show too (reference nats.md §1.1). JSFS_OK only when the list is complete.
 */
enum jsfs_status js_api_stream_list(struct connection *connection,
                                    void (*each)(void *arg, const struct js_stream_info *),
                                    void *arg);

/* config: the body of STREAM.CREATE (stream_config.h). JSFS_EXISTS: the name is taken by
 * another configuration (10058) or its subjects overlap (10065). An equal configuration is
 * JSFS_OK: the server does not tell. */
enum jsfs_status js_api_stream_create(struct connection *connection, const char *stream,
                                      const char *config);

enum jsfs_status js_api_stream_delete(struct connection *connection, const char *stream);

/* The reply of STREAM.INFO as it is, with fields that jsfs does not know; and STREAM.UPDATE with
 * such a "config", answered in the same way. The same update twice is one, so it is sent again
 * after a reconnect. */
void js_api_stream_describe(struct connection *connection, const char *stream,
                            store_text_done *done, void *arg);
void js_api_stream_update(struct connection *connection, const char *stream,
                          const char *config, store_text_done *done, void *arg);

/* Remove every message of a subject. */
enum jsfs_status js_api_stream_purge(struct connection *connection, const char *stream,
                                     const char *subject);
void js_api_stream_purge_async(struct connection *connection, const char *stream,
                               const char *subject, store_done *done, void *arg);

/* Remove the messages of a subject up to and with a sequence. Doing it twice is the same as doing
 * it once, so a lost question is sent again. */
void js_api_stream_purge_to_async(struct connection *connection, const char *stream,
                                  const char *subject, uint64_t last_sequence,
                                  store_done *done, void *arg);

/* One stored message from the stream's leader. JSFS_NOT_FOUND: none.
 *   done   message is borrowed; NULL unless JSFS_OK; header_block.h reads its headers */
typedef void js_api_message_done(void *arg, enum jsfs_status status,
                                 const struct js_stored_message *message);
void js_api_message_last(struct connection *connection, const char *stream,
                         const char *subject, js_api_message_done *done, void *arg);
void js_api_message_at(struct connection *connection, const char *stream, uint64_t sequence,
                       js_api_message_done *done, void *arg);

/* The first message at or behind a sequence under a subject, which may have wildcards. */
void js_api_message_next(struct connection *connection, const char *stream, uint64_t sequence,
                         const char *filter, js_api_message_done *done, void *arg);

/* The same questions about the origin of a mirror, which another domain or account may have.
 *   api   the prefix of its API, without a dot at the end; "": ours */
void js_api_origin_last(struct connection *connection, const char *api, const char *stream,
                        const char *subject, js_api_message_done *done, void *arg);
void js_api_origin_at(struct connection *connection, const char *api, const char *stream,
                      uint64_t sequence, js_api_message_done *done, void *arg);
void js_api_origin_info(struct connection *connection, const char *api, const char *stream,
                        store_info_done *done, void *arg);

/* Create a consumer from a body of stream_config_consumer(); *pending: num_pending. */
enum jsfs_status js_api_consumer_create(struct connection *connection, const char *stream,
                                        const char *name, const char *filter, const char *config,
                                        uint64_t *pending);
/* Delete it without waiting for the answer. */
void js_api_consumer_delete(struct connection *connection, const char *stream,
                            const char *name);

#endif
