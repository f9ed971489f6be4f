/*
 * Which processes are meant: from the query of a list and from the `filter` of actions.
 *
 * The strings of a filter are borrowed from the request and live as long as it does.
 */
#ifndef FORKFUL_API_FILTER_H
#define FORKFUL_API_FILTER_H

#include "api/app.h"

/* All faults at once, each naming its query key, added to `problem` (taken; NULL: none so far). */
struct problem *filter_from_query(const struct request *request, struct problem *problem,
                                  struct process_filter *out);

/* `filter`: an object whose field names were checked. Faults are at "/filter/…". */
struct problem *filter_from_json(struct request *request, const json_t *filter,
                                 struct process_filter *out);

/* A hash of all that the filter says, for page tokens. */
uint64_t filter_hash(const struct process_filter *filter);

#endif
