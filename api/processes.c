/*
 * Processes: made, listed, looked at, started later.
 *
 * Making one parks the request until the keeper's fact is committed. A client that goes away
 * meanwhile only loses its answer: the process is made all the same, and its Idempotency-Key finds
 * it.
 */
#include <stddef.h>
#include <string.h>

#include "api/bodies.h"
#include "api/filter.h"
#include "api/handlers.h"
#include "api/idempotency.h"
#include "api/page.h"
#include "api/procfs.h"
#include "api/respond.h"
#include "api/spawn_body.h"

/* ---- a launch that a request waits for ---- */

struct launching {
    struct request *request;
    struct launch_ticket *ticket;
    int status;                        /* of a good answer: 201 made, 200 started */
};

static void gone(struct request *request, void *context)
{
    struct launching *launching = context;
    (void)request;
    launch_abandon(launching->ticket);
}

/* The process's row goes into the open batch, and so does the audit's. */
static void storing(void *context, const struct process *process)
{
    const struct launching *launching = context;
    char location[64];
    if (launching->status == 201) {
        snprintf(location, sizeof location, "/v1/processes/%s", process->id_text);
        answer_header(launching->request, "Location", location);
    }
    http_audit(launching->request, launching->status);
}

static void answer_made(struct request *request, const struct process *process,
                        const char *stored_answer)
{
    struct text body = {0};
    if (stored_answer) {
        idempotency_stored(request);
        text_put(&body, stored_answer);
        answer_json(request, 201, &body);
    } else {
        respond_process(request, 201, process);
    }
}

static void launched(void *context, struct process *process, struct problem *problem,
                     const char *stored_answer)
{
    struct launching *launching = context;
    if (problem) {
        answer_problem(launching->request, problem);
    } else if (launching->status == 201) {
        answer_made(launching->request, process, stored_answer);
    } else {
        respond_process(launching->request, launching->status, process);
    }
}

static struct launching *launching_make(struct request *request, int status)
{
    struct launching *launching = request_alloc(request, sizeof *launching);
    if (launching) {
        launching->request = request;
        launching->status = status;
    } else {
        respond_no_memory(request);
    }
    return launching;
}

static void wait_for(struct launching *launching, struct problem *problem)
{
    if (problem) {
        answer_problem(launching->request, problem);
    } else {
        http_park(launching->request, (struct park){gone, launching});
        http_park_done(launching->request);
    }
}

/* ---- create and start ---- */

void handle_create_process(struct request *request)
{
    struct app *app = request_app(request);
    const struct principal *principal = request_principal(request);
    struct asker asker = {principal_owner(principal), principal_account(principal)};
    json_t *body = request_json(request);
    struct spec *spec = NULL;
    struct problem *problem = spawn_body_read(body, &app->config, &spec);
    if (problem) {
        answer_problem(request, problem);
        return;
    }
    struct launching *launching = launching_make(request, 201);
    if (!launching) {
        spec_free(spec);
        return;
    }
    wait_for(launching, service_spawn(&app->service, spec, body, &asker, idempotency_key(request),
                                      (struct spawned){launched, launching, storing},
                                      &launching->ticket));
}

void handle_start_process(struct request *request)
{
    struct service *service = &request_app(request)->service;
    struct process *process = find_process_to_act_on(request);
    struct problem *problem = process ? nothing_body_check(request_json(request)) : NULL;
    if (problem) {
        answer_problem(request, problem);
        return;
    }
    struct launching *launching = process ? launching_make(request, 200) : NULL;
    if (launching) {
        wait_for(launching, service_start(service, process,
                                          (struct spawned){launched, launching, storing},
                                          &launching->ticket));
    }
}

/* ---- one ---- */

/* The kernel knows how many descendants live now; the record was last told at some fact. Lists do
   not ask: a page of 500 living processes would read some thousand files on the loop. */
static void respond_with_descendants(struct request *request, struct process *process)
{
    struct procfs *procfs =
        process_alive(process) ? procfs_open(&request_app(request)->service) : NULL;
    if (procfs) {
        procfs_refresh(procfs, process);
        procfs_close(procfs);
    }
    respond_process(request, 200, process);
}

void handle_get_process(struct request *request)
{
    struct process *process = find_process(request);
    if (process) {
        respond_with_descendants(request, process);
    }
}

void handle_get_own_process(struct request *request)
{
    const struct principal *caller = request_principal(request);
    struct process *process =
        caller->kind == PRINCIPAL_PROCESS
            ? process_table_find(&request_app(request)->service.processes, &caller->id)
            : NULL;
    if (process) {
        respond_with_descendants(request, process);
    } else {
        answer_problem(request, problem_make(PROBLEM_NOT_FOUND, "the caller is no process"));
    }
}

/* ---- list ---- */

struct listing {
    struct process_filter filter;
    struct page page;
    bool newest_first;
};

static struct problem *listing_read(struct request *request, struct listing *out)
{
    const char *order = request_param(request, "order");
    out->newest_first = order && strcmp(order, "-created_at") == 0;
    struct problem *problem =
        filter_from_query(request, request_take_faults(request), &out->filter);
    if (order && !out->newest_first && strcmp(order, "created_at") != 0) {
        problem = problem_add(problem, PROBLEM_INVALID_PARAMETER, FAULT_PARAMETER, "order",
                              "order must be created_at or -created_at");
    }
    if (problem) {
        return problem;
    }
    uint64_t hash = filter_hash(&out->filter);
    hash = page_hash(hash, &out->newest_first, sizeof out->newest_first);
    return page_from_request(request, hash, &out->page);
}

/* The next one from `process` on that belongs to the list, or NULL. */
static struct process *listing_next(const struct listing *listing, struct process *process)
{
    while (process && !process_matches(process, &listing->filter)) {
        process = listing->newest_first ? process->previous : process->next;
    }
    return process;
}

/* In the order of the list: after the last one of the page before. */
static bool is_behind(const struct listing *listing, const struct process *process)
{
    int order = memcmp(&process->id, &listing->page.after, sizeof process->id);
    return listing->newest_first ? order < 0 : order > 0;
}

static struct process *listing_first(const struct listing *listing,
                                     const struct process_table *table)
{
    struct process *process = listing->newest_first ? table->last : table->first;
    while (process && listing->page.goes_on && !is_behind(listing, process)) {
        process = listing->newest_first ? process->previous : process->next;
    }
    return listing_next(listing, process);
}

static void listing_write(const struct listing *listing, struct service *service,
                          struct text *body)
{
    const struct process *last = NULL;
    struct process *process = listing_first(listing, &service->processes);
    for (size_t i = 0; process && i < listing->page.limit; i++) {
        text_json_comma(body);
        process_json(body, process);
        last = process;
        process = listing_next(listing,
                               listing->newest_first ? process->previous : process->next);
    }
    page_end(body, &listing->page, process ? &last->id : NULL);
}

void handle_list_processes(struct request *request)
{
    struct listing listing = {0};
    struct text body = {0};
    struct problem *problem = listing_read(request, &listing);
    if (problem) {
        answer_problem(request, problem);
        return;
    }
    text_put(&body, "{\"items\":[");
    listing_write(&listing, &request_app(request)->service, &body);
    answer_json(request, 200, &body);
}
