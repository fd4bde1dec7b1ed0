/* SPDX-License-Identifier: Apache-2.0 */
/* ceiling.c - what the wire allows: raw nats.c, one JetStream request pipelined or one at a time.
 * The limits that the mount is measured against in the same run; no code of jsfs is in it.
 *
 *   ceiling URL get SUBJECT FIRST COUNT WINDOW   direct gets by sequence; SUBJECT of DIRECT.GET
 *   ceiling URL put SUBJECT SIZE COUNT WINDOW    publishes with acks, SHA-256 run along
 *
 * WINDOW 1 measures round trips. Prints one JSON line: seconds, bytes, p50_us, p99_us.
 */
#include <nats/nats.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;
static int in_flight;      /* lock */
static int refused;        /* lock */
static long long received; /* lock; [bytes] */

static double now_s(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void fail(const char *what, natsStatus status)
{
    fprintf(stderr, "ceiling: %s: %s\n", what, natsStatus_GetText(status));
    exit(1);
}

static void on_answer(natsConnection *connection, natsSubscription *subscription, natsMsg *msg,
                      void *closure)
{
    const char *status = NULL;

    (void)connection;
    (void)subscription;
    (void)closure;
    bool bad = natsMsgHeader_Get(msg, "Status", &status) == NATS_OK ||
               strstr(natsMsg_GetData(msg), "\"error\"") != NULL;
    pthread_mutex_lock(&lock);
    in_flight--;
    refused += bad;
    received += natsMsg_GetDataLength(msg);
    pthread_cond_signal(&answered);
    pthread_mutex_unlock(&lock);
    natsMsg_Destroy(msg);
}

/* Wait until fewer than window requests are out. */
static void wait_below(int window)
{
    pthread_mutex_lock(&lock);
    while (in_flight >= window)
        pthread_cond_wait(&answered, &lock);
    pthread_mutex_unlock(&lock);
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;

    return (a > b) - (a < b);
}

struct run {
    natsConnection *connection;
    const char *subject;
    char inbox[64];
    bool is_put;
    long long first_or_size;
    int count, window;
    char *data;
    EVP_MD_CTX *hash;
};

static void send_one(struct run *run, int index)
{
    char text[64];
    const char *data = text;
    int size;

    if (run->is_put) {
        data = run->data;
        size = (int)run->first_or_size;
        EVP_DigestUpdate(run->hash, data, (size_t)size);
    } else {
        size = snprintf(text, sizeof(text), "{\"seq\":%lld}", run->first_or_size + index);
    }
    pthread_mutex_lock(&lock);
    in_flight++;
    pthread_mutex_unlock(&lock);
    natsStatus status = natsConnection_PublishRequest(run->connection, run->subject,
                                                      run->inbox, data, size);
    if (status != NATS_OK)
        fail("publish", status);
}

static void measure(struct run *run)
{
    double *times = calloc((size_t)run->count, sizeof(double));
    double start = now_s();

    for (int i = 0; i < run->count; i++) {
        double sent = now_s();

        wait_below(run->window);
        send_one(run, i);
        if (run->window == 1)
            wait_below(1);
        times[i] = now_s() - sent;
    }
    wait_below(1);
    double seconds = now_s() - start;
    qsort(times, (size_t)run->count, sizeof(double), compare);
    if (refused > 0) {
        fprintf(stderr, "ceiling: %d of %d requests were refused\n", refused, run->count);
        exit(1);
    }
    printf("{\"seconds\": %.6f, \"bytes\": %lld, \"p50_us\": %.1f, \"p99_us\": %.1f}\n", seconds,
           run->is_put ? run->first_or_size * run->count : received,
           times[run->count / 2] * 1e6, times[run->count * 99 / 100] * 1e6);
    free(times);
}

static void connect_to(struct run *run, const char *url)
{
    natsOptions *options = NULL;
    natsSubscription *subscription = NULL;
    natsStatus status = natsOptions_Create(&options);

    if (status == NATS_OK)
        status = natsOptions_SetURL(options, url);
    if (status == NATS_OK)
        status = natsOptions_SetSendAsap(options, true);
    if (status == NATS_OK)
        status = natsConnection_Connect(&run->connection, options);
    if (status == NATS_OK)
        status = natsConnection_Subscribe(&subscription, run->connection, run->inbox,
                                          on_answer, NULL);
    if (status == NATS_OK)
        status = natsSubscription_SetPendingLimits(subscription, -1, -1);
    if (status != NATS_OK)
        fail("connect", status);
}

int main(int argc, char **argv)
{
    struct run run = {.hash = EVP_MD_CTX_new()};

    if (argc != 7) {
        fprintf(stderr, "usage: ceiling URL get|put SUBJECT FIRST|SIZE COUNT WINDOW\n");
        return 1;
    }
    run.is_put = strcmp(argv[2], "put") == 0;
    run.subject = argv[3];
    run.first_or_size = atoll(argv[4]);
    run.count = atoi(argv[5]);
    run.window = atoi(argv[6]);
    run.data = calloc(1, run.is_put ? (size_t)run.first_or_size + 1 : 1);
    snprintf(run.inbox, sizeof(run.inbox), "_INBOX.ceiling.%ld", (long)time(NULL));
    EVP_DigestInit_ex(run.hash, EVP_sha256(), NULL);
    connect_to(&run, argv[1]);
    measure(&run);
    natsConnection_Destroy(run.connection);
    nats_Close();
    EVP_MD_CTX_free(run.hash);
    free(run.data);
    return 0;
}
