/*
 * Logging in: the admin has a code made (`forkful login` does), a page changes it for a token.
 *
 * There is no cookie: the page shows the token in its header, as everybody does, so that another
 * page cannot make the browser show it. What is answered here is shown once; nothing of it is
 * stored for an Idempotency-Key. service/login.h tells what codes are.
 */
#include <stdlib.h>
#include <string.h>

#include "api/app.h"
#include "api/bodies.h"
#include "api/handlers.h"
#include "api/idempotency.h"
#include "api/respond.h"
#include "service/scope.h"

#define LOGIN_US (12 * 3600 * SECOND_US)
#define LOGIN_LABEL "login"

/* ---- codes ---- */

/* Certificates are made for names: with TLS the first one of http.host stands for the address. */
static void put_url(struct text *body, const struct app *app, const char *page, const char *code)
{
    const struct config_list *hosts = &app->config.http_hosts;
    struct text url = {0};
    if (hosts->count && strncmp(page, "https:", 6) == 0) {
        text_printf(&url, "https://%s%s", hosts->items[0], strrchr(page, ':'));
    } else {
        text_put(&url, page);
    }
    text_printf(&url, "/#login=%s", code);
    text_json_comma(body);
    text_json_string(body, url.data);
    if (url.failed) {
        body->failed = true;
    } else {
        explicit_bzero(url.data, url.bytes);
    }
    text_free(&url);
}

static void put_urls(struct text *body, const struct app *app, const char *code)
{
    text_put(body, ",\"urls\":[");
    for (unsigned i = 0; i < app->page_count; i++) {
        put_url(body, app, app->pages[i], code);
    }
    text_putc(body, ']');
}

static void code_json(struct text *body, const struct app *app, const struct login_code *code,
                      const char *shown)
{
    text_put(body, "{\"code\":");
    text_json_string(body, shown);
    put_urls(body, app, shown);
    text_put(body, ",\"scopes\":");
    scopes_json(body, code->scopes);
    text_put(body, ",\"expires_at\":");
    text_json_time(body, code->expires_at_us);
    text_putc(body, '}');
}

void handle_create_login_code(struct request *request)
{
    struct app *app = request_app(request);
    struct token_request wanted;
    struct text body = {0};
    char shown[LOGIN_CODE_BYTES];
    int64_t now_us = time_now_us();
    struct problem *problem = login_code_body_read(request_json(request), &wanted);
    struct login_code *code =
        problem ? NULL
                : login_code_make(&app->service.logins, wanted.scopes, now_us,
                                  now_us + wanted.lives_us, shown, &problem);
    if (!code) {
        answer_problem(request, problem);
        return;
    }
    idempotency_stored(request);
    code_json(&body, app, code, shown);
    explicit_bzero(shown, sizeof shown);
    answer_json(request, 201, &body);
}

/* ---- logging in ---- */

static void log_in(struct request *request, struct login_code *code)
{
    char shown[TOKEN_SHOWN_BYTES], location[64];
    struct problem *problem = NULL;
    struct token_request wanted = {.scopes = code->scopes, .label = LOGIN_LABEL,
                                   .lives_us = LOGIN_US};
    struct stored_answer *later = respond_stored_make(request, 201);
    struct token *token =
        later ? token_make(&request_app(request)->service, &wanted, shown, &problem) : NULL;
    if (problem) {
        answer_problem(request, problem);
    }
    if (!token) {
        return;                        /* the code is as good as before */
    }
    login_code_end(code);
    idempotency_stored(request);
    snprintf(location, sizeof location, "/v1/tokens/%s", token->id_text);
    answer_header(request, "Location", location);
    token_json(&later->body, token, shown);
    explicit_bzero(shown, sizeof shown);
    respond_stored(later);
}

/* A code that never was, one that was used and one whose time is over are one and the same. */
void handle_create_login(struct request *request)
{
    const char *text = NULL;
    struct problem *problem = login_body_read(request_json(request), &text);
    struct login_code *code =
        problem ? NULL
                : login_code_find(&request_app(request)->service.logins, text, strlen(text),
                                  time_now_us());
    if (code) {
        log_in(request, code);
    } else if (problem) {
        answer_problem(request, problem);
    } else {
        answer_problem(request,
                       http_failed_login(request, problem_make(PROBLEM_LOGIN_FAILED,
                                                               "the code is wrong, was used, or "
                                                               "its time is over")));
    }
}
