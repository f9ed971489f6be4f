/*
 * Who waits for whom; see waits.h.
 *
 * The graph's nodes are owners. Somebody who waits for a lock waits for its holder, who joins a process
 * waits for it. Of a semaphore's holders any one may let him in, so he is stuck only when all of them
 * are; a circle is therefore looked for among those who are stuck, and everybody else is taken out
 * first, again and again (as in the reduction of a resource graph).
 */
#include "service/waits.h"

#include <stdlib.h>
#include <string.h>

#include "service/service.h"

void wait_begins(struct service *service, struct wait_note *note)
{
    struct wait_notes *notes = &service->waits;
    note->since_us = time_now_us();
    note->next = NULL;
    note->previous = notes->last;
    *(notes->last ? &notes->last->next : &notes->first) = note;
    notes->last = note;
}

void wait_ends(struct service *service, struct wait_note *note)
{
    struct wait_notes *notes = &service->waits;
    if (!note->previous && notes->first != note) {
        return;
    }
    *(note->previous ? &note->previous->next : &notes->first) = note->next;
    *(note->next ? &note->next->previous : &notes->last) = note->previous;
    note->next = note->previous = NULL;
}

/* ---- the graph ---- */

static bool same(const struct owner *a, const struct owner *b)
{
    return a->kind == b->kind && id_equal(&a->id, &b->id);
}

/* Only what has holders, one of whom must let go, can close a circle. */
static bool has_holders(const struct object *object)
{
    return object->type->kind == OBJECT_LOCK || object->type->kind == OBJECT_SEMAPHORE;
}

struct stuck {
    const struct wait_note **notes;    /* those of owners that may be stuck */
    size_t count;
};

static const struct wait_note *wait_of(const struct stuck *stuck, const struct owner *owner)
{
    for (size_t i = 0; i < stuck->count; i++) {
        if (same(&stuck->notes[i]->owner, owner)) {
            return stuck->notes[i];
        }
    }
    return NULL;
}

/* Nobody outside of `stuck` can let this one go on. */
static bool is_stuck(const struct stuck *stuck, const struct wait_note *note)
{
    if (!note->object) {
        struct owner target = {PARENT_PROCESS, note->process};
        return wait_of(stuck, &target);
    }
    const struct hold *at = note->object->holds;
    bool all = at != NULL;
    for (; at; at = at->next) {
        all = all && at->owner.kind != PARENT_NONE && !at->expires_at_us &&
              wait_of(stuck, &at->owner);
    }
    return all;
}

static bool may_be_stuck(const struct wait_note *note)
{
    return note->owner.kind != PARENT_NONE && (!note->object || has_holders(note->object));
}

static void reduce(struct stuck *stuck)
{
    size_t before;
    do {
        size_t kept = 0;
        before = stuck->count;
        for (size_t i = 0; i < before; i++) {
            const struct wait_note *note = stuck->notes[i];
            if (is_stuck(stuck, note)) {
                stuck->notes[kept++] = note;
            }
        }
        stuck->count = kept;
    } while (stuck->count < before);
}

/* NULL in `notes` with count 0: nobody, or no memory. */
static struct stuck find_stuck(const struct service *service)
{
    struct stuck stuck = {0};
    size_t count = 0;
    for (const struct wait_note *at = service->waits.first; at; at = at->next) {
        count += may_be_stuck(at);
    }
    stuck.notes = count ? calloc(count, sizeof(struct wait_note *)) : NULL;
    for (const struct wait_note *at = service->waits.first; at && stuck.notes; at = at->next) {
        if (may_be_stuck(at)) {
            stuck.notes[stuck.count++] = at;
        }
    }
    reduce(&stuck);
    return stuck;
}

/* ---- showing ---- */

static void member_json(struct text *text, struct service *service, const struct owner *owner)
{
    const struct process *process =
        owner->kind == PARENT_PROCESS ? process_table_find(&service->processes, &owner->id) : NULL;
    text_json_key(text, "owner");
    owner_json(text, owner);
    text_json_key(text, "name");
    text_json_string(text, process ? process->name : NULL);
}

static void resource_json(struct text *text, const struct wait_note *note)
{
    text_json_key(text, "resource");
    if (note->object) {
        text_json_string(text, note->object->resource);
    } else {
        char resource[ID_TEXT_BYTES + 16] = "processes/";
        id_format(&note->process, 'p', resource + strlen(resource));
        text_json_string(text, resource);
    }
}

static void holders_json(struct text *text, struct service *service, const struct wait_note *note)
{
    text_json_key(text, "held_by");
    text_putc(text, '[');
    if (!note->object) {
        struct owner target = {PARENT_PROCESS, note->process};
        text_putc(text, '{');
        member_json(text, service, &target);
        text_put(text, ",\"hold\":null}");
    }
    for (const struct hold *at = note->object ? note->object->holds : NULL; at; at = at->next) {
        text_json_comma(text);
        text_putc(text, '{');
        member_json(text, service, &at->owner);
        text_printf(text, ",\"hold\":\"%s\"}", at->id_text);
    }
    text_putc(text, ']');
}

static void wait_json(struct text *text, struct service *service, const struct wait_note *note)
{
    text_json_comma(text);
    text_putc(text, '{');
    member_json(text, service, &note->owner);
    text_json_key(text, "kind");
    text_json_string(text, note->object ? note->object->type->noun : "process");
    resource_json(text, note);
    text_json_key(text, "since_at");
    text_json_time(text, note->since_us);
    holders_json(text, service, note);
    text_putc(text, '}');
}

/* The first of those he waits for: all of them are stuck. */
static const struct wait_note *step(const struct stuck *stuck, const struct wait_note *note)
{
    struct owner next = {PARENT_PROCESS, note->process};
    return wait_of(stuck, note->object ? &note->object->holds->owner : &next);
}

static bool among(const struct wait_note **path, size_t count, const struct wait_note *note)
{
    size_t i = 0;
    while (i < count && path[i] != note) {
        i++;
    }
    return i < count;
}

/* Walks from one to the next until it comes round, writes the round and marks all that was walked. */
static void cycle_json(struct text *text, struct service *service, const struct stuck *stuck,
                       size_t start, bool *seen)
{
    const struct wait_note **path = calloc(stuck->count + 1, sizeof(struct wait_note *));
    const struct wait_note *at = stuck->notes[start];
    size_t count = 0, from = 0;
    bool fresh = true;
    while (path && at && !among(path, count, at)) {
        path[count++] = at;
        for (size_t i = 0; i < stuck->count; i++) {
            if (stuck->notes[i] == at) {
                fresh = fresh && !seen[i];
                seen[i] = true;
            }
        }
        at = step(stuck, at);
    }
    while (from < count && path[from] != at) {
        from++;
    }
    if (fresh && from < count) {
        text_json_comma(text);
        text_putc(text, '[');
        for (; from < count; from++) {
            text_json_comma(text);
            text_putc(text, '{');
            member_json(text, service, &path[from]->owner);
            resource_json(text, path[from]);
            text_putc(text, '}');
        }
        text_putc(text, ']');
    }
    free(path);
}

void waits_json(struct text *text, struct service *service)
{
    struct stuck stuck = find_stuck(service);
    bool *seen = stuck.count ? calloc(stuck.count, sizeof *seen) : NULL;
    text_put(text, "{\"waits\":[");
    for (const struct wait_note *at = service->waits.first; at; at = at->next) {
        wait_json(text, service, at);
    }
    text_put(text, "],\"cycles\":[");
    for (size_t i = 0; i < stuck.count && seen; i++) {
        if (!seen[i]) {
            cycle_json(text, service, &stuck, i, seen);
        }
    }
    text_put(text, "]}");
    free(seen);
    free(stuck.notes);
}
