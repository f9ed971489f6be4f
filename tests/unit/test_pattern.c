/*
 * Patterns: tables of what matches and what is refused, the machine against glibc's on short random
 * texts, and its cost, counted in steps, on what makes searches that go back explode.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "db/pattern_program.h"

static struct pattern *compile(const char *text)
{
    char why[120];
    struct pattern *pattern = pattern_compile(text, strlen(text), why, sizeof why);
    if (!pattern)
        fail_msg("%s: %s", text, why);
    return pattern;
}

struct example {
    const char *pattern, *yes[6], *no[6]; /* up to the first NULL */
};

static void check_examples(const struct example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct example *example = &examples[i];
        struct pattern *pattern = compile(example->pattern);
        for (const char *const *text = example->yes; *text; text++)
            if (!pattern_find(pattern, *text, strlen(*text)))
                fail_msg("%s does not find \"%s\"", example->pattern, *text);
        for (const char *const *text = example->no; *text; text++)
            if (pattern_find(pattern, *text, strlen(*text)))
                fail_msg("%s finds \"%s\"", example->pattern, *text);
        pattern_free(pattern);
    }
}

#define CHECK(examples) check_examples(examples, sizeof(examples) / sizeof *(examples))

static void plain_text_is_found_anywhere(void **state)
{
    static const struct example examples[] = {
        { "", { "", "a" }, { NULL } },
        { "a", { "a", "xa", "ax" }, { "", "b" } },
        { "error", { "an error here", "errerror" }, { "erro", "Error" } },
        { "a\\.b", { "a.b" }, { "axb" } },
        { "a{3}", { "aaa", "xaaaay" }, { "aa" } },
        { "gr\xc3\xbc", { "gr\xc3\xbc\xc3\x9f" }, { "gr\xc3" } },
        { "a)", { "a)" }, { "a" } },
        { "]}-,:", { "]}-,:" }, { "]" } },
    };
    CHECK(examples);
}

static void operators_repeat_what_stands_before_them(void **state)
{
    static const struct example examples[] = {
        { "^a.c$", { "abc", "a.c", "a\nc" }, { "ac", "abbc" } },
        { "^ab*$", { "a", "ab", "abbb" }, { "", "b", "aba" } },
        { "^ab+$", { "ab", "abb" }, { "a", "abab" } },
        { "^ab?$", { "a", "ab" }, { "abb" } },
        { "^(ab)*$", { "", "ab", "abab" }, { "a", "aba" } },
        { "^(ab)+c$", { "abc", "ababc" }, { "c" } },
        { "^(a*)*$", { "", "a", "aaaa" }, { "b", "ab" } },
        { "^(a*)+b$", { "b", "aab" }, { "a" } },
        { "^\xc3\xbc*$", { "", "\xc3\xbc\xc3\xbc" }, { "\xc3\xbc\xbc", "\xc3" } },
        { "^(\\*)+$", { "*", "***" }, { "" } },
        { "^a**$", { "", "aa" }, { "b" } },
    };
    CHECK(examples);
}

static void intervals_count(void **state)
{
    static const struct example examples[] = {
        { "^a{0}$", { "" }, { "a" } },
        { "^a{0}b{1}$", { "b" }, { "ab" } },
        { "^a{2}$", { "aa" }, { "a", "aaa" } },
        { "^a{2,}$", { "aa", "aaaaa" }, { "a" } },
        { "^a{0,}$", { "", "aaaaa" }, { "b" } },
        { "^a{,2}$", { "", "a", "aa" }, { "aaa" } },
        { "^a{1,3}$", { "a", "aa", "aaa" }, { "", "aaaa" } },
        { "^(ab|c){2}$", { "abc", "cab", "cc", "abab" }, { "ab", "ccc" } },
        { "^(a{2}){2,3}$", { "aaaa", "aaaaaa" }, { "aa", "aaaaa", "aaaaaaaa" } },
        { "^(a{0,2}b){2}$", { "bb", "aabab" }, { "aaabb", "b" } },
        { "^(x(a|b)){0,2}$", { "", "xa", "xbxa" }, { "x", "xaxaxa" } },
        { "^[0-9]{1,3}(\\.[0-9]{1,3}){3}$", { "1.2.3.4", "192.168.10.255" },
          { "1.2.3", "1.2.3.4444" } },
    };
    CHECK(examples);
}

static void branches_are_tried_all(void **state)
{
    static const struct example examples[] = {
        { "a|b", { "a", "b", "xb" }, { "", "c" } },
        { "^(a|bc|def)$", { "a", "bc", "def" }, { "ab", "de" } },
        { "^(|a)b$", { "b", "ab" }, { "aab" } },
        { "^(a||b)$", { "", "a", "b" }, { "ab" } },
        { "^()$", { "" }, { "a" } },
        { "^a|b$", { "ax", "xb" }, { "xa", "bx" } },
        { "^(a|(b|c(d|e)))f$", { "af", "bf", "cdf", "cef" }, { "cf", "f" } },
        { "(a|b)*c|d", { "c", "abac", "d" }, { "ab" } },
    };
    CHECK(examples);
}

static void anchors_hold_at_the_ends_of_the_text(void **state)
{
    static const struct example examples[] = {
        { "^", { "", "a" }, { NULL } },
        { "$", { "", "a" }, { NULL } },
        { "^$", { "" }, { "a", "\n" } },
        { "^a", { "ab" }, { "ba", "b\na" } },
        { "a$", { "ba" }, { "ab", "a\nb" } },
        { "x*$", { "", "y" }, { NULL } },
        { "a^b", { NULL }, { "ab", "a^b", "a" } },
        { "a$b", { NULL }, { "ab", "a$b" } },
        { "(^|,)a(,|$)", { "a", "x,a", "a,x", "x,a,y" }, { "xa", "ax" } },
        { "(^a)*b", { "b", "ab", "xb" }, { "a" } },
        { "^^a$$", { "a" }, { "aa" } },
        { "\\^\\$", { "x^$" }, { "" } },
    };
    CHECK(examples);
}

static void brackets_are_sets_of_bytes(void **state)
{
    static const struct example examples[] = {
        { "^[abc]$", { "a", "c" }, { "d", "", "ab" } },
        { "^[^abc]$", { "d", "\n", "\xff" }, { "a", "" } },
        { "^[a-c0-9]$", { "b", "5" }, { "d", "-" } },
        { "^[]a]$", { "]", "a" }, { "b" } },
        { "^[^]a]$", { "b" }, { "]", "a" } },
        { "^[-a]$", { "-", "a" }, { "b" } },
        { "^[a-]$", { "-", "a" }, { "b" } },
        { "^[+--]$", { "+", ",", "-" }, { ".", "a" } },
        { "^[\\.]$", { "\\", "." }, { "a" } },
        { "^[a^]$", { "a", "^" }, { "b" } },
        { "^[[]$", { "[" }, { "]" } },
        { "^[*+?{(|$.]$", { "*", "(", "|", "$" }, { "x" } },
        { "^[[:digit:]_]+$", { "1_2" }, { "a" } },
        { "^[^[:space:]]+$", { "ab" }, { "a b", "\t" } },
        { "^[[:upper:][:lower:]]$", { "a", "Z" }, { "1", "\xc3" } },
        { "^[[:xdigit:]]{2}$", { "0F", "ab" }, { "g0" } },
        { "^[[:punct:]]$", { "!", "~" }, { "a", " " } },
    };
    CHECK(examples);
}

static void a_dot_and_a_negated_set_match_one_byte(void **state)
{
    static const struct example examples[] = {
        { "^.$", { "a", "\xff" }, { "\xc3\xbc" } },
        { "^..$", { "\xc3\xbc" }, { NULL } },
        { "^[^a]{2}$", { "\xc3\xbc" }, { NULL } },
    };
    CHECK(examples);
}

static void nul_and_newline_are_bytes_like_others(void **state)
{
    char why[100];
    struct pattern *pattern = pattern_compile("a\0b+.c$", 7, why, sizeof why);
    assert_non_null(pattern);
    assert_true(pattern_find(pattern, "xa\0bb\nc", 7));
    assert_true(pattern_find(pattern, "a\0b\0c", 5));
    assert_false(pattern_find(pattern, "a\0\0c", 4));
    pattern_free(pattern);
}

static void what_is_no_expression_is_refused_with_the_place(void **state)
{
    static const struct {
        const char *pattern, *why;
    } wrong[] = {
        { "ab(c", "( is not closed, at byte 3" }, { "((a)", "( is not closed, at byte 1" },
        { "a[b", "[ is not closed, at byte 2" }, { "[]", "[ is not closed" },
        { "[^]", "[ is not closed" }, { "[a-", "" }, { "*a", "nothing to repeat, at byte 1" },
        { "a|*b", "nothing to repeat, at byte 3" }, { "(+)", "nothing to repeat" },
        { "^*", "nothing to repeat" }, { "$?", "nothing to repeat" },
        { "{2}", "nothing to repeat" },
        { "a{", "{ must" }, { "a{2", "{ must" }, { "a{}", "{ must" }, { "a{x}", "{ must" },
        { "a{2,1}", "wrong way round" }, { "a{1001}", "at most 1000" },
        { "a{99999999999999999999}", "at most 1000" }, { "(a{100}){11}", "too large" },
        { "a{0,1000}", "too large" }, { "[b-a]", "wrong way round" }, { "[a-c-e]", "- must be" },
        { "[[:nothing:]]", "[: begins no class" }, { "[[:alpha", "[: begins no class" },
        { "[[.a.]]", "[. and [=" }, { "[a-[=b=]]", "no end of a range" },
        { "[\xc3\xbc]", "ASCII" }, { "\\", "\\ must" }, { "\\w", "\\ must" },
        { "\\\xc3\xbc", "\\ must" }, { "(a)\\1", "refer back to a group, at byte 4" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char why[120];
        size_t bytes = strlen(wrong[i].pattern);
        struct pattern *pattern = pattern_compile(wrong[i].pattern, bytes, why, sizeof why);
        if (pattern || !strstr(why, wrong[i].why) || !*why)
            fail_msg("%s: \"%s\"", wrong[i].pattern, pattern ? "compiled" : why);
    }
}

static void the_largest_that_fit_are_taken(void **state)
{
    static const char *const fine[] = { "a{300}", "(a{10}){30}", "a{0,150}", "a{300,}",
                                        "((a|b){10}){7}", "(){300}", "((a?){10}){15}" };
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
        pattern_free(compile(fine[i]));
}

static void groups_may_stand_deep_in_each_other(void **state)
{
    char text[300], why[120];
    for (size_t depth = 1; depth <= 140; depth++) {
        memset(text, '(', depth);
        text[depth] = 'a';
        memset(text + depth + 1, ')', depth);
        struct pattern *pattern = pattern_compile(text, 2 * depth + 1, why, sizeof why);
        assert_int_equal(pattern != NULL, depth < 128);
        pattern_free(pattern);
    }
}

/* ---- against glibc ---- */

static uint64_t seed_state = 88172645463325252u;

static size_t below(size_t limit)
{
    seed_state ^= seed_state << 13;
    seed_state ^= seed_state >> 7;
    seed_state ^= seed_state << 17;
    return (size_t)(seed_state % limit);
}

/* Pieces in any order: many of these are no expressions, and then both must say so. Anchors and
   intervals are not mixed: glibc copies a ^ within a repeated group wrongly ("a(^b)*{1,}c" finds
   "abc"). */
static void random_pattern(char *out)
{
    static const char *const pieces[] = {
        "{2}", "{0,2}", "{1,}", "{,1}", "{0}", "{2,1}",
        "a", "b", "c", "ab", "a", "b", ".", "(", ")", "(", ")", "|", "*", "+", "?", "[ab]", "[^a]",
        "[b-c]", "[[:alpha:]]", "[^[:digit:]]", "(a|b)", "(ab)", "\\.", "[]a]", "[a-]",
        "^", "$", "^", "$",
    };
    enum { INTERVALS = 6, ANCHORS = 4, PIECES = sizeof pieces / sizeof *pieces };
    size_t count = 1 + below(9), first = below(2) ? INTERVALS : 0;
    *out = '\0';
    while (count-- > 0)
        strcat(out, pieces[first + below(first ? PIECES - INTERVALS : PIECES - ANCHORS)]);
}

static void random_text(char *out)
{
    size_t bytes = below(12);
    for (size_t i = 0; i < bytes; i++)
        out[i] = "aaabbbc.]-1"[below(11)];
    out[bytes] = '\0';
}

static void check_against_libc(const char *text)
{
    char why[120], data[16];
    regex_t reference;
    bool fine = regcomp(&reference, text, REG_EXTENDED | REG_NOSUB) == 0;
    struct pattern *pattern = pattern_compile(text, strlen(text), why, sizeof why);
    if (fine != (pattern != NULL))
        fail_msg("libc %s %s (%s)", fine ? "compiles" : "refuses", text, why);
    for (int i = 0; fine && i < 40; i++) {
        random_text(data);
        bool found = regexec(&reference, data, 0, NULL, 0) == 0;
        if (found != pattern_find(pattern, data, strlen(data)))
            fail_msg("%s: libc %s \"%s\"", text, found ? "finds" : "does not find", data);
    }
    if (fine)
        regfree(&reference);
    pattern_free(pattern);
}

static void random_expressions_find_what_libc_finds(void **state)
{
    char text[200];
    for (int i = 0; i < 20000; i++) {
        random_pattern(text);
        check_against_libc(text);
    }
}

/* ---- cost ---- */

enum { LONG_BYTES = 256 << 10 };

/* Not found in a text of bytes taken from `letters`; returns steps per byte. */
static uint64_t search_cost(const char *text, const char *letters)
{
    struct pattern *pattern = compile(text);
    char *data = malloc(LONG_BYTES);
    uint64_t steps = 0;
    for (size_t i = 0; i < LONG_BYTES; i++)
        data[i] = letters[below(strlen(letters))];
    assert_false(pattern_find_counted(pattern, data, LONG_BYTES, &steps));
    assert_true(steps <= 2 * pattern->count * (LONG_BYTES + 1));
    free(data);
    pattern_free(pattern);
    return steps / LONG_BYTES;
}

static void the_cost_is_linear_where_going_back_explodes(void **state)
{
    assert_in_range(search_cost("(x+x+)+y", "x"), 1, 20);
    assert_in_range(search_cost("(a|b)*a(a|b){20}c", "ab"), 1, 150);
    assert_in_range(search_cost("(a*)*b", "a"), 1, 20);
    assert_in_range(search_cost("(a|aa|aaa)*b", "a"), 1, 30);
    assert_in_range(search_cost("(.*)(.*)(.*)(.*)z", "ab"), 1, 40);
    assert_in_range(search_cost("(x?){100}y", "x"), 1, 500);
}

static void what_cannot_begin_is_passed_over(void **state)
{
    assert_int_equal(search_cost("needle", "xy"), 0);
    assert_int_equal(search_cost("(error|warn).*now", "xy"), 0);
    assert_int_equal(search_cost("^a+b", "xy"), 0);
    assert_int_equal(search_cost("z+$", "xy"), 0);
}

static void a_plain_text_is_no_program(void **state)
{
    static const char *const texts[] = { "abc", "a\\.c", "x{3}", "(ab)c", "" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct pattern *pattern = compile(texts[i]);
        assert_true(pattern->is_literal);
        pattern_free(pattern);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_text_is_found_anywhere),
        cmocka_unit_test(operators_repeat_what_stands_before_them),
        cmocka_unit_test(intervals_count),
        cmocka_unit_test(branches_are_tried_all),
        cmocka_unit_test(anchors_hold_at_the_ends_of_the_text),
        cmocka_unit_test(brackets_are_sets_of_bytes),
        cmocka_unit_test(a_dot_and_a_negated_set_match_one_byte),
        cmocka_unit_test(nul_and_newline_are_bytes_like_others),
        cmocka_unit_test(what_is_no_expression_is_refused_with_the_place),
        cmocka_unit_test(the_largest_that_fit_are_taken),
        cmocka_unit_test(groups_may_stand_deep_in_each_other),
        cmocka_unit_test(random_expressions_find_what_libc_finds),
        cmocka_unit_test(the_cost_is_linear_where_going_back_explodes),
        cmocka_unit_test(what_cannot_begin_is_passed_over),
        cmocka_unit_test(a_plain_text_is_no_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
