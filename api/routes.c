/*
 * The route table: every address, who may call it, its query keys and its body. Adding a row is all
 * there is to adding a route.
 */
#include "api/routes.h"

#include "api/handlers.h"

/* ---- query keys ---- */

#define END {0}
#define PAGED {"limit", PARAM_LIMIT, false}, {"page_token", PARAM_TEXT, false}
#define WAIT {"wait", PARAM_SECONDS, false}
/* What the handlers of streams check themselves, with bounds of their own, is text here. */
#define STREAMED                                                                               \
    {"after", PARAM_TEXT, false}, {"follow", PARAM_TEXT, false}, {"limit", PARAM_TEXT, false}, \
    {"page_token", PARAM_TEXT, false}, WAIT

static const struct param list_params[] = {
    {"state", PARAM_TEXT, false},
    {"name", PARAM_TEXT, false},
    {"label", PARAM_TEXT, true},
    {"parent", PARAM_TEXT, false},
    {"owner", PARAM_TEXT, false},
    {"order", PARAM_TEXT, false},
    PAGED,
    END};

static const struct param delete_params[] = {{"kill", PARAM_BOOL, false}, END};
static const struct param stats_params[] = {{"ids", PARAM_TEXT, false}, END};
static const struct param join_params[] = {WAIT, END};
static const struct param stdin_params[] = {{"eof", PARAM_BOOL, false}, WAIT, END};
static const struct param page_params[] = {PAGED, END};
static const struct param release_params[] = {{"delay", PARAM_SECONDS, false}, END};
static const struct param holds_params[] = {
    {"owner", PARAM_TEXT, false}, {"resource", PARAM_TEXT, false}, PAGED, END};
static const struct param after_params[] = {{"after", PARAM_UNSIGNED, false}, WAIT, END};
static const struct param part_params[] = {{"path", PARAM_TEXT, false}, END};
static const struct param make_params[] = {
    {"durable", PARAM_BOOL, false}, {"lifetime", PARAM_TEXT, false}, END};
static const struct param write_params[] = {{"offset", PARAM_UNSIGNED, false}, END};
static const struct param put_params[] = {
    {"priority", PARAM_TEXT, false}, {"delay", PARAM_SECONDS, false},
    {"ttl", PARAM_SECONDS, false}, WAIT, END};
static const struct param receive_params[] = {
    {"max", PARAM_UNSIGNED, false}, {"mode", PARAM_TEXT, false}, {"lease", PARAM_SECONDS, false},
    WAIT, END};
static const struct param messages_params[] = {{"state", PARAM_TEXT, false}, PAGED, END};
static const struct param purge_params[] = {{"state", PARAM_TEXT, false}, END};
static const struct param barrier_params[] = {{"timeout", PARAM_SECONDS, false}, WAIT, END};
static const struct param recv_params[] = {{"max_bytes", PARAM_UNSIGNED, false}, WAIT, END};
static const struct param results_params[] = {
    {"order", PARAM_TEXT, false}, {"after", PARAM_TEXT, false}, {"limit", PARAM_TEXT, false}, WAIT,
    END};
static const struct param trim_params[] = {{"before", PARAM_UNSIGNED, false}, END};

static const struct param logs_params[] = {
    {"stream", PARAM_TEXT, false},
    {"offset", PARAM_TEXT, false},
    {"before", PARAM_TEXT, false},
    {"tail", PARAM_TEXT, false},
    {"since", PARAM_TEXT, false},
    {"until", PARAM_TEXT, false},
    {"grep", PARAM_TEXT, false},
    STREAMED,
    END};

static const struct param changes_params[] = {
    {"type", PARAM_TEXT, false},
    {"ref", PARAM_TEXT, false},
    {"snapshot", PARAM_TEXT, false},
    STREAMED,
    END};

static const struct param audit_params[] = {
    {"principal", PARAM_TEXT, false},
    {"action", PARAM_TEXT, false},
    STREAMED,
    END};

static const struct param log_params[] = {
    {"process", PARAM_TEXT, false},
    {"level", PARAM_TEXT, false},
    STREAMED,
    END};

/* ---- rows ---- */

#define GET(path, scope, params, operation, handler)                                           \
    {METHOD_GET, path, scope, BODY_NONE, 0, params, operation, handler, false, false}
/* The handler looks into the query too: all faults are told at once. */
#define FILTERED(path, scope, params, operation, handler)                                      \
    {METHOD_GET, path, scope, BODY_NONE, 0, params, operation, handler, true, false}
#define DELETE(path, scope, params, operation, handler)                                        \
    {METHOD_DELETE, path, scope, BODY_NONE, 0, params, operation, handler, false, false}
#define POST(path, scope, operation, handler)                                                  \
    {METHOD_POST, path, scope, BODY_JSON, 0, NULL, operation, handler, false, false}
#define CALL(path, scope, operation, handler)                                                  \
    {METHOD_POST, path, scope, BODY_JSON_OPTIONAL, 0, NULL, operation, handler, false, false}
/* A quiet one. */
#define OFTEN(path, body, operation, handler)                                                  \
    {METHOD_POST, path, SCOPE_OPERATE, body, 0, NULL, operation, handler, false, true}
/* What every kind of coordination object has. */
#define OBJECTS(plural, noun, makes)                                                           \
    GET("/v1/" plural, SCOPE_READ, page_params, "list" noun "s", handle_list_objects),         \
    GET("/v1/" plural "/{name}", SCOPE_READ, NULL, "get" noun, handle_get_object),             \
    {METHOD_PUT, "/v1/" plural "/{name}", makes, BODY_JSON_OPTIONAL, 0, NULL, "put" noun,      \
     handle_put_object, false, false},                                                         \
    DELETE("/v1/" plural "/{name}", SCOPE_OPERATE, NULL, "delete" noun, handle_delete_object)
#define ACQUIRED(path, operation)                                                              \
    {METHOD_POST, path, SCOPE_OPERATE, BODY_JSON_OPTIONAL, 0, join_params, operation,          \
     handle_acquire, false, true}
/* An operation of a value: documents go in. */
#define VALUE(method, path, body, operation, handler)                                          \
    {method, "/v1/values/{name}" path, SCOPE_OPERATE, body, ROUTE_VALUE_BODY_BYTES, NULL,      \
     operation, handler, false, true}
#define OPERATION(word, body, operation, handler)                                              \
    VALUE(METHOD_POST, "/" word, body, operation, handler)
#define FILE_OF_PAGE(path) GET(path, SCOPE_PUBLIC, NULL, "getDashboard", handle_get_file)

const struct route routes[] = {
    FILE_OF_PAGE("/"),
    FILE_OF_PAGE("/web/{file}"),
    FILE_OF_PAGE("/web/{folder}/{file}"),
    GET("/openapi.yaml", SCOPE_PUBLIC, NULL, "getOpenapiYaml", handle_get_file),
    GET("/openapi.json", SCOPE_PUBLIC, NULL, "getOpenapiJson", handle_get_file),
    GET("/healthz", SCOPE_PUBLIC, NULL, "getHealth", handle_get_health),
    GET("/readyz", SCOPE_PUBLIC, NULL, "getReadiness", handle_get_readiness),
    GET("/metrics", SCOPE_READ, NULL, "getMetrics", handle_get_metrics),

    {METHOD_POST, "/v1/processes", SCOPE_SPAWN, BODY_JSON, ROUTE_SPAWN_BODY_BYTES, NULL,
     "createProcess", handle_create_process, false, false},
    FILTERED("/v1/processes", SCOPE_READ, list_params, "listProcesses", handle_list_processes),
    GET("/v1/processes/me", SCOPE_READ, NULL, "getOwnProcess", handle_get_own_process),
    GET("/v1/processes/stats", SCOPE_READ, stats_params, "getStatsOfProcesses",
        handle_get_stats_of_processes),
    POST("/v1/processes/actions", SCOPE_OPERATE, "actOnProcesses", handle_act_on_processes),
    GET("/v1/processes/{id}", SCOPE_READ, NULL, "getProcess", handle_get_process),
    DELETE("/v1/processes/{id}", SCOPE_OPERATE, delete_params, "deleteProcess",
        handle_delete_process),
    CALL("/v1/processes/{id}/start", SCOPE_SPAWN, "startProcess", handle_start_process),
    POST("/v1/processes/{id}/signal", SCOPE_OPERATE, "signalProcess", handle_signal_process),
    CALL("/v1/processes/{id}/terminate", SCOPE_OPERATE, "terminateProcess",
        handle_terminate_process),
    CALL("/v1/processes/{id}/kill", SCOPE_OPERATE, "killProcess", handle_kill_process),
    CALL("/v1/processes/{id}/stop", SCOPE_OPERATE, "stopProcess", handle_stop_process),
    CALL("/v1/processes/{id}/pause", SCOPE_OPERATE, "pauseProcess", handle_pause_process),
    CALL("/v1/processes/{id}/resume", SCOPE_OPERATE, "resumeProcess", handle_resume_process),
    GET("/v1/processes/{id}/join", SCOPE_READ, join_params, "joinProcess", handle_join_process),
    {METHOD_POST, "/v1/processes/{id}/stdin", SCOPE_OPERATE, BODY_RAW, ROUTE_STDIN_BODY_BYTES,
     stdin_params, "writeStdin", handle_write_stdin, false, true},
    FILTERED("/v1/processes/{id}/logs", SCOPE_LOGS, logs_params, "getLogs", handle_get_logs),
    DELETE("/v1/processes/{id}/logs", SCOPE_OPERATE, trim_params, "trimLogs", handle_delete_logs),
    GET("/v1/processes/{id}/tree", SCOPE_READ, NULL, "getProcessTree", handle_get_process_tree),
    GET("/v1/processes/{id}/stats", SCOPE_READ, NULL, "getProcessStats", handle_get_process_stats),

    CALL("/v1/sessions", SCOPE_OPERATE, "createSession", handle_create_session),
    GET("/v1/sessions", SCOPE_ADMIN, page_params, "listSessions", handle_list_sessions),
    GET("/v1/sessions/{id}", SCOPE_READ, NULL, "getSession", handle_get_session),
    DELETE("/v1/sessions/{id}", SCOPE_OPERATE, NULL, "deleteSession", handle_delete_session),

    POST("/v1/tokens", SCOPE_ADMIN, "createToken", handle_create_token),
    GET("/v1/tokens", SCOPE_ADMIN, page_params, "listTokens", handle_list_tokens),
    GET("/v1/tokens/me", SCOPE_READ, NULL, "getOwnToken", handle_get_own_token),
    DELETE("/v1/tokens/me", SCOPE_READ, NULL, "deleteOwnToken", handle_delete_own_token),
    GET("/v1/tokens/{id}", SCOPE_ADMIN, NULL, "getToken", handle_get_token),
    DELETE("/v1/tokens/{id}", SCOPE_ADMIN, NULL, "deleteToken", handle_delete_token),
    POST("/v1/login", SCOPE_PUBLIC, "createLogin", handle_create_login),
    CALL("/v1/login/codes", SCOPE_ADMIN, "createLoginCode", handle_create_login_code),

    GET("/v1/holds", SCOPE_READ, holds_params, "listHolds", handle_list_holds),
    OFTEN("/v1/holds/actions", BODY_JSON, "actOnHolds", handle_act_on_holds),
    GET("/v1/holds/{id}", SCOPE_READ, NULL, "getHold", handle_get_hold),
    {METHOD_DELETE, "/v1/holds/{id}", SCOPE_ADMIN, BODY_NONE, 0, NULL, "breakHold",
     handle_break_hold, false, false},
    OFTEN("/v1/holds/{id}/ack", BODY_JSON_OPTIONAL, "ackHold", handle_ack_hold),
    {METHOD_POST, "/v1/holds/{id}/release", SCOPE_OPERATE, BODY_JSON_OPTIONAL, 0, release_params,
     "releaseHold", handle_release_hold, false, true},
    OFTEN("/v1/holds/{id}/touch", BODY_JSON_OPTIONAL, "touchHold", handle_touch_hold),
    OFTEN("/v1/holds/{id}/bury", BODY_JSON_OPTIONAL, "buryHold", handle_bury_hold),

    {METHOD_POST, "/v1/wait", SCOPE_READ, BODY_JSON, 0, join_params, "waitSeveral", handle_wait,
     false, true},
    GET("/v1/waits", SCOPE_READ, NULL, "getWaits", handle_list_waits),

    OBJECTS("queues", "Queue", SCOPE_OPERATE),
    {METHOD_POST, "/v1/queues/{name}/messages", SCOPE_OPERATE, BODY_RAW, ROUTE_PAYLOAD_BODY_BYTES,
     put_params, "putMessage", handle_put_message, true, true},
    {METHOD_POST, "/v1/queues/{name}/batch", SCOPE_OPERATE, BODY_JSON, ROUTE_BATCH_BODY_BYTES,
     join_params, "putMessages", handle_put_batch, false, true},
    {METHOD_POST, "/v1/queues/{name}/receive", SCOPE_OPERATE, BODY_JSON_OPTIONAL, 0,
     receive_params, "receiveMessages", handle_receive, true, true},
    FILTERED("/v1/queues/{name}/messages", SCOPE_READ, messages_params, "listMessages",
        handle_list_messages),
    {METHOD_DELETE, "/v1/queues/{name}/messages", SCOPE_OPERATE, BODY_NONE, 0, purge_params,
     "purgeMessages", handle_purge_messages, true, false},
    GET("/v1/queues/{name}/messages/{id}", SCOPE_READ, NULL, "getMessage", handle_get_message),
    CALL("/v1/queues/{name}/kick", SCOPE_OPERATE, "kickQueue", handle_kick_queue),
    CALL("/v1/queues/{name}/close", SCOPE_OPERATE, "closeQueue", handle_close_queue),
    GET("/v1/queues/{name}/join", SCOPE_READ, join_params, "joinQueue", handle_join_queue),

    OBJECTS("locks", "Lock", SCOPE_OPERATE),
    ACQUIRED("/v1/locks/{name}/acquire", "acquireLock"),
    OBJECTS("semaphores", "Semaphore", SCOPE_OPERATE),
    ACQUIRED("/v1/semaphores/{name}/acquire", "acquireSemaphore"),
    OFTEN("/v1/semaphores/{name}/release", BODY_JSON_OPTIONAL, "releaseSemaphore",
        handle_post_semaphore),

    GET("/v1/events", SCOPE_READ, page_params, "listEvents", handle_list_objects),
    GET("/v1/events/{name}", SCOPE_READ, NULL, "getEvent", handle_get_event),
    {METHOD_PUT, "/v1/events/{name}", SCOPE_OPERATE, BODY_JSON_OPTIONAL, 0, NULL, "putEvent",
     handle_put_object, false, false},
    DELETE("/v1/events/{name}", SCOPE_OPERATE, NULL, "deleteEvent", handle_delete_object),
    GET("/v1/events/{name}/wait", SCOPE_READ, after_params, "waitForEvent", handle_wait_for_event),
    OFTEN("/v1/events/{name}/set", BODY_JSON_OPTIONAL, "setEvent", handle_set_event),
    OFTEN("/v1/events/{name}/clear", BODY_JSON_OPTIONAL, "clearEvent", handle_clear_event),

    GET("/v1/values", SCOPE_READ, page_params, "listValues", handle_list_objects),
    GET("/v1/values/{name}", SCOPE_READ, part_params, "getValue", handle_get_value),
    {METHOD_PUT, "/v1/values/{name}", SCOPE_OPERATE, BODY_JSON_OR_BYTES, ROUTE_VALUE_BODY_BYTES,
     make_params, "putValue", handle_make_value, false, false},
    DELETE("/v1/values/{name}", SCOPE_OPERATE, NULL, "deleteValue", handle_delete_value),
    GET("/v1/values/{name}/wait", SCOPE_READ, after_params, "waitForValue", handle_wait_for_value),
    VALUE(METHOD_PUT, "/value", BODY_JSON_OR_BYTES, "replaceValue", handle_put_value),
    {METHOD_POST, "/v1/values/{name}/write", SCOPE_OPERATE, BODY_RAW, ROUTE_VALUE_BODY_BYTES,
     write_params, "writeToValue", handle_write_to_value, false, true},
    OPERATION("add", BODY_JSON_OPTIONAL, "addToValue", handle_add_to_value),
    OPERATION("append", BODY_JSON, "appendToValue", handle_append_to_value),
    OPERATION("extend", BODY_JSON, "extendValue", handle_extend_value),
    OPERATION("insert", BODY_JSON, "insertIntoValue", handle_insert_into_value),
    OPERATION("pop", BODY_JSON_OPTIONAL, "popFromValue", handle_pop_from_value),
    OPERATION("remove", BODY_JSON, "removeFromValue", handle_remove_from_value),
    OPERATION("set", BODY_JSON, "setInValue", handle_set_in_value),
    OPERATION("update", BODY_JSON, "updateValue", handle_update_value),
    OPERATION("del", BODY_JSON_OPTIONAL, "deleteInValue", handle_delete_in_value),
    OPERATION("clear", BODY_JSON_OPTIONAL, "clearValue", handle_clear_value),
    OPERATION("compare_and_set", BODY_JSON, "compareAndSetValue", handle_compare_and_set_value),

    OBJECTS("conditions", "Condition", SCOPE_OPERATE),
    {METHOD_POST, "/v1/conditions/{name}/wait", SCOPE_OPERATE, BODY_JSON, 0, join_params,
     "waitForCondition", handle_wait_for_condition, false, true},
    OFTEN("/v1/conditions/{name}/notify", BODY_JSON_OPTIONAL, "notifyCondition", handle_notify),
    OFTEN("/v1/conditions/{name}/notify_all", BODY_JSON_OPTIONAL, "notifyAllWaiters",
        handle_notify_all),

    OBJECTS("barriers", "Barrier", SCOPE_OPERATE),
    {METHOD_POST, "/v1/barriers/{name}/wait", SCOPE_OPERATE, BODY_JSON_OPTIONAL, 0, barrier_params,
     "waitAtBarrier", handle_wait_at_barrier, false, true},
    CALL("/v1/barriers/{name}/reset", SCOPE_OPERATE, "resetBarrier", handle_reset_barrier),
    CALL("/v1/barriers/{name}/abort", SCOPE_OPERATE, "abortBarrier", handle_abort_barrier),

    GET("/v1/pipes", SCOPE_READ, page_params, "listPipes", handle_list_objects),
    GET("/v1/pipes/{name}", SCOPE_READ, NULL, "getPipe", handle_get_pipe),
    {METHOD_PUT, "/v1/pipes/{name}", SCOPE_OPERATE, BODY_JSON_OPTIONAL, 0, NULL, "putPipe",
     handle_put_object, false, false},
    DELETE("/v1/pipes/{name}", SCOPE_OPERATE, NULL, "deletePipe", handle_delete_object),
    GET("/v1/pipes/{name}/{end}", SCOPE_READ, join_params, "getPipeEnd", handle_get_pipe_end),
    {METHOD_POST, "/v1/pipes/{name}/{end}/send", SCOPE_OPERATE, BODY_RAW, ROUTE_PAYLOAD_BODY_BYTES,
     join_params, "sendToPipe", handle_send_to_pipe, false, true},
    {METHOD_POST, "/v1/pipes/{name}/{end}/recv", SCOPE_OPERATE, BODY_JSON_OPTIONAL, 0, recv_params,
     "receiveFromPipe", handle_receive_from_pipe, false, true},
    CALL("/v1/pipes/{name}/{end}/close", SCOPE_OPERATE, "closePipeEnd", handle_close_pipe_end),

    OBJECTS("pools", "Pool", SCOPE_SPAWN),
    {METHOD_POST, "/v1/pools/{name}/tasks", SCOPE_OPERATE, BODY_RAW, ROUTE_PAYLOAD_BODY_BYTES,
     join_params, "submitTask", handle_submit_task, false, true},
    FILTERED("/v1/pools/{name}/tasks", SCOPE_READ, messages_params, "listTasks", handle_list_tasks),
    GET("/v1/pools/{name}/tasks/{id}", SCOPE_READ, join_params, "getTask", handle_get_task),
    {METHOD_POST, "/v1/pools/{name}/batches", SCOPE_OPERATE, BODY_JSON, ROUTE_BATCH_BODY_BYTES,
     NULL, "submitBatch", handle_submit_batch, false, true},
    GET("/v1/pools/{name}/batches", SCOPE_READ, page_params, "listBatches", handle_list_batches),
    GET("/v1/pools/{name}/batches/{id}", SCOPE_READ, join_params, "getBatch", handle_get_batch),
    FILTERED("/v1/pools/{name}/batches/{id}/results", SCOPE_READ, results_params, "getResults",
        handle_get_results),
    CALL("/v1/pools/{name}/close", SCOPE_OPERATE, "closePool", handle_close_pool),
    CALL("/v1/pools/{name}/terminate", SCOPE_OPERATE, "terminatePool", handle_terminate_pool),
    GET("/v1/pools/{name}/join", SCOPE_READ, join_params, "joinPool", handle_join_pool),

    FILTERED("/v1/changes", SCOPE_READ, changes_params, "listChanges", handle_get_changes),
    FILTERED("/v1/log", SCOPE_LOGS, log_params, "listLogRecords", handle_get_log),
    FILTERED("/v1/audit", SCOPE_ADMIN, audit_params, "listAudit", handle_get_audit),
    GET("/v1/log/level", SCOPE_READ, NULL, "getLogLevel", handle_get_log_level),
    {METHOD_PUT, "/v1/log/level", SCOPE_ADMIN, BODY_JSON, 0, NULL, "setLogLevel",
     handle_put_log_level, false, false},

    GET("/v1/system", SCOPE_READ, NULL, "getSystem", handle_get_system),
    GET("/v1/capabilities", SCOPE_READ, NULL, "getCapabilities", handle_get_capabilities),
    CALL("/v1/shutdown", SCOPE_ADMIN, "shutdownDaemon", handle_shutdown),
    CALL("/v1/upgrade", SCOPE_ADMIN, "upgradeDaemon", handle_upgrade),
    END};

const size_t route_count = sizeof routes / sizeof *routes - 1;

/* ---- printing ---- */

static const char *method_name(enum method method)
{
    return method == METHOD_GET      ? "GET"
           : method == METHOD_POST   ? "POST"
           : method == METHOD_PUT    ? "PUT"
           : method == METHOD_DELETE ? "DELETE"
                                     : "?";
}

void routes_print(FILE *out)
{
    static const char *const bodies[] = {[BODY_NONE] = "none", [BODY_JSON] = "json",
                                         [BODY_JSON_OPTIONAL] = "json-optional",
                                         [BODY_RAW] = "raw",
                                         [BODY_JSON_OR_BYTES] = "json-or-bytes"};
    static const char *const types[] = {[PARAM_TEXT] = "text", [PARAM_UNSIGNED] = "unsigned",
                                        [PARAM_LIMIT] = "unsigned", [PARAM_SECONDS] = "seconds",
                                        [PARAM_BOOL] = "bool", [PARAM_TIME] = "time"};
    for (const struct route *route = routes; route->path; route++) {
        fprintf(out, "%s %s %s %s %s%s\n", method_name(route->method), route->path,
                route->operation, scope_name(route->scope), bodies[route->body],
                route->quiet ? " quiet" : "");
        for (const struct param *param = route->params; param && param->name; param++) {
            fprintf(out, "? %s %s\n", param->name, types[param->type]);
        }
    }
}

int routes_command(int argc, char **argv)
{
    (void)argv;
    if (argc > 0) {
        fputs("forkful: --routes takes nothing\n", stderr);
        return 2;
    }
    routes_print(stdout);
    return fflush(stdout) ? 1 : 0;
}
