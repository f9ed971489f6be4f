/*
 * Sessions: begun and listed by the admin, looked at and ended by the admin and by themselves.
 *
 * The auth gate renews a session at every call with its token, so looking at it is enough to keep
 * it.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "api/bodies.h"
#include "api/handlers.h"
#include "api/page.h"
#include "api/respond.h"

/* ---- answers that wait for their commit ---- */

struct change {
    struct stored stored;
    struct request *request;
    struct text body;                  /* 201; of a deletion empty */
    int status;
};

static void answer_change(struct stored *stored)
{
    struct change *change = (struct change *)((char *)stored - offsetof(struct change, stored));
    if (change->status == 201) {
        answer_json(change->request, 201, &change->body);
    } else {
        answer_empty(change->request, change->status);
    }
}

static void gone(struct request *request, void *context)
{
    struct change *change = context;
    (void)request;
    stored_cancel(&change->stored);
    text_free(&change->body);
}

static struct change *change_make(struct request *request, int status)
{
    struct change *change = request_alloc(request, sizeof *change);
    if (change) {
        change->request = request;
        change->status = status;
    } else {
        respond_no_memory(request);
    }
    return change;
}

static void wait_for_commit(struct change *change)
{
    stored_then(request_app(change->request), &change->stored, answer_change);
    http_park(change->request, (struct park){gone, change});
}

/* ---- begin ---- */

void handle_create_session(struct request *request)
{
    struct service *service = &request_app(request)->service;
    char location[64];
    int64_t ttl_us;
    struct problem *problem = session_body_read(request_json(request), &ttl_us);
    if (!problem && service->shutting_down) {
        problem = problem_make(PROBLEM_SHUTTING_DOWN, "the daemon is ending");
    }
    if (problem) {
        answer_problem(request, problem);
        return;
    }
    struct change *change = change_make(request, 201);
    struct session *session = change ? session_make(service, ttl_us, &problem) : NULL;
    if (problem) {
        answer_problem(request, problem);
    }
    if (session) {
        snprintf(location, sizeof location, "/v1/sessions/%s", session->id_text);
        answer_header(request, "Location", location);
        session_json(&change->body, session, true);
        wait_for_commit(change);
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

/* The session of the path, for the admin and for itself; NULL after answering 404 or 403. */
static struct session *find_session(struct request *request)
{
    size_t bytes;
    struct fact_id id;
    const char *text = request_segment(request, 0, &bytes);
    const struct principal *caller = request_principal(request);
    struct session *session =
        id_parse(text, bytes, 's', &id) ? session_find(&request_app(request)->service, &id) : NULL;
    struct problem *problem = NULL;
    if (!session) {
        problem = problem_make(PROBLEM_NOT_FOUND, "there is no session %.64s", text);
    } else if (caller->kind != PRINCIPAL_ADMIN &&
               !(caller->kind == PRINCIPAL_SESSION && id_equal(&caller->id, &id))) {
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
    struct change *change = session ? change_make(request, 204) : NULL;
    if (change) {
        session_end(session, "deleted");
        wait_for_commit(change);
    }
}
