/* SPDX-License-Identifier: Apache-2.0 */
/* options.c - the command line over jsfs.conf, as a struct.
 * Layer 5.
 */
#include "fs/options.h"
#include "core/cleanup.h"
#include "core/log.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_URL "nats://127.0.0.1:4222"

const char options_help[] =
    "Usage: jsfs [OPTIONS] [SOURCE] MOUNTPOINT\n"
    "Mount the key-value buckets and object stores of a NATS server as folders.\n"
    "\n"
    "SOURCE is nats://host:port, or several of them with commas between; without it\n"
    "NATS_URL counts, then url in jsfs.conf, then " DEFAULT_URL ".\n"
    "\n"
    "  -f, --foreground       stay in the foreground, log to stderr\n"
    "  -d, --debug            the same, and log everything\n"
    "      --embedded[=DIR]   start a private nats-server with its data in DIR\n"
    "                         (default: $XDG_DATA_HOME/jsfs, else ~/.local/share/jsfs)\n"
    "      --config=FILE      read FILE instead of $XDG_CONFIG_HOME/jsfs/jsfs.conf,\n"
    "                         else /etc/jsfs/jsfs.conf\n"
    "      --log-level=LEVEL  error, warning, info or debug\n"
    "      --scratch=GLOBS    names of editors' own files, which are never published (see\n"
    "                         [scratch] in jsfs.conf); \"none\" for none\n"
    "  -o OPTION[,OPTION...]  ro, allow_other, debug (libfuse's), and every key of\n"
    "                         jsfs.conf: timeout=10s; SECTION.KEY=VALUE where two\n"
    "                         sections have the key: kv.history=5\n"
    "  -h, --help             print this\n"
    "  -V, --version          print the versions of jsfs and its libraries\n"
    "\n"
    "Unmount with: fusermount3 -u MOUNTPOINT (or umount, as root)\n"
    "Exit status: 0 mounted, 1 usage, 2 system, 8 interrupted, 32 not mounted.\n";

/* What the arguments said, before anything of it is looked at. */
struct parse {
    const struct options_environment *environment;
    struct options options;
    struct failure *failure;
    const char **groups; /* the arguments of -o, in order */
    size_t group_count;
    const char *config_path; /* NULL: not given */
    const char *log_level;   /* NULL: not given */
    const char *scratch;     /* NULL: not given */
    const char *embedded_directory;
    const char *source; /* NULL: not given */
    const char *mountpoint;
    bool embedded, debug, url_given;
};

static bool no_memory(struct failure *failure)
{
    return failure_set(failure, EXIT_SYSTEM, "out of memory");
}

static bool is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* A path below the folder of an XDG variable that is set to an absolute one (others do not
 * count, says the specification), else below the home directory.
 *   out       for free(); NULL: there is neither, or no memory
 *   returns   false without memory
 */
static bool user_path(const char *variable, const char *home, const char *below_home,
                      const char *below, char **out)
{
    int length = 0;

    *out = NULL;
    if (is_set(variable) && variable[0] == '/')
        length = asprintf(out, "%s/%s", variable, below);
    else if (is_set(home))
        length = asprintf(out, "%s/%s/%s", home, below_home, below);
    if (length < 0)
        *out = NULL; /* asprintf leaves it undefined */
    return length >= 0;
}

enum { OPTION_EMBEDDED = 256, OPTION_CONFIG, OPTION_LOG_LEVEL, OPTION_SCRATCH };

static const struct option long_options[] = {
    {"foreground", no_argument,       NULL, 'f'             },
    {"debug",      no_argument,       NULL, 'd'             },
    {"embedded",   optional_argument, NULL, OPTION_EMBEDDED },
    {"config",     required_argument, NULL, OPTION_CONFIG   },
    {"log-level",  required_argument, NULL, OPTION_LOG_LEVEL},
    {"scratch",    required_argument, NULL, OPTION_SCRATCH  },
    {"help",       no_argument,       NULL, 'h'             },
    {"version",    no_argument,       NULL, 'V'             },
    {NULL,         0,                 NULL, 0               },
};

static void take_option(struct parse *parse, int option)
{
    switch (option) {
    case 'f': parse->options.foreground = true; break;
    case 'd': parse->debug = true; break;
    case 'o': parse->groups[parse->group_count++] = optarg; break;
    case 'h': parse->options.action = OPTIONS_HELP; break;
    case 'V': parse->options.action = OPTIONS_VERSION; break;
    case OPTION_CONFIG: parse->config_path = optarg; break;
    case OPTION_LOG_LEVEL: parse->log_level = optarg; break;
    case OPTION_SCRATCH: parse->scratch = optarg; break;
    case OPTION_EMBEDDED:
        parse->embedded = true;
        parse->embedded_directory = optarg;
        break;
    }
}

static bool refuse_option(struct parse *parse, int result, char **argv)
{
    const char *word = argv[optind - 1];

    if (result == ':')
        return failure_set(parse->failure, EXIT_USAGE, "option %s needs a value", word);
    if (optopt != 0 && optopt < OPTION_EMBEDDED && strncmp(word, "--", 2) != 0)
        return failure_set(parse->failure, EXIT_USAGE, "unknown option -%c", optopt);
    if (optopt != 0)
        return failure_set(parse->failure, EXIT_USAGE, "option %s takes no value", word);
    return failure_set(parse->failure, EXIT_USAGE, "unknown option %s", word);
}

static bool take_places(struct parse *parse, int count, char **places)
{
    if (count == 0)
        return failure_set(parse->failure, EXIT_USAGE, "no mount point given");
    if (count > 2)
        return failure_set(parse->failure, EXIT_USAGE, "too many arguments: %s",
                           places[2]);
    parse->source = count == 2 ? places[0] : NULL;
    parse->mountpoint = places[count - 1];
    if (parse->embedded && parse->source != NULL)
        return failure_set(parse->failure, EXIT_USAGE,
                           "--embedded starts its own server, so there can be no SOURCE");
    return true;
}

static bool read_arguments(struct parse *parse, int argc, char **argv)
{
    int option;

    optind = 0; /* start anew, also glibc's permutation */
    while ((option = getopt_long(argc, argv, ":fdo:hV", long_options, NULL)) != -1) {
        if (option == '?' || option == ':')
            return refuse_option(parse, option, argv);
        take_option(parse, option);
        if (parse->options.action != OPTIONS_MOUNT)
            return true;
    }
    return take_places(parse, argc - optind, argv + optind);
}

static bool read_config(struct parse *parse, const char *path, enum jsfs_status *status)
{
    char error[400];

    *status = config_read(&parse->options.config, path, error, sizeof(error));
    if (*status == JSFS_OK || *status == JSFS_NOT_FOUND)
        return true;
    if (*status == JSFS_NO_MEMORY)
        return no_memory(parse->failure);
    return failure_set(parse->failure, EXIT_USAGE, "%s", error);
}

static bool read_configs(struct parse *parse)
{
    const struct options_environment *environment = parse->environment;
    CLEANUP(cleanup_free) char *user = NULL;
    enum jsfs_status status = JSFS_NOT_FOUND;

    if (parse->config_path != NULL) {
        if (!read_config(parse, parse->config_path, &status))
            return false;
        if (status == JSFS_NOT_FOUND)
            return failure_set(parse->failure, EXIT_USAGE, "no such file: %s",
                               parse->config_path);
        return true;
    }
    if (!user_path(environment->config_home, environment->home, ".config",
                   "jsfs/jsfs.conf", &user))
        return no_memory(parse->failure);
    if (user != NULL && !read_config(parse, user, &status))
        return false;
    if (status == JSFS_NOT_FOUND && is_set(environment->system_config))
        return read_config(parse, environment->system_config, &status);
    return true;
}

/* What mount(8), mount.fuse3 and fstab(5) pass on and what means nothing here. */
static bool is_ignored(const char *name)
{
    static const char *const names[] = {
        "rw",   "dev",  "nodev",  "suid",  "nosuid", "exec",    "noexec",  "atime",
        "user", "auto", "noauto", "users", "nofail", "_netdev", "noatime",
    };

    if (strncmp(name, "x-", 2) == 0)
        return true;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* Which section has the key that was named KEY or SECTION.KEY. */
struct key_search {
    const char *name;
    const char *section, *key; /* of the last one found */
    int found;
};

static void compare_key(void *arg, const char *section, const char *key)
{
    struct key_search *search = arg;
    size_t length = strlen(section);

    if (strcmp(search->name, key) == 0 ||
        (strncmp(search->name, section, length) == 0 && search->name[length] == '.' &&
         strcmp(search->name + length + 1, key) == 0)) {
        search->section = section;
        search->key = key;
        search->found++;
    }
}

/* value is NULL where only the name was given, which is enough for what is on or off. */
static bool set_key(struct parse *parse, const char *name, const char *value)
{
    struct key_search search = {.name = name};
    const char *text = "true";
    char error[300];

    config_each_key(compare_key, &search);
    if (search.found == 0)
        return failure_set(parse->failure, EXIT_USAGE, "unknown mount option '%s'", name);
    if (search.found > 1)
        return failure_set(parse->failure, EXIT_USAGE,
                           "mount option '%s' is in several sections: say '%s.%s'", name,
                           search.section, name);
    if (value != NULL)
        text = value;
    else if (strcmp(search.key, "url") == 0 || strcmp(search.key, "state_dir") == 0 ||
             strcmp(search.section, "scratch") == 0)
        text = ""; /* any other text would do */
    switch (config_set(&parse->options.config, search.section, search.key, text, error,
                       sizeof(error))) {
    case JSFS_OK:
        parse->url_given = parse->url_given || strcmp(search.key, "url") == 0;
        return true;
    case JSFS_NO_MEMORY: return no_memory(parse->failure);
    default: break;
    }
    if (value == NULL)
        return failure_set(parse->failure, EXIT_USAGE, "mount option '%s' needs a value",
                           name);
    return failure_set(parse->failure, EXIT_USAGE, "mount option '%s': %s", name, error);
}

static bool apply_mount_option(struct parse *parse, char *option)
{
    char *value = option;
    const char *name = strsep(&value, "=");

    if (strcmp(name, "ro") == 0)
        parse->options.config.read_only = true;
    else if (strcmp(name, "debug") == 0)
        parse->options.debug_libfuse = true;
    else if (name[0] != '\0' && !is_ignored(name))
        return set_key(parse, strcmp(name, "scratch") == 0 ? "scratch.patterns" : name, value);
    return true;
}

static bool apply_mount_options(struct parse *parse)
{
    for (size_t i = 0; i < parse->group_count; i++) {
        CLEANUP(cleanup_free) char *group = strdup(parse->groups[i]);
        char *rest = group;

        if (group == NULL)
            return no_memory(parse->failure);
        for (char *option; (option = strsep(&rest, ",")) != NULL;)
            if (!apply_mount_option(parse, option))
                return false;
    }
    return true;
}

static bool apply_log_level(struct parse *parse)
{
    char error[300];

    if (parse->log_level != NULL &&
        config_set(&parse->options.config, "mount", "log_level", parse->log_level, error,
                   sizeof(error)) != JSFS_OK)
        return failure_set(parse->failure, EXIT_USAGE, "--log-level: %s", error);
    if (parse->debug) {
        parse->options.config.log_level = JSFS_LOG_DEBUG;
        parse->options.foreground = true;
    }
    return true;
}

static bool apply_scratch(struct parse *parse)
{
    return parse->scratch == NULL || set_key(parse, "scratch.patterns", parse->scratch);
}

/* Put what the command line says over the file. */
static bool apply_arguments(struct parse *parse)
{
    if (apply_mount_options(parse) && apply_log_level(parse) && apply_scratch(parse))
        return true;
    parse->failure->misused = parse->failure->exit_status == EXIT_USAGE;
    return false;
}

static bool settle_embedded(struct parse *parse)
{
    const struct options_environment *environment = parse->environment;
    char **directory = &parse->options.embedded_directory;

    if (parse->embedded_directory != NULL) {
        *directory = strdup(parse->embedded_directory);
        return *directory != NULL || no_memory(parse->failure);
    }
    if (!user_path(environment->data_home, environment->home, ".local/share", "jsfs",
                   directory))
        return no_memory(parse->failure);
    if (*directory == NULL)
        return failure_set(parse->failure, EXIT_USAGE,
                           "no home directory for the server's data: use --embedded=DIR");
    return true;
}

static bool settle_urls(struct parse *parse)
{
    const struct options_environment *environment = parse->environment;
    const char *file_url = parse->options.config.url;
    const char *urls = DEFAULT_URL;

    if (is_set(parse->source))
        urls = parse->source;
    else if (is_set(environment->nats_url) && !parse->url_given)
        urls = environment->nats_url;
    else if (is_set(file_url))
        urls = file_url;
    parse->options.urls = strdup(urls);
    return parse->options.urls != NULL || no_memory(parse->failure);
}

static bool settle_state(struct parse *parse)
{
    const struct options_environment *environment = parse->environment;
    char **directory = &parse->options.config.state_dir;
    const char *home = environment->home;

    if (*directory != NULL)
        return true;
    if (is_set(environment->system_state) && !is_set(environment->state_home)) {
        *directory = strdup(environment->system_state);
        return *directory != NULL || no_memory(parse->failure);
    }
    return user_path(environment->state_home, home, ".local/state", "jsfs", directory) ||
           no_memory(parse->failure);
}

static bool settle(struct parse *parse)
{
    if (!settle_state(parse))
        return false;
    parse->options.mountpoint = strdup(parse->mountpoint);
    if (parse->options.mountpoint == NULL)
        return no_memory(parse->failure);
    return parse->embedded ? settle_embedded(parse) : settle_urls(parse);
}

bool options_parse(int argc, char **argv, const struct options_environment *environment,
                   struct options *out, struct failure *failure)
{
    CLEANUP(cleanup_free) const char **groups = calloc((size_t)argc, sizeof(*groups));
    struct parse parse = {
        .environment = environment, .failure = failure, .groups = groups};

    if (groups == NULL)
        return no_memory(failure);
    config_init(&parse.options.config);
    if (!read_arguments(&parse, argc, argv)) {
        failure->misused = true;
    } else if (parse.options.action != OPTIONS_MOUNT ||
               (read_configs(&parse) && apply_arguments(&parse) && settle(&parse))) {
        *out = parse.options;
        return true;
    }
    options_clear(&parse.options);
    return false;
}

void options_clear(struct options *options)
{
    config_clear(&options->config);
    free(options->urls);
    free(options->embedded_directory);
    free(options->mountpoint);
}

/* Append one URL without what stands before its '@', if that is in front of the path. */
static char *append_bare(char *end, const char *url, size_t length)
{
    const char *scheme = memmem(url, length, "://", 3);
    const char *authority = scheme != NULL ? scheme + 3 : url;
    size_t host_end = (size_t)(authority - url);
    const char *at;

    while (host_end < length && url[host_end] != '/')
        host_end++;
    at = memrchr(authority, '@', (size_t)(url + host_end - authority));
    if (at == NULL)
        return mempcpy(end, url, length);
    end = mempcpy(end, url, (size_t)(authority - url));
    return mempcpy(end, at + 1, (size_t)(url + length - at - 1));
}

char *options_source(const char *urls)
{
    char *bare = malloc(strlen(urls) + 1);
    char *end = bare;

    if (bare == NULL)
        return NULL;
    for (;;) {
        size_t length = strcspn(urls, ",");
        end = append_bare(end, urls, length);
        if (urls[length] == '\0')
            break;
        *end++ = ',';
        urls += length + 1;
    }
    *end = '\0';
    return bare;
}
