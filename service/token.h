/*
 * Tokens: made by the admin for programs and people, with scopes, perhaps until some time.
 *
 * A token is fkf_<ulid>_<64 hex>: the ulid is that of its id k_<ulid>, by which it is found without
 * a search; the rest is its secret, 256 random bits, told once. What is kept is the secret's
 * SHA-256: of so many random bits nobody finds another preimage, and nothing slow or salted, as
 * passwords need it, would make that harder. A token is nobody: what it makes or acquires has no
 * owner. The sessions that it makes end with it. Loop thread only.
 */
#ifndef FORKFUL_SERVICE_TOKEN_H
#define FORKFUL_SERVICE_TOKEN_H

#include "service/id.h"
#include "service/id_map.h"
#include "service/loop.h"
#include "service/problem.h"
#include "service/sha256.h"
#include "service/text.h"

#define TOKEN_SECRET_BYTES 64             /* hex digits */
#define TOKEN_SHOWN_BYTES (4 + 26 + 1 + TOKEN_SECRET_BYTES + 1)

struct service;
struct token_row;

struct token {
    struct fact_id id;
    char id_text[ID_TEXT_BYTES];
    uint8_t hash[SHA256_BYTES];
    /* The secret itself once somebody has shown it, for as long as this server lives: to hash it
       at each call would take a twentieth of the call's time. "": not yet. */
    char secret[TOKEN_SECRET_BYTES + 1];
    unsigned scopes;                   /* enum scope */
    char *label;                       /* owned; NULL: none */
    int64_t created_at_us;
    int64_t expires_at_us;             /* 0: never */
    int64_t last_used_at_us;           /* 0: not yet */
    int64_t stored_use_us;             /* as the database has it; it is told lazily */
    struct timer expiry;
    struct service *service;
    struct token *next, *previous;
};

struct token_table {
    struct token *first;
    struct id_map by_id;
    size_t count;
};

struct token_request {
    unsigned scopes;
    const char *label;                 /* or NULL */
    int64_t lives_us;                  /* 0: for ever */
};

/* The only time that the token itself is known: in `shown`. NULL: *problem tells. */
struct token *token_make(struct service *service, const struct token_request *request,
                         char shown[TOKEN_SHOWN_BYTES], struct problem **problem);
/* One whose time is over ends here, should its timer be late. NULL: there is none (any more). */
struct token *token_find(struct service *service, const struct fact_id *id);
/* In a time that does not depend on the secret, which has TOKEN_SECRET_BYTES. */
bool token_matches(struct token *token, const char *secret);
/* Somebody shows it: that is noted, in the database at most once a minute. */
void token_used(struct token *token);
/* Ends it with its sessions; calls under way with either get 401. `cause`: deleted or expired. */
void token_end(struct token *token, const char *cause);
/* `shown`: only in the answer to its creation; "" there: it cannot be told any more. Else NULL. */
void token_json(struct text *text, const struct token *token, const char *shown);
/* At start, before the sessions. False: no memory. */
bool token_restore(struct service *service, const struct token_row *row);

#endif
