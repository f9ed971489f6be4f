/*
 * The command line: both ways to write an option, and how it travels on to the server.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/options.h"

/* `words` ends with NULL. */
static bool take(struct refusal *refusal, const char *const *words)
{
    int count = 0;
    while (words[count])
        count++;
    return options_take(count, (char **)(uintptr_t)words, refusal);
}

static void assert_refused(const char *const *words, const char *sentence)
{
    struct refusal refusal = {.usage = false};
    assert_false(take(&refusal, words));
    assert_true(refusal.usage);
    assert_string_equal(refusal.text, sentence);
}

static void a_value_follows_as_a_word_or_behind_an_equals_sign(void **state)
{
    static const char *const words[] = {"--state-dir", "/a", "--runtime-dir=/b=c", "--config", "c",
                                        "--max-processes=5", "--listen", "127.0.0.1:0", NULL};
    struct refusal refusal;
    assert_true(take(&refusal, words));
    assert_false(refusal.usage);
    assert_string_equal(options_given()->state_dir, "/a");
    assert_string_equal(options_given()->runtime_dir, "/b=c");
    assert_string_equal(options_given()->source.path, "c");
    assert_int_equal(options_given()->source.setting_count, 2);
    assert_string_equal(options_given()->source.settings[0], "max-processes=5");
    assert_string_equal(options_given()->source.settings[1], "listen=127.0.0.1:0");
    assert_true(options_set("max_processes"));
    assert_true(options_set("listen"));
    assert_false(options_set("socket"));
}

static void what_the_server_gets_says_the_same_again(void **state)
{
    static const char *const words[] = {"--max_processes", "5", "--socket", "none", NULL};
    struct refusal refusal;
    unsigned argc = 0;
    assert_true(take(&refusal, words));
    const char *const *argv = options_server_argv(&argc);
    assert_int_equal(argc, 3);
    assert_string_equal(argv[0], "--server");
    assert_null(argv[3]);
    assert_true(take(&refusal, argv + 1));
    assert_string_equal(options_given()->source.settings[0], "max_processes=5");
    assert_string_equal(options_given()->source.settings[1], "socket=none");
}

static void a_wrong_command_line_is_told_which_word_is_wrong(void **state)
{
    assert_refused((const char *[]){"--bogus", "1", NULL}, "--bogus: there is no such option");
    assert_refused((const char *[]){"--bogus=1", NULL}, "--bogus: there is no such option");
    assert_refused((const char *[]){"extra", NULL}, "\"extra\" is not an option");
    assert_refused((const char *[]){"--", NULL}, "\"--\" is not an option");
    assert_refused((const char *[]){"--listen", NULL}, "--listen needs a value");
    assert_refused((const char *[]){"--config=", NULL}, "--config= needs a path");
    assert_refused((const char *[]){"--config", "a", "--config", "b", NULL},
                   "--config is given twice");
}

static void there_are_not_more_options_than_the_keeper_can_pass_on(void **state)
{
    const char *words[62];
    struct refusal refusal;
    unsigned argc;
    for (int i = 0; i < 61; i++)
        words[i] = "--sync=full";
    words[61] = NULL;
    assert_refused(words, "more than 60 options are given");
    words[60] = NULL;
    assert_true(take(&refusal, words));
    assert_non_null(options_server_argv(&argc));
    assert_int_equal(argc, 61);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_follows_as_a_word_or_behind_an_equals_sign),
        cmocka_unit_test(what_the_server_gets_says_the_same_again),
        cmocka_unit_test(a_wrong_command_line_is_told_which_word_is_wrong),
        cmocka_unit_test(there_are_not_more_options_than_the_keeper_can_pass_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
