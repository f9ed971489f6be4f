/*
 * Who asks, and with which scopes: the admin's token, one that the admin made, a process's, a
 * session's, a user on the Unix socket, or a client with a certificate.
 *
 * Tokens carry the id of what they belong to, so that looking one up needs no search and comparing
 * it takes a time that tells nothing: fkf_, fkp_ or fks_, <ulid>_<64 hex>. The admin's own, which
 * is in a file, has no id: fkf_<64 hex>.
 */
#include "api/auth.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/app.h"
#include "api/peer_process.h"

#define ULID_BYTES 26
#define SECRET_BYTES 64
#define OWNER_TOKEN_BYTES (4 + ULID_BYTES + 1 + SECRET_BYTES)
#define PEER_GROUPS_MAX 1024

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
    struct process *process = process_table_find(&app->service.processes, &out->id);
    if (!process || !secret_matches(secret, process->token)) {
        return unauthorized("the token is not known");
    }
    if (process_ended(process)) {
        return problem_make(PROBLEM_OWNER_ENDED, "process %s has ended", process->id_text);
    }
    process->has_called = true;
    out->kind = PRINCIPAL_PROCESS;
    out->scopes = SCOPES_OF_OWNERS;
    return NULL;
}

/* Its token's time is over, though no timer has told yet: then it has ended now. */
static bool session_maker_gone(struct app *app, const struct session *session)
{
    static const struct fact_id nobody;
    return !id_equal(&session->maker, &nobody) && !token_find(&app->service, &session->maker);
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
    if (session_maker_gone(app, session)) {
        return problem_make(PROBLEM_OWNER_ENDED, "the session of this token has ended");
    }
    session_call_begins(session);
    out->kind = PRINCIPAL_SESSION;
    out->scopes = session->scopes;
    return NULL;
}

static struct problem *check_made(struct app *app, const char *text, struct principal *out)
{
    const char *secret;
    struct token *token = owner_token(text, "fkf_", 'k', &out->id, &secret)
                              ? token_find(&app->service, &out->id)
                              : NULL;
    if (!token || !token_matches(token, secret)) {
        return unauthorized("the token is not known, or not any more");
    }
    token_used(token);
    out->kind = PRINCIPAL_TOKEN;
    out->scopes = token->scopes;
    return NULL;
}

static const struct {
    char prefix[5];
    struct problem *(*check)(struct app *app, const char *token, struct principal *out);
} kinds[] = {{"fkp_", check_process}, {"fks_", check_session}, {"fkf_", check_made}};

static void admit_admin(struct principal *out)
{
    out->kind = PRINCIPAL_ADMIN;
    out->scopes = SCOPE_ADMIN;
}

static struct problem *check_token(struct app *app, const char *token, struct principal *out)
{
    if (constant_time_equal(token, strlen(token), app->admin_token, strlen(app->admin_token))) {
        admit_admin(out);
        return NULL;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strncmp(token, kinds[i].prefix, 4) == 0) {
            return kinds[i].check(app, token, out);
        }
    }
    return unauthorized("the token is not known");
}

/* ---- users on the Unix socket ---- */

static bool is_member(const struct ucred *peer, const gid_t *groups, size_t count, uint32_t gid)
{
    for (size_t i = 0; i < count; i++) {
        if (groups[i] == gid) {
            return true;
        }
    }
    return peer->gid == gid;
}

/* All that the configuration's lines give to this user and to its groups. */
static unsigned scopes_of_peer(const struct config_peers *rules, const struct ucred *peer, int fd)
{
    gid_t groups[PEER_GROUPS_MAX];
    socklen_t bytes = sizeof groups;
    size_t count = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &bytes) == 0
                       ? bytes / sizeof *groups
                       : 0;
    unsigned scopes = 0;
    for (size_t i = 0; i < rules->count; i++) {
        const struct config_peer *rule = &rules->items[i];
        if (rule->is_group ? is_member(peer, groups, count, rule->id) : peer->uid == rule->id) {
            scopes |= rule->scopes;
        }
    }
    return scopes;
}

static bool check_peer(struct app *app, int fd, struct principal *out)
{
    struct ucred peer;
    socklen_t bytes = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) < 0 ||
        peer_may_be_sandboxed(&app->service, peer.pid)) {
        return false;
    }
    if (peer.uid == geteuid() || peer.uid == 0) {
        admit_admin(out);
        return true;
    }
    out->kind = PRINCIPAL_PEER;
    out->uid = peer.uid;
    out->scopes = app->config.unix_peers.count
                      ? scopes_of_peer(&app->config.unix_peers, &peer, fd)
                      : 0;
    return out->scopes;
}

/* ---- clients with certificates ---- */

static bool check_certificate(const struct app *app, const struct tls_subject *subject,
                              struct principal *out)
{
    const struct config_clients *rules = &app->config.tls_clients;
    out->kind = PRINCIPAL_CERTIFICATE;
    out->subject = subject->name;
    out->scopes = 0;
    for (size_t i = 0; i < rules->count; i++) {
        if (tls_subject_is(subject, rules->items[i].subject)) {
            out->scopes |= rules->items[i].scopes;
        }
    }
    return out->scopes;
}

/* ---- the gate ---- */

static struct problem *identify(struct app *app, const struct credentials *shown,
                                struct principal *out)
{
    const char *header = shown->authorization;
    if (header) {
        if (strncasecmp(header, "Bearer ", 7) != 0) {
            return unauthorized("the Authorization header must be: Bearer TOKEN");
        }
        return check_token(app, header + 7 + strspn(header + 7, " "), out);
    }
    if ((shown->is_unix && check_peer(app, shown->peer_fd, out)) ||
        (shown->certificate && check_certificate(app, shown->certificate, out))) {
        return NULL;
    }
    return unauthorized("an Authorization header with a bearer token is needed");
}

struct problem *auth_check(struct app *app, const struct credentials *shown, enum scope scope,
                           struct principal *out)
{
    *out = (struct principal){.kind = PRINCIPAL_NONE};
    if (scope == SCOPE_PUBLIC) {
        return NULL;
    }
    struct problem *problem = identify(app, shown, out);
    if (problem) {
        *out = (struct principal){.kind = PRINCIPAL_NONE};
    } else if (!scopes_allow(out->scopes, scope)) {
        problem = problem_make(PROBLEM_FORBIDDEN, "this needs the scope \"%s\", which the caller "
                               "does not have", scope_name(scope));
    }
    return problem;
}

static struct problem *process_again(struct app *app, const struct fact_id *id)
{
    const struct process *process = process_table_find(&app->service.processes, id);
    return process && !process_ended(process)
               ? NULL
               : problem_make(PROBLEM_OWNER_ENDED, "the process of this token has ended");
}

struct problem *auth_again(struct app *app, const struct principal *principal)
{
    if (principal->kind == PRINCIPAL_TOKEN && !token_find(&app->service, &principal->id)) {
        return unauthorized("the token was deleted or has expired");
    }
    if (principal->kind == PRINCIPAL_SESSION && !session_find(&app->service, &principal->id)) {
        return problem_make(PROBLEM_OWNER_ENDED, "the session of this token has ended");
    }
    return principal->kind == PRINCIPAL_PROCESS ? process_again(app, &principal->id) : NULL;
}

/* A name that does not fit is told by its hash: two shall never be the same. */
static void certificate_text(const char *subject, char out[PRINCIPAL_TEXT_BYTES])
{
    uint8_t hash[SHA256_BYTES];
    int used = snprintf(out, PRINCIPAL_TEXT_BYTES, "tls:%s", subject);
    if (used < PRINCIPAL_TEXT_BYTES) {
        return;
    }
    sha256(subject, strlen(subject), hash);
    used = snprintf(out, PRINCIPAL_TEXT_BYTES, "tls:sha256:");
    for (size_t i = 0; i < sizeof hash; i++) {
        used += snprintf(out + used, PRINCIPAL_TEXT_BYTES - (size_t)used, "%02x", hash[i]);
    }
}

void principal_text(const struct principal *principal, char out[PRINCIPAL_TEXT_BYTES])
{
    static const char prefixes[] = {[PRINCIPAL_PROCESS] = 'p', [PRINCIPAL_SESSION] = 's',
                                    [PRINCIPAL_TOKEN] = 'k', [PRINCIPAL_CERTIFICATE] = '\0'};
    if (principal->kind == PRINCIPAL_CERTIFICATE) {
        certificate_text(principal->subject, out);
    } else if (prefixes[principal->kind]) {
        id_format(&principal->id, prefixes[principal->kind], out);
    } else if (principal->kind == PRINCIPAL_PEER) {
        snprintf(out, PRINCIPAL_TEXT_BYTES, "uid:%u", principal->uid);
    } else {
        snprintf(out, PRINCIPAL_TEXT_BYTES, "%s",
                 principal->kind == PRINCIPAL_ADMIN ? "admin" : "");
    }
}

void auth_done(struct app *app, const struct principal *principal)
{
    if (principal->kind == PRINCIPAL_SESSION) {
        session_call_ends(&app->service, &principal->id);
    }
}
