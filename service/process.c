/* The table of processes; see process.h. */
#include "service/process.h"

#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "service/bonds.h"
#include "service/id.h"

#define FIRST_BUCKETS 256

static const char *const state_names[STATES] = {"starting", "created", "pending", "running",
                                                "stopping", "exited",  "failed",  "lost"};

static const char *const reason_names[REASONS] = {
    NULL,  "exit_code",   "signal",   "timeout", "stopped",
    "oom", "parent_exit", "shutdown", "reboot",  "keeper_lost"};

const char *process_state_name(enum process_state state)
{
    return state_names[state];
}

bool process_state_from_name(const char *name, size_t bytes, enum process_state *out)
{
    for (int state = STATE_CREATED; state < STATES; state++) {
        if (strlen(state_names[state]) == bytes && memcmp(state_names[state], name, bytes) == 0) {
            *out = (enum process_state)state;
            return true;
        }
    }
    return false;
}

const char *exit_reason_name(enum exit_reason reason)
{
    return reason_names[reason];
}

bool process_alive(const struct process *process)
{
    return process->state == STATE_RUNNING || process->state == STATE_STOPPING;
}

const char *process_program(const struct process *process)
{
    return process->program ? process->program : "exec";
}

bool process_waits(const struct process *process)
{
    return process->state == STATE_CREATED || process->state == STATE_PENDING;
}

bool process_ended(const struct process *process)
{
    return process->state >= STATE_EXITED;
}

/* Field 22 of /proc/PID/stat; 0: there is no such process. */
static uint64_t start_ticks_of(int32_t pid)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t bytes = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) {
        close(fd);
    }
    text[bytes > 0 ? bytes : 0] = '\0';
    char *at = strrchr(text, ')');
    for (int field = 2; at && field < 22; field++) {
        at = strchr(at + 1, ' ');
    }
    return at ? strtoull(at, NULL, 10) : 0;
}

/* Does the one behind the pidfd run still, and is it the one that was started? */
static bool is_same(const struct process *process, int pidfd)
{
    struct stat status;
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    bool same = process->pidfd_inode
                    ? fstat(pidfd, &status) == 0 && status.st_ino == process->pidfd_inode
                    : process->start_ticks &&
                          start_ticks_of(process->pid) == process->start_ticks;
    return same && poll(&ended, 1, 0) == 0;
}

int process_open(const struct process *process)
{
    int pidfd = process->pid > 0 ? (int)syscall(SYS_pidfd_open, process->pid, 0) : -1;
    if (pidfd >= 0 && !is_same(process, pidfd)) {
        close(pidfd);
        pidfd = -1;
    }
    return pidfd;
}

bool process_lives_unheld(const struct process *process)
{
    bool perhaps = process->state == STATE_LOST && process->exit_reason != REASON_REBOOT;
    int pidfd = perhaps ? process_open(process) : -1;
    if (pidfd >= 0) {
        close(pidfd);
    }
    return pidfd >= 0;
}

/* ---- found by number ---- */

static struct process **num_bucket(const struct process_table *table, int64_t num)
{
    return &table->by_num[(uint64_t)num & (table->num_buckets - 1)];
}

/* Numbers are given one after another, so chains stay short as long as there are enough buckets. */
static bool nums_grow(struct process_table *table)
{
    struct process_table larger = {.num_buckets = 2 * table->num_buckets};
    larger.num_buckets = larger.num_buckets ? larger.num_buckets : FIRST_BUCKETS;
    larger.by_num = calloc(larger.num_buckets, sizeof(struct process *));
    if (!larger.by_num) {
        return false;
    }
    for (struct process *process = table->first; process; process = process->next) {
        struct process **bucket = num_bucket(&larger, process->num);
        process->next_num = *bucket;
        *bucket = process;
    }
    free(table->by_num);
    table->by_num = larger.by_num;
    table->num_buckets = larger.num_buckets;
    return true;
}

struct process *process_table_find_num(struct process_table *table, int64_t num)
{
    struct process *process = table->num_buckets ? *num_bucket(table, num) : NULL;
    while (process && process->num != num) {
        process = process->next_num;
    }
    return process;
}

/* ---- lists ---- */

/* Ids grow, so the place is nearly always the end; only a record made again after a crash may have
   to go before others. */
static void enter_in_order(struct process_table *table, struct process *process)
{
    struct process *before = table->last;
    while (before && memcmp(before->id.bytes, process->id.bytes, sizeof process->id.bytes) > 0) {
        before = before->previous;
    }
    process->previous = before;
    process->next = before ? before->next : table->first;
    *(before ? &before->next : &table->first) = process;
    *(process->next ? &process->next->previous : &table->last) = process;
}

struct process *process_table_add(struct process_table *table, const struct fact_id *id,
                                  int64_t num)
{
    if (table->count >= table->num_buckets && !nums_grow(table)) {
        return NULL;
    }
    struct process *process = calloc(1, sizeof *process);
    if (!process) {
        return NULL;
    }
    process->id = *id;
    process->num = num;
    id_format(id, 'p', process->id_text);
    if (!id_map_add(&table->by_id, &process->id)) {
        free(process);
        return NULL;
    }
    struct process **bucket = num_bucket(table, num);
    process->next_num = *bucket;
    *bucket = process;
    enter_in_order(table, process);
    table->count++;
    table->states[STATE_STARTING]++;
    return process;
}

struct process *process_table_find(struct process_table *table, const struct fact_id *id)
{
    struct fact_id *found = id_map_find(&table->by_id, id);
    return found ? (struct process *)((char *)found - offsetof(struct process, id)) : NULL;
}

struct process *process_table_find_text(struct process_table *table, const char *text, size_t bytes)
{
    struct fact_id id;
    struct process *process =
        id_parse(text, bytes, 'p', &id) ? process_table_find(table, &id) : NULL;
    return process && process->state != STATE_STARTING ? process : NULL;
}

static void daemon_enter(struct process_table *table, struct process *process)
{
    process->next_daemon = table->first_daemon;
    if (table->first_daemon) {
        table->first_daemon->previous_daemon = process;
    }
    table->first_daemon = process;
}

static void daemon_leave(struct process_table *table, struct process *process)
{
    *(process->previous_daemon ? &process->previous_daemon->next_daemon : &table->first_daemon) =
        process->next_daemon;
    if (process->next_daemon) {
        process->next_daemon->previous_daemon = process->previous_daemon;
    }
    process->next_daemon = process->previous_daemon = NULL;
}

static void live_enter(struct process_table *table, struct process *process)
{
    process->next_live = table->first_live;
    if (table->first_live) {
        table->first_live->previous_live = process;
    }
    table->first_live = process;
    table->live++;
    if (process->daemon) {
        daemon_enter(table, process);
    }
}

static void live_leave(struct process_table *table, struct process *process)
{
    *(process->previous_live ? &process->previous_live->next_live : &table->first_live) =
        process->next_live;
    if (process->next_live) {
        process->next_live->previous_live = process->previous_live;
    }
    process->next_live = process->previous_live = NULL;
    table->live--;
    if (process->daemon) {
        daemon_leave(table, process);
    }
}

bool process_table_charge(struct process_table *table, struct process *process)
{
    process->charged = account_enter(&table->accounts, &process->account);
    return process->charged;
}

static void discharge(struct process_table *table, struct process *process)
{
    if (process->charged) {
        account_leave(&table->accounts, &process->account);
        process->charged = false;
    }
}

void process_set_state(struct process_table *table, struct process *process,
                       enum process_state state)
{
    table->sandboxed = table->sandboxed || (process->privileges && process->privileges->sandbox);
    bool was_alive = process_alive(process);
    bool had_ended = process_ended(process);
    table->states[process->state]--;
    process->state = state;
    table->states[state]++;
    if (!was_alive && process_alive(process)) {
        live_enter(table, process);
    } else if (was_alive && !process_alive(process)) {
        live_leave(table, process);
    }
    if (!had_ended && process_ended(process)) {
        table->ended++;
        discharge(table, process);
    }
}

void process_table_remove(struct process_table *table, struct process *process)
{
    if (process_alive(process)) {
        live_leave(table, process);
    }
    discharge(table, process);
    table->ended -= (size_t)process_ended(process);
    table->states[process->state]--;
    table->count--;
    *(process->previous ? &process->previous->next : &table->first) = process->next;
    *(process->next ? &process->next->previous : &table->last) = process->previous;
    struct process **at = num_bucket(table, process->num);
    while (*at != process) {
        at = &(*at)->next_num;
    }
    *at = process->next_num;
    id_map_remove(&table->by_id, &process->id);
}

void process_free(struct process *process)
{
    free(process->name);
    free(process->program);
    free(process->fixed_json);
    free(process->spec_text);
    json_decref(process->labels);
    privileges_free(process->privileges);
    bonds_free(process->bonds);
    free(process);
}

void process_table_free(struct process_table *table)
{
    struct process *next;
    for (struct process *process = table->first; process; process = next) {
        next = process->next;
        process_free(process);
    }
    free(table->by_num);
    account_table_free(&table->accounts);
    id_map_free(&table->by_id);
    *table = (struct process_table){0};
}

/* ---- filters ---- */

static bool label_matches(const json_t *labels, const char *wanted)
{
    const char *equals = strchr(wanted, '=');
    if (!equals) {
        return json_object_get(labels, wanted) != NULL;
    }
    const json_t *value = json_object_getn(labels, wanted, (size_t)(equals - wanted));
    return value && strcmp(json_string_value(value), equals + 1) == 0;
}

bool process_matches(const struct process *process, const struct process_filter *filter)
{
    if (process->state == STATE_STARTING ||
        (filter->states && !(filter->states & 1u << process->state)) ||
        (filter->name && strcmp(filter->name, process->name) != 0) ||
        (filter->by_parent && (filter->parent.kind != process->parent.kind ||
                               !id_equal(&filter->parent.id, &process->parent.id)))) {
        return false;
    }
    for (size_t i = 0; i < filter->label_count; i++) {
        if (!label_matches(process->labels, filter->labels[i])) {
            return false;
        }
    }
    return true;
}
