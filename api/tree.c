/*
 * GET …/tree and …/stats: what the kernel tells of a process's tree at this moment, and the stats
 * of many in one call, for who watches a list.
 *
 * Numbers that the kernel keeps from us (another user's process, or one that ended while we
 * looked) are null.
 */
#include <stdlib.h>
#include <string.h>

#include "api/handlers.h"
#include "api/param_value.h"
#include "api/procfs.h"
#include "api/respond.h"

#define CMDLINE_BYTES (32u << 10)      /* of one process that are shown */
#define STATS_IDS_MAX 100              /* whose stats one call gives: what a screen shows */

static struct proc_member *members_of(struct request *request, const struct process *process,
                                      size_t *count)
{
    struct procfs *procfs = procfs_open(&request_app(request)->service);
    struct proc_member *members = NULL;
    *count = 0;
    if (procfs) {
        members = procfs_tree(procfs, process, count);
        procfs_close(procfs);
    }
    return members;
}

/* ---- tree ---- */

static void argv_json(struct text *body, pid_t pid, char *cmdline)
{
    size_t bytes = proc_file(pid, "cmdline", cmdline, CMDLINE_BYTES);
    text_putc(body, '[');
    for (size_t at = 0; at < bytes; at += strlen(cmdline + at) + 1) {
        text_json_comma(body);
        text_json_string(body, cmdline + at);
    }
    text_putc(body, ']');
}

static void member_json(struct text *body, const struct proc_member *member, char *cmdline)
{
    const struct proc_stat *stat = &member->stat;
    text_json_comma(body);
    text_printf(body, "{\"pid\":%d,\"ppid\":%d,\"depth\":%u,\"name\":", stat->pid, stat->parent,
                member->depth);
    text_json_string(body, stat->comm);
    text_put(body, ",\"argv\":");
    argv_json(body, stat->pid, cmdline);
    text_printf(body, ",\"state\":\"%c\",\"started_at\":", stat->state);
    text_json_time(body, proc_started_at_us(stat->start_ticks));
    text_put(body, ",\"cpu_seconds\":");
    text_json_seconds(body, proc_ticks_us(stat->user_ticks + stat->system_ticks));
    text_put(body, ",\"rss_bytes\":");
    text_unsigned(body, stat->rss_bytes);
    text_putc(body, '}');
}

void handle_get_process_tree(struct request *request)
{
    const struct process *process = find_process(request);
    struct text body = {0};
    size_t count;
    char *cmdline = process ? request_alloc(request, CMDLINE_BYTES) : NULL;
    if (!cmdline) {
        if (process) {
            respond_no_memory(request);
        }
        return;
    }
    struct proc_member *members = members_of(request, process, &count);
    text_printf(&body, "{\"id\":\"%s\",\"items\":[", process->id_text);
    for (size_t i = 0; i < count; i++) {
        member_json(&body, &members[i], cmdline);
    }
    text_put(&body, "]}");
    free(members);
    answer_json(request, 200, &body);
}

/* ---- stats ---- */

static void main_json(struct text *body, const struct proc_member *main_member)
{
    if (!main_member) {
        text_put(body, ",\"cpu_user_seconds\":null,\"cpu_system_seconds\":null,\"rss_bytes\":null,"
                       "\"virtual_bytes\":null,\"threads\":null,\"fds\":null");
        return;
    }
    const struct proc_stat *stat = &main_member->stat;
    int64_t fds = proc_fd_count(stat->pid);
    text_put(body, ",\"cpu_user_seconds\":");
    text_json_seconds(body, proc_ticks_us(stat->user_ticks));
    text_put(body, ",\"cpu_system_seconds\":");
    text_json_seconds(body, proc_ticks_us(stat->system_ticks));
    text_put(body, ",\"rss_bytes\":");
    text_unsigned(body, stat->rss_bytes);
    text_put(body, ",\"virtual_bytes\":");
    text_unsigned(body, stat->virtual_bytes);
    text_put(body, ",\"threads\":");
    text_unsigned(body, stat->threads);
    text_put(body, ",\"fds\":");
    if (fds >= 0) {
        text_number(body, fds);
    } else {
        text_put(body, "null");
    }
}

static void sums_json(struct text *body, const struct proc_member *members, size_t count,
                      bool main_is_there)
{
    uint64_t rss_bytes = 0, ticks = 0;
    for (size_t i = 0; i < count; i++) {
        rss_bytes += members[i].stat.rss_bytes;
        ticks += members[i].stat.user_ticks + members[i].stat.system_ticks;
    }
    text_printf(body, ",\"descendants\":%zu,\"tree_rss_bytes\":", count - main_is_there);
    text_unsigned(body, rss_bytes);
    text_put(body, ",\"tree_cpu_seconds\":");
    text_json_seconds(body, proc_ticks_us(ticks));
}

static struct problem *has_no_stats(const struct process *process)
{
    bool ended = process_ended(process);
    return problem_make(ended ? PROBLEM_NOT_RUNNING : PROBLEM_NOT_STARTED, "process %s %s",
                        process->id_text, ended ? "has ended" : "was not started");
}

static void stats_json(struct text *body, struct procfs *procfs, const struct process *process)
{
    size_t count = 0;
    struct proc_member *members = procfs ? procfs_tree(procfs, process, &count) : NULL;
    bool main_is_there = count && members[0].depth == 0;
    text_printf(body, "{\"id\":\"%s\",\"at\":", process->id_text);
    text_json_time(body, time_now_us());
    text_printf(body, ",\"pid\":%d", process->pid);
    main_json(body, main_is_there ? members : NULL);
    sums_json(body, members, count, main_is_there);
    text_putc(body, '}');
    free(members);
}

void handle_get_process_stats(struct request *request)
{
    const struct process *process = find_process(request);
    struct text body = {0};
    if (process && !process_alive(process)) {
        answer_problem(request, has_no_stats(process));
        return;
    }
    if (!process) {
        return;
    }
    struct procfs *procfs = procfs_open(&request_app(request)->service);
    stats_json(&body, procfs, process);
    procfs_close(procfs);
    answer_json(request, 200, &body);
}

/* ---- stats of many ---- */

static unsigned count_ids(const char *ids)
{
    unsigned count = 0;
    size_t bytes;
    while (ids && *ids && param_list_next(&ids, &bytes)) {
        count++;
    }
    return count;
}

/* Who has ended meanwhile, or is no more, has no figures. /proc is looked through once for all. */
void handle_get_stats_of_processes(struct request *request)
{
    struct app *app = request_app(request);
    const char *ids = request_param(request, "ids"), *id;
    unsigned asked = count_ids(ids);
    struct problem *problem = NULL;
    struct text body = {0};
    size_t bytes;
    if (asked == 0 || asked > STATS_IDS_MAX) {
        param_refuse(&problem, "ids", "must name 1 to %d processes", STATS_IDS_MAX);
        answer_problem(request, problem);
        return;
    }
    struct procfs *procfs = procfs_open(&app->service);
    text_put(&body, "{\"items\":[");
    while ((id = param_list_next(&ids, &bytes))) {
        const struct process *process =
            process_table_find_text(&app->service.processes, id, bytes);
        if (process && process_alive(process)) {
            text_json_comma(&body);
            stats_json(&body, procfs, process);
        }
    }
    text_put(&body, "]}");
    procfs_close(procfs);
    answer_json(request, 200, &body);
}
