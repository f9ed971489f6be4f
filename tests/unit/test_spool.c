/* The spool: frames, the wrap, fullness, restarts of either side, damage, and two real processes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "service/spool.h"

#define RING 65536u

static struct spool producer, consumer;
static int fd;

static void open_ring(uint64_t ring_bytes)
{
    fd = memfd_create("spool", MFD_CLOEXEC);
    assert_int_equal(spool_create(&producer, fd, ring_bytes, "boot-a"), 0);
    assert_int_equal(spool_attach(&consumer, fd), 0);
    spool_producer_begin(&producer);
    assert_int_equal(spool_consumer_begin(&consumer, 0), 0);
}

static int setup(void **state)
{
    open_ring(RING);
    return 0;
}

static int teardown(void **state)
{
    spool_close(&producer);
    spool_close(&consumer);
    close(fd);
    return 0;
}

static int put(const void *bytes, size_t size)
{
    struct fact_id id = {{9}};
    return spool_append(&producer, FACT_OUTPUT, STREAM_STDOUT, &id, 42, bytes, size, NULL, 0);
}

static const struct fact *next(void)
{
    int error;
    const struct fact *fact = spool_next(&consumer, &error);
    assert_int_equal(error, 0);
    return fact;
}

static void facts_come_in_order_with_what_was_put_in(void **state)
{
    struct fact_id id = {{1, 2, 3}};
    assert_int_equal(put("hello", 5), 0);
    assert_int_equal(spool_append(&producer, FACT_STARTED, STREAM_NONE, &id, 43, "ab", 2, "cd", 2), 0);
    assert_int_equal(spool_append(&producer, FACT_PAUSED, STREAM_NONE, NULL, 44, NULL, 0, NULL, 0), 0);
    const struct fact *fact = next();
    assert_int_equal(fact->sequence, 1);
    assert_int_equal(fact->at_us, 42);
    assert_int_equal(fact->stream, STREAM_STDOUT);
    assert_int_equal(fact_payload_bytes(fact), 5);
    assert_memory_equal(fact_payload(fact), "hello", 5);
    fact = next();
    assert_memory_equal(fact_payload(fact), "abcd", 4);
    assert_memory_equal(&fact->process, &id, sizeof id);
    fact = next();
    assert_int_equal(fact->sequence, 3);
    assert_int_equal(fact_payload_bytes(fact), 0);
    assert_null(next());
}

static void nothing_is_seen_before_it_is_published(void **state)
{
    struct fact_id id = {{1}};
    char *payload = spool_reserve(&producer, 100, 0);
    memset(payload, 'x', 100);
    assert_null(next());
    spool_publish(&producer, FACT_OUTPUT, STREAM_STDERR, &id, 1, 60); /* less than reserved */
    assert_int_equal(fact_payload_bytes(next()), 60);
    assert_null(next());
}

static void frames_never_wrap_and_every_size_survives_the_rings_end(void **state)
{
    unsigned char bytes[8000];
    uint64_t put_sum = 0, got_sum = 0, state_of_random = 7;
    for (int i = 0; i < 20000; i++) {
        state_of_random = state_of_random * 6364136223846793005ull + 1442695040888963407ull;
        size_t size = (size_t)(state_of_random >> 33) % sizeof bytes;
        memset(bytes, i & 0xff, size);
        assert_int_equal(put(bytes, size), 0);
        put_sum += size;
        const struct fact *fact = next();
        assert_int_equal(fact->sequence, i + 1);
        assert_int_equal(fact_payload_bytes(fact), size);
        const unsigned char *at = fact_payload(fact);
        assert_true(at >= consumer.ring && at + size <= consumer.ring + consumer.ring_bytes);
        for (size_t b = 0; b < size; b++)
            assert_int_equal(at[b], i & 0xff);
        got_sum += fact_payload_bytes(fact);
        spool_release(&consumer, consumer.position);
    }
    assert_int_equal(put_sum, got_sum);
}

static void a_full_ring_refuses_until_room_is_given_back(void **state)
{
    char bytes[1000] = {0};
    unsigned count = 0;
    while (put(bytes, sizeof bytes) == 0)
        count++;
    assert_in_range(count, 55, 64);
    assert_int_equal(put(bytes, sizeof bytes), -EAGAIN);
    assert_true(spool_room(&producer, sizeof bytes, 0) < sizeof bytes);
    assert_false(spool_producer_wait(&producer, sizeof bytes, 0));
    for (int i = 0; i < 2; i++)
        next();
    assert_true(spool_release(&consumer, consumer.position)); /* the producer is to be woken, once */
    assert_false(spool_release(&consumer, consumer.position));
    assert_int_equal(put(bytes, sizeof bytes), 0);
    while (next() != NULL)
        count--;
    assert_int_equal(count, 1); /* two were read before, one was put since */
}

static void the_reserve_stays_free_for_facts_that_must_not_wait(void **state)
{
    size_t reserve = 16384;
    struct fact_id id = {{1}};
    size_t room;
    while ((room = spool_room(&producer, 4096, reserve)) > 0) {
        assert_non_null(spool_reserve(&producer, room, reserve));
        spool_publish(&producer, FACT_OUTPUT, STREAM_STDOUT, &id, 1, room);
    }
    assert_null(spool_reserve(&producer, 8, reserve));
    uint64_t unused = RING - (producer.position - producer.header->tail);
    assert_in_range(unused, reserve, reserve + 64);
    assert_int_equal(put("exit", 4), 0);
}

static void room_tells_exactly_what_reserve_grants(void **state)
{
    struct fact_id id = {{1}};
    uint64_t random = 99;
    for (int i = 0; i < 50000; i++) {
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        size_t want = (size_t)(random >> 40) % 50000, reserve = (size_t)(random >> 20) % 3000;
        size_t room = spool_room(&producer, want, reserve);
        assert_true(room <= want);
        if (room < want)
            assert_null(spool_reserve(&producer, room + 8, reserve));
        if (room > 0 || want == 0) {
            if (spool_reserve(&producer, room, reserve) != NULL)
                spool_publish(&producer, FACT_OUTPUT, STREAM_STDOUT, &id, 1, room);
            else
                assert_int_equal(room, 0);
        }
        while ((random >> 50 & 3) != 0 && next() != NULL)
            spool_release(&consumer, consumer.position);
    }
}

static void sleepers_are_told_in_both_directions(void **state)
{
    assert_false(spool_take_consumer_wake(&producer));
    assert_false(spool_consumer_sleep(&consumer));
    put("x", 1);
    assert_true(spool_take_consumer_wake(&producer));
    assert_false(spool_take_consumer_wake(&producer));
    assert_true(spool_consumer_sleep(&consumer)); /* a fact is there: no sleep */
    assert_false(spool_take_consumer_wake(&producer));
    assert_true(spool_producer_wait(&producer, 1, 0)); /* there is room: no wait */
    assert_false(spool_release(&consumer, consumer.position));
}

static void a_consumer_starts_again_at_its_position(void **state)
{
    put("one", 3);
    put("two", 3);
    next();
    uint64_t position = consumer.position;
    next();
    struct spool other;
    int error;
    assert_int_equal(spool_attach(&other, fd), 0);
    assert_int_equal(spool_consumer_begin(&other, position), 0);
    const struct fact *fact = spool_next(&other, &error);
    assert_memory_equal(fact_payload(fact), "two", 3);
    assert_int_equal(fact->sequence, 2);
    assert_int_equal(spool_consumer_begin(&other, producer.position + 8), -EPROTO);
    spool_release(&consumer, position);
    assert_int_equal(spool_consumer_begin(&other, 0), 0); /* older than tail: from tail on */
    assert_int_equal(other.position, position);
    spool_close(&other);
}

static void a_producer_takes_up_after_one_that_was_killed(void **state)
{
    put("one", 3);
    char *payload = spool_reserve(&producer, 10, 0); /* killed while it wrote */
    memset(payload, 'z', 10);
    producer.header->sequence++;                     /* and between the two stores of a publish */
    struct spool second;
    assert_int_equal(spool_attach(&second, fd), 0);
    spool_producer_begin(&second);
    assert_int_equal(spool_append(&second, FACT_PAUSED, STREAM_NONE, NULL, 1, NULL, 0, NULL, 0), 0);
    next();
    const struct fact *fact = next();
    assert_int_equal(fact->type, FACT_PAUSED);
    assert_int_equal(fact->sequence, 2);
    spool_close(&second);
}

static void files_that_are_not_this_boots_spool_are_refused(void **state)
{
    struct spool other;
    assert_int_equal(spool_open(&other, fd, "boot-a"), 0);
    assert_true(other.header->spool_id != 0);
    spool_close(&other);
    assert_int_equal(spool_open(&other, fd, "boot-b"), -ESTALE);
    int empty = memfd_create("empty", MFD_CLOEXEC);
    assert_int_equal(spool_open(&other, empty, "boot-a"), -EPROTO);
    assert_int_equal(ftruncate(empty, 1 << 20), 0);
    assert_int_equal(spool_open(&other, empty, "boot-a"), -EPROTO);
    close(empty);
    producer.header->version++;
    assert_int_equal(spool_open(&other, fd, "boot-a"), -EPROTO);
    producer.header->version--;
    producer.header->ring_bytes *= 1024;
    assert_int_equal(spool_open(&other, fd, "boot-a"), -EPROTO);
    assert_int_equal(spool_create(&other, fd, 5000, "boot-a"), -EINVAL);
}

static void a_damaged_frame_is_noticed_and_never_followed(void **state)
{
    static const struct { size_t offset; uint32_t value; } damages[] = {
        {0, 0}, {0, 7}, {0, 0xffffffff}, {0, RING * 2}, {0, 4096}, {4, FACT_TYPES}, {8, 77},
    };
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        put("abc", 3);
        put("def", 3);
        assert_non_null(next());
        uint64_t offset = consumer.position % RING + damages[i].offset;
        memcpy(producer.ring + offset, &damages[i].value, damages[i].offset == 4 ? 2 : 4);
        int error = 0;
        assert_null(spool_next(&consumer, &error));
        assert_int_equal(error, -EPROTO);
        teardown(NULL);
        setup(NULL);
    }
}

/* ---- two processes ---- */

#define FACTS 60000u

/* Facts of changing size whose bytes can be told from their number. */
static _Noreturn void produce(void)
{
    struct fact_id id = {{5}};
    for (uint32_t i = 0; i < FACTS; i++) {
        size_t size = 4 + (i * 2654435761u >> 20) % 3000;
        unsigned char *payload;
        while ((payload = spool_reserve(&producer, size, 4096)) == NULL)
            usleep(50);
        memcpy(payload, &i, 4);
        memset(payload + 4, (int)(i & 0xff), size - 4);
        spool_publish(&producer, FACT_OUTPUT, STREAM_STDOUT, &id, 1, size);
    }
    _exit(0);
}

struct applied {                     /* what a database would hold */
    _Atomic uint64_t position;
    _Atomic uint32_t count, wrong;
};

/* Reads on from the stored position, storing count and position together, and is killed at any time.
   The pair is stored as one: the count is derived from the fact's own number. */
static _Noreturn void consume(struct applied *applied)
{
    struct spool own;
    if (spool_attach(&own, fd) != 0 || spool_consumer_begin(&own, applied->position) != 0)
        _exit(1);
    for (;;) {
        int error;
        const struct fact *fact = spool_next(&own, &error);
        if (error != 0)
            _exit(2);
        if (fact == NULL) {
            usleep(50);
            continue;
        }
        uint32_t number;
        const unsigned char *payload = fact_payload(fact);
        memcpy(&number, payload, 4);
        bool sound = fact->sequence == (uint64_t)number + 1 &&
                     fact_payload_bytes(fact) == 4 + (number * 2654435761u >> 20) % 3000;
        for (size_t b = 4; b < fact_payload_bytes(fact) && sound; b++)
            sound = payload[b] == (number & 0xff);
        if (!sound || (number != applied->count && number + 1 != applied->count))
            applied->wrong++;
        applied->count = number + 1; /* killed here: the fact is read again, and is the same one */
        applied->position = own.position;
        spool_release(&own, own.position);
        if (applied->count == FACTS)
            _exit(0);
    }
}

static void a_position_that_cannot_be_gives_no_room(void **state)
{
    static const char text[64];
    assert_int_equal(put(text, sizeof text), 0);
    uint64_t strange[] = {producer.position + 8, producer.position + 2 * RING, producer.position - RING - 8};
    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
        atomic_store(&producer.header->tail, strange[i]);
        assert_int_equal(spool_room(&producer, 2 * RING, 0), 0);
        assert_null(spool_reserve(&producer, 2 * RING, 0));
        assert_int_equal(put(text, sizeof text), -EAGAIN);
    }
    atomic_store(&producer.header->tail, 0);
    assert_int_equal(put(text, sizeof text), 0);
}

static void a_consumer_killed_many_times_gets_every_byte_once(void **state)
{
    struct applied *applied = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(applied, MAP_FAILED);
    pid_t writer = fork();
    if (writer == 0)
        produce();
    unsigned kills = 0;
    int status = 0;
    for (;;) {
        pid_t reader = fork();
        if (reader == 0)
            consume(applied);
        usleep(1000 + (kills * 7919) % 5000);
        if (applied->count < FACTS)
            kill(reader, SIGKILL);
        waitpid(reader, &status, 0);
        if (WIFEXITED(status))
            break;
        kills++;
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    waitpid(writer, NULL, 0);
    assert_int_equal(applied->count, FACTS);
    assert_int_equal(applied->wrong, 0);
    assert_true(kills > 5);
    munmap(applied, 4096);
}

#define SPOOL_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPOOL_TEST(facts_come_in_order_with_what_was_put_in),
        SPOOL_TEST(nothing_is_seen_before_it_is_published),
        SPOOL_TEST(frames_never_wrap_and_every_size_survives_the_rings_end),
        SPOOL_TEST(a_full_ring_refuses_until_room_is_given_back),
        SPOOL_TEST(the_reserve_stays_free_for_facts_that_must_not_wait),
        SPOOL_TEST(room_tells_exactly_what_reserve_grants),
        SPOOL_TEST(sleepers_are_told_in_both_directions),
        SPOOL_TEST(a_consumer_starts_again_at_its_position),
        SPOOL_TEST(a_producer_takes_up_after_one_that_was_killed),
        SPOOL_TEST(files_that_are_not_this_boots_spool_are_refused),
        SPOOL_TEST(a_damaged_frame_is_noticed_and_never_followed),
        SPOOL_TEST(a_position_that_cannot_be_gives_no_room),
        SPOOL_TEST(a_consumer_killed_many_times_gets_every_byte_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
