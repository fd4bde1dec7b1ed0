/* SPDX-License-Identifier: Apache-2.0 */
/* config.h - jsfs.conf (inih) as a struct, with the file and line of every mistake; pure.
 * Layer 2. Sections and keys are those of jsfs.conf.example; a key that is not known there is
 * an error.
 */
#ifndef JSFS_CORE_CONFIG_H
#define JSFS_CORE_CONFIG_H

#include "core/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What mkdir gives a new bucket; sections [kv] and [object]. */
struct config_bucket {
    int history;         /* 1..64; KV only */
    bool memory_storage; /* storage = file | memory */
    int replicas;        /* 1..5 */
    int64_t ttl_ns;      /* max_age; 0: none; written with a unit: 90s, 15m, 24h, 7d */
    int64_t max_bytes;   /* -1: none; written as 512, 64K, 10M, 2G, or "unlimited" */
    int64_t max_value_bytes; /* max_value_size; KV: max_msg_size; -1: none */
    bool compression;    /* s2, where the server has it */
    char *placement_cluster; /* NULL: any */
    char *placement_tags;    /* of the servers, comma-separated; NULL: any */
    char *description;       /* NULL: none */
};

/* The defaults of [scratch], which config_init() need not copy. */
#define CONFIG_SCRATCH_PATTERNS                                                          \
    "*~ .*.s[u-w][a-z] .*.sw[a-z]x .#* #*# *.vsctmp .goutputstream-* *___jb_tmp___ "     \
    "*___jb_old___ .*.kate-swp .~lock.*# ~$* .nfs????????* .DS_Store ._*"
#define CONFIG_SCRATCH_PRIVATE "sed?????? XX?????? .*.??????"
#define CONFIG_SCRATCH_PROBES "4913 5036 5159 5282 5405"

struct config {
    /* [connection] */
    char *url;               /* server URLs, comma-separated; NULL: not set */
    int timeout_ms;          /* timeout: one request; default 5000 */
    /* [mount] */
    bool allow_other;
    bool read_only;
    bool show_control;       /* list .jsfs in the buckets' directories */
    bool inotify;            /* programs get inotify events of changes made elsewhere */
    int attr_timeout_s;      /* attr_timeout: kernel cache lifetime while live; default 86400 */
    int max_threads;         /* FUSE workers; default 10 */
    int log_level;           /* enum jsfs_log_level; default info */
    char *state_dir;         /* what must outlive the mount; NULL: not set */
    /* [scratch]: what editors write beside a file */
    char *scratch_patterns;  /* patterns, private_patterns, probe_patterns: globs with blanks */
    char *scratch_private;   /* between them; NULL: CONFIG_SCRATCH_… */
    char *scratch_probes;
    int64_t scratch_bytes;   /* max_bytes: of all scratch files; default 256 MiB */
    int scratch_hold_ms;     /* hold: of a removal that a rename means; default 2 s */
    /* [cache] */
    int64_t cache_bytes;     /* size: of the chunk cache, default 128 MiB */
    int prefetch_chunks;     /* widest read-ahead of one reader, default 64 */
    int read_ahead_kb;       /* read_ahead: of the device, as root, default 1024; 0: leave */
    int idle_s;              /* idle: a bucket's watch is stopped when unused so long; default
                                600 */
    /* [kv], [object] */
    struct config_bucket kv, object;
    int64_t chunk_bytes;         /* [object] chunk_size, default 128 KiB */
    int64_t upload_window_bytes; /* [object] upload_window, default 8 MiB */
};

/* The defaults. For config_clear(). */
void config_init(struct config *config);

/* Read a file over what config holds.
 *   error   on failure one line "FILE:LINE: what is wrong", cut to error_size
 *   JSFS_NOT_FOUND   no such file;   JSFS_INVALID   a wrong line, section, key or value
 *   JSFS_FAILED      the file cannot be read; error says why
 * On failure config may hold some of the file's values.
 * Blocks: reads a file.
 */
enum jsfs_status config_read(struct config *config, const char *path, char *error,
                             size_t error_size);

/* Set one value as a file would: section and key as in jsfs.conf.
 *   JSFS_INVALID   no such key, or a wrong value; error says which (no file, no line)
 */
enum jsfs_status config_set(struct config *config, const char *section, const char *key,
                            const char *value, char *error, size_t error_size);

/* Calls each(arg, section, key) for every key there is, in the order of jsfs.conf.example. */
void config_each_key(void (*each)(void *arg, const char *section, const char *key),
                     void *arg);

/* Release what it holds. */
void config_clear(struct config *config);

#endif
