/*
 * What the live tests of the keeper (keeper_*.c) share: the keeper under test, short words for what most of them
 * do, and how a test is set up.
 *
 * `live` is the keeper of the test that runs: each has its own, made by live_setup.
 */
#ifndef FORKFUL_TESTS_LIVE_TESTS_H
#define FORKFUL_TESTS_LIVE_TESTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "live_harness.h"

extern struct live live;

#define SHELL(script) ((const char *const[]){"sh", "-c", script, NULL})

/* Spawns; with an id of its own and 10 s of grace where none is given. */
struct fact_id live_run(struct live_spawn spawn);
struct fact_id live_shell(const char *script);
/* Waits for the end; `output` may be NULL. */
struct fact_exited live_exited(const struct fact_id *process, struct live_output *output);
int live_forget(const struct fact_id *process);
int live_stop(const struct fact_id *process, int signal, int64_t grace_us);
/* What a child printed up to `count` bytes, without waiting for its end. */
void live_read(const struct fact_id *process, struct live_output *output, size_t count);

unsigned live_keeper_fds(void);                           /* how many it has open */
bool live_is_gone(pid_t pid);                             /* a zombie is */
void live_wait_gone(pid_t pid);

int live_setup(void **state);
int live_setup_without_cgroups(void **state);
int live_teardown(void **state);

#define LIVE(test) cmocka_unit_test_setup_teardown(test, live_setup, live_teardown)
#define LIVE_WITHOUT_CGROUPS(test) \
    {#test " (no cgroups)", test, live_setup_without_cgroups, live_teardown, NULL}

#endif
