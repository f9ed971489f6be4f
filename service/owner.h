/*
 * Owners: whose something is. A process ends when it is reaped, which is certain; a session ends by
 * expiry, which is a suspicion; what nobody owns has a time limit instead.
 *
 * Everything an owner has in the coordination objects hangs in its `belongings`, so that all of it
 * is found, and handed on, in the step that records its end. Loop thread only.
 */
#ifndef FORKFUL_SERVICE_OWNER_H
#define FORKFUL_SERVICE_OWNER_H

#include <stdbool.h>

#include "service/facts.h"

struct claim;
struct hold;
struct object;
struct service;

/* Stored in the database: append only. */
enum parent_kind { PARENT_NONE, PARENT_PROCESS, PARENT_SESSION };

struct owner {
    enum parent_kind kind;
    struct fact_id id;
};

struct belongings {                    /* of one owner; zeroed = nothing */
    struct hold *holds;                /* live ones */
    struct claim *claims;              /* calls of it that wait */
    struct object *objects;            /* that end with it */
};

/* It can own something now. False for nobody. */
bool owner_lives(struct service *service, const struct owner *owner);
/* Also of one that has just ended. NULL: nobody, or not known any more. */
struct belongings *owner_belongings(struct service *service, const struct owner *owner);
/* Its waiting calls are answered, its holds end with it as the cause, its objects are deleted. In the
   batch that records its end; called once. */
void owner_ended(struct service *service, const struct owner *owner);

#endif
