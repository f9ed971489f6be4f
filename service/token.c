/* Tokens; see token.h. */
#include "service/token.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "db/tokens.h"
#include "service/scope.h"
#include "service/service.h"

#define USE_STORED_EVERY_US 60000000
#define LOOK_EVERY_US INT64_C(3600000000) /* the clock on the wall may be set meanwhile */

_Static_assert(TOKEN_HASH_BYTES == SHA256_BYTES, "the database keeps the whole hash");

static bool has_expired(const struct token *token)
{
    return token->expires_at_us && token->expires_at_us <= time_now_us();
}

static bool arm(struct token *token)
{
    int64_t left_us = token->expires_at_us - time_now_us();
    if (!token->expires_at_us) {
        return true;
    }
    left_us = left_us < 0 ? 0 : left_us < LOOK_EVERY_US ? left_us : LOOK_EVERY_US;
    return timer_set(token->service->loop, &token->expiry, time_monotonic_us() + left_us);
}

static void look(struct timer *timer)
{
    struct token *token = (struct token *)((char *)timer - offsetof(struct token, expiry));
    if (has_expired(token)) {
        token_end(token, "expired");
    } else {
        arm(token);
    }
}

/* ---- the secret ---- */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Of the bits, not of the digits: they fill one block of the hash. False: those are no digits. */
static bool hash_secret(const char *secret, uint8_t hash[SHA256_BYTES])
{
    uint8_t bits[TOKEN_SECRET_BYTES / 2];
    for (size_t i = 0; i < sizeof bits; i++) {
        int high = hex_digit(secret[2 * i]), low = hex_digit(secret[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        bits[i] = (uint8_t)(high * 16 + low);
    }
    sha256(bits, sizeof bits, hash);
    explicit_bzero(bits, sizeof bits);
    return true;
}

/* ---- the table ---- */

static void token_free(struct token *token)
{
    free(token->label);
    explicit_bzero(token->secret, sizeof token->secret);
    free(token);
}

static void token_remove(struct token *token)
{
    struct token_table *table = &token->service->tokens;
    *(token->previous ? &token->previous->next : &table->first) = token->next;
    if (token->next) {
        token->next->previous = token->previous;
    }
    table->count--;
    id_map_remove(&table->by_id, &token->id);
    timer_cancel(token->service->loop, &token->expiry);
    token_free(token);
}

/* From its row, which is all there is to it. NULL: no memory. */
static struct token *token_add(struct service *service, const struct token_row *row)
{
    struct token_table *table = &service->tokens;
    struct token *token = calloc(1, sizeof *token);
    if (!token) {
        return NULL;
    }
    memcpy(token->id.bytes, row->id, sizeof token->id.bytes);
    memcpy(token->hash, row->hash, sizeof token->hash);
    id_format(&token->id, 'k', token->id_text);
    token->service = service;
    token->scopes = row->scopes;
    token->label = row->label ? strdup(row->label) : NULL;
    token->created_at_us = row->created_at_us;
    token->expires_at_us = row->expires_at_us;
    token->last_used_at_us = token->stored_use_us = row->last_used_at_us;
    token->expiry.due = look;
    if ((row->label && !token->label) || !id_map_add(&table->by_id, &token->id)) {
        token_free(token);
        return NULL;
    }
    token->next = table->first;
    if (table->first) {
        table->first->previous = token;
    }
    table->first = token;
    table->count++;
    if (!arm(token)) {
        token_remove(token);
        return NULL;
    }
    return token;
}

static bool token_store(struct token *token)
{
    struct token_row row = {.scopes = token->scopes, .label = token->label,
                            .created_at_us = token->created_at_us,
                            .expires_at_us = token->expires_at_us,
                            .last_used_at_us = token->last_used_at_us};
    memcpy(row.id, token->id.bytes, sizeof row.id);
    memcpy(row.hash, token->hash, sizeof row.hash);
    token->stored_use_us = token->last_used_at_us;
    return token_row_put(recorder_batch(token->service->recorder), &row);
}

/* ---- beginning ---- */

static struct problem *refused(struct service *service)
{
    if (service->tokens.count < service->config->max_tokens) {
        return recorder_refuses(service->recorder);
    }
    return problem_make(PROBLEM_LIMIT_REACHED, "max_tokens (%llu) are there",
                        (unsigned long long)service->config->max_tokens);
}

/* A row of the request with a new id and secret, and the token as it is shown. False: no random
   bytes. */
static bool token_draw(const struct token_request *request, struct token_row *row,
                       char shown[TOKEN_SHOWN_BYTES])
{
    char secret[TOKEN_SECRET_BYTES + 1], id_text[ID_TEXT_BYTES];
    struct fact_id id = id_make();
    int64_t now_us = time_now_us();
    if (!random_hex(TOKEN_SECRET_BYTES / 2, secret)) {
        return false;
    }
    *row = (struct token_row){.scopes = request->scopes, .label = request->label,
                              .created_at_us = now_us,
                              .expires_at_us = request->lives_us ? now_us + request->lives_us : 0};
    memcpy(row->id, id.bytes, sizeof row->id);
    hash_secret(secret, row->hash);
    id_format(&id, 'k', id_text);
    snprintf(shown, TOKEN_SHOWN_BYTES, "fkf_%s_%s", id_text + 2, secret);
    explicit_bzero(secret, sizeof secret);
    return true;
}

struct token *token_make(struct service *service, const struct token_request *request,
                         char shown[TOKEN_SHOWN_BYTES], struct problem **problem)
{
    struct token_row row;
    if ((*problem = refused(service))) {
        return NULL;
    }
    struct token *token = token_draw(request, &row, shown) ? token_add(service, &row) : NULL;
    if (!token || !token_store(token)) {
        if (token) {
            token_remove(token);
        }
        *problem = problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for a token");
        return NULL;
    }
    service_change(service, "token.created", token->id_text, NULL);
    return token;
}

bool token_restore(struct service *service, const struct token_row *row)
{
    struct token *token = token_add(service, row);
    if (token) {
        id_not_before(&token->id);
    }
    return token != NULL;
}

/* ---- use ---- */

struct token *token_find(struct service *service, const struct fact_id *id)
{
    struct fact_id *found = id_map_find(&service->tokens.by_id, id);
    struct token *token =
        found ? (struct token *)((char *)found - offsetof(struct token, id)) : NULL;
    if (token && has_expired(token)) {
        token_end(token, "expired");
        return NULL;
    }
    return token;
}

bool token_matches(struct token *token, const char *secret)
{
    uint8_t hash[SHA256_BYTES];
    if (token->secret[0]) {
        return constant_time_equal(secret, TOKEN_SECRET_BYTES, token->secret, TOKEN_SECRET_BYTES);
    }
    if (!hash_secret(secret, hash) ||
        !constant_time_equal((const char *)hash, sizeof hash, (const char *)token->hash,
                             sizeof token->hash)) {
        return false;
    }
    memcpy(token->secret, secret, TOKEN_SECRET_BYTES);
    return true;
}

void token_used(struct token *token)
{
    token->last_used_at_us = time_now_us();
    if (token->last_used_at_us - token->stored_use_us >= USE_STORED_EVERY_US) {
        token_store(token);            /* without memory: the next use does it */
    }
}

/* ---- the end ---- */

static void end_sessions(struct token *token)
{
    struct session *next;
    for (struct session *s = token->service->sessions.first; s; s = next) {
        next = s->next;
        if (id_equal(&s->maker, &token->id)) {
            session_end(s, "token_ended");
        }
    }
}

void token_end(struct token *token, const char *cause)
{
    struct service *service = token->service;
    char type[32];
    snprintf(type, sizeof type, "token.%s", cause);
    service_log(service, LEVEL_INFO, NULL, "token %s ended: %s", token->id_text, cause);
    if (!token_row_delete(recorder_batch(service->recorder), token->id.bytes)) {
        recorder_fatal("out of memory for a token's end");
    }
    service_change(service, type, token->id_text, NULL);
    end_sessions(token);
    service_caller_ended(service, &token->id, PROBLEM_UNAUTHORIZED,
                         "the token was deleted or has expired");
    token_remove(token);
}

void token_json(struct text *text, const struct token *token, const char *shown)
{
    text_printf(text, "{\"id\":\"%s\"", token->id_text);
    if (shown) {
        text_put(text, ",\"token\":");
        text_json_string(text, *shown ? shown : NULL);
    }
    text_put(text, ",\"scopes\":");
    scopes_json(text, token->scopes);
    text_put(text, ",\"label\":");
    text_json_string(text, token->label);
    text_put(text, ",\"created_at\":");
    text_json_time(text, token->created_at_us);
    text_put(text, ",\"expires_at\":");
    text_json_time(text, token->expires_at_us);
    text_put(text, ",\"last_used_at\":");
    text_json_time(text, token->last_used_at_us);
    text_putc(text, '}');
}
