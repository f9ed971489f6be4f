/*
 * The slots: one cgroup v2 directory per running child, made when first needed and used again.
 *
 * They lie in a directory of this keeper beside its own processes, `forkful-<pid>-<random>/s<N>`,
 * so a tree can be killed, frozen and counted however it forks or calls setsid. Of the controllers
 * only memory's is switched on, where that is allowed: it counts OOM kills. Where no cgroup2 is
 * mounted, or may not be written, there are no slots and tree.c walks /proc instead. The first slots are kept open, two descriptors each; the others only while
 * they are used.
 *
 * A slot that was ever killed or frozen is worn, and so is one that a former keeper used: it is
 * removed and made anew before another child gets it. A frozen one would freeze that child, and
 * Linux 6.14 and later kill whatever is cloned into a cgroup whose count of kills is not that of
 * the keeper's own. The shared flock on the directory says that a keeper or server lives which
 * needs it; a fresh keeper removes those beside its own that nobody holds or lives in.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "service/fault.h"
#include "service/keeper/keeper.h"
#include "service/keeper/proc.h"

#define HOT_SLOTS 256 /* these stay open; with thousands of children, descriptors are dear */
#define PREFIX "forkful-"
#define STALE_MAX 64  /* directories of dead keepers removed at one start */
#define END_PATIENCE_MS 5000 /* for those in uninterruptible sleep: their slots are left */

struct slot {
    int directory, events; /* the directory and its cgroup.events; 0: not open */
    int32_t free_next;     /* of those that were given back, -1 ends */
    bool taken;
    bool watched;          /* `events` is in an epoll */
    bool worn;             /* killed or frozen once, or not made by us: not to be used again */
};

static struct slot *slots;
static int32_t slot_count, slot_free = -1;
static int32_t listed[CHILDREN_MAX];
static int top = -1; /* the directory of the slots: resume.cgroup_fd */
static _Atomic uint8_t *starting; /* spool_header.starting_slots */

/* One word of /proc/self/FILE: of the line that contains `mark`, the `field`th (from 0). */
static bool find_word(const char *file, const char *mark, int field, char *word, size_t size)
{
    char line[8192];
    FILE *lines = fopen(file, "re");
    bool found = false;
    while (lines != NULL && !found && fgets(line, sizeof line, lines) != NULL) {
        if (strstr(line, mark) == NULL) {
            continue;
        }
        char *at = strtok(line, " \n");
        while (at != NULL && field-- > 0) {
            at = strtok(NULL, " \n");
        }
        found = at != NULL && snprintf(word, size, "%s", at) < (int)size;
    }
    if (lines != NULL) {
        fclose(lines);
    }
    return found;
}

/* Removes the slots that are listed in `directory`. Waits for those in which somebody still ends,
   `patience_ms` for all of them together. */
static void remove_slots(int directory, int patience_ms)
{
    size_t count = proc_numbers(directory, "s", listed, CHILDREN_MAX);
    for (size_t i = 0; i < count; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%d", listed[i]);
        while (unlinkat(directory, name, AT_REMOVEDIR) < 0 && errno == EBUSY && patience_ms > 0) {
            usleep(5000);
            patience_ms -= 5;
        }
    }
}

static bool is_top_name(const char *name)
{
    int pid, end = 0;
    unsigned word;
    return sscanf(name, PREFIX "%d-%6x%n", &pid, &word, &end) == 2 && name[end] == 0;
}

/* What keeper and server left behind when both were killed. Only empty cgroups can be removed. */
static void remove_stale(const char *parent)
{
    DIR *beside = opendir(parent);
    const struct dirent *entry;
    for (int seen = 0; beside != NULL && seen < STALE_MAX && (entry = readdir(beside)) != NULL;) {
        if (!is_top_name(entry->d_name)) {
            continue;
        }
        seen++;
        int directory = openat(dirfd(beside), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (directory >= 0 && flock(directory, LOCK_EX | LOCK_NB) == 0) {
            remove_slots(directory, 0);
            unlinkat(dirfd(beside), entry->d_name, AT_REMOVEDIR);
        }
        close_one(&directory);
    }
    if (beside != NULL) {
        closedir(beside);
    }
}

/* Makes this keeper's directory. Another fresh keeper may take it for stale until it is locked. */
static int make_top(struct keeper *keeper, const char *parent)
{
    char *path = keeper->cgroup_path;
    unsigned word = 0;
    for (int tries = 0; tries < 3; tries++) {
        if (getrandom(&word, sizeof word, 0) < 0 ||
            snprintf(path, sizeof keeper->cgroup_path, "%s/" PREFIX "%d-%06x", parent,
                     (int)keeper->pid, word & 0xffffff) >= (int)sizeof keeper->cgroup_path ||
            mkdir(path, 0755) < 0) {
            return -1;
        }
        int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (directory >= 0 && flock(directory, LOCK_SH | LOCK_NB) == 0 &&
            faccessat(directory, "cgroup.procs", F_OK, 0) == 0) {
            return directory;
        }
        close_one(&directory);
        rmdir(path);
    }
    return -1;
}

static int find_top(struct keeper *keeper)
{
    char mount[2048], own[1024], parent[3072];
    if (!find_word("/proc/self/mountinfo", " - cgroup2 ", 4, mount, sizeof mount) ||
        !find_word("/proc/self/cgroup", "0::/", 0, own, sizeof own)) {
        return -1;
    }
    snprintf(parent, sizeof parent, "%s%s", mount, strcmp(own, "0::/") == 0 ? "" : own + 3);
    remove_stale(parent);
    return make_top(keeper, parent);
}

/* With the memory controller slots count OOM kills (memory.events). The kernel refuses it below a
   cgroup that has processes of its own, so beside a keeper in a service's cgroup there is none:
   then a kill by the OOM killer is a SIGKILL like any other. */
static void enable_memory(int directory)
{
    static const char *const files[] = {"../cgroup.subtree_control", "cgroup.subtree_control"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        int fd = openat(directory, files[i], O_WRONLY | O_CLOEXEC);
        if (fd >= 0) {
            (void)!write(fd, "+memory", 7);
            close(fd);
        }
    }
}

void cgroup_begin(struct keeper *keeper)
{
    slots = table_reserve(CHILDREN_MAX, sizeof *slots);
    if (slots == NULL || !(keeper->features & KEEPER_CLONE3) || FAULT_ERRNO("cgroup") != 0) {
        return;
    }
    if (keeper->resume.cgroup_fd < 0) {
        keeper->resume.cgroup_fd = find_top(keeper);
        enable_memory(keeper->resume.cgroup_fd);
    }
    if (keeper->resume.cgroup_fd < 0) {
        return;
    }
    top = keeper->resume.cgroup_fd;
    flock(top, LOCK_SH | LOCK_NB); /* a keeper of an older build may not have done it */
    starting = keeper->spool.header->starting_slots;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", top);
    ssize_t length = readlink(link, keeper->cgroup_path, sizeof keeper->cgroup_path - 1);
    keeper->cgroup_path[length > 0 ? length : 0] = 0;
    keeper->features |= KEEPER_CGROUP;
}

/* Opens slot N unless it is open. */
static int slot_open(int32_t slot)
{
    char name[16];
    if (slots[slot].directory > 0) {
        return 0;
    }
    snprintf(name, sizeof name, "s%d", slot);
    int directory = openat(top, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int events = directory < 0 ? -1 : openat(directory, "cgroup.events", O_RDONLY | O_CLOEXEC);
    if (events < 0) {
        int error = -errno;
        close_one(&directory);
        return error;
    }
    slots[slot].directory = directory;
    slots[slot].events = events;
    return 0;
}

static void slot_close(int32_t slot)
{
    if (slots[slot].directory == 0) {
        return;
    }
    close(slots[slot].directory);
    close(slots[slot].events);
    slots[slot].directory = slots[slot].events = 0;
}

/* A new cgroup for slot N. -EEXIST: somebody still lives in the old one. */
static int slot_make(int32_t slot)
{
    char name[16];
    snprintf(name, sizeof name, "s%d", slot);
    slot_close(slot);
    unlinkat(top, name, AT_REMOVEDIR);
    if (mkdirat(top, name, 0755) < 0) {
        return -errno;
    }
    slots[slot].worn = false;
    return slot_open(slot);
}

/* Nobody needs it open just now. */
void cgroup_rest(int32_t slot)
{
    if (slot >= HOT_SLOTS && !slots[slot].watched) {
        slot_close(slot);
    }
}

/* One that was given back, or -1. */
static int32_t slot_from_list(void)
{
    int32_t slot = slot_free;
    if (slot < 0 || slot_open(slot) != 0) {
        return -1;
    }
    slot_free = slots[slot].free_next;
    return slot;
}

/* The next number never used, or -1. Taken are adopted ones; in others strangers may live. */
static int32_t slot_from_number(void)
{
    int error = -EEXIST;
    int32_t slot = slot_count;
    for (; slot < (int32_t)CHILDREN_MAX && error == -EEXIST; slot++) {
        error = slots[slot].taken ? -EEXIST : slot_make(slot);
    }
    if (error != 0 && error != -EEXIST) {
        return -1; /* out of descriptors or cgroups: this child goes without */
    }
    slot_count = slot;
    return error == 0 ? slot - 1 : -1;
}

int cgroup_take(struct keeper *keeper, int *directory)
{
    if (!(keeper->features & KEEPER_CGROUP)) {
        return -1;
    }
    int32_t slot = slot_from_list();
    if (slot < 0) {
        slot = slot_from_number();
    }
    if (slot < 0) {
        return -1;
    }
    slots[slot].taken = true;
    *directory = slots[slot].directory;
    return slot;
}

void cgroup_starting(int32_t slot, bool is_starting)
{
    uint8_t bit = (uint8_t)(1u << (slot & 7));
    if (slot < 0 || slot >= (int32_t)SPOOL_STARTING_SLOTS) {
        return;
    }
    if (is_starting) {
        starting[slot / 8] |= bit;
    } else {
        starting[slot / 8] &= (uint8_t)~bit;
    }
}

/* A slot that a resumed entry lives in; false: there is none such. */
bool cgroup_adopt(struct keeper *keeper, int32_t slot)
{
    if (slot < 0 || slot >= (int32_t)CHILDREN_MAX || !(keeper->features & KEEPER_CGROUP) ||
        slots[slot].taken || slot_open(slot) != 0) {
        return false;
    }
    cgroup_rest(slot);
    return slots[slot].taken = slots[slot].worn = true;
}

void cgroup_give(int32_t *slot)
{
    if (*slot < 0) {
        return;
    }
    slots[*slot].watched = false;
    cgroup_starting(*slot, false);
    bool usable = !slots[*slot].worn || slot_make(*slot) == 0;
    cgroup_rest(*slot);
    if (usable) {
        slots[*slot].taken = false;
        slots[*slot].free_next = slot_free;
        slot_free = *slot;
    }
    *slot = -1; /* not usable: it stays taken for ever, there are many */
}

int cgroup_events(int32_t slot)
{
    int error = slot_open(slot);
    slots[slot].watched = error == 0;
    return error != 0 ? -1 : slots[slot].events;
}

bool cgroup_populated(int32_t slot)
{
    char text[256];
    ssize_t got = slot_open(slot) == 0 ? pread(slots[slot].events, text, sizeof text - 1, 0) : 0;
    text[got > 0 ? got : 0] = 0;
    cgroup_rest(slot);
    return strstr(text, "populated 0") == NULL;
}

static int file_open(int32_t slot, const char *file, int flags)
{
    int error = slot_open(slot);
    int fd = error != 0 ? error : openat(slots[slot].directory, file, flags | O_CLOEXEC);
    if (fd < 0 && error == 0) {
        fd = -errno;
    }
    cgroup_rest(slot);
    return fd;
}

ssize_t cgroup_read(int32_t slot, const char *file, char *text, size_t size)
{
    int fd = file_open(slot, file, O_RDONLY);
    if (fd < 0) {
        return fd;
    }
    size_t have = 0;
    ssize_t got = 1;
    while (got > 0 && have < size - 1) {
        got = read(fd, text + have, size - 1 - have);
        have += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    text[have] = 0;
    return (ssize_t)have;
}

int cgroup_write(int32_t slot, const char *file, const char *text)
{
    int fd = file_open(slot, file, O_WRONLY);
    if (fd < 0) {
        return fd;
    }
    slots[slot].worn = true; /* what is written is cgroup.kill and cgroup.freeze */
    ssize_t put = write(fd, text, strlen(text));
    int error = put < 0 ? -errno : 0;
    close(fd);
    return error;
}

uint32_t cgroup_oom_kills(const struct keeper *keeper, int32_t slot)
{
    char text[512];
    if (slot < 0 || !keeper->cgroup_oom || cgroup_read(slot, "memory.events", text, 512) <= 0) {
        return 0;
    }
    const char *at = strstr(text, "oom_kill ");
    return at != NULL ? (uint32_t)strtoul(at + 9, NULL, 10) : 0;
}

/* What a killed keeper had forked and not handed over: nobody knows it, so nobody may be left of
   it. Other slots that are not in the table hold descendants of forgotten children; they go on. */
static void kill_unknown(void)
{
    for (int32_t slot = 0; slot < (int32_t)SPOOL_STARTING_SLOTS; slot++) {
        if (!(starting[slot / 8] >> (slot & 7) & 1)) {
            continue;
        }
        if (!slots[slot].taken && cgroup_write(slot, "cgroup.kill", "1") == -EACCES) {
            keeper_log("s%d: only root can end what was just being started there", slot);
        }
        cgroup_starting(slot, false);
    }
}

/* Does a child live that is cloned into a new slot? Not where the keeper's own cgroup was killed
   before the keeper came into it (see above). */
static bool slot_is_safe(int directory)
{
    int status = 0;
    struct clone_args arguments = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD,
                                   .cgroup = (unsigned)directory};
    long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid == 0) {
        _exit(0);
    }
    return pid > 0 && waitpid((pid_t)pid, &status, 0) == pid && status == 0;
}

void cgroup_probe(struct keeper *keeper)
{
    int directory = -1;
    if (!(keeper->features & KEEPER_CGROUP)) {
        return;
    }
    if (keeper->resume.occasion == RESUME_ADOPT) {
        kill_unknown();
    }
    int slot = cgroup_take(keeper, &directory);
    if (slot < 0 || !slot_is_safe(directory)) {
        keeper_log("children cannot be started in cgroups of their own; they get none");
        keeper->features &= ~(uint32_t)KEEPER_CGROUP;
        return;
    }
    if (faccessat(directory, "cgroup.kill", W_OK, 0) == 0) {
        keeper->features |= KEEPER_CGROUP_KILL;
    }
    if (faccessat(directory, "cgroup.freeze", W_OK, 0) == 0) {
        keeper->features |= KEEPER_CGROUP_FREEZE;
    }
    keeper->cgroup_oom = faccessat(directory, "memory.events", R_OK, 0) == 0;
    cgroup_give(&slot);
}

void cgroup_thaw_left(const struct keeper *keeper, pid_t pid)
{
    char text[4096], path[sizeof keeper->cgroup_path + sizeof text];
    const char *end = strrchr(keeper->cgroup_path, '/');
    if (end == NULL || proc_read(pid, "cgroup", text, sizeof text) == 0) {
        return;
    }
    char *line = strstr(text, "0::"), *slot = line != NULL ? strstr(line, "/" PREFIX) : NULL;
    if (slot == NULL) {
        return;
    }
    slot[strcspn(slot, "\n")] = 0;
    snprintf(path, sizeof path, "%.*s%s/cgroup.freeze", (int)(end - keeper->cgroup_path),
             keeper->cgroup_path, slot);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!write(fd, "0", 1);
        close(fd);
    }
}

/* Removes all slots, once their processes are gone, and the directory. */
void cgroup_end(struct keeper *keeper)
{
    if (keeper->resume.cgroup_fd < 0) {
        return;
    }
    remove_slots(keeper->resume.cgroup_fd, END_PATIENCE_MS);
    rmdir(keeper->cgroup_path);
}
