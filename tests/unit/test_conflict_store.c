/* SPDX-License-Identifier: Apache-2.0 */
/* test_conflict_store.c - what was lost is kept: on the disk, else in memory; and shown the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "core/buffer.h"
#include "core/cleanup.h"
#include "core/conflict_store.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    char root[32];
    char directory[64];
    struct conflict_place place;
};

static void open_store(struct fixture *f, const char *directory)
{
    f->place = (struct conflict_place){conflict_store_new(directory), STORE_KV, "b"};
    assert_non_null(f->place.store);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    strcpy(f->root, "/tmp/conflicts.XXXXXX");
    if (mkdtemp(f->root) == NULL)
        return -1;
    snprintf(f->directory, sizeof(f->directory), "%s/state/jsfs", f->root);
    open_store(f, f->directory);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[64];

    conflict_store_free(f->place.store);
    snprintf(command, sizeof(command), "rm -rf %s", f->root);
    int result = system(command);
    free(f);
    return result;
}

static enum jsfs_status keep_at(const struct conflict_place *place, const char *path,
                                uint64_t revision, const char *text, char **name,
                                int *error)
{
    CLEANUP(cleanup_bytes) struct bytes *bytes = bytes_copy(text, strlen(text));
    struct conflict_loss loss = {.path = path, .revision = revision, .bytes = bytes};
    enum jsfs_status status = conflict_store_keep(place, &loss);

    *name = loss.name;
    *error = loss.disk_errno;
    return status;
}

static void keep(struct fixture *f, const char *path, uint64_t revision, const char *text,
                 const char *wanted)
{
    CLEANUP(cleanup_free) char *name = NULL;
    int error;

    assert_int_equal(keep_at(&f->place, path, revision, text, &name, &error), JSFS_OK);
    assert_int_equal(error, 0);
    assert_string_equal(name, wanted);
}

static void assert_holds(struct fixture *f, const char *name, const char *text)
{
    struct conflict_file *file;
    char data[64];
    size_t size;

    assert_int_equal(conflict_store_open(&f->place, name, &file), JSFS_OK);
    assert_int_equal(conflict_file_read(file, 0, sizeof(data), data, &size), JSFS_OK);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(data, text, size);
    conflict_file_close(file);
}

static int by_name(const void *one, const void *other)
{
    return strcmp(((const struct conflict_entry *)one)->name,
                  ((const struct conflict_entry *)other)->name);
}

/* The names in a directory, sorted, with a '/' behind directories. */
static void assert_lists(struct fixture *f, const char *name, const char *wanted)
{
    CLEANUP(buffer_clear) struct buffer text = BUFFER_INIT;
    struct conflict_list list;

    assert_int_equal(conflict_store_list(&f->place, name, &list), JSFS_OK);
    if (list.count > 0)
        qsort(list.entries, list.count, sizeof(*list.entries), by_name);
    for (size_t i = 0; i < list.count; i++)
        buffer_append_format(&text, "%s%s ", list.entries[i].name,
                             list.entries[i].directory ? "/" : "");
    assert_string_equal(text.data != NULL ? text.data : "", wanted);
    conflict_list_clear(&list);
}

static enum jsfs_status drop(struct fixture *f, const char *name, bool directory)
{
    return conflict_store_remove(&f->place, name, directory);
}

static void what_is_kept_is_under_its_key_and_revision(void **state)
{
    struct fixture *f = *state;
    struct conflict_entry entry;

    assert_lists(f, "", "");
    keep(f, "app/db.yaml", 7, "first", "app/db.yaml/@7.1");
    keep(f, "app/db.yaml", 7, "second", "app/db.yaml/@7.2");
    keep(f, "app/db.yaml", 8, "third", "app/db.yaml/@8.1");
    keep(f, "app", 1, "of a key that is a directory too", "app/@1.1");
    keep(f, "app/web/@value", 0, "of the value inside of one", "app/web/@0.1");
    assert_lists(f, "", "app/ ");
    assert_lists(f, "app", "@1.1 db.yaml/ web/ ");
    assert_lists(f, "app/db.yaml", "@7.1 @7.2 @8.1 ");
    assert_holds(f, "app/db.yaml/@7.1", "first");
    assert_holds(f, "app/db.yaml/@7.2", "second");
    assert_int_equal(conflict_store_stat(&f->place, "app/db.yaml/@7.2", &entry), JSFS_OK);
    assert_false(entry.directory);
    assert_int_equal(entry.size_bytes, 6);
    assert_int_equal(conflict_store_stat(&f->place, "app/db.yaml", &entry), JSFS_OK);
    assert_true(entry.directory);
    assert_int_equal(conflict_store_stat(&f->place, "app/other", &entry), JSFS_NOT_FOUND);
}

static void others_may_not_read_it(void **state)
{
    struct fixture *f = *state;
    char path[128];
    struct stat attr;

    keep(f, "key", 7, "secret", "key/@7.1");
    snprintf(path, sizeof(path), "%s/kv/b/key/@7.1", f->directory);
    assert_int_equal(stat(path, &attr), 0);
    assert_int_equal(attr.st_mode & 07777, 0600);
    assert_int_equal(stat(f->directory, &attr), 0);
    assert_int_equal(attr.st_mode & 07777, 0700);
}

static void it_outlives_the_store_and_is_shared(void **state)
{
    struct fixture *f = *state;
    struct conflict_store *first = f->place.store;

    keep(f, "key", 7, "first", "key/@7.1");
    open_store(f, f->directory);
    keep(f, "key", 7, "second", "key/@7.2");
    assert_int_equal(conflict_store_free(first), 0);
    assert_lists(f, "key", "@7.1 @7.2 ");
    f->place.bucket = "other";
    assert_lists(f, "", "");
    f->place.bucket = "b";
    f->place.kind = STORE_OBJECT;
    assert_lists(f, "", "");
}

static void it_is_removed_one_by_one(void **state)
{
    struct fixture *f = *state;

    keep(f, "a/b", 7, "text", "a/b/@7.1");
    assert_int_equal(drop(f, "a/b", true), JSFS_NOT_EMPTY);
    assert_int_equal(drop(f, "a/b", false), JSFS_IS_DIRECTORY);
    assert_int_equal(drop(f, "a/b/@7.1", true), JSFS_NOT_DIRECTORY);
    assert_int_equal(drop(f, "a/b/@7.2", false), JSFS_NOT_FOUND);
    assert_int_equal(drop(f, "a/b/@7.1", false), JSFS_OK);
    assert_lists(f, "",
                 ""); /* a directory with nothing in it is not listed, but still there */
    assert_int_equal(drop(f, "a/b", true), JSFS_OK);
    assert_int_equal(drop(f, "a", true), JSFS_OK);
    assert_int_equal(drop(f, "a", true), JSFS_NOT_FOUND);
    keep(f, "a/b", 7, "again", "a/b/@7.1");
}

static void an_open_one_is_read_after_its_removal(void **state)
{
    struct fixture *f = *state;
    struct conflict_file *file;
    char data[8];
    size_t size;

    keep(f, "key", 7, "text", "key/@7.1");
    assert_int_equal(conflict_store_open(&f->place, "key/@7.1", &file), JSFS_OK);
    assert_int_equal(drop(f, "key/@7.1", false), JSFS_OK);
    assert_int_equal(conflict_file_read(file, 2, sizeof(data), data, &size), JSFS_OK);
    assert_int_equal(size, 2);
    assert_memory_equal(data, "xt", 2);
    conflict_file_close(file);
}

static void what_a_crash_left_half_written_is_not_shown(void **state)
{
    struct fixture *f = *state;
    char path[128];

    keep(f, "key", 7, "text", "key/@7.1");
    snprintf(path, sizeof(path), "%s/kv/b/key/@tmp.1.1", f->directory);
    close(open(path, O_WRONLY | O_CREAT, 0600));
    assert_lists(f, "key", "@7.1 ");
    assert_int_equal(drop(f, "key/@tmp.1.1", false), JSFS_NOT_FOUND);
    assert_int_equal(drop(f, "key/@7.1", false), JSFS_OK);
    assert_lists(f, "", "");
    assert_int_equal(drop(f, "key", true), JSFS_OK);
}

static void a_component_longer_than_a_file_name_is_split(void **state)
{
    struct fixture *f = *state;
    char path[601], wanted[640];

    memset(path, 'x', 600);
    path[600] = '\0';
    memcpy(path + 500, "/a", 2);
    snprintf(wanted, sizeof(wanted), "@+%.200s/@+%.200s/@=%.100s/%s/@1.1", path, path,
             path, path + 501);
    keep(f, path, 1, "text", wanted);
    assert_holds(f, wanted, "text");
}

/* A file stands where the directory should be. */
static void block_the_disk(struct fixture *f)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/state", f->root);
    close(open(path, O_WRONLY | O_CREAT, 0600));
}

static void what_the_disk_refuses_is_kept_in_memory(void **state)
{
    struct fixture *f = *state;
    CLEANUP(cleanup_free) char *name = NULL;
    CLEANUP(cleanup_free) char *second = NULL;
    struct conflict_entry entry;
    int error;

    block_the_disk(f);
    assert_int_equal(keep_at(&f->place, "a/b", 7, "text", &name, &error), JSFS_OK);
    assert_int_equal(error, ENOTDIR);
    assert_string_equal(name, "a/b/@7.1");
    assert_int_equal(keep_at(&f->place, "a/b", 7, "more", &second, &error), JSFS_OK);
    assert_string_equal(second, "a/b/@7.2");
    assert_lists(f, "", "a/ ");
    assert_lists(f, "a", "b/ ");
    assert_lists(f, "a/b", "@7.1 @7.2 ");
    assert_holds(f, "a/b/@7.1", "text");
    assert_int_equal(conflict_store_stat(&f->place, "a/b/@7.1", &entry), JSFS_OK);
    assert_int_equal(entry.size_bytes, 4);
    assert_true(entry.modified_ns > 0);
    assert_int_equal(drop(f, "a/b", true), JSFS_NOT_EMPTY);
    assert_int_equal(drop(f, "a/b", false), JSFS_IS_DIRECTORY);
    assert_int_equal(drop(f, "a/b/@7.1", true), JSFS_NOT_DIRECTORY);
    assert_int_equal(drop(f, "a/b/@7.1", false), JSFS_OK);
    assert_lists(f, "a/b", "@7.2 ");
}

static void what_is_in_memory_gets_to_the_disk_in_the_end(void **state)
{
    struct fixture *f = *state;
    CLEANUP(cleanup_free) char *name = NULL;
    char path[128];
    int error;

    block_the_disk(f);
    assert_int_equal(keep_at(&f->place, "key", 7, "text", &name, &error), JSFS_OK);
    snprintf(path, sizeof(path), "%s/state", f->root);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(conflict_store_free(f->place.store), 0);
    open_store(f, f->directory);
    assert_holds(f, "key/@7.1", "text");
}

static void memory_is_bounded_and_what_no_disk_has_is_counted(void **state)
{
    struct fixture *f = *state;
    size_t size = (size_t)CONFLICT_MEMORY_MAX / 2;
    char *data = malloc(size);

    memset(data, 'x', size);
    struct bytes *bytes = bytes_copy(data, size);
    conflict_store_free(f->place.store);
    open_store(f, NULL);
    for (int i = 0; i < 3; i++) {
        struct conflict_loss loss = {.path = "key", .revision = 1, .bytes = bytes};
        assert_int_equal(conflict_store_keep(&f->place, &loss),
                         i < 2 ? JSFS_OK : JSFS_NO_SPACE);
        assert_true((loss.name != NULL) == (i < 2));
        free(loss.name);
    }
    assert_int_equal(conflict_store_free(f->place.store), 2);
    f->place.store = NULL;
    bytes_unref(bytes);
    free(data);
}

static void a_servers_directory_is_one_name(void **state)
{
    static const char *const cases[][2] = {
        {"nats://127.0.0.1:4222", "/s/conflicts/127.0.0.1_4222"},
        {"nats://a:1,tls://b:2",  "/s/conflicts/a_1_tls___b_2" },
        {"../x",                  "/s/conflicts/_._x"          },
    };
    char many[600];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CLEANUP(cleanup_free) char *path = conflict_directory("/s", cases[i][0]);
        assert_string_equal(path, cases[i][1]);
    }
    memset(many, 'h', sizeof(many));
    many[599] = '\0';
    CLEANUP(cleanup_free) char *path = conflict_directory("/s", many);
    assert_int_equal(strlen(path), strlen("/s/conflicts/") + 200 + strlen("+12345678"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(what_is_kept_is_under_its_key_and_revision),
        TEST(others_may_not_read_it),
        TEST(it_outlives_the_store_and_is_shared),
        TEST(it_is_removed_one_by_one),
        TEST(an_open_one_is_read_after_its_removal),
        TEST(what_a_crash_left_half_written_is_not_shown),
        TEST(a_component_longer_than_a_file_name_is_split),
        TEST(what_the_disk_refuses_is_kept_in_memory),
        TEST(what_is_in_memory_gets_to_the_disk_in_the_end),
        TEST(memory_is_bounded_and_what_no_disk_has_is_counted),
        TEST(a_servers_directory_is_one_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
