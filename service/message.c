/*
 * Messages; see message.h.
 */
#include "service/message.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "service/json_read.h"
#include "service/json_valid.h"

static const char *const state_names[MESSAGE_STATES] = {
    [MESSAGE_READY] = "ready", [MESSAGE_DELAYED] = "delayed", [MESSAGE_LEASED] = "leased",
    [MESSAGE_BURIED] = "buried"};

const char *message_state_name(enum message_state state)
{
    return state_names[state];
}

bool message_state_from_name(const char *name, size_t bytes, enum message_state *out)
{
    for (int state = 0; state < MESSAGE_STATES; state++) {
        if (strlen(state_names[state]) == bytes && memcmp(state_names[state], name, bytes) == 0) {
            *out = (enum message_state)state;
            return true;
        }
    }
    return false;
}

/* ---- making ---- */

struct message *message_new(const struct message_content *content)
{
    size_t type_bytes = content->content_type ? strlen(content->content_type) : 0;
    if (type_bytes > MESSAGE_TYPE_BYTES || content->body_bytes > SIZE_MAX / 2) {
        return NULL;
    }
    struct message *message = malloc(sizeof *message + type_bytes + 1 + content->body_bytes);
    if (!message) {
        return NULL;
    }
    *message = (struct message){.body_bytes = content->body_bytes,
                                .type_bytes = (unsigned)type_bytes};
    if (type_bytes) {
        memcpy(message->data, content->content_type, type_bytes);
    }
    message->data[type_bytes] = '\0';
    if (content->body_bytes) {
        memcpy(message->data + type_bytes + 1, content->body, content->body_bytes);
    }
    return message;
}

void message_free(struct message *message)
{
    if (message) {
        free(message->history);
        free(message->reason);
        free(message);
    }
}

bool message_has_expired(const struct message *message)
{
    return message->expires_at_us && message->expires_at_us <= time_steady_us();
}

const char *message_content_type(const struct message *message)
{
    return message->type_bytes ? message->data : NULL;
}

const char *message_body(const struct message *message)
{
    return message->data + message->type_bytes + 1;
}

void message_set_reason(struct message *message, const char *reason)
{
    free(message->reason);
    message->reason = reason ? strdup(reason) : NULL;
}

/* ---- attempts ---- */

static struct attempt *next_attempt(struct message *message)
{
    struct attempts *history = message->history;
    if (!history) {
        history = message->history = calloc(1, sizeof *history);
    }
    if (history && history->count == MESSAGE_ATTEMPTS) {
        memmove(history->items, history->items + 1,
                (MESSAGE_ATTEMPTS - 1) * sizeof history->items[0]);
        history->count--;
    }
    return history ? &history->items[history->count++] : NULL;
}

void message_note_end(struct message *message, const struct hold *hold)
{
    struct attempt *attempt = next_attempt(message);
    if (attempt) {
        *attempt = (struct attempt){
            .number = message->attempts, .hold = hold->id, .owner = hold->owner,
            .granted_at_us = hold->granted_at_us, .ended_at_us = hold->ended_at_us,
            .end = hold->end, .exitcode_known = hold->cause.exitcode_known,
            .exitcode = hold->cause.exitcode};
    }
}

/* ---- showing ---- */

/* "application/json", "application/problem+json", each with parameters or without. */
bool message_type_is_json(const char *type)
{
    size_t bytes = type ? strcspn(type, "; \t") : 0;
    return (bytes == 16 && strncasecmp(type, "application/json", 16) == 0) ||
           (bytes > 5 && strncasecmp(type + bytes - 5, "+json", 5) == 0);
}

void message_write_body(struct text *text, const struct message *message)
{
    const char *body = message_body(message), *type = message_content_type(message);
    text_json_key(text, "content_type");
    text_json_string(text, type);
    if (message_type_is_json(type) && json_valid(body, message->body_bytes)) {
        text_json_key(text, "body");
        text_add(text, body, message->body_bytes);
    } else if (utf8_valid(body, message->body_bytes)) {
        text_json_key(text, "body");
        text_json_bytes(text, body, message->body_bytes);
    } else {
        text_json_key(text, "body_base64");
        text_json_base64(text, body, message->body_bytes);
    }
}

void message_write_head(struct text *text, const struct message *message)
{
    char id[ID_TEXT_BYTES];
    id_format(&message->id, 'm', id);
    text_json_key(text, "id");
    text_json_string(text, id);
    text_json_key(text, "state");
    text_json_string(text, state_names[message->state]);
    text_json_key(text, "priority");
    text_number(text, message->priority);
    text_json_key(text, "attempt");
    text_unsigned(text, message->attempts);
    text_json_key(text, "size_bytes");
    text_unsigned(text, message->body_bytes);
    text_json_key(text, "enqueued_at");
    text_json_time(text, message->enqueued_at_us);
    text_json_key(text, "ready_at");
    text_json_time(text, message->state == MESSAGE_DELAYED ? message->ready_at_us : 0);
    text_json_key(text, "expires_at");
    text_json_time(text, message->expires_at_us);
}

static void write_exitcode(struct text *text, const struct attempt *attempt)
{
    text_json_key(text, "exitcode");
    if (attempt->exitcode_known) {
        text_number(text, attempt->exitcode);
    } else {
        text_put(text, "null");
    }
}

static void write_attempt(struct text *text, const struct attempt *attempt)
{
    char hold[ID_TEXT_BYTES];
    id_format(&attempt->hold, 'h', hold);
    text_json_comma(text);
    text_put(text, "{\"number\":");
    text_number(text, attempt->number);
    text_json_key(text, "hold");
    text_json_string(text, hold);
    text_json_key(text, "owner");
    owner_json(text, &attempt->owner);
    text_json_key(text, "granted_at");
    text_json_time(text, attempt->granted_at_us);
    text_json_key(text, "ended_at");
    text_json_time(text, attempt->ended_at_us);
    text_json_key(text, "ended");
    text_json_string(text, hold_end_name(attempt->end));
    write_exitcode(text, attempt);
    text_putc(text, '}');
}

/* The one that goes on now. */
static void write_lease(struct text *text, const struct message *message)
{
    const struct hold *hold = message->hold;
    write_attempt(text, &(struct attempt){.number = message->attempts, .hold = hold->id,
                                          .owner = hold->owner,
                                          .granted_at_us = hold->granted_at_us,
                                          .end = HOLD_LIVE});
}

/* Who has it, or had it last before it was buried, and how that one ended. */
static void write_owner(struct text *text, const struct message *message)
{
    const struct attempts *history = message->history;
    bool buried = message->state == MESSAGE_BURIED && history && history->count;
    struct attempt last = buried ? history->items[history->count - 1] : (struct attempt){0};
    text_json_key(text, "owner");
    owner_json(text, message->hold ? &message->hold->owner : &last.owner);
    write_exitcode(text, &last);
}

void message_write_history(struct text *text, const struct message *message)
{
    const struct attempts *history = message->history;
    write_owner(text, message);
    text_json_key(text, "reason");
    text_json_string(text, message->reason);
    text_json_key(text, "buried_at");
    text_json_time(text, message->state == MESSAGE_BURIED ? message->buried_at_us : 0);
    text_json_key(text, "attempts");
    text_putc(text, '[');
    for (size_t i = 0; history && i < history->count; i++) {
        write_attempt(text, &history->items[i]);
    }
    if (message->hold) {
        write_lease(text, message);
    }
    text_putc(text, ']');
}

/* ---- the durable form ---- */

/* An attempt in the database: numbers, and ids as they are shown. */
static void save_attempt(struct text *text, const struct attempt *attempt)
{
    char hold[ID_TEXT_BYTES];
    id_format(&attempt->hold, 'h', hold);
    text_json_comma(text);
    text_printf(text, "{\"n\":%lld,\"hold\":\"%s\",\"owner\":", (long long)attempt->number, hold);
    owner_json(text, &attempt->owner);
    text_printf(text, ",\"from\":%lld,\"to\":%lld,\"end\":%d", (long long)attempt->granted_at_us,
                (long long)attempt->ended_at_us, (int)attempt->end);
    write_exitcode(text, attempt);
    text_putc(text, '}');
}

static void save_last(struct text *text, const struct message *message)
{
    const struct attempts *history = message->history;
    if (!history && !message->reason) {
        return;
    }
    text_put(text, "{\"reason\":");
    text_json_string(text, message->reason);
    text_printf(text, ",\"buried\":%lld,\"attempts\":[", (long long)message->buried_at_us);
    for (size_t i = 0; history && i < history->count; i++) {
        save_attempt(text, &history->items[i]);
    }
    text_put(text, "]}");
}

static struct message_row row_of(const struct message *message, const struct text *last)
{
    return (struct message_row){
        .seq = message->seq, .object = ((const struct object *)message->queue)->num,
        .state = (int)message->state, .priority = message->priority,
        .ready_at_us = message->state == MESSAGE_DELAYED ? message->ready_at_us : 0,
        .expires_at_us = message->expires_at_us, .attempts = message->attempts,
        .enqueued_at_us = message->enqueued_at_us,
        .content_type = message_content_type(message), .last = last->data,
        .body = message_body(message), .body_bytes = message->body_bytes};
}

static bool store_by(struct batch *batch, const struct message *message,
                     bool (*put)(struct batch *batch, const struct message_row *row))
{
    struct text last = {0};
    save_last(&last, message);
    struct message_row row = row_of(message, &last);
    memcpy(row.id, message->id.bytes, sizeof row.id);
    bool stored = !last.failed && put(batch, &row);
    text_free(&last);
    return stored;
}

bool message_store(struct batch *batch, const struct message *message)
{
    return store_by(batch, message, message_row_insert);
}

bool message_store_change(struct batch *batch, const struct message *message)
{
    return store_by(batch, message, message_row_update);
}

static struct owner owner_from_json(const json_t *value)
{
    const char *text = json_string_value(value);
    struct owner owner = {0};
    if (text && id_parse(text, strlen(text), *text, &owner.id)) {
        owner.kind = *text == 'p' ? PARENT_PROCESS : PARENT_SESSION;
    }
    return owner;
}

static void load_attempt(struct attempt *attempt, const json_t *saved)
{
    const json_t *exitcode = json_object_get(saved, "exitcode");
    const char *hold = json_string_value(json_object_get(saved, "hold"));
    json_int_t end = json_integer_value(json_object_get(saved, "end"));
    if (hold) {
        id_parse(hold, strlen(hold), 'h', &attempt->hold);
    }
    attempt->number = json_integer_value(json_object_get(saved, "n"));
    attempt->owner = owner_from_json(json_object_get(saved, "owner"));
    attempt->granted_at_us = json_integer_value(json_object_get(saved, "from"));
    attempt->ended_at_us = json_integer_value(json_object_get(saved, "to"));
    attempt->end = end > 0 && end < HOLD_ENDS ? (enum hold_end)end : HOLD_CLOSED;
    attempt->exitcode_known = json_is_integer(exitcode);
    attempt->exitcode = (int)json_integer_value(exitcode);
}

/* What was remembered is worth less than the message: without memory it goes on without. */
static void load_last(struct message *message, const char *last)
{
    json_t *saved = json_read_string(last);
    const char *reason = json_string_value(json_object_get(saved, "reason"));
    size_t index;
    json_t *item;
    message->reason = reason ? strdup(reason) : NULL;
    message->buried_at_us = json_integer_value(json_object_get(saved, "buried"));
    json_array_foreach(json_object_get(saved, "attempts"), index, item) {
        struct attempt *attempt = next_attempt(message);
        if (attempt) {
            load_attempt(attempt, item);
        }
    }
    json_decref(saved);
}

struct message *message_from_row(const struct message_row *row)
{
    struct message *message =
        message_new(&(struct message_content){row->content_type, row->body, row->body_bytes});
    if (!message) {
        return NULL;
    }
    memcpy(message->id.bytes, row->id, sizeof row->id);
    message->seq = row->seq;
    message->priority = row->priority;
    message->state = row->state >= 0 && row->state < MESSAGE_STATES
                         ? (enum message_state)row->state
                         : MESSAGE_READY;
    message->ready_at_us = row->ready_at_us;
    message->expires_at_us = row->expires_at_us;
    message->attempts = (unsigned)row->attempts;
    message->enqueued_at_us = row->enqueued_at_us;
    load_last(message, row->last);
    return message;
}

/* ---- the heap ---- */

#define FIRST_ROOM 16u

bool message_heap_reserve(struct message_heap *heap, size_t count)
{
    size_t room = heap->room ? heap->room : FIRST_ROOM;
    if (count <= heap->room) {
        return true;
    }
    while (room < count) {
        room *= 2;
    }
    struct message **items = realloc(heap->items, room * sizeof *items);
    if (!items) {
        return false;
    }
    heap->items = items;
    heap->room = room;
    return true;
}

static bool goes_before(const struct message *a, const struct message *b)
{
    return a->priority != b->priority ? a->priority > b->priority : a->seq < b->seq;
}

static void put_at(struct message_heap *heap, size_t index, struct message *message)
{
    heap->items[index] = message;
    message->place = index + 1;
}

static void sift_up(struct message_heap *heap, size_t index, struct message *message)
{
    while (index > 0 && goes_before(message, heap->items[(index - 1) / 2])) {
        put_at(heap, index, heap->items[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    put_at(heap, index, message);
}

static void sift_down(struct message_heap *heap, size_t index, struct message *message)
{
    for (size_t child; (child = 2 * index + 1) < heap->count; index = child) {
        if (child + 1 < heap->count && goes_before(heap->items[child + 1], heap->items[child])) {
            child++;
        }
        if (!goes_before(heap->items[child], message)) {
            break;
        }
        put_at(heap, index, heap->items[child]);
    }
    put_at(heap, index, message);
}

void message_heap_push(struct message_heap *heap, struct message *message)
{
    sift_up(heap, heap->count++, message);
}

void message_heap_remove(struct message_heap *heap, struct message *message)
{
    size_t index = message->place - 1;
    struct message *last = heap->items[--heap->count];
    message->place = 0;
    if (last == message) {
        return;
    }
    if (index > 0 && goes_before(last, heap->items[(index - 1) / 2])) {
        sift_up(heap, index, last);
    } else {
        sift_down(heap, index, last);
    }
}
