/* Bonds; see bonds.h. */
#include "service/bonds.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "service/queue.h"
#include "service/service.h"

#define FOR_EVER_US (100ll * 365 * 86400 * 1000000)
#define AGAIN_US 1000000

/* ---- making ---- */

static bool make(const char *lock, const char *queue, struct process *process, struct bonds **out)
{
    *out = NULL;
    if (!lock && !queue) {
        return true;
    }
    struct bonds *bonds = calloc(1, sizeof *bonds);
    if (bonds) {
        bonds->process = process;
        bonds->lock = lock ? strdup(lock) : NULL;
        bonds->queue = queue ? strdup(queue) : NULL;
    }
    if (!bonds || (lock && !bonds->lock) || (queue && !bonds->queue)) {
        bonds_free(bonds);
        return false;
    }
    *out = bonds;
    return true;
}

bool bonds_from_spec(const struct spec *spec, struct process *process, struct bonds **out)
{
    return make(spec->requires_lock, spec->on_exit_queue, process, out);
}

void bonds_free(struct bonds *bonds)
{
    if (bonds) {
        free(bonds->lock);
        free(bonds->queue);
        free(bonds);
    }
}

void bonds_json(struct text *text, const struct bonds *bonds)
{
    if (bonds) {
        text_json_key(text, "requires_lock");
        text_json_string(text, bonds->lock);
        text_json_key(text, "on_exit_queue");
        text_json_string(text, bonds->queue);
    }
}

bool bonds_from_json(const json_t *object, struct process *process, struct bonds **out)
{
    return make(json_string_value(json_object_get(object, "requires_lock")),
                json_string_value(json_object_get(object, "on_exit_queue")), process, out);
}

struct problem *bonds_check(struct service *service, const struct spec *spec)
{
    struct problem *problem = NULL;
    if (spec->requires_lock && !object_find(service, OBJECT_LOCK, spec->requires_lock)) {
        problem = problem_add(problem, PROBLEM_INVALID_VALUE, FAULT_POINTER, "/requires/lock",
                              "There is no lock %s.", spec->requires_lock);
    }
    if (spec->on_exit_queue && !object_find(service, OBJECT_QUEUE, spec->on_exit_queue)) {
        problem = problem_add(problem, PROBLEM_INVALID_VALUE, FAULT_POINTER, "/on_exit/queue",
                              "There is no queue %s.", spec->on_exit_queue);
    }
    return problem;
}

bool bonds_require(const struct bonds *bonds)
{
    return bonds && bonds->lock;
}

/* ---- the lock ---- */

static void start(struct bonds *bonds);

static void start_again(struct timer *timer)
{
    start((struct bonds *)((char *)timer - offsetof(struct bonds, again)));
}

static void fail(struct bonds *bonds)
{
    launch_impossible(bonds->process->service, bonds->process, EIDRM);
}

/* Not started for want of something that may come back: the lock is kept meanwhile. */
static void started(void *context, struct process *process, struct problem *problem,
                    const char *stored_answer)
{
    struct bonds *bonds = context;
    (void)process;
    (void)stored_answer;
    if (problem && bonds->process->state == STATE_PENDING) {
        bonds->again.due = start_again;
        timer_set(bonds->process->service->loop, &bonds->again, time_monotonic_us() + AGAIN_US);
    }
    problem_free(problem);
}

static void start(struct bonds *bonds)
{
    struct process *process = bonds->process;
    struct launch_ticket *ticket;
    if (process->state != STATE_PENDING || process->launched) {
        return;
    }
    struct problem *problem =
        launch_pending(process->service, process, (struct spawned){started, bonds, NULL}, &ticket);
    if (problem && problem_status(problem) < 429) { /* to wait would not help */
        int error = problem->error                        ? problem->error
                    : problem->code == PROBLEM_PARENT_ENDED ? EIDRM
                                                            : EACCES;
        problem_free(problem);
        launch_impossible(process->service, process, error);
    } else if (problem) {
        started(bonds, NULL, problem, NULL);
    }
}

static void lock_done(struct claim *claim, enum claim_result result)
{
    struct bonds *bonds = claim->context;
    if (result == CLAIM_GRANTED) {
        start(bonds);
    } else {
        problem_free(result == CLAIM_FAILED ? claim->problem : NULL);
        fail(bonds);
    }
}

static bool holds_already(const struct bonds *bonds, const struct object *lock)
{
    const struct hold *at = lock->holds;
    while (at && !(at->owner.kind == PARENT_PROCESS &&
                   id_equal(&at->owner.id, &bonds->process->id))) {
        at = at->next;
    }
    return at;
}

static void ask(struct bonds *bonds)
{
    struct process *process = bonds->process;
    struct service *service = process->service;
    struct object *lock = object_find(service, OBJECT_LOCK, bonds->lock);
    struct claim *claim = &bonds->claim.claim;
    struct problem *problem = NULL;
    if (process->state != STATE_PENDING || claim->waiter.list) {
        return;
    }
    claim->owner = (struct owner){PARENT_PROCESS, process->id};
    claim->done = lock_done;
    claim->context = bonds;
    if (lock && (holds_already(bonds, lock) ||
                 permit_acquire((struct permit *)lock, &bonds->claim, &problem))) {
        start(bonds);
    } else if (!lock || problem ||
               !claim_park(service, &((struct permit *)lock)->claims, claim, lock,
                           time_monotonic_us() + FOR_EVER_US)) {
        problem_free(problem);
        fail(bonds);
    }
}

static void begin(struct after_commit *after)
{
    ask((struct bonds *)((char *)after - offsetof(struct bonds, begin)));
}

void bonds_begin(struct bonds *bonds)
{
    bonds->begin.run = begin;
    recorder_after(bonds->process->service->recorder, &bonds->begin);
}

void bonds_resume(struct service *service)
{
    for (struct process *at = service->processes.first, *next; at; at = next) {
        next = at->next;
        if (at->state == STATE_PENDING && bonds_require(at->bonds) && !at->launched) {
            ask(at->bonds);
        }
    }
}

void bonds_cancel(struct bonds *bonds)
{
    if (bonds) {
        claim_cancel(&bonds->claim.claim);
        recorder_forget(bonds->process->service->recorder, &bonds->begin);
        timer_cancel(bonds->process->service->loop, &bonds->again);
    }
}

bool bonds_guard(struct hold *hold)
{
    struct process *process = hold->owner.kind == PARENT_PROCESS
                                  ? process_table_find(&hold->service->processes, &hold->owner.id)
                                  : NULL;
    struct controlled nobody = {0};
    if (!process || !bonds_require(process->bonds) || !process_alive(process) || !hold->object ||
        strcmp(process->bonds->lock, hold->object->name) != 0 ||
        hold->object->type->kind != OBJECT_LOCK) {
        return false;
    }
    hold->revoked = true;
    service_log(hold->service, LEVEL_WARNING, process, "its lock %s was broken: it is stopped",
                hold->object->name);
    problem_free(service_stop(hold->service, process, STOP_REQUESTED, process->stop_signal,
                              process->grace_us, nobody, NULL));
    return true;
}

/* ---- the end ---- */

static struct problem *put_record(struct process *process, struct queue *queue)
{
    struct text record = {0};
    struct queue_putter putter = {.count = 1, .beyond = true};
    struct problem *problem = NULL;
    process_json(&record, process);
    struct message_content content = {"application/json", record.data, record.bytes};
    putter.first = record.failed ? NULL
                                 : queue_message_new(process->service, &content, &problem);
    text_free(&record);
    if (!putter.first) {
        return problem ? problem : problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for the record");
    }
    putter.bytes = content.body_bytes;
    problem = queue_put(queue, &putter);
    if (problem) {
        queue_drop(process->service, putter.first);
    } else {
        queue_serve(queue);
    }
    return problem;
}

void bonds_ended(struct process *process)
{
    const struct bonds *bonds = process->bonds;
    if (!bonds || !bonds->queue) {
        return;
    }
    struct object *queue = object_find(process->service, OBJECT_QUEUE, bonds->queue);
    struct problem *problem =
        queue ? put_record(process, (struct queue *)queue)
              : problem_make(PROBLEM_NOT_FOUND, "there is no queue %s any more", bonds->queue);
    if (problem) {
        service_log(process->service, LEVEL_WARNING, process,
                    "its record was not put into queue %s: %s", bonds->queue, problem->detail);
    }
    problem_free(problem);
}
