/* SPDX-License-Identifier: Apache-2.0 */
/* server.h - a real nats-server for a test: on a port that it keeps when it is started again.
 * Everything asserts; nothing returns an error.
 */
#ifndef JSFS_TESTS_SUPPORT_SERVER_H
#define JSFS_TESTS_SUPPORT_SERVER_H

#include <sys/types.h>

struct server {
    char directory[64]; /* its own, in TMPDIR; removed by server_end() */
    char url[64];
    int port;
    int kept;  /* a socket that keeps the port while no server listens */
    pid_t pid; /* 0 while it does not run */
};

/* Start nats-server from PATH with JetStream on a free port, and wait until it listens.
 *   config   text of a configuration file; NULL: none, JetStream on
 */
void server_begin(struct server *server, const char *config);

/* End the process (SIGKILL); its port and its files stay. */
void server_halt(struct server *server);

/* Stop it (SIGSTOP): it keeps its connections and answers nothing. Returns when every thread of
 * it has stopped, which on a busy machine is later than kill() returns. SIGCONT lets it go on.
 */
void server_freeze(const struct server *server);

/* Start it again as server_begin() did. */
void server_resume(struct server *server);

/* End it and remove its files. */
void server_end(struct server *server);

#endif
