/* Targets; see targets.h. */
#include "api/targets.h"

#include <stdio.h>
#include <string.h>

#include "service/pool.h"

#define AFTER_MAX 9007199254740991.0

struct target_kind {
    const char *noun;
    char prefix;                       /* of its ids */
    enum target_state (*look)(struct service *service, const struct fact_id *id,
                              struct wait_list **list);
};

/* ---- what has an id ---- */

static enum target_state look_at_process(struct service *service, const struct fact_id *id,
                                         struct wait_list **list)
{
    struct process *process = process_table_find(&service->processes, id);
    if (!process) {
        return TARGET_GONE;
    }
    *list = &process->joiners;
    return process_ended(process) && process->end_stored ? TARGET_READY : TARGET_WAITS;
}

static enum target_state look_at_hold(struct service *service, const struct fact_id *id,
                                      struct wait_list **list)
{
    struct hold *hold = hold_find(service, id);
    if (!hold) {
        return TARGET_GONE;
    }
    *list = &hold->watchers;
    return hold->end == HOLD_LIVE ? TARGET_WAITS : TARGET_READY;
}

static enum target_state look_at_session(struct service *service, const struct fact_id *id,
                                         struct wait_list **list)
{
    struct session *session = session_find(service, id);
    if (!session) {
        return session_has_ended(service, id) ? TARGET_READY : TARGET_GONE;
    }
    *list = &session->watchers;
    return TARGET_WAITS;
}

/* A pool's observers are woken by the end of each of its tasks. */
static enum target_state look_at_task(struct service *service, const struct fact_id *id,
                                      struct wait_list **list)
{
    const struct task *task = NULL;
    for (struct object *at = service->objects.first[OBJECT_POOL]; at && !task; at = at->next) {
        task = pool_find_task((const struct pool *)at, id);
        *list = &at->observers;
    }
    return !task ? TARGET_GONE : task_ended(task) ? TARGET_READY : TARGET_WAITS;
}

static const struct target_kind target_kinds[] = {
    {"process", 'p', look_at_process},
    {"hold", 'h', look_at_hold},
    {"session", 's', look_at_session},
    {"task", 't', look_at_task},
};

#define KINDS (sizeof target_kinds / sizeof *target_kinds)

/* ---- objects ---- */

static const struct object_type *waitable(int kind)
{
    const struct object_type *type = object_types[kind];
    return type && type->ready ? type : NULL;
}

static enum target_state look_at_object(struct service *service, const struct target *target,
                                        struct wait_list **list)
{
    struct object *object = object_find(service, target->object, target->name);
    if (!object) {
        return TARGET_GONE;
    }
    *list = &object->observers;
    return object->type->ready(object, &target->point) ? TARGET_READY : TARGET_WAITS;
}

enum target_state target_look(struct service *service, const struct target *target,
                              struct wait_list **list)
{
    return target->kind ? target->kind->look(service, &target->id, list)
                        : look_at_object(service, target, list);
}

/* ---- reading an entry ---- */

static const struct field member_fields[] = {
    {.name = "after", .type = FIELD_INTEGER, .min = 0, .max = AFTER_MAX},
    {.name = "end", .type = FIELD_STRING, .max = 1},
};

#define MEMBERS (sizeof member_fields / sizeof *member_fields)

_Static_assert(KINDS + OBJECT_KINDS + MEMBERS < TARGET_FIELDS, "the table of an entry has room");

void target_fields(struct field out[TARGET_FIELDS])
{
    memset(out, 0, TARGET_FIELDS * sizeof *out);
    for (size_t i = 0; i < KINDS; i++) {
        *out++ = (struct field){.name = target_kinds[i].noun, .type = FIELD_STRING, .max = 64};
    }
    for (int kind = 0; kind < OBJECT_KINDS; kind++) {
        if (waitable(kind)) {
            *out++ = (struct field){.name = waitable(kind)->noun, .type = FIELD_STRING, .max = 128};
        }
    }
    memcpy(out, member_fields, sizeof member_fields);
}

static bool is_member(const char *key)
{
    size_t i = 0;
    while (i < MEMBERS && strcmp(key, member_fields[i].name) != 0) {
        i++;
    }
    return i < MEMBERS;
}

/* The noun; NULL: none, or several. */
static const char *noun_of(const json_t *entry)
{
    const char *key, *noun = NULL;
    json_t *value;
    size_t count = 0;
    json_object_foreach((json_t *)entry, key, value) {
        if (!is_member(key)) {
            noun = key;
            count++;
        }
    }
    return count == 1 ? noun : NULL;
}

static const struct object_type *type_of(const char *noun)
{
    for (int kind = 0; kind < OBJECT_KINDS; kind++) {
        if (waitable(kind) && strcmp(waitable(kind)->noun, noun) == 0) {
            return waitable(kind);
        }
    }
    return NULL;
}

/* What goes with another kind of target. */
static struct problem *refuse_members(const json_t *entry, const char *allowed, const char *place,
                                      struct problem *problem)
{
    for (size_t i = 0; i < MEMBERS; i++) {
        const char *name = member_fields[i].name;
        char pointer[64];
        if (json_object_get(entry, name) && (!allowed || strcmp(allowed, name) != 0)) {
            snprintf(pointer, sizeof pointer, "%.40s/%s", place, name);
            problem = problem_add(problem, PROBLEM_INVALID_VALUE, FAULT_POINTER, pointer,
                                  "It does not go with that.");
        }
    }
    return problem;
}

static struct problem *not_there(const char *noun, const char *name)
{
    return problem_make(PROBLEM_NOT_FOUND, "there is no %s %.128s", noun, name);
}

static struct problem *read_id(struct service *service, const struct target_kind *kind,
                               struct target *target)
{
    struct wait_list *list;
    bool known = id_parse(target->name, strlen(target->name), kind->prefix, &target->id) &&
                 kind->look(service, &target->id, &list) != TARGET_GONE;
    target->kind = kind;
    return known ? NULL : not_there(kind->noun, target->name);
}

static struct problem *read_object(struct service *service, const struct object_type *type,
                                   const json_t *entry, const char *place, struct target *target)
{
    struct object *object = object_find(service, type->kind, target->name);
    target->object = type->kind;
    target->point.after_given = json_is_integer(json_object_get(entry, "after"));
    target->point.after = (uint64_t)field_integer(entry, "after", 0);
    target->point.end = field_text(entry, "end", NULL);
    if (!object) {
        return not_there(type->noun, target->name);
    }
    return type->begin_wait ? type->begin_wait(object, &target->point, place) : NULL;
}

struct problem *target_read(struct service *service, const json_t *entry, const char *place,
                            struct target *target, struct problem *problem)
{
    const char *noun = noun_of(entry);
    const struct target_kind *kind = target_kinds;
    while (noun && kind < target_kinds + KINDS && strcmp(kind->noun, noun) != 0) {
        kind++;
    }
    const struct object_type *type = noun ? type_of(noun) : NULL;
    target->name = noun ? json_string_value(json_object_get(entry, noun)) : NULL;
    if (!target->name) {
        return problem_add(problem, PROBLEM_INVALID_VALUE, FAULT_POINTER, place,
                           "It must name one thing: a queue, a process …");
    }
    problem = refuse_members(entry, type ? type->point_member : NULL, place, problem);
    return problem ? problem
           : type  ? read_object(service, type, entry, place, target)
                   : read_id(service, kind, target);
}
