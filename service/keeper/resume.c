/*
 * The resume blob, read and written (service/resume.h), and the upgrade that uses it.
 *
 * Reading takes the descriptors into custody by setting FD_CLOEXEC on each; writing for an upgrade
 * clears it again, and when the exec fails it is set once more and the keeper goes on as if nothing
 * had been. Sizes in the blob are the writer's: what it did not know is zero.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "service/fault.h"
#include "service/keeper/keeper.h"
#include "service/memfd.h"

const char *resume_string(const struct keeper *keeper, unsigned index)
{
    const char *at = keeper->strings, *end = at + keeper->resume.strings_bytes;
    while (index-- > 0 && at < end) {
        at += strlen(at) + 1;
    }
    return at < end ? at : "";
}

static void set_cloexec(int fd, bool inherit)
{
    if (fd >= 0) {
        fcntl(fd, F_SETFD, inherit ? 0 : FD_CLOEXEC);
    }
}

void resume_inherit(struct keeper *keeper, bool inherit)
{
    const struct resume *resume = &keeper->resume;
    const int own[] = {resume->spool_fd, resume->lock_fd, resume->binary_fd, resume->notify_fd,
                       resume->cgroup_fd};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        set_cloexec(own[i], inherit);
    }
    for (int i = 0; i < resume->listener_count; i++) {
        set_cloexec(resume->listener_fds[i], inherit);
    }
    for (uint32_t i = 1; i <= keeper->used; i++) {
        const struct child *child = &keeper->children[i];
        if (child->state == CHILD_FREE) {
            continue;
        }
        set_cloexec(child->pidfd, inherit);
        set_cloexec(child->output[0], inherit);
        set_cloexec(child->output[1], inherit);
        set_cloexec(child->stdin_fd, inherit);
    }
}

/* NULL: the table is full. */
static struct child *take_entry(struct keeper *keeper, const struct resume_entry *entry)
{
    struct child *child = table_add(keeper, &entry->process);
    if (child == NULL) {
        return NULL;
    }
    child->state = entry->flags & ENTRY_ENDED ? CHILD_ENDED : CHILD_RUNNING;
    child->marks = entry->flags & 0xffff;
    child->pid = 0;
    if (child->state == CHILD_RUNNING) {
        table_set_pid(keeper, child, entry->pid);
    } else {
        child->pid = entry->pid;
    }
    child->pidfd = entry->pidfd;
    child->output[0] = entry->stdout_fd;
    child->output[1] = entry->stderr_fd;
    child->stdin_fd = entry->stdin_fd;
    child->spawn_flags = entry->spawn_flags;
    child->stop_signal = entry->stop_signal;
    child->stop_reason = entry->stop_reason;
    child->slot = entry->cgroup_slot;
    child->grace_us = entry->grace_us;
    child->stop_deadline_us = entry->stop_deadline_mono_us;
    child->timeout_deadline_us = entry->timeout_deadline_mono_us;
    child->output_bytes = entry->output_bytes;
    child->max_output_bytes = entry->max_output_bytes;
    child->dropped[0] = entry->stdout_dropped;
    child->dropped[1] = entry->stderr_dropped;
    return child;
}

static int read_entry(struct keeper *keeper, const unsigned char *bytes, size_t size)
{
    struct resume_entry entry = {.cgroup_slot = -1};
    memcpy(&entry, bytes, size < sizeof entry ? size : sizeof entry);
    if (keeper->resume.occasion == RESUME_ADOPT && entry.pidfd < 0 &&
        !(entry.flags & ENTRY_ENDED)) {
        keeper_log("resume: the end of process %d cannot be observed", (int)entry.pid);
        return 0; /* the server had no room for its descriptors, so it is lost */
    }
    if (entry.pid <= 1 || entry.pid == keeper->pid) {
        keeper_log("resume: an entry with pid %d is left out", (int)entry.pid);
        return 0; /* signals to it would hit everybody, or us */
    }
    return take_entry(keeper, &entry) != NULL ? 0 : -ENFILE;
}

static int read_blob(struct keeper *keeper, const unsigned char *blob, size_t size)
{
    struct resume *resume = &keeper->resume;
    const struct resume *written = (const void *)blob;
    size_t head = size >= sizeof(uint64_t) * 3 ? written->resume_bytes : 0;
    if (head < offsetof(struct resume, spool_fd) || head > size ||
        written->magic != RESUME_MAGIC || written->version != RESUME_VERSION) {
        return -EPROTO;
    }
    memcpy(resume, blob, head < sizeof *resume ? head : sizeof *resume);
    uint64_t entries = (uint64_t)resume->entries * resume->entry_bytes;
    if (resume->strings_bytes == 0 || resume->strings_bytes > STRINGS_BYTES ||
        resume->listener_count < 0 || resume->listener_count > RESUME_LISTENERS ||
        entries + resume->strings_bytes != size - head || blob[size - 1] != 0) {
        return -EPROTO;
    }
    memcpy(keeper->strings, blob + head + entries, resume->strings_bytes);
    for (uint32_t i = 0; i < resume->entries; i++) {
        int error = read_entry(keeper, blob + head + (size_t)i * resume->entry_bytes,
                               resume->entry_bytes);
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

int resume_read(struct keeper *keeper, int fd)
{
    struct stat info;
    if (fstat(fd, &info) < 0 || info.st_size <= 0) {
        return -EPROTO;
    }
    size_t size = (size_t)info.st_size;
    unsigned char *blob = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (blob == MAP_FAILED) {
        return -errno;
    }
    int error = read_blob(keeper, blob, size);
    munmap(blob, size);
    close(fd);
    resume_inherit(keeper, false);
    return error;
}

static void attend(struct keeper *keeper, struct child *child)
{
    pipes_watch(keeper, child);
    if (child->state == CHILD_ENDED) {
        tree_outlives(keeper, child);
    } else if (child->marks & ENTRY_ADOPTED) {
        watch_add(keeper->epoll, child->pidfd, EPOLLIN, SOURCE_PIDFD, 0,
                  table_index(keeper, child));
    }
    deadline_at(keeper, child->stop_deadline_us);
    deadline_at(keeper, child->timeout_deadline_us);
}

void resume_begin(struct keeper *keeper)
{
    for (uint32_t i = 1; i <= keeper->used; i++) {
        struct child *child = &keeper->children[i];
        if (!cgroup_adopt(keeper, child->slot)) {
            child->slot = -1;
        }
        if (child->state == CHILD_RUNNING && keeper->resume.occasion == RESUME_ADOPT) {
            child->marks |= ENTRY_ADOPTED;
        }
        attend(keeper, child);
        deadline_at(keeper, keeper->drop_deadline_us = keeper->mono_us);
    }
}

int resume_adopt(struct keeper *keeper, const struct resume_entry *entry)
{
    struct resume_entry bare = *entry;
    bare.flags = (entry->flags & ENTRY_PAUSED) | ENTRY_ADOPTED;
    bare.stdout_fd = bare.stderr_fd = bare.stdin_fd = bare.cgroup_slot = -1;
    struct child *child = take_entry(keeper, &bare);
    if (child == NULL) {
        return -ENFILE;
    }
    attend(keeper, child);
    link_custody(keeper, child);
    if (child->marks & ENTRY_PAUSED) { /* the freezer that holds it is not ours */
        tree_signal(keeper, child, SIGSTOP);
        cgroup_thaw_left(keeper, child->pid);
    }
    return 0;
}

static bool write_all(int fd, const void *bytes, size_t size)
{
    return write(fd, bytes, size) == (ssize_t)size; /* a memfd takes all or fails */
}

static bool write_entry(int fd, const struct child *child)
{
    struct resume_entry entry = {
        .process = child->process, .pid = child->pid, .pidfd = child->pidfd,
        .stdout_fd = child->output[0], .stderr_fd = child->output[1],
        .stdin_fd = child->stdin_fd,
        .flags = (child->marks & 0xffff) | (child->state == CHILD_ENDED ? ENTRY_ENDED : 0u),
        .spawn_flags = child->spawn_flags, .stop_signal = child->stop_signal,
        .stop_reason = child->stop_reason, .cgroup_slot = child->slot,
        .grace_us = child->grace_us, .stop_deadline_mono_us = child->stop_deadline_us,
        .timeout_deadline_mono_us = child->timeout_deadline_us,
        .output_bytes = child->output_bytes, .max_output_bytes = child->max_output_bytes,
        .stdout_dropped = child->dropped[0], .stderr_dropped = child->dropped[1]};
    return write_all(fd, &entry, sizeof entry);
}

int resume_write(struct keeper *keeper)
{
    struct resume blob = keeper->resume;
    int fd = memfd_for_data("forkful-resume", 0);
    if (fd < 0) {
        return fd;
    }
    blob.occasion = RESUME_UPGRADE;
    blob.resume_bytes = sizeof blob;
    blob.entry_bytes = sizeof(struct resume_entry);
    blob.entries = keeper->live;
    blob.oom_score_adj = keeper->oom_score_adj;
    bool written = write_all(fd, &blob, sizeof blob);
    for (uint32_t i = 1; i <= keeper->used && written; i++) {
        if (keeper->children[i].state != CHILD_FREE) {
            written = write_entry(fd, &keeper->children[i]);
        }
    }
    if (written && write_all(fd, keeper->strings, blob.strings_bytes)) {
        return fd;
    }
    close(fd);
    return -ENOSPC;
}

/* A server with fewer rights than ours must not choose what we become: it is the daemon's own
   program, which only root can have put there. */
static bool may_become(const struct keeper *keeper, int binary)
{
    struct stat info;
    return *users_text(keeper) == 0 || geteuid() != 0 ||
           (strcmp(keeper->upgrade_path, resume_string(keeper, 0)) == 0 &&
            fstat(binary, &info) == 0 && info.st_uid == 0 &&
            (info.st_mode & (S_IWGRP | S_IWOTH)) == 0);
}

static int upgrade_execute(const struct keeper *keeper, int blob)
{
    char number[16];
    char *arguments[] = {"forkful", "--resume", number, NULL};
    int binary = open(keeper->upgrade_path, O_PATH | O_CLOEXEC), error = FAULT_ERRNO("execve");
    if (binary < 0) {
        return errno;
    }
    snprintf(number, sizeof number, "%d", blob);
    if (error == 0) {
        error = may_become(keeper, binary) ? 0 : EPERM;
    }
    if (error == 0) {
        syscall(SYS_execveat, binary, "", arguments, environ, AT_EMPTY_PATH);
        error = errno;
    }
    close(binary);
    return error;
}

static void upgrade_exec(struct keeper *keeper)
{
    int fd = resume_write(keeper), error = 0;
    if (fd >= 0) {
        resume_inherit(keeper, true);
        error = upgrade_execute(keeper, fd);
        resume_inherit(keeper, false);
        close(fd);
    }
    keeper_log("upgrade to %s: %s; going on as before", keeper->upgrade_path,
               strerror(fd < 0 ? -fd : error));
}

/* The server is gone: re-execute as soon as no child is between fork and exec and all facts are
   written, for neither is in the blob. */
void upgrade_run(struct keeper *keeper)
{
    bool settled = keeper->starting == 0 && !keeper->server.ended_due;
    for (uint32_t i = 1; i <= keeper->used && settled; i++) {
        settled = keeper->children[i].owed == 0 && keeper->children[i].state != CHILD_FAILED;
    }
    if (!settled && keeper->mono_us < keeper->upgrade_deadline_us) {
        return;
    }
    if (settled) {
        upgrade_exec(keeper);
    } else {
        keeper_log("upgrade: facts or starts are pending for too long; going on as before");
    }
    keeper->upgrade_path[0] = 0;
    keeper->upgrade_deadline_us = 0;
    keeper->server.ended_by_us = false;
    keeper->server.start_deadline_us = keeper->mono_us;
}
