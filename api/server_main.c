/*
 * The server: takes up what the keeper gives it, brings the records back, answers, and ends in
 * order.
 *
 * Start: descriptors → configuration → database → spool caught up → the keeper's entries known →
 * reconciled → listeners → READY. It may be killed at any point of this, and of everything after.
 * Three ways out: shutdown (all is stored; the keeper is told to end), upgrade (the keeper is told
 * to re-execute), and the loss of the keeper (this process becomes the next one).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/app.h"
#include "api/exec_keeper.h"
#include "api/listen.h"
#include "api/options.h"
#include "api/server_config.h"
#include "api/state_dir.h"
#include "api/syscall_filter.h"
#include "api/tls.h"
#include "db/meta.h"
#include "service/adoption.h"
#include "service/boot.h"
#include "service/local_executor.h"
#include "service/server_fds.h"

#define DRAIN_US (3 * SECOND_US)

struct server {
    struct app app;
    struct loop *loop;
    struct db *db;
    struct http_listener listeners[LISTENERS_MAX];
    int listener_count;
    struct watch readers_watch;
    struct timer drain;
    int64_t drain_until_us;
    void (*drained)(struct server *server);
    bool new_boot, reconciled;
    bool speaks_tls;                   /* on one of the listeners */
    bool asked_to_end;                 /* by a signal that this server has seen */
    struct after_commit boot_stored;
    char *config_text;                 /* of the file, until it is stored; NULL: none, or refused */
    struct problem *config_refused;    /* why not; until it is told */
};

static struct server the_server;       /* one per process; threads get only what they are handed */

static int give_up(const char *what, struct problem *problem)
{
    fprintf(stderr, "forkful: %s: %s\n", what, problem->detail);
    problem_free(problem);
    return EXIT_FAILURE;
}

static int env_number(const char *name, int missing)
{
    const char *text = getenv(name);
    return text && *text ? atoi(text) : missing;
}

static void copy_env(char *out, size_t bytes, const char *name)
{
    const char *text = getenv(name);
    snprintf(out, bytes, "%s", text ? text : "");
}

/* ---- descriptors ---- */

union address {
    struct sockaddr_storage any;
    struct sockaddr_un un;
};

/* Children are told of a listener without TLS, if there is one: they need no certificates for it. */
static void take_tcp(struct app *app, const union address *address, bool tls, struct text *json)
{
    char bound[LISTEN_URL_BYTES], *url = app->pages[app->page_count++];
    listen_url(&address->any, tls, false, bound);
    listen_url(&address->any, tls, true, url);
    text_json_string(json, bound);
    if (!app->service.url[0] || (!tls && strncmp(app->service.url, "https:", 6) == 0)) {
        snprintf(app->service.url, sizeof app->service.url, "%s", url);
    }
}

static void take_unix(struct service *service, const union address *address, struct text *json)
{
    char url[sizeof "unix:" + sizeof service->socket_path];
    snprintf(service->socket_path, sizeof service->socket_path, "%s", address->un.sun_path);
    snprintf(url, sizeof url, "unix:%s", service->socket_path);
    text_json_string(json, url);
}

static void take_listener(struct server *server, int fd, bool tls, struct text *json)
{
    union address address;
    socklen_t bytes = sizeof address;
    memset(&address, 0, sizeof address);
    struct http_listener *listener = &server->listeners[server->listener_count++];
    if (getsockname(fd, (struct sockaddr *)&address, &bytes) < 0) {
        return;
    }
    *listener = (struct http_listener){
        .fd = fd, .is_unix = address.any.ss_family == AF_UNIX, .tls = tls};
    server->speaks_tls = server->speaks_tls || tls;
    text_json_comma(json);
    if (listener->is_unix) {
        take_unix(&server->app.service, &address, json);
    } else {
        take_tcp(&server->app, &address, tls, json);
    }
}

static void take_descriptors(struct server *server)
{
    struct text json = {0};
    int count = env_number(SERVER_ENV_LISTENERS, 0);
    unsigned tls = (unsigned)env_number(SERVER_ENV_TLS, 0);
    server->app.binary_fd = env_number(SERVER_ENV_BINARY_FD, -1);
    int last = SERVER_FD_LISTENERS + count + 3;
    for (int fd = SERVER_FD_LINK; fd < last; fd++) {
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    text_putc(&json, '[');
    for (int i = 0; i < count && i < LISTENERS_MAX; i++) {
        take_listener(server, SERVER_FD_LISTENERS + i, tls >> i & 1, &json);
    }
    text_putc(&json, ']');
    snprintf(server->app.listening, sizeof server->app.listening, "%s",
             json.data ? json.data : "[]");
    text_free(&json);
}

static void take_environment(struct server *server)
{
    struct app *app = &server->app;
    copy_env(app->state_dir, sizeof app->state_dir, SERVER_ENV_STATE_DIR);
    copy_env(app->runtime_dir, sizeof app->runtime_dir, SERVER_ENV_RUNTIME_DIR);
    copy_env(app->binary_path, sizeof app->binary_path, SERVER_ENV_BINARY);
    copy_env(app->config_path, sizeof app->config_path, SERVER_ENV_CONFIG);
    app->server_restarts = (unsigned)env_number(SERVER_ENV_RESTARTS, 0);
    boot_id_read(app->boot_id);
    app->service.cgroup_fd = env_number(SERVER_ENV_CGROUP_FD, -1);
    app->service.cwd = getcwd(NULL, 0);
    service_environment(&app->service, environ);
}

/* Tokens and what passes through are in this memory: no core holds it, and no other process of this
   user may read it. */
static void keep_memory_secret(void)
{
    if (!env_number(SERVER_ENV_CORE_DUMPS, 0)) {
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    }
}

/* ---- the certificate ---- */

/* Those that are connected keep what they began with. A bad file changes nothing; where there is no
   identity yet, nobody is let in over TLS until there is. */
static void use_certificate(struct server *server, bool fresh)
{
    struct app *app = &server->app;
    struct tls_files files = {app->config.tls_certificate, app->config.tls_key,
                              app->config.tls_client_ca};
    struct refusal refusal;
    struct tls_identity *identity =
        server->speaks_tls ? tls_identity_load(&files, fresh, &refusal) : NULL;
    if (identity) {
        http_use_identity(app->http, identity);
    } else if (server->speaks_tls) {
        service_log(&app->service, LEVEL_ERROR, NULL, "the certificate is not taken: %s",
                    refusal.text);
    }
}

/* ---- reloading ---- */

static void tell_kept(void *context, const char *key)
{
    service_log(context, LEVEL_WARNING, NULL, "%s has changed; it is used after a restart", key);
}

static struct problem *reload(struct app *app)
{
    struct config next;
    char *text;
    struct problem *problem = server_config_load(&next, &text);
    if (problem) {
        service_log(&app->service, LEVEL_ERROR, NULL, "the configuration is not taken: %s",
                    problem->detail);
        return problem;
    }
    config_reload(&app->config, &next, tell_kept, &app->service);
    config_free(&next);
    server_config_keep(app, text);
    app->service.log_level = (enum log_level)app->config.log_level;
    if (!app_keep_log_level(app, "")) {
        recorder_fatal("out of memory for the log's level");
    }
    server_config_apply(app);
    struct http_limits limits = server_config_http(app);
    if (app->http) {
        http_set_limits(app->http, &limits);
        use_certificate(&the_server, true);
    }
    service_log(&app->service, LEVEL_INFO, NULL, "the configuration was read again");
    return NULL;
}

/* ---- ways out ---- */

static void look_whether_drained(struct timer *timer)
{
    struct server *server = (struct server *)((char *)timer - offsetof(struct server, drain));
    if (http_drained(server->app.http) || time_monotonic_us() > server->drain_until_us) {
        server->drained(server);
    } else {
        timer_set(server->loop, timer, time_monotonic_us() + 5000);
    }
}

/* Every parked call gets its answer, then `drained` runs. */
static void drain_then(struct server *server, bool upgrading,
                       void (*drained)(struct server *server))
{
    server->drained = drained;
    server->drain.due = look_whether_drained;
    server->drain_until_us = time_monotonic_us() + DRAIN_US;
    http_drain(server->app.http, upgrading);
    timer_set(server->loop, &server->drain, time_monotonic_us() + 1000);
}

/* The readers first: who closes last, and may write, folds the write-ahead log into the
   database. */
static void close_database(struct server *server)
{
    readers_stop(server->app.service.readers);
    recorder_stop(server->app.service.recorder);
}

static void end_for_good(struct server *server)
{
    http_stop(server->app.http);
    close_database(server);
    if (server->app.service.socket_path[0]) {
        unlink(server->app.service.socket_path);
    }
    local_executor_exit(server->app.service.executor);
    local_executor_flush(server->app.service.executor, 1000);
    loop_end(server->loop);
}

static void shutdown_done(void *context)
{
    drain_then(context, false, end_for_good);
}

static void end_for_upgrade(struct server *server)
{
    struct reply nobody = {0};
    http_stop(server->app.http);
    close_database(server);
    struct executor *executor = server->app.service.executor;
    problem_free(local_executor_upgrade(executor, server->app.binary_path, nobody));
    local_executor_flush(executor, 1000);
    loop_end(server->loop);
}

static void caller_ended(void *context, const struct fact_id *caller, enum problem_code code,
                         const char *detail)
{
    struct server *server = context;
    if (server->app.http) {
        http_end_calls(server->app.http, caller, code, detail);
    }
}

static void upgrade(struct app *app)
{
    service_change(&app->service, "daemon.upgraded", NULL, NULL);
    drain_then(&the_server, true, end_for_upgrade);
}

static void fill_resume(const struct server *server, struct resume *head)
{
    const char *started_at = getenv(SERVER_ENV_STARTED_AT);
    *head = (struct resume){
        .occasion = RESUME_ADOPT, .spool_fd = SERVER_FD_SPOOL, .lock_fd = SERVER_FD_LOCK,
        .binary_fd = server->app.binary_fd, .notify_fd = env_number(SERVER_ENV_NOTIFY_FD, -1),
        .cgroup_fd = server->app.service.cgroup_fd, .first_line_printed = 1,
        .listener_count = server->listener_count,
        .server_restarts = server->app.server_restarts + 1,
        .core_dumps = (uint32_t)env_number(SERVER_ENV_CORE_DUMPS, 0),
        .soft_nofile = (uint64_t)env_number(SERVER_ENV_SOFT_NOFILE, 1024),
        .keeper_started_at_us = started_at ? strtoll(started_at, NULL, 10) : time_now_us(),
        .state = server->app.service.keeper.state};
    for (int i = 0; i < server->listener_count; i++) {
        head->listener_fds[i] = server->listeners[i].fd;
        head->tls_listeners |= (uint32_t)server->listeners[i].tls << i;
    }
}

/* The keeper was killed. Whatever it wrote is read first; then this process takes its place. */
static void keeper_lost(void *context)
{
    struct server *server = context;
    struct app *app = &server->app;
    struct resume head;
    struct resume_strings strings = {.binary = app->binary_path, .first_line = "",
                                     .state_dir = app->state_dir,
                                     .runtime_dir = app->runtime_dir, .config = app->config_path,
                                     .users = getenv(SERVER_ENV_USERS)};
    if (app->service.recorder) {
        recorder_read(app->service.recorder);
    }
    fill_resume(server, &head);
    strings.server_argv = options_server_argv(&head.server_argc);
    int fd = adoption_blob(&app->service, &head, &strings);
    if (fd >= 0) {
        fprintf(stderr, "forkful: the keeper was killed; this server takes its place\n");
        fd = exec_keeper_with_blob(fd);
    }
    fprintf(stderr, "forkful: the keeper was killed and cannot be replaced: %s\n", strerror(-fd));
    _exit(EXIT_FAILURE);
}

static void custody_came(void *context, const struct fact_id *process)
{
    struct server *server = context;
    process_custody_came(&server->app.service, process);
}

static void signalled(void *context, int signal)
{
    struct server *server = context;
    struct service *service = &server->app.service;
    if (signal == SIGHUP) {
        problem_free(reload(&server->app));
    } else if (server->asked_to_end && service->shutting_down) {
        service_log(service, LEVEL_INFO, NULL, "signal %d again: waiting no longer", signal);
        service_shutdown(service, time_steady_us());
    } else {
        service_log(service, LEVEL_INFO, NULL, "signal %d: shutting down", signal);
        service_shutdown(service, time_steady_us() + server->app.config.shutdown_wait_us);
        server->asked_to_end = true;
    }
}

/* ---- ways in ---- */

static void welcome(void *context, const struct notice_welcome *notice)
{
    struct service *service = &((struct server *)context)->app.service;
    service->keeper = *notice;
    service->welcomed = true;
}

/* The boot id is stored with the ends it caused, so that a crash in between changes nothing. */
static void store_start(struct server *server)
{
    struct batch *batch = recorder_batch(server->app.service.recorder);
    if (!meta_text_put(batch, "boot_id", server->app.boot_id)) {
        recorder_fatal("out of memory for the boot id");
    }
    server_config_keep(&server->app, server->config_text);
    server->config_text = NULL;
    recorder_urgent(server->app.service.recorder);
    if (server->config_refused) {
        service_log(&server->app.service, LEVEL_ERROR, NULL,
                    "the configuration is not taken, the last good one goes on: %s",
                    server->config_refused->detail);
        problem_free(server->config_refused);
        server->config_refused = NULL;
    }
}

static void entries_known(void *context)
{
    struct server *server = context;
    struct service *service = &server->app.service;
    struct http_limits limits;
    struct problem *problem = NULL;
    if (server->reconciled) {
        return;
    }
    server->reconciled = true;
    recorder_catch_up(service->recorder);
    if (server->app.server_restarts == 0) {
        service_change(service, "daemon.started", NULL, NULL);
    }
    service_reconcile(service, server->new_boot);
    store_start(server);
    server_config_connections(&server->app);
    limits = server_config_http(&server->app);
    server->app.http = http_start(&server->app, server->loop, server->listeners,
                                  (size_t)server->listener_count, &limits, &problem);
    if (!server->app.http) {
        exit(give_up("listeners", problem));
    }
    use_certificate(server, false);
    local_executor_ready(service->executor);
    service_upkeep_start(service);
    if (service->keeper.state.shutting_down) {
        service_shutdown(service, service->keeper.state.shutdown_deadline_at_us);
    }
}

static void readers_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    uint64_t count;
    if (read(watch->fd, &count, sizeof count) < 0) {
        return;
    }
    struct read_job *job;
    while ((job = readers_collect(the_server.app.service.readers))) {
        job->done(job);
    }
}

static struct problem *open_database(struct server *server)
{
    struct db_error error = {0};
    char boot_id[BOOT_ID_BYTES] = "";
    server->db = db_open(server->app.state_dir, &error);
    if (!server->db) {
        return problem_make(PROBLEM_INTERNAL, "%s", error.text);
    }
    db_meta_text(server->db, DB_STATE, "boot_id", boot_id, sizeof boot_id);
    struct problem *problem =
        server->config_refused ? server_config_fall_back(server->db, &server->app.config,
                                                         server->config_refused)
                               : NULL;
    if (problem) {
        return problem;
    }
    server->app.service.log_level = (enum log_level)server->app.config.log_level;
    server_config_log_level(&server->app, server->db);
    server->new_boot = boot_id[0] && strcmp(boot_id, server->app.boot_id) != 0;
    server->app.service.journal = journal_open(server->app.runtime_dir, server->app.boot_id);
    problem = service_load(&server->app.service, server->db);
    int unread = db_unread(server->db);
    return problem || !unread ? problem
                              : problem_make(PROBLEM_INTERNAL, "state.db cannot be read: %s",
                                             sqlite3_errstr(unread));
}

static struct problem *start_recorder(struct server *server)
{
    struct service *service = &server->app.service;
    struct problem *problem = NULL;
    struct db_error error = {0};
    struct recorder_fds fds = {SERVER_FD_SPOOL, SERVER_FD_FACTS, SERVER_FD_ROOM};
    struct recorder_events events = {service_apply, service_store_dirty, service_log_progress,
                                     feeds_stored, service};
    service->recorder = recorder_start(server->loop, server->db, &fds, &events, &problem);
    if (!service->recorder) {
        return problem;
    }
    int readers_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    server->readers_watch = (struct watch){.fd = readers_fd, .ready = readers_ready};
    service->readers = readers_start(server->app.state_dir, 2, readers_fd, &error);
    if (!service->readers || loop_watch(server->loop, &server->readers_watch, EPOLLIN) < 0) {
        return problem_make(PROBLEM_INTERNAL, "%s", error.text);
    }
    server_config_apply(&server->app);
    return NULL;
}

static struct problem *read_token(struct app *app)
{
    struct refusal refusal;
    struct directory state = {.fd = open(app->state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC)};
    snprintf(state.path, sizeof state.path, "%s", app->state_dir);
    bool read = token_open(&state, app->admin_token, &refusal);
    directory_close(&state);
    return read ? NULL : problem_make(PROBLEM_INTERNAL, "%s", refusal.text);
}

/* Once the configuration is known for certain, and before there are other threads. */
static struct problem *filter_system_calls(const struct config *config)
{
    const char *users = getenv(SERVER_ENV_USERS);
    bool wanted = config->server_seccomp == CONFIG_SECCOMP_AUTO
                      ? users && *users
                      : config->server_seccomp == CONFIG_SECCOMP_ON;
    int error = wanted ? syscall_filter_install() : 0;
    return error ? problem_make(PROBLEM_INTERNAL, "server.seccomp: %s", strerror(-error)) : NULL;
}

static struct problem *start(struct server *server)
{
    struct service *service = &server->app.service;
    struct local_executor_events events = {welcome,      entries_known, signalled,
                                           keeper_lost, custody_came,  server};
    struct problem *problem = server_config_load(&server->app.config, &server->config_text);
    if (problem && server->app.server_restarts > 0) {
        server->config_refused = problem;
        problem = NULL;
    }
    server->loop = loop_new();
    service->loop = server->loop;
    service->config = &server->app.config;
    service->started_at_us = time_now_us();
    service->finished = shutdown_done;
    service->caller_ended = caller_ended;
    service->context = server;
    server->app.reload = reload;
    server->app.upgrade = upgrade;
    if (problem || !server->loop || !service->base_env || !service->cwd) {
        return problem ? problem : problem_make(PROBLEM_OUT_OF_MEMORY, "no memory to start");
    }
    if ((problem = read_token(&server->app)) || (problem = open_database(server)) ||
        (problem = filter_system_calls(&server->app.config)) ||
        (problem = start_recorder(server))) {
        return problem;
    }
    service->executor = local_executor_start(server->loop, SERVER_FD_LINK, &events);
    return service->executor ? NULL : problem_make(PROBLEM_OUT_OF_MEMORY, "no memory to start");
}

int server_main(void)
{
    struct server *server = &the_server;
    /* Control-C and `kill -- -GROUP` reach this process too; what they ask for, the keeper tells. */
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);          /* a write beyond a limit is an error to handle, no death */
    keep_memory_secret();
    take_descriptors(server);
    take_environment(server);
    struct problem *problem = start(server);
    if (problem) {
        return give_up("the server cannot start", problem);
    }
    int error = loop_run(server->loop);
    return error ? EXIT_FAILURE : EXIT_SUCCESS;
}
