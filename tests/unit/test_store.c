/* SPDX-License-Identifier: Apache-2.0 */
/* test_store.c - tokens and the message ids that carry them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/store.h"
#include <stdio.h>
#include <string.h>

static void a_token_comes_back_from_its_message_id(void **state)
{
    const uint64_t tokens[] = {store_token(), store_token(), UINT64_MAX};
    char id[STORE_MESSAGE_ID_SIZE];

    (void)state;
    assert_true(tokens[0] != 0);
    assert_true(tokens[1] != 0);
    assert_int_not_equal(tokens[0], tokens[1]);
    for (size_t i = 0; i < 3; i++) {
        store_message_id(tokens[i], id);
        assert_int_equal(strncmp(id, "jsfs-", 5), 0);
        assert_int_equal(store_message_token(id), tokens[i]);
    }
}

static void other_ids_are_foreign(void **state)
{
    char id[STORE_MESSAGE_ID_SIZE], changed[STORE_MESSAGE_ID_SIZE + 8];

    (void)state;
    store_message_id(42, id);
    assert_int_equal(store_message_token(NULL), 0);
    assert_int_equal(store_message_token(""), 0);
    assert_int_equal(store_message_token("jsfs-0123456789012345678901-42"), 0);
    snprintf(changed, sizeof(changed), "%sx", id);
    assert_int_equal(store_message_token(changed), 0);
    id[strlen(id) - 2] = '\0'; /* no digits */
    assert_int_equal(store_message_token(id), 0);
    snprintf(changed, sizeof(changed), "%s-1", id);
    assert_int_equal(store_message_token(changed), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_comes_back_from_its_message_id),
        cmocka_unit_test(other_ids_are_foreign),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
