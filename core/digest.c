/* SPDX-License-Identifier: Apache-2.0 */
/* digest.c - SHA-256 by OpenSSL, and its text.
 * Layer 2.
 */
#include "core/digest.h"
#include "core/base64.h"
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PREFIX "SHA-256="
#define PREFIX_LENGTH (sizeof(PREFIX) - 1)
#define HEX_LENGTH ((size_t)2 * DIGEST_SIZE)
#define BASE64_LENGTH ((size_t)44)

struct digest {
    EVP_MD_CTX *context;
};

struct digest *digest_new(void)
{
    struct digest *digest = malloc(sizeof(*digest));

    if (digest == NULL)
        return NULL;
    digest->context = EVP_MD_CTX_new();
    if (digest->context != NULL &&
        EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL) == 1)
        return digest;
    digest_free(digest);
    return NULL;
}

void digest_free(struct digest *digest)
{
    if (digest == NULL)
        return;
    EVP_MD_CTX_free(digest->context);
    free(digest);
}

/* OpenSSL's update and final fail only for a context that was not started or has ended, which
 * is a mistake in the program; going on would store a wrong digest.
 */
static void require(int success)
{
    if (success != 1)
        abort();
}

void digest_add(struct digest *digest, const void *data, size_t size)
{
    require(EVP_DigestUpdate(digest->context, data, size));
}

void digest_finish(struct digest *digest, unsigned char out[DIGEST_SIZE])
{
    require(EVP_DigestFinal_ex(digest->context, out, NULL));
}

void digest_format(const unsigned char hash[DIGEST_SIZE], char out[DIGEST_TEXT_SIZE])
{
    memcpy(out, PREFIX, PREFIX_LENGTH);
    base64_encode(hash, DIGEST_SIZE, out + PREFIX_LENGTH);
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

static bool read_hex(const char *text, unsigned char hash[DIGEST_SIZE])
{
    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        hash[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

bool digest_parse(const char *text, unsigned char out[DIGEST_SIZE])
{
    unsigned char hash[BASE64_DATA_SIZE(BASE64_LENGTH)];
    size_t length, size = 0;

    if (text == NULL || strncasecmp(text, PREFIX, PREFIX_LENGTH) != 0)
        return false;
    text += PREFIX_LENGTH;
    length = strlen(text);
    if (length == HEX_LENGTH) {
        if (!read_hex(text, hash))
            return false;
    } else if (length > BASE64_LENGTH || !base64_decode(text, length, hash, &size) ||
               size != DIGEST_SIZE) {
        return false;
    }
    memcpy(out, hash, DIGEST_SIZE);
    return true;
}
