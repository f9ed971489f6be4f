/*
 * TLS: the suites that are offered, which files are taken, and whose name a certificate's is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "api/tls.h"

static void the_priorities_are_understood_and_hold_nothing_old(void **state)
{
    const unsigned *protocols, *ciphers, *macs;
    gnutls_priority_t priorities;
    (void)state;
    assert_int_equal(gnutls_priority_init(&priorities, TLS_PRIORITIES, NULL), 0);
    int count = gnutls_priority_protocol_list(priorities, &protocols);
    assert_int_equal(count, 2);
    assert_int_equal(protocols[0], GNUTLS_TLS1_3);
    assert_int_equal(protocols[1], GNUTLS_TLS1_2);
    assert_int_equal(gnutls_priority_cipher_list(priorities, &ciphers), 3);
    assert_int_equal(gnutls_priority_mac_list(priorities, &macs), 1);
    assert_int_equal(macs[0], GNUTLS_MAC_AEAD);
    gnutls_priority_deinit(priorities);
}

static void no_file_is_taken_for_a_certificate_that_is_none(void **state)
{
    static const struct {
        struct tls_files files;
        const char *words;
    } cases[] = {
        {{NULL, NULL, NULL}, "needs tls.certificate and tls.key"},
        {{"/dev/null", NULL, NULL}, "needs tls.certificate and tls.key"},
        {{"/dev/null", "/dev/null", NULL}, "/dev/null: is not a regular file"},
        {{"/nowhere/a", "/nowhere/b", NULL}, "/nowhere/a: cannot be opened"},
        {{"Makefile", "/nowhere/b", NULL}, "/nowhere/b: cannot be opened"},
        {{"Makefile", "Makefile", NULL}, "Makefile: "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct refusal refusal;
        assert_null(tls_identity_load(&cases[i].files, true, &refusal));
        if (!strstr(refusal.text, cases[i].words)) {
            fail_msg("\"%s\" does not say \"%s\"", refusal.text, cases[i].words);
        }
    }
}

static void a_name_is_known_as_a_whole_or_by_its_only_common_name(void **state)
{
    char name[] = "CN=alice,O=acme", common[] = "alice", odd[] = "CN=a\\,O=x", odd_common[] = "a,O=x";
    const struct tls_subject alice = {name, common}, nameless = {name, NULL}, tricky = {odd, odd_common};
    (void)state;
    assert_true(tls_subject_is(&alice, "CN=alice,O=acme"));
    assert_true(tls_subject_is(&alice, "CN=alice"));
    assert_false(tls_subject_is(&alice, "CN=Alice"));
    assert_false(tls_subject_is(&alice, "CN="));
    assert_false(tls_subject_is(&alice, "alice"));
    assert_false(tls_subject_is(&alice, "O=alice"));
    assert_false(tls_subject_is(&alice, "CN=alice,O=other"));
    assert_true(tls_subject_is(&nameless, "CN=alice,O=acme"));
    assert_false(tls_subject_is(&nameless, "CN=alice"));
    assert_true(tls_subject_is(&tricky, "CN=a\\,O=x"));
    assert_false(tls_subject_is(&tricky, "CN=a,O=x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_priorities_are_understood_and_hold_nothing_old),
        cmocka_unit_test(no_file_is_taken_for_a_certificate_that_is_none),
        cmocka_unit_test(a_name_is_known_as_a_whole_or_by_its_only_common_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
