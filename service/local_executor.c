/*
 * The local executor; see local_executor.h. Loop thread only.
 *
 * Composes commands, sorts notices, keeps custody; how packets travel is in keeper_link.c.
 */
#include "service/local_executor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "service/keeper_link.h"
#include "service/memfd.h"
#include "service/text.h"

#define ASK_AGAIN_US 100000
#define ASKED_AT_ONCE 32u              /* how many processes */

struct local_executor {
    struct executor base;
    struct keeper_link link;
    struct local_executor_events events;
    struct custody_table custody;
    bool entries_known;               /* CUSTODY_DONE has come */
    struct timer again;               /* for descriptors that we had no room for */
    unsigned asked;
    unsigned char buffer[COMMAND_PACKET_BYTES];
};

static struct local_executor *self_of(struct executor *executor)
{
    return (struct local_executor *)executor;
}

/* ---- commands ---- */

/* `fd`: sent along; -1: none. */
static struct problem *command_send_with(struct local_executor *self, enum command_type type,
                                         const struct fact_id *id, const void *body, size_t bytes,
                                         int fd, struct reply reply)
{
    struct command command = {.type = (uint16_t)type, .body_bytes = (uint32_t)bytes};
    if (id) {
        command.process = *id;
    }
    if (reply.done) {
        command.request = keeper_link_expect(&self->link, reply);
        if (!command.request) {
            return problem_make(PROBLEM_OUT_OF_MEMORY, "no room for another request");
        }
    }
    struct iovec parts[2] = {{&command, sizeof command}, {(void *)body, bytes}};
    if (keeper_link_send(&self->link, parts, bytes ? 2 : 1, &fd, fd >= 0 ? 1 : 0)) {
        return NULL;
    }
    struct reply unused;
    keeper_link_take(&self->link, command.request, &unused);
    return problem_make(PROBLEM_OUT_OF_MEMORY, "the command could not be queued");
}

static struct problem *command_send(struct local_executor *self, enum command_type type,
                                    const struct fact_id *id, const void *body, size_t bytes,
                                    struct reply reply)
{
    return command_send_with(self, type, id, body, bytes, -1, reply);
}

/* ---- spawn ---- */

/* The body of a spawn command in a sealed memfd, or a negative errno. */
static int body_memfd(const struct launch *launch)
{
    int fd = memfd_for_data("forkful-spawn", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        return fd;
    }
    struct iovec parts[2] = {{(void *)&launch->command, sizeof launch->command},
                             {(void *)launch->tail, launch->tail_bytes}};
    size_t total = parts[0].iov_len + parts[1].iov_len;
    size_t done = 0;
    while (done < total) {
        ssize_t n = writev(fd, parts, 2);
        if (n < 0) {
            int error = -errno;
            close(fd);
            return error;
        }
        done += (size_t)n;
        for (int i = 0; i < 2 && n > 0; i++) {
            size_t step = (size_t)n < parts[i].iov_len ? (size_t)n : parts[i].iov_len;
            parts[i].iov_base = (char *)parts[i].iov_base + step;
            parts[i].iov_len -= step;
            n -= (ssize_t)step;
        }
    }
    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    return fd;
}

static struct problem *local_spawn(struct executor *executor, const struct fact_id *id,
                                   const struct launch *launch, struct reply reply)
{
    struct local_executor *self = self_of(executor);
    size_t bytes = sizeof launch->command + launch->tail_bytes;
    struct command command = {.type = COMMAND_SPAWN, .body_bytes = (uint32_t)bytes, .process = *id};
    struct iovec parts[3] = {{&command, sizeof command},
                             {(void *)&launch->command, sizeof launch->command},
                             {(void *)launch->tail, launch->tail_bytes}};
    size_t count = launch->tail_bytes ? 3 : 2;
    const int files[] = {launch->stdin_fd, launch->program, launch->directory, launch->ruleset};
    int fds[COMMAND_SPAWN_FDS];
    int fd_count = 0;
    int body_fd = -1;
    struct problem *problem = NULL;
    if (sizeof command + bytes > COMMAND_PACKET_BYTES) {
        body_fd = body_memfd(launch);
        if (body_fd < 0) {
            return problem_make(PROBLEM_UNAVAILABLE, "the spawn command: %s",
                                strerror(-body_fd));
        }
        command.flags |= COMMAND_BODY_IN_FD;
        fds[fd_count++] = body_fd;
        count = 1;
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (files[i] >= 0) {
            fds[fd_count++] = files[i];
        }
    }
    command.request = keeper_link_expect(&self->link, reply);
    if (!command.request || !keeper_link_send(&self->link, parts, count, fds, fd_count)) {
        struct reply unused;
        keeper_link_take(&self->link, command.request, &unused);
        problem = problem_make(PROBLEM_OUT_OF_MEMORY, "the spawn command could not be queued");
    }
    if (body_fd >= 0) {
        close(body_fd);
    }
    return problem;
}

/* ---- the other calls ---- */

static struct problem *local_signal(struct executor *executor, const struct fact_id *id, int signal,
                                    enum signal_scope scope, struct reply reply)
{
    struct command_signal body = {.signal = signal, .scope = scope};
    return command_send(self_of(executor), COMMAND_SIGNAL, id, &body, sizeof body, reply);
}

static struct problem *local_stop(struct executor *executor, const struct fact_id *id,
                                  enum stop_reason reason, int signal, int64_t grace_us,
                                  struct reply reply)
{
    struct command_stop body = {.reason = reason, .signal = signal, .grace_us = grace_us};
    return command_send(self_of(executor), COMMAND_STOP, id, &body, sizeof body, reply);
}

static struct problem *local_pause(struct executor *executor, const struct fact_id *id, bool paused,
                                   struct reply reply)
{
    return command_send(self_of(executor), paused ? COMMAND_PAUSE : COMMAND_RESUME, id, NULL, 0,
                        reply);
}

static struct problem *local_credit(struct executor *executor, const struct fact_id *id,
                                    uint64_t max_output_bytes)
{
    struct command_credit body = {.max_output_bytes = max_output_bytes};
    return command_send(self_of(executor), COMMAND_OUTPUT_CREDIT, id, &body, sizeof body,
                        (struct reply){0});
}

static struct problem *local_adopt(struct executor *executor, const struct resume_entry *entry,
                                   struct reply reply)
{
    return command_send_with(self_of(executor), COMMAND_ADOPT, &entry->process, entry,
                             sizeof *entry, entry->pidfd, reply);
}

/* ---- custody ---- */

static void ask_for_missing(void *context, const struct custody *custody)
{
    struct local_executor *self = context;
    if (custody->missing && self->asked++ < ASKED_AT_ONCE) {
        problem_free(command_send(self, COMMAND_CUSTODY, &custody->process, NULL, 0,
                                  (struct reply){0}));
    }
}

/* Asks again, some at a time, for what there was no room for. */
static void ask_again(struct timer *timer)
{
    struct local_executor *self =
        (struct local_executor *)((char *)timer - offsetof(struct local_executor, again));
    self->asked = 0;
    custody_each(&self->custody, ask_for_missing, self);
}

/* Replaces what there is by what was given; what the keeper no longer has is closed. */
static void custody_update(struct custody *custody, unsigned named, const int given[4])
{
    int *places[4] = {&custody->pidfd, &custody->stdout_fd, &custody->stderr_fd,
                      &custody->stdin_fd};
    custody->missing = 0;
    for (unsigned bit = 0; bit < 4; bit++) {
        bool is_here = named & 1u << bit;
        if (given[bit] >= 0 || !is_here) {
            custody_close_fd(places[bit]);
            *places[bit] = given[bit];
        }
        custody->missing |= is_here && *places[bit] < 0 ? 1u << bit : 0;
    }
    if (custody->stdin_closed) {
        custody_close_fd(&custody->stdin_fd);
        custody->missing &= ~(unsigned)CUSTODY_STDIN;
    }
}

/* Takes this process's descriptors from the front of fds[]; gives how many. The kernel hands over
   as many as we may open: fewer than are named when there is no room. */
static int custody_take(struct local_executor *self, const struct notice_custody *notice,
                        const int *fds, int fd_count)
{
    int given[4] = {-1, -1, -1, -1};
    int used = 0;
    for (unsigned bit = 0; bit < 4; bit++) {
        if ((notice->fds & 1u << bit) && used < fd_count) {
            given[bit] = fds[used++];
        }
    }
    if (self->entries_known && notice->fds == 0) {
        return used;                  /* it has ended meanwhile, and may be forgotten already */
    }
    struct custody *custody = custody_make(&self->custody, &notice->process);
    for (int i = 0; !custody && i < used; i++) {
        close(fds[i]);
    }
    if (custody) {
        custody->pid = notice->pid;
        custody_update(custody, notice->fds, given);
    }
    if (custody && custody->missing && !self->again.place) {
        self->again.due = ask_again;
        timer_set(self->link.loop, &self->again, time_monotonic_us() + ASK_AGAIN_US);
    }
    if (custody) {
        self->events.custody(self->events.context, &notice->process);
    }
    return used;
}

static void custody_receive(struct local_executor *self, const unsigned char *body, size_t bytes,
                            const int *fds, int fd_count)
{
    struct notice_custody notice;
    int used = 0;
    for (size_t at = 0; at + sizeof notice <= bytes; at += sizeof notice) {
        memcpy(&notice, body + at, sizeof notice);
        used += custody_take(self, &notice, fds + used, fd_count - used);
    }
    while (used < fd_count) {
        close(fds[used++]);
    }
}

/* One that is of no use any more, here or on its way. */
static void custody_drop_fd(struct custody *custody, enum custody_bits bit)
{
    custody_close_fd(bit == CUSTODY_PIDFD    ? &custody->pidfd
                     : bit == CUSTODY_STDOUT ? &custody->stdout_fd
                     : bit == CUSTODY_STDERR ? &custody->stderr_fd
                                             : &custody->stdin_fd);
    custody->missing &= ~(unsigned)bit;
}

/* An entry without descriptors is of use to nobody once its end is known. */
static void custody_drop_empty(struct local_executor *self, struct custody *custody)
{
    if (self->entries_known && custody_is_empty(custody)) {
        custody_remove(&self->custody, custody);
    }
}

static ssize_t local_stdin_write(struct executor *executor, const struct fact_id *id,
                                 const void *data, size_t bytes)
{
    struct custody *custody = custody_find(&self_of(executor)->custody, id);
    if (!custody || custody->stdin_fd < 0) { /* without an entry: that it runs was known sooner */
        return !custody || (custody->missing & CUSTODY_STDIN) ? -EMFILE : -EPIPE;
    }
    ssize_t n = write(custody->stdin_fd, data, bytes);
    return n >= 0 ? n : errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

static int local_stdin_fd(struct executor *executor, const struct fact_id *id)
{
    struct custody *custody = custody_find(&self_of(executor)->custody, id);
    return custody ? custody->stdin_fd : -1;
}

static struct problem *local_stdin_close(struct executor *executor, const struct fact_id *id,
                                         struct reply reply)
{
    struct custody *custody = custody_find(&self_of(executor)->custody, id);
    if (custody) {
        custody_drop_fd(custody, CUSTODY_STDIN);
        custody->stdin_closed = true;
    }
    return command_send(self_of(executor), COMMAND_STDIN_CLOSE, id, NULL, 0, reply);
}

static void local_pipe_closed(struct executor *executor, const struct fact_id *id,
                              enum fact_stream stream)
{
    struct local_executor *self = self_of(executor);
    struct custody *custody = custody_find(&self->custody, id);
    if (custody) {
        custody_drop_fd(custody, stream == STREAM_STDOUT   ? CUSTODY_STDOUT
                                 : stream == STREAM_STDERR ? CUSTODY_STDERR
                                                           : CUSTODY_STDIN);
        custody_drop_empty(self, custody);
    }
}

static void local_forget(struct executor *executor, const struct fact_id *id)
{
    struct local_executor *self = self_of(executor);
    struct custody *custody = custody_find(&self->custody, id);
    if (custody) {
        custody_drop_fd(custody, CUSTODY_PIDFD);
        custody_drop_fd(custody, CUSTODY_STDIN);
        custody_drop_empty(self, custody);
    }
    struct command command = {.type = COMMAND_FORGET, .process = *id};
    keeper_link_send_patiently(&self->link, &(struct iovec){&command, sizeof command});
}

/* ---- receiving ---- */

static void notice_take(struct local_executor *self, const struct notice *notice,
                        const unsigned char *body, const int *fds, int fd_count)
{
    size_t body_bytes = notice->body_bytes;
    struct notice_welcome welcome;
    struct notice_reply reply_body;
    struct notice_signal signalled;
    struct reply reply;
    if (notice->type == NOTICE_CUSTODY) {
        custody_receive(self, body, body_bytes, fds, fd_count);
    } else if (notice->type == NOTICE_REPLY && body_bytes >= sizeof reply_body) {
        memcpy(&reply_body, body, sizeof reply_body);
        if (notice->request && keeper_link_take(&self->link, notice->request, &reply)) {
            reply.done(reply.context, reply_body.error, reply_body.stage);
        }
    } else if (notice->type == NOTICE_WELCOME && body_bytes >= sizeof welcome) {
        memcpy(&welcome, body, sizeof welcome);
        self->events.welcome(self->events.context, &welcome);
    } else if (notice->type == NOTICE_CUSTODY_DONE) {
        self->entries_known = true;
        self->events.entries_known(self->events.context);
    } else if (notice->type == NOTICE_SIGNAL && body_bytes >= sizeof signalled) {
        memcpy(&signalled, body, sizeof signalled);
        self->events.signalled(self->events.context, signalled.signal);
    }
}

/* The first notice has the descriptors. */
static void notices_take(struct local_executor *self, size_t bytes, const int *fds, int fd_count)
{
    const unsigned char *at = self->buffer, *end = at + bytes;
    struct notice notice;
    while ((size_t)(end - at) >= sizeof notice) {
        memcpy(&notice, at, sizeof notice);
        at += sizeof notice;
        if (notice.body_bytes > (size_t)(end - at)) {
            return;
        }
        notice_take(self, &notice, at, fds, fd_count);
        at += notice.body_bytes;
        fd_count = 0;
    }
}

/* One packet. False: nothing more now, or the end (then keeper_lost was called). */
static bool packet_receive(struct local_executor *self)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(COMMAND_FDS_MAX * sizeof(int))];
    } control;
    struct iovec part = {self->buffer, sizeof self->buffer};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t n = recvmsg(self->link.watch.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (n < 0 && errno == ECONNRESET) {
        return true; /* it ended with commands unread: told once, before what it had sent */
    }
    if (n <= 0) {
        loop_unwatch(self->link.loop, &self->link.watch);
        self->events.keeper_lost(self->events.context);
        return false;
    }
    int fds[COMMAND_FDS_MAX];
    int fd_count = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
            size_t bytes = c->cmsg_len - CMSG_LEN(0);
            memcpy(fds, CMSG_DATA(c), bytes);
            fd_count = (int)(bytes / sizeof(int));
        }
    }
    notices_take(self, (size_t)n, fds, fd_count);
    return true;
}

static void socket_ready(struct watch *watch, uint32_t events)
{
    struct local_executor *self =
        (struct local_executor *)((char *)watch - offsetof(struct local_executor, link.watch));
    if (events & EPOLLOUT) {
        keeper_link_flush(&self->link);
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        for (int i = 0; i < 64 && packet_receive(self); i++) {
        }
    }
}

/* ---- the rest of the contract ---- */

static const char *const capabilities[] = {
    "spawn", "spawn.shell", "spawn.user", "spawn.rlimits", "spawn.timeout", "spawn.start_later",
    "signal.main", "signal.group", "signal.tree", "stop", "pause", "stdin.null", "stdin.pipe",
    "stdin.text", "stdin.base64", "output.drop_oldest", "output.drop_newest", "output.block",
    "output.merge", "tree", "stats", "adopt", "upgrade", NULL};

static const struct executor_type local_type = {
    .name = "local", .capabilities = capabilities, .spawn = local_spawn, .signal = local_signal,
    .stop = local_stop, .freeze = local_pause, .stdin_write = local_stdin_write,
    .stdin_fd = local_stdin_fd, .stdin_close = local_stdin_close, .credit = local_credit,
    .adopt = local_adopt, .pipe_closed = local_pipe_closed, .forget = local_forget};

struct executor *local_executor_start(struct loop *loop, int fd,
                                      const struct local_executor_events *events)
{
    struct local_executor *self = calloc(1, sizeof *self);
    if (!self) {
        return NULL;
    }
    self->base.type = &local_type;
    self->link.loop = loop;
    self->events = *events;
    self->link.watch = (struct watch){.fd = fd, .ready = socket_ready};
    struct command_hello hello = {.version = COMMANDS_VERSION, .pid = getpid()};
    if (loop_watch(loop, &self->link.watch, EPOLLIN) < 0) {
        free(self);
        return NULL;
    }
    struct problem *problem =
        command_send(self, COMMAND_HELLO, NULL, &hello, sizeof hello, (struct reply){0});
    if (problem) {
        problem_free(problem);
        loop_unwatch(loop, &self->link.watch);
        free(self);
        return NULL;
    }
    keeper_link_flush(&self->link);
    return &self->base;
}

void local_executor_free(struct executor *executor)
{
    struct local_executor *self = self_of(executor);
    custody_free(&self->custody);
    timer_cancel(self->link.loop, &self->again);
    loop_unwatch(self->link.loop, &self->link.watch);
    close(self->link.watch.fd);
    keeper_link_free(&self->link);
    free(self);
}

void local_executor_ready(struct executor *executor)
{
    problem_free(command_send(self_of(executor), COMMAND_READY, NULL, NULL, 0, (struct reply){0}));
}

void local_executor_state(struct executor *executor, const struct command_state *state)
{
    problem_free(command_send(self_of(executor), COMMAND_STATE, NULL, state, sizeof *state,
                              (struct reply){0}));
}

void local_executor_exit(struct executor *executor)
{
    problem_free(command_send(self_of(executor), COMMAND_EXIT, NULL, NULL, 0, (struct reply){0}));
}

struct problem *local_executor_upgrade(struct executor *executor, const char *path,
                                       struct reply reply)
{
    return command_send(self_of(executor), COMMAND_UPGRADE, NULL, path, strlen(path) + 1, reply);
}

void local_executor_flush(struct executor *executor, int timeout_ms)
{
    struct local_executor *self = self_of(executor);
    for (int waited = 0; !keeper_link_flush(&self->link) && waited < timeout_ms; waited += 10) {
        struct pollfd pollfd = {.fd = self->link.watch.fd, .events = POLLOUT};
        poll(&pollfd, 1, 10);
    }
}

struct custody_table *local_executor_custody(struct executor *executor)
{
    return &self_of(executor)->custody;
}
