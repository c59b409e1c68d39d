/* The digests against published vectors, and at every length around a block's end. */
#include "unit.h"

#include "util/keyedhash.h"
#include "util/sha1.h"
#include "util/sha256.h"
#include "util/siphash.h"

#include <stdio.h>
#include <string.h>

static const char *hex(const uint8_t *p, size_t n)
{
    static char text[2 * SHA256_BYTES + 1];

    for (size_t i = 0; i < n; i++)
        snprintf(text + 2 * i, 3, "%02x", p[i]);
    return text;
}

static const char fips_two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";

TEST(sha1_says_what_the_standard_says)
{
    static const struct {
        const char *text, *sum;
    } cases[] = {
        {"", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
        {"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
        {fips_two_blocks, "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
        /* RFC 6455, 1.3 */
        {"dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
         "b37a4f2cc0624f1690f64606cf385945b2bec4ea"},
    };
    uint8_t sum[SHA1_BYTES];

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        sha1(cases[i].text, strlen(cases[i].text), sum);
        assert_string_equal(hex(sum, sizeof(sum)), cases[i].sum);
    }
}

TEST(sha256_says_what_the_standard_says)
{
    static const struct {
        const char *text, *sum;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {fips_two_blocks, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    char sum[SHA256_HEX + 1];

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        sha256_hex(cases[i].text, strlen(cases[i].text), sum);
        assert_string_equal(sum, cases[i].sum);
    }
}

/* Of the bytes 0, 1, 2 …, with the key 0 … 15: as the authors' reference program gives them. */
TEST(siphash_says_what_its_reference_says)
{
    static const struct siphash_key key = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
    static const uint64_t sums[] = {0xabac0158050fc4dc, 0xc9f49bf37d57ca93, 0x82cb9b024dc7d44d,
                                    0x8bf80ab8e7ddf7fb, 0xcf75576088d38328, 0xdef9d52f49533b67,
                                    0xc50d2b50c59f22a7, 0xd3927d989bb11140, 0x369095118d299a8e,
                                    0x25a48eb36c063de4};
    uint8_t bytes[ARRAY_LEN(sums)];

    for (size_t i = 0; i < ARRAY_LEN(sums); i++) {
        assert_int_equal(siphash(&key, bytes, i), sums[i]);
        bytes[i] = (uint8_t)i;
    }
}

TEST(a_table_hashes_with_the_key_of_the_process)
{
    static const struct siphash_key none;
    unsigned one, again;

    HASH_FUNCTION("name", 4, one);
    HASH_FUNCTION("name", 4, again);
    assert_int_equal(one, again);
    assert_int_equal(one, (unsigned)siphash(siphash_key_process(), "name", 4));
    assert_memory_not_equal(siphash_key_process(), &none, sizeof(none));
}

TEST(hmac_says_what_rfc_4231_says)
{
    static const struct {
        const char *key, *text, *sum;
    } cases[] = {
        {"Jefe", "what do ya want for nothing?",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {"\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b",
         "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    };
    char long_key[131];
    uint8_t sum[SHA256_BYTES];

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        hmac_sha256(cases[i].key, strlen(cases[i].key), cases[i].text, strlen(cases[i].text), sum);
        assert_string_equal(hex(sum, sizeof(sum)), cases[i].sum);
    }
    memset(long_key, 0xaa, sizeof(long_key));
    hmac_sha256(long_key, sizeof(long_key),
                "Test Using Larger Than Block-Size Key - Hash Key First", 54, sum);
    assert_string_equal(hex(sum, sizeof(sum)),
                        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

/* The sum of the sums of "", "a", "aa" … up to 130 bytes, as another implementation finds it. */
TEST(every_length_around_a_block_is_right)
{
    uint8_t all1[131 * SHA1_BYTES], all256[131 * SHA256_BYTES], sum[SHA256_BYTES];
    char text[130];

    memset(text, 'a', sizeof(text));
    for (size_t n = 0; n <= sizeof(text); n++) {
        sha1(text, n, all1 + n * SHA1_BYTES);
        sha256(text, n, all256 + n * SHA256_BYTES);
    }
    sha256(all1, sizeof(all1), sum);
    assert_string_equal(hex(sum, sizeof(sum)),
                        "2909df0e39d1323a561542a0b29f8a62150ab3dd550cf314f7938af2b209725c");
    sha256(all256, sizeof(all256), sum);
    assert_string_equal(hex(sum, sizeof(sum)),
                        "f908a43fc8456c583aacde0fb2627959f8513dc76d0c03979b7f945a7dd78f22");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha1_says_what_the_standard_says),
        cmocka_unit_test(sha256_says_what_the_standard_says),
        cmocka_unit_test(siphash_says_what_its_reference_says),
        cmocka_unit_test(a_table_hashes_with_the_key_of_the_process),
        cmocka_unit_test(hmac_says_what_rfc_4231_says),
        cmocka_unit_test(every_length_around_a_block_is_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
