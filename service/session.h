/*
 * Sessions: owners that are no process. They end by DELETE or when no call with their token came
 * for ttl seconds: a suspicion, unlike the end of a process. Loop thread only.
 */
#ifndef FORKFUL_SERVICE_SESSION_H
#define FORKFUL_SERVICE_SESSION_H

#include "service/id.h"
#include "service/id_map.h"
#include "service/loop.h"
#include "service/owner.h"
#include "service/problem.h"
#include "service/text.h"
#include "service/waiter.h"

struct service;
struct session_row;

struct session {
    struct fact_id id;
    char id_text[ID_TEXT_BYTES];
    char token[65];                    /* hex */
    int64_t created_at_us, expires_at_us, ttl_us;
    int64_t stored_expires_at_us;      /* as the database has it; renewed lazily */
    unsigned scopes;                   /* enum scope; at most those of whoever made it */
    struct fact_id maker;              /* the token that made it, with which it ends; or zeroes */
    struct timer expiry;
    struct belongings belongings;
    struct wait_list watchers;         /* who waits for its end (POST /v1/wait) */
    size_t processes;                  /* that it made and that live */
    unsigned calls;                    /* under way with its token: it does not expire meanwhile */
    struct service *service;
    struct session *next, *previous;
};

/* So many of those that have ended last are remembered, in the database too, so that their tokens
   are told from ones that never were. */
#define SESSIONS_ENDED 4096

struct session_table {
    struct fact_id ended[SESSIONS_ENDED];  /* a ring; zeroes where none is yet */
    size_t ended_count;                /* ever */
    struct session *first;
    struct id_map by_id;
    size_t count;
};

struct session_request {
    int64_t ttl_us;
    unsigned scopes;
    struct fact_id maker;
};
/* NULL: *problem tells. */
struct session *session_make(struct service *service, const struct session_request *request,
                             struct problem **problem);
struct session *session_find(struct service *service, const struct fact_id *id);
bool session_has_ended(const struct service *service, const struct fact_id *id);
void session_renew(struct session *session);
/* A call with its token begins, and has its answer: both renew. */
void session_call_begins(struct session *session);
void session_call_ends(struct service *service, const struct fact_id *id);
/* A process that this owner made begins or ends to live. Nothing happens unless it is a session. */
void session_count_process(struct service *service, const struct owner *owner, bool begins);
/* Ends it: its daemon processes are ended, others go on. */
void session_end(struct session *session, const char *cause);
/* `with_token`: only in the answer to its creation. */
void session_json(struct text *text, const struct session *session, bool with_token);
/* At start, from the database; its time begins anew, because nobody could renew meanwhile. Without
   a token it is one that has ended. */
bool session_restore(struct service *service, const struct session_row *row);

#endif
