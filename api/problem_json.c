/*
 * Rendering of problems.
 */
#include "api/problem_json.h"

#include <string.h>

static const char *const places[] = {
    [FAULT_POINTER] = "pointer",
    [FAULT_PARAMETER] = "parameter",
    [FAULT_HEADER] = "header",
};

static void write_fault(struct text *out, const struct problem_fault *fault)
{
    text_json_comma(out);
    text_putc(out, '{');
    text_json_key(out, places[fault->where]);
    text_json_string(out, fault->place);
    text_json_key(out, "code");
    text_json_string(out, fault->code);
    text_json_key(out, "detail");
    text_json_string(out, fault->detail);
    text_putc(out, '}');
}

static void write_faults(struct text *out, const struct problem *problem)
{
    text_json_key(out, "errors");
    text_putc(out, '[');
    for (size_t i = 0; i < problem->fault_count; i++) {
        write_fault(out, &problem->faults[i]);
    }
    text_putc(out, ']');
}

static void write_spawn_failure(struct text *out, const struct problem *problem)
{
    const char *name = problem->error != 0 ? strerrorname_np(problem->error) : NULL;

    text_json_key(out, "errno");
    text_json_string(out, name);
    text_json_key(out, "stage");
    text_json_string(out, problem->stage);
}

void problem_write(struct text *out, const struct problem *problem, const char *instance,
                   size_t instance_bytes, const char *request_id)
{
    const char *word = problem_word(problem->code);

    text_printf(out, "{\"type\":\"/problems/%s\"", word);
    text_json_key(out, "title");
    text_json_string(out, problem_title(problem->code));
    text_json_key(out, "status");
    text_number(out, problem_status(problem));
    text_json_key(out, "detail");
    text_json_string(out, problem->detail);
    text_json_key(out, "instance");
    text_json_bytes(out, instance, instance_bytes);
    text_json_key(out, "code");
    text_json_string(out, word);
    text_json_key(out, "request_id");
    text_json_string(out, request_id);
    if (problem->error != 0 || problem->stage != NULL) {
        write_spawn_failure(out, problem);
    }
    if (problem->members) {
        text_json_comma(out);
        text_put(out, problem->members);
    }
    write_faults(out, problem);
    text_putc(out, '}');
}
