/* SPDX-License-Identifier: Apache-2.0 */
/* test_digest.c - the SHA-256 that other clients compare, read as each of them writes it.
 * Unit test of layer 2.
 */
#include "core/digest.h"
#include "core/cleanup.h"
#include "tests/support/failing_malloc.h"
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void cleanup_digest(struct digest **digest)
{
    digest_free(*digest);
}

/* FIPS 180-4's examples; the empty one as reference nats.md §2.2 has it. */
static const struct {
    const char *data, *text;
} known[] = {
    {"",    "SHA-256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU="},
    {"abc", "SHA-256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0="},
};

static void a_digest_is_written_as_every_client_compares_it(void **state)
{
    (void)state;

    for (size_t i = 0; i < COUNT(known); i++) {
        CLEANUP(cleanup_digest) struct digest *digest = digest_new();
        unsigned char hash[DIGEST_SIZE];
        char text[DIGEST_TEXT_SIZE];
        digest_add(digest, known[i].data, strlen(known[i].data));
        digest_finish(digest, hash);
        digest_format(hash, text);
        assert_string_equal(text, known[i].text);
        assert_int_equal(strlen(text) + 1, DIGEST_TEXT_SIZE);
    }
}

static void pieces_make_the_digest_of_the_whole(void **state)
{
    CLEANUP(cleanup_digest) struct digest *digest = digest_new();
    unsigned char hash[DIGEST_SIZE], expected[DIGEST_SIZE];
    (void)state;

    digest_add(digest, "a", 1);
    digest_add(digest, "", 0);
    digest_add(digest, "bc", 2);
    digest_finish(digest, hash);
    assert_true(digest_parse(known[1].text, expected));
    assert_memory_equal(hash, expected, DIGEST_SIZE);
}

static void every_form_that_a_client_wrote_is_read(void **state)
{
    static const char *const forms[] = {
        "SHA-256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0=",
        "sha-256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0=",
        "Sha-256=ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
        "SHA-256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0",
        "SHA-256=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "SHA-256=BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD",
    };
    unsigned char hash[DIGEST_SIZE];
    char text[DIGEST_TEXT_SIZE];
    (void)state;

    for (size_t i = 0; i < COUNT(forms); i++) {
        memset(hash, 0, sizeof(hash));
        assert_true(digest_parse(forms[i], hash));
        digest_format(hash, text);
        assert_string_equal(text, known[1].text);
    }
}

static void what_is_no_digest_leaves_the_output_alone(void **state)
{
    static const char *const forms[] = {
        NULL,
        "",
        "SHA-256",
        "SHA-256=",
        "SHA-512=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0=",
        "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0=",
        "SHA-256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa",
        "SHA-256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0==",
        "SHA-256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0=\n",
        "SHA-256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIA Fa0=",
        "SHA-256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0A",
        "SHA-256=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a",
        "SHA-256=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ag",
        "SHA-256=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad0",
    };
    unsigned char hash[DIGEST_SIZE], before[DIGEST_SIZE];
    (void)state;

    memset(before, 0x5a, sizeof(before));
    memcpy(hash, before, sizeof(hash));
    for (size_t i = 0; i < COUNT(forms); i++) {
        assert_false(digest_parse(forms[i], hash));
        assert_memory_equal(hash, before, DIGEST_SIZE);
    }
}

static void without_memory_there_is_no_digest(void **state)
{
    (void)state;

    failing_malloc_start(1);
    struct digest *digest = digest_new();
    assert_true(failing_malloc_stop());
    assert_null(digest);
    digest_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_digest_is_written_as_every_client_compares_it),
        cmocka_unit_test(pieces_make_the_digest_of_the_whole),
        cmocka_unit_test(every_form_that_a_client_wrote_is_read),
        cmocka_unit_test(what_is_no_digest_leaves_the_output_alone),
        cmocka_unit_test(without_memory_there_is_no_digest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
