/* SPDX-License-Identifier: Apache-2.0 */
/* test_scratch_pattern.c - which names are scratch files', and when.
 * Test of fs/scratch_pattern.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fs/scratch_pattern.h"
#include "tests/support/failing_malloc.h"
#include <fcntl.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define EXCLUSIVE (O_CREAT | O_EXCL)

static struct scratch_patterns patterns_of(const struct config *config)
{
    struct scratch_patterns patterns;

    assert_true(scratch_patterns_init(&patterns, config));
    return patterns;
}

static struct scratch_patterns default_patterns(void)
{
    struct config config;

    config_init(&config);
    return patterns_of(&config);
}

static void names_of_editors_are_always_scratch(void **state)
{
    static const char *const names[] = {
        ".f.swp", ".f.swo", ".f.swx", ".f.swpx", ".f.svz", ".f.un~", "f~", "f.~1~", ".#f", "#f#",
        "f.vsctmp", ".goutputstream-AB12CD", "f___jb_tmp___", "f___jb_old___", ".f.kate-swp",
        ".~lock.f.ods#", "~$f.docx", ".nfs0123456789abcdef", ".DS_Store", "._f",
    };
    struct scratch_patterns patterns = default_patterns();
    (void)state;

    for (size_t i = 0; i < COUNT(names); i++)
        assert_int_equal(scratch_patterns_match(&patterns, names[i]), SCRATCH_ALWAYS);
    scratch_patterns_clear(&patterns);
}

static void names_of_keys_are_none(void **state)
{
    static const char *const names[] = {
        "f",        "f.lock",  "f.bak",   "f.orig",  "f.rej",   "f.tmp",   "f.save",
        "f.ob12345", "sed1",   "sedation1x", "XX",   "4912",    "49133",   ".env",
        ".f.yaml",  ".jsfs",   "@value",  "config.json", "a.swp", "f.conf",
    };
    struct scratch_patterns patterns = default_patterns();
    (void)state;

    for (size_t i = 0; i < COUNT(names); i++)
        assert_int_equal(scratch_patterns_match(&patterns, names[i]), SCRATCH_NONE);
    scratch_patterns_clear(&patterns);
}

static void ambiguous_names_have_classes_of_their_own(void **state)
{
    struct scratch_patterns patterns = default_patterns();
    (void)state;

    assert_int_equal(scratch_patterns_match(&patterns, "sedAbC123"), SCRATCH_PRIVATE);
    assert_int_equal(scratch_patterns_match(&patterns, "XXabcdef"), SCRATCH_PRIVATE);
    assert_int_equal(scratch_patterns_match(&patterns, ".f.AbC123"), SCRATCH_PRIVATE);
    assert_int_equal(scratch_patterns_match(&patterns, "4913"), SCRATCH_PROBE);
    scratch_patterns_clear(&patterns);
}

static void an_ambiguous_name_counts_only_as_its_program_makes_it(void **state)
{
    (void)state;
    assert_true(scratch_class_takes(SCRATCH_ALWAYS, O_CREAT | O_WRONLY, 0644));
    assert_false(scratch_class_takes(SCRATCH_NONE, EXCLUSIVE | O_RDWR, 0600));
    assert_true(scratch_class_takes(SCRATCH_PRIVATE, EXCLUSIVE | O_RDWR, 0600));
    assert_false(scratch_class_takes(SCRATCH_PRIVATE, EXCLUSIVE | O_WRONLY, 0600));
    assert_false(scratch_class_takes(SCRATCH_PRIVATE, EXCLUSIVE | O_RDWR, 0644));
    assert_false(scratch_class_takes(SCRATCH_PRIVATE, O_CREAT | O_RDWR, 0600));
    assert_true(scratch_class_takes(SCRATCH_PROBE, EXCLUSIVE | O_WRONLY, 0644));
    assert_false(scratch_class_takes(SCRATCH_PROBE, O_CREAT | O_WRONLY, 0644));
}

static void the_configuration_replaces_each_list(void **state)
{
    struct config config;
    (void)state;

    config_init(&config);
    config.scratch_patterns = (char[]){"  *.part\t*.tmp "};
    config.scratch_probes = (char[]){"none"};
    struct scratch_patterns patterns = patterns_of(&config);
    assert_int_equal(scratch_patterns_match(&patterns, "a.tmp"), SCRATCH_ALWAYS);
    assert_int_equal(scratch_patterns_match(&patterns, "a.part"), SCRATCH_ALWAYS);
    assert_int_equal(scratch_patterns_match(&patterns, "f~"), SCRATCH_NONE);
    assert_int_equal(scratch_patterns_match(&patterns, "4913"), SCRATCH_NONE);
    assert_int_equal(scratch_patterns_match(&patterns, "none"), SCRATCH_NONE);
    assert_int_equal(scratch_patterns_match(&patterns, "XXabcdef"), SCRATCH_PRIVATE);
    scratch_patterns_clear(&patterns);
}

static void without_memory_there_are_no_patterns(void **state)
{
    struct scratch_patterns patterns;
    struct config config;
    (void)state;

    config_init(&config);
    for (unsigned n = 1; n <= 3; n++) {
        failing_malloc_start(n);
        bool made = scratch_patterns_init(&patterns, &config);
        assert_true(failing_malloc_stop());
        assert_false(made);
        assert_null(patterns.globs[SCRATCH_ALWAYS]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_editors_are_always_scratch),
        cmocka_unit_test(names_of_keys_are_none),
        cmocka_unit_test(ambiguous_names_have_classes_of_their_own),
        cmocka_unit_test(an_ambiguous_name_counts_only_as_its_program_makes_it),
        cmocka_unit_test(the_configuration_replaces_each_list),
        cmocka_unit_test(without_memory_there_are_no_patterns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
