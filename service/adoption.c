/* Adoption; see adoption.h. */
#include "service/adoption.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/local_executor.h"

struct writing {
    struct service *service;
    char slots[PATH_MAX];                /* "/NAME/s": where the keeper's slots are; empty: none */
    struct resume_entry *entries;
    size_t count, room;
};

/* A wall-clock time as one of CLOCK_MONOTONIC; never 0, which means none. */
static int64_t monotonic_of(int64_t at_us)
{
    int64_t deadline_us = time_monotonic_us() + (at_us - time_now_us());
    return deadline_us > 0 ? deadline_us : 1;
}

static void name_slots(char slots[PATH_MAX], int cgroup_fd)
{
    char link[64], path[PATH_MAX - 4];
    snprintf(link, sizeof link, "/proc/self/fd/%d", cgroup_fd);
    ssize_t bytes = cgroup_fd < 0 ? -1 : readlink(link, path, sizeof path - 1);
    path[bytes > 0 ? bytes : 0] = '\0';
    const char *last = strrchr(path, '/');
    snprintf(slots, PATH_MAX, last ? "%s/s" : "", last);
}

/* The slot's number out of "0::/…/NAME/s17" in /proc/PID/cgroup; -1: none of this keeper's. */
static int32_t cgroup_slot(const char *slots, int32_t pid)
{
    char path[64], line[4096];
    int slot = -1;
    snprintf(path, sizeof path, "/proc/%d/cgroup", pid);
    FILE *file = *slots ? fopen(path, "re") : NULL;
    while (file && fgets(line, sizeof line, file)) {
        const char *at = strncmp(line, "0::", 3) == 0 ? strstr(line, slots) : NULL;
        if (at) {
            slot = atoi(at + strlen(slots));
        }
    }
    if (file) {
        fclose(file);
    }
    return slot;
}

static void fill_from_record(struct resume_entry *entry, const struct process *process)
{
    bool ended = process_ended(process);
    entry->flags |= ended ? ENTRY_ENDED | ENTRY_FORGOTTEN : 0;
    entry->flags |= process->paused ? ENTRY_PAUSED : 0;
    entry->spawn_flags = process->when_full == FULL_BLOCK         ? SPAWN_OUTPUT_BLOCK
                         : process->when_full == FULL_DROP_NEWEST ? SPAWN_OUTPUT_DROP_NEWEST
                                                                  : 0;
    entry->stop_signal = process->stop_signal;
    entry->stop_reason = process->stop_reason;
    entry->grace_us = process->grace_us;
    entry->max_output_bytes = process->when_full == FULL_BLOCK ? process_output_limit(process)
                                                               : process->max_output_bytes;
    entry->output_bytes = process->stdout_bytes + process->stderr_bytes;
    if ((!ended || process->descendants) && process->stop_deadline_at_us) {
        entry->stop_deadline_mono_us = monotonic_of(process->stop_deadline_at_us);
    }
    if (!ended && process->timeout_us) {
        entry->timeout_deadline_mono_us =
            monotonic_of(process->started_at_us + process->timeout_us);
    }
}

static struct resume_entry bare_entry(const struct fact_id *id, int32_t pid)
{
    return (struct resume_entry){.process = *id, .pid = pid, .pidfd = -1, .stdout_fd = -1,
                                 .stderr_fd = -1, .stdin_fd = -1, .flags = ENTRY_ADOPTED,
                                 .stop_signal = 15, .cgroup_slot = -1};
}

static struct resume_entry *entry_begin(struct writing *writing, const struct fact_id *id,
                                        int32_t pid)
{
    struct resume_entry *entry = &writing->entries[writing->count++];
    *entry = bare_entry(id, pid);
    return entry;
}

/* Nothing of it is in custody any more, but a stop of its tree may be under way. */
static bool is_bare_tree(struct service *service, const struct process *process)
{
    return process_ended(process) && process->descendants &&
           !custody_find(local_executor_custody(service->executor), &process->id);
}

static void write_bare_trees(struct writing *writing)
{
    struct service *service = writing->service;
    for (const struct process *p = service->processes.first; p; p = p->next) {
        if (is_bare_tree(service, p) && writing->count < writing->room) {
            struct resume_entry *entry = entry_begin(writing, &p->id, p->pid);
            entry->cgroup_slot = (int32_t)p->in_cgroup - 1;
            fill_from_record(entry, p);
        }
    }
}

static void write_one(void *context, const struct custody *custody)
{
    struct writing *writing = context;
    if (writing->count == writing->room) {
        return;
    }
    struct resume_entry *entry = entry_begin(writing, &custody->process, custody->pid);
    entry->pidfd = custody->pidfd;
    entry->stdout_fd = custody->stdout_fd;
    entry->stderr_fd = custody->stderr_fd;
    entry->stdin_fd = custody->stdin_fd;
    const struct process *process =
        process_table_find(&writing->service->processes, &custody->process);
    entry->cgroup_slot = process && process->in_cgroup ? (int32_t)process->in_cgroup - 1
                                                       : cgroup_slot(writing->slots, custody->pid);
    if (process) {
        fill_from_record(entry, process);
    }
}

int adoption_blob(struct service *service, struct resume *head,
                  const struct resume_strings *strings)
{
    const struct custody_table *table = local_executor_custody(service->executor);
    struct writing writing = {.service = service, .room = table->map.used};
    for (const struct process *p = service->processes.first; p; p = p->next) {
        writing.room += is_bare_tree(service, p);
    }
    name_slots(writing.slots, head->cgroup_fd);
    writing.entries = calloc(writing.room + 1, sizeof *writing.entries);
    if (!writing.entries) {
        return -ENOMEM;
    }
    custody_each(table, write_one, &writing);
    write_bare_trees(&writing);
    head->entries = (uint32_t)writing.count;
    int fd = resume_blob_write(head, writing.entries, strings);
    free(writing.entries);
    return fd;
}

/* ---- those who outlived keeper and server ---- */

struct taking {
    struct service *service;
    struct fact_id process;
};

static void taken_over(void *context, int error, unsigned stage)
{
    struct taking *taking = context;
    struct service *service = taking->service;
    struct process *process = process_table_find(&service->processes, &taking->process);
    (void)stage;
    if (error && process && process_alive(process)) {
        service_log(service, LEVEL_WARNING, process, "it lives as pid %d, but cannot be taken over: %s",
                    process->pid, strerror(error));
        process_lost(service, process, REASON_KEEPER_LOST);
    }
    free(taking);
}

static bool ask_keeper(struct service *service, const struct resume_entry *entry)
{
    struct taking *taking = malloc(sizeof *taking);
    if (!taking) {
        return false;
    }
    *taking = (struct taking){service, entry->process};
    struct problem *problem = service->executor->type->adopt(service->executor, entry,
                                                             (struct reply){taken_over, taking});
    if (problem) {
        free(taking);
    }
    problem_free(problem);
    return !problem;
}

bool adoption_take_over(struct service *service, struct process *process)
{
    int pidfd = process->pool_num ? -1 : process_open(process);
    if (pidfd < 0) {
        return false;
    }
    struct resume_entry entry = bare_entry(&process->id, process->pid);
    fill_from_record(&entry, process);
    entry.pidfd = pidfd;
    bool asked = ask_keeper(service, &entry);
    close(pidfd);
    if (asked) {
        service_log(service, LEVEL_WARNING, process,
                    "keeper and server were killed; it lives on as pid %d, without pipes", process->pid);
        if (process->open_streams & 3u) {
            process_streams_lost(service, process);
        }
    }
    return asked;
}
