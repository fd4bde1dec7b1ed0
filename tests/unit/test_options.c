/* SPDX-License-Identifier: Apache-2.0 */
/* test_options.c - command lines and what they come to. */
#include "core/log.h"
#include "fs/options.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define MOST_ARGUMENTS 8

static const struct options_environment nothing;

/* Parse "jsfs" and the arguments, which end with NULL. */
static bool parse(const char *const *arguments,
                  const struct options_environment *environment, struct options *out,
                  struct failure *failure)
{
    char *argv[MOST_ARGUMENTS + 2] = {(char *)"jsfs"};
    int argc = 1;

    while (arguments[argc - 1] != NULL) {
        assert_true(argc <= MOST_ARGUMENTS);
        argv[argc] = (char *)arguments[argc - 1];
        argc++;
    }
    return options_parse(argc, argv, environment, out, failure);
}

#define PARSE(environment, out, ...)                                                     \
    do {                                                                                 \
        struct failure failure_ = {0, false, ""};                                        \
        if (!parse((const char *const[]){__VA_ARGS__, NULL}, environment, out,           \
                   &failure_))                                                           \
            fail_msg("%s", failure_.text);                                               \
    } while (0)

/* misused: the user is sent to --help. */
static void refuse(bool misused, const char *text, const char *const *arguments)
{
    struct options options = {.mountpoint = (char *)"untouched"};
    struct failure failure = {0, false, ""};

    assert_false(parse(arguments, &nothing, &options, &failure));
    assert_int_equal(failure.exit_status, EXIT_USAGE);
    assert_string_equal(failure.text, text);
    assert_int_equal(failure.misused, misused);
    assert_string_equal(options.mountpoint, "untouched");
}

#define ARGUMENTS(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})
#define REFUSE(text, ...) refuse(true, text, ARGUMENTS(__VA_ARGS__))

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* A directory with jsfs/jsfs.conf (url file-user, timeout 7s) and system.conf (url file-system). */
struct files {
    char root[32], folder[64], user[96], system[64];
};

static int make_files(void **state)
{
    struct files *files = calloc(1, sizeof(*files));

    assert_non_null(files);
    strcpy(files->root, "/tmp/test_options.XXXXXX");
    assert_non_null(mkdtemp(files->root));
    snprintf(files->folder, sizeof(files->folder), "%s/jsfs", files->root);
    snprintf(files->user, sizeof(files->user), "%s/jsfs.conf", files->folder);
    snprintf(files->system, sizeof(files->system), "%s/system.conf", files->root);
    assert_int_equal(mkdir(files->folder, 0700), 0);
    write_file(files->user, "[connection]\nurl = nats://user:1\ntimeout = 7s\n");
    write_file(files->system, "[connection]\nurl = nats://system:1\n");
    *state = files;
    return 0;
}

static int remove_files(void **state)
{
    struct files *files = *state;

    unlink(files->user);
    unlink(files->system);
    rmdir(files->folder);
    rmdir(files->root);
    free(files);
    return 0;
}

static void one_argument_is_the_mount_point_of_the_local_server(void **state)
{
    struct options options;
    (void)state;

    PARSE(&nothing, &options, "mnt");
    assert_int_equal(options.action, OPTIONS_MOUNT);
    assert_string_equal(options.mountpoint, "mnt");
    assert_string_equal(options.urls, "nats://127.0.0.1:4222");
    assert_null(options.embedded_directory);
    assert_false(options.foreground);
    assert_false(options.debug_libfuse);
    assert_int_equal(options.config.timeout_ms, 5000);
    options_clear(&options);
}

static void options_may_stand_behind_the_arguments(void **state)
{
    struct options options;
    (void)state;

    PARSE(&nothing, &options, "nats://a:1,nats://b:2", "mnt", "-f", "-o",
          "ro,timeout=3s");
    assert_string_equal(options.urls, "nats://a:1,nats://b:2");
    assert_string_equal(options.mountpoint, "mnt");
    assert_true(options.foreground);
    assert_true(options.config.read_only);
    assert_int_equal(options.config.timeout_ms, 3000);
    options_clear(&options);
}

static void what_follows_two_dashes_is_no_option(void **state)
{
    struct options options;
    (void)state;

    PARSE(&nothing, &options, "-f", "--", "-mnt");
    assert_string_equal(options.mountpoint, "-mnt");
    options_clear(&options);
}

static void what_is_closer_to_the_user_names_the_server(void **state)
{
    const struct files *files = *state;
    const struct options_environment file = {.config_home = files->root};
    const struct options_environment both = {.config_home = files->root,
                                             .nats_url = "nats://environment:1"};
    struct options options;

    PARSE(&file, &options, "mnt");
    assert_string_equal(options.urls, "nats://user:1");
    options_clear(&options);
    PARSE(&both, &options, "mnt");
    assert_string_equal(options.urls, "nats://environment:1");
    options_clear(&options);
    PARSE(&both, &options, "-ourl=nats://option:1", "mnt");
    assert_string_equal(options.urls, "nats://option:1");
    options_clear(&options);
    PARSE(&both, &options, "-ourl=nats://option:1", "nats://source:1", "mnt");
    assert_string_equal(options.urls, "nats://source:1");
    options_clear(&options);
}

static void the_first_configuration_file_that_exists_is_read(void **state)
{
    const struct files *files = *state;
    const struct options_environment user = {.config_home = files->root,
                                             .system_config = files->system};
    const struct options_environment other = {.config_home = "/nowhere",
                                              .system_config = files->system};
    const struct options_environment relative = {
        .config_home = "relative", .home = "/nowhere", .system_config = files->system};
    struct options options;

    PARSE(&user, &options, "mnt");
    assert_string_equal(options.urls, "nats://user:1");
    assert_int_equal(options.config.timeout_ms, 7000);
    options_clear(&options);
    PARSE(&other, &options, "mnt");
    assert_string_equal(options.urls, "nats://system:1");
    assert_int_equal(options.config.timeout_ms, 5000);
    options_clear(&options);
    PARSE(&relative, &options, "mnt");
    assert_string_equal(options.urls, "nats://system:1");
    options_clear(&options);
    PARSE(&user, &options, "--config", files->system, "mnt");
    assert_string_equal(options.urls, "nats://system:1");
    options_clear(&options);
}

static void a_mount_option_wins_over_the_file_wherever_it_stands(void **state)
{
    const struct files *files = *state;
    struct options options;

    PARSE(&nothing, &options, "-otimeout=2s", "--config", files->user, "mnt");
    assert_int_equal(options.config.timeout_ms, 2000);
    options_clear(&options);
}

static void a_mistake_in_a_file_is_told_with_its_line(void **state)
{
    const struct files *files = *state;
    char text[256];

    write_file(files->user, "[connection]\nurls = nats://a:1\n");
    snprintf(text, sizeof(text), "%s:2: no key \"urls\" in section [connection]",
             files->user);
    refuse(false, text, ARGUMENTS("--config", files->user, "mnt"));
    snprintf(text, sizeof(text), "no such file: %s/none", files->root);
    refuse(false, text, ARGUMENTS("--config", text + strlen("no such file: "), "mnt"));
}

static void the_private_server_keeps_its_data_at_home(void **state)
{
    const struct options_environment home = {.home = "/home/u", .nats_url = "nats://e:1"};
    const struct options_environment data = {.home = "/home/u", .data_home = "/data"};
    struct options options;
    (void)state;

    PARSE(&home, &options, "--embedded", "mnt");
    assert_string_equal(options.embedded_directory, "/home/u/.local/share/jsfs");
    assert_null(options.urls);
    options_clear(&options);
    PARSE(&data, &options, "--embedded", "mnt");
    assert_string_equal(options.embedded_directory, "/data/jsfs");
    options_clear(&options);
    PARSE(&data, &options, "--embedded=here", "mnt");
    assert_string_equal(options.embedded_directory, "here");
    options_clear(&options);
    refuse(false, "no home directory for the server's data: use --embedded=DIR",
           ARGUMENTS("--embedded", "mnt"));
    REFUSE("--embedded starts its own server, so there can be no SOURCE", "--embedded",
           "nats://a:1", "mnt");
}

static void what_outlives_a_mount_is_kept_at_home(void **state)
{
    const struct options_environment home = {.home = "/home/u"};
    const struct options_environment named = {.home = "/home/u", .state_home = "/state"};
    const struct options_environment root = {.home = "/root", .system_state = "/var/lib/jsfs"};
    const struct options_environment nobody = {.home = NULL};
    const struct {
        const struct options_environment *environment;
        const char *wanted;
    } cases[] = {
        {&home, "/home/u/.local/state/jsfs"},
        {&named, "/state/jsfs"},
        {&root, "/var/lib/jsfs"},
    };
    struct options options;
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        PARSE(cases[i].environment, &options, "mnt");
        assert_string_equal(options.config.state_dir, cases[i].wanted);
        options_clear(&options);
    }
    PARSE(&nobody, &options, "mnt");
    assert_null(options.config.state_dir);
    options_clear(&options);
    PARSE(&root, &options, "-o", "state_dir=/here", "mnt");
    assert_string_equal(options.config.state_dir, "/here");
    options_clear(&options);
}

static void a_flag_among_the_mount_options_needs_no_value(void **state)
{
    struct options options;
    (void)state;

    PARSE(&nothing, &options, "-oallow_other,debug,kv.compression,object.ttl=1h", "mnt");
    assert_true(options.config.allow_other);
    assert_true(options.debug_libfuse);
    assert_true(options.config.kv.compression);
    assert_false(options.config.object.compression);
    assert_int_equal(options.config.object.ttl_ns, INT64_C(3600) * 1000000000);
    options_clear(&options);
    PARSE(&nothing, &options, "-oallow_other=no", "mnt");
    assert_false(options.config.allow_other);
    options_clear(&options);
}

static void every_key_of_the_configuration_is_a_mount_option(void *arg,
                                                             const char *section,
                                                             const char *key)
{
    struct options options;
    struct failure failure = {0, false, ""};
    char option[64];
    const char *const arguments[] = {"-o", option, "mnt", NULL};
    (void)arg;

    /* No value fits them all; but no name may be unknown. */
    snprintf(option, sizeof(option), "%s.%s=1", section, key);
    if (parse(arguments, &nothing, &options, &failure))
        options_clear(&options);
    else
        assert_non_null(strstr(failure.text, " is not "));
}

static void the_configuration_and_the_mount_options_have_the_same_keys(void **state)
{
    (void)state;
    config_each_key(every_key_of_the_configuration_is_a_mount_option, NULL);
}

static void options_for_mount_and_fstab_are_ignored(void **state)
{
    struct options options;
    (void)state;

    PARSE(&nothing, &options, "-o", "rw,dev,suid,nodev,nosuid,exec,noexec,noatime", "-o",
          "user,users,nofail,auto,noauto,_netdev,x-systemd.automount,x-gvfs-name=NATS,",
          "mnt");
    assert_false(options.config.read_only);
    options_clear(&options);
}

static void debugging_stays_in_the_foreground(void **state)
{
    struct options options;
    (void)state;

    PARSE(&nothing, &options, "-d", "--log-level=error", "mnt");
    assert_true(options.foreground);
    assert_int_equal(options.config.log_level, JSFS_LOG_DEBUG);
    assert_false(options.debug_libfuse);
    options_clear(&options);
    PARSE(&nothing, &options, "--log-level=warning", "mnt");
    assert_int_equal(options.config.log_level, JSFS_LOG_WARNING);
    options_clear(&options);
}

static void scratch_patterns_are_given_in_three_ways(void **state)
{
    struct options options;
    (void)state;

    PARSE(&nothing, &options, "--scratch=*.a *.b", "mnt");
    assert_string_equal(options.config.scratch_patterns, "*.a *.b");
    options_clear(&options);
    PARSE(&nothing, &options, "-oscratch=*.c,hold=3s", "mnt");
    assert_string_equal(options.config.scratch_patterns, "*.c");
    assert_int_equal(options.config.scratch_hold_ms, 3000);
    options_clear(&options);
    PARSE(&nothing, &options, "-opatterns=none,private_patterns=x", "mnt");
    assert_string_equal(options.config.scratch_patterns, "none");
    assert_string_equal(options.config.scratch_private, "x");
    options_clear(&options);
}

static void help_and_version_need_no_mount_point(void **state)
{
    static const struct {
        const char *argument;
        enum options_action action;
    } cases[] = {
        {"-h",        OPTIONS_HELP   },
        {"--help",    OPTIONS_HELP   },
        {"-V",        OPTIONS_VERSION},
        {"--version", OPTIONS_VERSION}
    };
    struct options options;
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        PARSE(&nothing, &options, cases[i].argument);
        assert_int_equal(options.action, cases[i].action);
        options_clear(&options);
    }
}

static void a_wrong_command_line_is_told_in_one_line(void **state)
{
    (void)state;
    REFUSE("no mount point given");
    REFUSE("no mount point given", "-f");
    REFUSE("too many arguments: c", "a", "b", "c");
    REFUSE("unknown option --bogus", "--bogus", "mnt");
    REFUSE("unknown option -x", "-x", "mnt");
    REFUSE("unknown option -x", "-fx", "mnt");
    REFUSE("option --foreground=1 takes no value", "--foreground=1", "mnt");
    REFUSE("option --config needs a value", "mnt", "--config");
    REFUSE("option -o needs a value", "mnt", "-o");
    REFUSE("unknown mount option 'nope'", "-onope", "mnt");
    REFUSE("unknown mount option 'mount.nope'", "-omount.nope=1", "mnt");
    REFUSE("mount option 'url' needs a value", "-ourl", "mnt");
    REFUSE("mount option 'history' needs a value", "-ohistory", "mnt");
    REFUSE("mount option 'replicas' is in several sections: say 'object.replicas'",
           "-oreplicas=3", "mnt");
    REFUSE("mount option 'history': [kv] history: \"0\" is not a number from 1 to 64",
           "-ohistory=0", "mnt");
    REFUSE("--log-level: [mount] log_level: \"loud\" is not \"error\", \"warning\", "
           "\"info\" or \"debug\"",
           "--log-level=loud", "mnt");
}

static void others_do_not_see_credentials(void **state)
{
    static const struct {
        const char *urls, *source;
    } cases[] = {
        {"nats://127.0.0.1:4222",                     "nats://127.0.0.1:4222"          },
        {"nats://joe:secret@a:1",                     "nats://a:1"                     },
        {"nats://token@a:1,nats://b:2,tls://u:p@c:3", "nats://a:1,nats://b:2,tls://c:3"},
        {"joe:secret@a:1",                            "a:1"                            },
        {"nats://u:p@ss@a:1/path@x",                  "nats://a:1/path@x"              },
        {"nats://a:1,",                               "nats://a:1,"                    },
        {"",                                          ""                               },
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *source = options_source(cases[i].urls);
        assert_non_null(source);
        assert_string_equal(source, cases[i].source);
        free(source);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_argument_is_the_mount_point_of_the_local_server),
        cmocka_unit_test(options_may_stand_behind_the_arguments),
        cmocka_unit_test(what_follows_two_dashes_is_no_option),
        cmocka_unit_test_setup_teardown(what_is_closer_to_the_user_names_the_server,
                                        make_files, remove_files),
        cmocka_unit_test_setup_teardown(the_first_configuration_file_that_exists_is_read,
                                        make_files, remove_files),
        cmocka_unit_test_setup_teardown(
            a_mount_option_wins_over_the_file_wherever_it_stands, make_files,
            remove_files),
        cmocka_unit_test_setup_teardown(a_mistake_in_a_file_is_told_with_its_line,
                                        make_files, remove_files),
        cmocka_unit_test(the_private_server_keeps_its_data_at_home),
        cmocka_unit_test(what_outlives_a_mount_is_kept_at_home),
        cmocka_unit_test(a_flag_among_the_mount_options_needs_no_value),
        cmocka_unit_test(the_configuration_and_the_mount_options_have_the_same_keys),
        cmocka_unit_test(options_for_mount_and_fstab_are_ignored),
        cmocka_unit_test(debugging_stays_in_the_foreground),
        cmocka_unit_test(scratch_patterns_are_given_in_three_ways),
        cmocka_unit_test(help_and_version_need_no_mount_point),
        cmocka_unit_test(a_wrong_command_line_is_told_in_one_line),
        cmocka_unit_test(others_do_not_see_credentials),
    };

    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
