/*
 * Bonds: what ties a process to coordination objects. The lock it `requires`, which it waits for before it starts and
 * holds while it lives; the queue that its last record is put into (`on_exit`).
 *
 * A process that waits is `pending`. Taken from it by the admin, its lock ends it first and is free only when
 * it has ended: two never run at once. Loop thread only.
 */
#ifndef FORKFUL_SERVICE_BONDS_H
#define FORKFUL_SERVICE_BONDS_H

#include "service/permit.h"
#include "service/recorder.h"
#include "service/spec.h"

struct process;

struct bonds {
    struct process *process;
    char *lock;                        /* or NULL */
    char *queue;                       /* or NULL */
    struct permit_claim claim;         /* for the lock, while the process is pending */
    struct after_commit begin;         /* `pending` is stored: ask for the lock */
    struct timer again;                /* the machine had no room for a start */
};

/* Of a checked spec. *out is NULL where it ties nothing. False: no memory. */
bool bonds_from_spec(const struct spec *spec, struct process *process, struct bonds **out);
void bonds_free(struct bonds *bonds);
/* The durable form: members of an object, each behind a comma; and back. */
void bonds_json(struct text *text, const struct bonds *bonds);
bool bonds_from_json(const json_t *object, struct process *process, struct bonds **out);

/* 422 that names what does not exist. */
struct problem *bonds_check(struct service *service, const struct spec *spec);
bool bonds_require(const struct bonds *bonds); /* it must wait for a lock; NULL does not */
/* Its state is `pending` in the open batch: asks for the lock when that is stored. */
void bonds_begin(struct bonds *bonds);
/* After a restart, when it is known who lives: the pending ones ask again, in the order of creation. */
void bonds_resume(struct service *service);
/* The record goes: it waits no more. */
void bonds_cancel(struct bonds *bonds);
/* Its end is in the open batch. */
void bonds_ended(struct process *process);
/* The admin breaks this hold. True: it is a process's that requires it, which is being stopped; the hold ends with
   it, as broken. */
bool bonds_guard(struct hold *hold);

#endif
