/* Records of output as JSON, NDJSON, events or bytes; see log_record.h. */
#include "api/log_record.h"

void item_begin(struct text *text, enum stream_form form, uint64_t id, const char *event)
{
    if (form == STREAM_FORM_JSON) {
        text_json_comma(text);
    } else if (form == STREAM_FORM_SSE) {
        text_put(text, "id: ");
        text_unsigned(text, id);
        text_put(text, "\nevent: ");
        text_put(text, event);
        text_put(text, "\ndata: ");
    }
}

/* JSON has no newline in it, so one ends the NDJSON line, and two the event. */
void item_end(struct text *text, enum stream_form form)
{
    if (form == STREAM_FORM_NDJSON) {
        text_putc(text, '\n');
    } else if (form == STREAM_FORM_SSE) {
        text_add(text, "\n\n", 2);
    }
}

static void put_stream(struct text *text, enum log_stream stream)
{
    text_put(text, ",\"stream\":");
    text_json_string(text, stream == LOG_STDOUT   ? "stdout"
                           : stream == LOG_STDERR ? "stderr"
                                                  : NULL);
}

static void put_unless_zero(struct text *text, uint64_t value)
{
    if (value) {
        text_unsigned(text, value);
    } else {
        text_put(text, "null");
    }
}

static void put_gap(struct text *text, const struct log_record *record)
{
    static const char *const reasons[] = {
        [LOG_GAP_DROP_OLDEST] = "drop_oldest", [LOG_GAP_DROP_NEWEST] = "drop_newest",
        [LOG_GAP_RETENTION] = "retention", [LOG_GAP_KEEPER_LOST] = "keeper_lost",
        [LOG_GAP_TRIMMED] = "trimmed"};
    text_put(text, ",\"gap\":{\"bytes\":");
    put_unless_zero(text, record->gap_bytes);
    text_put(text, ",\"records\":");
    put_unless_zero(text, record->gap_records);
    text_put(text, ",\"reason\":\"");
    text_put(text, reasons[record->gap]);
    text_put(text, "\"}");
}

static void put_line(struct text *text, const struct log_record *record)
{
    if (utf8_valid(record->data, record->bytes)) {
        text_put(text, ",\"text\":");
        text_json_bytes(text, record->data, record->bytes);
    } else {
        text_put(text, ",\"data_base64\":");
        text_json_base64(text, record->data, record->bytes);
    }
    text_put(text, ",\"partial\":");
    text_json_bool(text, record->partial);
}

static void put_bytes(struct text *text, const struct log_record *record)
{
    if (record->gap == LOG_GAP_NONE) {
        text_add(text, record->data, record->bytes);
        if (record->newline) {
            text_putc(text, '\n');
        }
    }
}

void log_record_write(struct text *text, enum stream_form form, const struct log_record *record)
{
    if (form == STREAM_FORM_RAW) {
        put_bytes(text, record);
        return;
    }
    bool gap = record->gap != LOG_GAP_NONE;
    item_begin(text, form, record->seq, gap ? "gap" : "line");
    text_put(text, "{\"seq\":");
    text_unsigned(text, record->seq);
    text_put(text, ",\"at\":");
    text_json_time(text, record->at_us);
    put_stream(text, record->stream);
    (gap ? put_gap : put_line)(text, record);
    text_putc(text, '}');
    item_end(text, form);
}
