/*
 * The commands: what the server asks of the keeper, over one SOCK_SEQPACKET socket pair.
 *
 * Server → keeper: a packet is a `struct command` and its body, and then perhaps more of them, up
 * to COMMANDS_PER_PACKET; descriptors belong to the first. Keeper → server: the same with `struct
 * notice`. So what is in no hurry costs no system call and no wake-up of its own. A packet is at
 * most COMMAND_PACKET_BYTES; a larger spawn body lies in a sealed memfd passed with the packet
 * (COMMAND_BODY_IN_FD). Every command is answered by one NOTICE_REPLY with the same `request`,
 * except HELLO (answered by WELCOME and CUSTODY packets) and those with `request` 0, for which
 * nobody waits. Durable results travel as facts in the spool, not here: a reply only says whether
 * the keeper has taken the command, and it is sent after the facts the command caused at once were
 * published.
 *
 * The keeper trusts nothing in a packet: every length is checked in decode.c, which is fuzzed.
 */
#ifndef FORKFUL_SERVICE_COMMANDS_H
#define FORKFUL_SERVICE_COMMANDS_H

#include <stdint.h>

#include "service/facts.h"

#define COMMANDS_VERSION 4
#define COMMAND_PACKET_BYTES 65536u
#define COMMANDS_PER_PACKET 64u         /* and notices */
#define COMMAND_BODY_LIMIT (16u << 20)  /* of a spawn body in a memfd */
#define COMMAND_SPAWN_FDS 5             /* with a spawn command, at most */
#define COMMAND_FDS_MAX 64              /* descriptors in one packet, either way */

enum command_type {
    COMMAND_NONE = 0,
    COMMAND_HELLO,         /* body: struct command_hello; first packet of every server */
    COMMAND_READY,         /* the server answers requests (keeper prints the first line, sd_notify) */
    COMMAND_SPAWN,         /* body: struct command_spawn + strings; fds: [body memfd] [stdin file]
                              [program] [directory] [Landlock ruleset], as the flags say */
    COMMAND_SIGNAL,        /* body: struct command_signal */
    COMMAND_STOP,          /* body: struct command_stop */
    COMMAND_PAUSE,         /* whole tree */
    COMMAND_RESUME,
    COMMAND_STDIN_CLOSE,
    COMMAND_OUTPUT_CREDIT, /* body: struct command_credit; policy block: so much more may be read */
    COMMAND_FORGET,        /* the end is in the database; the keeper may forget the entry as soon
                              as its pipes are closed and its tree is empty */
    COMMAND_STATE,         /* body: struct command_state; what a new server must know */
    COMMAND_UPGRADE,       /* body: path, NUL-terminated; re-execute that binary */
    COMMAND_EXIT,          /* all is stored: end (kills what is left of the trees) */
    COMMAND_CUSTODY,       /* send this process's descriptors again: there was no room for them */
    COMMAND_ADOPT,         /* body: struct resume_entry (resume.h), fd: its pidfd. A process of a
                              keeper that was killed with its server; it has no pipes any more */
    COMMAND_TYPES
};

enum { COMMAND_BODY_IN_FD = 1u << 0 };

struct command {
    uint16_t type;              /* enum command_type */
    uint16_t flags;
    uint32_t request;           /* echoed in the reply */
    uint32_t body_bytes;
    uint32_t reserved;
    struct fact_id process;
};

struct command_hello {
    uint32_t version;           /* COMMANDS_VERSION */
    int32_t pid;
};

enum spawn_flags {
    SPAWN_STDIN_PIPE = 1u << 0,     /* else /dev/null, or the passed file (SPAWN_STDIN_FILE) */
    SPAWN_STDIN_FILE = 1u << 1,
    SPAWN_STDOUT_NULL = 1u << 2,
    SPAWN_STDERR_NULL = 1u << 3,
    SPAWN_STDERR_MERGED = 1u << 4,  /* stderr is the same pipe as stdout */
    SPAWN_SET_UMASK = 1u << 5,
    SPAWN_SET_NICE = 1u << 6,
    SPAWN_SET_IDS = 1u << 7,        /* uid, gid and groups are to be set */
    SPAWN_NO_NEW_PRIVS = 1u << 8,
    SPAWN_OUTPUT_BLOCK = 1u << 9,       /* at max_output_bytes: stop reading until credit */
    SPAWN_OUTPUT_DROP_NEWEST = 1u << 10,/* at max_output_bytes: read on, throw away, count */
    SPAWN_SEARCH_PATH = 1u << 11,       /* argv[0] has no slash: look it up in the child's PATH */
    SPAWN_PROGRAM_FILE = 1u << 12,      /* what argv[0] finds must be the passed file (O_PATH) */
    SPAWN_PROGRAM_SCRIPT = 1u << 13,    /* and its interpreter must find it: as /dev/fd/N */
    SPAWN_CWD_FILE = 1u << 14,          /* what cwd names must be the passed directory (O_PATH) */
    SPAWN_LANDLOCK = 1u << 15,          /* the passed ruleset is put on */
};

/* Where a name is looked for when the child has no PATH. */
#define SPAWN_STANDARD_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#define SPAWN_FILTER_UNIT 8u            /* sizeof(struct sock_filter) */
#define SPAWN_FILTER_MAX (4096u * SPAWN_FILTER_UNIT) /* BPF_MAXINSNS */
#define SPAWN_RLIMITS 16                /* RLIM_NLIMITS of Linux */

/* After the struct, without padding between them: argv strings, env strings ("K=V"), cwd (empty:
   the keeper's), all NUL-terminated, then `record_bytes` of record, then `group_count` uint32
   groups, then `filter_bytes` of a seccomp filter (neither aligned: copy them). strings_bytes counts
   argv, env and cwd with their NULs. */
struct command_spawn {
    uint32_t flags;             /* enum spawn_flags */
    uint32_t argc;              /* ≥ 1 */
    uint32_t envc;
    uint32_t strings_bytes;
    uint32_t record_bytes;
    uint32_t group_count;
    uint32_t uid;
    uint32_t gid;
    uint32_t umask;
    int32_t nice;
    uint32_t rlimit_mask;       /* bit r: rlimits[r] is to be set */
    int32_t stop_signal;        /* for timeout and shutdown */
    uint32_t filter_bytes;      /* struct sock_filter, one after the other; 0: no filter */
    uint32_t reserved;
    int64_t timeout_us;         /* run time limit; 0: none */
    int64_t grace_us;           /* from the stop's signal to SIGKILL */
    uint64_t max_output_bytes;  /* for block and drop_newest */
    struct { uint64_t soft, hard; } rlimits[SPAWN_RLIMITS];
};

enum signal_scope { SCOPE_MAIN = 0, SCOPE_GROUP, SCOPE_TREE, SCOPES };

struct command_signal {
    int32_t signal;
    uint32_t scope;             /* enum signal_scope */
};

struct command_stop {
    uint32_t reason;            /* enum stop_reason */
    int32_t signal;
    int64_t grace_us;           /* from now; a repeat may shorten, never lengthen */
};

struct command_credit {
    uint64_t max_output_bytes;  /* the new total up to which it may be read */
};

/* Opaque to the keeper but for `shutting_down` (it then does not restart a server that exits 0). */
struct command_state {
    uint32_t shutting_down;
    uint32_t reserved;
    int64_t shutdown_deadline_at_us;
};

enum notice_type {
    NOTICE_NONE = 0,
    NOTICE_WELCOME,        /* body: struct notice_welcome */
    NOTICE_CUSTODY,        /* body: struct notice_custody × n; fds in the order of their bits */
    NOTICE_CUSTODY_DONE,   /* all entries known at HELLO were sent */
    NOTICE_REPLY,          /* body: struct notice_reply */
    NOTICE_SIGNAL,         /* body: struct notice_signal: the keeper got SIGTERM, SIGINT or SIGHUP */
    NOTICE_TYPES
};

struct notice {
    uint16_t type;              /* enum notice_type */
    uint16_t flags;
    uint32_t request;
    uint32_t body_bytes;
    uint32_t reserved;
};

struct notice_welcome {
    uint32_t version;
    int32_t keeper_pid;
    uint32_t server_restarts;
    uint32_t entries;           /* processes in the keeper's table */
    uint32_t features;          /* enum keeper_features */
    uint32_t reserved;
    struct command_state state; /* as the last server left it */
    int64_t keeper_started_at_us;
};

enum keeper_features {
    KEEPER_CLONE3 = 1u << 0, KEEPER_CGROUP = 1u << 1, KEEPER_CGROUP_KILL = 1u << 2,
    KEEPER_PIDFD = 1u << 3, KEEPER_PIDFD_INODE = 1u << 4, KEEPER_PIDFD_EXIT_INFO = 1u << 5,
    KEEPER_SUBREAPER = 1u << 6, KEEPER_CGROUP_FREEZE = 1u << 7,
};

enum custody_bits { CUSTODY_PIDFD = 1, CUSTODY_STDOUT = 2, CUSTODY_STDERR = 4, CUSTODY_STDIN = 8 };

struct notice_custody {
    struct fact_id process;
    uint32_t fds;               /* enum custody_bits: which descriptors are in the packet, in this order */
    int32_t pid;
};

struct notice_reply {
    int32_t error;              /* 0, or a positive errno; ESRCH: ended or unknown */
    uint32_t stage;             /* COMMAND_SPAWN refused before it forked: enum spawn_stage */
};

struct notice_signal {
    int32_t signal;
    int32_t sender_pid;
};

#endif
