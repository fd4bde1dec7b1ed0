/* SPDX-License-Identifier: Apache-2.0 */
/* test_inode.c - which inode a name leads to, how long it lives, and what it shows.
 * Test of fs/inode.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fs/inode.h"
#include "tests/support/bucket_fixture.h"
#include "tests/support/failing_malloc.h"
#include <stdio.h>
#include <stdlib.h>

struct world {
    struct fixture *fixture;
    struct inode_table *table;
    struct inode *kv, *bucket; /* counted; the kernel knows neither */
};

static struct inode *bind_place(struct inode_table *table, struct inode *parent,
                                const char *name, const struct inode_target *target)
{
    struct inode *inode = inode_bind(table, parent, name, target);

    assert_non_null(inode);
    return inode;
}

/* What a file of a version is; attr has to live as long as the target. */
static struct inode_target file_target(struct world *w, const char *path,
                                       struct tree_attr *attr, uint64_t sequence)
{
    *attr = (struct tree_attr){.type = TREE_FILE, .sequence = sequence, .size_bytes = 3};
    return (struct inode_target){INODE_FILE, w->fixture->bucket, path, attr, NULL};
}

static struct inode *bind_file(struct world *w, struct inode *parent, const char *name,
                               const char *path, uint64_t sequence)
{
    struct tree_attr attr;
    struct inode_target target = file_target(w, path, &attr, sequence);

    return bind_place(w->table, parent, name, &target);
}

static struct inode *bind_directory(struct world *w, struct inode *parent,
                                    const char *name, const char *path)
{
    struct inode_target target = {INODE_DIRECTORY, w->fixture->bucket, path, NULL, NULL};

    return bind_place(w->table, parent, name, &target);
}

static bool exists(struct world *w, uint64_t number)
{
    struct inode *inode = inode_get(w->table, number);

    inode_put(w->table, inode);
    return inode != NULL;
}

/* The number of the inode that a name is bound to; 0: none. */
static uint64_t bound_number(struct world *w, const struct inode *parent,
                             const char *name)
{
    struct inode *inode = inode_bound(w->table, parent, name);
    uint64_t number = inode != NULL ? inode->number : 0;

    inode_put(w->table, inode);
    return number;
}

static int make_world(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    void *fixture;

    if (w == NULL || fixture_make_kv(&fixture) != 0)
        return -1;
    w->fixture = fixture;
    w->table = inode_table_new();
    w->kv = inode_get(w->table, INODE_NUMBER_KV);
    struct inode_target target = {INODE_BUCKET, w->fixture->bucket, "", NULL, NULL};
    w->bucket = inode_bind(w->table, w->kv, "fake", &target);
    *state = w;
    return w->bucket == NULL;
}

static int drop_world(void **state)
{
    struct world *w = *state;
    void *fixture = w->fixture;

    inode_table_free(w->table);
    free(w);
    return fixture_drop(&fixture);
}

/* Which inode ------------------------------------------------------------------------------- */

static void a_name_leads_to_one_inode(void **state)
{
    struct world *w = *state;
    struct inode *first = bind_file(w, w->bucket, "a", "a", 5);
    struct inode *second = bind_file(w, w->bucket, "a", "a", 5);

    assert_ptr_equal(first, second);
    assert_int_equal(bound_number(w, w->bucket, "a"), first->number);
    assert_int_equal(inode_attr(w->table, first).sequence, 5);
    inode_put(w->table, first);
    inode_put(w->table, second);
}

static void another_version_is_another_inode(void **state)
{
    struct world *w = *state;
    struct inode *old = bind_file(w, w->bucket, "a", "a", 5);
    struct inode *new = bind_file(w, w->bucket, "a", "a", 6);

    assert_int_not_equal(old->number, new->number);
    assert_int_equal(bound_number(w, w->bucket, "a"), new->number);
    assert_true(inode_is_removed(w->table, old));
    assert_false(inode_is_unlinked(w->table, old));
    assert_false(inode_is_removed(w->table, new));
    assert_int_equal(inode_attr(w->table, old).sequence, 5);
    inode_put(w->table, old);
    inode_put(w->table, new);
}

static void another_kind_is_another_inode(void **state)
{
    struct world *w = *state;
    struct inode *file = bind_file(w, w->bucket, "a", "a", 5);
    struct inode *directory = bind_directory(w, w->bucket, "a", "a");

    assert_int_not_equal(file->number, directory->number);
    assert_int_equal(bound_number(w, w->bucket, "a"), directory->number);
    inode_put(w->table, file);
    inode_put(w->table, directory);
}

static void a_version_that_turns_out_damaged_is_another_inode(void **state)
{
    struct world *w = *state;
    struct tree_attr attr;
    struct inode_target target = file_target(w, "a", &attr, 5);
    struct inode *good = bind_place(w->table, w->bucket, "a", &target);

    attr.corrupt = true;
    struct inode *bad = bind_place(w->table, w->bucket, "a", &target);
    assert_int_not_equal(good->number, bad->number);
    inode_put(w->table, good);
    inode_put(w->table, bad);
}

static void a_bucket_made_anew_is_another_inode(void **state)
{
    struct world *w = *state;
    void *other;

    assert_int_equal(fixture_make_kv(&other), 0);
    struct inode_target target = {INODE_BUCKET, ((struct fixture *)other)->bucket, "",
                                  NULL, NULL};
    struct inode *again = bind_place(w->table, w->kv, "fake", &target);
    assert_int_not_equal(again->number, w->bucket->number);
    assert_true(inode_is_removed(w->table, w->bucket));
    inode_put(w->table, again); /* nobody needs it: it gives its bucket back */
    fixture_drop(&other);
}

static void a_directory_is_the_same_inode_whatever_changes_in_it(void **state)
{
    struct world *w = *state;
    struct inode *first = bind_directory(w, w->bucket, "d", "d");
    struct inode *file = bind_file(w, first, "a", "d/a", 7);
    struct inode *second = bind_directory(w, w->bucket, "d", "d");

    assert_ptr_equal(first, second);
    inode_put(w->table, file);
    inode_put(w->table, first);
    inode_put(w->table, second);
}

static void a_file_open_for_writing_keeps_its_name(void **state)
{
    struct world *w = *state;
    struct inode *file = bind_file(w, w->bucket, "a", "a", 5);

    inode_writers(w->table, file, 1);
    assert_true(inode_has_writers(w->table, file));
    struct inode *same = bind_file(w, w->bucket, "a", "a", 6);
    assert_ptr_equal(same, file);
    inode_put(w->table, same);

    inode_writers(w->table, file, -1);
    assert_false(inode_has_writers(w->table, file));
    struct inode *other = bind_file(w, w->bucket, "a", "a", 6);
    assert_int_not_equal(other->number, file->number);
    inode_put(w->table, other);
    inode_put(w->table, file);
}

static void our_own_write_keeps_the_inode(void **state)
{
    struct world *w = *state;
    struct inode *file = bind_file(w, w->bucket, "a", "a", 5);
    struct tree_attr attr = {.type = TREE_FILE, .sequence = 6, .size_bytes = 9};

    inode_update(w->table, file, &attr);
    struct inode *same = bind_file(w, w->bucket, "a", "a", 6);
    assert_ptr_equal(same, file);
    assert_int_equal(inode_attr(w->table, file).size_bytes, 9);
    inode_put(w->table, same);
    inode_put(w->table, file);
}

static void the_same_name_elsewhere_is_another_inode(void **state)
{
    struct world *w = *state;
    struct inode *d = bind_directory(w, w->bucket, "d", "d");
    struct inode *top = bind_file(w, w->bucket, "a", "a", 5);
    struct inode *below = bind_file(w, d, "a", "d/a", 5);

    assert_int_not_equal(top->number, below->number);
    assert_int_equal(bound_number(w, w->bucket, "a"), top->number);
    assert_int_equal(bound_number(w, d, "a"), below->number);
    inode_put(w->table, below);
    inode_put(w->table, top);
    inode_put(w->table, d);
}

static void an_unbound_inode_is_found_by_its_number_only(void **state)
{
    struct world *w = *state;
    struct inode *file = bind_file(w, w->bucket, "a", "a", 5);

    inode_unbind(w->table, file);
    inode_unbind(w->table, file);
    assert_int_equal(bound_number(w, w->bucket, "a"), 0);
    assert_true(exists(w, file->number));
    assert_true(inode_is_removed(w->table, file));
    assert_false(inode_is_unlinked(w->table, file));
    inode_unlink(w->table, file);
    assert_true(inode_is_unlinked(w->table, file));

    struct inode *again = bind_file(w, w->bucket, "a", "a", 5);
    assert_int_not_equal(again->number, file->number);
    assert_int_equal(bound_number(w, w->bucket, "a"), again->number);
    inode_put(w->table, file); /* takes nothing of its successor with it */
    assert_int_equal(bound_number(w, w->bucket, "a"), again->number);
    inode_put(w->table, again);
}

/* How long ----------------------------------------------------------------------------------- */

static void an_inode_lives_until_the_kernel_forgets_it(void **state)
{
    struct world *w = *state;
    struct inode *file = bind_file(w, w->bucket, "a", "a", 5);
    uint64_t number = file->number;

    inode_remember(w->table, file);
    inode_remember(w->table, file);
    inode_remember(w->table, file);
    inode_put(w->table, file);
    inode_forget(w->table, number, 2);
    assert_true(exists(w, number));
    inode_forget(w->table, number, 1);
    assert_false(exists(w, number));
    assert_int_equal(bound_number(w, w->bucket, "a"), 0);
}

static void an_inode_in_use_outlives_the_kernels_forget(void **state)
{
    struct world *w = *state;
    struct inode *file = bind_file(w, w->bucket, "a", "a", 5);
    uint64_t number = file->number;

    inode_remember(w->table, file);
    inode_ref(w->table, file);
    inode_put(w->table, file);
    inode_forget(w->table, number, 1);
    assert_true(exists(w, number));
    inode_put(w->table, file);
    assert_false(exists(w, number));
}

static void forgetting_more_than_there_is_does_no_harm(void **state)
{
    struct world *w = *state;
    struct inode *file = bind_file(w, w->bucket, "a", "a", 5);
    uint64_t number = file->number;

    inode_remember(w->table, file);
    inode_forget(w->table, number, UINT64_MAX);
    assert_true(exists(w, number)); /* ours is left */
    inode_put(w->table, file);
    assert_false(exists(w, number));
    inode_forget(w->table, number, 1);
    inode_forget(w->table, 123456789, 1);
}

static void a_number_is_never_given_again(void **state)
{
    struct world *w = *state;
    uint64_t last = w->bucket->number;

    for (int i = 0; i < 100; i++) {
        struct inode *file = bind_file(w, w->bucket, "a", "a", 5);

        assert_true(file->number > last);
        last = file->number;
        inode_put(w->table, file);
        assert_false(exists(w, last));
    }
}

static void a_child_keeps_its_parents_and_the_last_one_takes_them_along(void **state)
{
    struct world *w = *state;
    struct inode *d = bind_directory(w, w->bucket, "d", "d");
    struct inode *e = bind_directory(w, d, "e", "d/e");
    struct inode *a = bind_file(w, e, "a", "d/e/a", 5);
    struct inode *b = bind_file(w, e, "b", "d/e/b", 6);
    uint64_t numbers[] = {w->bucket->number, d->number, e->number, a->number};
    uint64_t b_number = b->number;

    inode_remember(w->table, a);
    inode_remember(w->table, b);
    inode_put(w->table, w->bucket);
    inode_put(w->table, d);
    inode_put(w->table, e);
    inode_put(w->table, a);
    inode_put(w->table, b);
    for (int i = 0; i < 4; i++)
        assert_true(exists(w, numbers[i]));

    inode_forget(w->table, b_number, 1);
    assert_false(exists(w, b_number));
    for (int i = 0; i < 4; i++)
        assert_true(exists(w, numbers[i]));

    inode_forget(w->table, numbers[3], 1);
    for (int i = 0; i < 4; i++)
        assert_false(exists(w, numbers[i]));
    assert_true(exists(w, INODE_NUMBER_KV));
}

static void a_parent_that_is_known_stays_when_its_last_child_goes(void **state)
{
    struct world *w = *state;
    struct inode *d = bind_directory(w, w->bucket, "d", "d");
    struct inode *a = bind_file(w, d, "a", "d/a", 5);
    uint64_t number = d->number;

    inode_remember(w->table, d);
    inode_unbind(w->table, d); /* removed, but a process works in it */
    inode_put(w->table, d);
    inode_put(w->table, a);
    assert_true(exists(w, number));
    inode_forget(w->table, number, 1);
    assert_false(exists(w, number));
}

static void the_top_stays_for_ever(void **state)
{
    struct world *w = *state;

    for (uint64_t number = INODE_NUMBER_ROOT; number <= INODE_NUMBER_OBJECT; number++) {
        struct inode *inode = inode_get(w->table, number);

        assert_non_null(inode);
        assert_int_equal(inode->shown_number, number);
        inode_remember(w->table, inode);
        inode_put(w->table, inode);
        inode_forget(w->table, number, 1);
        assert_true(exists(w, number));
    }
    struct inode *root = inode_get(w->table, INODE_NUMBER_ROOT);
    assert_int_equal(bound_number(w, root, "kv"), INODE_NUMBER_KV);
    assert_int_equal(bound_number(w, root, "obj"), INODE_NUMBER_OBJECT);
    inode_put(w->table, root);
}

#define MANY 5000

static void names_are_found_while_the_table_grows_and_empties(void **state)
{
    struct world *w = *state;
    static uint64_t numbers[MANY];
    char name[16];

    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        struct inode *file = bind_file(w, w->bucket, name, name, (uint64_t)i + 1);
        numbers[i] = file->number;
        inode_remember(w->table, file);
        if (i % 3 == 0)
            inode_unbind(w->table, file);
        inode_put(w->table, file);
    }
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        assert_true(exists(w, numbers[i]));
        assert_int_equal(bound_number(w, w->bucket, name), i % 3 == 0 ? 0 : numbers[i]);
    }
    for (int i = 0; i < MANY; i++) {
        inode_forget(w->table, numbers[i], 1);
        assert_false(exists(w, numbers[i]));
    }
}

/* What it shows ------------------------------------------------------------------------------ */

static void a_place_and_version_have_one_shown_number(void **state)
{
    struct world *w = *state;
    struct tree_attr attr;
    struct inode_target target = file_target(w, "a", &attr, 5);
    uint64_t before = inode_shown_number(w->table, w->bucket, "a", &target);
    struct inode *file = bind_place(w->table, w->bucket, "a", &target);
    uint64_t number = file->number;

    assert_int_equal(file->shown_number, before);
    inode_put(w->table, file);
    assert_false(exists(w, number));
    file = bind_place(w->table, w->bucket, "a", &target);
    assert_int_not_equal(file->number, number);
    assert_int_equal(file->shown_number, before);
    inode_put(w->table, file);
}

static void shown_numbers_differ_by_place_version_and_kind(void **state)
{
    struct world *w = *state;
    struct tree_attr attr;
    struct inode_target file = file_target(w, "a", &attr, 5);
    struct inode_target directory = {INODE_DIRECTORY, w->fixture->bucket, "a", NULL, NULL};
    uint64_t shown[5];

    shown[0] = inode_shown_number(w->table, w->bucket, "a", &file);
    attr.sequence = 6;
    shown[1] = inode_shown_number(w->table, w->bucket, "a", &file);
    file.path = "b";
    shown[2] = inode_shown_number(w->table, w->bucket, "b", &file);
    shown[3] = inode_shown_number(w->table, w->bucket, "a", &directory);
    shown[4] = w->bucket->shown_number;
    for (int i = 0; i < 5; i++) {
        assert_true(shown[i] > INODE_NUMBER_OBJECT);
        for (int j = 0; j < i; j++)
            assert_int_not_equal(shown[i], shown[j]);
    }
}

static void the_shown_number_stays_through_our_own_write(void **state)
{
    struct world *w = *state;
    struct inode *file = bind_file(w, w->bucket, "a", "a", 5);
    uint64_t shown = file->shown_number;
    struct tree_attr attr = {.type = TREE_FILE, .sequence = 6};
    struct inode_target target = {INODE_FILE, w->fixture->bucket, "a", &attr, NULL};

    inode_update(w->table, file, &attr);
    assert_int_equal(inode_shown_number(w->table, w->bucket, "a", &target), shown);
    attr.sequence = 7; /* somebody else's */
    assert_int_not_equal(inode_shown_number(w->table, w->bucket, "a", &target), shown);
    inode_put(w->table, file);
}

static void a_bucket_shows_the_number_that_its_name_has_in_a_listing(void **state)
{
    struct world *w = *state;

    assert_int_equal(w->bucket->shown_number, inode_bucket_number(STORE_KV, "fake"));
    assert_int_not_equal(inode_bucket_number(STORE_KV, "fake"),
                         inode_bucket_number(STORE_OBJECT, "fake"));
    assert_int_not_equal(inode_bucket_number(STORE_KV, "fake"),
                         inode_bucket_number(STORE_KV, "fakf"));
}

/* All of them --------------------------------------------------------------------------------- */

static bool is_in(const struct inode *inode, struct inode **list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == inode)
            return true;
    return false;
}

static size_t collect_and_put(struct world *w, const struct bucket *bucket)
{
    struct inode **list;
    size_t count = inode_collect(w->table, bucket, &list);

    for (size_t i = 0; i < count; i++)
        inode_put(w->table, list[i]);
    free(list);
    return count;
}

static void what_the_kernel_knows_of_a_bucket_is_collected(void **state)
{
    struct world *w = *state;
    struct inode *a = bind_file(w, w->bucket, "a", "a", 5);
    struct inode *b = bind_file(w, w->bucket, "b", "b", 6);
    struct inode *unknown = bind_file(w, w->bucket, "c", "c", 7);
    struct inode **list;

    inode_remember(w->table, w->kv); /* above the buckets */
    inode_remember(w->table, a);
    inode_remember(w->table, b);
    inode_unbind(w->table, b); /* a process may still have it open */
    size_t count = inode_collect(w->table, w->fixture->bucket, &list);
    assert_int_equal(count, 2);
    assert_true(is_in(a, list, count));
    assert_true(is_in(b, list, count));

    uint64_t number = a->number; /* the list counts: it may go only with it */
    inode_forget(w->table, number, 1);
    inode_put(w->table, a);
    assert_true(exists(w, number));
    for (size_t i = 0; i < count; i++)
        inode_put(w->table, list[i]);
    free(list);
    assert_false(exists(w, number));
    inode_put(w->table, b);
    inode_put(w->table, unknown);
}

static void one_bucket_or_all_are_collected(void **state)
{
    struct world *w = *state;
    struct inode *a = bind_file(w, w->bucket, "a", "a", 5);
    void *other;

    assert_int_equal(fixture_make_kv(&other), 0);
    struct inode_target target = {INODE_BUCKET, ((struct fixture *)other)->bucket, "",
                                  NULL, NULL};
    struct inode *second = bind_place(w->table, w->kv, "other", &target);
    inode_remember(w->table, a);
    inode_remember(w->table, second);
    assert_int_equal(collect_and_put(w, w->fixture->bucket), 1);
    assert_int_equal(collect_and_put(w, target.bucket), 1);
    assert_int_equal(collect_and_put(w, NULL), 2);
    inode_forget(w->table, second->number, 1);
    inode_put(w->table, second);
    fixture_drop(&other);
    inode_put(w->table, a);
}

/* Without memory, and from many threads -------------------------------------------------------- */

static void a_table_without_memory_is_none(void **state)
{
    (void)state;
    for (unsigned n = 1;; n++) {
        failing_malloc_start(n);
        struct inode_table *table = inode_table_new();
        bool failed = failing_malloc_stop();

        if (!failed) {
            assert_non_null(table);
            inode_table_free(table);
            return;
        }
        assert_null(table);
    }
}

static void a_name_without_memory_leaves_its_parent_as_it_was(void **state)
{
    struct world *w = *state;

    for (unsigned n = 1;; n++) {
        struct inode *d = bind_directory(w, w->bucket, "d", "d");
        uint64_t number = d->number;
        struct tree_attr attr;
        struct inode_target target = file_target(w, "d/a", &attr, 5);

        failing_malloc_start(n);
        struct inode *file = inode_bind(w->table, d, "a", &target);
        bool failed = failing_malloc_stop();
        assert_int_equal(file == NULL, failed);
        inode_put(w->table, file);
        inode_put(w->table, d);
        assert_false(exists(w, number)); /* nothing counts it any more */
        if (!failed)
            return;
    }
}

static void a_table_that_cannot_grow_still_finds_everything(void **state)
{
    struct world *w = *state;
    char name[16];
    bool failed = false;

    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        failing_malloc_start(4); /* the inode's own are three */
        struct inode *file = bind_file(w, w->bucket, name, name, 1);
        failed |= failing_malloc_stop();
        inode_remember(w->table, file);
        inode_put(w->table, file);
    }
    assert_true(failed);
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        assert_int_not_equal(bound_number(w, w->bucket, name), 0);
    }
}

#define THREADS 4
#define ROUNDS 20000
#define NAMES 16

/* What lookups and forgets do; the version changes now and then. */
static void *use_names(void *arg)
{
    struct world *w = arg;
    struct tree_attr attr;
    char name[16];

    for (unsigned i = 0; i < ROUNDS; i++) {
        snprintf(name, sizeof(name), "n%u", i % NAMES);
        struct inode_target target = file_target(w, name, &attr, 1 + i / 64);
        struct inode *file = inode_bind(w->table, w->bucket, name, &target);
        uint64_t number = file->number;

        inode_remember(w->table, file);
        if (i % 7 == 0)
            inode_unlink(w->table, file);
        inode_put(w->table, file);
        inode_forget(w->table, number, 1);
    }
    return NULL;
}

static void threads_that_look_up_and_forget_leave_nothing_behind(void **state)
{
    struct world *w = *state;
    pthread_t threads[THREADS];
    char name[16];

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_names, w), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        assert_int_equal(bound_number(w, w->bucket, name), 0);
    }
    uint64_t number = w->bucket->number;
    inode_put(w->table, w->bucket);
    assert_false(exists(w, number));
}

/* Moved ------------------------------------------------------------------------------------- */

/* The number that requests for a number are served as; 0: none. */
static uint64_t served_as(struct world *w, uint64_t number)
{
    struct inode *inode = inode_get(w->table, number);
    uint64_t served = inode != NULL ? inode->number : 0;

    inode_put(w->table, inode);
    return served;
}

static void a_moved_inode_is_served_as_the_new_one(void **state)
{
    struct world *w = *state;
    struct inode *old = bind_file(w, w->bucket, "a", "a", 5);
    struct inode *new = bind_file(w, w->bucket, "b", "b", 6);
    struct inode *exact;

    inode_unbind(w->table, old);
    inode_move(w->table, old, new);
    assert_int_equal(served_as(w, old->number), new->number);
    assert_true(inode_is_moved(w->table, old));
    assert_false(inode_is_removed(w->table, old));
    assert_int_equal(bound_number(w, w->bucket, "a"), 0);
    assert_int_equal(bound_number(w, w->bucket, "b"), new->number);
    exact = inode_get_exactly(w->table, old->number);
    assert_ptr_equal(exact, old);
    inode_put(w->table, exact);
    inode_put(w->table, old);
    inode_put(w->table, new);
}

static void a_moved_inode_keeps_the_new_one_as_long_as_it_lives(void **state)
{
    struct world *w = *state;
    struct inode *old = bind_file(w, w->bucket, "a", "a", 5);
    struct inode *new = bind_file(w, w->bucket, "b", "b", 6);
    uint64_t number = old->number, new_number = new->number;

    inode_remember(w->table, old);
    inode_move(w->table, old, new);
    inode_put(w->table, old);
    inode_put(w->table, new);
    assert_int_equal(served_as(w, number), new_number);
    inode_forget(w->table, number, 1);
    assert_false(exists(w, number));
    assert_false(exists(w, new_number));
    assert_int_equal(bound_number(w, w->bucket, "b"), 0);
}

static void moves_follow_each_other_and_lead_in_no_circle(void **state)
{
    struct world *w = *state;
    struct inode *a = bind_file(w, w->bucket, "a", "a", 5);
    struct inode *b = bind_file(w, w->bucket, "b", "b", 6);
    struct inode *c = bind_file(w, w->bucket, "c", "c", 7);
    uint64_t last = c->number;

    inode_move(w->table, a, b);
    inode_move(w->table, b, c);
    assert_int_equal(served_as(w, a->number), last);
    assert_int_equal(served_as(w, b->number), last);
    inode_move(w->table, c, a);
    assert_int_equal(served_as(w, c->number), last);
    inode_move(w->table, a, c);
    assert_int_equal(served_as(w, a->number), last);
    inode_put(w->table, b);
    inode_put(w->table, a);
    inode_put(w->table, c);
    assert_false(exists(w, last));
}

static void a_second_move_lets_go_of_the_first(void **state)
{
    struct world *w = *state;
    struct inode *a = bind_file(w, w->bucket, "a", "a", 5);
    struct inode *b = bind_file(w, w->bucket, "b", "b", 6);
    struct inode *c = bind_file(w, w->bucket, "c", "c", 7);
    uint64_t first = b->number;

    inode_move(w->table, a, b);
    inode_put(w->table, b);
    inode_move(w->table, a, c);
    assert_false(exists(w, first));
    assert_int_equal(served_as(w, a->number), c->number);
    inode_put(w->table, a);
    inode_put(w->table, c);
}

static void two_names_can_swap(void **state)
{
    struct world *w = *state;
    struct inode *a = bind_file(w, w->bucket, "a", "a", 5);
    struct inode *b = bind_file(w, w->bucket, "b", "b", 6);

    inode_unbind(w->table, a);
    inode_unbind(w->table, b);
    struct inode *new_a = bind_file(w, w->bucket, "a", "a", 8);
    struct inode *new_b = bind_file(w, w->bucket, "b", "b", 7);
    inode_move(w->table, a, new_b);
    inode_move(w->table, b, new_a);
    assert_int_equal(served_as(w, a->number), new_b->number);
    assert_int_equal(served_as(w, b->number), new_a->number);
    inode_put(w->table, a);
    inode_put(w->table, b);
    inode_put(w->table, new_a);
    inode_put(w->table, new_b);
}

static void what_is_below_a_moved_directory_follows(void **state)
{
    struct world *w = *state;
    struct inode *d = bind_directory(w, w->bucket, "d", "d");
    struct inode *e = bind_directory(w, d, "e", "d/e");
    struct inode *f = bind_directory(w, e, "f", "d/e/f");
    struct inode *a = bind_file(w, e, "a", "d/e/a", 5);
    struct inode *beside = bind_directory(w, w->bucket, "de", "de");
    struct inode *new = bind_directory(w, w->bucket, "n", "n");

    inode_move(w->table, d, new);
    struct inode *served = inode_get(w->table, f->number);
    assert_string_equal(served->path, "n/e/f");
    assert_string_equal(served->parent->path, "n/e");
    assert_ptr_equal(served->parent->parent, new);
    assert_int_equal(served_as(w, e->number), served->parent->number);
    assert_int_equal(bound_number(w, new, "e"), served->parent->number);
    inode_put(w->table, served);
    assert_true(inode_is_removed(w->table, a));
    assert_int_equal(bound_number(w, e, "a"), 0);
    assert_int_equal(served_as(w, beside->number), beside->number);

    uint64_t numbers[] = {d->number, e->number, f->number, a->number, new->number};
    struct inode *held[] = {a, f, e, d, new, beside};
    for (size_t i = 0; i < sizeof(held) / sizeof(held[0]); i++)
        inode_put(w->table, held[i]);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        assert_false(exists(w, numbers[i]));
}

#define WORLD_TEST(test) cmocka_unit_test_setup_teardown(test, make_world, drop_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_name_leads_to_one_inode),
        WORLD_TEST(another_version_is_another_inode),
        WORLD_TEST(another_kind_is_another_inode),
        WORLD_TEST(a_version_that_turns_out_damaged_is_another_inode),
        WORLD_TEST(a_bucket_made_anew_is_another_inode),
        WORLD_TEST(a_directory_is_the_same_inode_whatever_changes_in_it),
        WORLD_TEST(a_file_open_for_writing_keeps_its_name),
        WORLD_TEST(our_own_write_keeps_the_inode),
        WORLD_TEST(the_same_name_elsewhere_is_another_inode),
        WORLD_TEST(an_unbound_inode_is_found_by_its_number_only),
        WORLD_TEST(an_inode_lives_until_the_kernel_forgets_it),
        WORLD_TEST(an_inode_in_use_outlives_the_kernels_forget),
        WORLD_TEST(forgetting_more_than_there_is_does_no_harm),
        WORLD_TEST(a_number_is_never_given_again),
        WORLD_TEST(a_child_keeps_its_parents_and_the_last_one_takes_them_along),
        WORLD_TEST(a_parent_that_is_known_stays_when_its_last_child_goes),
        WORLD_TEST(the_top_stays_for_ever),
        WORLD_TEST(names_are_found_while_the_table_grows_and_empties),
        WORLD_TEST(a_place_and_version_have_one_shown_number),
        WORLD_TEST(shown_numbers_differ_by_place_version_and_kind),
        WORLD_TEST(the_shown_number_stays_through_our_own_write),
        WORLD_TEST(a_bucket_shows_the_number_that_its_name_has_in_a_listing),
        WORLD_TEST(what_the_kernel_knows_of_a_bucket_is_collected),
        WORLD_TEST(one_bucket_or_all_are_collected),
        cmocka_unit_test(a_table_without_memory_is_none),
        WORLD_TEST(a_name_without_memory_leaves_its_parent_as_it_was),
        WORLD_TEST(a_table_that_cannot_grow_still_finds_everything),
        WORLD_TEST(threads_that_look_up_and_forget_leave_nothing_behind),
        WORLD_TEST(a_moved_inode_is_served_as_the_new_one),
        WORLD_TEST(a_moved_inode_keeps_the_new_one_as_long_as_it_lives),
        WORLD_TEST(moves_follow_each_other_and_lead_in_no_circle),
        WORLD_TEST(a_second_move_lets_go_of_the_first),
        WORLD_TEST(two_names_can_swap),
        WORLD_TEST(what_is_below_a_moved_directory_follows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
