/*
 * Tokens: made, listed and deleted by the admin. service/token.h tells what they are.
 */
#include <stdlib.h>
#include <string.h>

#include "api/bodies.h"
#include "api/handlers.h"
#include "api/idempotency.h"
#include "api/page.h"
#include "api/respond.h"
#include "service/scope.h"

/* ---- create ---- */

/* Under an Idempotency-Key the answer is kept for a day; the token in it would be, too. So the
   answer that is kept says null instead, and that one stands in the batch of the token itself. */
static bool keep_answer_without_token(struct request *request, const struct token *token,
                                      const char *location)
{
    const struct answer_key *key = idempotency_key(request);
    struct text body = {0};
    if (!key) {
        return true;
    }
    token_json(&body, token, "");
    struct answer_row row = {.principal = key->principal, .key = key->key,
                             .request_hash = key->request_hash, .at_us = time_now_us(),
                             .status = 201, .location = location,
                             .content_type = "application/json", .body = body.data,
                             .body_bytes = body.bytes};
    struct batch *batch = recorder_batch(request_app(request)->service.recorder);
    bool kept = !body.failed && answer_insert(batch, &row);
    text_free(&body);
    idempotency_stored(request);
    return kept;
}

void handle_create_token(struct request *request)
{
    struct service *service = &request_app(request)->service;
    struct token_request wanted;
    char shown[TOKEN_SHOWN_BYTES], location[64];
    struct problem *problem = token_body_read(request_json(request), &wanted);
    struct stored_answer *later = problem ? NULL : respond_stored_make(request, 201);
    struct token *token = later ? token_make(service, &wanted, shown, &problem) : NULL;
    if (problem) {
        answer_problem(request, problem);
    }
    if (!token) {
        return;
    }
    snprintf(location, sizeof location, "/v1/tokens/%s", token->id_text);
    if (!keep_answer_without_token(request, token, location)) {
        recorder_fatal("out of memory for a stored answer");
    }
    answer_header(request, "Location", location);
    token_json(&later->body, token, shown);
    explicit_bzero(shown, sizeof shown);
    respond_stored(later);
}

/* ---- list ---- */

static int compare_ids(const void *left, const void *right)
{
    const struct token *const *a = left, *const *b = right;
    return memcmp(&(*a)->id, &(*b)->id, sizeof (*a)->id);
}

/* Those behind the page before, oldest first: ids grow. NULL: no memory. */
static struct token **tokens_after(const struct service *service, const struct page *page,
                                   size_t *count)
{
    struct token **tokens = calloc(service->tokens.count + 1, sizeof *tokens);
    *count = 0;
    for (struct token *t = service->tokens.first; t && tokens; t = t->next) {
        if (!page->goes_on || memcmp(&t->id, &page->after, sizeof t->id) > 0) {
            tokens[(*count)++] = t;
        }
    }
    if (*count) {
        qsort(tokens, *count, sizeof(struct token *), compare_ids);
    }
    return tokens;
}

void handle_list_tokens(struct request *request)
{
    struct text body = {0};
    struct page page;
    size_t count;
    struct problem *problem = page_from_request(request, PAGE_HASH_START, &page);
    if (problem) {
        answer_problem(request, problem);
        return;
    }
    struct token **tokens = tokens_after(&request_app(request)->service, &page, &count);
    if (!tokens) {
        respond_no_memory(request);
        return;
    }
    size_t shown = count < page.limit ? count : page.limit;
    text_put(&body, "{\"items\":[");
    for (size_t i = 0; i < shown; i++) {
        text_json_comma(&body);
        token_json(&body, tokens[i], NULL);
    }
    page_end(&body, &page, count > shown ? &tokens[shown - 1]->id : NULL);
    free(tokens);
    answer_json(request, 200, &body);
}

/* ---- one ---- */

/* The token of the path; NULL after answering 404. */
static struct token *find_token(struct request *request)
{
    size_t bytes;
    struct fact_id id;
    const char *text = request_segment(request, 0, &bytes);
    struct token *token =
        id_parse(text, bytes, 'k', &id) ? token_find(&request_app(request)->service, &id) : NULL;
    if (!token) {
        answer_problem(request,
                       problem_make(PROBLEM_NOT_FOUND, "there is no token %.64s", text));
    }
    return token;
}

void handle_get_token(struct request *request)
{
    const struct token *token = find_token(request);
    struct text body = {0};
    if (token) {
        token_json(&body, token, NULL);
        answer_json(request, 200, &body);
    }
}

/* A full disk does not keep it from its end: who deletes a token has a reason. It is gone from
   memory at once; the answer waits until it is gone for good. */
void handle_delete_token(struct request *request)
{
    struct token *token = find_token(request);
    struct stored_answer *later = token ? respond_stored_make(request, 204) : NULL;
    if (later) {
        token_end(token, "deleted");
        respond_stored(later);
    }
}
