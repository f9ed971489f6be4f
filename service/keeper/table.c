/*
 * The table of children: found by process id (hash of the ULID) and by pid.
 *
 * Entries lie in one mapping reserved at the start; the kernel gives pages as they are touched, so
 * the table grows without moving and without malloc. Index 0 means "none". An entry removed in a
 * turn is used again only after that turn (table_collect), so an event already fetched for it finds
 * a free entry and not a stranger. Records of children between fork and exec are kept here too.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "service/keeper/keeper.h"

#define RECORD_SLOTS 128u
#define RECORD_SLOT_BYTES 4096u

static unsigned char record_slots[RECORD_SLOTS][RECORD_SLOT_BYTES];
static unsigned char *record_free[RECORD_SLOTS];
static unsigned record_free_count;

/* Children of a fork do not get these pages: that makes each fork cheaper. */
void *table_reserve(size_t count, size_t size)
{
    void *at = mmap(NULL, count * size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) {
        return NULL;
    }
    madvise(at, count * size, MADV_DONTFORK);
    return at;
}

int table_begin(struct keeper *keeper)
{
    keeper->children = table_reserve(CHILDREN_MAX, sizeof *keeper->children);
    keeper->by_process = table_reserve(HASH_BUCKETS, sizeof *keeper->by_process);
    keeper->by_pid = table_reserve(HASH_BUCKETS, sizeof *keeper->by_pid);
    if (keeper->children == NULL || keeper->by_process == NULL || keeper->by_pid == NULL) {
        return -ENOMEM;
    }
    for (record_free_count = 0; record_free_count < RECORD_SLOTS; record_free_count++) {
        record_free[record_free_count] = record_slots[RECORD_SLOTS - 1 - record_free_count];
    }
    return 0;
}

uint32_t table_index(const struct keeper *keeper, const struct child *child)
{
    return (uint32_t)(child - keeper->children);
}

static uint32_t *process_bucket(const struct keeper *keeper, const struct fact_id *process)
{
    uint64_t word; /* the random half of the ULID */
    memcpy(&word, process->bytes + 8, sizeof word);
    return &keeper->by_process[(word * 0x9e3779b97f4a7c15ull) >> 50];
}

static uint32_t *pid_bucket(const struct keeper *keeper, pid_t pid)
{
    return &keeper->by_pid[(uint32_t)pid % HASH_BUCKETS];
}

struct child *table_find(struct keeper *keeper, const struct fact_id *process)
{
    uint32_t index = *process_bucket(keeper, process);
    while (index != 0 && memcmp(&keeper->children[index].process, process, sizeof *process) != 0) {
        index = keeper->children[index].hash_next;
    }
    return index != 0 ? &keeper->children[index] : NULL;
}

struct child *table_find_pid(struct keeper *keeper, pid_t pid)
{
    uint32_t index = *pid_bucket(keeper, pid);
    while (index != 0 && keeper->children[index].pid != pid) {
        index = keeper->children[index].pid_next;
    }
    return index != 0 ? &keeper->children[index] : NULL;
}

struct child *table_add(struct keeper *keeper, const struct fact_id *process)
{
    uint32_t index = keeper->free_first;
    if (index != 0) {
        keeper->free_first = keeper->children[index].queue_next;
    } else if (keeper->used + 1 < CHILDREN_MAX) {
        index = ++keeper->used;
    } else {
        return NULL;
    }
    struct child *child = &keeper->children[index];
    *child = (struct child){.process = *process, .state = CHILD_STARTING, .pidfd = -1,
                            .status_fd = -1, .stdin_fd = -1, .output = {-1, -1},
                            .slot = -1};
    uint32_t *bucket = process_bucket(keeper, process);
    child->hash_next = *bucket;
    *bucket = index;
    keeper->live++;
    return child;
}

void table_set_pid(struct keeper *keeper, struct child *child, pid_t pid)
{
    uint32_t index = table_index(keeper, child);
    if (child->pid != 0) {
        uint32_t *at = pid_bucket(keeper, child->pid);
        while (*at != 0 && *at != index) {
            at = &keeper->children[*at].pid_next;
        }
        if (*at == index) {
            *at = child->pid_next;
        }
    }
    if (pid == 0) {
        return; /* `pid` itself stays readable: it names the session of the descendants */
    }
    child->pid = pid;
    child->pid_next = *pid_bucket(keeper, pid);
    *pid_bucket(keeper, pid) = index;
}

void table_remove(struct keeper *keeper, struct child *child)
{
    uint32_t index = table_index(keeper, child);
    uint32_t *at = process_bucket(keeper, &child->process);
    while (*at != index) {
        at = &keeper->children[*at].hash_next;
    }
    *at = child->hash_next;
    table_set_pid(keeper, child, 0);
    child->state = CHILD_FREE;
    child->queue_next = keeper->freed_first;
    keeper->freed_first = index;
    keeper->live--;
}

void table_collect(struct keeper *keeper)
{
    while (keeper->freed_first != 0) {
        struct child *child = &keeper->children[keeper->freed_first];
        uint32_t next = child->queue_next;
        child->queue_next = keeper->free_first;
        keeper->free_first = keeper->freed_first;
        keeper->freed_first = next;
    }
}

int record_keep(struct child *child, const void *record, uint32_t bytes)
{
    if (bytes <= RECORD_SLOT_BYTES && record_free_count > 0) {
        child->record = record_free[--record_free_count];
    } else {
        void *at = mmap(NULL, bytes > 0 ? bytes : 1, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at == MAP_FAILED) {
            return -errno;
        }
        child->record = at;
    }
    if (bytes > 0) {
        memcpy(child->record, record, bytes);
    }
    child->record_bytes = bytes;
    return 0;
}

void record_drop(struct child *child)
{
    unsigned char *first = record_slots[0];
    if (child->record == NULL) {
        return;
    }
    if (child->record >= first && child->record < first + sizeof record_slots) {
        record_free[record_free_count++] = child->record;
    } else {
        munmap(child->record, child->record_bytes > 0 ? child->record_bytes : 1);
    }
    child->record = NULL;
}
