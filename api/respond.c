/* Answers that several handlers give; see respond.h. */
#include "api/respond.h"

#include <stddef.h>

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
