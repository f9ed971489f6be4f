/*
 * Idempotency-Key; see idempotency.h.
 *
 * A key belongs to its principal. While its first request is under way it stands in a list in
 * memory; when that is answered, the answer is stored and only then sent. A spawn stores its answer
 * itself, in the transaction that stores the process, so that a crash leaves both or neither. What
 * failed for a passing reason (429, 5xx, 401) is not stored: the repeat may do better.
 */
#include "api/idempotency.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "api/auth.h"
#include "api/follow.h"
#include "api/respond.h"

struct idempotent {
    struct idempotent *next;           /* requests under way */
    struct read_job job;               /* the look-up */
    struct after_commit after;
    struct request *request;           /* NULL: gone while we read or store */
    struct service *service;
    struct answer_key key;             /* strings point into this struct */
    char principal[PRINCIPAL_TEXT_BYTES], text[256];
    int64_t not_before_us;
    bool looking, listed;              /* a reader has the job; stands in `under_way` */
    bool stored;                       /* the answer is in the open batch already */
    bool storing;                      /* its commit is awaited */
    /* What was found. */
    bool hit;
    uint64_t hash;
    int status;
    char *location, *content_type, *body;
    size_t body_bytes;
    struct db_error error;
};

static struct idempotent *under_way;   /* loop thread */

/* ---- the list and the end ---- */

static void unlist(struct idempotent *self)
{
    for (struct idempotent **at = &under_way; self->listed && *at; at = &(*at)->next) {
        if (*at == self) {
            *at = self->next;
            break;
        }
    }
    self->listed = false;
}

static void self_free(struct idempotent *self)
{
    unlist(self);
    free(self->location);
    free(self->content_type);
    free(self->body);
    free(self);
}

/* Nobody needs it once the request is over, no reader has its job and no commit is awaited. */
static void free_when_idle(struct idempotent *self)
{
    if (!self->request && !self->looking && !self->storing) {
        self_free(self);
    }
}

static void request_over(struct request *request, void *context, bool ok)
{
    (void)request;
    (void)ok;
    struct idempotent *self = context;
    self->request = NULL;
    free_when_idle(self);
}

static bool is_under_way(const struct idempotent *self)
{
    for (const struct idempotent *other = under_way; other; other = other->next) {
        if (strcmp(other->text, self->text) == 0 &&
            strcmp(other->principal, self->principal) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- the look-up ---- */

static char *copy(const void *data, size_t bytes)
{
    char *result = malloc(bytes + 1);
    if (result) {
        memcpy(result, data, bytes);
        result[bytes] = '\0';
    }
    return result;
}

static void found(void *context, const struct answer_row *row)
{
    struct idempotent *self = context;
    self->hash = row->request_hash;
    self->status = row->status;
    self->location = row->location ? copy(row->location, strlen(row->location)) : NULL;
    self->content_type = copy(row->content_type, strlen(row->content_type));
    self->body = copy(row->body, row->body_bytes);
    self->body_bytes = row->body_bytes;
}

static void look_up(struct read_job *job, struct db *reader)
{
    struct idempotent *self = (struct idempotent *)((char *)job - offsetof(struct idempotent, job));
    answer_find(reader, self->principal, self->text, self->not_before_us, found, self, &self->hit,
                &self->error);
}

static void replay(struct idempotent *self)
{
    struct text body = {0};
    struct request *request = self->request;
    text_add(&body, self->body, self->body_bytes);
    request_set_idempotent(request, NULL);
    answer_header(request, "Idempotency-Replayed", "true");
    if (self->location) {
        answer_header(request, "Location", self->location);
    }
    answer_text(request, self->status, self->content_type, &body);
}

static void answer_with(struct idempotent *self, struct problem *problem)
{
    request_set_idempotent(self->request, NULL);
    answer_problem(self->request, problem);
}

static void answer_plainly(struct idempotent *self, enum problem_code code, const char *detail)
{
    struct problem *problem = problem_make(code, "%s", detail);
    if (code == PROBLEM_IDEMPOTENCY_IN_PROGRESS) {
        problem->retry_after_seconds = 1;
    }
    answer_with(self, problem);
}

static void looked_up(struct read_job *job)
{
    struct idempotent *self = (struct idempotent *)((char *)job - offsetof(struct idempotent, job));
    self->looking = false;
    if (!self->request) {
        free_when_idle(self);
    } else if (self->error.code) {
        answer_with(self, problem_of_reading(&self->error));
    } else if (!self->hit) {
        request_continue(self->request);
    } else if (self->hash != self->key.request_hash) {
        answer_plainly(self, PROBLEM_IDEMPOTENCY_KEY_REUSED,
                       "this Idempotency-Key was used for a request with another path or body");
    } else if (!self->body || !self->content_type) {
        answer_plainly(self, PROBLEM_OUT_OF_MEMORY, "no memory for the stored answer");
    } else {
        replay(self);
    }
}

static void parked_gone(struct request *request, void *context)
{
    (void)request;
    (void)context;                     /* request_over follows */
}

static bool is_key(const char *text)
{
    size_t bytes = strlen(text);
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] < 0x21 || text[i] > 0x7e) {
            return false;
        }
    }
    return bytes >= 1 && bytes < sizeof ((struct idempotent *)0)->text;
}

/* Attaches the state of a request with this key. NULL: no memory. */
static struct idempotent *attach(struct request *request, const char *key)
{
    struct app *app = request_app(request);
    struct idempotent *self = calloc(1, sizeof *self);
    if (!self || !http_on_sent(request, request_over, self)) {
        free(self);
        return NULL;
    }
    self->request = request;
    self->service = &app->service;
    self->not_before_us = time_now_us() - app->config.idempotency_age_us;
    principal_text(request_principal(request), self->principal);
    snprintf(self->text, sizeof self->text, "%s", key);
    self->key = (struct answer_key){self->principal, self->text, request_hash(request)};
    request_set_idempotent(request, self);
    return self;
}

static void begin_look_up(struct idempotent *self)
{
    self->next = under_way;
    under_way = self;
    self->listed = self->looking = true;
    self->job.run = look_up;
    self->job.done = looked_up;
    http_park(self->request, (struct park){.gone = parked_gone});
    readers_submit(self->service->readers, &self->job);
}

bool idempotency_begin(struct request *request)
{
    const char *key = request_header(request, "Idempotency-Key");
    if (!is_key(key)) {
        answer_problem(request,
                       problem_add(NULL, PROBLEM_BAD_REQUEST, FAULT_HEADER, "Idempotency-Key",
                                   "must be 1 to 255 visible characters"));
        return true;
    }
    struct idempotent *self = attach(request, key);
    if (!self) {
        respond_no_memory(request);
    } else if (is_under_way(self)) {
        answer_plainly(self, PROBLEM_IDEMPOTENCY_IN_PROGRESS,
                       "the first request with this Idempotency-Key has no answer yet");
    } else {
        begin_look_up(self);
    }
    return true;
}

/* ---- the answer ---- */

static void answer_stored(struct after_commit *after)
{
    struct idempotent *self =
        (struct idempotent *)((char *)after - offsetof(struct idempotent, after));
    self->storing = false;
    unlist(self);
    if (self->request) {
        request_release(self->request);
    } else {
        free_when_idle(self);
    }
}

static bool is_passing(int status)
{
    return status == 401 || status == 403 || status == 429 || status >= 500;
}

bool idempotency_answered(struct request *request, int status, const char *location,
                          const char *content_type, const void *body, size_t bytes)
{
    struct idempotent *self = request_idempotent(request);
    struct answer_row row = {.principal = self->principal, .key = self->text,
                             .request_hash = self->key.request_hash, .at_us = time_now_us(),
                             .status = status, .location = location,
                             .content_type = content_type ? content_type : "", .body = body,
                             .body_bytes = bytes};
    bool keep = !self->stored && !is_passing(status);
    bool kept = keep && body && answer_insert(recorder_batch(self->service->recorder), &row);
    if (keep && !kept && status < 400) {
        recorder_fatal("out of memory for a stored answer"); /* else it would be done again */
    }
    if (!kept) {
        unlist(self);
        return false;
    }
    self->storing = true;
    self->after.run = answer_stored;
    recorder_after(self->service->recorder, &self->after);
    return true;
}

const struct answer_key *idempotency_key(struct request *request)
{
    const struct idempotent *self = request_idempotent(request);
    return self ? &self->key : NULL;
}

bool idempotency_will_store(const struct request *request)
{
    const struct idempotent *self = request_idempotent(request);
    return self && !self->stored;
}

void idempotency_stored(struct request *request)
{
    struct idempotent *self = request_idempotent(request);
    if (self) {
        self->stored = true;
    }
}
