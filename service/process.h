/*
 * Processes: every record that is kept, in memory, in order of creation.
 *
 * One record is one run of one command. What never changes is rendered once, at creation, as the
 * piece of JSON that answers copy; what changes are plain fields, and each change is written to
 * the database in the batch that is open then. Records are owned by the table; a pointer is good
 * until the record is deleted, which happens only at the end of a turn (service_delete defers the
 * free). Loop thread only.
 */
#ifndef FORKFUL_SERVICE_PROCESS_H
#define FORKFUL_SERVICE_PROCESS_H

#include <jansson.h>
#include <stdbool.h>

#include "db/logs.h"
#include "db/processes.h"
#include "service/account.h"
#include "service/facts.h"
#include "service/id.h"
#include "service/id_map.h"
#include "service/owner.h"
#include "service/privileges.h"
#include "service/recorder.h"
#include "service/spec.h"
#include "service/text.h"
#include "service/waiter.h"

/* Stored in the database: append only. */
enum process_state {
    STATE_STARTING,    /* asked of the keeper, not known to anybody yet; never stored, never shown */
    STATE_CREATED, STATE_PENDING, STATE_RUNNING, STATE_STOPPING, STATE_EXITED, STATE_FAILED,
    STATE_LOST, STATES
};

/* Stored in the database: append only. */
enum exit_reason {
    REASON_NONE, REASON_EXIT_CODE, REASON_SIGNAL, REASON_TIMEOUT, REASON_STOPPED, REASON_OOM,
    REASON_PARENT_EXIT, REASON_SHUTDOWN, REASON_REBOOT, REASON_KEEPER_LOST, REASONS
};

struct bonds;
struct launch_ticket;
struct pool_worker;
struct service;

struct process {
    struct service *service;           /* for its after-commits */
    struct fact_id id;
    char id_text[ID_TEXT_BYTES];
    int64_t num;                       /* counts the processes made; the default name's N */

    /* Fixed at creation. */
    char *name;
    char *program;                     /* argv[0], for the log; NULL after a restart */
    char *fixed_json;                  /* "name":…,"argv":… as in every answer; no braces */
    size_t fixed_bytes;
    char *spec_text;                   /* what the database keeps; NULL once it is stored and started */
    json_t *labels;                    /* or NULL */
    struct owner parent;
    struct fact_id account;            /* who asked for it; see account.h */
    bool charged;                      /* to the account; until it has ended */
    int64_t pool_num, pool_at_us;      /* the pool that made it; 0: none did */
    struct fact_id task_id;            /* for this task of it; zeroed: none of its own */
    struct bonds *bonds;               /* NULL: it requires nothing, and nobody is told of its end */
    struct privileges *privileges;     /* NULL: all of it is the daemon's */
    char token[65];                    /* hex; empty: the child gets none */
    bool daemon, api;
    enum stdin_mode stdin_mode;
    enum when_full when_full;
    uint64_t max_output_bytes;
    int stop_signal;
    int64_t grace_us, timeout_us;
    int64_t created_at_us;

    /* Changing. */
    enum process_state state;
    bool launched;                     /* a spawn command is under way (state STARTING or CREATED) */
    bool paused;
    int32_t pid, ppid;
    uint64_t pidfd_inode, start_ticks;
    unsigned in_cgroup;                /* the number of its cgroup's slot, and 1; 0: none, or not known */
    int64_t started_at_us, exited_at_us;
    enum exit_kind exit_kind;
    int exit_status;
    enum exit_reason exit_reason;
    bool core_dumped, usage_known;
    int64_t user_us, system_us, max_rss_bytes;
    uint64_t stdout_bytes, stderr_bytes, dropped_bytes;
    unsigned open_streams;             /* bit 0 stdout, bit 1 stderr, bit 2 stdin */
    unsigned descendants;
    enum stop_reason stop_reason;
    bool stop_asked;                   /* a stop is on its way to the keeper */
    int stop_signal_sent;
    int64_t stop_deadline_at_us;
    int start_errno;                   /* FAILED: why and at which stage; else 0 */
    unsigned start_stage;
    uint64_t revision;

    /* What is stored of its log (struct log_progress), as of the last commit. */
    uint64_t log_first, log_last, log_bytes;
    uint64_t log_gone;                 /* bytes deleted from it, whatever the cause, ever */
    uint64_t log_trimmed;              /* of these: because somebody asked for it */
    bool end_stored;                   /* the end is committed */
    bool quiet_stored;                 /* and so is the end of its output */

    struct belongings belongings;      /* while it lives */
    bool has_called;                   /* its token was shown since the server's start */
    struct wait_list joiners;          /* woken when the end is committed */
    struct wait_list followers;        /* woken when its stored log changes */
    struct after_commit tell_end, tell_quiet;

    struct process *next, *previous;             /* all, in order of creation */
    struct process *next_live, *previous_live;   /* started and not ended */
    struct process *next_daemon, *previous_daemon;   /* of the live ones, with the daemon flag */
    struct process *next_num;                    /* in the bucket of its number */
    struct process *next_dirty;
    bool dirty, inserted;              /* its row must be written; it has a row */
    bool spec_changed;                 /* with its row, the spec in it */
    struct pool_worker *worker;        /* while it works for its pool; else NULL */
    struct launch_ticket *ticket;      /* while a launch is under way and somebody waits */
    struct deferred release;           /* after deletion */
};

struct process_table {
    struct process *first, *last;
    struct process *first_live, *first_daemon;
    bool sandboxed;                    /* one with a sandbox has been here */
    struct id_map by_id;
    struct account_table accounts;
    struct process **by_num;
    size_t num_buckets;                /* a power of two */
    size_t count, live, ended;         /* shown records; started and not ended; ended */
    size_t states[STATES];
    int64_t last_num;
};

/* What a list asks for. Zeroed = everything. */
struct process_filter {
    unsigned states;                   /* bit per enum process_state; 0: all */
    const char *name;
    const char *labels[64];            /* "k=v" or "k" */
    size_t label_count;
    bool by_parent;
    struct owner parent;
};

const char *process_state_name(enum process_state state);
bool process_state_from_name(const char *name, size_t bytes, enum process_state *out);
const char *exit_reason_name(enum exit_reason reason);

bool process_alive(const struct process *process);   /* started, its end not known */
const char *process_program(const struct process *process);   /* argv[0], or "exec" where not kept */
/* A pidfd of it, if the very process that was started still runs; else -1. The caller closes it. */
int process_open(const struct process *process);
/* Lost, and the very process that was started still exists: nobody can act on it. */
bool process_lives_unheld(const struct process *process);
bool process_waits(const struct process *process);   /* CREATED or PENDING: not started so far */
bool process_ended(const struct process *process);   /* EXITED, FAILED or LOST */

/* The record's JSON object, as create, get, list and join answer it. */
void process_json(struct text *text, const struct process *process);

bool process_matches(const struct process *process, const struct process_filter *filter);

/* ---- the table ---- */
struct process *process_table_add(struct process_table *table, const struct fact_id *id,
                                  int64_t num);   /* NULL: no memory. State STARTING */
struct process *process_table_find(struct process_table *table, const struct fact_id *id);
struct process *process_table_find_text(struct process_table *table, const char *text,
                                        size_t bytes);
struct process *process_table_find_num(struct process_table *table, int64_t num);
/* To its account. False: no memory. */
bool process_table_charge(struct process_table *table, struct process *process);
/* The one way to change a state: keeps the live list and the counts. */
void process_set_state(struct process_table *table, struct process *process,
                       enum process_state state);
/* Takes it out; the memory is freed by process_free. */
void process_table_remove(struct process_table *table, struct process *process);
void process_free(struct process *process);
void process_table_free(struct process_table *table);

/* ---- its durable form ---- */
void process_row(const struct process *process, struct process_row *row);
void process_from_row(struct process *process, const struct process_row *row);

/* Renders fixed_json and spec_text from a spec. `body`: the request, kept in spec_text when the
   process is not started now. False: no memory. */
bool process_fix(struct process *process, const struct spec *spec, const json_t *body);
/* The same from a stored spec_text. False: no memory, or not our JSON. */
bool process_fix_from_text(struct process *process, const char *spec_text);
/* The request's body out of spec_text, for a start later, with the cwd that was chosen for it.
   NULL: none, or no memory. Owned by the caller. */
json_t *process_stored_body(const struct process *process);

#endif
