/*
 * "Did you mean": the known word nearest to one that is not known.
 */
#ifndef FORKFUL_API_SIMILAR_H
#define FORKFUL_API_SIMILAR_H

#include <stddef.h>

/* Fed with one known word after another. */
struct similar {
    const char *wanted; /* the unknown word */
    const char *best;   /* the nearest so far; NULL: none is near enough */
    unsigned distance;  /* of best */
};

struct similar similar_to(const char *wanted);
void similar_try(struct similar *similar, const char *word);

#endif
