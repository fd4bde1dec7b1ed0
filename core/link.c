/* SPDX-License-Identifier: Apache-2.0 */
/* link.c - one nats.c connection with its requester.
 * Layer 3. nats.c's callbacks for all connections of the process come one at a time from one
 * thread, the closed callback of a connection last.
 */
#include "core/link.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "core/status_fold.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define RECONNECT_WAIT_MS 150
#define RECONNECT_JITTER_MS 100
#define PING_INTERVAL_MS 5000 /* a silent peer is noticed after 10 s to 15 s */
#define MAX_PINGS_OUT 2
#define MIN_CONNECT_MS 250
#define MAX_CONNECT_MS 5000
#define URL_MAX 1024

struct link {
    natsConnection *connection;
    struct requester *requester;
    void (*changed)(void *arg, bool up);
    void *arg;
    atomic_bool up;
    atomic_bool closing; /* or not open yet: events are not told */
    atomic_bool deaf;
    atomic_size_t max_payload;

    pthread_mutex_t lock;
    pthread_cond_t changed_state; /* lock; closed, or url */
    bool closed;                  /* lock; nats.c calls nothing any more */
    char url[URL_MAX];            /* lock; without credentials */
};

static const char *find_host(const char *url, size_t size)
{
    const char *scheme = memmem(url, size, "://", 3);
    const char *start = scheme != NULL ? scheme + 3 : url;
    const char *at = memrchr(start, '@', size - (size_t)(start - url));

    return at != NULL ? at + 1 : start;
}

void link_hide_credentials(const char *urls, char *out, size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    while (*urls != '\0' && used + 1 < size) {
        size_t length = strcspn(urls, ",");
        const char *scheme = memmem(urls, length, "://", 3);
        int scheme_length = scheme != NULL ? (int)(scheme + 3 - urls) : 0;
        const char *host = find_host(urls, length);
        int written = snprintf(out + used, size - used, "%s%.*s%.*s", used > 0 ? "," : "",
                               scheme_length, urls, (int)(urls + length - host), host);
        used += (size_t)written;
        urls += length + (urls[length] == ',');
    }
}

static void remember_server(struct link *link)
{
    char full[URL_MAX];
    char url[URL_MAX];

    atomic_store(&link->max_payload,
                 (size_t)natsConnection_GetMaxPayload(link->connection));
    if (natsConnection_GetConnectedUrl(link->connection, full, sizeof(full)) != NATS_OK ||
        full[0] == '\0')
        return;
    link_hide_credentials(full, url, sizeof(url));
    SCOPED_LOCK(&link->lock);
    memcpy(link->url, url, sizeof(url));
}

static void tell(struct link *link, bool up)
{
    if (link->changed != NULL)
        link->changed(link->arg, up);
}

static void on_disconnected(natsConnection *connection, void *arg)
{
    struct link *link = arg;
    (void)connection;

    if (atomic_load(&link->closing))
        return;
    atomic_store(&link->up, false);
    requester_disconnected(link->requester);
    tell(link, false);
}

static void on_reconnected(natsConnection *connection, void *arg)
{
    struct link *link = arg;
    (void)connection;

    if (atomic_load(&link->closing))
        return;
    remember_server(link);
    atomic_store(&link->up, true);
    requester_reconnected(link->requester);
    tell(link, true);
}

static void on_closed(natsConnection *connection, void *arg)
{
    struct link *link = arg;
    (void)connection;

    if (!atomic_load(&link->closing)) { /* nats.c gave up: refused twice by one server */
        jsfs_debug("nats=closed");
        atomic_store(&link->up, false);
    }
    SCOPED_LOCK(&link->lock);
    link->closed = true;
    pthread_cond_broadcast(&link->changed_state);
}

static bool find_published(const char *text, char *out, size_t size)
{
    static const char before[] = "Publish to \"";
    const char *subject = strcasestr(text, before);

    if (subject == NULL)
        return false;
    subject += sizeof(before) - 1;
    size_t length = strcspn(subject, "\"");
    if (subject[length] == '\0' || length >= size)
        return false;
    memcpy(out, subject, length);
    out[length] = '\0';
    return true;
}

/* nats.c hands on what the server wrote: Permissions Violation for Publish to "a.b", at most
 * 255 bytes of it; a subject that was cut names nobody. */
static void on_error(natsConnection *connection, natsSubscription *subscription,
                     natsStatus status, void *arg)
{
    struct link *link = arg;
    natsStatus last = NATS_OK;
    char subject[256];
    (void)connection;
    (void)subscription;

    const char *text = nats_GetLastError(&last);
    if (status != NATS_NOT_PERMITTED || last != status || text == NULL) {
        jsfs_debug("nats_error=%d text=\"%s\"", (int)status, natsStatus_GetText(status));
        return;
    }
    jsfs_debug("denied=\"%s\"", text);
    if (strcasestr(text, "subscription to \"_INBOX.") != NULL)
        atomic_store(&link->deaf, true);
    else if (!atomic_load(&link->closing) &&
             find_published(text, subject, sizeof(subject)))
        requester_denied(link->requester, subject);
}

static natsStatus set_servers(natsOptions *options, const struct link_options *wanted,
                              int *count)
{
    CLEANUP(cleanup_free) char *copy = strdup(wanted->urls);
    const char *servers[32];
    char *rest = NULL;
    int found = 0;

    if (copy == NULL)
        return NATS_NO_MEMORY;
    for (char *url = strtok_r(copy, ", ", &rest); url != NULL;
         url = strtok_r(NULL, ", ", &rest)) {
        if (found == (int)(sizeof(servers) / sizeof(servers[0])))
            return NATS_INVALID_ARG;
        servers[found++] = url;
    }
    *count = found;
    return found > 0 ? natsOptions_SetServers(options, servers, found) : NATS_INVALID_ARG;
}

/* What keeps a connection alive whatever the server says. */
static natsStatus set_persistence(natsOptions *options)
{
    natsStatus status = natsOptions_SetAllowReconnect(options, true);

    if (status == NATS_OK)
        status = natsOptions_SetMaxReconnect(options, -1);
    if (status == NATS_OK)
        status = natsOptions_SetReconnectWait(options, RECONNECT_WAIT_MS);
    if (status == NATS_OK)
        status = natsOptions_SetReconnectJitter(options, RECONNECT_JITTER_MS,
                                                RECONNECT_JITTER_MS);
    if (status == NATS_OK)
        status = natsOptions_SetPingInterval(options, PING_INTERVAL_MS);
    if (status == NATS_OK)
        status = natsOptions_SetMaxPingsOut(options, MAX_PINGS_OUT);
#if NATS_VERSION_NUMBER >= 0x030d00
    if (status == NATS_OK)
        status = natsOptions_SetIgnoreAuthErrorAbort(options, true);
#endif
#if NATS_VERSION_NUMBER >= 0x030e00
    if (status == NATS_OK)
        status = natsOptions_SetReconnectOnProtocolError(options, true);
#endif
    return status;
}

static natsStatus set_transfer(natsOptions *options, const struct link_options *wanted)
{
    /* Write on the caller's thread: nats.c's flusher waits 1 ms for more before it writes. */
    natsStatus status = natsOptions_SetSendAsap(options, true);

    if (status == NATS_OK)
        status = natsOptions_SetWriteDeadline(options, wanted->timeout_ms);
    if (status == NATS_OK)
        status = natsOptions_SetIOBufSize(options, wanted->buffer_bytes);
    /* No buffer while disconnected: what is published then fails, instead of being sent after
     * its failure was reported. */
    if (status == NATS_OK)
        status = natsOptions_SetReconnectBufSize(options, 0);
    return status;
}

static natsStatus set_callbacks(natsOptions *options, struct link *link)
{
    natsStatus status = natsOptions_SetDisconnectedCB(options, on_disconnected, link);

    if (status == NATS_OK)
        status = natsOptions_SetReconnectedCB(options, on_reconnected, link);
    if (status == NATS_OK)
        status = natsOptions_SetClosedCB(options, on_closed, link);
    if (status == NATS_OK)
        status = natsOptions_SetErrorHandler(options, on_error, link);
    return status;
}

static natsStatus configure(natsOptions *options, struct link *link,
                            const struct link_options *wanted)
{
    int servers = 0;
    natsStatus status = set_servers(options, wanted, &servers);

    if (status == NATS_OK)
        status = set_persistence(options);
    if (status == NATS_OK)
        status = set_transfer(options, wanted);
    if (status == NATS_OK)
        status = set_callbacks(options, link);
    if (status == NATS_OK)
        status = natsOptions_SetName(options, wanted->name);
    /* nats.c does not look at the scheme. */
    if (status == NATS_OK && strcasestr(wanted->urls, "tls://") != NULL)
        status = natsOptions_SetSecure(options, true);
    if (status != NATS_OK)
        return status;

    int each_ms = wanted->timeout_ms / servers;
    if (each_ms < MIN_CONNECT_MS)
        each_ms = MIN_CONNECT_MS;
    if (each_ms > MAX_CONNECT_MS) /* closing waits for an attempt that hangs */
        each_ms = MAX_CONNECT_MS;
    return natsOptions_SetTimeout(options, each_ms);
}

static natsStatus connect_now(struct link *link, const struct link_options *wanted)
{
    natsOptions *options = NULL;
    natsStatus status = natsOptions_Create(&options);

    if (status == NATS_OK)
        status = configure(options, link, wanted);
    if (status == NATS_OK)
        status = natsConnection_Connect(&link->connection, options);
    if (status == NATS_SECURE_CONNECTION_REQUIRED) {
        status = natsOptions_SetSecure(options, true);
        if (status == NATS_OK)
            status = natsConnection_Connect(&link->connection, options);
    }
    natsOptions_Destroy(options);
    return status;
}

/* The line for the user. */
static void describe(natsStatus status, const char *urls, char *error, size_t error_size)
{
    const char *detail = nats_GetLastError(NULL);
    char shown[URL_MAX];

    link_hide_credentials(urls, shown, sizeof(shown));
    switch (status) {
    case NATS_NO_SERVER:
    case NATS_TIMEOUT:
    case NATS_IO_ERROR:
    case NATS_CONNECTION_CLOSED:
        snprintf(error, error_size, "no NATS server answers at %s", shown);
        break;
    case NATS_CONNECTION_AUTH_FAILED:
    case NATS_NOT_PERMITTED:
        snprintf(error, error_size, "%s refuses the user or its credentials", shown);
        break;
    case NATS_SECURE_CONNECTION_WANTED:
        snprintf(error, error_size, "%s does not offer TLS, but tls:// asks for it",
                 shown);
        break;
    case NATS_SECURE_CONNECTION_REQUIRED:
    case NATS_SSL_ERROR:
        snprintf(error, error_size, "the TLS connection to %s failed: %s", shown,
                 detail != NULL ? detail : natsStatus_GetText(status));
        break;
    case NATS_INVALID_ARG:
    case NATS_ADDRESS_MISSING:
        snprintf(error, error_size, "not a NATS server URL: %s", shown);
        break;
    default:
        snprintf(error, error_size, "cannot connect to %s: %s", shown,
                 natsStatus_GetText(status));
    }
}

static enum jsfs_status fold_connect(natsStatus status)
{
    switch (status) {
    case NATS_TIMEOUT: return JSFS_UNAVAILABLE; /* nothing was asked yet */
    case NATS_SSL_ERROR: return JSFS_DENIED;
    default: return status_fold_nats(status);
    }
}

enum jsfs_status link_open(const struct link_options *options, struct executor *executor,
                           struct link **out, char *error, size_t error_size)
{
    struct link *link = calloc(1, sizeof(*link));

    if (link == NULL) {
        snprintf(error, error_size, "out of memory");
        return JSFS_NO_MEMORY;
    }
    link->changed = options->changed;
    link->arg = options->arg;
    link->closing = true;
    pthread_mutex_init(&link->lock, NULL);
    pthread_cond_init(&link->changed_state, NULL);

    natsStatus connected = connect_now(link, options);
    if (connected != NATS_OK) {
        describe(connected, options->urls, error, error_size);
        link->closed = true;
        link_close(link);
        return fold_connect(connected);
    }
    enum jsfs_status status =
        requester_open(link->connection, executor, options->timeout_ms, &link->requester);
    if (status != JSFS_OK) {
        snprintf(error, error_size, "cannot subscribe: %s", jsfs_status_text(status));
        link_close(link);
        return status;
    }
    remember_server(link);
    atomic_store(&link->closing, false);
    atomic_store(&link->up,
                 natsConnection_Status(link->connection) == NATS_CONN_STATUS_CONNECTED);
    *out = link;
    return JSFS_OK;
}

void link_close(struct link *link)
{
    if (link == NULL)
        return;

    atomic_store(&link->closing, true);
    atomic_store(&link->up, false);
    requester_stop(link->requester);
    natsConnection_Close(link->connection);
    pthread_mutex_lock(&link->lock);
    while (!link->closed)
        pthread_cond_wait(&link->changed_state, &link->lock);
    pthread_mutex_unlock(&link->lock);

    requester_close(link->requester);
    natsConnection_Destroy(link->connection);
    pthread_cond_destroy(&link->changed_state);
    pthread_mutex_destroy(&link->lock);
    free(link);
}

natsConnection *link_nats(struct link *link)
{
    return link->connection;
}

struct requester *link_requester(struct link *link)
{
    return link->requester;
}

bool link_is_up(struct link *link)
{
    return atomic_load(&link->up);
}

bool link_is_deaf(struct link *link)
{
    return atomic_load(&link->deaf);
}

size_t link_max_payload(struct link *link)
{
    return atomic_load(&link->max_payload);
}

void link_url(struct link *link, char *out, size_t size)
{
    SCOPED_LOCK(&link->lock);
    snprintf(out, size, "%s", link->url);
}
