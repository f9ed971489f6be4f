/*
 * Making processes: who asked, what was refused, and what came of it. See service.h.
 *
 * A ticket connects the caller with the launch: the caller may go (launch_abandon), the process
 * is made all the same. launch_command.c composes the command, launch_record.c reads records
 * back.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/bonds.h"
#include "service/id.h"
#include "service/json_read.h"
#include "service/launch_command.h"
#include "service/policy.h"
#include "service/sandbox.h"
#include "service/secrets.h"
#include "service/pool.h"
#include "service/service.h"

struct launch_ticket {
    struct service *service;
    struct process *process;
    struct spawned spawned;            /* done NULL: the caller is gone */
    struct after_commit after;
    char *principal, *key;             /* of the Idempotency-Key, or NULL */
    uint64_t request_hash;
    char *stored_answer;
    bool reply_due, finished;          /* the keeper's reply is still to come; all has been told */
};

/* ---- tickets ---- */

static void ticket_free(struct launch_ticket *ticket)
{
    if (ticket->process) {
        ticket->process->ticket = NULL;
    }
    free(ticket->principal);
    free(ticket->key);
    free(ticket->stored_answer);
    free(ticket);
}

static struct launch_ticket *ticket_make(struct service *service, struct process *process,
                                         const struct answer_key *key, struct spawned spawned)
{
    struct launch_ticket *ticket = calloc(1, sizeof *ticket);
    if (!ticket) {
        return NULL;
    }
    ticket->service = service;
    ticket->process = process;
    ticket->spawned = spawned;
    if (key) {
        ticket->principal = strdup(key->principal);
        ticket->key = strdup(key->key);
        ticket->request_hash = key->request_hash;
        if (!ticket->principal || !ticket->key) {
            ticket_free(ticket);
            return NULL;
        }
    }
    process->ticket = ticket;
    return ticket;
}

/* The caller has been told; the keeper's reply may still hold the ticket. */
static void ticket_finish(struct launch_ticket *ticket)
{
    if (ticket->process) {
        ticket->process->ticket = NULL;
        ticket->process = NULL;
    }
    ticket->finished = true;
    if (!ticket->reply_due) {
        ticket_free(ticket);
    }
}

static void ticket_done(struct launch_ticket *ticket, struct process *process,
                        struct problem *problem)
{
    struct spawned spawned = ticket->spawned;
    char *answer = ticket->stored_answer;
    ticket->stored_answer = NULL;
    ticket_finish(ticket);
    if (spawned.done) {
        spawned.done(spawned.context, process, problem, answer);
    } else {
        problem_free(problem);
    }
    free(answer);
}

bool launch_ticket_nobody(struct service *service, struct process *process,
                          const struct answer_key *key)
{
    return ticket_make(service, process, key, (struct spawned){0}) != NULL;
}

struct process *launch_process(const struct launch_ticket *ticket)
{
    return ticket->process;
}

void launch_abandon(struct launch_ticket *ticket)
{
    ticket->spawned.done = NULL;
    ticket->spawned.storing = NULL;
}

static void ticket_stored(struct after_commit *after)
{
    struct launch_ticket *ticket =
        (struct launch_ticket *)((char *)after - offsetof(struct launch_ticket, after));
    ticket_done(ticket, ticket->process, NULL);
}

/* The answer is stored in the transaction that stores the process: a repeat finds both or
   neither. */
static void store_answer(struct service *service, const struct process *process,
                         const char *principal, const char *key, uint64_t hash, char **copy)
{
    struct text body = {0};
    char location[64];
    process_json(&body, process);
    snprintf(location, sizeof location, "/v1/processes/%s", process->id_text);
    struct answer_row row = {.principal = principal, .key = key, .request_hash = hash,
                             .at_us = time_now_us(), .status = 201, .location = location,
                             .content_type = "application/json", .body = body.data,
                             .body_bytes = body.bytes};
    if (body.failed || !answer_insert(recorder_batch(service->recorder), &row)) {
        recorder_fatal("out of memory for a stored answer");
    }
    *copy = text_take(&body, NULL);
}

static void ticket_when_stored(struct service *service, struct process *process)
{
    struct launch_ticket *ticket = process->ticket;
    if (!ticket) {
        return;
    }
    if (ticket->key) {
        store_answer(service, process, ticket->principal, ticket->key, ticket->request_hash,
                     &ticket->stored_answer);
    }
    if (ticket->spawned.storing) {
        ticket->spawned.storing(ticket->spawned.context, process);
    }
    ticket->after.run = ticket_stored;
    recorder_after(service->recorder, &ticket->after);
}

/* ---- the spawn command ---- */

static void reply_spawn(void *context, int error, unsigned stage);

static struct problem *launch_send(struct service *service, struct process *process,
                                   struct spec *spec, const char *spec_text)
{
    struct launch_ticket *ticket = process->ticket;
    struct answer_key key = {ticket->principal, ticket->key, ticket->request_hash};
    struct text tail = {0};
    struct launch launch = {.stdin_fd = -1};
    struct problem *problem = secrets_read(spec);
    problem = problem ? problem : sandbox_prepare(spec);
    problem = problem ? problem : launch_compose(service, process, spec, spec_text,
                                                 ticket->key ? &key : NULL, &tail, &launch);
    if (!problem) {
        struct reply reply = {reply_spawn, ticket};
        problem = service->executor->type->spawn(service->executor, &process->id, &launch, reply);
    }
    if (launch.stdin_fd >= 0) {
        close(launch.stdin_fd);
    }
    process->launched = ticket->reply_due = !problem;
    text_free(&tail);
    return problem;
}

/* ---- asking ---- */

/* The process that asks; NULL: no process does. */
static const struct process *maker_of(struct service *service, const struct owner *parent)
{
    return parent->kind == PARENT_PROCESS ? process_table_find(&service->processes, &parent->id)
                                          : NULL;
}

static struct problem *inherit(struct service *service, const struct owner *parent,
                               struct spec *spec)
{
    const struct process *maker = maker_of(service, parent);
    return maker ? privileges_inherit(maker->privileges, spec) : NULL;
}

/* As what it is made, now. */
static struct problem *fit(struct service *service, const struct asker *asker, struct spec *spec)
{
    struct problem *problem = inherit(service, &asker->owner, spec);
    if (!problem) {
        policy_complete(service->config, spec);
        problem = policy_check(service, &asker->owner, spec);
    }
    problem = problem ? problem : sandbox_choose(spec);
    return problem ? problem : policy_check_count(service, &asker->account);
}

static struct problem *refused(struct service *service, const struct owner *parent)
{
    struct problem *problem = recorder_refuses(service->recorder);
    if (problem) {
        return problem;
    }
    if (service->shutting_down) {
        problem = problem_make(PROBLEM_SHUTTING_DOWN, "no process is started any more");
        problem->retry_after_seconds = 5;
        return problem;
    }
    const struct process *maker = maker_of(service, parent);
    if (parent->kind == PARENT_PROCESS && (!maker || process_ended(maker))) {
        return problem_make(PROBLEM_OWNER_ENDED, "the process that asks has ended");
    }
    if (maker && maker->daemon) {
        return problem_make(PROBLEM_DAEMONIC_PARENT, "process %s is a daemon process",
                            maker->id_text);
    }
    const size_t *states = service->processes.states;
    if (service->processes.live + states[STATE_STARTING] + states[STATE_CREATED] +
            states[STATE_PENDING] >=
        service->config->max_processes) {
        problem = problem_make(PROBLEM_LIMIT_REACHED, "max_processes (%llu) are there",
                               (unsigned long long)service->config->max_processes);
        problem->retry_after_seconds = 1;
    }
    return problem;
}

/* Takes back what never became a process; its number is given again when it was the last. */
static void unmake(struct service *service, struct process *process)
{
    if (process->num == service->processes.last_num) {
        service->processes.last_num--;
    }
    process_table_remove(&service->processes, process);
    process_free(process);
}

static struct process *make(struct service *service, struct spec *spec, const json_t *body,
                            const struct asker *asker)
{
    struct fact_id id = id_make();
    struct process *process =
        process_table_add(&service->processes, &id, service->processes.last_num + 1);
    if (!process) {
        return NULL;
    }
    service->processes.last_num++;
    process->service = service;
    process->parent = asker->owner;
    process->account = asker->account;
    process->created_at_us = time_now_us();
    if (!spec->cwd) {
        spec->cwd = strdup(service->cwd);
    }
    bool at_once = spec->start && !spec->requires_lock;
    if (!spec->cwd || !process_fix(process, spec, at_once ? NULL : body) ||
        !process_table_charge(&service->processes, process) ||
        (process->api && !random_hex(32, process->token))) {
        unmake(service, process);
        return NULL;
    }
    return process;
}

static void make_created(struct service *service, struct process *process)
{
    process_set_state(&service->processes, process, STATE_CREATED);
    process_touch(service, process, true);
    service_change_process(service, "process.created", process);
    service_log(service, LEVEL_DEBUG, process, "process created, to be started later");
    ticket_when_stored(service, process);
}

/* It asks for its lock when this is stored and told. */
static void make_pending(struct service *service, struct process *process)
{
    if (process->state == STATE_STARTING) {
        process_set_state(&service->processes, process, STATE_CREATED);
        service_change_process(service, "process.created", process);
    }
    process_set_state(&service->processes, process, STATE_PENDING);
    process_touch(service, process, true);
    service_change_process(service, "process.pending", process);
    service_log(service, LEVEL_DEBUG, process, "process waits for its lock");
    ticket_when_stored(service, process);
    bonds_begin(process->bonds);
}

struct problem *service_spawn(struct service *service, struct spec *spec, const json_t *body,
                              const struct asker *asker, const struct answer_key *key,
                              struct spawned spawned, struct launch_ticket **ticket)
{
    struct problem *problem = refused(service, &asker->owner);
    problem = problem ? problem : bonds_check(service, spec);
    problem = problem ? problem : fit(service, asker, spec);
    struct process *process = problem ? NULL : make(service, spec, body, asker);
    struct launch_ticket *made = process ? ticket_make(service, process, key, spawned) : NULL;
    if (!problem && !made) {
        problem = problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for a process");
    }
    if (!problem && !spec->start) {
        make_created(service, process);
    } else if (!problem && bonds_require(process->bonds)) {
        make_pending(service, process);
    } else if (!problem) {
        problem = launch_send(service, process, spec, process->spec_text);
    }
    if (problem) {
        if (made) {
            ticket_free(made);
        }
        if (process) {
            unmake(service, process);
        }
        made = NULL;
    }
    if (ticket) {
        *ticket = made;
    }
    spec_free(spec);
    return problem;
}

/* The stored spec of a process that was created to be started later, without the request in it. */
static char *spec_text_without_body(const struct process *process)
{
    json_t *root = json_read_string(process->spec_text);
    json_object_set_new(root, "body", json_null());
    char *text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}

/* Its record says which layers it has. */
static struct problem *same_sandbox(const struct process *process, struct spec *spec)
{
    const struct privileges *own = process->privileges;
    struct problem *problem = sandbox_choose(spec);
    if (!problem && own && (own->layers.landlock_abi != spec->layers.landlock_abi ||
                            own->layers.seccomp != spec->layers.seccomp)) {
        problem = problem_make(PROBLEM_SANDBOX_UNAVAILABLE,
                               "the kernel has other layers than when process %s was made",
                               process->id_text);
    }
    return problem;
}

/* What it runs as was decided when it was made; whether that may be is decided again. */
static struct problem *fit_again(struct service *service, const struct process *process,
                                 struct spec *spec)
{
    if (!privileges_apply(process->privileges, spec)) {
        return problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for the groups");
    }
    struct problem *problem = inherit(service, &process->parent, spec);
    problem = problem ? problem : policy_check(service, &process->parent, spec);
    return problem ? problem : same_sandbox(process, spec);
}

/* A daemon process does not outlive its parent; it is not started after it either. */
static struct problem *parent_has_ended(struct service *service, const struct process *process)
{
    return process->daemon && process_parent_has_ended(service, process)
               ? problem_make(PROBLEM_PARENT_ENDED,
                              "process %s is a daemon process and its parent has ended",
                              process->id_text)
               : NULL;
}

static struct problem *may_start(struct service *service, const struct process *process)
{
    struct owner nobody = {0};
    struct problem *problem = parent_has_ended(service, process);
    problem = problem ? problem : refused(service, &nobody);
    if (problem && problem->code == PROBLEM_LIMIT_REACHED) { /* it is counted already */
        problem_free(problem);
        problem = NULL;
    }
    return problem;
}

struct problem *launch_pending(struct service *service, struct process *process,
                               struct spawned spawned, struct launch_ticket **ticket)
{
    struct spec_defaults defaults = {process->grace_us, process->max_output_bytes,
                                     process->when_full};
    struct problem *problem = may_start(service, process);
    struct spec *spec = NULL;
    *ticket = NULL;
    if (problem) {
        return problem;
    }
    json_t *body = process_stored_body(process);
    char *text = spec_text_without_body(process);
    problem = body && text ? spec_from_json(body, &defaults, &spec)
                           : problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for the request");
    problem = problem ? problem : fit_again(service, process, spec);
    struct launch_ticket *made = problem ? NULL : ticket_make(service, process, NULL, spawned);
    if (!problem && !made) {
        problem = problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for a launch");
    }
    if (!problem) {
        problem = launch_send(service, process, spec, text);
    }
    if (problem && made) {
        ticket_free(made);
        made = NULL;
    }
    *ticket = made;
    spec_free(spec);
    free(text);
    json_decref(body);
    return problem;
}

struct problem *service_start(struct service *service, struct process *process,
                              struct spawned spawned, struct launch_ticket **ticket)
{
    *ticket = NULL;
    if (process->state != STATE_CREATED || process->launched) {
        return problem_make(PROBLEM_ALREADY_STARTED, "process %s was started before",
                            process->id_text);
    }
    if (!bonds_require(process->bonds)) {
        return launch_pending(service, process, spawned, ticket);
    }
    struct problem *problem = may_start(service, process);
    if (!problem && !(*ticket = ticket_make(service, process, NULL, spawned))) {
        problem = problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for a launch");
    }
    if (!problem) {
        make_pending(service, process);
    }
    return problem;
}

/* ---- what came of it ---- */

void launch_started(struct service *service, struct process *process)
{
    process->open_streams = process->stdin_mode == STDIN_PIPE ? 7u : 3u;
    ticket_when_stored(service, process);
    if (process->pool_num) {
        pool_worker_started(process);
    }
}

static bool is_shortage(int error, unsigned stage)
{
    return (stage == STAGE_FORK || stage == STAGE_PIPE || stage == STAGE_LIMIT ||
            stage == STAGE_CGROUP) ||
           error == ENOMEM || error == EMFILE || error == ENFILE ||
           (error == EAGAIN && stage != STAGE_USER);
}

static struct problem *failure(const struct service *service, int error, unsigned stage)
{
    bool shortage = is_shortage(error, stage);
    bool is_unlisted = service->config->server_user && stage == STAGE_USER && error == EPERM;
    struct problem *problem =
        problem_make(shortage ? PROBLEM_UNAVAILABLE : PROBLEM_SPAWN_FAILED, "%s: %s%s",
                     spawn_stage_name(stage), strerror(error),
                     is_unlisted ? ": server.spawn_users names who may be, each with its own groups"
                                 : "");
    problem->error = error;
    problem->stage = spawn_stage_name(stage);
    return problem;
}

static void fail(struct service *service, struct process *process, int error, unsigned stage)
{
    process->start_errno = error;
    process->start_stage = stage;
    process_set_state(&service->processes, process, STATE_FAILED);
    process->end_stored = process->quiet_stored = true;
    process_touch(service, process, true);
    service_change_process(service, "process.failed", process);
    bonds_ended(process);
    owner_ended(service, &(struct owner){PARENT_PROCESS, process->id});
    wait_list_wake_all(&process->joiners);
}

void launch_impossible(struct service *service, struct process *process, int error)
{
    service_log(service, LEVEL_INFO, process, "process %s could not be started: %s", process->name,
                strerror(error));
    fail(service, process, error, 0);
}

bool launch_failed(struct service *service, struct process *process, int error, unsigned stage)
{
    struct launch_ticket *ticket = process->ticket;
    bool waited = process_waits(process);
    if (process->state != STATE_STARTING && !waited) {
        return false;
    }
    struct problem *problem = failure(service, error, stage);
    service_log(service, LEVEL_INFO, waited ? process : NULL,
                "process %s could not be started: %s", process->name, problem->detail);
    process->launched = false;
    if (waited && !is_shortage(error, stage)) {
        fail(service, process, error, stage);
    }
    if (process->state == STATE_STARTING) {
        if (ticket) {
            ticket->process = NULL;
        }
        unmake(service, process);
    }
    if (ticket) {
        ticket_done(ticket, NULL, problem);
    } else {
        problem_free(problem);
    }
    return true;
}

/* Refused before anything was forked. With error 0 the facts tell the rest. */
static void reply_spawn(void *context, int error, unsigned stage)
{
    struct launch_ticket *ticket = context;
    ticket->reply_due = false;
    if (ticket->finished) {
        ticket_free(ticket);
    } else if (error && ticket->process) {
        launch_failed(ticket->service, ticket->process, error, stage);
    }
}

static const char *const stage_names[STAGES] = {
    "none", "fork", "pipe", "cgroup", "session", "nice", "rlimit", "groups", "group",
    "user", "cwd",  "stdio", "exec", "limit", "env", "sandbox"};

const char *spawn_stage_name(unsigned stage)
{
    return stage < STAGES ? stage_names[stage] : "unknown";
}

unsigned spawn_stage_from_name(const char *name)
{
    for (unsigned stage = 0; name && stage < STAGES; stage++) {
        if (strcmp(stage_names[stage], name) == 0) {
            return stage;
        }
    }
    return STAGE_NONE;
}

const char *errno_name(int error)
{
    const char *name = strerrorname_np(error);
    return name ? name : "EUNKNOWN";
}
