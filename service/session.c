/* Sessions; see session.h. */
#include "service/session.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "service/scope.h"
#include "service/service.h"

static void expired(struct timer *timer)
{
    struct session *session = (struct session *)((char *)timer - offsetof(struct session, expiry));
    if (session->calls) {
        session_renew(session);
    } else {
        session_end(session, "expired");
    }
}

static bool arm(struct session *session)
{
    return timer_set(session->service->loop, &session->expiry,
                     time_monotonic_us() + session->ttl_us);
}

static void session_remove(struct session *session)
{
    struct session_table *table = &session->service->sessions;
    *(session->previous ? &session->previous->next : &table->first) = session->next;
    if (session->next) {
        session->next->previous = session->previous;
    }
    table->count--;
    id_map_remove(&table->by_id, &session->id);
    timer_cancel(session->service->loop, &session->expiry);
    free(session);
}

/* From its row, which is all there is to it but the time, which begins anew. NULL: no memory. */
static struct session *session_add(struct service *service, const struct session_row *row)
{
    struct session *session = calloc(1, sizeof *session);
    if (!session) {
        return NULL;
    }
    session->service = service;
    memcpy(session->id.bytes, row->id, sizeof session->id.bytes);
    memcpy(session->maker.bytes, row->maker, sizeof session->maker.bytes);
    id_format(&session->id, 's', session->id_text);
    strncpy(session->token, row->token, sizeof session->token - 1);
    session->scopes = row->scopes;
    session->created_at_us = row->created_at_us;
    session->ttl_us = row->ttl_us;
    session->expires_at_us = time_now_us() + row->ttl_us;
    session->expiry.due = expired;
    struct session_table *table = &service->sessions;
    if (!id_map_add(&table->by_id, &session->id)) {
        free(session);
        return NULL;
    }
    session->next = table->first;
    if (table->first) {
        table->first->previous = session;
    }
    table->first = session;
    table->count++;
    if (!arm(session)) {
        session_remove(session);
        return NULL;
    }
    return session;
}

/* The oldest one makes place. False: no memory. */
static bool remember_ended(struct service *service, const struct fact_id *id)
{
    struct session_table *table = &service->sessions;
    struct fact_id *place = &table->ended[table->ended_count++ % SESSIONS_ENDED];
    bool good = table->ended_count <= SESSIONS_ENDED ||
                session_row_delete(recorder_batch(service->recorder), place->bytes);
    *place = *id;
    return good;
}

bool session_has_ended(const struct service *service, const struct fact_id *id)
{
    const struct session_table *table = &service->sessions;
    size_t count = table->ended_count < SESSIONS_ENDED ? table->ended_count : SESSIONS_ENDED;
    for (size_t i = 0; i < count; i++) {
        if (id_equal(&table->ended[i], id)) {
            return true;
        }
    }
    return false;
}

static bool session_store(struct session *session)
{
    struct session_row row = {.token = session->token, .created_at_us = session->created_at_us,
                              .expires_at_us = session->expires_at_us, .ttl_us = session->ttl_us,
                              .scopes = session->scopes};
    memcpy(row.id, session->id.bytes, sizeof row.id);
    memcpy(row.maker, session->maker.bytes, sizeof row.maker);
    session->stored_expires_at_us = session->expires_at_us;
    return session_row_put(recorder_batch(session->service->recorder), &row);
}

static struct problem *refused(struct service *service)
{
    if (service->sessions.count < service->config->max_sessions) {
        return recorder_refuses(service->recorder);
    }
    struct problem *problem = problem_make(PROBLEM_LIMIT_REACHED, "max_sessions (%llu) are there",
                                           (unsigned long long)service->config->max_sessions);
    problem->retry_after_seconds = 1;
    return problem;
}

struct session *session_make(struct service *service, const struct session_request *request,
                             struct problem **problem)
{
    char token[65];
    struct fact_id id = id_make();
    struct session_row row = {.token = token, .created_at_us = time_now_us(),
                              .ttl_us = request->ttl_us, .scopes = request->scopes};
    memcpy(row.id, id.bytes, sizeof row.id);
    memcpy(row.maker, request->maker.bytes, sizeof row.maker);
    if ((*problem = refused(service))) {
        return NULL;
    }
    struct session *session = random_hex(32, token) ? session_add(service, &row) : NULL;
    if (!session || !session_store(session)) {
        if (session) {
            session_remove(session);
        }
        *problem = problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for a session");
        return NULL;
    }
    service_change(service, "session.created", session->id_text, NULL);
    return session;
}

struct session *session_find(struct service *service, const struct fact_id *id)
{
    struct fact_id *found = id_map_find(&service->sessions.by_id, id);
    return found ? (struct session *)((char *)found - offsetof(struct session, id)) : NULL;
}

/* The row is renewed when a good part of the time is over: after a restart the time begins anew
   anyway. */
void session_renew(struct session *session)
{
    session->expires_at_us = time_now_us() + session->ttl_us;
    arm(session);
    if (session->expires_at_us - session->stored_expires_at_us > session->ttl_us / 2) {
        session_store(session);
    }
}

void session_call_begins(struct session *session)
{
    session->calls++;
    session_renew(session);
}

void session_call_ends(struct service *service, const struct fact_id *id)
{
    struct session *session = session_find(service, id);
    if (session) {
        session->calls -= session->calls > 0;
        session_renew(session);
    }
}

void session_count_process(struct service *service, const struct owner *owner, bool begins)
{
    struct session *session =
        owner->kind == PARENT_SESSION ? session_find(service, &owner->id) : NULL;
    if (session && begins) {
        session->processes++;
    } else if (session) {
        session->processes -= session->processes > 0;
    }
}

void session_end(struct session *session, const char *cause)
{
    struct service *service = session->service;
    struct owner owner = {PARENT_SESSION, session->id};
    struct text data = {0};
    text_put(&data, "{\"cause\":");
    text_json_string(&data, cause);
    text_putc(&data, '}');
    service_log(service, LEVEL_INFO, NULL, "session %s ended: %s", session->id_text, cause);
    session->token[0] = '\0';
    if (!session_store(session) || !remember_ended(service, &session->id)) {
        recorder_fatal("out of memory for a session's end");
    }
    service_change(service, "session.ended", session->id_text, data.data);
    text_free(&data);
    owner_ended(service, &owner);
    wait_list_wake_all(&session->watchers);
    service_caller_ended(service, &owner.id, PROBLEM_OWNER_ENDED,
                         "the session of this token has ended");
    session_remove(session);
    service_parent_ended(service, &owner);
}

void session_json(struct text *text, const struct session *session, bool with_token)
{
    text_printf(text, "{\"id\":\"%s\"", session->id_text);
    if (with_token) {
        text_printf(text, ",\"token\":\"fks_%s_%s\"", session->id_text + 2, session->token);
    }
    text_put(text, ",\"scopes\":");
    scopes_json(text, session->scopes);
    text_put(text, ",\"ttl_seconds\":");
    text_json_seconds(text, session->ttl_us);
    text_put(text, ",\"created_at\":");
    text_json_time(text, session->created_at_us);
    text_put(text, ",\"expires_at\":");
    text_json_time(text, session->expires_at_us);
    text_printf(text, ",\"processes\":%zu}", session->processes);
}

bool session_restore(struct service *service, const struct session_row *row)
{
    if (!*row->token) {
        struct session_table *table = &service->sessions;
        memcpy(table->ended[table->ended_count++ % SESSIONS_ENDED].bytes, row->id, sizeof row->id);
        return true;
    }
    struct session *session = session_add(service, row);
    if (session) {
        session->stored_expires_at_us = session->expires_at_us;
    }
    return session != NULL;
}
