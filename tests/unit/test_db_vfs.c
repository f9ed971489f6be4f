/*
 * The layer under the writing connection: what is committed is what another connection sees, and what is
 * in the files if everything stopped right then.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include <sqlite3.h>

#include "db/vfs.h"

#define SLOTS 64
#define ROUNDS 400

static uint32_t random_state = 20261121;

static uint32_t below(uint32_t limit)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % limit;
}

struct fixture {
    char dir[40], path[64], copy[64];
    sqlite3 *writer, *reader;
};

static void must(sqlite3 *db, const char *sql)
{
    char *text = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &text) != SQLITE_OK) {
        fail_msg("%s: %s", sql, text);
    }
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    strcpy(f->dir, "/tmp/forkful-vfs-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/a.db", f->dir);
    snprintf(f->copy, sizeof f->copy, "%s/b.db", f->dir);
    assert_non_null(db_vfs_name());
    assert_int_equal(sqlite3_open_v2(f->path, &f->writer, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                                     db_vfs_name()), SQLITE_OK);
    must(f->writer, "PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0;"
                    "PRAGMA cache_size=10; PRAGMA synchronous=NORMAL;"
                    "CREATE TABLE t(id INTEGER PRIMARY KEY, size INT, data BLOB)");
    assert_int_equal(sqlite3_open_v2(f->path, &f->reader, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];
    sqlite3_close(f->reader);
    sqlite3_close(f->writer);
    snprintf(command, sizeof command, "rm -rf '%s'", f->dir);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

/* Row `id` holds `size` bytes of a pattern that follows from the two. */
static void put(sqlite3 *db, int id, int size)
{
    char sql[160];
    snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO t VALUES(%d,%d,CAST(substr(replace("
             "hex(zeroblob(%d)),'00','%03dx'),1,%d) AS BLOB))", id, size, size / 4 + 1,
             (id * 7 + size) % 1000, size);
    must(db, sql);
}

static void check_holds(sqlite3 *db, const int *sizes, const char *when)
{
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT id, size, data FROM t", -1, &statement, NULL),
                     SQLITE_OK);
    int rows = 0, expected = 0;
    for (int code; (code = sqlite3_step(statement)) != SQLITE_DONE; rows++) {
        if (code != SQLITE_ROW) {
            fail_msg("%s: %s", when, sqlite3_errmsg(db));
        }
        int id = sqlite3_column_int(statement, 0), size = sqlite3_column_int(statement, 1);
        char pattern[16];
        snprintf(pattern, sizeof pattern, "%03dx", (id * 7 + size) % 1000);
        const char *data = sqlite3_column_blob(statement, 2);
        assert_int_equal(sizes[id], size);
        assert_int_equal(sqlite3_column_bytes(statement, 2), size);
        for (int i = 0; i < size; i++) {
            assert_int_equal(data[i], pattern[i % 4]);
        }
    }
    sqlite3_finalize(statement);
    for (int i = 0; i < SLOTS; i++) {
        expected += sizes[i] != 0;
    }
    assert_int_equal(rows, expected);
}

/* As after a crash at this moment: the files as they are, read by SQLite's own layer alone. */
static void check_files(const struct fixture *f, const int *sizes, const char *when)
{
    char command[400];
    sqlite3 *db = NULL;
    snprintf(command, sizeof command, "rm -f '%s'*; cp '%s' '%s' && cp '%s-wal' '%s-wal'", f->copy,
             f->path, f->copy, f->path, f->copy);
    assert_int_equal(system(command), 0);
    assert_int_equal(sqlite3_open_v2(f->copy, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(statement, 0), "ok");
    sqlite3_finalize(statement);
    check_holds(db, sizes, when);
    sqlite3_close(db);
}

/* Small caches: pages spill before the commit, and some are written several times in a transaction. */
static void write_something(sqlite3 *db, int *sizes)
{
    for (unsigned writes = 1 + below(below(4) ? 4 : 60); writes; writes--) {
        int id = (int)below(SLOTS);
        sizes[id] = below(8) ? 1 + (int)below(20000) : 1 + (int)below(200000);
        put(db, id, sizes[id]);
    }
}

static void what_is_committed_is_seen_and_survives(void **state)
{
    struct fixture *f = *state;
    int sizes[SLOTS] = {0}, next[SLOTS];
    for (int round = 0; round < ROUNDS; round++) {
        if (below(20) == 0) {
            must(f->writer, below(2) ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
        }
        memcpy(next, sizes, sizeof next);
        must(f->writer, "BEGIN");
        write_something(f->writer, next);
        if (below(10) == 0) {
            check_files(f, sizes, "before a commit");
        }
        bool commits = below(5) != 0;
        must(f->writer, commits ? "COMMIT" : "ROLLBACK");
        memcpy(sizes, commits ? next : sizes, sizeof sizes);
        check_holds(f->reader, sizes, "after a commit");
        if (below(10) == 0) {
            check_files(f, sizes, "after a commit");
        }
        if (below(30) == 0) {
            must(f->writer, below(2) ? "PRAGMA wal_checkpoint(PASSIVE)"
                                     : "PRAGMA wal_checkpoint(TRUNCATE)");
            check_holds(f->reader, sizes, "after a checkpoint");
        }
    }
}

static int64_t wal_bytes(const struct fixture *f)
{
    char path[80];
    struct stat status;
    snprintf(path, sizeof path, "%s-wal", f->path);
    assert_int_equal(stat(path, &status), 0);
    return status.st_size;
}

static void a_log_that_each_commit_syncs_grows_seldom_and_far(void **state)
{
    struct fixture *f = *state;
    int sizes[SLOTS] = {0};
    must(f->writer, "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA synchronous=FULL");
    put(f->writer, 1, sizes[1] = 100);
    put(f->writer, 1, sizes[1] = 101);
    int64_t grown = wal_bytes(f);
    assert_true(grown > 1 << 20 && grown < 2 << 20);
    for (int i = 2; i < 40; i++) {
        put(f->writer, i, sizes[i] = 1000 + i);
    }
    assert_int_equal(wal_bytes(f), grown);
    check_files(f, sizes, "in the grown file");
    must(f->writer, "PRAGMA wal_checkpoint(TRUNCATE)");
    assert_int_equal(wal_bytes(f), 0);
    must(f->writer, "PRAGMA synchronous=NORMAL");
    put(f->writer, 1, sizes[1] = 100);
    put(f->writer, 1, sizes[1] = 101);
    put(f->writer, 1, sizes[1] = 102);
    check_files(f, sizes, "in the short one");
}

/* There may be room for a commit and none for what it would be good to have behind it. */
static void without_room_ahead_it_commits_as_well(void **state)
{
    struct fixture *f = *state;
    int sizes[SLOTS] = {0};
    struct rlimit unlimited, small;
    must(f->writer, "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA synchronous=FULL");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &unlimited), 0);
    small = (struct rlimit){.rlim_cur = 400000, .rlim_max = unlimited.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 1; i < 20; i++) {
        put(f->writer, i, sizes[i] = 1000 + i);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
    check_files(f, sizes, "without room");
}

/* What cannot be written is told by the statement, and nothing of it is there afterwards. */
static void a_write_that_fails_fails_the_transaction(void **state)
{
    struct fixture *f = *state;
    int sizes[SLOTS] = {0};
    sizes[1] = 5000;
    put(f->writer, 1, sizes[1]);
    must(f->writer, "PRAGMA wal_checkpoint(TRUNCATE)");
    struct rlimit unlimited, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &unlimited), 0);
    small = (struct rlimit){ .rlim_cur = 300000, .rlim_max = unlimited.rlim_max };
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int code = sqlite3_exec(f->writer, "BEGIN; INSERT INTO t VALUES(2,1,zeroblob(1000000)); COMMIT",
                            NULL, NULL, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
    assert_true(code == SQLITE_FULL || code == SQLITE_IOERR);
    sqlite3_exec(f->writer, "ROLLBACK", NULL, NULL, NULL);
    check_holds(f->reader, sizes, "after a failure");
    sizes[2] = 300000;
    put(f->writer, 2, sizes[2]);
    check_holds(f->reader, sizes, "after the next one");
    check_files(f, sizes, "after the next one");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_committed_is_seen_and_survives, setup, teardown),
        cmocka_unit_test_setup_teardown(a_log_that_each_commit_syncs_grows_seldom_and_far, setup, teardown),
        cmocka_unit_test_setup_teardown(without_room_ahead_it_commits_as_well, setup, teardown),
        cmocka_unit_test_setup_teardown(a_write_that_fails_fails_the_transaction, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
