/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_js_reply.c - any bytes as an answer of JetStream, to every parser.
 * libFuzzer target of layer 2.
 */
#include "core/js_reply.h"
#include "core/cleanup.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* An error is there exactly when the reply parsed as one, and its text ends. */
static void check_error(enum jsfs_status status, const struct js_error *error)
{
    require(memchr(error->description, '\0', sizeof(error->description)) != NULL);
    require(status == JSFS_OK || (error->code == 0 && error->err_code == 0));
}

static void check_stream(void *arg, const struct js_stream_info *info)
{
    ++*(uint64_t *)arg;
    require(info->name[0] != '\0');
    require(memchr(info->name, '\0', sizeof(info->name)) != NULL);
    require(memchr(info->mirror, '\0', sizeof(info->mirror)) != NULL);
}

static void check_ack(const char *json, size_t size)
{
    struct js_pub_ack ack;
    enum jsfs_status status = js_reply_pub_ack(json, size, &ack);

    check_error(status, &ack.error);
    require(memchr(ack.stream, '\0', sizeof(ack.stream)) != NULL);
    if (status == JSFS_OK && ack.error.code == 0 && ack.error.err_code == 0)
        require(ack.sequence > 0 && ack.stream[0] != '\0');
    else
        require(ack.sequence == 0);
}

static void check_streams(const char *json, size_t size)
{
    struct js_stream_info info;
    struct js_error error;
    uint64_t total = 0, count = 0, seen = 0;
    enum jsfs_status status = js_reply_stream_info(json, size, &error, &info);

    check_error(status, &error);
    if (status == JSFS_OK && error.code == 0 && error.err_code == 0)
        check_stream(&seen, &info);
    seen = 0;
    check_error(
        js_reply_stream_list(json, size, &error, check_stream, &seen, &total, &count),
        &error);
    require(seen <= count);
}

static void check_message(const char *json, size_t size)
{
    struct js_stored_message message = {0};
    struct js_error error;

    check_error(js_reply_message(json, size, &error, &message), &error);
    require(message.data != NULL || message.size == 0);
    require(message.headers == NULL || message.headers[message.headers_size] == '\0');
    js_stored_message_clear(&message);
}

static void check_rest(const char *json, size_t size)
{
    struct js_account_info account;
    struct js_error error;
    char name[256];
    uint64_t number;

    check_error(js_reply_error(json, size, &error), &error);
    check_error(js_reply_consumer(json, size, &error, name, &number), &error);
    check_error(js_reply_account(json, size, &error, &account), &error);
    check_error(js_reply_purge(json, size, &error, &number), &error);
}

static void check_time(const char *data, size_t size)
{
    CLEANUP(cleanup_free) char *text = malloc(size + 1);
    char written[JS_TIME_SIZE];
    int64_t ns, again;

    memcpy(text, data, size);
    text[size] = '\0';
    if (!js_time_parse(text, &ns))
        return;
    js_time_format(ns, written);
    require(js_time_parse(written, &again) && again == ns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *json = (const char *)data;

    check_ack(json, size);
    check_streams(json, size);
    check_message(json, size);
    check_rest(json, size);
    check_time(json, size);
    return 0;
}
