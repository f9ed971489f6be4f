/*
 * See coordination.h.
 */
#include "service/coordination.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/coordination.h"
#include "service/pool.h"
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

/* ---- what the database has not got yet ---- */

static bool replay_object(struct db *db, const char *data, size_t bytes)
{
    struct object_row row;
    const char *strings = data + sizeof row;
    if (bytes <= sizeof row || data[bytes - 1] != '\0') {
        return false;
    }
    memcpy(&row, data, sizeof row);
    row.name = strings;
    row.config = row.name + strlen(row.name) + 1;
    row.state = row.config < data + bytes ? row.config + strlen(row.config) + 1 : data + bytes;
    return row.state + row.state_bytes < data + bytes && object_row_write(db, &row) == SQLITE_OK;
}

static bool replay_hold(struct db *db, const char *data, size_t bytes)
{
    struct hold_row row;
    if (bytes <= sizeof row || data[bytes - 1] != '\0') {
        return false;
    }
    memcpy(&row, data, sizeof row);
    row.resource = data + sizeof row;
    return hold_row_write(db, &row) == SQLITE_OK;
}

static bool replay_task(struct db *db, const char *data, size_t bytes)
{
    struct task_mark mark;
    if (bytes < sizeof mark) {
        return false;
    }
    memcpy(&mark, data, sizeof mark);
    return task_mark_write(db, &mark) == SQLITE_OK;
}

static bool replay(void *context, unsigned type, const void *data, size_t bytes)
{
    return type == JOURNAL_OBJECT ? replay_object(context, data, bytes)
           : type == JOURNAL_HOLD ? replay_hold(context, data, bytes)
           : type == JOURNAL_TASK ? replay_task(context, data, bytes)
                                  : true;
}

static bool replay_all(struct journal *journal, struct db *db)
{
    struct journal_position position;
    journal_position_get(db, &position);
    if (db_unread(db) != SQLITE_OK) {
        return false;
    }
    if (position.id != journal_id(journal)) {
        position.position = 0;
    }
    if (!journal_walk(journal, position.position, replay, db)) {
        return false;
    }
    position = (struct journal_position){journal_id(journal), journal_head(journal)};
    return journal_position_write(db, &position) == SQLITE_OK;
}

/* In one transaction with the position, so exactly once. */
static struct problem *catch_up(struct service *service, struct db *db)
{
    sqlite3 *handle = db_handle(db, DB_STATE);
    struct journal *journal = service->journal;
    if (!journal) {
        return NULL;
    }
    if (sqlite3_exec(handle, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK ||
        !replay_all(journal, db) || sqlite3_exec(handle, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
        struct problem *problem = problem_make(PROBLEM_INTERNAL, "the journal cannot be stored: %s",
                                               sqlite3_errmsg(handle));
        sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL);
        return problem;
    }
    journal_release(journal, journal_head(journal));
    service->journal_stored = journal_head(journal);
    return NULL;
}

struct problem *coordination_load(struct service *service, struct db *db)
{
    struct loading loading = {.service = service};
    struct db_error error = {0};
    struct problem *problem = catch_up(service, db);
    if (problem) {
        return problem;
    }
    service->holds.fence = service->holds.fence_reserved = fence_row_get(db);
    if (object_rows_load(db, load_object, &loading, &error) ||
        (!loading.problem && !(loading.problem = queues_load(service, db)) &&
         hold_rows_load(db, load_hold, &loading, &error)) ||
        (!loading.problem && (loading.problem = pools_load(service, db)))) {
        problem_free(loading.problem);
        return problem_make(PROBLEM_INTERNAL, "%s", error.text);
    }
    return loading.problem;
}

/* ---- storing ---- */

void coordination_store(struct service *service)
{
    objects_store_dirty(service);
    holds_store_dirty(service);
    tasks_store_dirty(service);
    pool_workers_store_dirty(service);
    if (!service->journal || journal_head(service->journal) == service->journal_stored) {
        return;
    }
    struct journal_position position = {journal_id(service->journal),
                                        journal_head(service->journal)};
    if (!journal_position_put(recorder_batch(service->recorder), &position)) {
        recorder_fatal("out of memory for the journal's position");
    }
    service->journal_stored = position.position;
}

/* Only one batch is in flight, so what submit put into it is in the database now. */
void coordination_stored(struct service *service)
{
    if (service->journal) {
        journal_release(service->journal, service->journal_stored);
    }
}

/* The journal does not outlive the machine. */
bool coordination_keep(struct service *service)
{
    return service->journal && service->config->sync != CONFIG_SYNC_FULL &&
           recorder_is_clean(service->recorder) && objects_journal(service) &&
           holds_journal(service);
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
