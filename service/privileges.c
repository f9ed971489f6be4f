/* Privileges; see privileges.h. */
#include "service/privileges.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- to and from specs ---- */

static bool copy_groups(uint32_t **to, const uint32_t *from, uint32_t count)
{
    uint32_t *copy = calloc(count ? count : 1, sizeof *copy);
    if (copy && count) {
        memcpy(copy, from, count * sizeof *copy);
    }
    *to = copy;
    return copy != NULL;
}

/* What most processes have is one for all of them. */
static struct privileges only_no_new_privs = {.no_new_privs = true};

bool privileges_from_spec(const struct spec *spec, struct privileges **out)
{
    *out = NULL;
    if (!(spec->flags & (SPAWN_SET_IDS | SPAWN_SET_NICE)) && !spec->rlimit_mask &&
        !spec->sandbox) {
        *out = spec->flags & SPAWN_NO_NEW_PRIVS ? &only_no_new_privs : NULL;
        return true;
    }
    struct privileges *made = calloc(1, sizeof *made);
    if (!made || !copy_groups(&made->groups, spec->groups, spec->group_count)) {
        free(made);
        return false;
    }
    made->sandbox = json_incref(spec->sandbox);
    made->layers = spec->layers;
    made->has_ids = spec->flags & SPAWN_SET_IDS;
    made->uid = spec->uid;
    made->gid = spec->gid;
    made->group_count = spec->group_count;
    made->has_nice = spec->flags & SPAWN_SET_NICE;
    made->no_new_privs = spec->flags & SPAWN_NO_NEW_PRIVS;
    made->nice = spec->nice;
    made->rlimit_mask = spec->rlimit_mask;
    memcpy(made->rlimits, spec->rlimits, sizeof made->rlimits);
    *out = made;
    return true;
}

void privileges_free(struct privileges *privileges)
{
    if (privileges && privileges != &only_no_new_privs) {
        free(privileges->groups);
        json_decref(privileges->sandbox);
        free(privileges);
    }
}

static bool give_ids(const struct privileges *from, struct spec *spec)
{
    uint32_t *groups;
    if (!copy_groups(&groups, from->groups, from->group_count)) {
        return false;
    }
    free(spec->groups);
    spec->groups = groups;
    spec->group_count = from->group_count;
    spec->uid = from->uid;
    spec->gid = from->gid;
    spec->flags |= SPAWN_SET_IDS;
    return true;
}

static void give_nice(const struct privileges *from, struct spec *spec)
{
    spec->nice = from->nice;
    spec->flags |= SPAWN_SET_NICE;
}

static void give_sandbox(const struct privileges *from, struct spec *spec)
{
    json_decref(spec->sandbox);
    spec->sandbox = json_incref(from->sandbox);
    spec->layers = from->layers;
}

static void give_limit(const struct privileges *from, struct spec *spec, unsigned resource)
{
    spec->rlimits[resource].soft = from->rlimits[resource].soft;
    spec->rlimits[resource].hard = from->rlimits[resource].hard;
    spec->rlimit_mask |= 1u << resource;
}

bool privileges_apply(const struct privileges *privileges, struct spec *spec)
{
    spec->flags &= ~(unsigned)(SPAWN_SET_IDS | SPAWN_SET_NICE | SPAWN_NO_NEW_PRIVS);
    spec->rlimit_mask = 0;
    json_decref(spec->sandbox);
    spec->sandbox = NULL;
    spec->user_given = spec->group_given = privileges && privileges->has_ids;
    if (!privileges) {
        return true;
    }
    if (privileges->has_nice) {
        give_nice(privileges, spec);
    }
    spec->flags |= privileges->no_new_privs ? SPAWN_NO_NEW_PRIVS : 0;
    give_sandbox(privileges, spec);
    for (unsigned r = 0; r < SPAWN_RLIMITS; r++) {
        if (privileges->rlimit_mask >> r & 1) {
            give_limit(privileges, spec, r);
        }
    }
    return !privileges->has_ids || give_ids(privileges, spec);
}

/* ---- what a maker may give ---- */

static struct problem *too_much(struct problem *problem, const char *pointer, const char *detail)
{
    return problem_add(problem, PROBLEM_FORBIDDEN, FAULT_POINTER, pointer, "%s", detail);
}

static int own_nice(const struct privileges *maker)
{
    return maker->has_nice ? maker->nice : getpriority(PRIO_PROCESS, 0);
}

static uint64_t own_limit(const struct privileges *maker, unsigned resource)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    if (maker->rlimit_mask >> resource & 1) {
        return maker->rlimits[resource].hard;
    }
    getrlimit((__rlimit_resource_t)resource, &limit);
    return limit.rlim_max;
}

/* Of a maker that is not the daemon's user: what the spec asks for must be its own. Hard limits that
   only the daemon has put above the soft ones are cut. */
static struct problem *check_bounds(const struct privileges *maker, struct spec *spec)
{
    struct problem *problem = NULL;
    char pointer[64];
    if (spec->user_given && spec->uid != maker->uid) {
        problem = too_much(problem, "/user", "must be the user of the process that asks");
    }
    if (spec->group_given && spec->gid != maker->gid) {
        problem = too_much(problem, "/group", "must be the group of the process that asks");
    }
    if ((spec->flags & SPAWN_SET_NICE) && spec->nice < own_nice(maker)) {
        problem = too_much(problem, "/nice", "must not be below that of the process that asks");
    }
    for (unsigned r = 0; r < SPAWN_RLIMITS; r++) {
        uint64_t most = own_limit(maker, r);
        if (!(spec->rlimit_mask >> r & 1)) {
            continue;
        }
        if (spec->rlimits[r].soft > most) {
            snprintf(pointer, sizeof pointer, "/rlimits/%s", spec_limit_name(r));
            problem = too_much(problem, pointer, "must not be above that of the process that asks");
        }
        spec->rlimits[r].hard = spec->rlimits[r].hard < most ? spec->rlimits[r].hard : most;
    }
    return problem;
}

struct problem *privileges_inherit(const struct privileges *maker, struct spec *spec)
{
    if (!maker) {
        return NULL;
    }
    bool bound = maker->has_ids && maker->uid != geteuid();
    struct problem *problem = bound ? check_bounds(maker, spec) : NULL;
    if (maker->no_new_privs && spec->new_privs_asked) {
        problem = too_much(problem, "/no_new_privs", "is set for the process that asks");
    }
    if (maker->sandbox && spec->sandbox && !json_equal(maker->sandbox, spec->sandbox)) {
        problem = too_much(problem, "/sandbox", "must be that of the process that asks");
    }
    if (problem) {
        return problem;
    }
    if (maker->sandbox) {
        give_sandbox(maker, spec);
    }
    spec->flags |= maker->no_new_privs ? SPAWN_NO_NEW_PRIVS : 0;
    if (maker->has_nice && !(spec->flags & SPAWN_SET_NICE)) {
        give_nice(maker, spec);
    }
    for (unsigned r = 0; r < SPAWN_RLIMITS; r++) {
        if (maker->rlimit_mask & ~spec->rlimit_mask & 1u << r) {
            give_limit(maker, spec, r);
        }
    }
    if (maker->has_ids && (bound || !(spec->flags & SPAWN_SET_IDS)) && !give_ids(maker, spec)) {
        return problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for the groups");
    }
    return NULL;
}

/* ---- the durable form ---- */

void privileges_json(struct text *text, const struct privileges *privileges)
{
    if (privileges && privileges->has_ids) {
        text_printf(text, ",\"uid\":%u,\"gid\":%u,\"groups\":[", privileges->uid, privileges->gid);
        for (uint32_t i = 0; i < privileges->group_count; i++) {
            text_json_comma(text);
            text_unsigned(text, privileges->groups[i]);
        }
        text_putc(text, ']');
    }
    if (privileges && privileges->has_nice) {
        text_printf(text, ",\"nice\":%d", privileges->nice);
    }
    if (privileges && privileges->no_new_privs) {
        text_put(text, ",\"no_new_privs\":true");
    }
    if (privileges && privileges->sandbox) {
        char *dump = json_dumps(privileges->sandbox, JSON_COMPACT);
        text_printf(text, ",\"landlock_abi\":%d,\"seccomp\":%s,\"sandbox\":",
                    privileges->layers.landlock_abi, privileges->layers.seccomp ? "true" : "false");
        text_put(text, dump ? dump : "null");
        text->failed |= !dump;
        free(dump);
    }
    if (privileges && privileges->rlimit_mask) {
        text_put(text, ",\"rlimits\":[");
        for (unsigned r = 0; r < SPAWN_RLIMITS; r++) {
            if (privileges->rlimit_mask >> r & 1) {
                text_json_comma(text);
                text_printf(text, "[%u,%llu,%llu]", r,
                            (unsigned long long)privileges->rlimits[r].soft,
                            (unsigned long long)privileges->rlimits[r].hard);
            }
        }
        text_putc(text, ']');
    }
}

static void limits_from_json(const json_t *list, struct privileges *out)
{
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)list, i, item) {
        unsigned r = (unsigned)json_integer_value(json_array_get(item, 0));
        if (r < SPAWN_RLIMITS) {
            out->rlimit_mask |= 1u << r;
            out->rlimits[r].soft = (uint64_t)json_integer_value(json_array_get(item, 1));
            out->rlimits[r].hard = (uint64_t)json_integer_value(json_array_get(item, 2));
        }
    }
}

bool privileges_from_json(const json_t *object, struct privileges **out)
{
    const json_t *uid = json_object_get(object, "uid"), *nice = json_object_get(object, "nice");
    const json_t *limits = json_object_get(object, "rlimits");
    const json_t *groups = json_object_get(object, "groups");
    bool no_new_privs = json_is_true(json_object_get(object, "no_new_privs"));
    json_t *sandbox = json_object_get(object, "sandbox");
    if (!uid && !nice && !limits && !sandbox) {
        *out = no_new_privs ? &only_no_new_privs : NULL;
        return true;
    }
    *out = NULL;
    struct privileges *made = calloc(1, sizeof *made);
    size_t count = json_array_size(groups);
    if (made) {
        made->groups = calloc(count ? count : 1, sizeof *made->groups);
    }
    if (!made || !made->groups) {
        free(made);
        return false;
    }
    made->has_ids = uid != NULL;
    made->uid = (uint32_t)json_integer_value(uid);
    made->gid = (uint32_t)json_integer_value(json_object_get(object, "gid"));
    made->group_count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        made->groups[i] = (uint32_t)json_integer_value(json_array_get(groups, i));
    }
    made->no_new_privs = no_new_privs;
    made->sandbox = json_incref(sandbox);
    made->layers.landlock_abi = (int)json_integer_value(json_object_get(object, "landlock_abi"));
    made->layers.seccomp = json_is_true(json_object_get(object, "seccomp"));
    made->has_nice = nice != NULL;
    made->nice = (int)json_integer_value(nice);
    limits_from_json(limits, made);
    *out = made;
    return true;
}
