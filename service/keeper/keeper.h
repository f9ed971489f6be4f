/*
 * The keeper's nouns: one struct for a child, one for the server's side, one for all of it.
 *
 * The keeper is a single thread around one epoll. A turn takes events, acts, and at its end sends
 * what is due: facts are in the spool by then, so a reply never overtakes the fact it stands for.
 * After the start no memory is taken but pages of the mappings made then, and mappings for plans
 * and records that no kept place fits. Functions that can fail return a negative errno.
 * Times are microseconds: `now_us` wall clock, `*_deadline_us` monotonic.
 */
#ifndef FORKFUL_KEEPER_KEEPER_H
#define FORKFUL_KEEPER_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "service/keeper/decode.h"
#include "service/resume.h"
#include "service/spool.h"

#define CHILDREN_MAX (1u << 17)
#define HASH_BUCKETS (1u << 14)
#define REPLIES_MAX 1024u
#define STRINGS_BYTES 32768u
#define SERVER_PATIENCE_US 5000000 /* how long a server that was told to end may take */

enum child_state { CHILD_FREE = 0, CHILD_STARTING, CHILD_FAILED, CHILD_RUNNING, CHILD_ENDED };

/* Bits of `marks`: those of the resume blob (ENTRY_*), and from bit 16 on the keeper's own. */
enum child_marks {
    MARK_TREE = 1u << 16,         /* the main process has ended, descendants live */
    MARK_CUSTODY = 1u << 17,      /* in the queue of descriptors to send */
    MARK_BLOCKED_STREAM = 1u << 18, /* and 19: this stream is not read until credit comes */
    MARK_WIDE_STREAM = 1u << 20,  /* and 21: this pipe was found full and made larger */
    MARK_ZOMBIE_SEEN = 1u << 22,  /* adopted: ended, its status not readable yet */
    MARK_EVENTS = 1u << 23,       /* the slot's cgroup.events is watched */
    MARK_WATCHED = 1u << 24,      /* its pipes are in the epoll */
};

/* Facts that are due and wait for room in the ring, in the order in which they are written. */
enum owed_facts {
    OWED_STARTED = 1u << 0, OWED_FAILED = 1u << 1, OWED_PAUSED = 1u << 2, OWED_RESUMED = 1u << 3,
    OWED_STOPPING = 1u << 4, OWED_KILLED = 1u << 5, OWED_BLOCKED = 1u << 6,
    OWED_DROPPED_STREAM = 1u << 7, /* and 8 */
    OWED_CLOSED_STREAM = 1u << 9,  /* and 10 */
    OWED_STDIN_CLOSED = 1u << 11, OWED_TREE_EMPTY = 1u << 12,
};

struct child {
    struct fact_id process;
    uint32_t hash_next, pid_next; /* next in the bucket; 0 ends */
    uint32_t queue_next;          /* next in the custody queue or on the free list; 0 ends */
    uint32_t state;               /* enum child_state */
    pid_t pid;
    int pidfd, status_fd, stdin_fd; /* -1: none */
    int output[2];                /* read ends of stdout and stderr; -1: closed or none */
    uint32_t marks, owed, spawn_flags;
    int32_t stop_signal;          /* for the time limit */
    int32_t stopping_signal;      /* of the stop under way */
    uint32_t stop_reason;         /* enum stop_reason; of the first stop */
    int32_t slot;                 /* cgroup slot, -1: none */
    int64_t forked_us;            /* wall clock right before the fork, for FACT_STARTED */
    int64_t grace_us;
    int64_t stop_deadline_us, timeout_deadline_us; /* monotonic; 0: none */
    uint64_t output_bytes, max_output_bytes;
    uint64_t dropped[2];          /* thrown away and not yet told */
    struct plan *plan;            /* while the child runs in it */
    unsigned char *record;        /* until STARTED or SPAWN_FAILED is out */
    uint32_t record_bytes;
    uint32_t oom_before;          /* the slot's count of OOM kills at the start */
    int32_t error;                /* CHILD_FAILED: errno and stage */
    uint32_t stage;
};

struct server {
    pid_t pid;                    /* 0: none runs */
    int link;                     /* our end of the socket pair, -1: none */
    bool greeted, ready;          /* HELLO and READY have come from this one */
    bool ended_by_us;             /* upgrade or exit: it is not started again */
    uint32_t starts, restarts;
    uint32_t hasty, delay_ms;     /* ends in a row that came soon; how long the next start waited */
    int64_t started_us, start_deadline_us, kill_deadline_us;
    int64_t settle_deadline_us;   /* how long CUSTODY_DONE waits for spawns under way; 0: not waiting */
    uint32_t custody_first, custody_last; /* queue of children, 0: empty */
    uint32_t greeted_entries;     /* for the welcome: how many were queued at HELLO */
    bool welcome_due, done_due;
    uint32_t interest;            /* epoll events that the link is watched for */
    uint32_t welcome_request;
    struct { uint32_t request; struct notice_reply reply; } replies[REPLIES_MAX];
    uint32_t reply_first, reply_count;
    struct notice_signal signals[3]; /* SIGHUP, SIGINT, SIGTERM to be told; the last two until a
                                        server has said that it shuts down: one can die of the
                                        same signal, sent to the process group */
    bool signal_told[3];             /* to this server */
    struct fact_server_ended ended;
    bool ended_due;               /* FACT_SERVER_ENDED waits for room */
};

struct keeper {
    struct spool spool;
    struct resume resume;         /* as read, kept for the next blob; strings below */
    char strings[STRINGS_BYTES];
    uint32_t features;            /* enum keeper_features */
    pid_t pid;
    int epoll, pipes_epoll, signals, facts_event, room_event, null_fd;
    bool ring_waits;              /* output is not read until the ring has room */
    bool nowait_reads;            /* preadv2 takes RWF_NOWAIT on pipes */
    bool exiting;
    bool alone;                   /* it ends without a server: alone.c */
    int exit_status;
    int64_t unready_since_us;     /* asked to end, and no server is ready; 0: nothing waits */
    uint64_t begun_at, begun_end; /* where our FACT_KEEPER_STARTED lies in the spool */
    char *upgrade_path;           /* not empty: re-execute this when the server has ended */
    int64_t upgrade_deadline_us;
    int64_t now_us, mono_us;      /* taken once per turn, and at each fork and end in it */
    int64_t next_deadline_us;     /* no deadline of a child or check is before this */
    int64_t check_deadline_us;    /* when trees and adopted zombies are looked at again; 0: never */
    int64_t check_took_us;        /* the last such look, at all of them */
    int64_t drop_deadline_us;     /* when counts of dropped bytes are told; 0: none are due */
    uint32_t starting;            /* children between fork and exec */
    int oom_score_adj;            /* as it was at the start: what children get */
    int oom_score_fd;             /* /proc/self/oom_score_adj where we may lower it, or -1 */
    bool oom_score_lowered;
    int64_t oom_deadline_us;      /* when it is lowered again; 0: it is, or never */
    bool shares_memory;           /* children begin in the keeper's memory: spawn.c */
    struct server server;
    /* cgroup.c */
    char cgroup_path[4096];       /* of the directory that holds the slots */
    bool cgroup_oom;              /* slots have memory.events */
    /* table.c */
    struct child *children;       /* [0] is not used */
    uint32_t *by_process, *by_pid;
    uint32_t used, live, free_first, freed_first;
};

/* Where an event comes from; an epoll event's data is source | stream << 8 | child index << 32. */
enum source {
    SOURCE_SIGNALS, SOURCE_LINK, SOURCE_PIPES, SOURCE_ROOM, SOURCE_STATUS, SOURCE_STDIN,
    SOURCE_PIDFD, SOURCE_TREE, SOURCES
};

/* loop.c */
int loop_begin(struct keeper *keeper);
void loop_turn(struct keeper *keeper);
void loop_take_time(struct keeper *keeper);
int watch_add(int epoll, int fd, uint32_t events, enum source source, int stream, uint32_t index);
void watch_close(int epoll, int *fd); /* takes fd out of epoll (duplicates live on) and closes it */
void close_one(int *fd);              /* the same for one that is in no epoll */
void deadline_at(struct keeper *keeper, int64_t deadline_us);
__attribute__((format(printf, 1, 2))) void keeper_log(const char *format, ...);

/* table.c: children by index, process id and pid */
int table_begin(struct keeper *keeper);
void *table_reserve(size_t count, size_t size); /* pages as touched, not inherited; or NULL */
struct child *table_add(struct keeper *keeper, const struct fact_id *process); /* NULL: full */
struct child *table_find(struct keeper *keeper, const struct fact_id *process);
struct child *table_find_pid(struct keeper *keeper, pid_t pid);
void table_set_pid(struct keeper *keeper, struct child *child, pid_t pid); /* 0: takes it out */
void table_remove(struct keeper *keeper, struct child *child); /* reused in the next turn only */
void table_collect(struct keeper *keeper);
uint32_t table_index(const struct keeper *keeper, const struct child *child);
int record_keep(struct child *child, const void *record, uint32_t bytes);
void record_drop(struct child *child);

/* owed.c: facts about children, now or when the ring has room */
void owe(struct keeper *keeper, struct child *child, uint32_t facts);
bool owed_publish(struct keeper *keeper, struct child *child); /* true: nothing is owed any more */
void ring_wait(struct keeper *keeper);
void ring_retry(struct keeper *keeper);
void child_release(struct keeper *keeper, struct child *child); /* when all is over and stored */

/* spawn.c, child.c */
int spawn_child(struct keeper *keeper, const struct fact_id *process, const struct spawn *spawn,
                uint32_t *stage);
bool spawn_settle(struct keeper *keeper, struct child *child); /* reads the exec status */
void spawn_attend(struct keeper *keeper, struct child *child); /* it lives: pipes and custody */
void spawn_reaped(struct keeper *keeper, struct child *child); /* one that never came to exec */
bool spawn_can_share(void); /* may children begin in the keeper's memory on this kernel? */
void child_run(void *context); /* a struct plan; never comes back */
void child_restore_limits(uint64_t soft_nofile);

/* users.c */
const char *users_text(const struct keeper *keeper); /* empty: the server is as the keeper is */
int users_check(const struct keeper *keeper, struct spawn *spawn); /* -EPERM; fills in who is missing */
int users_become_server(const struct keeper *keeper); /* in the fork that becomes the server */

/* oom.c */
void oom_begin(struct keeper *keeper);
void oom_before_fork(struct keeper *keeper);
void oom_deadline(struct keeper *keeper);

/* pipes.c */
void pipes_watch(struct keeper *keeper, struct child *child);
void pipes_read(struct keeper *keeper);  /* one read from each pipe that is ready */
void pipes_drain(struct keeper *keeper, struct child *child); /* what they hold now */
void pipes_pause(struct keeper *keeper, bool pause);
void pipes_credit(struct keeper *keeper, struct child *child, uint64_t max_output_bytes);
void pipes_close(struct keeper *keeper, struct child *child);
void pipes_end(struct keeper *keeper, struct child *child); /* for good: tells what they held */
bool pipes_hold(const struct child *child);
uint32_t pipes_dropped(const struct child *child); /* OWED_DROPPED_* */
ssize_t pipe_take(const struct keeper *keeper, int fd, void *bytes, size_t size);

/* reap.c */
void reap_children(struct keeper *keeper);
void reap_probe(struct keeper *keeper); /* can the kernel tell how somebody else's child ended? */
void reap_adopted(struct keeper *keeper, struct child *child);
void reap_give_up(struct keeper *keeper, struct child *child); /* it lives on, unwatched: LOST */

/* stop.c */
int stop_begin(struct keeper *keeper, struct child *child, const struct command_stop *stop);
void deadlines_run(struct keeper *keeper);
void check_later(struct keeper *keeper, int64_t delay_us); /* looks at trees and adopted zombies */
int deadlines_timeout(const struct keeper *keeper); /* for epoll_wait, in milliseconds */

/* alone.c: each turn; when it will have waited long enough (0: it does not wait) */
void alone_run(struct keeper *keeper);
int64_t alone_deadline(const struct keeper *keeper);

/* tree.c, cgroup.c */
bool tree_is_ours(const struct child *child); /* false: we may not signal it, for want of root's rights */
int tree_signal(struct keeper *keeper, struct child *child, int signal);
int tree_wake(struct keeper *keeper, struct child *child, int signal); /* and SIGCONT behind it */
int tree_freeze(struct keeper *keeper, struct child *child, bool freeze);
void tree_thaw(struct keeper *keeper, struct child *child); /* if it is paused; tells nobody */
uint32_t tree_count(struct keeper *keeper, struct child *child); /* without the main process */
void tree_outlives(struct keeper *keeper, struct child *child);
void tree_check(struct keeper *keeper, struct child *child);
void cgroup_begin(struct keeper *keeper);
int cgroup_take(struct keeper *keeper, int *directory); /* a slot, or -1 */
bool cgroup_adopt(struct keeper *keeper, int32_t slot);
void cgroup_probe(struct keeper *keeper); /* when the adopted ones are known */
void cgroup_starting(int32_t slot, bool is_starting); /* forked, and not in custody yet */
void cgroup_rest(int32_t slot);       /* after the fork: it need not stay open */
void cgroup_give(int32_t *slot);
int cgroup_write(int32_t slot, const char *file, const char *text);
ssize_t cgroup_read(int32_t slot, const char *file, char *text, size_t size);
bool cgroup_populated(int32_t slot); /* also takes the event away that cgroup_events reports */
int cgroup_events(int32_t slot);      /* for epoll: EPOLLPRI; owned by the slot */
void cgroup_thaw_left(const struct keeper *keeper, pid_t pid); /* in a slot of a keeper before us */
uint32_t cgroup_oom_kills(const struct keeper *keeper, int32_t slot);
void cgroup_end(struct keeper *keeper);

/* server.c */
int server_start(struct keeper *keeper);
void server_reap(struct keeper *keeper);
void server_distrust(struct keeper *keeper, const char *why); /* kills it; it is started again */
void server_silent(struct keeper *keeper);   /* its socket is at its end */
void server_ready(struct keeper *keeper);
void server_leave(struct keeper *keeper); /* it was told to end, or ends by itself: no restart */
void server_deadlines(struct keeper *keeper);

/* link.c */
bool link_receive(struct keeper *keeper); /* true: there may be more */
void link_flush(struct keeper *keeper);
void link_reply(struct keeper *keeper, uint32_t request, int error, uint32_t stage);
void link_greet(struct keeper *keeper, uint32_t request);
void link_custody(struct keeper *keeper, struct child *child);
void link_close(struct keeper *keeper);

/* commands.c */
int command_act(struct keeper *keeper, struct packet *packet); /* -EPROTO: nonsense */

/* resume.c */
int resume_read(struct keeper *keeper, int fd);
int resume_write(struct keeper *keeper); /* the blob's descriptor */
void resume_inherit(struct keeper *keeper, bool inherit); /* FD_CLOEXEC off and on again */
void resume_begin(struct keeper *keeper); /* watches and deadlines of the entries read */
int resume_adopt(struct keeper *keeper, const struct resume_entry *entry); /* takes its pidfd */
const char *resume_string(const struct keeper *keeper, unsigned index);
void upgrade_run(struct keeper *keeper);

#endif
