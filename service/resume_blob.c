/*
 * The resume blob as bytes: head, entries, strings, one after another in a memfd.
 *
 * The reader believes the writer's sizes, which may be those of another version, only as far as
 * they fit into the file.
 */
#include "service/resume_blob.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/memfd.h"
#include "service/text.h"

#define FIXED_STRINGS_BEFORE_ARGV 5

static void put_string(struct text *text, const char *string)
{
    text_put(text, string ? string : "");
    text_putc(text, '\0');
}

static void put_strings(struct text *text, const struct resume_strings *strings, unsigned argc)
{
    const char *const fixed[FIXED_STRINGS_BEFORE_ARGV] = {
        strings->binary, strings->first_line, strings->state_dir, strings->runtime_dir,
        strings->config};
    for (size_t i = 0; i < FIXED_STRINGS_BEFORE_ARGV; i++) {
        put_string(text, fixed[i]);
    }
    for (unsigned i = 0; i < argc; i++) {
        put_string(text, strings->server_argv[i]);
    }
    put_string(text, strings->users);
}

static int write_parts(int fd, const struct resume *head, const struct resume_entry *entries,
                       const struct text *strings)
{
    int error = memfd_write(fd, head, sizeof *head);
    if (!error) {
        error = memfd_write(fd, entries, head->entries * sizeof *entries);
    }
    return error ? error : memfd_write(fd, strings->data, strings->bytes);
}

int resume_blob_write(struct resume *head, const struct resume_entry *entries,
                      const struct resume_strings *strings)
{
    struct text text = {0};
    int fd = -1, error = -ENOMEM;
    put_strings(&text, strings, head->server_argc);
    if (text.bytes > RESUME_STRINGS_MAX) {
        error = -E2BIG;
    }
    if (text.failed || error == -E2BIG) {
        goto done;
    }
    head->magic = RESUME_MAGIC;
    head->version = RESUME_VERSION;
    head->resume_bytes = sizeof *head;
    head->entry_bytes = sizeof *entries;
    head->strings_bytes = (uint32_t)text.bytes;
    fd = memfd_for_data("forkful-resume", MFD_CLOEXEC);
    error = fd < 0 ? fd : write_parts(fd, head, entries, &text);
    if (error && fd >= 0) {
        close(fd);
    }
done:
    text_free(&text);
    return error ? error : fd;
}

/* The sizes in the head fit into the file, and its strings end with a NUL. */
static bool hangs_together(struct resume_blob *blob)
{
    const struct resume *head = &blob->head;
    uint64_t before = head->resume_bytes + (uint64_t)head->entries * head->entry_bytes;
    if (head->magic != RESUME_MAGIC || head->version != RESUME_VERSION ||
        head->resume_bytes < offsetof(struct resume, state) || head->entry_bytes == 0 ||
        head->listener_count < 0 || head->listener_count > RESUME_LISTENERS ||
        head->strings_bytes == 0 || before > blob->map_bytes ||
        head->strings_bytes > blob->map_bytes - before) {
        return false;
    }
    blob->entries = (const char *)blob->map + head->resume_bytes;
    blob->strings = (const char *)blob->map + before;
    return blob->strings[head->strings_bytes - 1] == '\0';
}

static void copy_head(struct resume_blob *blob)
{
    uint32_t bytes;
    memcpy(&bytes, (const char *)blob->map + offsetof(struct resume, resume_bytes), sizeof bytes);
    if (bytes > sizeof blob->head) {
        bytes = sizeof blob->head;
    }
    if (bytes <= blob->map_bytes) {
        memcpy(&blob->head, blob->map, bytes);
    }
}

int resume_blob_open(struct resume_blob *blob, int fd)
{
    struct stat status;
    *blob = (struct resume_blob){.map = NULL};
    if (fstat(fd, &status) < 0) {
        return -errno;
    }
    if (status.st_size < (off_t)offsetof(struct resume, state)) {
        return -EPROTO;
    }
    blob->map_bytes = (size_t)status.st_size;
    blob->map = mmap(NULL, blob->map_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (blob->map == MAP_FAILED) {
        return -errno;
    }
    copy_head(blob);
    if (!hangs_together(blob)) {
        resume_blob_close(blob);
        return -EPROTO;
    }
    return 0;
}

void resume_blob_close(struct resume_blob *blob)
{
    munmap(blob->map, blob->map_bytes);
}

const char *resume_blob_string(const struct resume_blob *blob, unsigned number)
{
    const char *string = blob->strings, *end = blob->strings + blob->head.strings_bytes;
    while (number-- && string < end) {
        string += strlen(string) + 1;
    }
    return string < end ? string : "";
}

struct resume_entry resume_blob_entry(const struct resume_blob *blob, unsigned number)
{
    struct resume_entry entry = {.pidfd = -1, .stdout_fd = -1, .stderr_fd = -1, .stdin_fd = -1};
    size_t bytes = blob->head.entry_bytes;
    memcpy(&entry, blob->entries + (size_t)number * bytes,
           bytes < sizeof entry ? bytes : sizeof entry);
    return entry;
}

static void each_given(void (*each)(void *context, int fd), void *context, const int32_t *fds,
                       unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (fds[i] >= 0) {
            each(context, fds[i]);
        }
    }
}

void resume_blob_each_fd(const struct resume_blob *blob, void (*each)(void *context, int fd),
                         void *context)
{
    const struct resume *head = &blob->head;
    const int32_t own[] = {head->spool_fd, head->lock_fd, head->binary_fd, head->notify_fd,
                           head->cgroup_fd};
    each_given(each, context, own, sizeof own / sizeof own[0]);
    each_given(each, context, head->listener_fds, (unsigned)head->listener_count);
    for (unsigned i = 0; i < head->entries; i++) {
        struct resume_entry entry = resume_blob_entry(blob, i);
        const int32_t fds[] = {entry.pidfd, entry.stdout_fd, entry.stderr_fd, entry.stdin_fd};
        each_given(each, context, fds, sizeof fds / sizeof fds[0]);
    }
}
