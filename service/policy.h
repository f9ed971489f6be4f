/*
 * The spawn policy: what the configuration lets be spawned, and what it adds to what is.
 *
 * It judges the parsed spec, the very one that is executed, after the maker's privileges have been
 * given to it: at the making of a process and again when one is started later, for the workers of
 * pools as for everybody. Where it names programs or directories, what the spec asks for is opened
 * here, and where it lies is read off the descriptor; the descriptor then goes with the spec to
 * the child, which executes that file and no other (keeper/child.c). Keys that are not set cost
 * nothing. Loop thread only.
 */
#ifndef FORKFUL_SERVICE_POLICY_H
#define FORKFUL_SERVICE_POLICY_H

#include "service/service.h"

/* What holds for a process that is made now and does not say otherwise: no_new_privs, limits. */
void policy_complete(const struct config *config, struct spec *spec);

/* Names each rule that the spec breaks: 403 spawn_denied, or 422 where only limits are too high.
   NULL: it may be; `spec` then has the descriptors that its launch needs. */
struct problem *policy_check(const struct service *service, const struct owner *asker,
                             struct spec *spec);

/* One process more of this account: 429 where it has as many as it may have. */
struct problem *policy_check_count(const struct service *service, const struct fact_id *account);

/* The keys' values, an object. */
void policy_json(struct text *text, const struct config *config);

/* ---- for its parts ---- */

/* The JSON pointer `member`/NAME. */
void policy_pointer(struct text *text, const char *member, const char *name, size_t bytes);

/* Is the open file one of these, or at or below a directory of them? Those with a '/' at the end are
   directories, or all of them. Items may be reached through links; `fd` lies where it lies. */
bool policy_list_has(const struct config_list *list, bool all_directories, int fd);

/* Opens the directory and the program where a list names any. Adds to `problem`. */
struct problem *policy_check_files(const struct service *service, struct spec *spec,
                                   struct problem *problem);

#endif
