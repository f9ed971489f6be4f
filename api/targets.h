/*
 * Targets: what POST /v1/wait can wait for.
 *
 * An object of any kind that has object_type.ready, named by its noun ({"queue":"q"}), or one of what has an
 * id (targets.c has their table). A target is looked up at every look, so that one that is deleted meanwhile is
 * gone and nothing worse. Loop thread only.
 */
#ifndef FORKFUL_API_TARGETS_H
#define FORKFUL_API_TARGETS_H

#include "api/schema.h"
#include "service/service.h"

#define TARGET_FIELDS 24

enum target_state { TARGET_GONE, TARGET_WAITS, TARGET_READY };

struct target_kind;

struct target {
    const struct target_kind *kind;    /* NULL: an object */
    const char *name;                  /* as the request has it; borrowed */
    enum object_kind object;
    struct object_point point;
    struct fact_id id;                 /* of what has one */
};

/* The table for an entry of the request. */
void target_fields(struct field out[TARGET_FIELDS]);
/* Takes an entry that is as the table says; `place` is where it stands. NULL: done. A fault is added to `problem`
   (or NULL), what is not there makes a problem of its own. */
struct problem *target_read(struct service *service, const json_t *entry, const char *place,
                            struct target *target, struct problem *problem);
/* WAITS: *list is where one waits for it. */
enum target_state target_look(struct service *service, const struct target *target,
                              struct wait_list **list);

#endif
