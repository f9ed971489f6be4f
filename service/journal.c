/*
 * The journal's ring. Its head is stored after the bytes, so an entry that a kill has cut short is not there.
 */
#include "service/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#define RING_BYTES JOURNAL_RING_BYTES
#define HEADER_BYTES 4096u
#define MAGIC 0x316c6e726a6b66ull      /* "fkjrnl1" */
#define ALIGN 8u
#define PAD 0u                         /* the type of what fills the ring's end */

struct header {
    uint64_t magic, id;
    char boot_id[40];
    _Atomic uint64_t head, tail;       /* never go back */
};

struct entry {
    uint32_t bytes, type;              /* of the payload that follows */
};

struct journal {
    struct header *header;
    unsigned char *ring;
};

static uint64_t entry_bytes(uint64_t payload)
{
    return (sizeof(struct entry) + payload + ALIGN - 1) & ~(uint64_t)(ALIGN - 1);
}

/* ---- opening ---- */

static bool begin_anew(struct header *header, const char *boot_id)
{
    uint64_t id;
    if (getrandom(&id, sizeof id, 0) != sizeof id) {
        return false;
    }
    header->magic = 0;
    atomic_store(&header->head, 0);
    atomic_store(&header->tail, 0);
    snprintf(header->boot_id, sizeof header->boot_id, "%s", boot_id);
    header->id = id | 1;
    header->magic = MAGIC;
    return true;
}

static bool is_of_this_boot(const struct header *header, const char *boot_id)
{
    return header->magic == MAGIC && header->id != 0 && boot_id[0] &&
           strncmp(header->boot_id, boot_id, sizeof header->boot_id) == 0 &&
           header->head - header->tail <= RING_BYTES && header->head % ALIGN == 0;
}

static void *map_file(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int error = fd < 0 ? errno : posix_fallocate(fd, 0, HEADER_BYTES + RING_BYTES);
    void *at = MAP_FAILED;
    if (error == 0) {
        at = mmap(NULL, HEADER_BYTES + RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        error = at == MAP_FAILED ? errno : 0;
    }
    if (fd >= 0) {
        close(fd);
    }
    if (error) {
        fprintf(stderr, "forkful: %s: %s; answers wait for their commit\n", path, strerror(error));
    }
    return at == MAP_FAILED ? NULL : at;
}

struct journal *journal_open(const char *dir, const char *boot_id)
{
    char path[4096];
    struct journal *journal = calloc(1, sizeof *journal);
    int length = snprintf(path, sizeof path, "%s/journal", dir);
    unsigned char *at = journal && length < (int)sizeof path ? map_file(path) : NULL;
    if (!at) {
        free(journal);
        return NULL;
    }
    journal->header = (struct header *)at;
    journal->ring = at + HEADER_BYTES;
    if (!is_of_this_boot(journal->header, boot_id) && !begin_anew(journal->header, boot_id)) {
        journal_close(journal);
        return NULL;
    }
    return journal;
}

void journal_close(struct journal *journal)
{
    if (journal) {
        munmap(journal->header, HEADER_BYTES + RING_BYTES);
        free(journal);
    }
}

uint64_t journal_id(const struct journal *journal)
{
    return journal->header->id;
}

uint64_t journal_head(const struct journal *journal)
{
    return atomic_load_explicit(&journal->header->head, memory_order_relaxed);
}

uint64_t journal_used(const struct journal *journal)
{
    return journal_head(journal) - atomic_load(&journal->header->tail);
}

/* ---- entries ---- */

static struct entry *entry_at(const struct journal *journal, uint64_t position)
{
    return (struct entry *)(void *)(journal->ring + position % RING_BYTES);
}

/* Entries do not wrap: where the end of the ring is too near, it is filled up. */
static uint64_t pad_bytes(uint64_t head, uint64_t bytes)
{
    uint64_t left = RING_BYTES - head % RING_BYTES;
    return left < bytes ? left : 0;
}

bool journal_put(struct journal *journal, unsigned type, const void *first, size_t first_bytes,
                 const void *rest, size_t rest_bytes)
{
    uint64_t head = journal_head(journal);
    uint64_t bytes = entry_bytes(first_bytes + rest_bytes), pad = pad_bytes(head, bytes);
    uint64_t used = head - atomic_load(&journal->header->tail);
    if (first_bytes + rest_bytes > JOURNAL_ENTRY_MAX || used + pad + bytes > RING_BYTES) {
        return false;
    }
    if (pad) {
        *entry_at(journal, head) =
            (struct entry){(uint32_t)(pad - sizeof(struct entry)), PAD};
        head += pad;
    }
    struct entry *entry = entry_at(journal, head);
    *entry = (struct entry){(uint32_t)(first_bytes + rest_bytes), type};
    memcpy(entry + 1, first, first_bytes);
    if (rest_bytes) {
        memcpy((char *)(entry + 1) + first_bytes, rest, rest_bytes);
    }
    atomic_store_explicit(&journal->header->head, head + bytes, memory_order_release);
    return true;
}

void journal_release(struct journal *journal, uint64_t position)
{
    if (position > atomic_load(&journal->header->tail)) {
        atomic_store(&journal->header->tail, position);
    }
}

bool journal_walk(struct journal *journal, uint64_t position,
                  bool (*entry)(void *context, unsigned type, const void *data, size_t bytes),
                  void *context)
{
    uint64_t head = journal_head(journal), tail = atomic_load(&journal->header->tail);
    uint64_t at = position > tail ? position : tail;
    while (at < head) {
        const struct entry *here = entry_at(journal, at);
        uint64_t bytes = entry_bytes(here->bytes);
        if (at % RING_BYTES + bytes > RING_BYTES) {
            return false;
        }
        if (here->type != PAD && !entry(context, here->type, here + 1, here->bytes)) {
            return false;
        }
        at += bytes;
    }
    return true;
}
