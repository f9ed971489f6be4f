/* Tasks and batches as JSON; see task.h. */
#include <stdlib.h>
#include <string.h>

#include "service/json_read.h"
#include "service/json_valid.h"
#include "service/pool.h"
#include "service/service.h"

static const char *const state_names[TASK_STATES] = {
    [TASK_QUEUED] = "queued", [TASK_RUNNING] = "running", [TASK_DONE] = "done",
    [TASK_FAILED] = "failed", [TASK_BURIED] = "buried",   [TASK_CANCELLED] = "cancelled"};

static const struct {
    const char *word, *text;
} errors[TASK_ERRORS] = {
    [TASK_FINE] = {NULL, NULL},
    [TASK_PROCESS_ENDED] = {"process_ended", "its process ended"},
    [TASK_SPAWN_FAILED] = {"spawn_failed", "its process could not be started"},
    [TASK_RESULT_TOO_LARGE] = {"result_too_large", "its result is longer than max_payload_bytes"},
    [TASK_OUTPUT_LOST] = {"output_lost", "part of its process's output was not kept"},
    [TASK_UNSURE] = {"unsure", "the daemon was killed while it handed the task over: whether it "
                               "arrived is not known"},
    [TASK_TERMINATED] = {"terminated", "the pool was terminated"}};

const char *task_state_name(enum task_state state)
{
    return state_names[state];
}

bool task_state_from_name(const char *name, size_t bytes, enum task_state *out)
{
    for (int state = 0; state < TASK_STATES; state++) {
        if (strlen(state_names[state]) == bytes && memcmp(state_names[state], name, bytes) == 0) {
            *out = (enum task_state)state;
            return true;
        }
    }
    return false;
}

/* ---- attempts ---- */

static void write_process(struct text *text, const struct task_attempt *attempt)
{
    static const struct fact_id none;
    struct owner process = {id_equal(&attempt->process, &none) ? PARENT_NONE : PARENT_PROCESS,
                            attempt->process};
    owner_json(text, &process);
}

static void write_exitcode(struct text *text, const struct task_outcome *outcome)
{
    if (outcome->exitcode_known) {
        text_number(text, outcome->exitcode);
    } else {
        text_put(text, "null");
    }
}

/* Exit code 100 of a spawn pool says "bury": that is no error of ours, but why it is not done. */
static void write_error(struct text *text, const struct task_outcome *outcome)
{
    bool ended = outcome->error == TASK_PROCESS_ENDED;
    bool failed = outcome->error == TASK_SPAWN_FAILED;
    if (outcome->error == TASK_FINE) {
        text_put(text, "null");
        return;
    }
    text_put(text, "{\"code\":");
    text_json_string(text, errors[outcome->error].word);
    text_put(text, ",\"detail\":");
    text_json_string(text, errors[outcome->error].text);
    text_put(text, ",\"reason\":");
    text_json_string(text, ended ? exit_reason_name(outcome->reason) : NULL);
    text_put(text, ",\"errno\":");
    text_json_string(text, failed ? errno_name(outcome->error_number) : NULL);
    text_put(text, ",\"stage\":");
    text_json_string(text, failed ? spawn_stage_name(outcome->stage) : NULL);
    text_putc(text, '}');
}

static void write_attempt(struct text *text, const struct task_attempt *attempt)
{
    text_json_comma(text);
    text_put(text, "{\"number\":");
    text_unsigned(text, attempt->number);
    text_put(text, ",\"process\":");
    write_process(text, attempt);
    text_put(text, ",\"started_at\":");
    text_json_time(text, attempt->started_at_us);
    text_put(text, ",\"ended_at\":");
    text_json_time(text, attempt->ended_at_us);
    text_put(text, ",\"exitcode\":");
    write_exitcode(text, &attempt->outcome);
    text_put(text, ",\"error\":");
    write_error(text, &attempt->outcome);
    text_putc(text, '}');
}

static void write_attempts(struct text *text, const struct task *task)
{
    text_putc(text, '[');
    for (size_t i = 0; task->former && i < task->former->count; i++) {
        write_attempt(text, &task->former->items[i]);
    }
    if (task->last.number && !task_remembers_last(task)) {
        write_attempt(text, &task->last);
    }
    text_putc(text, ']');
}

/* ---- answers ---- */

/* In the one of three forms that shows all of it. */
static void write_result(struct text *text, const struct task *task)
{
    const struct blob *result = task->state == TASK_DONE ? task->result : NULL;
    bool json = result && json_valid(result->data, result->bytes);
    bool plain = result && !json && utf8_valid(result->data, result->bytes);
    text_put(text, ",\"result\":");
    json ? text_add(text, result->data, result->bytes) : text_put(text, "null");
    text_put(text, ",\"result_text\":");
    plain ? text_json_bytes(text, result->data, result->bytes) : text_put(text, "null");
    text_put(text, ",\"result_base64\":");
    result && !json && !plain ? text_json_base64(text, result->data, result->bytes)
                              : text_put(text, "null");
}

static void write_id(struct text *text, const struct fact_id *id, char prefix)
{
    char string[ID_TEXT_BYTES];
    id_format(id, prefix, string);
    text_json_string(text, string);
}

static void write_place(struct text *text, const struct task *task)
{
    text_put(text, ",\"index\":");
    task->batch ? text_unsigned(text, task->index) : text_put(text, "null");
    text_put(text, ",\"state\":");
    text_json_string(text, task_state_name(task->state));
    text_put(text, ",\"place\":");
    task->place ? text_unsigned(text, task->place) : text_put(text, "null");
}

/* What came of it: the same members in the task and in the results of its batch. */
static void write_end(struct text *text, const struct task *task)
{
    static const struct task_outcome none;
    const struct task_outcome *outcome = task_ended(task) ? &task->outcome : &none;
    write_result(text, task);
    text_put(text, ",\"exitcode\":");
    write_exitcode(text, outcome);
    text_put(text, ",\"error\":");
    write_error(text, task->state == TASK_DONE ? &none : outcome);
}

void task_json(struct text *text, const struct task *task)
{
    text_put(text, "{\"id\":");
    write_id(text, &task->id, 't');
    text_put(text, ",\"pool\":");
    text_json_string(text, task->pool->object.name);
    text_put(text, ",\"batch\":");
    task->batch ? write_id(text, &task->batch->id, 'b') : text_put(text, "null");
    write_place(text, task);
    write_end(text, task);
    text_put(text, ",\"process\":");
    write_process(text, &task->last);
    text_put(text, ",\"content_type\":");
    text_json_string(text, task->content_type);
    text_put(text, ",\"submitted_at\":");
    text_json_time(text, task->submitted_at_us);
    text_put(text, ",\"started_at\":");
    text_json_time(text, task->last.started_at_us);
    text_put(text, ",\"finished_at\":");
    text_json_time(text, task->finished_at_us);
    text_put(text, ",\"attempts\":");
    write_attempts(text, task);
    text_putc(text, '}');
}

void task_result_json(struct text *text, const struct task_batch *batch, size_t index)
{
    const struct task *task = batch->tasks[index];
    if (!task) {
        text_printf(text, "{\"task\":null,\"index\":%zu,\"state\":\"dropped\",\"place\":null,"
                          "\"result\":null,\"result_text\":null,\"result_base64\":null,"
                          "\"exitcode\":null,\"error\":null}", index);
        return;
    }
    text_put(text, "{\"task\":");
    write_id(text, &task->id, 't');
    write_place(text, task);
    write_end(text, task);
    text_putc(text, '}');
}

void task_batch_json(struct text *text, const struct task_batch *batch)
{
    text_put(text, "{\"id\":");
    write_id(text, &batch->id, 'b');
    text_json_key(text, "pool");
    text_json_string(text, batch->pool->object.name);
    text_json_key(text, "submitted_at");
    text_json_time(text, batch->submitted_at_us);
    text_json_key(text, "total");
    text_unsigned(text, batch->total);
    for (int state = 0; state < TASK_STATES; state++) {
        text_json_key(text, state_names[state]);
        text_unsigned(text, batch->counts[state]);
    }
    text_json_key(text, "dropped");
    text_unsigned(text, batch->dropped);
    text_json_key(text, "unfinished");
    text_unsigned(text, batch->total - batch->ended);
    text_json_key(text, "complete");
    text_json_bool(text, task_batch_complete(batch));
    text_putc(text, '}');
}

/* ---- the durable form of former attempts ---- */

void task_history_write(struct text *text, const struct task *task)
{
    text_putc(text, '[');
    for (size_t i = 0; i < task->former->count; i++) {
        const struct task_attempt *at = &task->former->items[i];
        const struct task_outcome *outcome = &at->outcome;
        char id[ID_TEXT_BYTES];
        id_format(&at->process, 'p', id);
        text_json_comma(text);
        text_printf(text, "[%u,\"%s\",%lld,%lld,%d,%d,%d,%d,%d,%u]", at->number, id,
                    (long long)at->started_at_us, (long long)at->ended_at_us,
                    (int)outcome->error, (int)outcome->reason, outcome->exitcode_known,
                    outcome->exitcode, outcome->error_number, outcome->stage);
    }
    text_putc(text, ']');
}

static void read_attempt(const json_t *from, struct task_attempt *out)
{
    const json_t *id = json_array_get(from, 1);
    long long numbers[10] = {0};
    for (size_t i = 0; i < 10; i++) {
        numbers[i] = json_integer_value(json_array_get(from, i));
    }
    *out = (struct task_attempt){
        .number = (unsigned)numbers[0], .started_at_us = numbers[2], .ended_at_us = numbers[3],
        .outcome = {.error = (enum task_error)numbers[4], .reason = (enum exit_reason)numbers[5],
                    .exitcode_known = numbers[6] != 0, .exitcode = (int)numbers[7],
                    .error_number = (int)numbers[8], .stage = (unsigned)numbers[9]}};
    id_parse(json_string_value(id), json_string_length(id), 'p', &out->process);
}

bool task_history_read(const char *history, struct task *task)
{
    json_t *list = json_read_string(history);
    size_t count = json_array_size(list) < TASK_ATTEMPTS ? json_array_size(list) : TASK_ATTEMPTS;
    if (!history) {
        return true;
    }
    task->former = calloc(1, sizeof *task->former);
    for (size_t i = 0; task->former && i < count; i++) {
        read_attempt(json_array_get(list, i), &task->former->items[i]);
        task->former->count++;
    }
    json_decref(list);
    return task->former != NULL;
}
