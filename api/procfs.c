/* Trees of living processes; see procfs.h. What one process tells of itself is in proc_stat.c. */
#include "api/procfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/id.h"

#define PIDS_MAX (1u << 22)            /* PID_MAX_LIMIT of the kernel */
#define ORPHANS_MAX 4096u              /* looked at, over all trees */
#define ENVIRON_BYTES (256u << 10)

struct pids {                          /* a growing list */
    pid_t *items;
    size_t count, room;
};

struct orphan {
    pid_t pid, session;
    bool marked;                      /* `owner` stands in its environment */
    struct fact_id owner;
};

struct pair {                         /* where the kernel lists no children */
    pid_t pid, parent;
};

struct procfs {
    const struct service *service;
    bool lists_children;
    struct pair *pairs;
    size_t pair_count;
    bool orphans_known;
    struct orphan *orphans;
    size_t orphan_count;
};

/* ---- lists ---- */

static bool pids_add(struct pids *pids, pid_t pid)
{
    if (pids->count == pids->room) {
        size_t room = pids->room ? pids->room * 2 : 32;
        pid_t *items = realloc(pids->items, room * sizeof *items);
        if (!items) {
            return false;
        }
        pids->items = items;
        pids->room = room;
    }
    pids->items[pids->count++] = pid;
    return true;
}

static int compare_pids(const void *left, const void *right)
{
    pid_t a = *(const pid_t *)left, b = *(const pid_t *)right;
    return (a > b) - (a < b);
}

static bool pids_hold(const struct pids *sorted, pid_t pid)
{
    return sorted->count &&
           bsearch(&pid, sorted->items, sorted->count, sizeof pid, compare_pids) != NULL;
}

/* ---- children ---- */

static void children_of_thread(int tasks, const char *thread, struct pids *out)
{
    char path[300], text[4096];
    size_t held = 0;
    ssize_t n;
    snprintf(path, sizeof path, "%s/children", thread);
    int fd = openat(tasks, path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && (n = read(fd, text + held, sizeof text - held - 1)) > 0) {
        char *at = text, *end;
        text[held + (size_t)n] = '\0';
        while ((end = strchr(at, ' ')) != NULL) {
            pids_add(out, (pid_t)atoi(at));
            at = end + 1;
        }
        held = strlen(at);
        memmove(text, at, held + 1);
    }
    if (fd >= 0) {
        close(fd);
    }
}

static void listed_children(const struct proc_stat *of, struct pids *out)
{
    char path[64];
    if (of->threads == 1) {
        snprintf(path, sizeof path, "/proc/%d/task/%d", of->pid, of->pid);
        children_of_thread(AT_FDCWD, path, out);
        return;
    }
    snprintf(path, sizeof path, "/proc/%d/task", of->pid);
    DIR *tasks = opendir(path);
    struct dirent *entry;
    while (tasks && (entry = readdir(tasks))) {
        if (entry->d_name[0] != '.') {
            children_of_thread(dirfd(tasks), entry->d_name, out);
        }
    }
    if (tasks) {
        closedir(tasks);
    }
}

static void scan_pairs(struct procfs *procfs)
{
    DIR *directory = opendir("/proc");
    struct dirent *entry;
    struct proc_stat stat;
    size_t room = 0;
    while (directory && (entry = readdir(directory))) {
        if (!proc_stat_of((pid_t)atoi(entry->d_name), &stat)) {
            continue;
        }
        if (procfs->pair_count == room) {
            room = room ? room * 2 : 256;
            struct pair *pairs = realloc(procfs->pairs, room * sizeof *pairs);
            if (!pairs) {
                break;
            }
            procfs->pairs = pairs;
        }
        if (procfs->pairs) {
            procfs->pairs[procfs->pair_count++] = (struct pair){stat.pid, stat.parent};
        }
    }
    if (directory) {
        closedir(directory);
    }
}

static void children_of(struct procfs *procfs, const struct proc_stat *of, struct pids *out)
{
    if (procfs->lists_children) {
        listed_children(of, out);
        return;
    }
    if (!procfs->pairs) {
        scan_pairs(procfs);
    }
    for (size_t i = 0; procfs->pairs && i < procfs->pair_count; i++) {
        if (procfs->pairs[i].parent == of->pid) {
            pids_add(out, procfs->pairs[i].pid);
        }
    }
}

/* ---- orphans ---- */

/* Whose FORKFUL_PROCESS_ID the process was started with. */
static bool marker_of(pid_t pid, char *environment, struct fact_id *owner)
{
    static const char key[] = "FORKFUL_PROCESS_ID=";
    size_t bytes = proc_file(pid, "environ", environment, ENVIRON_BYTES);
    for (size_t at = 0; at < bytes; at += strlen(environment + at) + 1) {
        if (strncmp(environment + at, key, sizeof key - 1) == 0) {
            const char *id = environment + at + sizeof key - 1;
            return id_parse(id, strlen(id), 'p', owner);
        }
    }
    return false;
}

/* Main processes alive now, and the server: what the keeper has as children besides orphans. */
static void known_children(const struct service *service, struct pids *out)
{
    pids_add(out, getpid());
    for (const struct process *p = service->processes.first_live; p; p = p->next_live) {
        pids_add(out, p->pid);
    }
    if (out->count) {
        qsort(out->items, out->count, sizeof *out->items, compare_pids);
    }
}

/* Who takes orphans in: the keeper, and where a keeper was killed, whoever took its children
   over. */
static void children_of_adopters(struct procfs *procfs, bool adopted, struct pids *out)
{
    struct proc_stat keeper, next;
    if (!proc_stat_of(procfs->service->keeper.keeper_pid, &keeper)) {
        return;
    }
    children_of(procfs, &keeper, out);
    if (adopted && proc_stat_of(keeper.parent, &next)) {
        children_of(procfs, &next, out);
    }
}

static void orphan_add(struct procfs *procfs, pid_t pid, char *environment)
{
    struct proc_stat stat;
    if (pid == procfs->service->keeper.keeper_pid || !proc_stat_of(pid, &stat) ||
        stat.state == 'Z' || stat.state == 'X') {
        return;
    }
    struct orphan *orphan = &procfs->orphans[procfs->orphan_count++];
    *orphan = (struct orphan){.pid = pid, .session = stat.session};
    orphan->marked = marker_of(pid, environment, &orphan->owner);
}

static void find_orphans(struct procfs *procfs, const struct process *process)
{
    struct pids known = {0}, found = {0};
    char *environment = malloc(ENVIRON_BYTES);
    procfs->orphans_known = true;
    procfs->orphans = calloc(ORPHANS_MAX, sizeof *procfs->orphans);
    known_children(procfs->service, &known);
    children_of_adopters(procfs, process->ppid != procfs->service->keeper.keeper_pid, &found);
    for (size_t i = 0; environment && procfs->orphans && i < found.count; i++) {
        if (!pids_hold(&known, found.items[i]) && procfs->orphan_count < ORPHANS_MAX) {
            orphan_add(procfs, found.items[i], environment);
        }
    }
    free(environment);
    free(known.items);
    free(found.items);
}

static bool is_main_of_another(const struct service *service, const struct process *process,
                               pid_t pid)
{
    for (const struct process *p = service->processes.first_live; p; p = p->next_live) {
        if (p != process && p->pid == pid) {
            return true;
        }
    }
    return false;
}

/* The environment decides; a session only where it says nothing. A session outlives its leader,
   whose number is not given again meanwhile, unless to the leader of another tree. */
static bool belongs_to(const struct procfs *procfs, const struct orphan *orphan,
                       const struct process *process)
{
    if (orphan->marked) {
        return id_equal(&orphan->owner, &process->id);
    }
    return orphan->session == process->pid &&
           (process_alive(process) || !is_main_of_another(procfs->service, process, process->pid));
}

/* ---- trees ---- */

struct growing {
    struct proc_member *members;
    size_t count, room;
    unsigned char *seen;               /* a bit per pid: parents may change while we look */
};

static bool is_new(struct growing *tree, pid_t pid)
{
    unsigned bit = 1u << (pid & 7);
    if (pid <= 0 || (unsigned)pid >= PIDS_MAX || tree->seen[pid >> 3] & bit) {
        return false;
    }
    tree->seen[pid >> 3] |= (unsigned char)bit;
    return true;
}

static void tree_add(struct growing *tree, pid_t pid, unsigned depth)
{
    struct proc_stat stat;
    if (!is_new(tree, pid) || !proc_stat_of(pid, &stat) || stat.state == 'Z' ||
        stat.state == 'X') {
        return;
    }
    if (tree->count == tree->room) {
        size_t room = tree->room ? tree->room * 2 : 16;
        struct proc_member *members = realloc(tree->members, room * sizeof *members);
        if (!members) {
            return;
        }
        tree->members = members;
        tree->room = room;
    }
    tree->members[tree->count++] = (struct proc_member){stat, depth};
}

/* Who lives in the process's own cgroup, sorted. False: it has none, or none that we may read. */
static bool cgroup_members(const struct procfs *procfs, const struct process *process,
                           struct pids *out)
{
    char path[48];
    pid_t pid;
    snprintf(path, sizeof path, "s%u/cgroup.procs", process->in_cgroup - 1);
    int fd = process->in_cgroup ? openat(procfs->service->cgroup_fd, path, O_RDONLY | O_CLOEXEC)
                                : -1;
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (!file) {
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    while (fscanf(file, "%d", &pid) == 1) {
        pids_add(out, pid);
    }
    fclose(file);
    if (out->count) {
        qsort(out->items, out->count, sizeof *out->items, compare_pids);
    }
    return true;
}

/* Those whose parent lives elsewhere. A main process in there is the next user of the cgroup: then the
   last of ours has ended, and the fact of it is on its way. */
static void add_outermost(const struct procfs *procfs, const struct process *process,
                          const struct pids *members, struct growing *tree)
{
    struct proc_stat stat;
    for (size_t i = 0; i < members->count; i++) {
        if (proc_stat_of(members->items[i], &stat) && !pids_hold(members, stat.parent) &&
            !is_main_of_another(procfs->service, process, stat.pid)) {
            tree_add(tree, stat.pid, 1);
        }
    }
}

static void add_orphans(struct procfs *procfs, const struct process *process, struct growing *tree)
{
    if (!procfs->orphans_known) {
        find_orphans(procfs, process);
    }
    for (size_t i = 0; i < procfs->orphan_count; i++) {
        if (belongs_to(procfs, &procfs->orphans[i], process)) {
            tree_add(tree, procfs->orphans[i].pid, 1);
        }
    }
}

static void add_roots(struct procfs *procfs, const struct process *process, struct growing *tree)
{
    struct pids members = {0};
    if (process_alive(process)) {
        tree_add(tree, process->pid, 0);
    }
    if (cgroup_members(procfs, process, &members)) {
        add_outermost(procfs, process, &members, tree);
    } else {
        add_orphans(procfs, process, tree);
    }
    free(members.items);
}

static bool can_have_members(const struct process *process)
{
    return process->pid && (process_alive(process) || process->descendants);
}

/* The list grows while it is walked: breadth first, parents before their children. */
static void add_descendants(struct procfs *procfs, struct growing *tree)
{
    struct pids children = {0};
    for (size_t i = 0; i < tree->count; i++) {
        unsigned depth = tree->members[i].depth + 1;
        children.count = 0;
        children_of(procfs, &tree->members[i].stat, &children);
        for (size_t j = 0; j < children.count; j++) {
            tree_add(tree, children.items[j], depth);
        }
    }
    free(children.items);
}

struct proc_member *procfs_tree(struct procfs *procfs, const struct process *process,
                                size_t *count)
{
    struct growing tree = {0};
    if (can_have_members(process) && (tree.seen = calloc(PIDS_MAX / 8, 1))) {
        add_roots(procfs, process, &tree);
        add_descendants(procfs, &tree);
        free(tree.seen);
    }
    *count = tree.count;
    return tree.members;
}

void procfs_refresh(struct procfs *procfs, struct process *process)
{
    size_t count;
    if (!process_alive(process)) {
        return;
    }
    struct proc_member *members = procfs_tree(procfs, process, &count);
    bool main_is_there = count && members[0].depth == 0;
    process->descendants = (unsigned)(count - main_is_there);
    free(members);
}

/* ---- opening ---- */

static bool children_are_listed(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
    return access(path, R_OK) == 0;
}

struct procfs *procfs_open(const struct service *service)
{
    struct procfs *procfs = calloc(1, sizeof *procfs);
    if (procfs) {
        procfs->service = service;
        procfs->lists_children = children_are_listed();
    }
    return procfs;
}

void procfs_close(struct procfs *procfs)
{
    if (procfs) {
        free(procfs->orphans);
        free(procfs->pairs);
        free(procfs);
    }
}
