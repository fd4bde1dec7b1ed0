/* SPDX-License-Identifier: Apache-2.0 */
/* keys.c - buckets of many keys by raw nats.c: filled, listed, changed. No code of jsfs is in it.
 *
 *   keys URL fill BUCKET FIRST COUNT DIRECTORIES SIZE    puts with acks, 512 in flight; 0 directories: flat
 *   keys URL drain BUCKET                                the headers-only consumer that lists a bucket
 *   keys URL storm BUCKET COUNT DIRECTORIES SIZE RATE SECONDS   puts without acks, RATE a second
 *
 * Key i is d<i % DIRECTORIES>/k<i>. Prints one JSON line: seconds, count, and for drain first_s, when the
 * first message came.
 */
#include <nats/nats.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WINDOW = 512, SUBJECT_SIZE = 256, SILENCE_MS = 120000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;
static int in_flight; /* lock */
static int refused;   /* lock */

static double now_s(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void check(const char *what, natsStatus status)
{
    if (status == NATS_OK)
        return;
    fprintf(stderr, "keys: %s: %s\n", what, natsStatus_GetText(status));
    exit(1);
}

static void report(double seconds, long long count, double first_s)
{
    printf("{\"seconds\": %.6f, \"count\": %lld, \"first_s\": %.6f}\n", seconds, count, first_s);
}

static void subject_of(char out[SUBJECT_SIZE], const char *bucket, long long index,
                       long long directories)
{
    if (directories > 0)
        snprintf(out, SUBJECT_SIZE, "$KV.%s.d%lld/k%lld", bucket, index % directories, index);
    else
        snprintf(out, SUBJECT_SIZE, "$KV.%s.k%lld", bucket, index);
}

static void on_ack(natsConnection *connection, natsSubscription *subscription, natsMsg *msg,
                   void *closure)
{
    (void)connection;
    (void)subscription;
    (void)closure;
    pthread_mutex_lock(&lock);
    in_flight--;
    refused += strstr(natsMsg_GetData(msg), "\"error\"") != NULL;
    if (in_flight <= WINDOW / 2)
        pthread_cond_signal(&answered);
    pthread_mutex_unlock(&lock);
    natsMsg_Destroy(msg);
}

static void wait_below(int window)
{
    pthread_mutex_lock(&lock);
    while (in_flight >= window)
        pthread_cond_wait(&answered, &lock);
    pthread_mutex_unlock(&lock);
}

static void fill(natsConnection *connection, char **argv)
{
    const char *bucket = argv[3];
    long long first = atoll(argv[4]), count = atoll(argv[5]), directories = atoll(argv[6]);
    int size = atoi(argv[7]);
    char *value = calloc(1, (size_t)size + 1), subject[SUBJECT_SIZE];
    natsSubscription *subscription = NULL;
    double start = now_s();

    memset(value, 'v', (size_t)size);
    check("subscribe", natsConnection_Subscribe(&subscription, connection, "_INBOX.fill",
                                                on_ack, NULL));
    check("limits", natsSubscription_SetPendingLimits(subscription, -1, -1));
    for (long long i = first; i < first + count; i++) {
        wait_below(WINDOW);
        pthread_mutex_lock(&lock);
        in_flight++;
        pthread_mutex_unlock(&lock);
        subject_of(subject, bucket, i, directories);
        check("publish", natsConnection_PublishRequest(connection, subject, "_INBOX.fill",
                                                       value, size));
    }
    wait_below(1);
    if (refused > 0) {
        fprintf(stderr, "keys: %d of %lld were refused\n", refused, count);
        exit(1);
    }
    report(now_s() - start, count, 0);
    natsSubscription_Destroy(subscription);
    free(value);
}

static long long pending_of(const char *reply)
{
    const char *dot = strrchr(reply, '.');

    return dot != NULL ? atoll(dot + 1) : 0;
}

static void drain(natsConnection *connection, char **argv)
{
    char subject[2 * SUBJECT_SIZE], config[1024], filter[SUBJECT_SIZE / 2];
    natsSubscription *subscription = NULL;
    natsMsg *msg = NULL;
    long long count = 0, pending = 1;
    double start = now_s(), first_s = 0;

    snprintf(filter, sizeof(filter), "$KV.%s.>", argv[3]);
    snprintf(subject, sizeof(subject), "$JS.API.CONSUMER.CREATE.KV_%s.drain.%s", argv[3], filter);
    snprintf(config, sizeof(config),
             "{\"stream_name\":\"KV_%s\",\"config\":{\"name\":\"drain\",\"deliver_policy\":"
             "\"last_per_subject\",\"ack_policy\":\"none\",\"max_deliver\":1,\"filter_subject\":"
             "\"%s\",\"headers_only\":true,\"flow_control\":true,\"idle_heartbeat\":2000000000,"
             "\"deliver_subject\":\"_INBOX.drain\",\"num_replicas\":1,\"mem_storage\":true}}",
             argv[3], filter);
    check("subscribe", natsConnection_SubscribeSync(&subscription, connection, "_INBOX.drain"));
    check("limits", natsSubscription_SetPendingLimits(subscription, -1, -1));
    check("create", natsConnection_PublishRequestString(connection, subject, "_INBOX.none", config));
    while (pending > 0) {
        check("receive", natsSubscription_NextMsg(&msg, subscription, SILENCE_MS));
        const char *reply = natsMsg_GetReply(msg);

        if (reply != NULL && strncmp(reply, "$JS.ACK.", 8) == 0) {
            if (count++ == 0)
                first_s = now_s() - start;
            pending = pending_of(reply);
        } else if (reply != NULL) {
            natsConnection_Publish(connection, reply, NULL, 0);
        }
        natsMsg_Destroy(msg);
    }
    report(now_s() - start, count, first_s);
    natsSubscription_Destroy(subscription);
    snprintf(subject, sizeof(subject), "$JS.API.CONSUMER.DELETE.KV_%s.drain", argv[3]);
    natsConnection_PublishString(connection, subject, "");
    natsConnection_FlushTimeout(connection, 10000);
}

/* In steps of a millisecond, so that the rate is even; what does not get through is late, not lost. */
static void storm(natsConnection *connection, char **argv)
{
    long long keys = atoll(argv[4]), directories = atoll(argv[5]), sent = 0;
    int size = atoi(argv[6]);
    double rate = atof(argv[7]), seconds = atof(argv[8]), start = now_s();
    char *value = calloc(1, (size_t)size + 1), subject[SUBJECT_SIZE];

    while (now_s() - start < seconds) {
        long long due = (long long)((now_s() - start) * rate);

        for (; sent < due; sent++) {
            snprintf(value, (size_t)size + 1, "%0*lld", size, sent);
            subject_of(subject, argv[3], sent * 7919 % keys, directories);
            check("publish", natsConnection_Publish(connection, subject, value, size));
        }
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    check("flush", natsConnection_FlushTimeout(connection, 60000));
    report(now_s() - start, sent, 0);
    free(value);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int arguments;
        void (*run)(natsConnection *connection, char **argv);
    } commands[] = {{"fill", 8, fill}, {"drain", 4, drain}, {"storm", 9, storm}};
    natsConnection *connection = NULL;

    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (argc != commands[i].arguments || strcmp(argv[2], commands[i].name) != 0)
            continue;
        check("connect", natsConnection_ConnectTo(&connection, argv[1]));
        commands[i].run(connection, argv);
        natsConnection_Destroy(connection);
        nats_Close();
        return 0;
    }
    fprintf(stderr, "usage: keys URL fill|drain|storm BUCKET …; see the head of keys.c\n");
    return 1;
}
