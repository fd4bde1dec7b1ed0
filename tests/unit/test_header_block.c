/* SPDX-License-Identifier: Apache-2.0 */
/* test_header_block.c - one header out of a stored block. */
#include "core/header_block.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

/* Search an exact copy, so that a sanitizer sees a read behind the block. */
static bool copy_of(const char *block, const char *name, char *out, size_t out_size)
{
    size_t size = strlen(block);
    char *exact = malloc(size > 0 ? size : 1);

    memcpy(exact, block, size);
    bool found = header_block_copy(exact, size, name, out, out_size);
    free(exact);
    return found;
}

static void a_header_is_found(void **state)
{
    static const struct {
        const char *block, *name, *value;
    } rows[] = {
        {"NATS/1.0\r\nNats-Msg-Id: a\r\n\r\n",       "Nats-Msg-Id",  "a"    },
        {"NATS/1.0\r\nKV-Operation:DEL\r\n\r\n",     "KV-Operation", "DEL"  },
        {"NATS/1.0\r\nA: \t1 2 \t\r\n\r\n",          "A",            "1 2"  },
        {"NATS/1.0\r\nA:\r\n\r\n",                   "A",            ""     },
        {"NATS/1.0\r\nkv-operation: PURGE\r\n\r\n",  "KV-Operation", "PURGE"},
        {"NATS/1.0 404 No Messages\r\nA: b\r\n\r\n", "A",            "b"    },
        {"NATS/1.0\r\nA: x: y\r\n\r\n",              "A",            "x: y" },
        {"NATS/1.0\r\nA: cut",                       "A",            "cut"  },
        {"NATS/1.0\nA: bare\n\n",                    "A",            "bare" },
    };
    char value[16];
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_true(copy_of(rows[i].block, rows[i].name, value, sizeof(value)));
        assert_string_equal(value, rows[i].value);
    }
}

static void the_last_value_wins(void **state)
{
    char value[16];
    (void)state;

    assert_true(copy_of("NATS/1.0\r\nA: forged\r\nB: 2\r\na: real\r\n\r\n", "A", value,
                        sizeof(value)));
    assert_string_equal(value, "real");
}

static void what_is_not_there_is_not_found(void **state)
{
    static const char *const blocks[] = {
        "",
        "NATS",
        "NATS/1.0",
        "NATS/1.0\r\n\r\n",
        "HTTP/1.1\r\nA: b\r\n\r\n",
        "NATS/1.0\r\nAA: b\r\n\r\n",
        "NATS/1.0\r\nA : b\r\n\r\n",
        "NATS/1.0\r\nA\r\n\r\n",
        "NATS/1.0 A: b\r\n\r\n",
        "NATS/1.0\r\nB: A: b\r\n\r\n",
    };
    char value[16] = "untouched";
    (void)state;

    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
        assert_false(copy_of(blocks[i], "A", value, sizeof(value)));
    assert_false(header_block_copy(NULL, 0, "A", value, sizeof(value)));
    assert_string_equal(value, "untouched");
}

static void a_value_that_does_not_fit_is_not_cut(void **state)
{
    char value[4];
    (void)state;

    assert_true(copy_of("NATS/1.0\r\nA: 123\r\n\r\n", "A", value, sizeof(value)));
    assert_false(copy_of("NATS/1.0\r\nA: 1234\r\n\r\n", "A", value, sizeof(value)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_is_found),
        cmocka_unit_test(the_last_value_wins),
        cmocka_unit_test(what_is_not_there_is_not_found),
        cmocka_unit_test(a_value_that_does_not_fit_is_not_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
