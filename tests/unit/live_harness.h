/*
 * A real keeper under test, with the test itself in the server's place.
 *
 * The keeper starts this very program as its server (`--server`); that process is a puppet: it hands its
 * descriptors to the test over a socket and sleeps. So a test speaks the protocol from straight
 * code, and kills "the server" by killing the puppet. Facts are read as a server would read them,
 * with a position that the test keeps over such kills, as a database does.
 */
#ifndef FORKFUL_TESTS_LIVE_HARNESS_H
#define FORKFUL_TESTS_LIVE_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "service/commands.h"
#include "service/resume.h"
#include "service/spool.h"

#define LIVE_CUSTODY_MAX 4096

struct live_custody {
    struct fact_id process;
    int32_t pid;
    int fds[4];                      /* pidfd, stdout, stderr, stdin; -1: none */
};

struct live {
    pid_t keeper, server;            /* server: the puppet, 0: none has come */
    int listener;                    /* where puppets come to */
    int puppet;                      /* the present one's socket: it exits when this is closed */
    int link, spool_fd, facts, room, lock, binary, cgroup;
    int stdout_fd;                   /* read end of the keeper's stdout */
    struct spool spool;
    uint64_t position;               /* applied so far */
    char dir[64];
    uint32_t request;
    struct notice_welcome welcome;
    struct live_custody custody[LIVE_CUSTODY_MAX];
    unsigned custody_count;
    bool custody_done;
    struct notice_reply replies[1024]; /* by request % 1024 */
    bool replied[1024];
    int signals[65];                 /* NOTICE_SIGNAL counted */
};

struct live_spawn {                  /* what a test may ask for; zero is the usual */
    struct fact_id process;
    const char *const *argv;
    const char *const *env;          /* NULL: PATH only, and the marker */
    const char *cwd;
    uint32_t flags;
    int stdin_fd;                    /* with SPAWN_STDIN_FILE */
    int program, directory, ruleset; /* with SPAWN_PROGRAM_FILE, _CWD_FILE, _LANDLOCK; 0: not sent */
    const void *record;
    size_t record_bytes;
    int64_t timeout_us, grace_us;
    int32_t stop_signal;             /* 0: SIGTERM */
    uint64_t max_output_bytes;
    uint32_t uid, gid;
    uint64_t nofile;                 /* 0: not set */
};

/* In main(), first: runs the puppet and never returns when this is one. */
void live_puppet(int argc, char **argv);

void live_start(struct live *live);                       /* keeper, first server, HELLO */
void live_start_with(struct live *live, uint64_t ring_bytes);
void live_meet(struct live *live);                        /* waits for the next puppet, says HELLO */
void live_accept(struct live *live);                      /* the same without HELLO */
void live_lose_server(struct live *live);                 /* kills the puppet and forgets its fds */
int live_refused(void);                                   /* how a keeper ends whose server will not start */
/* The keeper was killed: starts the next one with these entries, in the server's name. The server
   is gone afterwards; live_meet waits for the new one. */
void live_adopt(struct live *live, struct resume_entry *entries, unsigned count);
void live_exit(struct live *live);                        /* COMMAND_EXIT, waits for the keeper */
void live_end(struct live *live);                         /* the same unless done; cleans up */

uint32_t live_send(struct live *live, enum command_type type, const struct fact_id *process,
                   const void *body, size_t bytes);
uint32_t live_spawn(struct live *live, const struct live_spawn *spawn);
bool live_receive(struct live *live, int timeout_ms);     /* one notice */
int live_reply(struct live *live, uint32_t request);      /* its error, waits for it */
int live_call(struct live *live, enum command_type type, const struct fact_id *process,
              const void *body, size_t bytes);            /* send and wait for the reply */

/* The next fact, waiting for it; NULL: none came in time. It stays valid until live_applied. */
const struct fact *live_fact(struct live *live, int timeout_ms);
void live_applied(struct live *live);                     /* everything read is stored */
/* Reads on until a fact of this type about this process comes (NULL process: any). Fails the test
   after 10 s. Copies the output of that process on the way into `output` (may be NULL). */
struct live_output {
    char bytes[1 << 16];
    size_t count[3], total;          /* by stream; bytes holds the first of both */
};
const struct fact *live_until(struct live *live, enum fact_type type,
                              const struct fact_id *process, struct live_output *output);

struct fact_id live_id(uint64_t number);
const struct live_custody *live_custody_of(const struct live *live, const struct fact_id *process);
void live_sweep(struct live *live);                       /* the directory of a keeper that is gone */
int64_t live_now_ms(void);

#endif
