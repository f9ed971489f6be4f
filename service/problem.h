/*
 * What can go wrong, in the words of the contract (RFC 9457 problem details and our `code`).
 *
 * The place that knows makes the problem; nobody in between rewrites it; the HTTP side only
 * prints it. A problem is owned by whoever holds the pointer and freed by problem_free. When
 * there is no memory for one, problem_make returns a static one (503 out_of_memory) that
 * problem_free leaves alone, so the result is never NULL.
 */
#ifndef FORKFUL_SERVICE_PROBLEM_H
#define FORKFUL_SERVICE_PROBLEM_H

#include <stddef.h>

/* X(name, word, HTTP status, title). openapi.yaml lists the same words. */
#define PROBLEMS(X)                                                                             \
    X(BAD_REQUEST, "bad_request", 400, "The request is malformed")                              \
    X(INVALID_JSON, "invalid_json", 400, "The body is not valid JSON")                          \
    X(UNKNOWN_PARAMETER, "unknown_parameter", 400, "A query key is not known here")             \
    X(INVALID_PARAMETER, "invalid_parameter", 400, "A query value is not valid")                \
    X(INVALID_PAGE_TOKEN, "invalid_page_token", 400, "The page token does not belong to this list") \
    X(UNAUTHORIZED, "unauthorized", 401, "A valid token is needed")                             \
    X(OWNER_ENDED, "owner_ended", 401, "The process or session of this token has ended")        \
    X(LOGIN_FAILED, "login_failed", 401, "That is no code to log in with, or not any more")     \
    X(FORBIDDEN, "forbidden", 403, "This token may not do that")                                \
    X(SPAWN_DENIED, "spawn_denied", 403, "The spawn policy does not allow it")                  \
    X(DAEMONIC_PARENT, "daemonic_parent", 403, "A daemon process may not make processes")       \
    X(NOT_FOUND, "not_found", 404, "There is no such thing")                                    \
    X(METHOD_NOT_ALLOWED, "method_not_allowed", 405, "The path does not take this method")      \
    X(NOT_ACCEPTABLE, "not_acceptable", 406, "None of the accepted forms can be given")         \
    X(NO_SUCH_KEY, "no_such_key", 404, "There is nothing under that key")                         \
    X(NOT_GRANTED, "not_granted", 409, "It was not to be had in that time")                     \
    X(CONFIG_DIFFERS, "config_differs", 409, "It is there with another configuration")          \
    X(OVER_RELEASE, "over_release", 409, "More would be released than there may be")            \
    X(BROKEN_PIPE, "broken_pipe", 409, "The other end of the pipe is closed")                    \
    X(WRONG_DIRECTION, "wrong_direction", 409, "That end of the pipe goes the other way only")  \
    X(END_CLAIMED, "end_claimed", 409, "That end of the pipe belongs to another owner")         \
    X(EOF, "eof", 410, "The other end of the pipe is closed, and nothing is left")              \
    X(BROKEN, "broken", 409, "The barrier is broken")                                           \
    X(WRONG_HOLD, "wrong_hold", 409, "That is a hold on something else")                        \
    X(DIFFERS, "differs", 409, "The present value is not the one expected")                    \
    X(CLOSED_FOR_GOOD, "closed", 410, "It is closed")                                           \
    X(CLOSED, "closed", 409, "It is closed")                                                    \
    X(NOT_CLOSED, "not_closed", 409, "It is open still")                                       \
    X(NOT_RUNNING, "not_running", 409, "The process is not running")                            \
    X(NOT_STARTED, "not_started", 409, "The process was not started")                           \
    X(ALREADY_STARTED, "already_started", 409, "The process was started before")                \
    X(PARENT_ENDED, "parent_ended", 409, "The parent of this daemon process has ended")         \
    X(WOULD_DEADLOCK, "would_deadlock", 409, "A process cannot wait for itself")                \
    X(PROCESS_ALIVE, "process_alive", 409, "The process is alive")                              \
    X(STDIN_CLOSED, "stdin_closed", 409, "The standard input is closed")                        \
    X(IDEMPOTENCY_IN_PROGRESS, "idempotency_in_progress", 409, "The first request with this key has not ended") \
    X(HOLD_ENDED, "hold_ended", 410, "The hold has ended")                                      \
    X(DELETED, "deleted", 410, "It was deleted meanwhile")                                      \
    X(LENGTH_REQUIRED, "length_required", 411, "The body's length is needed")                   \
    X(VERSION_DIFFERS, "version_differs", 412, "It has another version by now")                 \
    X(PAYLOAD_TOO_LARGE, "payload_too_large", 413, "The body is too large")                     \
    X(UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", 415, "The body must be application/json") \
    X(RANGE_NOT_SATISFIABLE, "range_not_satisfiable", 416, "Nothing of that range is there")    \
    X(MISDIRECTED, "misdirected", 421, "This server does not answer for that host")             \
    X(UNKNOWN_FIELD, "unknown_field", 422, "A field is not known here")                         \
    X(INVALID_VALUE, "invalid_value", 422, "A value is not valid")                              \
    X(MISSING_FIELD, "missing_field", 422, "A field is missing")                                \
    X(TYPE_MISMATCH, "type_mismatch", 422, "It is of another type")                             \
    X(OUT_OF_RANGE, "out_of_range", 422, "A number or an index is out of its range")            \
    X(SANDBOX_UNAVAILABLE, "sandbox_unavailable", 422, "This machine has no such sandbox")      \
    X(SPAWN_FAILED, "spawn_failed", 422, "The command could not be executed")                   \
    X(IDEMPOTENCY_KEY_REUSED, "idempotency_key_reused", 422, "The key was used with another request") \
    X(UPGRADE_FAILED, "upgrade_failed", 422, "The new binary did not pass its check")           \
    X(FULL, "full", 429, "There is no room in it now")                                          \
    X(LIMIT_REACHED, "limit_reached", 429, "A limit of this daemon is reached")                 \
    X(TOO_MANY_FAILURES, "too_many_failures", 429, "Too many wrong tokens came from there")     \
    X(INTERNAL, "internal", 500, "Something went wrong on our side")                            \
    X(NOT_SUPPORTED, "not_supported", 501, "This daemon cannot do that")                        \
    X(UNAVAILABLE, "unavailable", 503, "The machine has no room for that now")                  \
    X(OUT_OF_MEMORY, "out_of_memory", 503, "There is no memory for that now")                   \
    X(SHUTTING_DOWN, "shutting_down", 503, "The daemon is shutting down")                       \
    X(STORAGE_FULL, "storage_full", 507, "Nothing can be stored now")

enum problem_code {
#define X(name, word, status, title) PROBLEM_##name,
    PROBLEMS(X)
#undef X
    PROBLEM_CODES
};

/* One fault of many: at a place in the body (pointer), in the query (parameter) or in a header. */
struct problem_fault {
    enum { FAULT_POINTER, FAULT_PARAMETER, FAULT_HEADER } where;
    char *place;              /* "/argv/0", "wait", "Content-Length" */
    const char *code;         /* a problem word */
    char *detail;
};

struct problem {
    enum problem_code code;
    char *detail;             /* a sentence that names what is wrong */
    struct problem_fault *faults;
    size_t fault_count;
    int error;                /* spawn_failed: errno, else 0 */
    const char *stage;        /* spawn_failed: word of the stage, static */
    int retry_after_seconds;  /* 0: no such header */
    int status;               /* 0: that of the code */
    char *members;            /* more members of the answer, "cause":{…}, or NULL; owned */
};

struct problem *problem_make(enum problem_code code, const char *format, ...)
    __attribute__((format(printf, 2, 3), returns_nonnull));
/* Adds a fault; `problem` may be NULL: then one is made with this code. Returns the problem. */
struct problem *problem_add(struct problem *problem, enum problem_code code, int where,
                            const char *place, const char *format, ...)
    __attribute__((format(printf, 5, 6), returns_nonnull));
void problem_free(struct problem *problem);

int problem_status(const struct problem *problem);
const char *problem_word(enum problem_code code);
const char *problem_title(enum problem_code code);

#endif
