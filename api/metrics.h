/*
 * What the tables of GET /metrics share: metrics.c has that of the daemon, metrics_objects.c that of coordination
 * objects.
 */
#ifndef FORKFUL_API_METRICS_H
#define FORKFUL_API_METRICS_H

#include "api/app.h"

/* One picture of the daemon, taken at the start of an answer. */
struct picture {
    const struct app *app;
    const struct service *service;
    struct writer_health writer;
    const struct spool *spool;
    uint64_t stdout_bytes, stderr_bytes, dropped_bytes;
    int64_t started_at_us;
    uint64_t holds[HOLD_KINDS];        /* live ones */
};

/* `name` is without forkful_; a counter's ends in _total, and the unit stands before that. */
struct metric {
    const char *name, *type, *help;
    void (*write)(struct text *out, const struct metric *metric, const struct picture *picture);
};

void metric_sample(struct text *out, const struct metric *metric, uint64_t value);
void metric_labelled(struct text *out, const struct metric *metric, const char *label,
                     const char *word, uint64_t value);

extern const struct metric object_metrics[];  /* ends with name NULL */
/* Counts what they show. */
void picture_objects(struct picture *picture);

#endif
