/*
 * GET /metrics: counters and gauges in Prometheus' text format, version 0.0.4.
 *
 * A table row per metric: name, type, help, and the function that writes its samples from one
 * picture of the daemon, taken at the start.
 */
#include "api/metrics.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/handlers.h"
#include "api/respond.h"

#ifndef FORKFUL_VERSION
#define FORKFUL_VERSION "0.0.0"
#endif

/* ---- samples ---- */

void metric_sample(struct text *out, const struct metric *metric, uint64_t value)
{
    text_printf(out, "forkful_%s %llu\n", metric->name, (unsigned long long)value);
}

void metric_labelled(struct text *out, const struct metric *metric, const char *label,
                     const char *word, uint64_t value)
{
    text_printf(out, "forkful_%s{%s=\"%s\"} %llu\n", metric->name, label, word,
                (unsigned long long)value);
}

static void seconds(struct text *out, const struct metric *metric, int64_t us)
{
    text_printf(out, "forkful_%s %.6f\n", metric->name, (double)us / 1e6);
}

/* ---- one function per metric ---- */

static void build_info(struct text *out, const struct metric *metric, const struct picture *picture)
{
    (void)picture;
    metric_labelled(out, metric, "version", FORKFUL_VERSION, 1);
}

static void start_time(struct text *out, const struct metric *metric, const struct picture *picture)
{
    seconds(out, metric, picture->started_at_us);
}

static void uptime(struct text *out, const struct metric *metric, const struct picture *picture)
{
    int64_t us = time_now_us() - picture->started_at_us;
    seconds(out, metric, us > 0 ? us : 0);
}

static void restarts(struct text *out, const struct metric *metric, const struct picture *picture)
{
    metric_sample(out, metric, picture->app->server_restarts);
}

static void cpu(struct text *out, const struct metric *metric, const struct picture *picture)
{
    struct rusage usage;
    (void)picture;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        seconds(out, metric, (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * INT64_C(1000000) +
                                 usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    }
}

static void memory(struct text *out, const struct metric *metric, const struct picture *picture)
{
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long long pages;
    (void)picture;
    if (file) {
        if (fscanf(file, "%*u %llu", &pages) == 1) {
            metric_sample(out, metric, pages * (uint64_t)sysconf(_SC_PAGESIZE));
        }
        fclose(file);
    }
}

static void ready(struct text *out, const struct metric *metric, const struct picture *picture)
{
    metric_sample(out, metric, !picture->service->shutting_down && !picture->writer.degraded);
}

static void processes(struct text *out, const struct metric *metric, const struct picture *picture)
{
    for (int state = STATE_CREATED; state < STATES; state++) {
        metric_labelled(out, metric, "state", process_state_name((enum process_state)state),
                 picture->service->processes.states[state]);
    }
}

static void made(struct text *out, const struct metric *metric, const struct picture *picture)
{
    metric_sample(out, metric, (uint64_t)picture->service->processes.last_num);
}

static void ends(struct text *out, const struct metric *metric, const struct picture *picture)
{
    for (int reason = REASON_NONE + 1; reason < REASONS; reason++) {
        metric_labelled(out, metric, "reason", exit_reason_name((enum exit_reason)reason),
                 picture->service->ends[reason]);
    }
}

static void sessions(struct text *out, const struct metric *metric, const struct picture *picture)
{
    metric_sample(out, metric, picture->service->sessions.count);
}

static void output_bytes(struct text *out, const struct metric *metric,
                         const struct picture *picture)
{
    metric_labelled(out, metric, "stream", "stdout", picture->stdout_bytes);
    metric_labelled(out, metric, "stream", "stderr", picture->stderr_bytes);
}

static void dropped_bytes(struct text *out, const struct metric *metric,
                          const struct picture *picture)
{
    metric_sample(out, metric, picture->dropped_bytes);
}

static void log_bytes(struct text *out, const struct metric *metric, const struct picture *picture)
{
    metric_sample(out, metric, picture->writer.log_bytes);
}

static void spool_size(struct text *out, const struct metric *metric, const struct picture *picture)
{
    metric_sample(out, metric, picture->spool->ring_bytes);
}

static void spool_used(struct text *out, const struct metric *metric, const struct picture *picture)
{
    metric_sample(out, metric, picture->spool->header->head - picture->spool->header->tail);
}

static void spool_facts(struct text *out, const struct metric *metric,
                        const struct picture *picture)
{
    metric_sample(out, metric, picture->spool->sequence);
}

static void batches(struct text *out, const struct metric *metric, const struct picture *picture)
{
    metric_sample(out, metric, picture->writer.batches);
}

static void durable_batches(struct text *out, const struct metric *metric,
                            const struct picture *picture)
{
    metric_sample(out, metric, picture->writer.durable_batches);
}

static void operations(struct text *out, const struct metric *metric, const struct picture *picture)
{
    metric_sample(out, metric, picture->writer.operations);
}

static void retries(struct text *out, const struct metric *metric, const struct picture *picture)
{
    metric_sample(out, metric, picture->writer.retries);
}

static void degraded(struct text *out, const struct metric *metric, const struct picture *picture)
{
    metric_sample(out, metric, picture->writer.degraded);
}

static void connections(struct text *out, const struct metric *metric,
                        const struct picture *picture)
{
    metric_sample(out, metric, http_connections(picture->app->http));
}

static void parked(struct text *out, const struct metric *metric, const struct picture *picture)
{
    metric_sample(out, metric, http_parked(picture->app->http));
}

static void changes(struct text *out, const struct metric *metric, const struct picture *picture)
{
    metric_sample(out, metric, picture->service->changes.last);
}

/* ---- the table ---- */

static const struct metric metrics[] = {
    {"build_info", "gauge", "Always 1; the label tells the version.", build_info},
    {"start_time_seconds", "gauge", "When the daemon was started, since 1970.", start_time},
    {"uptime_seconds", "gauge", "How long the daemon runs.", uptime},
    {"server_restarts_total", "counter", "How often the server was started again.", restarts},
    {"server_cpu_seconds_total", "counter", "Processor time of this server.", cpu},
    {"server_resident_memory_bytes", "gauge", "Memory of this server.", memory},
    {"ready", "gauge", "1 while work is taken: the database can be written, no shutdown.", ready},
    {"processes", "gauge", "Records of processes by state.", processes},
    {"processes_made_total", "counter", "Processes made so far.", made},
    {"processes_ended_total", "counter", "Ends seen by this server, by their reason.", ends},
    {"sessions", "gauge", "Living sessions.", sessions},
    {"output_bytes", "gauge", "Output of the processes whose records are kept.", output_bytes},
    {"output_dropped_bytes", "gauge", "Output of these that was not kept.", dropped_bytes},
    {"log_stored_bytes", "gauge", "Output that is stored now.", log_bytes},
    {"spool_size_bytes", "gauge", "Size of the ring between keeper and server.", spool_size},
    {"spool_used_bytes", "gauge", "What waits there to be stored.", spool_used},
    {"spool_facts_total", "counter", "Facts told since the spool was made.", spool_facts},
    {"writer_batches_total", "counter", "Transactions committed by this server.", batches},
    {"writer_durable_batches_total", "counter", "Of these, with an fsync.", durable_batches},
    {"writer_operations_total", "counter", "Operations in these.", operations},
    {"writer_retries_total", "counter", "Transactions tried again after an error.", retries},
    {"writer_degraded", "gauge", "1 while the database cannot be written.", degraded},
    {"http_connections", "gauge", "Open connections of clients.", connections},
    {"http_parked_requests", "gauge", "Calls that wait.", parked},
    {"changes_total", "counter", "Changes in the life-cycle feed.", changes},
    {0}};

static void take_picture(struct picture *picture, const struct app *app)
{
    const struct service *service = &app->service;
    int64_t keeper_started_at_us = service->keeper.keeper_started_at_us;
    *picture = (struct picture){.app = app, .service = service,
                                .spool = recorder_spool(service->recorder),
                                .started_at_us = keeper_started_at_us ? keeper_started_at_us
                                                                      : service->started_at_us};
    writer_health(recorder_writer(service->recorder), &picture->writer);
    for (const struct process *p = service->processes.first; p; p = p->next) {
        picture->stdout_bytes += p->stdout_bytes;
        picture->stderr_bytes += p->stderr_bytes;
        picture->dropped_bytes += p->dropped_bytes;
    }
    picture_objects(picture);
}

/* One that has no sample now is left out. */
static void write_table(struct text *out, const struct metric *at, const struct picture *picture)
{
    for (; at->name; at++) {
        struct text samples = {0};
        at->write(&samples, at, picture);
        if (samples.bytes > 0) {
            text_printf(out, "# HELP forkful_%s %s\n# TYPE forkful_%s %s\n", at->name, at->help,
                        at->name, at->type);
            text_add(out, samples.data, samples.bytes);
        }
        out->failed = out->failed || samples.failed;
        text_free(&samples);
    }
}

void handle_get_metrics(struct request *request)
{
    struct picture picture;
    struct text out = {0};
    take_picture(&picture, request_app(request));
    write_table(&out, metrics, &picture);
    write_table(&out, object_metrics, &picture);
    answer_text(request, 200, "text/plain; version=0.0.4; charset=utf-8", &out);
}
