/*
 * Sandboxes: what a process may touch, beyond what its user may not (`sandbox` of a spawn).
 *
 * Two layers of the kernel's, each on no_new_privs: Landlock, with paths below which it may read and
 * execute or also write; and a seccomp filter, today one preset. Both stay for all that the process
 * starts, also through the daemon: what it makes has its sandbox (privileges.c). The server prepares
 * them, the child puts them on (keeper/child.c). Which of the layers that are asked for this machine
 * has is decided first and told in the record; where one is missing and `require` is not false,
 * nothing starts. Loop thread only.
 *
 * A path is opened without following links: what a process may write to it could else lead out of
 * with a link, and have the daemon open what that leads to for the next one.
 */
#ifndef FORKFUL_SERVICE_SANDBOX_H
#define FORKFUL_SERVICE_SANDBOX_H

#include "service/spec.h"

/* What this machine has: Landlock's ABI, 0 without; and whether it takes filters. */
struct sandbox_layers sandbox_available(void);

/* Fixes spec->layers. 422 sandbox_unavailable where one is missing and required. */
struct problem *sandbox_choose(struct spec *spec);

/* Before a launch: spec->ruleset and spec->filter. 422 names the path that cannot be opened. */
struct problem *sandbox_prepare(struct spec *spec);

/* {"applied":[…],"missing":[…]}, or null. */
void sandbox_json(struct text *text, const struct spec *spec);

/* ---- seccomp_preset.c ---- */

/* The kernel takes filters. */
bool seccomp_available(void);
/* The filter's instructions (struct sock_filter), made once and for ever. NULL: no memory now. */
const void *seccomp_preset(size_t *bytes);

#endif
