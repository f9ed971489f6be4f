/*
 * lines: a child that writes MEGABYTES (1,000,000 bytes each) of 100-byte lines to stdout.
 *
 * A line is its number in 12 digits, the seed in 4, filler, newline; so any byte that is lost,
 * doubled or moved changes the checksum, and two children with different seeds differ in every
 * line. The filler is the alphabet, or with `noise` letters at random, which no LZ4 makes shorter. It writes 655 lines, 65,500 bytes, per write(2), as stdio with a 64 KiB buffer would, and
 * costs almost nothing itself: only the digits change between writes.
 */
#include "http.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES = 100, LINES_PER_WRITE = 655, DIGITS = 12, LINES_PER_MEGABYTE = 10000, BUFFERS = 8 };

static char buffers[BUFFERS][LINES_PER_WRITE][LINE_BYTES];

static char noise(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (char)('@' + state % 63);
}

static void fill(char (*buffer)[LINE_BYTES], unsigned seed, bool noisy)
{
    for (size_t i = 0; i < LINES_PER_WRITE; i++) {
        char *line = buffer[i];
        char head[32];
        for (size_t at = 0; at < LINE_BYTES; at++)
            line[at] = noisy ? noise() : (char)('a' + at % 26);
        snprintf(head, sizeof head, "%0*d %04u ", DIGITS, 0, seed);
        memcpy(line, head, strlen(head));
        line[LINE_BYTES - 1] = '\n';
    }
}

static void put_number(char *line, unsigned long number)
{
    for (size_t at = DIGITS; at > 0; number /= 10)
        line[--at] = (char)('0' + number % 10);
}

static void write_all(const char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t wrote = write(STDOUT_FILENO, bytes, count);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            die("write");
        bytes += wrote;
        count -= (size_t)wrote;
    }
}

int main(int argc, char **argv)
{
    bool noisy = argc == 4 && strcmp(argv[3], "noise") == 0;
    if (argc != 3 && !noisy) {
        fprintf(stderr, "usage: lines MEGABYTES SEED [noise]\n");
        return 2;
    }
    unsigned long left = number_argument(argv[1], 100000) * LINES_PER_MEGABYTE;
    unsigned used = noisy ? BUFFERS : 1;
    for (unsigned i = 0; i < used; i++)
        fill(buffers[i], (unsigned)number_argument(argv[2], 9999), noisy);
    for (unsigned long number = 0, round = 0; left > 0; round++) {
        char (*buffer)[LINE_BYTES] = buffers[round % used];
        unsigned long count = left < LINES_PER_WRITE ? left : LINES_PER_WRITE;
        for (unsigned long i = 0; i < count; i++)
            put_number(buffer[i], ++number);
        write_all(buffer[0], count * LINE_BYTES);
        left -= count;
    }
    return 0;
}
