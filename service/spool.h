/*
 * The spool: an ordered ring of facts in one mapped file, written by the keeper, read by the
 * server.
 *
 * One producer, one consumer, two processes. Positions are byte counts that never go back; the
 * place in the ring is `position % ring_bytes`. A frame never wraps: where it would, a FACT_PAD
 * frame fills the rest. The producer publishes by storing `head` (release), the consumer gives
 * room back by storing `tail` (release), and does so only after the database holds everything
 * before it. Killing either side between any two instructions leaves a readable ring: bytes
 * before `head` are whole facts, bytes behind it do not exist yet.
 *
 * The file is mapped by descriptor. It is used again after a restart only when boot id and
 * versions agree (spool_open says so); otherwise a new one, with a new spool_id, takes its place.
 *
 * Errors: negative errno. No function allocates memory but spool_create/spool_open (mmap).
 */
#ifndef FORKFUL_SERVICE_SPOOL_H
#define FORKFUL_SERVICE_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service/facts.h"

#define SPOOL_RING_BYTES (64u << 20)
#define SPOOL_RESERVE_BYTES (2u << 20) /* output leaves this much for facts that must not wait */
#define SPOOL_HEADER_BYTES 4096u
#define SPOOL_STARTING_SLOTS 16384u
#define SPOOL_MAGIC 0x6c6f6f7073666b66ull

/* The first page of the file. head and tail have a cache line each. */
struct spool_header {
    uint64_t magic;
    uint32_t version;             /* FACTS_VERSION */
    uint32_t header_bytes;        /* SPOOL_HEADER_BYTES */
    uint64_t ring_bytes;          /* a multiple of 4096 */
    uint64_t spool_id;            /* random; the database's positions belong to this spool only */
    char boot_id[40];             /* /proc/sys/kernel/random/boot_id, NUL-terminated */
    _Alignas(64) _Atomic uint64_t head;
    _Atomic uint64_t sequence;    /* of the last fact published (stored before head) */
    _Atomic uint32_t producer_waits; /* 1: wake the producer when tail moves */
    /* What the producer is reading right now, so that a new keeper can say what may be missing. */
    _Atomic uint64_t reading_bytes;  /* 0: nothing */
    struct fact_id reading_process;
    uint32_t reading_stream;
    _Alignas(64) _Atomic uint64_t tail;
    _Atomic uint32_t consumer_waits; /* 1: wake the consumer when head moves */
    /* A bit per cgroup slot (resume_entry.cgroup_slot): forked, but the server has not got its
       descriptors yet. Should the keeper be killed now, nobody would know the child: the next
       keeper ends it. */
    _Atomic uint8_t starting_slots[SPOOL_STARTING_SLOTS / 8];
};

_Static_assert(sizeof(struct spool_header) <= SPOOL_HEADER_BYTES, "the header is one page");

/* One side's view. Plain data, owned by the caller; not shared between threads. */
struct spool {
    struct spool_header *header;
    unsigned char *ring;
    uint64_t ring_bytes;
    uint64_t position;            /* producer: end of the frame being built. consumer: next to read */
    uint64_t sequence;            /* producer: last used. consumer: last read */
    int fd;                       /* not owned */
};

/* Makes and maps a new spool in `fd` (an empty regular file or memfd), blocks allocated. */
int spool_create(struct spool *spool, int fd, uint64_t ring_bytes, const char *boot_id);

/* Maps an existing one. -ESTALE: another boot. -EPROTO: not a spool, or another version. */
int spool_open(struct spool *spool, int fd, const char *boot_id);

/* The same without looking at the boot id, for keeper and server that inherit the descriptor. */
int spool_attach(struct spool *spool, int fd);

void spool_close(struct spool *spool); /* unmaps; leaves fd open */

/* ---- producer ---- */

/* Takes up head and sequence from the header. */
void spool_producer_begin(struct spool *spool);

/* Bytes that a payload may have now, at most `want`, when `reserve` bytes must stay free. 0: full.
   A caller who gets less than it needs sets producer_waits by spool_producer_wait. */
size_t spool_room(const struct spool *spool, size_t want, size_t reserve);

/* Where the payload of the next frame goes: `payload_bytes` contiguous bytes, the header before
   them. NULL: no room. May write a pad frame first (published with the next publish). Nothing is
   visible to the consumer until spool_publish. */
void *spool_reserve(struct spool *spool, size_t payload_bytes, size_t reserve);

/* Finishes the reserved frame with `payload_bytes` (≤ reserved) of payload and publishes it. */
void spool_publish(struct spool *spool, enum fact_type type, enum fact_stream stream,
                   const struct fact_id *process, int64_t at_us, size_t payload_bytes);

/* reserve + copy + publish. -EAGAIN: no room. `second` may be NULL. */
int spool_append(struct spool *spool, enum fact_type type, enum fact_stream stream,
                 const struct fact_id *process, int64_t at_us, const void *first,
                 size_t first_bytes, const void *second, size_t second_bytes);

/* True: the consumer sleeps and must be woken (clears the flag). Call after a round of publishes. */
bool spool_take_consumer_wake(struct spool *spool);

/* Announces that the producer needs room; returns true when, after that, `need` bytes are free
   after all (then it did not have to wait). */
bool spool_producer_wait(struct spool *spool, size_t need, size_t reserve);

/* ---- consumer ---- */

/* Starts to read at `position` (from the database), or at tail when the position is older.
   -EPROTO: the position is not inside the ring. */
int spool_consumer_begin(struct spool *spool, uint64_t position);

/* The next fact, or NULL when there is none. It stays valid until spool_release moves past it.
   A damaged frame (length, type, sequence) sets *error to -EPROTO and returns NULL. */
const struct fact *spool_next(struct spool *spool, int *error);

/* Everything before `position` is stored: its room may be used again. True: wake the producer. */
bool spool_release(struct spool *spool, uint64_t position);

/* Announces sleep; returns true when a fact has come meanwhile (then do not sleep). */
bool spool_consumer_sleep(struct spool *spool);

static inline const void *fact_payload(const struct fact *fact)
{
    return fact + 1;
}

static inline size_t fact_payload_bytes(const struct fact *fact)
{
    return fact->bytes - sizeof(struct fact);
}

#endif
