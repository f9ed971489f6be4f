/*
 * Who asks: the admin's token, a process's, a session's, or the daemon's own user on the Unix
 * socket.
 *
 * Tokens of processes and sessions carry the id of their owner, so that looking one up needs no
 * search and comparing it takes a time that tells nothing: fkp_<ulid>_<64 hex>, fks_<ulid>_<64
 * hex>.
 */
#include "api/auth.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/app.h"

#define ULID_BYTES 26
#define SECRET_BYTES 64
#define OWNER_TOKEN_BYTES (4 + ULID_BYTES + 1 + SECRET_BYTES)

static struct problem *unauthorized(const char *detail)
{
    return problem_make(PROBLEM_UNAUTHORIZED, "%s", detail);
}

/* The id out of "fkp_<ulid>_…"; the secret behind it in *secret. */
static bool owner_token(const char *token, const char *prefix, char id_prefix, struct fact_id *id,
                        const char **secret)
{
    char text[ID_TEXT_BYTES];
    if (strlen(token) != OWNER_TOKEN_BYTES || strncmp(token, prefix, 4) != 0 ||
        token[4 + ULID_BYTES] != '_') {
        return false;
    }
    text[0] = id_prefix;
    text[1] = '_';
    memcpy(text + 2, token + 4, ULID_BYTES);
    text[2 + ULID_BYTES] = '\0';
    *secret = token + 4 + ULID_BYTES + 1;
    return id_parse(text, 2 + ULID_BYTES, id_prefix, id);
}

static bool secret_matches(const char *secret, const char *expected)
{
    return expected[0] &&
           constant_time_equal(secret, SECRET_BYTES, expected, strlen(expected));
}

static struct problem *check_process(struct app *app, const char *token, struct principal *out)
{
    const char *secret;
    if (!owner_token(token, "fkp_", 'p', &out->id, &secret)) {
        return unauthorized("the token is not known");
    }
    const struct process *process = process_table_find(&app->service.processes, &out->id);
    if (!process || !secret_matches(secret, process->token)) {
        return unauthorized("the token is not known");
    }
    if (process_ended(process)) {
        return problem_make(PROBLEM_OWNER_ENDED, "process %s has ended", process->id_text);
    }
    out->kind = PRINCIPAL_PROCESS;
    return NULL;
}

static struct problem *check_session(struct app *app, const char *token, struct principal *out)
{
    const char *secret;
    if (!owner_token(token, "fks_", 's', &out->id, &secret)) {
        return unauthorized("the token is not known");
    }
    struct session *session = session_find(&app->service, &out->id);
    if (!session && session_has_ended(&app->service, &out->id)) {
        return problem_make(PROBLEM_OWNER_ENDED, "the session of this token has ended");
    }
    if (!session || !secret_matches(secret, session->token)) {
        return unauthorized("the token is not known");
    }
    session_call_begins(session);
    out->kind = PRINCIPAL_SESSION;
    return NULL;
}

static struct problem *check_token(struct app *app, const char *token, struct principal *out)
{
    if (constant_time_equal(token, strlen(token), app->admin_token, strlen(app->admin_token))) {
        out->kind = PRINCIPAL_ADMIN;
        return NULL;
    }
    return strncmp(token, "fks_", 4) == 0 ? check_session(app, token, out)
                                          : check_process(app, token, out);
}

static bool peer_is_own_user(int peer_fd)
{
    struct ucred peer;
    socklen_t bytes = sizeof peer;
    return getsockopt(peer_fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

static struct problem *identify(struct app *app, const char *authorization, int peer_fd,
                                bool is_unix, struct principal *out)
{
    if (authorization) {
        if (strncasecmp(authorization, "Bearer ", 7) != 0) {
            return unauthorized("the Authorization header must be: Bearer TOKEN");
        }
        return check_token(app, authorization + 7 + strspn(authorization + 7, " "), out);
    }
    if (is_unix && peer_is_own_user(peer_fd)) {
        out->kind = PRINCIPAL_ADMIN;
        out->by_peer = true;
        return NULL;
    }
    return unauthorized("an Authorization header with a bearer token is needed");
}

struct problem *auth_check(struct app *app, const char *authorization, int peer_fd, bool is_unix,
                           enum scope scope, struct principal *out)
{
    *out = (struct principal){.kind = PRINCIPAL_NONE};
    if (scope == SCOPE_PUBLIC) {
        return NULL;
    }
    struct problem *problem = identify(app, authorization, peer_fd, is_unix, out);
    if (problem) {
        out->kind = PRINCIPAL_NONE;
    } else if (scope == SCOPE_ADMIN && out->kind != PRINCIPAL_ADMIN) {
        problem = problem_make(PROBLEM_FORBIDDEN, "only the admin may do that");
    }
    return problem;
}

void auth_done(struct app *app, const struct principal *principal)
{
    if (principal->kind == PRINCIPAL_SESSION) {
        session_call_ends(&app->service, &principal->id);
    }
}
