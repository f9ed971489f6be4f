/*
 * Why the daemon does not start, or does not take a configuration: one sentence for the person
 * who asked.
 *
 * It names what is wrong, where, and what would help, and is made at the place that knows.
 * `usage` tells a wrong command line (exit status 2) from everything else (1).
 */
#ifndef FORKFUL_SERVICE_REFUSAL_H
#define FORKFUL_SERVICE_REFUSAL_H

#include <stdbool.h>

struct refusal {
    bool usage;
    char text[1024];
};

/* Always false, so that a function can end with `return refuse(…)`. Leaves `usage` alone. */
bool refuse(struct refusal *refusal, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
