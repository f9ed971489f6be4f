/* The server's configuration; see server_config.h. */
#include "api/server_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "api/options.h"
#include "db/meta.h"
#include "service/server_fds.h"

static struct problem *parse_config(struct config *config, const char *text)
{
    struct config_source source = options_given()->source;
    struct refusal refusal;
    source.text = text;
    return config_load(config, &source, &refusal)
               ? NULL
               : problem_make(PROBLEM_INTERNAL, "%s", refusal.text);
}

struct problem *server_config_load(struct config *config, char **text)
{
    struct refusal refusal;
    const char *path = options_given()->source.path;
    *text = path ? config_file_text(path, &refusal) : NULL;
    if (path && !*text) {
        return problem_make(PROBLEM_INTERNAL, "%s", refusal.text);
    }
    struct problem *problem = parse_config(config, *text);
    if (problem) {
        free(*text);
        *text = NULL;
    }
    return problem;
}

void server_config_keep(struct app *app, char *text)
{
    if (text && !meta_text_put(recorder_batch(app->service.recorder), "config", text)) {
        recorder_fatal("out of memory for the configuration");
    }
    free(text);
}

struct problem *server_config_fall_back(struct db *db, struct config *config,
                                        const struct problem *refused)
{
    struct problem *problem = NULL;
    char *text = malloc(CONFIG_FILE_BYTES_MAX + 1);
    if (!text || !db_meta_text(db, DB_STATE, "config", text, CONFIG_FILE_BYTES_MAX + 1)) {
        problem = problem_make(PROBLEM_INTERNAL, "%s", refused->detail);
    } else {
        problem = parse_config(config, text);
    }
    free(text);
    return problem;
}

static unsigned at_most(rlim_t most, unsigned wanted)
{
    return most < wanted ? (unsigned)most : wanted;
}

void server_config_connections(struct app *app)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    unsigned wanted = (unsigned)app->config.http_connections;
    getrlimit(RLIMIT_NOFILE, &limit);
    app->http_connections = at_most(limit.rlim_cur / 2, wanted);
    app->unix_connections = at_most(limit.rlim_cur / 4, wanted);
    if (app->unix_connections < wanted) {
        service_log(&app->service, LEVEL_INFO, NULL,
                    "only %llu files may be open: at most %u connections over TCP and %u on the "
                    "Unix socket, not http.connections (%u)",
                    (unsigned long long)limit.rlim_cur, app->http_connections,
                    app->unix_connections, wanted);
    }
}

struct http_limits server_config_http(const struct app *app)
{
    const struct config *config = &app->config;
    return (struct http_limits){.connections = {app->http_connections, app->unix_connections},
                                .header_us = config->http_header_us,
                                .body_us = config->http_body_us,
                                .idle_us = config->http_idle_us,
                                .body_bytes = config->http_body_bytes,
                                .hosts = (const char *const *)config->http_hosts.items,
                                .host_count = config->http_hosts.count};
}

void server_config_apply(struct app *app)
{
    struct writer_limits limits = {.total_log_bytes = app->config.retention_logs_total_bytes,
                                   .logs_wal_bytes = app->config.logs_wal_bytes,
                                   .changes_max = app->config.feed_max_changes,
                                   .log_max = app->config.feed_max_log,
                                   .feed_age_us = app->config.feed_age_us,
                                   .audit_max = app->config.audit_max_rows,
                                   .audit_age_us = app->config.audit_age_us,
                                   .idempotency_age_us = app->config.idempotency_age_us};
    writer_set_limits(recorder_writer(app->service.recorder), &limits);
}

/* ---- the log's level ---- */

/* Which daemon this is: its first keeper's start. What is kept for this daemon only begins so. */
static const char *daemon_mark(void)
{
    const char *started_at = getenv(SERVER_ENV_STARTED_AT);
    return started_at ? started_at : "";
}

bool app_keep_log_level(struct app *app, const char *level)
{
    char text[64];
    snprintf(text, sizeof text, "%s %s", daemon_mark(), level);
    return meta_text_put(recorder_batch(app->service.recorder), "log_level", text);
}

void server_config_log_level(struct app *app, struct db *db)
{
    char text[64];
    size_t mark = strlen(daemon_mark());
    if (db_meta_text(db, DB_STATE, "log_level", text, sizeof text) &&
        strncmp(text, daemon_mark(), mark) == 0 && text[mark] == ' ') {
        log_level_from_name(text + mark + 1, &app->service.log_level);
    }
}
