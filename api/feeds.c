/*
 * The feeds: GET /v1/changes (the life of things), GET /v1/log (the daemon's own log), GET /v1/audit
 * (who asked for what).
 *
 * All are rows with a number that only grows, read by the same struct follow; struct feed_kind
 * says what differs. A cursor that is older than what is kept gets a `reset` item. A snapshot is
 * rendered in one turn, so it is true at one number, and told when the changes up to that number
 * are committed; the stream goes on behind it.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/follow.h"
#include "api/handlers.h"
#include "api/log_record.h"
#include "api/param_value.h"
#include "api/respond.h"

#define ROWS_AT_ONCE 500u
#define TYPES_MAX 50
#define TYPE_BYTES_MAX 64
#define REF_BYTES_MAX 128

struct feed_follow;

struct feed_kind {
    size_t feed;                       /* offset of the struct feed in struct service */
    int (*bounds)(struct db *db, struct feed_bounds *out, struct db_error *error);
    int (*read)(struct feed_follow *feed, struct db *reader, struct db_error *error);
    bool tells_reset;
    const char *type_param, *ref_param;
    bool (*is_type)(const char *item, size_t bytes);
    const char *types;                 /* what they must be */
};

struct feed_follow {
    struct follow follow;
    const struct feed_kind *kind;
    struct feed_query query;           /* (reader) `after` is the cursor */
    char *type, *ref;                  /* what query.type and query.ref point to */
    uint64_t limit;                    /* items; 0: none. A snapshot's do not count */
    uint64_t counted;                  /* (reader) */
    uint64_t last_row;                 /* (reader) number of the row rendered last */
    bool stopped;                      /* (reader) the read ended before the rows did */
    bool beyond;                       /* (reader) the cursor is a number never given yet */
    bool snapshot;
    struct stored stored;              /* the snapshot's commit */
};

/* ---- rows, on a reader thread ---- */

static void put_head(struct text *text, uint64_t seq, int64_t at_us)
{
    text_put(text, "{\"seq\":");
    text_unsigned(text, seq);
    text_put(text, ",\"at\":");
    text_json_time(text, at_us);
}

/* `data` is JSON or NULL. */
static void put_change(struct follow *follow, const struct change_row *row)
{
    struct text *text = &follow->text;
    item_begin(text, follow->form, row->seq, row->type);
    put_head(text, row->seq, row->at_us);
    text_put(text, ",\"type\":");
    text_json_string(text, row->type);
    text_put(text, ",\"ref\":");
    text_json_string(text, row->ref);
    text_put(text, ",\"data\":");
    text_put(text, row->data ? row->data : "null");
    text_putc(text, '}');
    item_end(text, follow->form);
    follow->items++;
}

/* False: enough for this read. */
static bool count_row(struct feed_follow *feed, uint64_t seq)
{
    feed->last_row = seq;
    feed->counted++;
    feed->stopped = follow_full(&feed->follow) || feed->counted == feed->limit;
    return !feed->stopped;
}

static bool take_change(void *context, const struct change_row *row)
{
    struct feed_follow *feed = context;
    put_change(&feed->follow, row);
    return count_row(feed, row->seq);
}

static bool take_log_row(void *context, const struct daemon_log_row *row)
{
    struct feed_follow *feed = context;
    struct text *text = &feed->follow.text;
    item_begin(text, feed->follow.form, row->seq, "log");
    put_head(text, row->seq, row->at_us);
    text_put(text, ",\"level\":");
    text_json_string(text, log_level_name((enum log_level)row->level));
    text_put(text, ",\"process\":");
    text_json_string(text, row->ref);
    text_put(text, ",\"process_name\":");
    text_json_string(text, row->name);
    text_put(text, ",\"text\":");
    text_json_string(text, row->text);
    text_putc(text, '}');
    item_end(text, feed->follow.form);
    feed->follow.items++;
    return count_row(feed, row->seq);
}

static void put_member(struct text *text, const char *key, const char *value)
{
    text_json_key(text, key);
    text_json_string(text, value);
}

static bool take_audit_row(void *context, const struct audit_row *row)
{
    struct feed_follow *feed = context;
    struct text *text = &feed->follow.text;
    item_begin(text, feed->follow.form, row->seq, "audit");
    put_head(text, row->seq, row->at_us);
    put_member(text, "principal", row->principal);
    put_member(text, "action", row->action);
    put_member(text, "target", row->target);
    text_json_key(text, "status");
    if (row->status) {
        text_number(text, row->status);
    } else {
        text_put(text, "null");
    }
    put_member(text, "code", row->code);
    put_member(text, "request_id", row->request_id);
    put_member(text, "remote", row->remote);
    text_putc(text, '}');
    item_end(text, feed->follow.form);
    feed->follow.items++;
    return count_row(feed, row->seq);
}

static int read_audit(struct feed_follow *feed, struct db *reader, struct db_error *error)
{
    return audit_read(reader, &feed->query, take_audit_row, feed, error);
}

static int read_changes(struct feed_follow *feed, struct db *reader, struct db_error *error)
{
    return changes_read(reader, &feed->query, take_change, feed, error);
}

static int read_log_rows(struct feed_follow *feed, struct db *reader, struct db_error *error)
{
    return daemon_log_read(reader, &feed->query, take_log_row, feed, error);
}

/* Words as "process.exited", or "process." for all that begin so. */
static bool is_change_type(const char *item, size_t bytes)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz_";
    size_t word = strspn(item, letters), rest = 0;
    if (word && item[word] == '.') {
        rest = 1 + strspn(item + word + 1, letters);
    }
    return word && word + rest == bytes && bytes <= TYPE_BYTES_MAX;
}

static bool is_action(const char *item, size_t bytes)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return bytes && strspn(item, letters) == bytes && bytes <= TYPE_BYTES_MAX;
}

static const struct feed_kind changes_kind = {
    offsetof(struct service, changes), changes_bounds, read_changes, true, "type", "ref",
    is_change_type, "process.exited or process."};
static const struct feed_kind log_kind = {
    offsetof(struct service, log), daemon_log_bounds, read_log_rows, false, "type", "process",
    is_change_type, ""};
static const struct feed_kind audit_kind = {
    offsetof(struct service, audit), audit_bounds, read_audit, false, "action", "principal",
    is_action, "createToken"};

/* ---- the cursor ---- */

/* Rows behind the cursor are deleted, or it is from another life of this feed. With `after` 0 the
   oldest that is kept was asked for, whichever that is. */
static bool is_lost(const struct feed_follow *feed, const struct feed_bounds *bounds)
{
    return feed->kind->tells_reset && feed->query.after &&
           (feed->beyond || feed->query.after + 1 < bounds->first);
}

/* The client is told to read the state anew, and goes on with the oldest row. */
static void reset(struct feed_follow *feed, uint64_t oldest)
{
    char data[80];
    feed->counted++;
    feed->follow.complete = feed->counted == feed->limit;
    feed->beyond = false;
    snprintf(data, sizeof data, "{\"after\":%llu,\"oldest_seq\":%llu}",
             (unsigned long long)feed->query.after, (unsigned long long)oldest);
    feed->query.after = oldest - 1;
    put_change(&feed->follow, &(struct change_row){.seq = oldest - 1, .at_us = time_now_us(),
                                                   .type = "reset", .data = data});
}

/* The bounds are read before the rows, so all rows up to `last` were seen, matching or not, unless
   the read stopped before: the cursor moves over what the filters left out. */
static void move_cursor(struct feed_follow *feed, const struct feed_bounds *bounds)
{
    uint64_t seen = feed->last_row;
    if (!feed->stopped && bounds->last > seen) {
        seen = bounds->last;
    }
    if (seen > feed->query.after) {
        feed->query.after = seen;
    }
}

static bool read_rows(struct feed_follow *feed, struct db *reader, struct db_error *error)
{
    struct follow *follow = &feed->follow;
    uint64_t before = feed->counted, left = feed->limit ? feed->limit - before : ROWS_AT_ONCE;
    feed->stopped = false;
    feed->query.limit = left < ROWS_AT_ONCE ? (unsigned)left : ROWS_AT_ONCE;
    if (feed->kind->read(feed, reader, error) != SQLITE_OK) {
        return false;
    }
    feed->stopped = feed->stopped || feed->counted - before == feed->query.limit;
    follow->more = feed->stopped;
    follow->complete = (feed->limit && feed->counted == feed->limit) ||
                       (follow->form == STREAM_FORM_JSON && follow_full(follow));
    return true;
}

/* Takes back what was read: rows were deleted meanwhile, so some may be missing. */
static void take_back(struct feed_follow *feed, size_t text_bytes, uint64_t items)
{
    struct follow *follow = &feed->follow;
    feed->counted -= follow->items - items;
    follow->text.bytes = text_bytes;
    follow->items = items;
    follow->complete = false;
    follow->more = true;
}

/* Whether the cursor is too old is looked at behind the rows: retention works at the same time. */
static bool read_feed(struct follow *follow, struct db *reader, struct db_error *error)
{
    struct feed_follow *feed = (struct feed_follow *)follow;
    struct feed_bounds before, behind;
    size_t text_bytes = follow->text.bytes;
    uint64_t items = follow->items;
    if (feed->kind->bounds(reader, &before, error) != SQLITE_OK ||
        !read_rows(feed, reader, error) ||
        feed->kind->bounds(reader, &behind, error) != SQLITE_OK) {
        return false;
    }
    if (is_lost(feed, &behind)) {
        take_back(feed, text_bytes, items);
        reset(feed, behind.first ? behind.first : 1);
    } else {
        move_cursor(feed, &before);
    }
    return true;
}

/* ---- following, on the loop ---- */

static struct feed *feed_of(const struct feed_follow *feed)
{
    return (struct feed *)((char *)&feed->follow.app->service + feed->kind->feed);
}

static struct wait_list *source(struct follow *follow)
{
    return &feed_of((struct feed_follow *)follow)->followers;
}

/* Every commit wakes; most have nothing for this feed. */
static bool news(const struct follow *follow)
{
    const struct feed_follow *feed = (const struct feed_follow *)follow;
    return feed_of(feed)->last > feed->query.after;
}

static void end(struct follow *follow)
{
    const struct feed_follow *feed = (const struct feed_follow *)follow;
    if (follow->form == STREAM_FORM_JSON) {
        text_put(&follow->text, "],\"next_after\":");
        text_unsigned(&follow->text, feed->query.after);
        text_put(&follow->text, ",\"next_page_token\":null}");
    }
}

static void feed_free(struct follow *follow)
{
    struct feed_follow *feed = (struct feed_follow *)follow;
    stored_cancel(&feed->stored);
    text_free(&follow->text);
    free(feed->type);
    free(feed->ref);
    free(feed);
}

static const struct follow_type feed_type = {.read = read_feed, .source = source, .news = news,
                                             .end = end, .free = feed_free};

/* ---- the snapshot ---- */

static void put_object(struct feed_follow *feed, const char *ref, struct text *data)
{
    if (data->failed) {
        feed->follow.text.failed = true;
    } else {
        put_change(&feed->follow, &(struct change_row){.seq = feed->query.after, .ref = ref,
                                                       .at_us = time_now_us(), .type = "snapshot",
                                                       .data = data->data});
    }
    text_clear(data);
}

/* Objects of a kind are shown when changes of that kind ("process.", "session.") may be asked
   for. */
static bool wants(const struct feed_follow *feed, const char *kind, const char *ref)
{
    const char *item, *list = feed->query.type;
    size_t bytes;
    if (feed->query.ref && strcmp(feed->query.ref, ref) != 0) {
        return false;
    }
    while ((item = param_list_next(&list, &bytes))) {
        if (strncmp(item, kind, strlen(kind)) == 0) {
            return true;
        }
    }
    return !feed->query.type;
}

static bool is_living(const struct process *process)
{
    return process->state == STATE_CREATED || process->state == STATE_PENDING ||
           process_alive(process);
}

/* A queue and a lock may have one name: here they are told apart as in a hold's `resource`. */
static void put_objects(struct feed_follow *feed, const struct object_type *type,
                        const struct object *first)
{
    struct text data = {0};
    char kind[32];
    snprintf(kind, sizeof kind, "%s.", type->noun);
    for (const struct object *at = first; at; at = at->next) {
        if (wants(feed, kind, at->resource)) {
            object_json(&data, at);
            put_object(feed, at->resource, &data);
        }
    }
    text_free(&data);
}

static void put_snapshot(struct feed_follow *feed)
{
    struct service *service = &feed->follow.app->service;
    struct text data = {0};
    feed->query.after = service->changes.last;
    for (struct process *p = service->processes.first; p; p = p->next) {
        if (is_living(p) && wants(feed, "process.", p->id_text)) {
            process_json(&data, p);
            put_object(feed, p->id_text, &data);
        }
    }
    for (struct session *s = service->sessions.first; s; s = s->next) {
        if (wants(feed, "session.", s->id_text)) {
            session_json(&data, s, false);
            put_object(feed, s->id_text, &data);
        }
    }
    for (int kind = 0; kind < OBJECT_KINDS; kind++) {
        if (object_types[kind]) {
            put_objects(feed, object_types[kind], service->objects.first[kind]);
        }
    }
    text_free(&data);
}

static void snapshot_stored(struct stored *stored)
{
    struct feed_follow *feed =
        (struct feed_follow *)((char *)stored - offsetof(struct feed_follow, stored));
    follow_ready(&feed->follow);
}

/* A page is the snapshot alone. */
static void start_with_snapshot(struct feed_follow *feed)
{
    put_snapshot(feed);
    feed->follow.complete = feed->follow.form == STREAM_FORM_JSON;
    feed->follow.more = true;
    follow_hold(&feed->follow);
    stored_then(feed->follow.app, &feed->stored, snapshot_stored);
}

/* ---- the requests ---- */

static void read_types(struct problem **problem, const struct feed_kind *kind, const char *text)
{
    const char *item;
    size_t bytes, count = 0;
    while ((item = param_list_next(&text, &bytes))) {
        if (!kind->is_type(item, bytes) || ++count > TYPES_MAX) {
            param_refuse(problem, kind->type_param, "must be 1 to %d words as %s", TYPES_MAX,
                         kind->types);
            return;
        }
    }
}

static void read_ref(struct problem **problem, const char *name, const char *text)
{
    if (text && (!*text || strlen(text) > REF_BYTES_MAX)) {
        param_refuse(problem, name, "must have 1 to %d bytes", REF_BYTES_MAX);
    }
}

static void read_level(struct problem **problem, const char *text, int *out)
{
    enum log_level level;
    if (text && !log_level_from_name(text, &level)) {
        param_refuse(problem, "level", "must be debug, info, warning or error");
    } else if (text) {
        *out = (int)level;
    }
}

/* What an event stream's client has seen wins over `after` and over the snapshot it once had. */
static void read_cursor(const struct request *request, struct problem **problem,
                        struct feed_follow *feed)
{
    const char *after = request_param(request, "after");
    const char *seen = feed->follow.form == STREAM_FORM_SSE
                           ? request_header(request, "Last-Event-ID") : NULL;
    param_bool(problem, "snapshot", request_param(request, "snapshot"), &feed->snapshot);
    param_unsigned(problem, "after", after, 0, PARAM_NUMBER_MAX, &feed->query.after);
    param_last_event_id(problem, seen, &feed->query.after);
    if (feed->snapshot && after) {
        param_refuse(problem, "snapshot", "and after exclude each other");
    }
    feed->snapshot = feed->snapshot && !seen;
}

static void read_common(const struct request *request, struct problem **problem,
                        struct feed_follow *feed)
{
    struct follow *follow = &feed->follow;
    bool page = follow->form == STREAM_FORM_JSON, goes_on = false;
    feed->limit = page ? PARAM_LIMIT_STANDARD : 0;
    param_unsigned(problem, "limit", request_param(request, "limit"), 1, PARAM_LIMIT_MAX,
                   &feed->limit);
    param_bool(problem, "follow", request_param(request, "follow"), &goes_on);
    param_follow_of_page(problem, goes_on, page);
    param_no_page_token(problem, request_param(request, "page_token"));
    read_cursor(request, problem, feed);
    follow->deadline_us = page ? request_deadline(request, 0) : INT64_MAX;
    follow->live = page ? follow->deadline_us > time_monotonic_us()
                        : goes_on || follow->form == STREAM_FORM_SSE;
}

static bool keep(const char *text, char **copy, const char **use)
{
    *copy = text ? strdup(text) : NULL;
    *use = *copy;
    return !text || *copy;
}

/* Takes `feed`. The strings are the request's. */
static void start(struct request *request, struct feed_follow *feed, const char *type,
                  const char *ref, const char *content_type)
{
    if (!keep(type, &feed->type, &feed->query.type) || !keep(ref, &feed->ref, &feed->query.ref)) {
        feed_free(&feed->follow);
        respond_no_memory(request);
    } else if (!follow_open(&feed->follow, request, content_type)) {
        return;
    } else if (feed->snapshot) {
        start_with_snapshot(feed);
    } else {
        follow_start(&feed->follow);
    }
}

static void get_feed(struct request *request, const struct feed_kind *kind)
{
    const char *content_type = NULL;
    const char *type = request_param(request, kind->type_param);
    const char *ref = request_param(request, kind->ref_param);
    struct feed_follow *feed = calloc(1, sizeof *feed);
    if (!feed) {
        respond_no_memory(request);
        return;
    }
    feed->follow.type = &feed_type;
    feed->follow.app = request_app(request);
    feed->kind = kind;
    struct problem *problem =
        stream_negotiate(request, false, &feed->follow.form, &content_type);
    if (!problem) {
        problem = request_take_faults(request);
        read_types(&problem, kind, type);
        read_ref(&problem, kind->ref_param, ref);
        read_level(&problem, request_param(request, "level"), &feed->query.min_level);
        read_common(request, &problem, feed);
        feed->beyond = feed->query.after > feed_of(feed)->last;
    }
    if (problem) {
        feed_free(&feed->follow);
        answer_problem(request, problem);
    } else {
        start(request, feed, type, ref, content_type);
    }
}

void handle_get_changes(struct request *request)
{
    get_feed(request, &changes_kind);
}

void handle_get_log(struct request *request)
{
    get_feed(request, &log_kind);
}

void handle_get_audit(struct request *request)
{
    get_feed(request, &audit_kind);
}
