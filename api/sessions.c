/*
 * Sessions: begun by who may operate, listed by the admin, looked at and ended by the admin, by the
 * token that made them and by themselves.
 *
 * The auth gate renews a session at every call with its token, so looking at it is enough to keep
 * it.
 */
#include <stdlib.h>
#include <string.h>

#include "api/bodies.h"
#include "api/handlers.h"
#include "api/page.h"
#include "api/respond.h"

/* ---- begin ---- */

/* No more than its maker has, and never the daemon's administration. A process or session is an
   owner itself. */
static struct problem *give_rights(const struct principal *caller, struct session_request *wanted)
{
    if (principal_owner(caller).kind != PARENT_NONE) {
        return problem_make(PROBLEM_FORBIDDEN, "a process or session begins no session");
    }
    wanted->scopes = scopes_allow(caller->scopes, SCOPE_ADMIN) ? SCOPES_OF_OWNERS : caller->scopes;
    if (caller->kind == PRINCIPAL_TOKEN) {
        wanted->maker = caller->id;
    }
    return NULL;
}

void handle_create_session(struct request *request)
{
    struct service *service = &request_app(request)->service;
    char location[64];
    struct session_request wanted = {0};
    struct problem *problem = session_body_read(request_json(request), &wanted.ttl_us);
    if (!problem) {
        problem = give_rights(request_principal(request), &wanted);
    }
    if (!problem && service->shutting_down) {
        problem = problem_make(PROBLEM_SHUTTING_DOWN, "the daemon is ending");
    }
    if (problem) {
        answer_problem(request, problem);
        return;
    }
    struct stored_answer *later = respond_stored_make(request, 201);
    struct session *session = later ? session_make(service, &wanted, &problem) : NULL;
    if (problem) {
        answer_problem(request, problem);
    }
    if (session) {
        snprintf(location, sizeof location, "/v1/sessions/%s", session->id_text);
        answer_header(request, "Location", location);
        session_json(&later->body, session, true);
        respond_stored(later);
    }
}

/* ---- list ---- */

static int compare_ids(const void *left, const void *right)
{
    const struct session *const *a = left, *const *b = right;
    return memcmp(&(*a)->id, &(*b)->id, sizeof (*a)->id);
}

/* Those behind the page before, oldest first: ids grow. NULL: no memory. */
static struct session **sessions_after(const struct service *service, const struct page *page,
                                       size_t *count)
{
    struct session **sessions = calloc(service->sessions.count + 1, sizeof *sessions);
    *count = 0;
    for (struct session *s = service->sessions.first; s && sessions; s = s->next) {
        if (!page->goes_on || memcmp(&s->id, &page->after, sizeof s->id) > 0) {
            sessions[(*count)++] = s;
        }
    }
    if (*count) {
        qsort(sessions, *count, sizeof(struct session *), compare_ids);
    }
    return sessions;
}

void handle_list_sessions(struct request *request)
{
    struct text body = {0};
    struct page page;
    size_t count, shown;
    struct problem *problem = page_from_request(request, PAGE_HASH_START, &page);
    if (problem) {
        answer_problem(request, problem);
        return;
    }
    struct session **sessions =
        sessions_after(&request_app(request)->service, &page, &count);
    if (!sessions) {
        respond_no_memory(request);
        return;
    }
    shown = count < page.limit ? count : page.limit;
    text_put(&body, "{\"items\":[");
    for (size_t i = 0; i < shown; i++) {
        text_json_comma(&body);
        session_json(&body, sessions[i], false);
    }
    page_end(&body, &page, count > shown ? &sessions[shown - 1]->id : NULL);
    free(sessions);
    answer_json(request, 200, &body);
}

/* ---- one ---- */

static bool may_reach(const struct principal *caller, const struct session *session)
{
    bool itself = caller->kind == PRINCIPAL_SESSION && id_equal(&caller->id, &session->id);
    bool maker = caller->kind == PRINCIPAL_TOKEN && id_equal(&caller->id, &session->maker);
    return itself || maker || scopes_allow(caller->scopes, SCOPE_ADMIN);
}

/* The session of the path, for whom it concerns; NULL after answering 404 or 403. */
static struct session *find_session(struct request *request)
{
    size_t bytes;
    struct fact_id id;
    const char *text = request_segment(request, 0, &bytes);
    struct session *session =
        id_parse(text, bytes, 's', &id) ? session_find(&request_app(request)->service, &id) : NULL;
    struct problem *problem = NULL;
    if (!session) {
        problem = problem_make(PROBLEM_NOT_FOUND, "there is no session %.64s", text);
    } else if (!may_reach(request_principal(request), session)) {
        problem = problem_make(PROBLEM_FORBIDDEN, "session %s is not the caller's own",
                               session->id_text);
    }
    if (problem) {
        answer_problem(request, problem);
    }
    return problem ? NULL : session;
}

void handle_get_session(struct request *request)
{
    const struct session *session = find_session(request);
    struct text body = {0};
    if (session) {
        session_json(&body, session, false);
        answer_json(request, 200, &body);
    }
}

void handle_delete_session(struct request *request)
{
    struct session *session = find_session(request);
    struct stored_answer *later = session ? respond_stored_make(request, 204) : NULL;
    if (later) {
        session_end(session, "deleted");
        respond_stored(later);
    }
}
