/*
 * Problems: made where something goes wrong, printed by api/problem_json.c. All memory trouble
 * ends in one static problem, so that making one never fails.
 */
#include "service/problem.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kind {
    const char *word;
    int status;
    const char *title;
};

static const struct kind kinds[PROBLEM_CODES] = {
#define X(name, word, status, title) {word, status, title},
    PROBLEMS(X)
#undef X
};

static char no_memory_detail[] =
    "There was not enough memory to carry out this request; nothing was changed.";
static struct problem no_memory = {
    .code = PROBLEM_OUT_OF_MEMORY,
    .detail = no_memory_detail,
    .retry_after_seconds = 1,
};

/* What may be different in a moment says when to try again. */
static bool is_passing(int status)
{
    return status == 429 || status == 503;
}

struct problem *problem_make(enum problem_code code, const char *format, ...)
{
    va_list arguments;

    if (code == PROBLEM_OUT_OF_MEMORY)
        return &no_memory;
    struct problem *problem = calloc(1, sizeof *problem);
    if (problem == NULL)
        return &no_memory;
    problem->code = code;
    problem->retry_after_seconds = is_passing(kinds[code].status) ? 1 : 0;
    va_start(arguments, format);
    int bytes = vasprintf(&problem->detail, format, arguments);
    va_end(arguments);
    if (bytes < 0) {
        free(problem);
        return &no_memory;
    }
    return problem;
}

/* Makes room for one more fault; NULL: no memory. */
static struct problem_fault *fault_append(struct problem *problem)
{
    struct problem_fault *faults =
        realloc(problem->faults, (problem->fault_count + 1) * sizeof *faults);

    if (faults == NULL)
        return NULL;
    problem->faults = faults;
    return &faults[problem->fault_count];
}

/* Takes `detail`. What finds no memory is left out: the problem itself is still told. */
static void fault_store(struct problem *problem, enum problem_code code, int where,
                        const char *place, char *detail)
{
    struct problem_fault *fault = fault_append(problem);
    char *copy = fault != NULL ? strdup(place) : NULL;

    if (copy == NULL) {
        free(detail);
        return;
    }
    *fault = (struct problem_fault){
        .where = (unsigned)where, .place = copy, .code = problem_word(code), .detail = detail};
    problem->fault_count++;
}

struct problem *problem_add(struct problem *problem, enum problem_code code, int where,
                            const char *place, const char *format, ...)
{
    va_list arguments;
    char *detail;

    va_start(arguments, format);
    int bytes = vasprintf(&detail, format, arguments);
    va_end(arguments);
    if (bytes < 0)
        return problem != NULL ? problem : &no_memory;
    if (problem == NULL)
        problem = problem_make(code, "%s", detail);
    if (problem == &no_memory)
        free(detail);
    else
        fault_store(problem, code, where, place, detail);
    return problem;
}

void problem_free(struct problem *problem)
{
    if (problem == NULL || problem == &no_memory)
        return;
    for (size_t i = 0; i < problem->fault_count; i++) {
        free(problem->faults[i].place);
        free(problem->faults[i].detail);
    }
    free(problem->faults);
    free(problem->detail);
    free(problem->members);
    free(problem);
}

int problem_status(const struct problem *problem)
{
    return problem->status ? problem->status : kinds[problem->code].status;
}

const char *problem_word(enum problem_code code)
{
    return kinds[code].word;
}

const char *problem_title(enum problem_code code)
{
    return kinds[code].title;
}
