/* Signals, base64 and the meaning of a spawn request. */
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "service/spec.h"

static const struct spec_defaults defaults = {10000000, 1000, FULL_DROP_OLDEST};

static struct problem *read_spec(const char *json, struct spec **spec)
{
    json_t *body = json_loads(json, 0, NULL);
    assert_non_null(body);
    struct problem *problem = spec_from_json(body, &defaults, spec);
    json_decref(body);
    return problem;
}

static struct spec *good(const char *json)
{
    struct spec *spec = NULL;
    assert_null(read_spec(json, &spec));
    assert_non_null(spec);
    return spec;
}

static void assert_fault(const char *json, const char *place)
{
    struct spec *spec = NULL;
    struct problem *problem = read_spec(json, &spec);
    assert_non_null(problem);
    assert_null(spec);
    bool named = false;
    for (size_t i = 0; i < problem->fault_count; i++) {
        named |= strcmp(problem->faults[i].place, place) == 0;
    }
    assert_true(named);
    problem_free(problem);
}

static void signals_are_known_by_name_number_and_real_time_offset(void **state)
{
    (void)state;
    assert_int_equal(signal_from_text("SIGTERM"), SIGTERM);
    assert_int_equal(signal_from_text("term"), SIGTERM);
    assert_int_equal(signal_from_text("15"), SIGTERM);
    assert_int_equal(signal_from_text("SIGRTMIN+3"), SIGRTMIN + 3);
    assert_int_equal(signal_from_text("RTMAX-1"), SIGRTMAX - 1);
    const char *wrong[] = {"", "SIG", "SIGFOO", "0", "-1", "65", "15x", "SIGRTMIN+", "RTMIN+99", "RTMAX+1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(signal_from_text(wrong[i]), 0);
    }
}

static void every_signal_reads_back_under_its_own_name(void **state)
{
    (void)state;
    for (int signal = 1; signal <= SIGRTMAX; signal++) {
        char name[16];
        signal_name(signal, name);
        if (signal < 32 || signal >= SIGRTMIN) {
            assert_int_equal(signal_from_text(name), signal);
        }
    }
}

static void base64_is_decoded_strictly(void **state)
{
    (void)state;
    void *data;
    size_t bytes;
    assert_true(base64_decode("AAECAw==", 8, &data, &bytes));
    assert_int_equal(bytes, 4);
    assert_memory_equal(data, "\0\1\2\3", 4);
    free(data);
    assert_true(base64_decode("", 0, &data, &bytes));
    assert_int_equal(bytes, 0);
    free(data);
    assert_false(base64_decode("AAE", 3, &data, &bytes));
    assert_false(base64_decode("AA E=", 5, &data, &bytes));
    assert_false(base64_decode("A=E=", 4, &data, &bytes));
    assert_false(base64_decode("AAE-", 4, &data, &bytes));
}

static void a_bare_argv_gets_the_defaults(void **state)
{
    (void)state;
    struct spec *spec = good("{\"argv\":[\"true\"]}");
    assert_int_equal(spec->argc, 1);
    assert_null(spec->argv[1]);
    assert_true(spec->start && spec->api && !spec->daemon && !spec->clear_env);
    assert_int_equal(spec->stop_signal, SIGTERM);
    assert_int_equal(spec->grace_us, 10000000);
    assert_int_equal(spec->max_output_bytes, 1000);
    assert_int_equal(spec->stdin_mode, STDIN_NULL);
    spec_free(spec);
}

static void a_shell_line_becomes_sh_c(void **state)
{
    (void)state;
    struct spec *spec = good("{\"shell\":\"a | b\"}");
    assert_int_equal(spec->argc, 3);
    assert_string_equal(spec->argv[0], "/bin/sh");
    assert_string_equal(spec->argv[2], "a | b");
    spec_free(spec);
}

static void every_field_finds_its_place(void **state)
{
    (void)state;
    struct spec *spec = good(
        "{\"argv\":[\"x\",\"y\"],\"name\":\"n\",\"cwd\":\"/tmp\",\"env\":{\"K\":\"V\"},"
        "\"clear_env\":true,\"daemon\":true,\"start\":false,\"stdin\":{\"base64\":\"AAE=\"},"
        "\"stdout\":\"null\",\"stderr\":\"stdout\",\"umask\":\"027\",\"nice\":5,"
        "\"rlimits\":{\"nofile\":64,\"as_bytes\":1048576},\"timeout_seconds\":1.5,"
        "\"stop\":{\"signal\":\"INT\",\"grace_seconds\":0.25},"
        "\"output\":{\"max_bytes\":9,\"when_full\":\"block\"},\"labels\":{\"a\":\"b\"},\"api\":false}");
    assert_string_equal(spec->env[0], "K=V");
    assert_int_equal(spec->stdin_bytes, 2);
    assert_int_equal(spec->flags, SPAWN_STDOUT_NULL | SPAWN_STDERR_MERGED | SPAWN_SET_UMASK | SPAWN_SET_NICE);
    assert_int_equal(spec->umask, 027);
    assert_int_equal(spec->rlimits[RLIMIT_NOFILE].soft, 64);
    assert_int_equal(spec->rlimit_mask, 1u << RLIMIT_NOFILE | 1u << RLIMIT_AS);
    assert_int_equal(spec->timeout_us, 1500000);
    assert_int_equal(spec->stop_signal, SIGINT);
    assert_int_equal(spec->grace_us, 250000);
    assert_int_equal(spec->when_full, FULL_BLOCK);
    assert_int_equal(spec->max_output_bytes, 9);
    assert_true(spec->daemon && spec->clear_env && !spec->start && !spec->api);
    spec_free(spec);
}

static void limits_have_a_field_each_and_a_cpu_limit_ends_softly(void **state)
{
    (void)state;
    struct spec *spec = good("{\"argv\":[\"x\"],\"rlimits\":{\"cpu_seconds\":7,\"nproc\":9}}");
    assert_int_equal(spec->rlimits[RLIMIT_CPU].soft, 7);
    assert_int_equal(spec->rlimits[RLIMIT_CPU].hard, 9);
    assert_int_equal(spec->rlimits[RLIMIT_NPROC].hard, 9);
    assert_string_equal(spec_limit_name(RLIMIT_NPROC), "nproc");
    assert_null(spec_limit_name(RLIMIT_NICE));
    spec_free(spec);
}

/* In a child, because it gives up its rights for good. */
static void an_account_that_is_our_own_needs_no_privileges(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        char json[64];
        if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
            _exit(1);
        snprintf(json, sizeof json, "{\"argv\":[\"x\"],\"user\":%u,\"group\":%u}", geteuid(), getegid());
        struct spec *same = good(json);
        snprintf(json, sizeof json, "{\"argv\":[\"x\"],\"user\":%u,\"group\":1}", geteuid());
        struct spec *other = good(json);
        _exit((same->flags & SPAWN_SET_IDS) == 0 && (other->flags & SPAWN_SET_IDS) != 0 ? 0 : 2);
    }
    int status = -1;
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
    assert_int_equal(status, 0);
}

static void each_fault_is_named_by_its_place(void **state)
{
    (void)state;
    assert_fault("{}", "/argv");
    assert_fault("{\"argv\":[]}", "/argv");
    assert_fault("{\"argv\":[\"a\",1]}", "/argv/1");
    assert_fault("{\"argv\":[\"a\"],\"shell\":\"b\"}", "/shell");
    assert_fault("{\"argv\":[\"a\"],\"name\":\"\"}", "/name");
    assert_fault("{\"argv\":[\"a\"],\"name\":\"a\\nb\"}", "/name");
    assert_fault("{\"argv\":[\"a\"],\"cwd\":\"tmp\"}", "/cwd");
    assert_fault("{\"argv\":[\"a\"],\"env\":{\"A=B\":\"c\"}}", "/env/A=B");
    assert_fault("{\"argv\":[\"a\"],\"env_from\":{\"A\":{\"file\":\"x\"}}}", "/env_from");
    assert_fault("{\"argv\":[\"a\"],\"env_from\":{\"A\":{\"file\":\"/x/../y\"}}}", "/env_from");
    assert_fault("{\"argv\":[\"a\"],\"env_from\":{\"A\":{}}}", "/env_from");
    assert_fault("{\"argv\":[\"a\"],\"env\":{\"A\":\"\"},\"env_from\":{\"A\":{\"file\":\"/x\"}}}", "/env_from");
    assert_fault("{\"argv\":[\"a\"],\"stdin\":\"file\"}", "/stdin");
    assert_fault("{\"argv\":[\"a\"],\"stdin\":{\"base64\":\"=\"}}", "/stdin/base64");
    assert_fault("{\"argv\":[\"a\"],\"umask\":\"9\"}", "/umask");
    assert_fault("{\"argv\":[\"a\"],\"stop\":{\"signal\":\"NOPE\"}}", "/stop/signal");
    assert_fault("{\"argv\":[\"a\"],\"user\":\"no-such-user-here\"}", "/user");
}

static void a_plain_path_says_where_it_leads(void **state)
{
    (void)state;
    static const char *const plain[] = {"/", "/a", "/a/", "//a", "/a/..b/...", "/..a", "/a/./b"};
    static const char *const others[] = {"", "a", "../a", "/..", "/../a", "/a/..", "/a/../b", "/a/../", "//.."};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        assert_true(spec_path_is_plain(plain[i]));
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_false(spec_path_is_plain(others[i]));
    }
}

static void all_faults_come_at_once(void **state)
{
    (void)state;
    struct spec *spec;
    struct problem *problem = read_spec("{\"argv\":[],\"cwd\":\"x\",\"umask\":\"z\"}", &spec);
    assert_int_equal(problem->fault_count, 3);
    problem_free(problem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_are_known_by_name_number_and_real_time_offset),
        cmocka_unit_test(every_signal_reads_back_under_its_own_name),
        cmocka_unit_test(base64_is_decoded_strictly),
        cmocka_unit_test(a_bare_argv_gets_the_defaults),
        cmocka_unit_test(a_shell_line_becomes_sh_c),
        cmocka_unit_test(every_field_finds_its_place),
        cmocka_unit_test(limits_have_a_field_each_and_a_cpu_limit_ends_softly),
        cmocka_unit_test(an_account_that_is_our_own_needs_no_privileges),
        cmocka_unit_test(each_fault_is_named_by_its_place),
        cmocka_unit_test(a_plain_path_says_where_it_leads),
        cmocka_unit_test(all_faults_come_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
