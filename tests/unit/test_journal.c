/* The journal's ring: what was put is there again for the next process, in order, until it is released. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "service/journal.h"

struct seen {
    unsigned count, next;
    bool stop;
};

static char dir[40];

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/forkful-journal-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    char path[64];
    (void)state;
    snprintf(path, sizeof path, "%s/journal", dir);
    unlink(path);
    return rmdir(dir);
}

/* Entry N is N, then N % 1000 bytes of N. */
static bool put(struct journal *journal, unsigned n)
{
    char rest[1000];
    memset(rest, (int)(n & 0xff), sizeof rest);
    return journal_put(journal, n % 3 + 1, &n, sizeof n, rest, n % 1000);
}

static bool check(void *context, unsigned type, const void *data, size_t bytes)
{
    struct seen *seen = context;
    unsigned n;
    memcpy(&n, data, sizeof n);
    assert_int_equal(n, seen->next);
    assert_int_equal(type, n % 3 + 1);
    assert_int_equal(bytes, sizeof n + n % 1000);
    for (size_t i = sizeof n; i < bytes; i++) {
        assert_int_equal(((const unsigned char *)data)[i], n & 0xff);
    }
    seen->next++;
    seen->count++;
    return !seen->stop;
}

static void entries_come_back_in_order_over_the_ring_s_end(void **state)
{
    struct journal *journal = journal_open(dir, "boot");
    uint64_t kept[8192];
    unsigned first = 0, next = 0;
    (void)state;
    assert_non_null(journal);
    for (int round = 0; round < 40; round++) {
        while (next - first < 5000 && put(journal, next)) {
            kept[next % 8192] = journal_head(journal);
            next++;
        }
        struct seen seen = {.next = first};
        assert_true(journal_walk(journal, 0, check, &seen));
        assert_int_equal(seen.count, next - first);
        unsigned released = first + (next - first) * 2 / 3;
        journal_release(journal, kept[(released - 1) % 8192]);
        first = released;
    }
    assert_true(next > 40000);
    journal_close(journal);
}

static void it_is_full_before_it_loses_anything(void **state)
{
    struct journal *journal = journal_open(dir, "boot");
    unsigned n = 0;
    (void)state;
    while (put(journal, n)) {
        n++;
    }
    assert_true(n > 4000);
    static char long_one[JOURNAL_ENTRY_MAX + 1];
    assert_false(journal_put(journal, 1, long_one, sizeof long_one, NULL, 0));
    struct seen seen = {0};
    assert_true(journal_walk(journal, 0, check, &seen));
    assert_int_equal(seen.count, n);
    journal_release(journal, journal_head(journal));
    assert_true(put(journal, 0));
    journal_close(journal);
}

static void it_outlives_a_kill_but_no_boot(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        struct journal *journal = journal_open(dir, "boot");
        for (unsigned n = 0; n < 100; n++) {
            put(journal, n);
        }
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    struct journal *journal = journal_open(dir, "boot");
    uint64_t id = journal_id(journal);
    struct seen seen = {0};
    assert_true(journal_walk(journal, 0, check, &seen));
    assert_int_equal(seen.count, 100);
    seen = (struct seen){.stop = true};
    assert_false(journal_walk(journal, 0, check, &seen));
    assert_int_equal(seen.count, 1);
    journal_close(journal);
    journal = journal_open(dir, "another boot");
    assert_int_not_equal(journal_id(journal), id);
    seen = (struct seen){0};
    assert_true(journal_walk(journal, 0, check, &seen));
    assert_int_equal(seen.count, 0);
    journal_close(journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(entries_come_back_in_order_over_the_ring_s_end, setup, teardown),
        cmocka_unit_test_setup_teardown(it_is_full_before_it_loses_anything, setup, teardown),
        cmocka_unit_test_setup_teardown(it_outlives_a_kill_but_no_boot, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
