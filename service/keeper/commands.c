/*
 * What the server may ask: one row and one function per command.
 *
 * A function gets the child it is about (where its row wants one) and the decoded packet, and gives
 * 0 or a negative errno for the reply. -EPROTO means the server talks nonsense: it is ended and
 * started again. Facts that a command causes are published here; the reply goes out after them.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "service/keeper/keeper.h"

static int act_hello(struct keeper *keeper, struct child *child, struct packet *packet)
{
    (void)child;
    if (packet->fixed.hello.version != COMMANDS_VERSION) {
        return -EPROTO;
    }
    link_greet(keeper, packet->command.request);
    ring_retry(keeper); /* the server before may have died between making room and saying so */
    return 0;
}

static int act_ready(struct keeper *keeper, struct child *child, struct packet *packet)
{
    (void)child, (void)packet;
    server_ready(keeper);
    return 0;
}

/* Those that its flags name, in their order, and no more. */
static bool take_files(struct spawn *spawn, const int *fds, const int *end)
{
    const struct { uint32_t flag; int *file; } places[] = {
        {SPAWN_STDIN_FILE, &spawn->stdin_file},
        {SPAWN_PROGRAM_FILE, &spawn->program},
        {SPAWN_CWD_FILE, &spawn->directory},
        {SPAWN_LANDLOCK, &spawn->ruleset},
    };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (spawn->fixed.flags & places[i].flag) {
            *places[i].file = fds < end ? *fds++ : -1;
            if (*places[i].file < 0) {
                return false;
            }
        }
    }
    return fds == end || *fds < 0;
}

static int run_spawn(struct keeper *keeper, struct packet *packet, const unsigned char *body,
                     unsigned first_file)
{
    struct spawn spawn;
    if (decode_spawn(body, packet->command.body_bytes, &spawn) != 0 ||
        !take_files(&spawn, packet->fds + first_file, packet->fds + COMMAND_SPAWN_FDS)) {
        return -EPROTO;
    }
    int error = users_check(keeper, &spawn);
    if (error != 0) {
        packet->stage = STAGE_USER;
        return error;
    }
    return spawn_child(keeper, &packet->command.process, &spawn, &packet->stage);
}

static int act_spawn(struct keeper *keeper, struct child *child, struct packet *packet)
{
    (void)child;
    size_t bytes = packet->command.body_bytes;
    if (packet->fds_lost) {
        packet->stage = STAGE_LIMIT;
        return -EMFILE;
    }
    if (packet->body != NULL) {
        return run_spawn(keeper, packet, packet->body, 0);
    }
    /* Copied, not mapped: whoever holds the memfd could still change it under the decoder. */
    unsigned char *body = mmap(NULL, bytes + 1, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (body == MAP_FAILED) {
        packet->stage = STAGE_LIMIT;
        return -errno;
    }
    int error = -EPROTO;
    if (pread(packet->fds[0], body, bytes, 0) == (ssize_t)bytes) {
        error = run_spawn(keeper, packet, body, 1);
    }
    munmap(body, bytes + 1);
    return error;
}

static int signal_main(const struct child *child, int signal)
{
    long done = child->pidfd >= 0
                    ? syscall(SYS_pidfd_send_signal, child->pidfd, signal, NULL, 0)
                    : kill(child->pid, signal);
    return done < 0 ? -errno : 0;
}

static int act_signal(struct keeper *keeper, struct child *child, struct packet *packet)
{
    const struct command_signal *ask = &packet->fixed.signal;
    if (ask->scope == SCOPE_TREE) {
        return tree_signal(keeper, child, ask->signal);
    }
    if (child->state == CHILD_ENDED || child->pid <= 1) { /* kill(-1) would be everybody */
        return -ESRCH;
    }
    int error = signal_main(child, ask->scope == SCOPE_GROUP ? 0 : ask->signal);
    if (error == 0 && ask->scope == SCOPE_GROUP && kill(-child->pid, ask->signal) < 0) {
        error = errno == ESRCH ? signal_main(child, ask->signal) : -errno; /* before setsid */
    }
    return error;
}

static int act_stop(struct keeper *keeper, struct child *child, struct packet *packet)
{
    return stop_begin(keeper, child, &packet->fixed.stop);
}

static int act_pause(struct keeper *keeper, struct child *child, struct packet *packet)
{
    return tree_freeze(keeper, child, packet->command.type == COMMAND_PAUSE);
}

static int act_stdin_close(struct keeper *keeper, struct child *child, struct packet *packet)
{
    (void)packet;
    if (child->stdin_fd < 0) {
        return -EPIPE;
    }
    watch_close(keeper->epoll, &child->stdin_fd);
    owe(keeper, child, OWED_STDIN_CLOSED);
    return 0;
}

static int act_credit(struct keeper *keeper, struct child *child, struct packet *packet)
{
    pipes_credit(keeper, child, packet->fixed.credit.max_output_bytes);
    return 0;
}

static int act_forget(struct keeper *keeper, struct child *child, struct packet *packet)
{
    (void)packet;
    if (child->state != CHILD_ENDED) {
        return -EBUSY;
    }
    child->marks |= ENTRY_FORGOTTEN;
    child_release(keeper, child);
    return 0;
}

static int act_custody(struct keeper *keeper, struct child *child, struct packet *packet)
{
    (void)packet;
    if (child->state == CHILD_RUNNING || child->state == CHILD_ENDED) {
        link_custody(keeper, child);
    }
    return 0;
}

/* A server with fewer rights than ours must not choose whom we signal. */
static int act_adopt(struct keeper *keeper, struct child *child, struct packet *packet)
{
    struct resume_entry entry = packet->fixed.adopt;
    (void)child;
    if (table_find(keeper, &packet->command.process) != NULL) {
        return -EEXIST;
    }
    if (*users_text(keeper) != 0 || entry.pid == keeper->pid) {
        return -EPERM;
    }
    entry.process = packet->command.process;
    entry.pidfd = fcntl(packet->fds[0], F_DUPFD_CLOEXEC, 0);
    if (entry.pidfd < 0) {
        return packet->fds_lost ? -EMFILE : -errno;
    }
    int error = resume_adopt(keeper, &entry);
    if (error != 0) {
        close(entry.pidfd);
    }
    return error;
}

static int act_state(struct keeper *keeper, struct child *child, struct packet *packet)
{
    (void)child;
    keeper->resume.state = packet->fixed.state;
    return 0;
}

static int act_upgrade(struct keeper *keeper, struct child *child, struct packet *packet)
{
    (void)child;
    memcpy(keeper->upgrade_path, packet->body, packet->command.body_bytes);
    keeper->upgrade_deadline_us = keeper->mono_us + 2 * SERVER_PATIENCE_US;
    server_leave(keeper);
    return 0;
}

static int act_exit(struct keeper *keeper, struct child *child, struct packet *packet)
{
    (void)child, (void)packet;
    keeper->exiting = true;
    server_leave(keeper);
    return 0;
}

enum { ROW_CHILD = 1, ROW_NO_REPLY = 2 };

static const struct {
    int (*act)(struct keeper *, struct child *, struct packet *);
    unsigned flags;
} rows[COMMAND_TYPES] = {
    [COMMAND_HELLO] = {act_hello, ROW_NO_REPLY},
    [COMMAND_READY] = {act_ready, 0},
    [COMMAND_SPAWN] = {act_spawn, 0},
    [COMMAND_SIGNAL] = {act_signal, ROW_CHILD},
    [COMMAND_STOP] = {act_stop, ROW_CHILD},
    [COMMAND_PAUSE] = {act_pause, ROW_CHILD},
    [COMMAND_RESUME] = {act_pause, ROW_CHILD},
    [COMMAND_STDIN_CLOSE] = {act_stdin_close, ROW_CHILD},
    [COMMAND_OUTPUT_CREDIT] = {act_credit, ROW_CHILD},
    [COMMAND_FORGET] = {act_forget, ROW_CHILD},
    [COMMAND_STATE] = {act_state, 0},
    [COMMAND_UPGRADE] = {act_upgrade, 0},
    [COMMAND_EXIT] = {act_exit, 0},
    [COMMAND_CUSTODY] = {act_custody, ROW_CHILD | ROW_NO_REPLY},
    [COMMAND_ADOPT] = {act_adopt, 0},
};

int command_act(struct keeper *keeper, struct packet *packet)
{
    uint32_t type = packet->command.type;
    struct child *child = NULL;
    int error = 0;
    if (rows[type].flags & ROW_CHILD) {
        child = table_find(keeper, &packet->command.process);
        error = child == NULL || child->state == CHILD_FAILED ? -ESRCH : 0;
    }
    if (error == 0) {
        error = rows[type].act(keeper, child, packet);
    }
    if (error == -EPROTO) {
        return error;
    }
    if (!(rows[type].flags & ROW_NO_REPLY)) {
        link_reply(keeper, packet->command.request, -error, packet->stage);
    }
    return 0;
}
