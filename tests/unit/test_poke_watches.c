/* SPDX-License-Identifier: Apache-2.0 */
/* test_poke_watches.c - who watches what, read from /proc. */
#include "fs/poke_watches.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

static void a_watch_is_parsed(void **state)
{
    uint64_t number = 0;
    dev_t device = 0;

    (void)state;
    assert_true(poke_parse_watch("inotify wd:3 ino:9e7e sdev:800013 mask:800afce "
                                 "ignored_mask:0 fhandle-bytes:8 fhandle-type:1",
                                 &number, &device));
    assert_int_equal(number, 0x9e7e);
    assert_int_equal(device, makedev(8, 0x13));
}

static void large_numbers_are_parsed(void **state)
{
    uint64_t number = 0;
    dev_t device = 0;

    (void)state;
    assert_true(poke_parse_watch("inotify wd:1 ino:fedcba9876543210 sdev:123", &number, &device));
    assert_int_equal(number, UINT64_C(0xfedcba9876543210));
    assert_int_equal(device, makedev(0, 0x123));
}

static void what_is_no_watch_is_not(void **state)
{
    static const char *const lines[] = {
        "",
        "pos:\t0",
        "flags:\t02004000",
        "inotify wd:3",
        "inotify wd:3 ino:9e7e",
        "inotify wd:3 sdev:123",
        "inotify wd:3 ino: sdev:123",
        "inotify wd:3 ino:xyz sdev:123",
        "inotify wd:3 ino:12g sdev:123",
        "fanotify ino:4f969 sdev:800013",
    };
    uint64_t number = 7;
    dev_t device = 7;

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_false(poke_parse_watch(lines[i], &number, &device));
    assert_int_equal(number, 7);
    assert_int_equal(device, 7);
}

static void only_watches_on_the_device_are_added(void **state)
{
    struct poke_watches watches = {0};
    char text[] = "pos:\t0\nflags:\t02004000\nmnt_id:\t16\n"
                  "inotify wd:1 ino:10 sdev:2a mask:2\n"
                  "inotify wd:2 ino:20 sdev:2b mask:2\n"
                  "inotify wd:3 ino:30 sdev:2a mask:2\n";

    (void)state;
    assert_true(poke_watches_add(&watches, text, makedev(0, 0x2a)));
    assert_int_equal(watches.count, 2);
    assert_int_equal(watches.numbers[0], 0x10);
    assert_int_equal(watches.numbers[1], 0x30);
    poke_watches_clear(&watches);
}

/* More watches than one read of a fdinfo holds, on the real thing. */
static void a_scan_finds_every_watch_once(void **state)
{
    struct poke_watches watches = {0};
    char directory[] = "/tmp/test_poke_watches.XXXXXX", path[64];
    int one = inotify_init1(IN_CLOEXEC), other = inotify_init1(IN_CLOEXEC);
    struct stat attr;

    (void)state;
    assert_non_null(mkdtemp(directory));
    assert_true(one >= 0 && other >= 0);
    for (unsigned i = 0; i < 200; i++) {
        snprintf(path, sizeof(path), "%s/%u", directory, i);
        assert_int_equal(mkdir(path, 0700), 0);
        assert_true(inotify_add_watch(one, path, IN_CREATE) >= 0);
        assert_true(inotify_add_watch(other, path, IN_CREATE) >= 0);
    }
    assert_int_equal(stat(directory, &attr), 0);
    assert_true(poke_watches_scan(&watches, "/proc", attr.st_dev));
    assert_false(poke_watches_has(&watches, attr.st_ino));
    for (size_t i = 1; i < watches.count; i++)
        assert_true(watches.numbers[i - 1] < watches.numbers[i]);
    for (unsigned i = 0; i < 200; i++) {
        snprintf(path, sizeof(path), "%s/%u", directory, i);
        assert_int_equal(stat(path, &attr), 0);
        assert_true(poke_watches_has(&watches, attr.st_ino));
        rmdir(path);
    }
    close(one);
    close(other);
    rmdir(directory);
    poke_watches_clear(&watches);
}

static void nothing_is_found_where_there_is_no_proc(void **state)
{
    struct poke_watches watches = {0};

    (void)state;
    assert_false(poke_watches_scan(&watches, "/nonexistent", makedev(0, 1)));
    assert_false(poke_watches_has(&watches, 1));
    poke_watches_clear(&watches);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_watch_is_parsed),
        cmocka_unit_test(large_numbers_are_parsed),
        cmocka_unit_test(what_is_no_watch_is_not),
        cmocka_unit_test(only_watches_on_the_device_are_added),
        cmocka_unit_test(a_scan_finds_every_watch_once),
        cmocka_unit_test(nothing_is_found_where_there_is_no_proc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
