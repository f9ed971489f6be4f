/* Answers that several handlers give; see respond.h. */
#include "api/respond.h"

#include <stddef.h>

#include "api/idempotency.h"

void respond_process(struct request *request, int status, const struct process *process)
{
    struct text body = {0};
    process_json(&body, process);
    answer_json(request, status, &body);
}

void respond_no_process(struct request *request, const char *id_text)
{
    answer_problem(request, problem_make(PROBLEM_NOT_FOUND, "there is no process %.64s", id_text));
}

void respond_process_now(struct request *request, int status, const struct fact_id *id)
{
    const struct process *process =
        process_table_find(&request_app(request)->service.processes, id);
    if (process) {
        respond_process(request, status, process);
    } else {
        char text[ID_TEXT_BYTES];
        id_format(id, 'p', text);
        respond_no_process(request, text);
    }
}

void respond_no_memory(struct request *request)
{
    answer_problem(request, problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for the request"));
}

/* ---- after a commit ---- */

static void committed(struct after_commit *after)
{
    struct stored *stored = (struct stored *)((char *)after - offsetof(struct stored, after));
    stored->recorder = NULL;
    stored->answer(stored);
}

void stored_then(struct app *app, struct stored *stored, void (*answer)(struct stored *stored))
{
    stored->recorder = app->service.recorder;
    stored->answer = answer;
    stored->after.run = committed;
    recorder_after(stored->recorder, &stored->after);
}

void stored_cancel(struct stored *stored)
{
    if (stored->recorder) {
        recorder_forget(stored->recorder, &stored->after);
        stored->recorder = NULL;
    }
}

static void answer_later(struct stored *stored)
{
    struct stored_answer *later =
        (struct stored_answer *)((char *)stored - offsetof(struct stored_answer, stored));
    if (later->body.bytes || later->body.failed) {
        answer_json(later->request, later->status, &later->body);
    } else {
        answer_empty(later->request, later->status);
    }
}

static void later_gone(struct request *request, void *context)
{
    struct stored_answer *later = context;
    (void)request;
    stored_cancel(&later->stored);
    text_free(&later->body);
}

struct stored_answer *respond_stored_make(struct request *request, int status)
{
    struct stored_answer *later = request_alloc(request, sizeof *later);
    if (later) {
        later->request = request;
        later->status = status;
    } else {
        respond_no_memory(request);
    }
    return later;
}

/* With an Idempotency-Key the answer is given at once, which holds it (idempotency.h): so it is in the batch of what
   was done, and no crash can leave one without the other. */
void respond_stored(struct stored_answer *later)
{
    if (idempotency_will_store(later->request)) {
        answer_later(&later->stored);
        return;
    }
    http_audit(later->request, later->status);
    stored_then(request_app(later->request), &later->stored, answer_later);
    http_park(later->request, (struct park){later_gone, later});
    http_park_done(later->request);
}
