/*
 * What a process wrote: GET /v1/processes/{id}/logs in every form, and its trimming.
 *
 * All forms are one struct follow over one cursor, struct log_query. The raw form has two ways:
 * the exact bytes, unfinished lines too; and record by record when single ones are chosen (grep,
 * limit), or when a bound lies in what is still to come.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "api/follow.h"
#include "api/handlers.h"
#include "api/log_query.h"
#include "api/log_record.h"
#include "api/param_value.h"
#include "api/respond.h"

#define SCAN_BYTES (2u << 20)          /* of one job that looks for something rare */
#define RECORDS_UNBOUNDED (1u << 20)
#define UNTIL_GRACE_US SECOND_US       /* so much later a record before `until` may be committed */

struct log_follow {
    struct follow follow;
    struct log_choice choice;
    char id[ID_TEXT_BYTES];
    uint64_t next_after;               /* (reader) */
    uint64_t first_seq, last_seq;      /* (reader) what is stored; last_seq 0: nothing */
    bool hole;                         /* (reader) what comes next behind `offset` is gone */
};

/* ---- reading, on a reader thread ---- */

static bool take_record(void *context, const struct log_record *record)
{
    struct log_follow *log = context;
    log_record_write(&log->follow.text, log->follow.form, record);
    log->follow.items++;
    return !follow_full(&log->follow);
}

static bool is_complete(const struct log_follow *log)
{
    const struct log_query *query = &log->choice.query;
    bool page_full = log->follow.form == STREAM_FORM_JSON && follow_full(&log->follow);
    return page_full || log->hole ||
           (log->choice.limit && log->follow.items >= log->choice.limit) ||
           (query->before && !query->raw && log->next_after + 1 >= query->before);
}

static void advance(struct log_follow *log, const struct log_result *result)
{
    struct log_query *query = &log->choice.query;
    log->first_seq = result->first_seq;
    log->last_seq = result->last_seq;
    log->hole = result->hole;
    if (result->next_after > log->next_after) {
        log->next_after = result->next_after;
    }
    log_query_advance(query, result);
    if (!result->more) {
        /* All of the tail was there to be given; what comes next is new, however much it is. */
        query->tail = query->tail_before = query->tail_found = 0;
    }
}

static bool read_log(struct follow *follow, struct db *reader, struct db_error *error)
{
    struct log_follow *log = (struct log_follow *)follow;
    struct log_query *query = &log->choice.query;
    struct log_result result = {0};
    uint64_t limit = log->choice.limit;
    query->max_records = limit ? (size_t)(limit - follow->items) : RECORDS_UNBOUNDED;
    query->max_bytes = follow->form == STREAM_FORM_JSON ? FOLLOW_PAGE_BYTES : FOLLOW_PIECE_BYTES;
    query->max_scan_bytes = SCAN_BYTES;
    if (log_read(reader, query, take_record, log, &result, error) != SQLITE_OK) {
        return false;
    }
    advance(log, &result);
    follow->more = result.more;
    follow->complete = is_complete(log);
    return true;
}

/* ---- following, on the loop ---- */

static struct wait_list *source(struct follow *follow)
{
    struct log_follow *log = (struct log_follow *)follow;
    struct process *process =
        process_table_find_text(&follow->app->service.processes, log->id, strlen(log->id));
    if (!process) {
        return NULL;
    }
    follow->last = process->quiet_stored;
    return &process->followers;
}

static void put_seq(struct text *text, const char *key, uint64_t seq, bool known)
{
    text_json_key(text, key);
    if (known) {
        text_unsigned(text, seq);
    } else {
        text_put(text, "null");
    }
}

static void end(struct follow *follow)
{
    struct log_follow *log = (struct log_follow *)follow;
    struct text *text = &follow->text;
    if (follow->form == STREAM_FORM_SSE) {
        text_put(text, "event: end\ndata: {}\n\n");
    } else if (follow->form == STREAM_FORM_JSON) {
        text_put(text, "],\"next_after\":");
        text_unsigned(text, log->next_after);
        put_seq(text, "first_seq", log->first_seq, log->last_seq > 0);
        put_seq(text, "last_seq", log->last_seq, log->last_seq > 0);
        text_put(text, ",\"ended\":");
        text_json_bool(text, follow->last);
        text_put(text, ",\"next_page_token\":null}");
    }
}

static void log_free(struct follow *follow)
{
    struct log_follow *log = (struct log_follow *)follow;
    log_choice_free(&log->choice);
    text_free(&follow->text);
    free(log);
}

static const struct follow_type log_type = {.read = read_log, .source = source, .end = end,
                                            .free = log_free};

/* ---- the request ---- */

static struct problem *read_keys(struct request *request, struct log_follow *log)
{
    enum stream_form form = log->follow.form;
    struct log_query_text text = {
        .stream = request_param(request, "stream"), .after = request_param(request, "after"),
        .before = request_param(request, "before"), .tail = request_param(request, "tail"),
        .since = request_param(request, "since"), .until = request_param(request, "until"),
        .grep = request_param(request, "grep"), .limit = request_param(request, "limit"),
        .follow = request_param(request, "follow"), .offset = request_param(request, "offset"),
        .last_event_id =
            form == STREAM_FORM_SSE ? request_header(request, "Last-Event-ID") : NULL};
    struct problem *problem =
        log_choice_read(&log->choice, &text, request_take_faults(request));
    param_follow_of_page(&problem, log->choice.follow, form == STREAM_FORM_JSON);
    param_no_page_token(&problem, request_param(request, "page_token"));
    if (log->choice.from_offset && form != STREAM_FORM_RAW) {
        param_refuse(&problem, "offset",
                     "counts bytes, which text/plain and application/octet-stream have");
    }
    return problem;
}

static void set_deadline(const struct request *request, struct log_follow *log)
{
    struct follow *follow = &log->follow;
    int64_t now_us = time_monotonic_us(), until_us = log->choice.query.until_us;
    follow->deadline_us = INT64_MAX;
    if (follow->form == STREAM_FORM_JSON) {
        follow->deadline_us = request_deadline(request, 0);
        follow->live = follow->deadline_us > now_us;
        return;
    }
    follow->live = log->choice.follow || follow->form == STREAM_FORM_SSE;
    if (until_us) {
        follow->deadline_us = now_us + until_us - time_now_us() + UNTIL_GRACE_US;
    }
}

/* Exact bytes are found by place, so what is told by a record's number or time must be settled
   at the beginning. */
static bool is_by_bytes(const struct log_follow *log)
{
    const struct log_query *query = &log->choice.query;
    bool open_ended = !query->before && query->since_us <= time_now_us();
    return log->follow.form == STREAM_FORM_RAW && !query->grep && !log->choice.limit &&
           (open_ended || !log->follow.live);
}

static void set_query(struct log_follow *log, const struct process *process)
{
    struct log_choice *choice = &log->choice;
    struct log_query *query = &choice->query;
    query->process = process->num;
    query->raw = is_by_bytes(log);
    if (log->follow.form == STREAM_FORM_JSON && !choice->limit) {
        choice->limit = PARAM_LIMIT_STANDARD;
    }
    if (choice->only_new && process->log_last > query->after) {
        query->after = process->log_last;
    }
    log->next_after = query->after;
    /* The last none of what is stored, and nothing that comes: only a page says more than that. */
    log->follow.complete =
        choice->only_new && !log->follow.live && log->follow.form != STREAM_FORM_JSON;
}

void handle_get_logs(struct request *request)
{
    const char *content_type = NULL;
    struct problem *problem;
    struct process *process = find_process(request);
    if (!process) {
        return;
    }
    struct log_follow *log = calloc(1, sizeof *log);
    if (!log) {
        respond_no_memory(request);
        return;
    }
    log->follow.type = &log_type;
    log->follow.app = request_app(request);
    memcpy(log->id, process->id_text, sizeof log->id);
    if ((problem = stream_negotiate(request, true, &log->follow.form, &content_type)) ||
        (problem = read_keys(request, log))) {
        log_free(&log->follow);
        answer_problem(request, problem);
        return;
    }
    set_deadline(request, log);
    set_query(log, process);
    if (follow_open(&log->follow, request, content_type)) {
        follow_start(&log->follow);
    }
}

/* ---- DELETE …/logs?before= ---- */

struct trim {
    struct stored stored;
    struct request *request;
    struct fact_id process;
    uint64_t trimmed_before;           /* the process's log_trimmed */
};

static void trimmed(struct stored *stored)
{
    struct trim *trim = (struct trim *)((char *)stored - offsetof(struct trim, stored));
    struct service *service = &request_app(trim->request)->service;
    struct process *process = process_table_find(&service->processes, &trim->process);
    struct text body = {0};
    uint64_t deleted = 0;
    if (process) {
        deleted = process->log_trimmed - trim->trimmed_before;
    }
    text_put(&body, "{\"deleted_bytes\":");
    text_unsigned(&body, deleted);
    text_putc(&body, '}');
    answer_json(trim->request, 200, &body);
}

static void trim_gone(struct request *request, void *context)
{
    struct trim *trim = context;
    (void)request;
    stored_cancel(&trim->stored);
}

static void trim_log(struct request *request, const struct process *process, uint64_t before)
{
    struct app *app = request_app(request);
    struct trim *trim = request_alloc(request, sizeof *trim);
    if (!trim || !log_trim(recorder_batch(app->service.recorder), process->num, before)) {
        respond_no_memory(request);
        return;
    }
    trim->request = request;
    trim->process = process->id;
    trim->trimmed_before = process->log_trimmed;
    http_park(request, (struct park){trim_gone, trim});
    http_audit(request, 200);
    stored_then(app, &trim->stored, trimmed);
}

void handle_delete_logs(struct request *request)
{
    struct problem *problem = NULL;
    uint64_t before = 0;
    const char *text = request_param(request, "before");
    struct process *process = find_process_to_act_on(request);
    if (!process) {
        return;
    }
    param_unsigned(&problem, "before", text ? text : "", 1, PARAM_NUMBER_MAX, &before);
    if (!problem) {
        problem = recorder_refuses(request_app(request)->service.recorder);
    }
    if (problem) {
        answer_problem(request, problem);
    } else {
        trim_log(request, process, before);
    }
}
