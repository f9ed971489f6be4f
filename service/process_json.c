/*
 * The process as JSON, and its durable form; see process.h.
 *
 * The stored spec is `{"fixed":{…},"keep":{…},"body":{…}|null}`: what answers show, what the
 * service needs after a restart, and the request itself while it is not started yet.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/bonds.h"
#include "service/id.h"
#include "service/json_read.h"
#include "service/sandbox.h"
#include "service/service.h"

#define USUAL_BYTES 1024u /* of all that is not fixed */

/* ---- answers ---- */

static void exit_json(struct text *t, const struct process *p)
{
    if (!process_ended(p) || p->state == STATE_FAILED) {
        text_put(t, "null");
        return;
    }
    char signal[16];
    bool exited = p->exit_kind == EXIT_EXITED;
    bool signaled = p->exit_kind == EXIT_SIGNALED;
    text_printf(t, "{\"kind\":\"%s\",\"code\":",
                exited ? "exited" : signaled ? "signaled" : "lost");
    exited ? text_number(t, p->exit_status) : text_put(t, "null");
    text_put(t, ",\"signal\":");
    if (signaled) {
        signal_name(p->exit_status, signal);
        text_json_string(t, signal);
    } else {
        text_put(t, "null");
    }
    text_put(t, ",\"core_dumped\":");
    text_json_bool(t, p->core_dumped);
    text_put(t, ",\"shell_code\":");
    exited     ? text_number(t, p->exit_status)
    : signaled ? text_number(t, 128 + p->exit_status)
               : text_put(t, "null");
    text_put(t, ",\"reason\":");
    text_json_string(t, exit_reason_name(p->exit_reason));
    text_putc(t, '}');
}

static void exitcode_json(struct text *t, const struct process *p)
{
    if (p->exit_kind == EXIT_EXITED) {
        text_number(t, p->exit_status);
    } else if (p->exit_kind == EXIT_SIGNALED) {
        text_number(t, -p->exit_status);
    } else {
        text_put(t, "null");
    }
}

/* Why it could not be started, in the words of the problem `spawn_failed`. */
static void error_json(struct text *t, const struct process *p)
{
    if (p->state != STATE_FAILED) {
        text_put(t, "null");
        return;
    }
    text_put(t, "{\"errno\":");
    text_json_string(t, errno_name(p->start_errno));
    text_put(t, ",\"stage\":");
    text_json_string(t, spawn_stage_name(p->start_stage));
    text_putc(t, '}');
}

static void usage_json(struct text *t, const struct process *p)
{
    if (!p->usage_known) {
        text_put(t, "{\"cpu_user_seconds\":null,\"cpu_system_seconds\":null,"
                    "\"max_rss_bytes\":null}");
        return;
    }
    text_put(t, "{\"cpu_user_seconds\":");
    text_json_seconds(t, p->user_us);
    text_put(t, ",\"cpu_system_seconds\":");
    text_json_seconds(t, p->system_us);
    text_put(t, ",\"max_rss_bytes\":");
    text_number(t, p->max_rss_bytes);
    text_putc(t, '}');
}

static void output_json(struct text *t, const struct process *p)
{
    text_put(t, "{\"stdout_bytes\":");
    text_unsigned(t, p->stdout_bytes);
    text_put(t, ",\"stderr_bytes\":");
    text_unsigned(t, p->stderr_bytes);
    text_put(t, ",\"dropped_bytes\":");
    text_unsigned(t, p->dropped_bytes);
    text_put(t, ",\"open\":");
    text_json_bool(t, (p->open_streams & 3u) != 0);
    text_putc(t, '}');
}

static void number_or_null(struct text *t, int64_t value)
{
    value ? text_number(t, value) : text_put(t, "null");
}

void process_json(struct text *t, const struct process *p)
{
    text_room(t, p->fixed_bytes + USUAL_BYTES);
    text_put(t, "{\"id\":\"");
    text_put(t, p->id_text);
    text_put(t, "\",\"state\":\"");
    text_put(t, process_state_name(p->state));
    text_put(t, "\",\"alive\":");
    text_json_bool(t, process_alive(p));
    text_put(t, ",\"pid\":");
    number_or_null(t, p->pid);
    text_put(t, ",\"ppid\":");
    number_or_null(t, p->ppid);
    text_putc(t, ',');
    text_add(t, p->fixed_json, p->fixed_bytes);
    text_put(t, ",\"created_at\":");
    text_json_time(t, p->created_at_us);
    text_put(t, ",\"started_at\":");
    text_json_time(t, p->started_at_us);
    text_put(t, ",\"exited_at\":");
    text_json_time(t, p->exited_at_us);
    text_put(t, ",\"exitcode\":");
    exitcode_json(t, p);
    text_put(t, ",\"exit\":");
    exit_json(t, p);
    text_put(t, ",\"error\":");
    error_json(t, p);
    text_put(t, ",\"usage\":");
    usage_json(t, p);
    text_put(t, ",\"output\":");
    output_json(t, p);
    text_put(t, ",\"paused\":");
    text_json_bool(t, p->paused);
    text_put(t, ",\"stop_deadline_at\":");
    text_json_time(t, p->state == STATE_STOPPING ? p->stop_deadline_at_us : 0);
    text_put(t, ",\"descendants\":");
    text_unsigned(t, p->descendants);
    text_put(t, ",\"revision\":");
    text_unsigned(t, p->revision);
    text_putc(t, '}');
}

/* ---- what is fixed ---- */

static void parent_json(struct text *t, const struct owner *parent)
{
    char id[ID_TEXT_BYTES];
    if (parent->kind == PARENT_NONE) {
        text_put(t, "null");
        return;
    }
    id_format(&parent->id, parent->kind == PARENT_PROCESS ? 'p' : 's', id);
    text_json_string(t, id);
}

static void labels_json(struct text *t, const json_t *labels)
{
    const char *key;
    json_t *value;
    text_putc(t, '{');
    json_object_foreach((json_t *)labels, key, value) {
        text_json_comma(t);
        text_json_string(t, key);
        text_putc(t, ':');
        text_json_string(t, json_string_value(value));
    }
    text_putc(t, '}');
}

static void env_keys_json(struct text *t, const struct spec *spec)
{
    text_putc(t, '[');
    for (unsigned i = 0; i < spec->envc; i++) {
        text_json_comma(t);
        text_json_bytes(t, spec->env[i], (size_t)(strchr(spec->env[i], '=') - spec->env[i]));
    }
    for (unsigned i = 0; i < spec->secret_count; i++) {
        text_json_comma(t);
        text_json_string(t, spec->secrets[i].name);
    }
    text_putc(t, ']');
}

static void fixed_json(struct text *t, const struct process *p, const struct spec *spec)
{
    text_put(t, "\"name\":");
    text_json_string(t, p->name);
    text_put(t, ",\"parent\":");
    parent_json(t, &p->parent);
    text_put(t, ",\"daemon\":");
    text_json_bool(t, p->daemon);
    text_put(t, ",\"argv\":[");
    for (unsigned i = 0; i < spec->argc; i++) {
        text_json_comma(t);
        text_json_string(t, spec->argv[i]);
    }
    text_put(t, "],\"cwd\":");
    text_json_string(t, spec->cwd);
    text_put(t, ",\"env_keys\":");
    env_keys_json(t, spec);
    text_put(t, ",\"no_new_privs\":");
    text_json_bool(t, spec->flags & SPAWN_NO_NEW_PRIVS);
    text_put(t, ",\"sandbox\":");
    sandbox_json(t, spec);
    text_put(t, ",\"labels\":");
    labels_json(t, p->labels);
}

static void pool_json(struct text *t, const struct process *p)
{
    static const struct fact_id none;
    char id[ID_TEXT_BYTES];
    if (p->pool_num) {
        text_printf(t, ",\"pool\":%lld,\"pool_at\":%lld", (long long)p->pool_num,
                    (long long)p->pool_at_us);
        id_format(&p->task_id, 't', id);
        text_json_key(t, "task");
        text_json_string(t, id_equal(&p->task_id, &none) ? NULL : id);
    }
}

static void pool_from_object(struct process *p, const json_t *keep)
{
    const json_t *task = json_object_get(keep, "task");
    p->pool_num = json_integer_value(json_object_get(keep, "pool"));
    p->pool_at_us = json_integer_value(json_object_get(keep, "pool_at"));
    if (json_is_string(task)) {
        id_parse(json_string_value(task), json_string_length(task), 't', &p->task_id);
    }
}

static void account_json(struct text *t, const struct process *p)
{
    static const struct fact_id admin;
    char id[ID_TEXT_BYTES];
    if (!id_equal(&p->account, &admin)) {
        id_format(&p->account, 'a', id);
        text_json_key(t, "account");
        text_json_string(t, id);
    }
}

static void keep_json(struct text *t, const struct process *p)
{
    text_printf(t,
                "{\"api\":%s,\"stdin\":%d,\"when_full\":%d,\"max_output\":%llu,\"stop_signal\":%d,"
                "\"grace_us\":%lld,\"timeout_us\":%lld",
                p->api ? "true" : "false", (int)p->stdin_mode, (int)p->when_full,
                (unsigned long long)p->max_output_bytes, p->stop_signal, (long long)p->grace_us,
                (long long)p->timeout_us);
    privileges_json(t, p->privileges);
    bonds_json(t, p->bonds);
    pool_json(t, p);
    account_json(t, p);
    text_putc(t, '}');
}

static char *default_name(int64_t num)
{
    struct text name = {0};
    text_printf(&name, "Process-%lld", (long long)num);
    return text_take(&name, NULL);
}

static bool spec_text_make(struct process *p, const json_t *body)
{
    struct text t = {0};
    text_put(&t, "{\"fixed\":{");
    text_add(&t, p->fixed_json, p->fixed_bytes);
    text_put(&t, "},\"keep\":");
    keep_json(&t, p);
    text_put(&t, ",\"body\":");
    char *dump = body ? json_dumps(body, JSON_COMPACT) : NULL;
    text_put(&t, dump ? dump : "null");
    free(dump);
    text_putc(&t, '}');
    p->spec_text = text_take(&t, NULL);
    return p->spec_text && (dump || !body);
}

bool process_fix(struct process *p, const struct spec *spec, const json_t *body)
{
    struct text t = {0};
    p->daemon = spec->daemon;
    p->api = spec->api;
    p->stdin_mode = spec->stdin_mode;
    p->when_full = spec->when_full;
    p->max_output_bytes = spec->max_output_bytes;
    p->stop_signal = spec->stop_signal;
    p->grace_us = spec->grace_us;
    p->timeout_us = spec->timeout_us;
    p->labels = json_incref(spec->labels);
    p->pool_num = spec->pool_order.pool;
    p->pool_at_us = spec->pool_order.pool_at_us;
    p->task_id = spec->pool_order.task;
    p->name = spec->name ? strdup(spec->name) : default_name(p->num);
    p->program = strdup(spec->argv[0]);
    if (!p->name || !p->program || !privileges_from_spec(spec, &p->privileges) ||
        !bonds_from_spec(spec, p, &p->bonds)) {
        return false;
    }
    fixed_json(&t, p, spec);
    p->fixed_json = text_take(&t, &p->fixed_bytes);
    return p->fixed_json && spec_text_make(p, body);
}

/* The object's members without its braces, as fixed_json wants them. */
static bool fixed_from_object(struct process *p, const json_t *fixed)
{
    char *dump = json_dumps(fixed, JSON_COMPACT);
    size_t bytes = dump ? strlen(dump) : 0;
    if (bytes < 2) {
        free(dump);
        return false;
    }
    p->fixed_bytes = bytes - 2;
    memmove(dump, dump + 1, p->fixed_bytes);
    dump[p->fixed_bytes] = '\0';
    p->fixed_json = dump;
    return true;
}

static void parent_from_text(struct owner *parent, const char *text)
{
    size_t bytes = text ? strlen(text) : 0;
    parent->kind = PARENT_NONE;
    if (bytes && id_parse(text, bytes, 'p', &parent->id)) {
        parent->kind = PARENT_PROCESS;
    } else if (bytes && id_parse(text, bytes, 's', &parent->id)) {
        parent->kind = PARENT_SESSION;
    }
}

static bool keep_from_object(struct process *p, const json_t *keep)
{
    p->api = json_is_true(json_object_get(keep, "api"));
    p->stdin_mode = (enum stdin_mode)json_integer_value(json_object_get(keep, "stdin"));
    p->when_full = (enum when_full)json_integer_value(json_object_get(keep, "when_full"));
    p->max_output_bytes = (uint64_t)json_integer_value(json_object_get(keep, "max_output"));
    p->stop_signal = (int)json_integer_value(json_object_get(keep, "stop_signal"));
    p->grace_us = json_integer_value(json_object_get(keep, "grace_us"));
    p->timeout_us = json_integer_value(json_object_get(keep, "timeout_us"));
    pool_from_object(p, keep);
    const json_t *account = json_object_get(keep, "account");
    if (json_is_string(account)) {
        id_parse(json_string_value(account), json_string_length(account), 'a', &p->account);
    }
    return privileges_from_json(keep, &p->privileges) && bonds_from_json(keep, p, &p->bonds);
}

bool process_fix_from_text(struct process *p, const char *spec_text)
{
    json_t *root = json_read_string(spec_text);
    const json_t *fixed = json_object_get(root, "fixed");
    const char *name = json_string_value(json_object_get(fixed, "name"));
    json_t *labels = json_object_get(fixed, "labels");
    bool ok = name && fixed_from_object(p, fixed);
    if (ok) {
        p->name = strdup(name);
        p->daemon = json_is_true(json_object_get(fixed, "daemon"));
        p->labels = json_object_size(labels) ? json_incref(labels) : NULL;
        parent_from_text(&p->parent, json_string_value(json_object_get(fixed, "parent")));
        ok = keep_from_object(p, json_object_get(root, "keep"));
        p->spec_text = strdup(spec_text);
    }
    json_decref(root);
    return ok && p->name && p->spec_text;
}

json_t *process_stored_body(const struct process *p)
{
    json_t *root = json_read_string(p->spec_text);
    json_t *body = json_incref(json_object_get(root, "body"));
    json_t *cwd = json_object_get(json_object_get(root, "fixed"), "cwd");
    if (!json_is_object(body) || json_object_set(body, "cwd", cwd) < 0) {
        json_decref(body);
        body = NULL;
    }
    json_decref(root);
    return body;
}

/* ---- rows ---- */

void process_row(const struct process *p, struct process_row *row)
{
    *row = (struct process_row){
        .num = p->num, .state = (int)p->state, .created_at_us = p->created_at_us,
        .started_at_us = p->started_at_us, .exited_at_us = p->exited_at_us, .pid = p->pid,
        .ppid = p->ppid, .pidfd_inode = p->pidfd_inode, .start_ticks = p->start_ticks,
        .spec = p->spec_text, .token = p->token[0] ? p->token : NULL,
        .exit_kind = (int)p->exit_kind, .exit_status = p->exit_status, .exit_reason = (int)p->exit_reason,
        .core_dumped = p->core_dumped, .paused = p->paused, .usage_known = p->usage_known,
        .user_us = p->user_us, .system_us = p->system_us, .max_rss_bytes = p->max_rss_bytes,
        .stdout_bytes = p->stdout_bytes, .stderr_bytes = p->stderr_bytes,
        .dropped_bytes = p->dropped_bytes, .open_streams = p->open_streams,
        .descendants = p->descendants, .stop_reason = (int)p->stop_reason,
        .stop_signal = p->stop_signal_sent, .stop_deadline_at_us = p->stop_deadline_at_us,
        .start_errno = p->start_errno, .start_stage = p->start_stage, .revision = p->revision};
    memcpy(row->id, p->id.bytes, sizeof row->id);
}

void process_from_row(struct process *p, const struct process_row *row)
{
    p->created_at_us = row->created_at_us;
    p->started_at_us = row->started_at_us;
    p->exited_at_us = row->exited_at_us;
    p->pid = row->pid;
    p->ppid = row->ppid;
    p->pidfd_inode = row->pidfd_inode;
    p->start_ticks = row->start_ticks;
    snprintf(p->token, sizeof p->token, "%s", row->token ? row->token : "");
    p->exit_kind = (enum exit_kind)row->exit_kind;
    p->exit_status = row->exit_status;
    p->exit_reason = (enum exit_reason)row->exit_reason;
    p->core_dumped = row->core_dumped;
    p->paused = row->paused;
    p->usage_known = row->usage_known;
    p->user_us = row->user_us;
    p->system_us = row->system_us;
    p->max_rss_bytes = row->max_rss_bytes;
    p->stdout_bytes = row->stdout_bytes;
    p->stderr_bytes = row->stderr_bytes;
    p->dropped_bytes = row->dropped_bytes;
    p->open_streams = row->open_streams;
    p->descendants = row->descendants;
    p->stop_reason = (enum stop_reason)row->stop_reason;
    p->stop_signal_sent = row->stop_signal;
    p->stop_deadline_at_us = row->stop_deadline_at_us;
    p->start_errno = row->start_errno;
    p->start_stage = row->start_stage;
    p->revision = row->revision;
}
