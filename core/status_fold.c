/* SPDX-License-Identifier: Apache-2.0 */
/* status_fold.c - natsStatus and JetStream error codes as enum jsfs_status; the only place.
 * Layer 3. Source: nats-server server/errors.json; nats.c status.h.
 */
#include "core/status_fold.h"
#include "core/log.h"

#include <string.h>

static enum jsfs_status fold_nats(natsStatus status)
{
    switch (status) {
    case NATS_OK: return JSFS_OK;
    case NATS_NOT_FOUND: return JSFS_NOT_FOUND;
    case NATS_MAX_PAYLOAD: return JSFS_TOO_LARGE;
    case NATS_TIMEOUT: return JSFS_TIMEOUT;
    case NATS_NO_MEMORY: return JSFS_NO_MEMORY;
    case NATS_INVALID_SUBJECT: return JSFS_BAD_NAME;
    case NATS_NO_SERVER_SUPPORT: return JSFS_UNSUPPORTED;
    case NATS_NOT_PERMITTED:
    case NATS_CONNECTION_AUTH_FAILED: return JSFS_DENIED;
    case NATS_INVALID_ARG:
    case NATS_INVALID_TIMEOUT:
    case NATS_ADDRESS_MISSING:
    case NATS_SECURE_CONNECTION_WANTED:
    case NATS_SECURE_CONNECTION_REQUIRED: return JSFS_INVALID;
    case NATS_NO_RESPONDERS:
    case NATS_NO_SERVER:
    case NATS_NOT_YET_CONNECTED:
    case NATS_CONNECTION_DISCONNECTED:
    case NATS_CONNECTION_CLOSED:
    case NATS_STALE_CONNECTION:
    case NATS_DRAINING:
    case NATS_INVALID_SUBSCRIPTION: /* its connection was closed */
    case NATS_IO_ERROR:
    case NATS_INSUFFICIENT_BUFFER: /* publishing while disconnected: link.c keeps no buffer */
        return JSFS_UNAVAILABLE;
    default: return JSFS_FAILED; /* newer versions of nats.c know more than 3.4.1 */
    }
}

enum jsfs_status status_fold_nats(natsStatus status)
{
    enum jsfs_status folded = fold_nats(status);

    if (folded == JSFS_FAILED)
        jsfs_debug("nats_status=%d text=\"%s\"", (int)status, natsStatus_GetText(status));
    return folded;
}

struct row {
    int err_code;
    enum jsfs_status status;
};

static const struct row rows[] = {
    {10002, JSFS_QUOTA      }, /* account resources exceeded */
    {10003, JSFS_INVALID    }, /* bad request */
    {10004, JSFS_UNAVAILABLE}, /* incomplete results */
    {10008, JSFS_UNAVAILABLE}, /* JetStream temporarily unavailable */
    {10009, JSFS_UNAVAILABLE}, /* not the leader */
    {10013, JSFS_EXISTS     }, /* consumer name in use */
    {10014, JSFS_NOT_FOUND  }, /* consumer not found */
    {10023, JSFS_NO_SPACE   }, /* insufficient resources */
    {10025, JSFS_INVALID    }, /* invalid JSON */
    {10026, JSFS_BUSY       }, /* maximum consumers */
    {10027, JSFS_QUOTA      }, /* maximum streams */
    {10028, JSFS_NO_SPACE   }, /* memory resources */
    {10035, JSFS_UNSUPPORTED}, /* no account */
    {10037, JSFS_NOT_FOUND  }, /* no message */
    {10039, JSFS_UNSUPPORTED}, /* JetStream off for the account */
    {10047, JSFS_NO_SPACE   }, /* insufficient storage */
    {10052, JSFS_INVALID    }, /* invalid stream configuration */
    {10054, JSFS_TOO_LARGE  }, /* above max_msg_size */
    {10056, JSFS_FAILED     }, /* stream name mismatch */
    {10057, JSFS_NOT_ALLOWED}, /* message delete not permitted */
    {10058, JSFS_EXISTS     }, /* stream name in use with another configuration */
    {10059, JSFS_NOT_FOUND  }, /* stream not found */
    {10060, JSFS_FAILED     }, /* expected stream does not match */
    {10065, JSFS_EXISTS     }, /* subjects overlap */
    {10071, JSFS_CONFLICT   }, /* wrong last sequence: N */
    {10074, JSFS_INVALID    }, /* replicas not supported here */
    {10076, JSFS_UNSUPPORTED}, /* JetStream off */
    {10097, JSFS_TOO_LARGE  }, /* headers above 64 KiB */
    {10109, JSFS_SEALED     }, /* sealed stream */
    {10110, JSFS_NOT_ALLOWED}, /* purge failed or denied */
    {10111, JSFS_NOT_ALLOWED}, /* rollup not permitted */
    {10113, JSFS_INVALID    }, /* the account requires max_bytes */
    {10118, JSFS_UNAVAILABLE}, /* stream offline */
    {10120, JSFS_QUOTA      }, /* no tier limit */
    {10122, JSFS_QUOTA      }, /* above the account's max stream bytes */
    {10128, JSFS_INVALID    }, /* bad name */
    {10148, JSFS_EXISTS     }, /* consumer exists */
    {10158, JSFS_BUSY       }, /* catching up */
    {10163, JSFS_UNAVAILABLE}, /* conditional publish not possible now */
    {10164, JSFS_CONFLICT   }, /* wrong last sequence */
    {10165, JSFS_UNSUPPORTED}, /* TTL invalid */
    {10166, JSFS_UNSUPPORTED}, /* TTL disabled */
    {10167, JSFS_BUSY       }, /* too many requests */
    {10174, JSFS_UNSUPPORTED}, /* atomic publish disabled */
    {10175, JSFS_UNSUPPORTED}, /* atomic publish: missing sequence */
    {10176, JSFS_UNSUPPORTED}, /* atomic publish incomplete */
    {10177, JSFS_UNSUPPORTED}, /* atomic publish: a header that 2.12.0 does not take */
    {10179, JSFS_UNSUPPORTED}, /* atomic publish: bad batch id */
    {10185, JSFS_UNSUPPORTED}, /* API level */
    {10194, JSFS_UNAVAILABLE}, /* stream offline, with a reason */
    {10199, JSFS_UNSUPPORTED}, /* atomic publish too large */
    {10200, JSFS_UNSUPPORTED}, /* atomic publish: bad commit */
    {10201, JSFS_UNSUPPORTED}, /* atomic publish: duplicate message id */
    {10205, JSFS_UNSUPPORTED}, /* fast batch disabled */
    {10210, JSFS_BUSY       }, /* too many batches */
    {10211, JSFS_BUSY       },
};

/* 10077 "store failed" carries the store's own error as text, in lower case. */
static enum jsfs_status fold_store_failure(const char *text)
{
    static const char *const full[] = {"maximum bytes exceeded", "maximum messages",
                                       "no space left", "insufficient resources"};

    for (size_t i = 0; i < sizeof(full) / sizeof(full[0]); i++)
        if (strstr(text, full[i]) != NULL)
            return JSFS_NO_SPACE;
    return JSFS_FAILED;
}

static enum jsfs_status fold_code(int code)
{
    switch (code) {
    case 400: return JSFS_INVALID;
    case 401:
    case 403: return JSFS_DENIED;
    case 404: return JSFS_NOT_FOUND;
    case 408: return JSFS_TIMEOUT;
    case 409:
    case 429: return JSFS_BUSY;
    case 412: return JSFS_UNSUPPORTED; /* required API level */
    case 413: return JSFS_TOO_LARGE;
    case 503: return JSFS_UNAVAILABLE;
    default: return JSFS_FAILED;
    }
}

static enum jsfs_status fold_js(const struct js_error *error)
{
    if (error->err_code == 10077)
        return fold_store_failure(error->description);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].err_code == error->err_code)
            return rows[i].status;
    return fold_code(error->code);
}

enum jsfs_status status_fold_js(const struct js_error *error)
{
    if (error->code == 0 && error->err_code == 0)
        return JSFS_OK;

    enum jsfs_status folded = fold_js(error);
    if (folded == JSFS_FAILED)
        jsfs_debug("js_code=%d js_err_code=%d text=\"%s\"", error->code, error->err_code,
                   error->description);
    return folded;
}
