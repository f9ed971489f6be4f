/* From the spool's record of a spawn to a process, after a crash; see launch_command.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/json_read.h"
#include "service/launch_command.h"

/* The answer to a keyed request is stored when the fact is applied, as if somebody still waited. */
static void key_from_record(struct service *service, struct process *process, const json_t *answer)
{
    const char *hash = json_string_value(json_object_get(answer, "hash"));
    struct answer_key key = {.principal = json_string_value(json_object_get(answer, "principal")),
                             .key = json_string_value(json_object_get(answer, "key")),
                             .request_hash = hash ? strtoull(hash, NULL, 16) : 0};
    if (key.principal && key.key && !launch_ticket_nobody(service, process, &key)) {
        recorder_fatal("out of memory for a stored answer");
    }
}

static bool fix_from_record(struct process *process, const json_t *root)
{
    const char *token = json_string_value(json_object_get(root, "token"));
    char *text = json_dumps(json_object_get(root, "spec"), JSON_COMPACT);
    bool fixed = text && process_fix_from_text(process, text);
    snprintf(process->token, sizeof process->token, "%s", token ? token : "");
    process->created_at_us = json_integer_value(json_object_get(root, "created_at_us"));
    free(text);
    return fixed;
}

/* A created process that a former server started: its record is there, with the request still in
   it. */
static struct process *refresh_created(struct process *process, const json_t *root)
{
    free(process->spec_text);
    process->spec_text = json_dumps(json_object_get(root, "spec"), JSON_COMPACT);
    process->spec_changed = true;
    return process->spec_text ? process : NULL;
}

struct process *launch_from_record(struct service *service, const struct fact_id *id,
                                   const char *record, size_t bytes)
{
    struct process *process = process_table_find(&service->processes, id);
    if (process && !process_waits(process)) {
        return process;
    }
    json_t *root = json_read(record, bytes, 0, NULL);
    int64_t num = json_integer_value(json_object_get(root, "num"));
    if (process) {
        process = refresh_created(process, root);
    } else if (num > 0 && (process = process_table_add(&service->processes, id, num))) {
        process->service = service;
        if (fix_from_record(process, root) &&
            process_table_charge(&service->processes, process)) {
            service->processes.last_num =
                num > service->processes.last_num ? num : service->processes.last_num;
            key_from_record(service, process, json_object_get(root, "answer"));
        } else {
            process_table_remove(&service->processes, process);
            process_free(process);
            process = NULL;
        }
    }
    json_decref(root);
    if (!process) {
        recorder_fatal("a spawn record in the spool cannot be read");
    }
    return process;
}
