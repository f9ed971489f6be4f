/*
 * From the {id} in a path to a process, and who may act on it; see app.h.
 *
 * Which scope a call needs was looked at before (auth.c). A process or session moreover acts only
 * on itself, on what it made, and on what those made.
 */
#include <string.h>

#include "api/app.h"
#include "api/respond.h"

/* Longer chains of makers than this are nobody's: a bound on the walk, not a rule of the domain. */
#define GENERATIONS_MAX 1024

struct process *find_process(struct request *request)
{
    size_t bytes;
    const char *id = request_segment(request, 0, &bytes);
    struct process *process =
        process_table_find_text(&request_app(request)->service.processes, id, bytes);
    if (!process) {
        respond_no_process(request, id);
    }
    return process;
}

struct owner principal_owner(const struct principal *principal)
{
    struct owner owner = {PARENT_NONE, {{0}}};
    if (principal->kind == PRINCIPAL_PROCESS || principal->kind == PRINCIPAL_SESSION) {
        owner.kind = principal->kind == PRINCIPAL_PROCESS ? PARENT_PROCESS : PARENT_SESSION;
        owner.id = principal->id;
    }
    return owner;
}

struct fact_id principal_account(const struct principal *principal)
{
    struct fact_id account = principal->id;
    if (principal->kind == PRINCIPAL_PEER) {
        memcpy(account.bytes, &principal->uid, sizeof principal->uid);
        account.bytes[sizeof account.bytes - 1] = 1; /* also uid 0 is not the admin's */
    } else if (principal->kind == PRINCIPAL_CERTIFICATE) {
        uint8_t hash[SHA256_BYTES];
        sha256(principal->subject, strlen(principal->subject), hash);
        memcpy(account.bytes, hash, sizeof account.bytes);
    }
    return account;
}

static bool is_self(const struct principal *principal, const struct process *process)
{
    return principal->kind == PRINCIPAL_PROCESS && id_equal(&process->id, &principal->id);
}

static bool is_made_by_session(const struct principal *principal, const struct process *process)
{
    return principal->kind == PRINCIPAL_SESSION && process->parent.kind == PARENT_SESSION &&
           id_equal(&process->parent.id, &principal->id);
}

static bool owns(const struct app *app, const struct principal *principal,
                 const struct process *process)
{
    struct process_table *table = (struct process_table *)&app->service.processes;
    for (int i = 0; process && i < GENERATIONS_MAX; i++) {
        if (is_self(principal, process) || is_made_by_session(principal, process)) {
            return true;
        }
        process = process->parent.kind == PARENT_PROCESS
                      ? process_table_find(table, &process->parent.id)
                      : NULL;
    }
    return false;
}

bool principal_may_act_on(const struct app *app, const struct principal *principal,
                          const struct process *process)
{
    return principal_owner(principal).kind == PARENT_NONE || owns(app, principal, process);
}

struct process *find_process_to_act_on(struct request *request)
{
    struct process *process = find_process(request);
    const struct principal *principal = request_principal(request);
    if (!process || principal_may_act_on(request_app(request), principal, process)) {
        return process;
    }
    answer_problem(request, problem_make(PROBLEM_FORBIDDEN,
                                         "process %s was not made by the caller of this token",
                                         process->id_text));
    return NULL;
}
