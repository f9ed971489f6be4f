/*
 * GET and PUT /v1/log/level: what the daemon's own log records, until the daemon ends.
 */
#include <stddef.h>

#include "api/handlers.h"
#include "api/respond.h"
#include "api/schema.h"

void handle_get_log_level(struct request *request)
{
    struct text body = {0};
    text_put(&body, "{\"level\":");
    text_json_string(&body, log_level_name(request_app(request)->service.log_level));
    text_putc(&body, '}');
    answer_json(request, 200, &body);
}

/* What is kept holds until the daemon ends, whatever becomes of its server meanwhile. */
struct level_change {
    struct stored stored;
    struct request *request;
};

static void level_stored(struct stored *stored)
{
    struct level_change *change =
        (struct level_change *)((char *)stored - offsetof(struct level_change, stored));
    handle_get_log_level(change->request);
}

static void level_gone(struct request *request, void *context)
{
    struct level_change *change = context;
    (void)request;
    stored_cancel(&change->stored);
}

static const char *const levels[] = {"debug", "info", "warning", "error", NULL};
static const struct field level_fields[] = {
    {.name = "level", .type = FIELD_STRING, .required = true, .words = levels},
    {0}};

void handle_put_log_level(struct request *request)
{
    struct app *app = request_app(request);
    const json_t *body = request_json(request);
    struct problem *problem = schema_check(body, level_fields);
    if (!problem) {
        problem = recorder_refuses(app->service.recorder);
    }
    if (problem) {
        answer_problem(request, problem);
        return;
    }
    struct level_change *change = request_alloc(request, sizeof *change);
    if (!change || !app_keep_log_level(app, field_text(body, "level", ""))) {
        respond_no_memory(request);
        return;
    }
    log_level_from_name(field_text(body, "level", ""), &app->service.log_level);
    change->request = request;
    http_audit(request, 200);
    stored_then(app, &change->stored, level_stored);
    http_park(request, (struct park){level_gone, change});
    http_park_done(request);
}
