/*
 * See coordination.h.
 */
#include "service/coordination.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/coordination.h"
#include "service/queue.h"
#include "service/service.h"

struct loading {
    struct service *service;
    struct problem *problem;
};

static bool load_object(void *context, const struct object_row *row)
{
    struct loading *loading = context;
    if (!object_restore(loading->service, row)) {
        loading->problem = problem_make(PROBLEM_INTERNAL, "the object %s cannot be loaded", row->name);
    }
    return !loading->problem;
}

/* The object that "locks/deploy" names. */
static struct object *object_of(struct service *service, const char *resource)
{
    const char *slash = strchr(resource, '/');
    for (int kind = 0; slash && kind < OBJECT_KINDS; kind++) {
        const struct object_type *type = object_types[kind];
        if (type && strlen(type->plural) == (size_t)(slash - resource) &&
            strncmp(type->plural, resource, (size_t)(slash - resource)) == 0) {
            return object_find(service, (enum object_kind)kind, slash + 1);
        }
    }
    return NULL;
}

/* A live hold whose object is gone cannot be: both go in one transaction. */
static bool load_hold(void *context, const struct hold_row *row)
{
    struct loading *loading = context;
    struct object *object = object_of(loading->service, row->resource);
    if (row->kind < 0 || row->kind >= HOLD_KINDS || row->ended < 0 || row->ended >= HOLD_ENDS ||
        (!row->ended && !object)) {
        fprintf(stderr, "forkful: a hold on %s is left out: it is not understood\n", row->resource);
        return true;
    }
    if (!hold_restore(loading->service, row, object)) {
        loading->problem = problem_make(PROBLEM_OUT_OF_MEMORY, "the holds cannot be loaded");
    }
    return !loading->problem;
}

struct problem *coordination_load(struct service *service, struct db *db)
{
    struct loading loading = {.service = service};
    struct db_error error = {0};
    service->holds.fence = service->holds.fence_reserved = fence_row_get(db);
    if (object_rows_load(db, load_object, &loading, &error) ||
        (!loading.problem && !(loading.problem = queues_load(service, db)) &&
         hold_rows_load(db, load_hold, &loading, &error))) {
        problem_free(loading.problem);
        return problem_make(PROBLEM_INTERNAL, "%s", error.text);
    }
    return loading.problem;
}

void coordination_store(struct service *service)
{
    objects_store_dirty(service);
    holds_store_dirty(service);
}

static void reconcile_object(struct object *object)
{
    for (struct hold *at = object->holds, *next; at; at = next) {
        next = at->next;
        if (at->owner.kind != PARENT_NONE && !owner_lives(object->service, &at->owner)) {
            struct hold_cause cause = owner_cause(object->service, &at->owner);
            hold_end(at, HOLD_OWNER_ENDED, &cause);
            next = object->holds;      /* what it gave back may have been granted */
        }
    }
    if (object->ends_with_owner && !owner_lives(object->service, &object->owner)) {
        object_delete(object, "owner_ended");
    }
}

void coordination_reconcile(struct service *service)
{
    for (int kind = 0; kind < OBJECT_KINDS; kind++) {
        for (struct object *at = service->objects.first[kind], *next; at; at = next) {
            next = at->next;
            reconcile_object(at);
        }
    }
}
