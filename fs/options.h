/* SPDX-License-Identifier: Apache-2.0 */
/* options.h - the command line over jsfs.conf, as a struct.
 * Layer 5. Reads configuration files and nothing else: what it needs of the process is passed.
 */
#ifndef JSFS_FS_OPTIONS_H
#define JSFS_FS_OPTIONS_H

#include "core/config.h"
#include "fs/failure.h"
#include <stdbool.h>

/* What counts of the process; NULL or empty: not set. */
struct options_environment {
    const char *nats_url;      /* NATS_URL */
    const char *home;          /* HOME, or the user's by passwd */
    const char *config_home;   /* XDG_CONFIG_HOME */
    const char *data_home;     /* XDG_DATA_HOME */
    const char *state_home;    /* XDG_STATE_HOME */
    const char *system_state;  /* instead of what is below home; NULL unless the user is root
                                  and has no HOME */
    const char *system_config; /* the machine's jsfs.conf */
};

enum options_action { OPTIONS_MOUNT, OPTIONS_HELP, OPTIONS_VERSION };

struct options {
    enum options_action action; /* unless OPTIONS_MOUNT, nothing below is set */
    struct config config;       /* jsfs.conf with the command line over it; state_dir is set
                                   unless there is no home directory */
    char *urls; /* the servers, comma-separated; NULL with embedded_directory */
    char *embedded_directory; /* of the private server's data; NULL: no private server */
    char *mountpoint;         /* as given */
    bool foreground;
    bool debug_libfuse;
};

/* Understand a command line. Of configuration files the one of --config is read, else the
 * first that exists of config_home's and the system's. The command line wins over NATS_URL,
 * that over the file's url, that over nats://127.0.0.1:4222.
 *   argv      argc texts; reordered, options first
 *   out       for options_clear(); untouched on failure
 *   returns   false with failure set: EXIT_USAGE, or EXIT_SYSTEM without memory
 * Threads: one at a time, for getopt_long(3) has globals.
 */
bool options_parse(int argc, char **argv, const struct options_environment *environment,
                   struct options *out, struct failure *failure);

/* Release what it holds. */
void options_clear(struct options *options);

/* A list of server URLs without user names, passwords and tokens, as others may see it.
 *   returns   for free(); NULL without memory
 */
char *options_source(const char *urls);

/* The text for --help. */
extern const char options_help[];

#endif
