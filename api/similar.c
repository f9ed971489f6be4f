/*
 * Edit distance with swaps of neighbours (optimal string alignment), three rows, short words only:
 * longer ones are not typing errors, and the bound keeps what a client sends from costing time.
 */
#include "api/similar.h"

#include <string.h>

enum { LONGEST = 32 };

struct similar similar_to(const char *wanted)
{
    size_t bytes = strnlen(wanted, LONGEST + 1);

    /* One error in words up to 5 letters, two in longer ones. */
    return (struct similar){.wanted = wanted, .distance = bytes <= 5 ? 2 : 3};
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static unsigned distance_of(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    unsigned rows[3][LONGEST + 1], *two_up = rows[0], *up = rows[1], *row = rows[2];

    for (size_t k = 0; k <= b_bytes; k++) {
        up[k] = (unsigned)k;
    }
    for (size_t i = 1; i <= a_bytes; i++) {
        row[0] = (unsigned)i;
        for (size_t k = 1; k <= b_bytes; k++) {
            row[k] = least(up[k - 1] + (a[i - 1] != b[k - 1]), least(up[k], row[k - 1]) + 1);
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1]) {
                row[k] = least(row[k], two_up[k - 2] + 1);
            }
        }
        unsigned *spare = two_up;
        two_up = up;
        up = row;
        row = spare;
    }
    return up[b_bytes];
}

void similar_try(struct similar *similar, const char *word)
{
    size_t a = strnlen(similar->wanted, LONGEST + 1), b = strnlen(word, LONGEST + 1);

    if (a > LONGEST || b > LONGEST) {
        return;
    }
    unsigned distance = distance_of(similar->wanted, a, word, b);
    if (distance < similar->distance) {
        similar->distance = distance;
        similar->best = word;
    }
}
