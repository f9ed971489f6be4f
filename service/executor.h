/*
 * An executor: what can run a process. Today the local keeper; later others, so nothing above this
 * header may assume that a process is local.
 *
 * Calls are asynchronous. What happens to a process comes back as facts; a call's own result
 * comes through its reply, once, on the loop thread, unless the call returned a problem (then
 * never). What an executor cannot do it does not list in `capabilities` and answers with
 * PROBLEM_NOT_SUPPORTED.
 */
#ifndef FORKFUL_SERVICE_EXECUTOR_H
#define FORKFUL_SERVICE_EXECUTOR_H

#include <stdbool.h>
#include <sys/types.h>

#include "service/problem.h"
#include "service/resume.h"

/* `error`: 0 or an errno (ESRCH: ended or unknown); `stage`: enum spawn_stage, for spawn. */
struct reply {
    void (*done)(void *context, int error, unsigned stage);
    void *context;
};

/* The bytes of a spawn command after its struct, ready to send; see commands.h. */
struct launch {
    struct command_spawn command;
    const void *tail;               /* strings, record, groups; borrowed for the call */
    size_t tail_bytes;
    int stdin_fd;                   /* SPAWN_STDIN_FILE: borrowed for the call; else -1 */
    int program, directory, ruleset; /* SPAWN_PROGRAM_FILE, SPAWN_CWD_FILE, SPAWN_LANDLOCK: likewise */
};

struct executor;

struct executor_type {
    const char *name;
    const char *const *capabilities;  /* words, NULL-terminated */
    struct problem *(*spawn)(struct executor *, const struct fact_id *, const struct launch *,
                             struct reply);
    struct problem *(*signal)(struct executor *, const struct fact_id *, int signal,
                              enum signal_scope, struct reply);
    struct problem *(*stop)(struct executor *, const struct fact_id *, enum stop_reason, int signal,
                            int64_t grace_us, struct reply);
    struct problem *(*freeze)(struct executor *, const struct fact_id *, bool paused, struct reply);
    /* Bytes taken (may be fewer than given), 0 when the pipe is full, negative errno (EPIPE:
       closed; EMFILE: no descriptor for it could be opened, later perhaps). */
    ssize_t (*stdin_write)(struct executor *, const struct fact_id *, const void *, size_t);
    /* A descriptor to watch for EPOLLOUT while the pipe is full; -1: none. Borrowed. */
    int (*stdin_fd)(struct executor *, const struct fact_id *);
    struct problem *(*stdin_close)(struct executor *, const struct fact_id *, struct reply);
    struct problem *(*credit)(struct executor *, const struct fact_id *, uint64_t max_output_bytes);
    /* A process that outlived what started it; entry->pidfd is borrowed for the call. */
    struct problem *(*adopt)(struct executor *, const struct resume_entry *entry, struct reply);
    void (*pipe_closed)(struct executor *, const struct fact_id *, enum fact_stream);
    void (*forget)(struct executor *, const struct fact_id *);   /* its end is stored */
};

struct executor {
    const struct executor_type *type;
};

#endif
