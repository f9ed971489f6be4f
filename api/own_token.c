/*
 * The caller about itself: who it is and what it may do, so that a page knows what to offer; and the
 * end of its own token, so that it can log out.
 */
#include "api/app.h"
#include "api/auth.h"
#include "api/handlers.h"
#include "api/respond.h"
#include "service/scope.h"

static const char *const kinds[] = {
    [PRINCIPAL_NONE] = "", [PRINCIPAL_ADMIN] = "admin", [PRINCIPAL_PROCESS] = "process",
    [PRINCIPAL_SESSION] = "session", [PRINCIPAL_TOKEN] = "token", [PRINCIPAL_PEER] = "user",
    [PRINCIPAL_CERTIFICATE] = "certificate",
};

/* NULL: the caller is no token of POST /v1/tokens or of a login. */
static struct token *own_token(struct request *request)
{
    const struct principal *caller = request_principal(request);
    return caller->kind == PRINCIPAL_TOKEN
               ? token_find(&request_app(request)->service, &caller->id)
               : NULL;
}

static int64_t expires_at_us(struct request *request)
{
    const struct principal *caller = request_principal(request);
    const struct token *token = own_token(request);
    const struct session *session =
        caller->kind == PRINCIPAL_SESSION
            ? session_find(&request_app(request)->service, &caller->id)
            : NULL;
    return token ? token->expires_at_us : session ? session->expires_at_us : 0;
}

void handle_get_own_token(struct request *request)
{
    const struct principal *caller = request_principal(request);
    const struct token *token = own_token(request);
    char id[PRINCIPAL_TEXT_BYTES];
    struct text body = {0};
    principal_text(caller, id);
    text_printf(&body, "{\"kind\":\"%s\",\"id\":", kinds[caller->kind]);
    text_json_string(&body, id);
    text_put(&body, ",\"label\":");
    text_json_string(&body, token ? token->label : NULL);
    text_put(&body, ",\"scopes\":");
    scopes_json(&body, caller->scopes);
    text_put(&body, ",\"expires_at\":");
    text_json_time(&body, expires_at_us(request));
    text_putc(&body, '}');
    answer_json(request, 200, &body);
}

void handle_delete_own_token(struct request *request)
{
    struct token *token = own_token(request);
    if (!token) {
        answer_problem(request, problem_make(PROBLEM_NOT_FOUND,
                                             "the caller shows no token of POST /v1/tokens or of "
                                             "a login; only such a one ends so"));
        return;
    }
    struct stored_answer *later = respond_stored_make(request, 204);
    if (later) {
        token_end(token, "deleted");
        respond_stored(later);
    }
}
