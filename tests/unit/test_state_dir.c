/*
 * The state directory, its lock and its token; the runtime directory and its spool.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/spool_file.h"
#include "api/state_dir.h"
#include "service/spool.h"

#define RING_BYTES (8u << 20)
#define HALF "00112233445566778899aabbccddeeff" /* of a token's digits */

static char root[32];
static char path[64];

static void in_root(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", root, name);
}

static void opened(struct directory *state, const char *name)
{
    struct refusal refusal;
    bool standard;
    in_root(name);
    if (!state_dir_open(state, path, &standard, &refusal))
        fail_msg("%s", refusal.text);
    assert_false(standard);
}

static void write_token(const struct directory *state, const char *text, mode_t mode)
{
    unlinkat(state->fd, "token", 0);
    int fd = openat(state->fd, "token", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void a_state_directory_is_made_for_its_owner_alone(void **unused)
{
    struct directory state;
    struct stat status;
    opened(&state, "a/b/../b/c");
    assert_int_equal(fstat(state.fd, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    in_root("a/b/c");
    assert_string_equal(state.path, path);
    in_root("a");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    directory_close(&state);
}

static void a_directory_others_may_write_into_is_refused(void **unused)
{
    struct directory state;
    struct refusal refusal;
    bool standard;
    in_root("loose");
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chmod(path, 0720), 0);
    assert_false(state_dir_open(&state, path, &standard, &refusal));
    assert_non_null(strstr(refusal.text, "others may write into the state directory"));
    directory_close(&state);
    assert_int_equal(chmod(path, 0755), 0);
    assert_true(state_dir_open(&state, path, &standard, &refusal));
    directory_close(&state);
}

static void without_an_option_the_environment_says_where_the_state_is(void **unused)
{
    struct directory state;
    struct refusal refusal;
    bool standard;
    in_root("xdg");
    setenv("XDG_STATE_HOME", path, 1);
    assert_true(state_dir_open(&state, NULL, &standard, &refusal));
    assert_true(standard);
    strcat(path, "/forkful");
    assert_string_equal(state.path, path);
    directory_close(&state);
    in_root("managed:/nowhere");
    setenv("STATE_DIRECTORY", path, 1);
    assert_true(state_dir_open(&state, NULL, &standard, &refusal));
    assert_false(standard);
    in_root("managed");
    assert_string_equal(state.path, path);
    directory_close(&state);
    unsetenv("STATE_DIRECTORY");
    unsetenv("XDG_STATE_HOME");
}

static void the_runtime_directory_follows_the_state_directory(void **unused)
{
    struct directory state, runtime;
    struct refusal refusal;
    char expected[PATH_MAX + 8];
    opened(&state, "s");
    in_root("xdg-run");
    setenv("XDG_RUNTIME_DIR", path, 1);
    assert_true(runtime_dir_open(&runtime, NULL, &state, false, &refusal));
    snprintf(expected, sizeof expected, "%s/run", state.path);
    assert_string_equal(runtime.path, expected);
    directory_close(&runtime);
    assert_true(runtime_dir_open(&runtime, NULL, &state, true, &refusal));
    strcat(path, "/forkful");
    assert_string_equal(runtime.path, path);
    directory_close(&runtime);
    in_root("given");
    assert_true(runtime_dir_open(&runtime, path, &state, true, &refusal));
    assert_string_equal(runtime.path, path);
    directory_close(&runtime);
    directory_close(&state);
    unsetenv("XDG_RUNTIME_DIR");
}

static void one_state_directory_serves_one_daemon(void **unused)
{
    struct directory state;
    struct refusal refusal;
    char sentence[32];
    int first, second;
    opened(&state, "locked");
    assert_true(state_dir_lock(&state, &first, &refusal));
    assert_false(state_dir_lock(&state, &second, &refusal));
    snprintf(sentence, sizeof sentence, "is in use by pid %d;", getpid());
    assert_non_null(strstr(refusal.text, sentence));
    assert_int_equal(second, -1);
    close(first);
    assert_true(state_dir_lock(&state, &second, &refusal));
    close(second);
    directory_close(&state);
}

/* A server that is killed holds the lock until its last thread has left the kernel. */
static void a_dying_holder_of_the_lock_is_waited_for(void **unused)
{
    struct directory state;
    struct refusal refusal;
    int first, second;
    opened(&state, "dying");
    assert_true(state_dir_lock(&state, &first, &refusal));
    pid_t keeper = fork();
    if (keeper == 0) {
        state_dir_lock_sign(first);
        pid_t server = fork();         /* outlives the keeper, with the lock, for a while */
        if (server == 0) {
            usleep(300000);
        }
        _exit(0);
    }
    close(first);
    assert_int_equal(waitpid(keeper, NULL, 0), keeper);
    assert_true(state_dir_lock(&state, &second, &refusal));
    close(second);
    directory_close(&state);
}

static void the_token_is_made_once_and_is_private(void **unused)
{
    struct directory state;
    struct refusal refusal;
    struct stat status;
    char token[TOKEN_TEXT_BYTES], again[TOKEN_TEXT_BYTES];
    opened(&state, "token");
    assert_true(token_open(&state, token, &refusal));
    assert_int_equal(strlen(token), 68);
    assert_memory_equal(token, "fkf_", 4);
    assert_int_equal(strspn(token + 4, "0123456789abcdef"), 64);
    assert_true(token_open(&state, again, &refusal));
    assert_string_equal(token, again);
    assert_int_equal(fstatat(state.fd, "token", &status, 0), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(faccessat(state.fd, "token.new", F_OK, 0), -1);
    directory_close(&state);
}

static void a_token_file_that_cannot_be_trusted_is_refused(void **unused)
{
    static const char good[] = "fkf_" HALF HALF;
    static const char *const bad[] = {
        "", "\n", "fkf_\n", "fkx_" HALF HALF "\n", "fkf_" HALF HALF "\n\n", "fkf_" HALF HALF "0",
        "fkf_" HALF "00112233445566778899aabbccddeefF\n"};
    struct directory state;
    struct refusal refusal;
    char token[TOKEN_TEXT_BYTES];
    opened(&state, "bad");
    write_token(&state, good, 0600);
    assert_true(token_open(&state, token, &refusal));
    assert_string_equal(token, good);
    write_token(&state, good, 0640);
    assert_false(token_open(&state, token, &refusal));
    assert_non_null(strstr(refusal.text, "others may read"));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_token(&state, bad[i], 0600);
        assert_false(token_open(&state, token, &refusal));
        assert_non_null(strstr(refusal.text, "does not hold a token"));
    }
    assert_int_equal(unlinkat(state.fd, "token", 0), 0);
    assert_int_equal(symlinkat("/dev/zero", state.fd, "token"), 0);
    assert_false(token_open(&state, token, &refusal));
    directory_close(&state);
}

static void a_half_made_token_of_a_crash_is_not_in_the_way(void **unused)
{
    struct directory state;
    struct refusal refusal;
    char token[TOKEN_TEXT_BYTES];
    opened(&state, "half");
    close(openat(state.fd, "token.new", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_true(token_open(&state, token, &refusal));
    directory_close(&state);
}

/* The spool_id of RUNTIME/spool after it was opened; the file stays. */
static uint64_t spool_of(const struct directory *runtime)
{
    struct refusal refusal;
    struct spool spool;
    int fd;
    if (!spool_file_open(runtime, RING_BYTES, &fd, &refusal))
        fail_msg("%s", refusal.text);
    assert_int_equal(spool_attach(&spool, fd), 0);
    uint64_t id = spool.header->spool_id;
    assert_int_equal(spool.ring_bytes, RING_BYTES);
    spool_close(&spool);
    close(fd);
    return id;
}

static void a_spool_is_used_again_within_one_boot_only(void **unused)
{
    struct directory runtime;
    opened(&runtime, "spool");
    setenv("FORKFUL_BOOT_ID", "first", 1);
    uint64_t first = spool_of(&runtime);
    assert_int_equal(spool_of(&runtime), first);
    setenv("FORKFUL_BOOT_ID", "second", 1);
    assert_int_not_equal(spool_of(&runtime), first);
    unsetenv("FORKFUL_BOOT_ID");
    directory_close(&runtime);
}

static void what_is_no_spool_is_replaced(void **unused)
{
    struct directory runtime;
    opened(&runtime, "garbage");
    int fd = openat(runtime.fd, "spool", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "garbage", 7), 7);
    close(fd);
    spool_of(&runtime);
    assert_int_equal(faccessat(runtime.fd, "spool.new", F_OK, 0), -1);
    directory_close(&runtime);
}

static void one_spool_serves_one_daemon(void **unused)
{
    struct directory runtime;
    struct refusal refusal;
    int first, second;
    opened(&runtime, "shared");
    assert_true(spool_file_open(&runtime, RING_BYTES, &first, &refusal));
    assert_false(spool_file_open(&runtime, RING_BYTES, &second, &refusal));
    assert_non_null(strstr(refusal.text, "is in use by another daemon"));
    assert_int_equal(second, -1);
    close(first);
    directory_close(&runtime);
}

static int remove_one(const char *name, const struct stat *status, int type, struct FTW *place)
{
    return remove(name);
}

static int make_root(void **unused)
{
    strcpy(root, "/tmp/forkful-dirs-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **unused)
{
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_directory_is_made_for_its_owner_alone),
        cmocka_unit_test(a_directory_others_may_write_into_is_refused),
        cmocka_unit_test(without_an_option_the_environment_says_where_the_state_is),
        cmocka_unit_test(the_runtime_directory_follows_the_state_directory),
        cmocka_unit_test(one_state_directory_serves_one_daemon),
        cmocka_unit_test(a_dying_holder_of_the_lock_is_waited_for),
        cmocka_unit_test(the_token_is_made_once_and_is_private),
        cmocka_unit_test(a_token_file_that_cannot_be_trusted_is_refused),
        cmocka_unit_test(a_half_made_token_of_a_crash_is_not_in_the_way),
        cmocka_unit_test(a_spool_is_used_again_within_one_boot_only),
        cmocka_unit_test(what_is_no_spool_is_replaced),
        cmocka_unit_test(one_spool_serves_one_daemon),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
