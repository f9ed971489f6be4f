/*
 * With whose rights a process runs: user and groups, niceness, limits, whether an exec may give it
 * more; and what a process may give to those it makes.
 *
 * A process asks the daemon, which may be root's, to make processes. So what was set for the maker
 * is what counts where its request says nothing, and a maker that runs as another user than the
 * daemon gets no more by asking than it has: not another user or group, no niceness below its own,
 * no limit above its own. What an exec must not give the maker it must not give those it makes,
 * whoever it runs as. Sessions are the admin's, who may do all that the daemon may.
 */
#ifndef FORKFUL_SERVICE_PRIVILEGES_H
#define FORKFUL_SERVICE_PRIVILEGES_H

#include "service/spec.h"

/* What was chosen for a process that has a sandbox is what each that it makes gets, and no other. */
struct privileges {                    /* what was set for a process; the rest is the daemon's */
    bool has_ids, has_nice;
    bool no_new_privs;                 /* prctl(2), PR_SET_NO_NEW_PRIVS */
    json_t *sandbox;                   /* as in struct spec; NULL: none */
    struct sandbox_layers layers;
    uint32_t uid, gid, *groups, group_count;
    int nice;
    uint32_t rlimit_mask;
    struct { uint64_t soft, hard; } rlimits[SPAWN_RLIMITS];
};

/* Of a checked spec. *out is NULL where it sets nothing. False: no memory. */
bool privileges_from_spec(const struct spec *spec, struct privileges **out);
void privileges_free(struct privileges *privileges);

/* Fits a spec to its maker's (NULL: nothing was set for it). A problem (403) names each field that
   asks for too much. */
struct problem *privileges_inherit(const struct privileges *maker, struct spec *spec);

/* The spec of a later start gets those that its process was made with. False: no memory. */
bool privileges_apply(const struct privileges *privileges, struct spec *spec);

/* The durable form: members of an object, each behind a comma; and back. False: no memory. */
void privileges_json(struct text *text, const struct privileges *privileges);
bool privileges_from_json(const json_t *object, struct privileges **out);

#endif
