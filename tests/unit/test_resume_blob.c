/*
 * The resume blob: written and read, by the same version and by others, and never trusted further
 * than it reaches.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "service/resume_blob.h"

static const char *const server_argv[] = {"--server", "--sync=full", NULL};
static const struct resume_strings strings = {
    .binary = "/bin/forkful", .first_line = "{}\n", .state_dir = "/s", .runtime_dir = "/r",
    .server_argv = server_argv};

static int written(const struct resume_entry *entries, uint32_t count)
{
    struct resume head = {.occasion = RESUME_ADOPT, .spool_fd = 100, .lock_fd = 101,
                          .binary_fd = 102, .notify_fd = -1, .listener_count = 1,
                          .listener_fds = {103}, .cgroup_fd = -1, .entries = count,
                          .server_argc = 2, .soft_nofile = 1024};
    int fd = resume_blob_write(&head, entries, &strings);
    assert_true(fd >= 0);
    return fd;
}

static void what_is_written_is_read(void **state)
{
    const struct resume_entry entries[] = {{.pid = 5, .pidfd = 200, .stdout_fd = -1,
                                            .stderr_fd = -1, .stdin_fd = 201}};
    struct resume_blob blob;
    int fd = written(entries, 1);
    assert_int_equal(resume_blob_open(&blob, fd), 0);
    assert_int_equal(blob.head.occasion, RESUME_ADOPT);
    assert_int_equal(blob.head.soft_nofile, 1024);
    assert_int_equal(resume_blob_entry(&blob, 0).pid, 5);
    assert_int_equal(resume_blob_entry(&blob, 0).stdin_fd, 201);
    assert_string_equal(resume_blob_string(&blob, 0), "/bin/forkful");
    assert_string_equal(resume_blob_string(&blob, 1), "{}\n");
    assert_string_equal(resume_blob_string(&blob, 3), "/r");
    assert_string_equal(resume_blob_string(&blob, 4), "");
    assert_string_equal(resume_blob_string(&blob, 6), "--sync=full");
    assert_string_equal(resume_blob_string(&blob, 7), "");
    assert_string_equal(resume_blob_string(&blob, 1000), "");
    resume_blob_close(&blob);
    close(fd);
}

static void add_fd(void *context, int fd)
{
    int *sum = context;
    *sum += fd;
}

static void every_descriptor_it_names_is_visited(void **state)
{
    const struct resume_entry entries[] = {
        {.pidfd = 1000, .stdout_fd = 2000, .stderr_fd = -1, .stdin_fd = -1},
        {.pidfd = -1, .stdout_fd = -1, .stderr_fd = 4000, .stdin_fd = 8000}};
    struct resume_blob blob;
    int sum = 0, fd = written(entries, 2);
    assert_int_equal(resume_blob_open(&blob, fd), 0);
    resume_blob_each_fd(&blob, add_fd, &sum);
    assert_int_equal(sum, 100 + 101 + 102 + 103 + 15000);
    resume_blob_close(&blob);
    close(fd);
}

/* Opens a good blob of which `bytes` bytes at `offset` were overwritten, cut to `size`. */
static int open_changed(size_t offset, const void *change, size_t bytes, off_t size)
{
    struct resume_blob blob;
    int fd = written(NULL, 0);
    assert_int_equal(pwrite(fd, change, bytes, (off_t)offset), bytes);
    assert_int_equal(ftruncate(fd, size ? size : lseek(fd, 0, SEEK_END)), 0);
    int error = resume_blob_open(&blob, fd);
    if (!error)
        resume_blob_close(&blob);
    close(fd);
    return error;
}

static void a_blob_that_does_not_hang_together_is_refused(void **state)
{
    const uint64_t magic = 1;
    const uint32_t huge = UINT32_MAX, none = 0, listeners = RESUME_LISTENERS + 1;
    assert_int_equal(open_changed(0, &magic, sizeof magic, 0), -EPROTO);
    assert_int_equal(open_changed(offsetof(struct resume, version), &huge, 4, 0), -EPROTO);
    assert_int_equal(open_changed(offsetof(struct resume, resume_bytes), &huge, 4, 0), -EPROTO);
    assert_int_equal(open_changed(offsetof(struct resume, resume_bytes), &none, 4, 0), -EPROTO);
    assert_int_equal(open_changed(offsetof(struct resume, entries), &huge, 4, 0), -EPROTO);
    assert_int_equal(open_changed(offsetof(struct resume, strings_bytes), &huge, 4, 0), -EPROTO);
    assert_int_equal(open_changed(offsetof(struct resume, strings_bytes), &none, 4, 0), -EPROTO);
    assert_int_equal(open_changed(offsetof(struct resume, listener_count), &listeners, 4, 0),
                     -EPROTO);
    assert_int_equal(open_changed(sizeof(struct resume), "x", 1, sizeof(struct resume) + 1),
                     -EPROTO);
    assert_int_equal(open_changed(0, "", 0, 16), -EPROTO);
}

static void strings_the_keeper_has_no_place_for_are_refused(void **state)
{
    static char large[RESUME_STRINGS_MAX + 1];
    memset(large, 'x', RESUME_STRINGS_MAX);
    struct resume head = {.server_argc = 0};
    const struct resume_strings too_much = {.binary = large};
    assert_int_equal(resume_blob_write(&head, NULL, &too_much), -E2BIG);
}

/* The newer layout has 8 bytes more in the head and in each entry. */
static void a_blob_of_a_newer_version_is_read_as_far_as_it_is_known(void **state)
{
    struct resume head = {.magic = RESUME_MAGIC, .version = RESUME_VERSION, .occasion = 2,
                          .resume_bytes = sizeof head + 8, .entries = 2, .strings_bytes = 2,
                          .entry_bytes = sizeof(struct resume_entry) + 8, .soft_nofile = 7};
    const struct resume_entry entries[] = {{.pid = 1}, {.pid = 2}};
    const uint64_t news = UINT64_MAX;
    struct resume_blob blob;
    int fd = memfd_create("newer", MFD_CLOEXEC);
    assert_int_equal(write(fd, &head, sizeof head), sizeof head);
    assert_int_equal(write(fd, &news, 8), 8);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(write(fd, &entries[i], sizeof entries[i]), sizeof entries[i]);
        assert_int_equal(write(fd, &news, 8), 8);
    }
    assert_int_equal(write(fd, "x", 2), 2);
    assert_int_equal(resume_blob_open(&blob, fd), 0);
    assert_int_equal(blob.head.soft_nofile, 7);
    assert_int_equal(resume_blob_entry(&blob, 1).pid, 2);
    assert_string_equal(resume_blob_string(&blob, 0), "x");
    resume_blob_close(&blob);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(every_descriptor_it_names_is_visited),
        cmocka_unit_test(a_blob_that_does_not_hang_together_is_refused),
        cmocka_unit_test(strings_the_keeper_has_no_place_for_are_refused),
        cmocka_unit_test(a_blob_of_a_newer_version_is_read_as_far_as_it_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
