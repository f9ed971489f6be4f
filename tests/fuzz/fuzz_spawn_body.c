/*
 * Any bytes as the body of POST /v1/processes, all the way to the spawn command: every refusal is a problem with a
 * detail, and what is taken can be rendered, stored and read back.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/body.h"
#include "api/spawn_body.h"
#include "service/launch_command.h"
#include "service/sandbox.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check_problem(struct problem *problem)
{
    assert(problem_status(problem) >= 400 && problem_status(problem) < 600);
    for (size_t i = 0; i < problem->fault_count; i++) {
        assert(problem->faults[i].place != NULL);
    }
    problem_free(problem);
}

/* As if the files had been read. */
static void give_secrets(struct spec *spec)
{
    for (unsigned i = 0; i < spec->secret_count; i++) {
        struct secret *secret = &spec->secrets[i];
        assert(spec_path_is_plain(secret->file));
        assert(asprintf(&secret->pair, "%s=x", secret->name) > 0);
    }
}

/* What goes to the keeper has the lengths it says. */
static void check_command(const struct process *process, struct spec *spec)
{
    static char *no_environment[] = {"HOME=/", NULL};
    static struct service service = {.base_env = no_environment};
    struct text tail = {0};
    struct launch launch;
    give_secrets(spec);
    if (spec->layers.seccomp) {
        spec->filter = seccomp_preset(&spec->filter_bytes);
        assert(spec->filter != NULL);
    }
    struct problem *problem =
        launch_compose(&service, process, spec, process->spec_text, NULL, &tail, &launch);
    if (problem) {
        problem_free(problem);
    } else {
        const struct command_spawn *command = &launch.command;
        assert(command->argc >= 1);
        assert(launch.tail_bytes == command->strings_bytes + command->record_bytes +
                                        command->group_count * sizeof(uint32_t) +
                                        command->filter_bytes);
    }
    if (launch.stdin_fd >= 0) {
        close(launch.stdin_fd);
    }
    text_free(&tail);
}

static void check_taken(struct spec *spec, const json_t *body)
{
    struct process_table table = {0}, other = {0};
    struct fact_id id = {{1}};
    struct text text = {0};
    struct process *process = process_table_add(&table, &id, 1);
    problem_free(sandbox_choose(spec));
    assert(process_fix(process, spec, body));
    process_set_state(&table, process, STATE_CREATED);
    process_json(&text, process);
    json_t *rendered = json_loadb(text.data, text.bytes, JSON_REJECT_DUPLICATES, NULL);
    assert(rendered != NULL);
    struct process *again = process_table_add(&other, &id, 1);
    assert(process_fix_from_text(again, process->spec_text));
    assert(strcmp(again->name, process->name) == 0);
    check_command(process, spec);
    json_decref(rendered);
    text_free(&text);
    process_table_free(&table);
    process_table_free(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    json_t *body = NULL;
    struct spec *spec = NULL;
    struct config config;
    config_defaults(&config);
    struct problem *problem = body_parse((const char *)data, bytes, &body);
    if (!problem) {
        problem = spawn_body_read(body, &config, &spec);
    }
    if (problem) {
        check_problem(problem);
    } else {
        check_taken(spec, body);
    }
    spec_free(spec);
    json_decref(body);
    config_free(&config);
    return 0;
}
