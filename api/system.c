/*
 * The machine and the daemon: /v1/system, /v1/capabilities, /healthz and /readyz.
 */
#include <sys/utsname.h>
#include <unistd.h>

#include "api/handlers.h"
#include "api/machine.h"
#include "api/page.h"
#include "api/respond.h"
#include "api/routes.h"
#include "service/policy.h"
#include "service/sandbox.h"

#ifndef FORKFUL_VERSION
#define FORKFUL_VERSION "0.0.0"
#endif

/* ---- health ---- */

void handle_get_health(struct request *request)
{
    struct text body = {0};
    text_put(&body, "{\"status\":\"ok\"}");
    answer_json(request, 200, &body);
}

/* NULL: work is taken. */
static struct problem *not_ready(const struct service *service)
{
    struct problem *problem = NULL;
    struct problem *full = recorder_refuses(service->recorder);
    if (service->shutting_down) {
        problem = problem_make(PROBLEM_SHUTTING_DOWN, "the daemon is ending");
    } else if (full) {
        problem = problem_make(PROBLEM_UNAVAILABLE, "the database cannot be written: %s",
                               full->detail);
    }
    problem_free(full);
    if (problem) {
        problem->retry_after_seconds = 5;
    }
    return problem;
}

void handle_get_readiness(struct request *request)
{
    struct problem *problem = not_ready(&request_app(request)->service);
    struct text body = {0};
    if (problem) {
        answer_problem(request, problem);
        return;
    }
    text_put(&body, "{\"status\":\"ready\"}");
    answer_json(request, 200, &body);
}

/* ---- system: one function per part ---- */

static void key_string(struct text *t, const char *key, const char *value)
{
    text_json_key(t, key);
    text_json_string(t, value);
}

static void key_number(struct text *t, const char *key, int64_t value)
{
    text_json_key(t, key);
    text_number(t, value);
}

static void key_number_or_null(struct text *t, const char *key, int64_t value)
{
    text_json_key(t, key);
    if (value >= 0) {
        text_number(t, value);
    } else {
        text_put(t, "null");
    }
}

static void key_bool(struct text *t, const char *key, bool value)
{
    text_json_key(t, key);
    text_json_bool(t, value);
}

static void machine_json(struct text *t)
{
    struct machine_memory memory = machine_memory();
    double quota = machine_cpu_quota();
    key_number(t, "cpu_count", machine_cpus());
    key_number(t, "cpu_usable", machine_usable_cpus());
    text_json_key(t, "cpu_quota");
    if (quota >= 0) {
        text_json_seconds(t, (int64_t)(quota * 1e6));
    } else {
        text_put(t, "null");
    }
    text_json_key(t, "memory");
    text_putc(t, '{');
    key_number_or_null(t, "total_bytes", memory.total_bytes);
    key_number_or_null(t, "available_bytes", memory.available_bytes);
    text_putc(t, '}');
}

static void daemon_json(struct text *t, const struct app *app)
{
    const struct notice_welcome *keeper = &app->service.keeper;
    int64_t started_at_us =
        keeper->keeper_started_at_us ? keeper->keeper_started_at_us : app->service.started_at_us;
    int64_t uptime_us = time_now_us() - started_at_us;
    key_string(t, "version", FORKFUL_VERSION);
    text_json_key(t, "started_at");
    text_json_time(t, started_at_us);
    text_json_key(t, "uptime_seconds");
    text_json_seconds(t, uptime_us > 0 ? uptime_us : 0);
    key_number(t, "keeper_pid", keeper->keeper_pid);
    key_number(t, "server_pid", getpid());
    key_number(t, "server_restarts", app->server_restarts);
    key_string(t, "boot_id", app->boot_id[0] ? app->boot_id : NULL);
    key_string(t, "state_dir", app->state_dir);
    key_string(t, "runtime_dir", app->runtime_dir);
    text_json_key(t, "listeners");
    text_put(t, app->listening);
}

static void limits_json(struct text *t, const struct app *app)
{
    const struct config *config = &app->config;
    const struct {
        const char *name;
        uint64_t value;               /* 0: no limit */
    } limits[] = {
        {"max_processes", config->max_processes},
        {"max_sessions", config->max_sessions},
        {"max_objects", config->max_objects},
        {"max_holds", config->max_holds},
        {"request_body_bytes", config->http_body_bytes},
        {"spawn_body_bytes", ROUTE_SPAWN_BODY_BYTES},
        {"stdin_body_bytes", config->max_payload_bytes < ROUTE_STDIN_BODY_BYTES
                                 ? config->max_payload_bytes
                                 : ROUTE_STDIN_BODY_BYTES},
        {"wait_seconds", WAIT_MOST_US / SECOND_US},
        {"page_items", PAGE_LIMIT_MAX},
        {"http_connections", app->http_connections},
        {"output_max_bytes", config->output_max_bytes},
        {"retention_ended_count", config->retention_ended_count},
        {"retention_logs_total_bytes", config->retention_logs_total_bytes},
    };
    text_json_key(t, "limits");
    text_putc(t, '{');
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        key_number_or_null(t, limits[i].name,
                           limits[i].value ? (int64_t)limits[i].value : -1);
    }
    text_putc(t, '}');
}

static void kernel_json(struct text *t, uint32_t features)
{
    static const struct {
        const char *name;
        enum keeper_features bit;
    } names[] = {{"clone3", KEEPER_CLONE3},
                 {"pidfd", KEEPER_PIDFD},
                 {"pidfd_exit_info", KEEPER_PIDFD_EXIT_INFO},
                 {"cgroup", KEEPER_CGROUP},
                 {"cgroup_kill", KEEPER_CGROUP_KILL},
                 {"cgroup_freeze", KEEPER_CGROUP_FREEZE},
                 {"subreaper", KEEPER_SUBREAPER}};
    struct utsname kernel;
    text_json_key(t, "kernel");
    text_putc(t, '{');
    key_string(t, "release", uname(&kernel) == 0 ? kernel.release : "");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        key_bool(t, names[i].name, features & names[i].bit);
    }
    text_putc(t, '}');
}

static void states_json(struct text *t, const struct process_table *table)
{
    text_json_key(t, "processes");
    text_putc(t, '{');
    for (int state = STATE_CREATED; state < STATES; state++) {
        key_number(t, process_state_name((enum process_state)state),
                   (int64_t)table->states[state]);
    }
    text_putc(t, '}');
}

static void spool_json(struct text *t, const struct recorder *recorder)
{
    const struct spool *spool = recorder_spool((struct recorder *)recorder);
    text_json_key(t, "spool");
    text_putc(t, '{');
    key_number(t, "size_bytes", (int64_t)spool->ring_bytes);
    key_number(t, "used_bytes", (int64_t)(spool->header->head - spool->header->tail));
    text_putc(t, '}');
}

static const char *health_of(const struct service *service)
{
    struct problem *problem = not_ready(service);
    const char *word = !problem                                   ? "ok"
                       : problem->code == PROBLEM_SHUTTING_DOWN ? "draining"
                                                                  : "degraded";
    problem_free(problem);
    return word;
}

void handle_get_system(struct request *request)
{
    const struct app *app = request_app(request);
    struct text body = {0};
    text_put(&body, "{\"start_methods\":[\"spawn\"]");
    machine_json(&body);
    daemon_json(&body, app);
    limits_json(&body, app);
    kernel_json(&body, app->service.keeper.features);
    states_json(&body, &app->service.processes);
    spool_json(&body, app->service.recorder);
    key_string(&body, "health", health_of(&app->service));
    text_putc(&body, '}');
    answer_json(request, 200, &body);
}

/* ---- capabilities ---- */

static const char *const not_supported[] = {NULL};

static void words_json(struct text *t, const char *const *words)
{
    text_putc(t, '[');
    for (; *words; words++) {
        text_json_comma(t);
        text_json_string(t, *words);
    }
    text_putc(t, ']');
}

static void sandboxes_json(struct text *t)
{
    struct sandbox_layers layers = sandbox_available();
    text_put(t, ",\"sandbox\":{\"landlock_abi\":");
    layers.landlock_abi ? text_number(t, layers.landlock_abi) : text_put(t, "null");
    text_put(t, layers.seccomp ? ",\"seccomp\":[\"default\"]}" : ",\"seccomp\":[]}");
}

void handle_get_capabilities(struct request *request)
{
    const struct executor_type *executor = request_app(request)->service.executor->type;
    struct text body = {0};
    text_put(&body, "{\"executor\":");
    text_json_string(&body, executor->name);
    text_put(&body, ",\"items\":");
    words_json(&body, executor->capabilities);
    text_put(&body, ",\"not_supported\":");
    words_json(&body, not_supported);
    text_put(&body, ",\"spawn\":");
    policy_json(&body, &request_app(request)->config);
    sandboxes_json(&body);
    text_putc(&body, '}');
    answer_json(request, 200, &body);
}
