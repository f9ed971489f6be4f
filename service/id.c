/*
 * ULIDs (github.com/ulid/spec): 48 bits of milliseconds, then 80 random bits, big-endian, written
 * with Crockford's 32 characters. The last id made is kept: when the clock has not moved on, or has
 * gone back, the next id is the last one plus one, which keeps the order strict.
 */
#include "service/id.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "service/text.h"

enum { ULID_CHARACTERS = 26, TIME_BYTES = 6 };

static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";
static struct fact_id last;

static bool random_bytes(void *out, size_t bytes)
{
    size_t have = 0;

    while (have < bytes) {
        ssize_t got = getrandom((char *)out + have, bytes - have, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        have += (size_t)got;
    }
    return true;
}

/* From a stock, because the system call costs more than the bytes. For ids, not for secrets. */
static bool random_stocked(void *out, size_t bytes)
{
    static unsigned char stock[250];
    static size_t left;

    if (left < bytes) {
        left = 0;
        if (!random_bytes(stock, sizeof stock))
            return false;
        left = sizeof stock;
    }
    left -= bytes;
    memcpy(out, stock + left, bytes);
    return true;
}

static void increment(struct fact_id *id)
{
    for (size_t i = sizeof id->bytes; i > 0; i--)
        if (++id->bytes[i - 1] != 0)
            return;
}

struct fact_id id_make(void)
{
    struct fact_id id = {{0}};
    uint64_t ms = (uint64_t)time_now_us() / 1000;

    for (size_t i = 0; i < TIME_BYTES; i++)
        id.bytes[i] = (uint8_t)(ms >> (8 * (TIME_BYTES - 1 - i)));
    /* Without random bits the order is still kept, and one daemon's ids are still distinct. */
    if (memcmp(id.bytes, last.bytes, TIME_BYTES) > 0 &&
        random_stocked(id.bytes + TIME_BYTES, sizeof id.bytes - TIME_BYTES)) {
        last = id;
        return id;
    }
    increment(&last);
    return last;
}

void id_not_before(const struct fact_id *newest)
{
    if (memcmp(newest->bytes, last.bytes, sizeof last.bytes) > 0)
        last = *newest;
}

void id_format(const struct fact_id *id, char prefix, char out[ID_TEXT_BYTES])
{
    /* 128 bits are 26 characters of 5 bits less two bits in front: they start in a byte that is not
     * there. */
    unsigned buffer = 0, bits = 2;
    size_t from = 0;

    *out++ = prefix;
    *out++ = '_';
    for (size_t i = 0; i < ULID_CHARACTERS; i++) {
        if (bits < 5) {
            buffer = buffer << 8 | id->bytes[from++];
            bits += 8;
        }
        bits -= 5;
        *out++ = alphabet[buffer >> bits & 31];
    }
    *out = '\0';
}

static int value_of(char c)
{
    const char *place = c != '\0' ? strchr(alphabet, c) : NULL;

    return place != NULL ? (int)(place - alphabet) : -1;
}

bool id_parse(const char *text, size_t bytes, char prefix, struct fact_id *out)
{
    struct fact_id id;
    unsigned buffer = 0, bits = 0;
    size_t to = 0;

    if (bytes != ID_TEXT_BYTES - 1 || text[0] != prefix || text[1] != '_' || value_of(text[2]) > 7)
        return false;
    for (size_t i = 0; i < ULID_CHARACTERS; i++) {
        int value = value_of(text[2 + i]);
        if (value < 0)
            return false;
        buffer = buffer << 5 | (unsigned)value;
        bits += i == 0 ? 3 : 5;
        if (bits >= 8) {
            bits -= 8;
            id.bytes[to++] = (uint8_t)(buffer >> bits);
        }
    }
    *out = id;
    return true;
}

bool id_equal(const struct fact_id *a, const struct fact_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

uint64_t id_hash(const struct fact_id *id)
{
    uint64_t high, low;

    memcpy(&high, id->bytes, sizeof high);
    memcpy(&low, id->bytes + sizeof high, sizeof low);
    /* Ids of one millisecond count up in the last bytes: they must come to where the hash is cut off. */
    low = be64toh(low);
    uint64_t hash = (high ^ low * 0x9E3779B97F4A7C15u) * 0xBF58476D1CE4E5B9u;
    return hash ^ hash >> 31;
}

bool random_hex(size_t bytes, char *out)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char random[64];

    while (bytes > 0) {
        size_t part = bytes < sizeof random ? bytes : sizeof random;
        if (!random_bytes(random, part))
            return false;
        for (size_t i = 0; i < part; i++) {
            *out++ = hex[random[i] >> 4];
            *out++ = hex[random[i] & 15];
        }
        bytes -= part;
    }
    *out = '\0';
    return true;
}

bool constant_time_equal(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    volatile unsigned char different = 0;

    if (a_bytes != b_bytes)
        return false;
    for (size_t i = 0; i < a_bytes; i++)
        different |= (unsigned char)(a[i] ^ b[i]);
    return different == 0;
}
