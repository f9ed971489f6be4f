/*
 * The route table as a tree of path segments, built once.
 *
 * A literal segment wins over {x} at the same place; there is no going back from it. Reading costs
 * a few comparisons per segment and allocates nothing.
 */
#ifndef FORKFUL_API_ROUTER_H
#define FORKFUL_API_ROUTER_H

#include "api/http.h"
#include "api/uri.h"

enum { ROUTE_CAPTURES = 4 }; /* most {x} in one path */

struct router;

struct match {
    const struct route *route; /* NULL: the path or the method is not there */
    bool path_known;           /* some method is there */
    const char *allow;         /* where path_known: value of Allow; lives with the router */
    unsigned captures;
    unsigned capture[ROUTE_CAPTURES]; /* index of the segment each {x} took */
};

/* NULL: no memory, or a table that is wrong (the message goes to stderr). */
struct router *router_new(const struct route *table, size_t count);
void router_free(struct router *router);

/* HEAD finds GET's route. OPTIONS and unknown methods find none, but the path. */
void router_match(const struct router *router, enum method method, const struct uri *uri,
                  struct match *out);

#endif
