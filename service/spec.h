/*
 * A spawn request, checked and typed: what is to be run and how.
 *
 * Made from the request's JSON (field types already checked by the API's table; here the meaning
 * is checked: signals, users, limits, sizes), used for one launch, then freed. The rules are
 * those of POST /v1/processes in openapi.yaml.
 */
#ifndef FORKFUL_SERVICE_SPEC_H
#define FORKFUL_SERVICE_SPEC_H

#include <jansson.h>
#include <stdbool.h>

#include "service/commands.h"
#include "service/id.h"
#include "service/problem.h"
#include "service/text.h"

enum stdin_mode { STDIN_NULL, STDIN_PIPE, STDIN_DATA };
enum when_full { FULL_DROP_OLDEST, FULL_DROP_NEWEST, FULL_BLOCK };

struct pool_order {              /* of a process that a pool makes; zeroed: none does */
    int64_t pool, pool_at_us;    /* which: its number and when it was made */
    struct fact_id task;         /* what for; zeroed: no task of its own */
    const char *pool_name;       /* for its environment; borrowed for the launch */
    char task_id[ID_TEXT_BYTES]; /* likewise; "" where there is none */
};

struct sandbox_layers {          /* of a sandbox, those that are put on */
    int landlock_abi;            /* 0: no Landlock */
    bool seccomp;
};

struct secret {                  /* a variable whose value lies in a file; see secrets.h */
    char *name, *file;
    int fd;                      /* the file, once it may be read (O_PATH); -1: not open, `error` says why */
    int error;
    char *pair;                  /* "NAME=value", once it was read */
};

struct spec {
    char **argv;                 /* argc strings and NULL */
    unsigned argc;
    char **env;                  /* "K=V", what the request sets; envc strings and NULL */
    unsigned envc;
    struct secret *secrets;      /* what it sets besides; secret_count of them */
    unsigned secret_count;
    char *name;                  /* NULL: the default name */
    char *cwd;                   /* NULL: the daemon's */
    char *requires_lock, *on_exit_queue; /* names, or NULL */
    json_t *labels;              /* object of strings, or NULL */
    void *stdin_data;            /* STDIN_DATA */
    size_t stdin_bytes;
    enum stdin_mode stdin_mode;
    enum when_full when_full;
    bool clear_env, daemon, start, api;
    bool by_shell;               /* the request says `shell`, not `argv` */
    bool user_given, group_given; /* the request names them */
    bool new_privs_asked;        /* it says "no_new_privs": false */
    unsigned flags;              /* enum spawn_flags, without the stdin and output policy bits */
    uint32_t uid, gid, *groups, group_count;
    uint32_t umask;
    int nice;
    uint32_t rlimit_mask, rlimits_asked; /* those to be set; those of them that the request names */
    struct { uint64_t soft, hard; } rlimits[SPAWN_RLIMITS];
    int64_t timeout_us, grace_us;
    int stop_signal;
    uint64_t max_output_bytes;
    struct pool_order pool_order;
    /* Where the spawn policy opened them: what argv[0] and cwd must find; else -1. Owned. */
    int program, directory;
    bool is_script;
    /* {"read":[…],"write":[…],"seccomp":"default","require":…}, or NULL; see sandbox.h. */
    json_t *sandbox;
    struct sandbox_layers layers;
    int ruleset;                 /* of Landlock; -1: none. Owned */
    const void *filter;          /* of seccomp, filter_bytes long; borrowed for ever */
    size_t filter_bytes;
};

struct spec_defaults {
    int64_t grace_us;
    uint64_t max_output_bytes;
    enum when_full when_full;
};

/* All faults at once in the problem; *out is NULL then. */
struct problem *spec_from_json(const json_t *body, const struct spec_defaults *defaults,
                               struct spec **out);
void spec_free(struct spec *spec);

/* "SIGTERM", "TERM", "15", "SIGRTMIN+3" → number; 0: not a signal. */
int signal_from_text(const char *text);
/* A JSON string or integer. */
int signal_from_json(const json_t *value);
void signal_name(int signal, char out[16]);

/* Absolute, and says by itself where it leads: no ".." in it. */
bool spec_path_is_plain(const char *path);

/* The RLIMIT_* that this field of `rlimits` sets; -1: there is no such field. */
int spec_limit_resource(const char *name, size_t bytes);
/* Sets it, with the hard limit that belongs to it. */
void spec_set_limit(struct spec *spec, unsigned resource, uint64_t amount);
/* The field of `rlimits` that sets this RLIMIT_*; NULL: none does. */
const char *spec_limit_name(unsigned resource);

const char *when_full_name(enum when_full when_full);

/* Decodes base64 (RFC 4648 section 4, padding required) into malloc'ed memory. False: malformed
   or no memory. */
bool base64_decode(const char *text, size_t bytes, void **data, size_t *data_bytes);

#endif
