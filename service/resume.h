/*
 * The resume blob: everything a keeper needs to begin or to go on, in one memfd.
 *
 * Written on three occasions: by the launcher (`forkful serve`) for a fresh start, by a keeper
 * that re-executes itself (upgrade), and by a server whose keeper was killed and which is about
 * to become the next keeper (adoption). The descriptors it names are inherited over exec
 * (FD_CLOEXEC cleared); the reader sets FD_CLOEXEC on each before it does anything else. Layout:
 * struct resume, then `entries` times struct resume_entry, then `strings_bytes` of NUL-terminated
 * strings in the order below.
 *
 * An older blob is read by a newer keeper: `resume_bytes` and `entry_bytes` give the writer's
 * struct sizes; fields beyond them are zero.
 */
#ifndef FORKFUL_SERVICE_RESUME_H
#define FORKFUL_SERVICE_RESUME_H

#include <stdint.h>

#include "service/commands.h"
#include "service/facts.h"

#define RESUME_MAGIC 0x656d75736572666bull
#define RESUME_VERSION 1
#define RESUME_LISTENERS 16

enum resume_occasion { RESUME_FRESH = 1, RESUME_UPGRADE = 2, RESUME_ADOPT = 3 };

struct resume {
    uint64_t magic;
    uint32_t version;
    uint32_t occasion;               /* enum resume_occasion */
    uint32_t resume_bytes, entry_bytes;
    uint32_t entries;
    uint32_t strings_bytes;
    int32_t spool_fd;
    int32_t lock_fd;                 /* holds the state directory's lock */
    int32_t binary_fd;               /* the forkful binary, for execveat of the server */
    int32_t notify_fd;               /* datagram socket to $NOTIFY_SOCKET, or -1 */
    int32_t listener_count;
    int32_t listener_fds[RESUME_LISTENERS];
    int32_t cgroup_fd;               /* directory of the cgroups of this keeper's children, or -1 */
    uint32_t server_restarts;
    uint32_t first_line_printed;     /* 1: the first line on stdout is out already */
    uint64_t soft_nofile;            /* the limit the daemon was started with, restored in children */
    int64_t keeper_started_at_us;    /* of the first keeper in this chain */
    struct command_state state;
    /* strings: binary path, first line (with its newline; empty: none), state dir, runtime dir,
       config path (empty: none), argv of the server as one string each ("--server" first), count in
       server_argc, and users, as keeper/users.c reads them (empty: the server is as the keeper) */
    uint32_t server_argc;
    int32_t oom_score_adj;           /* upgrade: what children get, for the keeper has lowered its own */
    uint32_t core_dumps;             /* 1: keeper and server may write them, for debugging */
    uint32_t tls_listeners;          /* a bit for each listener that speaks TLS, the first is bit 0 */
};

enum resume_entry_flags {
    ENTRY_ADOPTED = 1u << 0,         /* not our child: its end is learnt by pidfd */
    ENTRY_ENDED = 1u << 1,           /* FACT_EXITED is written; pipes or tree are still open */
    ENTRY_FORGOTTEN = 1u << 2,       /* the server has stored the end */
    ENTRY_PAUSED = 1u << 3,
    ENTRY_KILL_SENT = 1u << 4,
    ENTRY_BLOCKED = 1u << 5,
};

struct resume_entry {
    struct fact_id process;
    int32_t pid;
    int32_t pidfd, stdout_fd, stderr_fd, stdin_fd; /* -1: closed or none */
    uint32_t flags;                  /* enum resume_entry_flags */
    uint32_t spawn_flags;            /* enum spawn_flags, output policy bits */
    int32_t stop_signal;
    uint32_t stop_reason;            /* enum stop_reason; STOP_NONE: not stopping */
    int32_t cgroup_slot;             /* -1: none */
    int64_t grace_us;
    int64_t stop_deadline_mono_us;   /* CLOCK_MONOTONIC; 0: none */
    int64_t timeout_deadline_mono_us;
    uint64_t output_bytes;           /* read so far, both streams */
    uint64_t max_output_bytes;
    uint64_t stdout_dropped, stderr_dropped;
};

#endif
