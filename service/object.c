/*
 * Objects; see object.h.
 */
#include "service/object.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "db/coordination.h"
#include "service/coordination.h"
#include "service/json_read.h"
#include "service/service.h"

#define FIRST_BUCKETS 64u

bool object_name_valid(const char *name, size_t bytes)
{
    static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    static const char rest[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    return bytes > 0 && bytes < OBJECT_NAME_BYTES && strchr(first, name[0]) &&
           strspn(name, rest) == bytes;
}

/* ---- the table of names ---- */

static size_t bucket_of(const struct object_table *table, enum object_kind kind, const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u ^ (unsigned)kind; /* FNV-1a */
    for (; *name; name++) {
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    }
    return (size_t)(hash ^ hash >> 32) & (table->bucket_count - 1);
}

static bool grow(struct object_table *table)
{
    size_t count = table->bucket_count ? table->bucket_count * 2 : FIRST_BUCKETS;
    struct object **buckets = calloc(count, sizeof(struct object *));
    if (!buckets) {
        return false;
    }
    free(table->buckets);
    table->buckets = buckets;
    table->bucket_count = count;
    for (int kind = 0; kind < OBJECT_KINDS; kind++) {
        for (struct object *at = table->first[kind]; at; at = at->next) {
            struct object **bucket = &buckets[bucket_of(table, at->type->kind, at->name)];
            at->next_in_bucket = *bucket;
            *bucket = at;
        }
    }
    return true;
}

struct object *object_find(struct service *service, enum object_kind kind, const char *name)
{
    const struct object_table *table = &service->objects;
    struct object *at = table->bucket_count ? table->buckets[bucket_of(table, kind, name)] : NULL;
    while (at && (at->type->kind != kind || strcmp(at->name, name) != 0)) {
        at = at->next_in_bucket;
    }
    return at;
}

static void join_table(struct object_table *table, struct object *object)
{
    enum object_kind kind = object->type->kind;
    struct object **bucket = &table->buckets[bucket_of(table, kind, object->name)];
    object->next_in_bucket = *bucket;
    *bucket = object;
    object->previous = table->last[kind];
    *(table->last[kind] ? &table->last[kind]->next : &table->first[kind]) = object;
    table->last[kind] = object;
    table->counts[kind]++;
    table->count++;
}

static void leave_table(struct object_table *table, struct object *object)
{
    enum object_kind kind = object->type->kind;
    struct object **at = &table->buckets[bucket_of(table, kind, object->name)];
    while (*at != object) {
        at = &(*at)->next_in_bucket;
    }
    *at = object->next_in_bucket;
    *(object->previous ? &object->previous->next : &table->first[kind]) = object->next;
    *(object->next ? &object->next->previous : &table->last[kind]) = object->previous;
    table->counts[kind]--;
    table->count--;
}

static void join_owner(struct object *object)
{
    struct belongings *belongings =
        object->ends_with_owner ? owner_belongings(object->service, &object->owner) : NULL;
    if (belongings) {
        object->next_of_owner = belongings->objects;
        if (belongings->objects) {
            belongings->objects->previous_of_owner = object;
        }
        belongings->objects = object;
    }
}

static void leave_owner(struct object *object)
{
    struct belongings *belongings =
        object->ends_with_owner ? owner_belongings(object->service, &object->owner) : NULL;
    if (!belongings) {
        return;
    }
    *(object->previous_of_owner ? &object->previous_of_owner->next_of_owner
                                : &belongings->objects) = object->next_of_owner;
    if (object->next_of_owner) {
        object->next_of_owner->previous_of_owner = object->previous_of_owner;
    }
}

/* ---- making ---- */

static void free_object(struct object *object)
{
    pending_forget(&object->making);
    if (object->type->release) {
        object->type->release(object);
    }
    free(object);
}

static void free_deferred(struct deferred *deferred)
{
    free_object((struct object *)((char *)deferred - offsetof(struct object, free_later)));
}

static struct object *object_new(struct service *service, enum object_kind kind, const char *name)
{
    const struct object_type *type = object_types[kind];
    struct object *object = calloc(1, type->bytes);
    if (!object) {
        return NULL;
    }
    object->type = type;
    object->service = service;
    object->durable = true;
    object->free_later.run = free_deferred;
    snprintf(object->name, sizeof object->name, "%s", name);
    snprintf(object->resource, sizeof object->resource, "%s/%s", type->plural, name);
    return object;
}

static bool table_add(struct object_table *table, struct object *object)
{
    if (table->count + 1 > table->bucket_count && !grow(table)) {
        return false;
    }
    join_table(table, object);
    join_owner(object);
    return true;
}

/* What is compared, and what the database keeps, in one. */
static void write_config(struct text *text, const struct object *object)
{
    text_put(text, "{\"lifetime\":");
    text_put(text, object->ends_with_owner ? "\"owner\"" : "\"permanent\"");
    text_json_key(text, "durable");
    text_json_bool(text, object->durable);
    object->type->write_config(text, object);
    text_putc(text, '}');
}

/* Which members differ, for the one who asked; both are what write_config wrote. */
static struct problem *config_differs(const struct object *object, const struct text *there,
                                      const struct text *wanted)
{
    struct problem *problem =
        problem_make(PROBLEM_CONFIG_DIFFERS, "%s is there already, with another configuration",
                     object->resource);
    json_t *is = json_read(there->data, there->bytes, 0, NULL);
    json_t *asked = json_read(wanted->data, wanted->bytes, 0, NULL);
    const char *key;
    json_t *value;
    json_object_foreach(is, key, value) {
        if (!json_equal(value, json_object_get(asked, key))) {
            char pointer[80], *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
            bool secret = object->type->show_config && json_is_object(value);
            snprintf(pointer, sizeof pointer, "/%s", key);
            problem = problem_add(problem, PROBLEM_CONFIG_DIFFERS, FAULT_POINTER, pointer,
                                  "It is %.100s there.", secret ? "another" : text ? text : "?");
            free(text);
        }
    }
    json_decref(is);
    json_decref(asked);
    return problem;
}

static struct problem *compare(const struct object *there, const struct object *wanted)
{
    struct text is = {0}, asked = {0};
    struct problem *problem = NULL;
    write_config(&is, there);
    write_config(&asked, wanted);
    if (is.failed || asked.failed) {
        problem = problem_make(PROBLEM_OUT_OF_MEMORY, "no memory to compare %s", there->resource);
    } else if (is.bytes != asked.bytes || memcmp(is.data, asked.data, is.bytes) != 0) {
        problem = config_differs(there, &is, &asked);
    }
    text_free(&is);
    text_free(&asked);
    return problem;
}

static struct problem *refuse_new(struct service *service, struct object *wanted,
                                  const struct object_request *request)
{
    struct problem *problem = wanted->type->admit ? wanted->type->admit(service, wanted) : NULL;
    if (problem) {
        return problem;
    }
    if (service->shutting_down) {
        return problem_make(PROBLEM_SHUTTING_DOWN, "the daemon is ending");
    }
    if (service->objects.count >= service->config->max_objects) {
        problem =
            problem_make(PROBLEM_LIMIT_REACHED, "max_objects (%llu) are there",
                         (unsigned long long)service->config->max_objects);
        problem->retry_after_seconds = 1;
        return problem;
    }
    if (request->ends_with_owner && !owner_lives(service, &request->owner)) {
        return problem_make(PROBLEM_INVALID_VALUE,
                            "lifetime \"owner\" needs the token of a process or session");
    }
    return recorder_refuses(service->recorder);
}

static void tell(struct object *object, const char *what, const char *cause)
{
    char type[40];
    struct text data = {0};
    snprintf(type, sizeof type, "%s.%s", object->type->noun, what);
    if (cause) {
        text_put(&data, "{\"cause\":");
        text_json_string(&data, cause);
        text_putc(&data, '}');
    }
    service_change(object->service, type, object->name, data.failed ? NULL : data.data);
    text_free(&data);
}

static void mark_dirty(struct object *object)
{
    struct object_table *table = &object->service->objects;
    if (!object->dirty) {
        object->dirty = true;
        object->next_dirty = table->dirty;
        table->dirty = object;
        recorder_batch(object->service->recorder);
    }
}

static void mark(struct object *object)
{
    struct object_table *table = &object->service->objects;
    mark_dirty(object);
    if (!object->unjournaled) {
        object->unjournaled = true;
        object->next_unjournaled = table->unjournaled;
        table->unjournaled = object;
    }
}

static struct problem *add_new(struct object *object)
{
    struct service *service = object->service;
    object->num = ++service->objects.last_num;
    object->created_at_us = time_now_us();
    if (!object->type->restore(service, object, NULL) || !table_add(&service->objects, object)) {
        return problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for %s", object->resource);
    }
    mark(object);
    pending_mark(&object->making, service);
    tell(object, "created", NULL);
    return NULL;
}

bool object_settled(struct object *object)
{
    return pending_settled(&object->making, false);
}

struct object *object_put(struct service *service, enum object_kind kind,
                          const struct object_request *request, bool *made,
                          struct problem **problem)
{
    struct object *there = object_find(service, kind, request->name);
    struct object *wanted = object_new(service, kind, request->name);
    *made = false;
    if (!wanted) {
        *problem = problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for %s", request->name);
        return NULL;
    }
    wanted->ends_with_owner = request->ends_with_owner;
    wanted->durable = request->durable;
    wanted->owner = request->owner;
    wanted->account = request->account;
    *problem = wanted->type->configure(service, wanted, request->config);
    if (!*problem) {
        *problem = there ? compare(there, wanted) : refuse_new(service, wanted, request);
    }
    if (!*problem && !there) {
        *problem = add_new(wanted);
        *made = !*problem;
    }
    if (!*made) {
        free_object(wanted);
    }
    return *problem ? NULL : *made ? wanted : there;
}

/* ---- the end ---- */

static void forget(struct object *object)
{
    struct object_table *table = &object->service->objects;
    struct object **at = &table->dirty;
    while (*at && *at != object) {
        at = &(*at)->next_dirty;
    }
    *at = *at ? object->next_dirty : NULL;
    for (at = &table->unjournaled; *at && *at != object; at = &(*at)->next_unjournaled) {
    }
    *at = *at ? object->next_unjournaled : NULL;
    object->dirty = object->unjournaled = false;
}

void object_delete(struct object *object, const char *cause)
{
    struct service *service = object->service;
    if (object->deleted) {
        return;
    }
    object->deleted = true;            /* what its holds give back goes to nobody */
    leave_table(&service->objects, object);
    leave_owner(object);
    while (object->holds) {
        hold_end(object->holds, HOLD_CLOSED, NULL);
    }
    object->type->closed(service, object);
    object_ready(object);
    forget(object);
    if (object->inserted && !object_row_delete(recorder_batch(service->recorder), object->num)) {
        recorder_fatal("out of memory for an object's end");
    }
    tell(object, "deleted", cause);
    loop_defer(service->loop, &object->free_later);
}

void object_ready(struct object *object)
{
    if (object->observers.count) {
        wait_list_wake_all(&object->observers);
    }
}

/* ---- showing ---- */

void object_json(struct text *text, const struct object *object)
{
    text_put(text, "{\"name\":");
    text_json_string(text, object->name);
    text_json_key(text, "kind");
    text_json_string(text, object->type->noun);
    text_json_key(text, "lifetime");
    text_put(text, object->ends_with_owner ? "\"owner\"" : "\"permanent\"");
    text_json_key(text, "durable");
    text_json_bool(text, object->durable);
    text_json_key(text, "owner");
    owner_json(text, &object->owner);
    text_json_key(text, "created_at");
    text_json_time(text, object->created_at_us);
    (object->type->show_config ? object->type->show_config : object->type->write_config)(text, object);
    object->type->write_state(text, object);
    text_putc(text, '}');
}

/* ---- the durable form ---- */

void object_touch(struct object *object)
{
    if (object->durable && !object->deleted) {
        mark(object);
    }
}

void object_count(struct object *object)
{
    if (object->durable && !object->deleted) {
        mark_dirty(object);
    }
}

static bool fill_row(const struct object *object, struct object_row *row, struct text *config,
                     struct text *state)
{
    write_config(config, object);
    text_putc(state, '{');
    if (object->type->save && object->durable) {
        object->type->save(state, object);
    }
    text_putc(state, '}');
    *row = (struct object_row){
        .num = object->num, .kind = (int)object->type->kind, .name = object->name,
        .owner_kind = (int)object->owner.kind, .created_at_us = object->created_at_us,
        .config = config->data, .state = state->data, .state_bytes = state->bytes,
    };
    memcpy(row->owner, object->owner.id.bytes, sizeof row->owner);
    return !config->failed && !state->failed;
}

static bool store(struct object *object)
{
    struct batch *batch = recorder_batch(object->service->recorder);
    struct text config = {0}, state = {0};
    struct object_row row;
    bool stored = fill_row(object, &row, &config, &state) && object_row_put(batch, &row);
    text_free(&config);
    text_free(&state);
    return stored;
}

/* The row without its pointers, then the strings with their NULs. */
static bool journal_row(struct journal *journal, struct object_row row, const struct text *config)
{
    struct text strings = {0};
    text_add(&strings, row.name, strlen(row.name) + 1);
    text_add(&strings, row.config, config->bytes + 1);
    text_add(&strings, row.state, row.state_bytes + 1);
    row.name = row.config = row.state = NULL;
    bool done = !strings.failed && journal_put(journal, JOURNAL_OBJECT, &row, sizeof row,
                                               strings.data, strings.bytes);
    text_free(&strings);
    return done;
}

static bool journal(struct object *object)
{
    struct text config = {0}, state = {0};
    struct object_row row;
    bool done = fill_row(object, &row, &config, &state) &&
                journal_row(object->service->journal, row, &config);
    text_free(&config);
    text_free(&state);
    return done;
}

bool objects_journal(struct service *service)
{
    while (service->objects.unjournaled && !service->objects.journal_waits) {
        struct object *object = service->objects.unjournaled;
        if (!journal(object)) {
            service->objects.journal_waits = true;
            return false;
        }
        service->objects.unjournaled = object->next_unjournaled;
        object->unjournaled = false;
    }
    return !service->objects.journal_waits;
}

/* The batch has them all. */
static void clear_unjournaled(struct object_table *table)
{
    table->journal_waits = false;
    while (table->unjournaled) {
        table->unjournaled->unjournaled = false;
        table->unjournaled = table->unjournaled->next_unjournaled;
    }
}

void objects_store_dirty(struct service *service)
{
    clear_unjournaled(&service->objects);
    while (service->objects.dirty) {
        struct object *object = service->objects.dirty;
        service->objects.dirty = object->next_dirty;
        object->dirty = false;
        if (!store(object)) {
            recorder_fatal("out of memory for an object");
        }
        object->inserted = true;
    }
}

struct object *object_restore(struct service *service, const struct object_row *row)
{
    json_t *config = json_read_string(row->config);
    json_t *state = json_read(row->state, row->state_bytes, 0, NULL);
    bool known = row->kind >= 0 && row->kind < OBJECT_KINDS && object_types[row->kind];
    struct object *object =
        known && config ? object_new(service, (enum object_kind)row->kind, row->name) : NULL;
    if (object) {
        const char *lifetime = json_string_value(json_object_get(config, "lifetime"));
        object->num = row->num;
        object->created_at_us = row->created_at_us;
        object->owner.kind = (enum parent_kind)row->owner_kind;
        memcpy(object->owner.id.bytes, row->owner, sizeof row->owner);
        object->ends_with_owner = lifetime && strcmp(lifetime, "owner") == 0;
        object->durable = !json_is_false(json_object_get(config, "durable"));
        object->inserted = true;
        struct problem *problem = object->type->configure(service, object, config);
        if (problem || !object->type->restore(service, object, state) ||
            !table_add(&service->objects, object)) {
            problem_free(problem);
            free_object(object);
            object = NULL;
        }
    }
    if (row->num > service->objects.last_num) {
        service->objects.last_num = row->num;
    }
    json_decref(config);
    json_decref(state);
    return object;
}
