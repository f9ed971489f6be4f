/* What a pool is as an object: its configuration, what GET shows, its start, its end. See pool.h. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/json_read.h"
#include "service/policy.h"
#include "service/pool_internal.h"
#include "service/sandbox.h"

#define IDLE_US 60000000ll             /* of a pool that says no idle_seconds */

static struct pool *pool_of(struct object *object)
{
    return (struct pool *)object;
}

static const struct pool *const_pool_of(const struct object *object)
{
    return (const struct pool *)object;
}

/* ---- configuration ---- */

static int64_t standard_processes(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : count > POOL_PROCESSES_MAX ? POOL_PROCESSES_MAX : count;
}

static int64_t number(const json_t *config, const char *key, int64_t standard)
{
    const json_t *value = json_object_get(config, key);
    return json_is_integer(value) ? json_integer_value(value) : standard;
}

static void read_numbers(struct pool *pool, const json_t *config)
{
    const char *mode = json_string_value(json_object_get(config, "mode"));
    const json_t *idle = json_object_get(config, "idle_seconds");
    pool->mode = mode && strcmp(mode, "stdio") == 0 ? POOL_STDIO : POOL_SPAWN;
    pool->processes = number(config, "processes", standard_processes());
    pool->min_processes =
        number(config, "min", pool->mode == POOL_STDIO ? pool->processes : 0);
    pool->max_tasks = number(config, "max_tasks", 0);
    pool->max_attempts = number(config, "max_attempts", 1);
    pool->idle_us = json_is_number(idle) ? (int64_t)(json_number_value(idle) * 1e6) : IDLE_US;
}

/* Null says the same as nothing. */
static json_t *without_nulls(const json_t *value)
{
    const char *key;
    json_t *member;
    void *next;
    json_t *copy = json_deep_copy(value);
    json_object_foreach_safe(copy, next, key, member) {
        if (json_is_null(member)) {
            json_object_del(copy, key);
        }
    }
    return copy;
}

static struct problem *refuse_field(struct problem *problem, const char *pointer, const char *why)
{
    return problem_add(problem, PROBLEM_INVALID_VALUE, FAULT_POINTER, pointer, "%s", why);
}

static const char *word(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* There, and another word than this one. */
static bool is_other(const json_t *object, const char *key, const char *only)
{
    const json_t *value = json_object_get(object, key);
    return value && !(json_is_string(value) && strcmp(json_string_value(value), only) == 0);
}

/* What the pool itself decides, unless it is said as the pool decides it; and what would keep results from it. */
static struct problem *refuse_fields(const struct pool *pool)
{
    const char *stdin_word = pool->mode == POOL_STDIO ? "pipe" : "";
    const char *err = word(pool->spec, "stderr");
    struct problem *problem = NULL;
    if (json_is_false(json_object_get(pool->spec, "start"))) {
        problem = refuse_field(problem, "/spec/start", "The pool starts its processes.");
    }
    if (is_other(pool->spec, "stdin", stdin_word)) {
        problem = refuse_field(problem, "/spec/stdin", "Tasks come from there: the pool decides it.");
    }
    if (json_object_get(pool->spec, "requires")) {
        problem = refuse_field(problem, "/spec/requires", "The pool starts its processes at once.");
    }
    if (is_other(pool->spec, "stdout", "log")) {
        problem = refuse_field(problem, "/spec/stdout", "Results come from there: it must be \"log\".");
    }
    if (err && strcmp(err, "stdout") == 0) {
        problem = refuse_field(problem, "/spec/stderr", "It would mix with the results.");
    }
    if (is_other(json_object_get(pool->spec, "output"), "when_full", "drop_oldest")) {
        problem = refuse_field(problem, "/spec/output/when_full",
                               "Results come from the output: it must be \"drop_oldest\".");
    }
    if (pool->min_processes > pool->processes) {
        problem = refuse_field(problem, "/min", "It must not be more than processes.");
    }
    return problem;
}

/* The spec's faults, as seen from the pool's body. */
static struct problem *within_spec(struct problem *problem)
{
    for (size_t i = 0; problem && i < problem->fault_count; i++) {
        struct problem_fault *fault = &problem->faults[i];
        struct text place = {0};
        text_put(&place, "/spec");
        text_put(&place, fault->place);
        char *whole = fault->where == FAULT_POINTER ? text_take(&place, NULL) : NULL;
        text_free(&place);
        if (whole) {
            free(fault->place);
            fault->place = whole;
        }
    }
    return problem;
}

static struct problem *parse_spec(const struct service *service, const struct pool *pool,
                                  struct spec **out)
{
    struct spec_defaults defaults = {service->config->stop_grace_us,
                                     service->config->output_max_bytes,
                                     service->config->output_when_full};
    return spec_from_json(pool->spec, &defaults, out);
}

static struct problem *configure(struct service *service, struct object *object,
                                 const json_t *config)
{
    struct pool *pool = pool_of(object);
    struct spec *spec = NULL;
    read_numbers(pool, config);
    pool->spec = without_nulls(json_object_get(config, "spec"));
    if (!pool->spec) {
        return problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for a pool");
    }
    if (object->inserted) {
        return NULL;                   /* it was checked when it was made */
    }
    struct problem *problem = refuse_fields(pool);
    problem = problem ? problem : within_spec(parse_spec(service, pool, &spec));
    spec_free(spec);
    return problem;
}

/* ---- who may make it ---- */

static struct problem *check_spec(struct service *service, const struct pool *pool,
                                  const struct process *maker)
{
    struct spec *spec = NULL;
    struct problem *problem = parse_spec(service, pool, &spec);
    if (!problem && maker) {
        problem = privileges_inherit(maker->privileges, spec);
    }
    if (!problem) {
        policy_complete(service->config, spec);
        problem = policy_check(service, &pool->object.owner, spec);
        problem = problem ? problem : sandbox_choose(spec);
    }
    spec_free(spec);
    return within_spec(problem);
}

/* Its workers get no more than the process has that makes it, also when that has ended. */
static struct problem *take_privileges(struct pool *pool, const struct process *maker)
{
    struct text text = {0};
    text_put(&text, "{\"maker\":true");
    privileges_json(&text, maker->privileges);
    text_putc(&text, '}');
    json_t *copy = text.failed ? NULL : json_read(text.data, text.bytes, 0, NULL);
    bool taken = copy && privileges_from_json(copy, &pool->privileges);
    json_decref(copy);
    text_free(&text);
    return taken ? NULL : problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for a pool");
}

static struct problem *admit(struct service *service, struct object *object)
{
    struct pool *pool = pool_of(object);
    const struct process *maker = object->owner.kind == PARENT_PROCESS
                                      ? process_table_find(&service->processes, &object->owner.id)
                                      : NULL;
    struct problem *problem = check_spec(service, pool, maker);
    if (!problem && maker && maker->daemon) {
        problem = problem_make(PROBLEM_DAEMONIC_PARENT, "process %s is a daemon process",
                               maker->id_text);
    }
    return problem || !maker ? problem : take_privileges(pool, maker);
}

/* ---- what is shown and kept of it ---- */

static void write_number(struct text *text, const char *key, int64_t value)
{
    text_json_key(text, key);
    text_number(text, value);
}

static void write_numbers(struct text *text, const struct pool *pool)
{
    write_number(text, "processes", pool->processes);
    write_number(text, "min", pool->min_processes);
    text_json_key(text, "mode");
    text_json_string(text, pool->mode == POOL_STDIO ? "stdio" : "spawn");
    text_json_key(text, "max_tasks");
    pool->max_tasks ? text_number(text, pool->max_tasks) : text_put(text, "null");
    write_number(text, "max_attempts", pool->max_attempts);
    text_json_key(text, "idle_seconds");
    text_json_seconds(text, pool->idle_us);
}

static void write_json(struct text *text, const char *key, const json_t *value)
{
    char *dump = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
    text_json_key(text, key);
    text_put(text, dump ? dump : "null");
    text->failed |= !dump;
    free(dump);
}

static void write_config(struct text *text, const struct object *object)
{
    write_numbers(text, const_pool_of(object));
    write_json(text, "spec", const_pool_of(object)->spec);
}

/* As with processes, of its environment the names only. */
static void show_config(struct text *text, const struct object *object)
{
    const json_t *spec = const_pool_of(object)->spec;
    const json_t *env = json_object_get(spec, "env");
    json_t *shown = json_copy((json_t *)spec), *keys = json_array();
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)env, key, value) {
        json_array_append_new(keys, json_string(key));
    }
    json_object_del(shown, "env");
    json_object_set_new(shown, "env_keys", keys);
    write_numbers(text, const_pool_of(object));
    write_json(text, "spec", shown);
    json_decref(shown);
}

/* ---- state ---- */

static const char *phase_name(enum pool_phase phase)
{
    static const char *const names[] = {
        [POOL_OPEN] = "open", [POOL_CLOSED] = "closed", [POOL_TERMINATED] = "terminated"};
    return names[phase];
}

static const char *worker_state(const struct pool_worker *worker)
{
    return worker->stopping || worker->process->state == STATE_STOPPING ? "stopping"
           : worker->process->state == STATE_STARTING                  ? "starting"
           : worker->first                                             ? "busy"
           : worker->retiring                                          ? "retiring"
                                                                       : "idle";
}

static void write_worker(struct text *text, const struct pool_worker *worker)
{
    char id[ID_TEXT_BYTES] = "";
    if (worker->first) {
        id_format(&worker->first->id, 't', id);
    }
    text_json_comma(text);
    text_put(text, "{\"process\":");
    text_json_string(text, worker->process->id_text);
    text_json_key(text, "pid");
    worker->process->pid ? text_number(text, worker->process->pid) : text_put(text, "null");
    text_json_key(text, "state");
    text_json_string(text, worker_state(worker));
    text_json_key(text, "task");
    text_json_string(text, worker->first ? id : NULL);
    text_json_key(text, "served");
    text_unsigned(text, worker->served);
    text_putc(text, '}');
}

static void write_totals(struct text *text, const struct pool *pool)
{
    write_number(text, "submitted_total", (int64_t)pool->submitted_total);
    for (int state = TASK_DONE; state < TASK_STATES; state++) {
        char key[32];
        snprintf(key, sizeof key, "%s_total", task_state_name((enum task_state)state));
        write_number(text, key, (int64_t)pool->ended_totals[state]);
    }
    write_number(text, "workers_total", (int64_t)pool->workers_total);
}

static void write_state(struct text *text, const struct object *object)
{
    const struct pool *pool = const_pool_of(object);
    text_json_key(text, "state");
    text_json_string(text, phase_name(pool->phase));
    for (int state = 0; state < TASK_STATES; state++) {
        write_number(text, task_state_name((enum task_state)state), (int64_t)pool->counts[state]);
    }
    write_number(text, "unfinished", (int64_t)pool_unfinished(pool));
    text_json_key(text, "joined");
    text_json_bool(text, pool_is_over(pool));
    write_totals(text, pool);
    text_json_key(text, "last_error");
    text_json_string(text, pool->last_error);
    text_json_key(text, "workers");
    text_putc(text, '[');
    for (const struct pool_worker *at = pool->first_worker; at; at = at->next) {
        write_worker(text, at);
    }
    text_putc(text, ']');
}

/* Nothing is left to be done. */
static bool ready(const struct object *object, const struct object_point *point)
{
    (void)point;
    return pool_unfinished(const_pool_of(object)) == 0;
}

static void save(struct text *text, const struct object *object)
{
    const struct pool *pool = const_pool_of(object);
    char account[ID_TEXT_BYTES];
    write_number(text, "phase", (int64_t)pool->phase);
    write_totals(text, pool);
    if (pool->privileges) {
        privileges_json(text, pool->privileges);
    }
    id_format(&object->account, 'a', account);
    text_json_key(text, "account");
    text_json_string(text, account);
}

static uint64_t saved_number(const json_t *saved, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(saved, key));
}

static bool restore(struct service *service, struct object *object, const json_t *saved)
{
    struct pool *pool = pool_of(object);
    (void)service;
    pool_work_soon(pool);
    if (!saved) {
        return true;
    }
    pool->phase = (enum pool_phase)json_integer_value(json_object_get(saved, "phase"));
    pool->submitted_total = saved_number(saved, "submitted_total");
    pool->workers_total = saved_number(saved, "workers_total");
    for (int state = TASK_DONE; state < TASK_STATES; state++) {
        char key[32];
        snprintf(key, sizeof key, "%s_total", task_state_name((enum task_state)state));
        pool->ended_totals[state] = saved_number(saved, key);
    }
    const json_t *account = json_object_get(saved, "account");
    if (json_is_string(account)) {
        id_parse(json_string_value(account), json_string_length(account), 'a', &object->account);
    }
    return privileges_from_json(saved, &pool->privileges);
}

/* ---- end ---- */

static void dismiss(struct service *service, struct pool_worker *worker)
{
    if (!pool_worker_row_delete(recorder_batch(service->recorder), worker->process->num)) {
        recorder_fatal("out of memory for a worker's end");
    }
    pool_worker_stop(worker, 0);
    pool_worker_free(worker);
}

static void closed(struct service *service, struct object *object)
{
    struct pool *pool = pool_of(object);
    claims_finish_all(&pool->joiners, CLAIM_DELETED);
    loop_undefer(service->loop, &pool->work);
    timer_cancel(service->loop, &pool->again);
    while (pool->first_worker) {
        dismiss(service, pool->first_worker);
    }
    for (struct task *at = pool->first; at; at = at->next) {
        claims_finish_all(&at->waiters, CLAIM_DELETED);
        pool_task_forget(at);
    }
    for (struct task_batch *at = pool->first_batch; at; at = at->next) {
        claims_finish_all(&at->waiters, CLAIM_DELETED);
    }
    if (!pool_rows_delete(recorder_batch(service->recorder), object->num)) {
        recorder_fatal("out of memory for a pool's end");
    }
}

static void release(struct object *object)
{
    struct pool *pool = pool_of(object);
    loop_undefer(object->service->loop, &pool->work);
    while (pool->first) {
        struct task *task = pool->first;
        pool->first = task->next;
        task_free(task);
    }
    while (pool->first_batch) {
        struct task_batch *batch = pool->first_batch;
        pool->first_batch = batch->next;
        task_batch_free(batch);
    }
    id_map_free(&pool->by_id);
    id_map_free(&pool->batches_by_id);
    json_decref(pool->spec);
    privileges_free(pool->privileges);
    free(pool->last_error);
}

const struct object_type pool_type = {
    .kind = OBJECT_POOL, .noun = "pool", .plural = "pools", .bytes = sizeof(struct pool),
    .configure = configure, .admit = admit, .write_config = write_config, .show_config = show_config,
    .write_state = write_state, .ready = ready, .save = save, .restore = restore,
    .closed = closed, .release = release};
