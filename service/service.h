/*
 * The domain: all state of one daemon, and what may be asked of it. Knows no HTTP and no SQL.
 *
 * One struct, owned by the loop thread; no locks. Functions that ask something of the executor
 * are asynchronous: they return a problem at once, or NULL and call back later, exactly once.
 */
#ifndef FORKFUL_SERVICE_SERVICE_H
#define FORKFUL_SERVICE_SERVICE_H

#include "db/answers.h"
#include "db/audit.h"
#include "db/feeds.h"
#include "db/readers.h"
#include "service/config.h"
#include "service/executor.h"
#include "service/hold.h"
#include "service/journal.h"
#include "service/login.h"
#include "service/process.h"
#include "service/recorder.h"
#include "service/session.h"
#include "service/task.h"
#include "service/token.h"
#include "service/waits.h"

enum log_level { LEVEL_DEBUG = 10, LEVEL_INFO = 20, LEVEL_WARNING = 30, LEVEL_ERROR = 40 };

struct feed {                          /* one of the feeds; see feeds.h and audit.h of db */
    uint64_t last;                     /* number given last */
    struct wait_list followers;        /* woken after each commit */
};

struct queue_totals {                  /* of all queues */
    int64_t last_seq;                  /* given to a message last */
    uint64_t bytes;                    /* of messages in memory, those of waiting putters too */
    uint64_t put_total, acked_total;   /* since this server began, also of queues that are gone */
    bool held_back;                    /* between queues_hold_back and queues_go_on */
    struct queue *owed;                /* what has become ready in these meanwhile */
};

struct service {
    struct loop *loop;
    struct process *dirty;             /* rows to write with the open batch */
    struct config *config;
    struct executor *executor;
    struct recorder *recorder;
    struct readers *readers;
    struct process_table processes;
    struct session_table sessions;
    struct token_table tokens;
    struct login_codes logins;
    struct object_table objects;
    struct hold_table holds;
    struct wait_notes waits;
    struct journal *journal;           /* NULL: every promise waits for its commit */
    uint64_t journal_stored;           /* up to here its entries were put into a batch */
    struct queue_totals queues;
    struct task_table tasks;
    bool pools_open;                   /* it is known who lives: pools may give out work */
    struct feed changes, log, audit;
    uint64_t ends[REASONS];            /* ends seen since this server began, by their reason */
    enum log_level log_level;
    char *cwd;                         /* the daemon's, used where a spec has none */
    int cgroup_fd;                     /* directory of the processes' cgroups; -1: there are none */
    char **base_env;                   /* what children inherit: our environment without FORKFUL_* */
    char url[320], socket_path[256];   /* for FORKFUL_URL and FORKFUL_SOCKET */
    struct notice_welcome keeper;      /* as the keeper told it */
    bool welcomed;
    bool shutting_down;
    int64_t started_at_us;             /* of this server */
    struct timer upkeep;
    struct timer reconcile;            /* until all that lay in the spool at the start is read */
    bool new_boot;                     /* what is lost, is lost by a reboot */
    struct shutdown *shutdown;         /* NULL: not shutting down */
    void (*finished)(void *context);   /* the shutdown is done: all is stored */
    /* A session or token has ended: its calls under way are refused so. */
    void (*caller_ended)(void *context, const struct fact_id *caller, enum problem_code code,
                         const char *detail);
    void *context;
};

/* ---- feed.c: changes, the daemon's log, the audit ---- */
/* `data`: JSON or NULL, copied. Goes into the open batch. */
void service_change(struct service *service, const char *type, const char *ref, const char *data);
void service_change_process(struct service *service, const char *type,
                            const struct process *process);
void service_log(struct service *service, enum log_level level, const struct process *process,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Gives the row its number and time. Into the open batch, which need not be committed at once. */
void service_audit(struct service *service, struct audit_row *row);
const char *log_level_name(enum log_level level);
bool log_level_from_name(const char *name, enum log_level *out);
void feeds_stored(void *context);      /* recorder_events.committed: wakes followers */

/* ---- lifecycle.c: facts change processes ---- */
void service_apply(void *context, const struct fact *fact, uint64_t end);
void process_credit(struct service *service, const struct process *process);
/* Policies block and drop_newest: up to how many bytes, ever, it may write now. */
uint64_t process_output_limit(const struct process *process);
void service_log_progress(void *context, const struct log_progress *progress);
/* Nobody can read its open pipes any more: what they held is not known. */
void process_streams_lost(struct service *service, struct process *process);
/* The keeper's duplicates for it have come. After its end was stored they are of no use any more. */
void process_custody_came(struct service *service, const struct fact_id *id);
/* Marks what an executor can no longer observe. */
void process_lost(struct service *service, struct process *process, enum exit_reason reason);
/* Its row is to be written with the open batch (revision + 1 when `changed`). */
void process_touch(struct service *service, struct process *process, bool changed);
void service_store_dirty(void *context);            /* recorder_events.submit */

/* ---- launch.c: making processes ---- */
struct launch_ticket;
struct control_ticket;

struct answer_key {                    /* of an Idempotency-Key; strings borrowed for the call */
    const char *principal, *key;
    uint64_t request_hash;
};
struct asker {                         /* of a process: */
    struct owner owner;                /* the process or session whose token it was; PARENT_NONE: neither */
    struct fact_id account;            /* to which it is charged; see account.h */
};
struct spawned {
    /* `process` NULL: `problem` (given away) tells. `stored_answer`: the body that was stored for
       the key, or NULL. */
    void (*done)(void *context, struct process *process, struct problem *problem,
                 const char *stored_answer);
    void *context;
    /* Its row goes into the batch that is open now; not called when nobody waits any more. Or NULL. */
    void (*storing)(void *context, const struct process *process);
};
/* Takes `spec`. `body` is the request (kept while start is false). *ticket, unless NULL, can be
   given to launch_abandon when the caller is gone; the process is made all the same. */
struct problem *service_spawn(struct service *service, struct spec *spec, const json_t *body,
                              const struct asker *asker, const struct answer_key *key,
                              struct spawned spawned, struct launch_ticket **ticket);
struct problem *service_start(struct service *service, struct process *process,
                              struct spawned spawned, struct launch_ticket **ticket);
void launch_abandon(struct launch_ticket *ticket);
/* What it is about; good until the ticket is done. */
struct process *launch_process(const struct launch_ticket *ticket);
/* A pending process has what it waited for. As service_start. */
struct problem *launch_pending(struct service *service, struct process *process,
                               struct spawned spawned, struct launch_ticket **ticket);
/* It will never be started: `failed`, with this errno. */
void launch_impossible(struct service *service, struct process *process, int error);
void launch_started(struct service *service, struct process *process); /* lifecycle tells launch */
bool launch_failed(struct service *service, struct process *process, int error, unsigned stage);
/* A fact about a process that a former server asked for: makes it from the record. NULL: not
   ours. */
struct process *launch_from_record(struct service *service, const struct fact_id *id,
                                   const char *record, size_t bytes);
const char *spawn_stage_name(unsigned stage);
unsigned spawn_stage_from_name(const char *name);  /* NULL, or none of them: STAGE_NONE */
const char *errno_name(int error);

/* ---- control.c: signals, stops, deletion ---- */
struct controlled {
    void (*done)(void *context, struct problem *problem);   /* NULL: done; problem is given away */
    void *context;
};
struct problem *service_signal(struct service *service, struct process *process, int signal,
                               enum signal_scope scope, struct controlled controlled,
                               struct control_ticket **out);
struct problem *service_stop(struct service *service, struct process *process,
                             enum stop_reason reason, int signal, int64_t grace_us,
                             struct controlled controlled, struct control_ticket **out);
struct problem *service_pause(struct service *service, struct process *process, bool paused,
                              struct controlled controlled, struct control_ticket **out);
struct problem *service_stdin_close(struct service *service, struct process *process,
                                    struct controlled controlled, struct control_ticket **out);
void control_abandon(struct control_ticket *ticket);
/* The record goes; refused while alive (PROBLEM_PROCESS_ALIVE). */
struct problem *service_delete(struct service *service, struct process *process);
/* Ends the daemon processes whose parent is `parent`; one of them. */
void service_parent_ended(struct service *service, const struct owner *parent);
bool process_parent_has_ended(struct service *service, const struct process *process);
void service_stop_daemon(struct service *service, struct process *process);
/* Nobody has asked yet that it be stopped. */
bool process_stop_wanted(const struct process *process);

/* ---- upkeep.c: retention and other periodic work ---- */
void service_upkeep_start(struct service *service);
void service_upkeep_soon(struct service *service);

/* ---- session.c, token.c ---- */
static inline void service_caller_ended(const struct service *service, const struct fact_id *caller,
                                        enum problem_code code, const char *detail)
{
    service->caller_ended(service->context, caller, code, detail);
}

/* ---- startup.c ---- */
struct problem *service_load(struct service *service, struct db *db);
/* After WELCOME and catching up: what neither keeper nor spool knows is lost; parents that ended
   while no server ran end their daemon processes. Where not all of the spool could be read yet (a
   full disk), it goes on with that later. */
void service_reconcile(struct service *service, bool new_boot);
void service_environment(struct service *service, char **environment);

/* ---- shutdown.c ---- */
/* Daemon processes are ended, the others joined until `deadline_at_us` (wall clock), then
   stopped. */
void service_shutdown(struct service *service, int64_t deadline_at_us);

#endif
