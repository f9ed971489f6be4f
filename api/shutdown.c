/* POST /v1/shutdown: the answer goes out while the daemon drains; see service/shutdown.c. */
#include "api/bodies.h"
#include "api/handlers.h"
#include "api/respond.h"

void handle_shutdown(struct request *request)
{
    struct app *app = request_app(request);
    struct text body = {0};
    int64_t wait_us = app->config.shutdown_wait_us;
    struct problem *problem = shutdown_body_read(request_json(request), &wait_us);
    if (problem) {
        answer_problem(request, problem);
        return;
    }
    int64_t deadline_at_us = time_steady_us() + wait_us;
    text_put(&body, "{\"state\":\"draining\",\"wait_seconds\":");
    text_json_seconds(&body, wait_us);
    text_put(&body, ",\"deadline_at\":");
    text_json_time(&body, deadline_at_us);
    text_putc(&body, '}');
    answer_json(request, 202, &body);
    service_shutdown(&app->service, deadline_at_us);
}
