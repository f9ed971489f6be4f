/* The feeds: the life cycle of things, the daemon's own log, the audit; see service.h. */
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "service/coordination.h"
#include "service/service.h"

static const struct {
    enum log_level level;
    const char *name;
} levels[] = {{LEVEL_DEBUG, "debug"}, {LEVEL_INFO, "info"}, {LEVEL_WARNING, "warning"},
              {LEVEL_ERROR, "error"}};

const char *log_level_name(enum log_level level)
{
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        if (levels[i].level == level) {
            return levels[i].name;
        }
    }
    return "info";
}

bool log_level_from_name(const char *name, enum log_level *out)
{
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        if (strcmp(levels[i].name, name) == 0) {
            *out = levels[i].level;
            return true;
        }
    }
    return false;
}

void service_change(struct service *service, const char *type, const char *ref, const char *data)
{
    struct change_row row = {.seq = ++service->changes.last, .at_us = time_now_us(), .type = type,
                             .ref = ref, .data = data};
    if (!change_insert(recorder_batch(service->recorder), &row)) {
        recorder_fatal("out of memory for a change");
    }
    recorder_urgent(service->recorder);
}

void service_change_process(struct service *service, const char *type,
                            const struct process *process)
{
    struct text data = {0};
    process_json(&data, process);
    if (data.failed) {
        recorder_fatal("out of memory for a change");
    }
    service_change(service, type, process->id_text, data.data);
    text_free(&data);
}

/* On stderr, unless it is a pipe that nobody reads: that must not hold up the loop. */
static void say(enum log_level level, const char *text)
{
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&room, 1, 0) == 1) {
        fprintf(stderr, "forkful: %s: %s\n", log_level_name(level), text);
    }
}

void service_log(struct service *service, enum log_level level, const struct process *process,
                 const char *format, ...)
{
    char text[1024];
    va_list arguments;
    if (level < service->log_level) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct daemon_log_row row = {.seq = ++service->log.last, .at_us = time_now_us(),
                                 .level = (int)level, .text = text};
    if (process) {
        row.process = process->num;
        row.ref = process->id_text;
        row.name = process->name;
    }
    if (!daemon_log_insert(recorder_batch(service->recorder), &row)) {
        recorder_fatal("out of memory for a log record");
    }
    if (level >= LEVEL_WARNING) {
        say(level, text);
    }
}

void service_audit(struct service *service, struct audit_row *row)
{
    row->seq = ++service->audit.last;
    row->at_us = time_now_us();
    if (!audit_insert(recorder_batch(service->recorder), row)) {
        recorder_fatal("out of memory for the audit");
    }
}

void feeds_stored(void *context)
{
    struct service *service = context;
    coordination_stored(service);
    wait_list_wake_all(&service->changes.followers);
    wait_list_wake_all(&service->log.followers);
    wait_list_wake_all(&service->audit.followers);
}
