/*
 * The facts: what the keeper tells the server, as they lie in the spool.
 *
 * A fact is one frame: `struct fact` and then `bytes - sizeof(struct fact)` of payload, padded with
 * zeros to a multiple of 8. Facts of one process stand in the order in which they happened; its
 * FACT_EXITED stands behind all output that its pipes held when it ended. The layouts are shared
 * by keeper and server of one build and, through an upgrade, of neighbouring builds: add types
 * and trailing fields, never change one (FACTS_VERSION is in the spool's header).
 *
 * All numbers are in host byte order; the file never leaves the machine.
 */
#ifndef FORKFUL_SERVICE_FACTS_H
#define FORKFUL_SERVICE_FACTS_H

#include <stdint.h>

#define FACTS_VERSION 1

/* A process's identity: the 16 bytes of its ULID. Never a pid, which the kernel uses again. */
struct fact_id {
    uint8_t bytes[16];
};

enum fact_type {
    FACT_PAD = 0,       /* fills the ring up to its end; has no meaning */
    FACT_STARTED,       /* exec succeeded; payload: struct fact_started, then the spawn's record */
    FACT_SPAWN_FAILED,  /* never ran; payload: struct fact_spawn_failed, then the spawn's record */
    FACT_OUTPUT,        /* payload: the bytes read from one pipe, in one read */
    FACT_DROPPED,       /* output thrown away by policy drop_newest; payload: struct fact_dropped */
    FACT_PIPE_CLOSED,   /* end of file on an output pipe: nothing more will come from that stream */
    FACT_STDIN_CLOSED,  /* the keeper has closed its write end (asked, or the reader is gone) */
    FACT_STOPPING,      /* a stop has begun or was shortened; payload: struct fact_stopping */
    FACT_KILLED,        /* the stop's grace ran out and SIGKILL went to the tree */
    FACT_PAUSED,        /* the tree was frozen */
    FACT_RESUMED,       /* the tree was thawed */
    FACT_OUTPUT_BLOCKED,/* policy block: max_bytes reached, the pipe is not read until credit comes */
    FACT_EXITED,        /* payload: struct fact_exited; the last fact about the main process */
    FACT_TREE_EMPTY,    /* after FACT_EXITED: no descendant is left (only where one was) */
    FACT_KEEPER_STARTED,/* a keeper begins to write; payload: struct fact_keeper_started; no process */
    FACT_SERVER_ENDED,  /* the server ended and is started again; payload: struct fact_server_ended */
    FACT_TYPES
};

enum fact_stream { STREAM_NONE = 0, STREAM_STDOUT = 1, STREAM_STDERR = 2, STREAM_STDIN = 3 };

struct fact {
    uint32_t bytes;           /* of the whole frame before padding, this header included */
    uint16_t type;            /* enum fact_type */
    uint16_t stream;          /* enum fact_stream, for output and pipe facts */
    uint64_t sequence;        /* 1, 2, 3 … over the spool's life; a hole means a damaged spool */
    int64_t at_us;            /* wall clock, microseconds since 1970, taken by the keeper */
    struct fact_id process;   /* all zero where no process is meant */
};

struct fact_started {
    int32_t pid;
    int32_t ppid;             /* the keeper's pid */
    uint64_t pidfd_inode;     /* unique per boot from Linux 6.9 on; 0 where the kernel gives none */
    uint64_t start_ticks;     /* field 22 of /proc/PID/stat where pidfd_inode is 0, else 0 */
    uint32_t in_cgroup;       /* 0: none of its own; else resume_entry.cgroup_slot + 1 */
    uint32_t record_bytes;    /* the record follows */
};

enum spawn_stage {            /* where the child's way to exec ended */
    STAGE_NONE = 0, STAGE_FORK, STAGE_PIPE, STAGE_CGROUP, STAGE_SESSION, STAGE_NICE, STAGE_RLIMIT,
    STAGE_GROUPS, STAGE_GROUP, STAGE_USER, STAGE_CWD, STAGE_STDIO, STAGE_EXEC, STAGE_LIMIT,
    STAGE_ENV, STAGE_SANDBOX, STAGES
};

struct fact_spawn_failed {
    int32_t error;            /* errno */
    uint32_t stage;           /* enum spawn_stage */
    uint32_t record_bytes;
    uint32_t reserved;
};

struct fact_dropped {
    uint64_t bytes;           /* since the last fact of this kind for this stream */
};

/* Why a process was asked to end. The values are stored in the database. */
enum stop_reason {
    STOP_NONE = 0, STOP_REQUESTED, STOP_TIMEOUT, STOP_PARENT_EXIT, STOP_SHUTDOWN, STOP_REASONS
};

struct fact_stopping {
    uint32_t reason;          /* enum stop_reason */
    int32_t signal;
    int64_t deadline_at_us;   /* wall clock: when SIGKILL will go to the tree */
};

struct fact_exited {
    int32_t kind;             /* enum exit_kind */
    int32_t status;           /* exit code, or the signal's number */
    uint32_t core_dumped;     /* 0, 1 */
    uint32_t reason;          /* enum stop_reason: a stop that had been sent before the end */
    uint32_t killed;          /* 1: the stop had to escalate to SIGKILL */
    uint32_t oom;             /* 1: its cgroup counted an OOM kill while it lived */
    int64_t user_us;          /* CPU time of the process and its reaped descendants */
    int64_t system_us;
    int64_t max_rss_bytes;
    uint32_t descendants;     /* still alive, as far as known; 0 when none or not known */
    uint32_t open_streams;    /* bit 0: stdout is still open, bit 1: stderr */
    uint32_t usage_known;     /* 0: somebody else reaped it, the usage fields mean nothing */
    uint32_t reserved;
};

enum exit_kind { EXIT_KIND_NONE = 0, EXIT_EXITED, EXIT_SIGNALED, EXIT_LOST };

struct fact_keeper_started {
    int32_t keeper_pid;
    uint32_t occasion;        /* enum resume_occasion */
    uint64_t unsure_bytes;    /* adoption: the old keeper died while it read a pipe; at most so many
                                 bytes of `fact.process`/`fact.stream` may be missing. 0: none */
};

struct fact_server_ended {
    int32_t pid;
    int32_t status;           /* as wait(2) gives it */
    uint32_t restarts;        /* how often the server was started again by this keeper */
    uint32_t delay_ms;        /* how long the keeper waits before it starts the next one */
};

#endif
