/*
 * A plan: all that a child needs on its way to exec, in one region that is the child's alone.
 *
 * The region holds the struct, the strings and what points at them, and a stack. The keeper fills
 * it before the fork and takes it back when nobody runs in it any more. A few are kept for the next
 * spawns, so their pages are there already.
 */
#ifndef FORKFUL_KEEPER_PLAN_H
#define FORKFUL_KEEPER_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/filter.h>

#include "service/keeper/decode.h"

struct plan {
    struct plan *next;            /* on the list of kept ones */
    size_t bytes;                 /* of the region */
    struct command_spawn fixed;
    char **arguments, **environment; /* NULL at their ends */
    const char *cwd;              /* empty: stay */
    const char *search_path;      /* where a name without slash is looked for */
    gid_t *groups;                /* fixed.group_count */
    int standard[3];              /* what becomes stdin, stdout, stderr; all above 2 */
    struct sock_fprog filter;     /* len 0: none */
    int ruleset;                  /* of Landlock; -1: none */
    int program, directory;       /* what argv[0] and cwd must find; -1: whatever they do */
    int status_fd;                /* takes {errno, stage} when the way ends before exec */
    uint64_t soft_nofile;
    int exec_error;               /* not 0: fail so instead of executing (fault points) */
    char *stack;
};

#define PLAN_STACK_BYTES 16384u

struct plan *plan_make(const struct spawn *spawn); /* NULL: no memory */
void plan_free(struct plan **plan);                /* and sets it to NULL */

#endif
