/*
 * The operations on logs: what the loop puts into a batch, what the writer does with it.
 */
#include <endian.h>
#include <string.h>

#include "db/logs.h"
#include "db/writer_thread.h"

struct log_operation {
    struct operation base;
    int64_t process;
    uint64_t position;       /* end of the fact; 0: not from the spool */
    int64_t at_us;
    const void *data;
    size_t bytes;
    uint64_t number;         /* append: max_bytes; gap: lost bytes; trim: before_seq */
    enum log_stream stream;
    enum log_gap_reason reason;
};

/* The appender to work on; NULL with SQLITE_OK: this was applied before. */
static struct log_appender *begin(struct writer *writer, const struct log_operation *operation,
                                  int *code)
{
    *code = SQLITE_OK;
    if (operation->position && writer_has_applied(writer, operation->position)) {
        return NULL;
    }
    return log_store_get(writer_logs(writer), operation->process, code);
}

static int run_append(struct writer *writer, struct operation *base)
{
    const struct log_operation *operation = (const struct log_operation *)base;
    int code;
    struct log_appender *appender = begin(writer, operation, &code);
    if (!appender) {
        return code;
    }
    appender->max_bytes = operation->number;
    struct log_segment segment = { .kind = LOG_DATA, .stream = operation->stream,
                                   .at_us = operation->at_us, .data = operation->data,
                                   .bytes = operation->bytes };
    return log_store_put(writer_logs(writer), appender, &segment);
}

/* Nothing is stored for a stream that ends after a newline. */
static int run_close_stream(struct writer *writer, struct operation *base)
{
    const struct log_operation *operation = (const struct log_operation *)base;
    int code;
    struct log_appender *appender = begin(writer, operation, &code);
    if (!appender || appender->end.open[operation->stream - 1] == 0) {
        return code;
    }
    struct log_segment segment = { .kind = LOG_CLOSE, .stream = operation->stream,
                                   .at_us = operation->at_us, .data = "" };
    return log_store_put(writer_logs(writer), appender, &segment);
}

static int run_gap(struct writer *writer, struct operation *base)
{
    const struct log_operation *operation = (const struct log_operation *)base;
    int code;
    struct log_appender *appender = begin(writer, operation, &code);
    if (!appender) {
        return code;
    }
    uint64_t payload[2] = { htole64(operation->number), htole64((uint64_t)operation->reason) };
    struct log_segment segment = { .kind = LOG_GAP, .stream = operation->stream,
                                   .at_us = operation->at_us, .data = (const char *)payload,
                                   .bytes = sizeof payload };
    return log_store_put(writer_logs(writer), appender, &segment);
}

static int run_trim(struct writer *writer, struct operation *base)
{
    const struct log_operation *operation = (const struct log_operation *)base;
    int code;
    struct log_appender *appender = begin(writer, operation, &code);
    return appender ? log_trim_before(writer_logs(writer), appender, operation->number) : code;
}

static int run_finished(struct writer *writer, struct operation *base)
{
    int code;
    struct log_appender *appender = begin(writer, (const struct log_operation *)base, &code);
    if (appender) {
        appender->finished = true;
    }
    return code;
}

static const struct operation_type append_type = { "log_append", DB_LOGS, run_append };
static const struct operation_type close_type = { "log_close_stream", DB_LOGS, run_close_stream };
static const struct operation_type gap_type = { "log_gap", DB_LOGS, run_gap };
static const struct operation_type trim_type = { "log_trim", DB_LOGS, run_trim };
static const struct operation_type finished_type = { "log_finished", DB_LOGS, run_finished };

static struct log_operation *add(struct batch *batch, const struct operation_type *type,
                                 int64_t process, uint64_t position)
{
    struct log_operation *operation = batch_add(batch, type, sizeof *operation);
    if (operation) {
        operation->process = process;
        operation->position = position;
    }
    return operation;
}

bool log_append(struct batch *batch, int64_t process, uint64_t position, enum log_stream stream,
                int64_t at_us, const void *data, size_t bytes, uint64_t max_bytes)
{
    if (bytes == 0) {
        return true;
    }
    struct log_operation *operation = add(batch, &append_type, process, position);
    if (!operation) {
        return false;
    }
    operation->stream = stream;
    operation->at_us = at_us;
    operation->data = data;
    operation->bytes = bytes;
    operation->number = max_bytes;
    batch->output_bytes += bytes;
    return true;
}

bool log_close_stream(struct batch *batch, int64_t process, uint64_t position,
                      enum log_stream stream, int64_t at_us)
{
    struct log_operation *operation = add(batch, &close_type, process, position);
    if (!operation) {
        return false;
    }
    operation->stream = stream;
    operation->at_us = at_us;
    return true;
}

bool log_gap(struct batch *batch, int64_t process, uint64_t position, enum log_stream stream,
             int64_t at_us, uint64_t bytes, enum log_gap_reason reason)
{
    struct log_operation *operation = add(batch, &gap_type, process, position);
    if (!operation) {
        return false;
    }
    operation->stream = stream;
    operation->at_us = at_us;
    operation->number = bytes;
    operation->reason = reason;
    return true;
}

bool log_trim(struct batch *batch, int64_t process, uint64_t before_seq)
{
    struct log_operation *operation = add(batch, &trim_type, process, 0);
    if (operation) {
        operation->number = before_seq;
    }
    return operation != NULL;
}

bool log_finished(struct batch *batch, int64_t process, uint64_t position)
{
    return add(batch, &finished_type, process, position) != NULL;
}
