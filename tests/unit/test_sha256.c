/*
 * SHA-256 against the vectors of FIPS 180-4 and of its validation programme, and the scopes that are
 * kept beside the hashes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/scope.h"
#include "service/sha256.h"

static void assert_hash(const void *data, size_t bytes, const char *expected)
{
    uint8_t hash[SHA256_BYTES];
    char text[2 * SHA256_BYTES + 1];
    sha256(data, bytes, hash);
    for (size_t i = 0; i < sizeof hash; i++) {
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
    }
    assert_string_equal(text, expected);
}

static void the_vectors_of_the_standard_come_out(void **state)
{
    static const char two[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    static const char long_two[] =
        "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
        "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu";
    assert_hash("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_hash("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_hash(two, strlen(two),
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    assert_hash(long_two, strlen(long_two),
                "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
}

static void a_million_times_a_comes_out(void **state)
{
    char *data = malloc(1000000);
    assert_non_null(data);
    memset(data, 'a', 1000000);
    assert_hash(data, 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(data);
}

/* The padding takes a block of its own from 56 bytes on. */
static void lengths_around_a_block_come_out(void **state)
{
    static const struct {
        size_t bytes;
        const char *hash;
    } known[] = {
        {55, "02779466cdec163811d078815c633f21901413081449002f24aa3e80f0b88ef7"},
        {56, "d4817aa5497628e7c77e6b606107042bbba3130888c5f47a375e6179be789fbb"},
        {57, "65a16cb7861335d5ace3c60718b5052e44660726da4cd13bb745381b235a1785"},
        {64, "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b"},
        {65, "98ce42deef51d40269d542f5314bef2c7468d401ad5d85168bfab4c0108f75f7"},
        {1000, "541b3e9daa09b20bf85fa273e5cbd3e80185aa4ec298e765db87742b70138a53"},
    };
    static const char zeroes[1000];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        assert_hash(zeroes, known[i].bytes, known[i].hash);
    }
}

static void a_scope_lets_in_what_it_includes(void **state)
{
    static const enum scope all[] = {SCOPE_READ, SCOPE_LOGS, SCOPE_OPERATE, SCOPE_SPAWN,
                                     SCOPE_ADMIN};
    for (size_t i = 0; i < 5; i++) {
        assert_true(scopes_allow(all[i], SCOPE_PUBLIC));
        assert_true(scopes_allow(all[i], SCOPE_READ));
        for (size_t j = 1; j < 5; j++) {
            assert_int_equal(scopes_allow(all[i], all[j]), i == j || all[i] == SCOPE_ADMIN);
        }
    }
    assert_true(scopes_allow(0, SCOPE_PUBLIC));
    assert_false(scopes_allow(0, SCOPE_READ));
}

static void words_are_scopes_only_when_all_of_them_are(void **state)
{
    static const char *const bad[] = {"", "read,", ",read", "read, logs", "reads", "READ", "root"};
    unsigned scopes;
    assert_true(scopes_from_words("read,spawn", &scopes));
    assert_int_equal(scopes, SCOPE_READ | SCOPE_SPAWN);
    assert_true(scopes_from_words("admin", &scopes));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(scopes_from_words(bad[i], &scopes));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_the_standard_come_out),
        cmocka_unit_test(a_million_times_a_comes_out),
        cmocka_unit_test(lengths_around_a_block_come_out),
        cmocka_unit_test(a_scope_lets_in_what_it_includes),
        cmocka_unit_test(words_are_scopes_only_when_all_of_them_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
