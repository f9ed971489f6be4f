/*
 * One record of a process's output in the form the client asked for. Called on the reader threads,
 * for every line that leaves the daemon: it writes straight into the answer's text.
 */
#ifndef FORKFUL_API_LOG_RECORD_H
#define FORKFUL_API_LOG_RECORD_H

#include "api/stream.h"
#include "db/logs.h"

/* JSON: an item of an array (with the comma before it). NDJSON: a line. SSE: an event `line` or
   `gap`. Raw: the bytes with their newline; nothing for a gap. */
void log_record_write(struct text *text, enum stream_form form, const struct log_record *record);

/* What stands around an item's JSON in each form: item_begin, the object, item_end. */
void item_begin(struct text *text, enum stream_form form, uint64_t id, const char *event);
void item_end(struct text *text, enum stream_form form);

#endif
