/*
 * Plans; the contract is in plan.h. Layout of a region: struct plan, the pointers to arguments and
 * environment, groups, filter, strings, and the stack, which grows down from the end.
 */
#include "service/keeper/plan.h"

#include <string.h>
#include <sys/mman.h>

#include "service/fault.h"

#define PLAN_BYTES 131072u /* of a kept region: what lies in a packet always fits */
#define KEPT_MAX 32u       /* each has a handful of pages in use */

static struct plan *kept;
static unsigned kept_count;

static struct plan *region_take(size_t bytes)
{
    struct plan *plan = kept;
    if (plan != NULL && bytes <= PLAN_BYTES) {
        kept = plan->next;
        kept_count--;
        return plan;
    }
    bytes = bytes <= PLAN_BYTES ? PLAN_BYTES : (bytes + 4095) & ~(size_t)4095;
    plan = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (plan == MAP_FAILED) {
        return NULL;
    }
    plan->bytes = bytes;
    return plan;
}

void plan_free(struct plan **plan)
{
    struct plan *region = *plan;
    *plan = NULL;
    if (region == NULL) {
        return;
    }
    if (region->bytes > PLAN_BYTES || kept_count == KEPT_MAX) {
        munmap(region, region->bytes);
        return;
    }
    region->next = kept;
    kept = region;
    kept_count++;
}

/* Pointers to `count` strings, and the NULL behind them; moves *strings behind the last. */
static char **point_at(char **strings, uint32_t count, char **pointers)
{
    for (uint32_t i = 0; i < count; i++) {
        pointers[i] = *strings;
        *strings += strlen(*strings) + 1;
    }
    pointers[count] = NULL;
    return pointers + count + 1;
}

static const char *search_path(char *const *environment)
{
    for (; *environment != NULL; environment++) {
        if (strncmp(*environment, "PATH=", 5) == 0) {
            return *environment + 5;
        }
    }
    return SPAWN_STANDARD_PATH;
}

struct plan *plan_make(const struct spawn *spawn)
{
    const struct command_spawn *fixed = &spawn->fixed;
    size_t pointers = (size_t)fixed->argc + fixed->envc + 2;
    size_t groups_bytes = fixed->group_count * sizeof(gid_t);
    struct plan *plan = region_take(sizeof *plan + pointers * sizeof(char *) + groups_bytes +
                                    fixed->filter_bytes + fixed->strings_bytes + PLAN_STACK_BYTES);
    if (plan == NULL) {
        return NULL;
    }
    plan->fixed = *fixed;
    plan->arguments = (char **)(plan + 1);
    plan->groups = (gid_t *)(plan->arguments + pointers);
    memcpy(plan->groups, spawn->groups, groups_bytes);
    plan->filter.len = (unsigned short)(fixed->filter_bytes / sizeof *plan->filter.filter);
    plan->filter.filter = (struct sock_filter *)(plan->groups + fixed->group_count);
    memcpy(plan->filter.filter, spawn->filter, fixed->filter_bytes);
    char *strings = (char *)(plan->filter.filter + plan->filter.len);
    memcpy(strings, spawn->strings, fixed->strings_bytes);
    plan->environment = point_at(&strings, fixed->argc, plan->arguments);
    point_at(&strings, fixed->envc, plan->environment);
    plan->cwd = strings;
    plan->program = spawn->program;
    plan->directory = spawn->directory;
    plan->ruleset = spawn->ruleset;
    plan->search_path = search_path(plan->environment);
    plan->exec_error = FAULT_ERRNO("execve");
    plan->stack = (char *)plan + plan->bytes - PLAN_STACK_BYTES;
    return plan;
}
