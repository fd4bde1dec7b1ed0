/* SPDX-License-Identifier: Apache-2.0 */
/* test_handle.c - what an open file commits and when, and what it holds until it is closed.
 * Test of fs/handle.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/cleanup.h"
#include "fs/handle.h"
#include "fs/pending.h"
#include "fs/inode.h"
#include "tests/support/bucket_fixture.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct world {
    struct fixture *fixture;
    struct config config;
    struct fs fs;
    struct inode *kv, *bucket, *file; /* counted */
};

static int make_world(void **state, int (*make_fixture)(void **fixture))
{
    struct world *w = calloc(1, sizeof(*w));
    void *fixture;

    if (w == NULL || make_fixture(&fixture) != 0)
        return -1;
    w->fixture = fixture;
    config_init(&w->config);
    w->fs.config = &w->config;
    w->fs.executor = w->fixture->executor;
    w->fs.inodes = inode_table_new();
    w->fs.handles = handle_list_new();
    w->fs.pending = pending_new();
    w->kv = inode_get(w->fs.inodes, INODE_NUMBER_KV);
    struct inode_target target = {INODE_BUCKET, w->fixture->bucket, "", NULL, NULL};
    w->bucket = inode_bind(w->fs.inodes, w->kv, "fake", &target);
    *state = w;
    return 0;
}

static int make_kv(void **state)
{
    return make_world(state, fixture_make_kv);
}

static int make_object(void **state)
{
    return make_world(state, fixture_make_object);
}

static int drop_world(void **state)
{
    struct world *w = *state;
    void *fixture = w->fixture;

    handle_list_free(w->fs.handles);
    inode_table_free(w->fs.inodes);
    pending_free(w->fs.pending);
    config_clear(&w->config);
    free(w);
    return fixture_drop(&fixture);
}

/* The inode of the file "a" as the server has it; sequence 0: a new one. */
static struct inode *bind_file(struct world *w, uint64_t sequence, uint64_t size)
{
    struct tree_attr attr = {.type = TREE_FILE,
                             .local = sequence == 0,
                             .sequence = sequence,
                             .size_bytes = size};
    struct inode_target target = {INODE_FILE, w->fixture->bucket, "a", &attr, NULL};

    w->file = inode_bind(w->fs.inodes, w->bucket, "a", &target);
    assert_non_null(w->file);
    return w->file;
}

/* A handle for writing the key "a" whose value is "old", as open(2) prepares it. */
static struct handle *open_key(struct world *w)
{
    struct answer answer;

    fixture_go_live(w->fixture);
    uint64_t sequence = fake_store_put(w->fixture->fake, "a", "old");
    struct inode *file = bind_file(w, sequence, 3);
    struct handle *handle = handle_new(&w->fs, file, O_RDWR);
    assert_non_null(handle);
    file->value =
        value_file_new(w->fixture->bucket, "a", "a", sequence, 3, FAKE_EPOCH_NS);
    answer_init(&answer);
    value_file_load(file->value, take_status, &answer);
    answer_wait(&answer);
    assert_int_equal(answer.status, JSFS_OK);
    return handle;
}

static struct handle *open_object(struct world *w, uint64_t sequence, uint64_t size)
{
    struct handle *handle = handle_new(&w->fs, bind_file(w, sequence, size), O_WRONLY);

    assert_non_null(handle);
    assert_int_equal(handle_start_upload(handle, true), JSFS_OK);
    return handle;
}

static void write_key(struct handle *handle, const char *text)
{
    assert_int_equal(value_file_write(handle->inode->value, 0, text, strlen(text), false),
                     JSFS_OK);
    atomic_store(&handle->written, true);
}

static void write_object(struct handle *handle, uint64_t offset, const char *text)
{
    struct answer answer;

    answer_init(&answer);
    atomic_store(&handle->written, true);
    upload_write(handle->upload, offset, text, strlen(text), take_status, &answer);
    answer_wait(&answer);
    assert_int_equal(answer.status, JSFS_OK);
}

static enum jsfs_status commit(struct handle *handle, bool release)
{
    struct answer answer;

    answer_init(&answer);
    handle_commit(handle, release, take_status, &answer);
    answer_wait(&answer);
    assert_int_equal(answer.count, 1);
    return answer.status;
}

static void assert_value(struct world *w, const char *text)
{
    struct bytes *value = fake_store_value(w->fixture->fake, "a");

    assert_non_null(value);
    assert_int_equal(value->size, strlen(text));
    assert_memory_equal(value->data, text, value->size);
    bytes_unref(value);
}

static unsigned puts_of(struct world *w)
{
    return fake_store_calls(w->fixture->fake, FAKE_VALUE_PUT) +
           fake_store_calls(w->fixture->fake, FAKE_META_PUT);
}

static bool is_closed(void *arg)
{
    struct inode *inode = arg;
    SCOPED_LOCK(&inode->lock);

    return inode->opened == 0;
}

/* Keys --------------------------------------------------------------------------------------- */

static void a_flush_publishes_what_was_written_and_the_inode_shows_it(void **state)
{
    struct world *w = *state;
    struct handle *handle = open_key(w);

    write_key(handle, "newer");
    assert_int_equal(commit(handle, false), JSFS_OK);
    assert_value(w, "newer");
    struct tree_attr attr = inode_attr(w->fs.inodes, w->file);
    assert_int_equal(attr.sequence, fake_store_last_sequence(w->fixture->fake));
    assert_int_equal(attr.size_bytes, 5);
    assert_false(attr.local);
    assert_int_equal(commit(handle, true), JSFS_OK);
    assert_int_equal(puts_of(w), 1);
    handle_unref(handle);
}

static void a_truncation_by_open_waits_for_the_release(void **state)
{
    struct world *w = *state;
    struct handle *handle = open_key(w);

    value_file_truncate(w->file->value, 0, true);
    atomic_store(&handle->uncommitted, true);
    assert_int_equal(commit(handle, false), JSFS_OK);
    assert_value(w, "old");
    assert_int_equal(commit(handle, true), JSFS_OK);
    assert_value(w, "");
    handle_unref(handle);
}

static void a_handle_without_a_write_commits_nothing(void **state)
{
    struct world *w = *state;
    struct handle *handle = open_key(w);

    assert_int_equal(commit(handle, false), JSFS_OK);
    assert_int_equal(commit(handle, true), JSFS_OK);
    assert_int_equal(puts_of(w), 0);
    handle_unref(handle);
}

static void a_reading_handle_commits_nothing_of_a_writing_one(void **state)
{
    struct world *w = *state;
    struct handle *writer = open_key(w);
    struct handle *reader = handle_new(&w->fs, w->file, O_RDONLY);

    write_key(writer, "newer");
    assert_int_equal(commit(reader, true), JSFS_OK);
    assert_int_equal(puts_of(w), 0);
    handle_unref(reader);
    handle_unref(writer);
}

static void an_unlinked_file_is_not_published(void **state)
{
    struct world *w = *state;
    struct handle *handle = open_key(w);

    write_key(handle, "newer");
    inode_unlink(w->fs.inodes, w->file);
    assert_int_equal(commit(handle, true), JSFS_OK);
    assert_value(w, "old");
    handle_unref(handle);
}

static void half_of_what_was_to_be_written_is_not_published(void **state)
{
    struct world *w = *state;
    struct handle *handle = open_key(w);

    write_key(handle, "newer");
    atomic_store(&handle->failed, JSFS_TOO_LARGE);
    assert_int_equal(commit(handle, false), JSFS_TOO_LARGE);
    assert_value(w, "old");
    handle_unref(handle);
}

static void a_commit_that_failed_can_be_tried_again(void **state)
{
    struct world *w = *state;
    struct handle *handle = open_key(w);

    write_key(handle, "newer");
    fake_store_fail(w->fixture->fake, FAKE_VALUE_PUT, 1, JSFS_NO_SPACE, false);
    assert_int_equal(commit(handle, false), JSFS_NO_SPACE);
    assert_value(w, "old");
    assert_int_equal(inode_attr(w->fs.inodes, w->file).size_bytes, 3);
    assert_int_equal(commit(handle, false), JSFS_OK);
    assert_value(w, "newer");
    handle_unref(handle);
}

/* References --------------------------------------------------------------------------------- */

static void a_commit_in_flight_keeps_its_handle(void **state)
{
    struct world *w = *state;
    struct handle *handle = open_key(w);
    struct answer answer;

    write_key(handle, "newer");
    fake_store_hold(w->fixture->fake, FAKE_VALUE_PUT);
    answer_init(&answer);
    handle_commit(handle, false, take_status, &answer);
    handle_unref(handle);
    assert_int_equal(answer.count, 0);
    assert_int_equal(w->file->opened, 1);
    assert_true(inode_has_writers(w->fs.inodes, w->file));

    fake_store_release(w->fixture->fake, FAKE_VALUE_PUT);
    answer_wait(&answer);
    assert_int_equal(answer.status, JSFS_OK);
    wait_until(is_closed, w->file);
    assert_false(inode_has_writers(w->fs.inodes, w->file));
    assert_null(w->file->value);
    assert_int_equal(inode_attr(w->fs.inodes, w->file).size_bytes, 5);
}

static void the_last_handle_takes_along_what_its_inode_kept_for_all(void **state)
{
    struct world *w = *state;
    struct handle *writer = open_key(w);
    struct handle *reader = handle_new(&w->fs, w->file, O_RDONLY);

    w->file->content = bytes_copy("old", 3);
    handle_ref(writer);
    handle_unref(writer);
    assert_true(inode_has_writers(w->fs.inodes, w->file));
    handle_unref(writer);
    assert_false(inode_has_writers(w->fs.inodes, w->file));
    assert_null(w->file->value); /* goes with the last one that may write */
    assert_non_null(w->file->content);
    handle_unref(reader);
    assert_null(w->file->value);
    assert_null(w->file->content);
    handle_unref(NULL);
}

static void a_handle_keeps_its_inode(void **state)
{
    struct world *w = *state;
    struct handle *handle = open_key(w);
    uint64_t number = w->file->number;

    inode_put(w->fs.inodes, w->file);
    struct inode *inode = inode_get(w->fs.inodes, number);
    assert_ptr_equal(inode, handle->inode);
    inode_put(w->fs.inodes, inode);
    handle_unref(handle);
    assert_null(inode_get(w->fs.inodes, number));
}

/* All at the end ------------------------------------------------------------------------------ */

static void at_the_end_every_dirty_handle_is_committed(void **state)
{
    struct world *w = *state;
    struct handle *handle = open_key(w);
    struct handle *reader = handle_new(&w->fs, w->file, O_RDONLY);

    write_key(handle, "newer");
    assert_int_equal(handle_list_commit(w->fs.handles, 5000), 0);
    assert_value(w, "newer");
    handle_unref(reader);
    handle_unref(handle);
    assert_int_equal(handle_list_commit(w->fs.handles, 5000), 0);
}

static void what_could_not_be_committed_at_the_end_is_counted(void **state)
{
    struct world *w = *state;
    struct handle *handle = open_key(w);

    write_key(handle, "newer");
    fake_store_fail(w->fixture->fake, FAKE_VALUE_PUT, 1, JSFS_DENIED, false);
    assert_int_equal(handle_list_commit(w->fs.handles, 5000), 1);
    assert_value(w, "old");
    handle_unref(handle);
}

static void the_end_does_not_wait_for_ever_for_an_answer(void **state)
{
    struct world *w = *state;
    struct handle *handle = open_key(w);

    write_key(handle, "newer");
    fake_store_hold(w->fixture->fake, FAKE_VALUE_PUT);
    assert_int_equal(handle_list_commit(w->fs.handles, 50), 1);
    handle_unref(handle);
    fake_store_release(w->fixture->fake, FAKE_VALUE_PUT);
    wait_until(is_closed, w->file);
    assert_value(w, "newer");
}

/* Objects ------------------------------------------------------------------------------------- */

static void a_flush_publishes_an_object_and_the_inode_shows_it(void **state)
{
    struct world *w = *state;

    fixture_go_live(w->fixture);
    struct handle *handle = open_object(w, 0, 0);
    write_object(handle, 0, "hello");
    assert_int_equal(commit(handle, false), JSFS_OK);
    const struct store_entry *entry = fake_store_newest(w->fixture->fake, "a");
    assert_non_null(entry);
    assert_int_equal(entry->size_bytes, 5);
    struct tree_attr attr = inode_attr(w->fs.inodes, w->file);
    assert_int_equal(attr.sequence, entry->sequence);
    assert_int_equal(attr.size_bytes, 5);
    assert_int_equal(commit(handle, true), JSFS_OK);
    assert_int_equal(puts_of(w), 1);
    handle_unref(handle);
}

static void a_new_object_without_a_write_waits_for_the_release(void **state)
{
    struct world *w = *state;

    fixture_go_live(w->fixture);
    struct handle *handle = open_object(w, 0, 0);
    assert_int_equal(commit(handle, false), JSFS_OK);
    assert_null(fake_store_newest(w->fixture->fake, "a"));
    assert_int_equal(commit(handle, true), JSFS_OK);
    assert_non_null(fake_store_newest(w->fixture->fake, "a"));
    handle_unref(handle);
}

static void a_closed_upload_that_was_not_committed_leaves_no_object(void **state)
{
    struct world *w = *state;

    fixture_go_live(w->fixture);
    struct handle *handle = open_object(w, 0, 0);
    write_object(handle, 0, "hello");
    handle_unref(handle);
    assert_null(w->file->upload);
    assert_null(fake_store_newest(w->fixture->fake, "a"));
    assert_int_equal(puts_of(w), 0);
}

static void an_upload_begun_anew_drops_what_was_written_before(void **state)
{
    struct world *w = *state;

    fixture_go_live(w->fixture);
    struct handle *handle = open_object(w, 0, 0);
    write_object(handle, 0, "hello");
    assert_int_equal(handle_start_upload(handle, true), JSFS_OK);
    assert_ptr_equal(w->file->upload, handle->upload);
    write_object(handle, 0, "you");
    assert_int_equal(commit(handle, false), JSFS_OK);
    assert_int_equal(fake_store_newest(w->fixture->fake, "a")->size_bytes, 3);
    handle_unref(handle);
}

static void an_exclusive_object_does_not_replace_another(void **state)
{
    struct world *w = *state;

    fixture_go_live(w->fixture);
    struct handle *handle = open_object(w, 0, 0);
    handle->exclusive = true;
    write_object(handle, 0, "hello");
    uint64_t sequence = fake_store_put_object(w->fixture->fake, "a", "other", 4, 4);
    assert_int_equal(commit(handle, false), JSFS_EXISTS);
    assert_int_equal(fake_store_newest(w->fixture->fake, "a")->sequence, sequence);
    handle_unref(handle);
}

static void chunks_stay_while_a_handle_reads_them(void **state)
{
    struct world *w = *state;
    struct fake_store *fake = w->fixture->fake;

    fixture_go_live(w->fixture);
    uint64_t sequence = fake_store_put_object(fake, "a", "nuid", 8, 4);
    struct inode *file = bind_file(w, sequence, 8);
    struct handle *first = handle_new(&w->fs, file, O_RDONLY);
    struct handle *second = handle_new(&w->fs, file, O_RDONLY);
    file->nuid = strdup("nuid");
    bucket_hold_chunks(w->fixture->bucket, "nuid");
    bucket_discard_chunks(w->fixture->bucket, "nuid");
    handle_unref(first);
    assert_int_equal(fake_store_chunks(fake, "nuid"), 2);
    handle_unref(second);
    assert_int_equal(fake_store_chunks(fake, "nuid"), 0);
    assert_null(file->nuid);
}

/* Processes ----------------------------------------------------------------------------------- */

#define KEY_TEST(test) cmocka_unit_test_setup_teardown(test, make_kv, drop_world)
#define OBJECT_TEST(test) cmocka_unit_test_setup_teardown(test, make_object, drop_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        KEY_TEST(a_flush_publishes_what_was_written_and_the_inode_shows_it),
        KEY_TEST(a_truncation_by_open_waits_for_the_release),
        KEY_TEST(a_handle_without_a_write_commits_nothing),
        KEY_TEST(a_reading_handle_commits_nothing_of_a_writing_one),
        KEY_TEST(an_unlinked_file_is_not_published),
        KEY_TEST(half_of_what_was_to_be_written_is_not_published),
        KEY_TEST(a_commit_that_failed_can_be_tried_again),
        KEY_TEST(a_commit_in_flight_keeps_its_handle),
        KEY_TEST(the_last_handle_takes_along_what_its_inode_kept_for_all),
        KEY_TEST(a_handle_keeps_its_inode),
        KEY_TEST(at_the_end_every_dirty_handle_is_committed),
        KEY_TEST(what_could_not_be_committed_at_the_end_is_counted),
        KEY_TEST(the_end_does_not_wait_for_ever_for_an_answer),
        OBJECT_TEST(a_flush_publishes_an_object_and_the_inode_shows_it),
        OBJECT_TEST(a_new_object_without_a_write_waits_for_the_release),
        OBJECT_TEST(a_closed_upload_that_was_not_committed_leaves_no_object),
        OBJECT_TEST(an_upload_begun_anew_drops_what_was_written_before),
        OBJECT_TEST(an_exclusive_object_does_not_replace_another),
        OBJECT_TEST(chunks_stay_while_a_handle_reads_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
