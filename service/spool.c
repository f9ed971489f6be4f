/*
 * The spool's two halves: the keeper writes frames and moves `head`, the server reads them and
 * moves `tail`. The contract is in spool.h.
 *
 * Why it is safe without locks: each position has one writer. A frame's bytes are written before
 * `head` is stored with release order, so whoever reads `head` with acquire order sees whole
 * frames. Room is never written before `tail` was read with acquire order, so the consumer is
 * done with it. Sleeping uses the classic pair: the sleeper sets its flag, then looks again; the
 * other side moves its position, then looks at the flag; a full fence stands between the two
 * steps on both sides.
 */
#include "service/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define FRAME_ALIGN 8u
#define PAD_FRAME_BYTES 8u /* a pad may be shorter than a fact: only `bytes` and `type` are there */

static uint64_t frame_bytes(uint64_t bytes)
{
    return (bytes + FRAME_ALIGN - 1) & ~(uint64_t)(FRAME_ALIGN - 1);
}

/* ---- making and mapping ---- */

static int spool_map(struct spool *spool, int fd, uint64_t ring_bytes)
{
    size_t bytes = SPOOL_HEADER_BYTES + ring_bytes;
    unsigned char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) {
        return -errno;
    }
    memset(spool, 0, sizeof *spool);
    spool->header = (struct spool_header *)at;
    spool->ring = at + SPOOL_HEADER_BYTES;
    spool->ring_bytes = ring_bytes;
    spool->fd = fd;
    return 0;
}

int spool_create(struct spool *spool, int fd, uint64_t ring_bytes, const char *boot_id)
{
    if (ring_bytes == 0 || ring_bytes % 4096 != 0 || ring_bytes > (1ull << 40)) {
        return -EINVAL;
    }
    int error = posix_fallocate(fd, 0, (off_t)(SPOOL_HEADER_BYTES + ring_bytes));
    if (error != 0) {
        return -error;
    }
    error = spool_map(spool, fd, ring_bytes);
    if (error < 0) {
        return error;
    }
    struct spool_header *header = spool->header;
    uint64_t id = 0;
    if (getrandom(&id, sizeof id, 0) != (ssize_t)sizeof id) {
        error = -errno;
        spool_close(spool);
        return error;
    }
    header->version = FACTS_VERSION;
    header->header_bytes = SPOOL_HEADER_BYTES;
    header->ring_bytes = ring_bytes;
    header->spool_id = id;
    strncpy(header->boot_id, boot_id, sizeof header->boot_id - 1);
    atomic_thread_fence(memory_order_release);
    header->magic = SPOOL_MAGIC; /* last: a half-made file is not a spool */
    return 0;
}

/* Is this header, in a file of `file_bytes`, one that this build can use? */
static bool header_is_sound(const struct spool_header *header, uint64_t ring_bytes,
                            uint64_t file_bytes)
{
    uint64_t head = atomic_load_explicit(&header->head, memory_order_acquire);
    uint64_t tail = atomic_load_explicit(&header->tail, memory_order_acquire);
    return header->magic == SPOOL_MAGIC && header->version == FACTS_VERSION &&
           header->header_bytes == SPOOL_HEADER_BYTES && ring_bytes != 0 &&
           ring_bytes % 4096 == 0 && ring_bytes <= file_bytes - SPOOL_HEADER_BYTES &&
           head % FRAME_ALIGN == 0 && tail % FRAME_ALIGN == 0 && head >= tail &&
           head - tail <= ring_bytes;
}

int spool_attach(struct spool *spool, int fd)
{
    struct stat info;
    if (fstat(fd, &info) < 0) {
        return -errno;
    }
    if (info.st_size < (off_t)(SPOOL_HEADER_BYTES + 4096)) {
        return -EPROTO;
    }
    void *page = mmap(NULL, SPOOL_HEADER_BYTES, PROT_READ, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED) {
        return -errno;
    }
    const struct spool_header *header = page;
    uint64_t ring_bytes = *(const volatile uint64_t *)&header->ring_bytes; /* once: then checked */
    bool sound = header_is_sound(header, ring_bytes, (uint64_t)info.st_size);
    munmap(page, SPOOL_HEADER_BYTES);
    return sound ? spool_map(spool, fd, ring_bytes) : -EPROTO;
}

int spool_open(struct spool *spool, int fd, const char *boot_id)
{
    int error = spool_attach(spool, fd);
    if (error < 0) {
        return error;
    }
    if (strncmp(spool->header->boot_id, boot_id, sizeof spool->header->boot_id - 1) == 0) {
        return 0;
    }
    spool_close(spool);
    return -ESTALE;
}

void spool_close(struct spool *spool)
{
    if (spool->header != NULL) {
        munmap(spool->header, SPOOL_HEADER_BYTES + spool->ring_bytes);
    }
    memset(spool, 0, sizeof *spool);
    spool->fd = -1;
}

/* ---- producer ---- */

void spool_producer_begin(struct spool *spool)
{
    struct spool reader = *spool;
    int error = spool_consumer_begin(&reader, 0);
    while (error == 0 && spool_next(&reader, &error) != NULL) {
    }
    spool->position = atomic_load_explicit(&spool->header->head, memory_order_acquire);
    spool->position -= spool->position % FRAME_ALIGN; /* who maps it too may have changed it again */
    spool->sequence = atomic_load_explicit(&spool->header->sequence, memory_order_acquire);
    /* A producer killed between the two stores has counted a fact that nobody can see. What is
       damaged the consumer will say. */
    if (error == 0 && reader.sequence != 0) {
        spool->sequence = reader.sequence;
    }
}

/* The payload that a frame filling `room` bytes has. */
static size_t payload_of(uint64_t room)
{
    return room > sizeof(struct fact) ? (size_t)(room - sizeof(struct fact)) & ~(size_t)7 : 0;
}

/* The largest payload that fits before the ring's end, and behind it after a pad. */
static void spool_rooms(const struct spool *spool, size_t reserve, size_t *here, size_t *wrapped)
{
    uint64_t tail = atomic_load_explicit(&spool->header->tail, memory_order_acquire);
    uint64_t used = spool->position - tail;
    uint64_t unused = used <= spool->ring_bytes ? spool->ring_bytes - used : 0; /* else: nonsense */
    uint64_t usable = unused > reserve ? unused - reserve : 0;
    uint64_t to_end = spool->ring_bytes - spool->position % spool->ring_bytes;
    *here = payload_of(usable < to_end ? usable : to_end);
    *wrapped = payload_of(usable > to_end ? usable - to_end : 0);
}

size_t spool_room(const struct spool *spool, size_t want, size_t reserve)
{
    size_t here, wrapped;
    spool_rooms(spool, reserve, &here, &wrapped);
    size_t room = here > wrapped ? here : wrapped;
    return room < want ? room : want;
}

void *spool_reserve(struct spool *spool, size_t payload_bytes, size_t reserve)
{
    size_t here, wrapped;
    spool_rooms(spool, reserve, &here, &wrapped);
    uint64_t offset = spool->position % spool->ring_bytes;
    if (payload_bytes > here) {
        if (payload_bytes > wrapped) {
            return NULL;
        }
        uint64_t to_end = spool->ring_bytes - offset;
        struct fact *pad = (struct fact *)(spool->ring + offset);
        pad->bytes = (uint32_t)to_end;
        pad->type = FACT_PAD;
        pad->stream = STREAM_NONE;
        spool->position += to_end;
        offset = 0;
    }
    return spool->ring + offset + sizeof(struct fact);
}

void spool_publish(struct spool *spool, enum fact_type type, enum fact_stream stream,
                   const struct fact_id *process, int64_t at_us, size_t payload_bytes)
{
    struct fact *fact = (struct fact *)(spool->ring + spool->position % spool->ring_bytes);
    size_t bytes = sizeof *fact + payload_bytes;
    size_t frame = (size_t)frame_bytes(bytes);
    memset((unsigned char *)fact + bytes, 0, frame - bytes);
    fact->bytes = (uint32_t)bytes;
    fact->type = (uint16_t)type;
    fact->stream = (uint16_t)stream;
    fact->sequence = ++spool->sequence;
    fact->at_us = at_us;
    fact->process = process != NULL ? *process : (struct fact_id){{0}};
    spool->position += frame;
    atomic_store_explicit(&spool->header->sequence, spool->sequence, memory_order_relaxed);
    atomic_store_explicit(&spool->header->head, spool->position, memory_order_release);
}

int spool_append(struct spool *spool, enum fact_type type, enum fact_stream stream,
                 const struct fact_id *process, int64_t at_us, const void *first,
                 size_t first_bytes, const void *second, size_t second_bytes)
{
    if (second_bytes > UINT32_MAX / 2 || first_bytes > UINT32_MAX / 4) {
        return -EINVAL;
    }
    unsigned char *payload = spool_reserve(spool, first_bytes + second_bytes, 0);
    if (payload == NULL) {
        return -EAGAIN;
    }
    if (first_bytes > 0) {
        memcpy(payload, first, first_bytes);
    }
    if (second_bytes > 0) {
        memcpy(payload + first_bytes, second, second_bytes);
    }
    spool_publish(spool, type, stream, process, at_us, first_bytes + second_bytes);
    return 0;
}

bool spool_take_consumer_wake(struct spool *spool)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&spool->header->consumer_waits, memory_order_relaxed) == 0) {
        return false;
    }
    return atomic_exchange(&spool->header->consumer_waits, 0) != 0;
}

bool spool_producer_wait(struct spool *spool, size_t need, size_t reserve)
{
    atomic_store_explicit(&spool->header->producer_waits, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    if (spool_room(spool, need, reserve) < need) {
        return false;
    }
    atomic_store_explicit(&spool->header->producer_waits, 0, memory_order_relaxed);
    return true;
}

/* ---- consumer ---- */

int spool_consumer_begin(struct spool *spool, uint64_t position)
{
    uint64_t head = atomic_load_explicit(&spool->header->head, memory_order_acquire);
    uint64_t tail = atomic_load_explicit(&spool->header->tail, memory_order_acquire);
    if (position > head || position % FRAME_ALIGN != 0) {
        return -EPROTO;
    }
    spool->position = position > tail ? position : tail;
    spool->sequence = 0; /* unknown: the first fact read sets it */
    return 0;
}

/* Do the frame's own words agree with the place it stands in? */
static bool frame_is_sound(const struct spool *spool, const struct fact *fact, uint64_t available)
{
    uint64_t to_end = spool->ring_bytes - spool->position % spool->ring_bytes;
    uint64_t frame = frame_bytes(fact->bytes);
    if (fact->bytes < PAD_FRAME_BYTES || frame > available || frame > to_end) {
        return false;
    }
    if (fact->type == FACT_PAD) {
        return frame == to_end;
    }
    return fact->type < FACT_TYPES && fact->bytes >= sizeof *fact &&
           (spool->sequence == 0 || fact->sequence == spool->sequence + 1);
}

const struct fact *spool_next(struct spool *spool, int *error)
{
    uint64_t head = atomic_load_explicit(&spool->header->head, memory_order_acquire);
    *error = 0;
    while (spool->position < head) {
        const struct fact *fact =
            (const void *)(spool->ring + spool->position % spool->ring_bytes);
        if (!frame_is_sound(spool, fact, head - spool->position)) {
            *error = -EPROTO;
            return NULL;
        }
        spool->position += frame_bytes(fact->bytes);
        if (fact->type == FACT_PAD) {
            continue;
        }
        spool->sequence = fact->sequence;
        return fact;
    }
    return NULL;
}

bool spool_release(struct spool *spool, uint64_t position)
{
    uint64_t tail = atomic_load_explicit(&spool->header->tail, memory_order_relaxed);
    if (position > tail) {
        atomic_store_explicit(&spool->header->tail, position, memory_order_release);
    }
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&spool->header->producer_waits, memory_order_relaxed) == 0) {
        return false;
    }
    return atomic_exchange(&spool->header->producer_waits, 0) != 0;
}

bool spool_consumer_sleep(struct spool *spool)
{
    atomic_store_explicit(&spool->header->consumer_waits, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&spool->header->head, memory_order_acquire) == spool->position) {
        return false;
    }
    atomic_store_explicit(&spool->header->consumer_waits, 0, memory_order_relaxed);
    return true;
}
