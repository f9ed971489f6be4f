/*
 * The socket to the server: packets in, and a queue out that never blocks the keeper.
 *
 * What is to be sent is state, not a list of packets: flags for the welcome and for signals, a ring
 * of replies, and a queue of children whose descriptors the server has not got. When the ring of
 * replies is full no more commands are read, so a server that does not read cannot make us grow.
 * The small send buffer bounds how many descriptors are in flight.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "service/keeper/keeper.h"

#define PACKETS_PER_TURN 32
#define SETTLE_US 2000000
#define RETRY_US 10000 /* ETOOMANYREFS: no event tells when it is over */

static unsigned char packet_bytes[COMMAND_PACKET_BYTES];

/* ---- in ---- */

/* Takes the descriptors out of a message; those that no command has are closed. */
static void take_fds(struct msghdr *message, int kept[COMMAND_SPAWN_FDS])
{
    size_t count = 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL;
         part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t fds = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < fds; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
            if (count < COMMAND_SPAWN_FDS) {
                kept[count++] = fd;
            } else {
                close(fd);
            }
        }
    }
}

static bool command_run(struct keeper *keeper, const unsigned char *bytes, size_t size,
                        const int fds[COMMAND_SPAWN_FDS], bool fds_lost)
{
    struct packet packet;
    if (decode_packet(bytes, size, &packet) != 0) {
        return false;
    }
    memcpy(packet.fds, fds, sizeof packet.fds);
    packet.fds_lost = fds_lost;
    bool greeting = packet.command.type == COMMAND_HELLO;
    return greeting != keeper->server.greeted && command_act(keeper, &packet) == 0;
}

/* The first command has the descriptors, the others have none. */
static bool packet_run(struct keeper *keeper, size_t size, const int fds[COMMAND_SPAWN_FDS],
                       bool fds_lost)
{
    static const int none[COMMAND_SPAWN_FDS] = {-1, -1, -1, -1, -1};
    const unsigned char *at = packet_bytes;
    for (unsigned count = 0; size > 0; count++) {
        size_t length = decode_length(at, size);
        if (length == 0 || count == COMMANDS_PER_PACKET ||
            !command_run(keeper, at, length, count == 0 ? fds : none, count == 0 && fds_lost)) {
            return false;
        }
        at += length;
        size -= length;
    }
    return true;
}

/* Each command of a packet may want a reply. */
static bool has_room_for_replies(const struct server *server)
{
    return server->reply_count + COMMANDS_PER_PACKET <= REPLIES_MAX;
}

bool link_receive(struct keeper *keeper)
{
    struct server *server = &keeper->server;
    for (int i = 0; i < PACKETS_PER_TURN && has_room_for_replies(server); i++) {
        _Alignas(struct cmsghdr) char control[CMSG_SPACE(COMMAND_FDS_MAX * sizeof(int))];
        struct iovec vector = {packet_bytes, sizeof packet_bytes};
        struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control,
                                 .msg_controllen = sizeof control};
        int fds[COMMAND_SPAWN_FDS] = {-1, -1, -1, -1, -1};
        ssize_t got = recvmsg(server->link, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (got < 0 && errno == ECONNRESET) {
            continue; /* it ended with notices unread: told once, before its last commands */
        }
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            return false;
        }
        take_fds(&message, fds);
        bool sound = got > 0 && !(message.msg_flags & MSG_TRUNC) &&
                     packet_run(keeper, (size_t)got, fds, (message.msg_flags & MSG_CTRUNC) != 0);
        for (unsigned f = 0; f < COMMAND_SPAWN_FDS; f++) {
            if (fds[f] >= 0) {
                close(fds[f]);
            }
        }
        if (got > 0 && !sound) {
            server_distrust(keeper, "malformed packet");
        } else if (got <= 0) {
            server_silent(keeper);
        }
        if (!sound || server->link < 0) {
            return false;
        }
    }
    return has_room_for_replies(server);
}

/* ---- out ---- */

void link_reply(struct keeper *keeper, uint32_t request, int error, uint32_t stage)
{
    struct server *server = &keeper->server;
    uint32_t at = (server->reply_first + server->reply_count) % REPLIES_MAX;
    if (request == 0 || server->link < 0 || server->reply_count == REPLIES_MAX) {
        return; /* nobody waits for it; never full: link_receive has seen to it */
    }
    server->reply_count++;
    server->replies[at].request = request;
    server->replies[at].reply = (struct notice_reply){error, stage};
}

void link_custody(struct keeper *keeper, struct child *child)
{
    struct server *server = &keeper->server;
    uint32_t index = table_index(keeper, child);
    if (!server->greeted || child->state == CHILD_FREE || (child->marks & MARK_CUSTODY)) {
        return;
    }
    child->marks |= MARK_CUSTODY;
    child->queue_next = 0;
    if (server->custody_first == 0) {
        server->custody_first = index;
    } else {
        keeper->children[server->custody_last].queue_next = index;
    }
    server->custody_last = index;
}

void link_greet(struct keeper *keeper, uint32_t request)
{
    struct server *server = &keeper->server;
    server->greeted = server->welcome_due = server->done_due = true;
    server->settle_deadline_us = keeper->mono_us + SETTLE_US;
    deadline_at(keeper, server->settle_deadline_us); /* for the turn that it brings */
    server->welcome_request = request;
    server->greeted_entries = 0;
    for (uint32_t i = 1; i <= keeper->used; i++) {
        struct child *child = &keeper->children[i];
        if (child->state != CHILD_RUNNING && child->state != CHILD_ENDED) {
            continue;
        }
        link_custody(keeper, child);
        server->greeted_entries++;
    }
}

/* Sends a packet; false: not now. */
static bool send_packet(struct keeper *keeper, struct iovec *parts, size_t count, const int *fds,
                        size_t fd_count)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(COMMAND_FDS_MAX * sizeof(int))] = {0};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    if (fd_count > 0) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(part), fds, fd_count * sizeof(int));
    }
    if (sendmsg(keeper->server.link, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
        return true;
    }
    if (errno == ETOOMANYREFS) {
        deadline_at(keeper, keeper->mono_us + RETRY_US);
    }
    return false; /* a broken socket shows as end-of-file on the way in */
}

/* The same with one notice in it. */
static bool send_notice(struct keeper *keeper, enum notice_type type, uint32_t request,
                        const void *body, size_t bytes, const int *fds, size_t fd_count)
{
    struct notice notice = {.type = (uint16_t)type, .request = request,
                            .body_bytes = (uint32_t)bytes};
    struct iovec parts[2] = {{&notice, sizeof notice}, {(void *)(uintptr_t)body, bytes}};
    return send_packet(keeper, parts, 2, fds, fd_count);
}

static bool send_welcome(struct keeper *keeper)
{
    struct server *server = &keeper->server;
    struct notice_welcome welcome = {
        .version = COMMANDS_VERSION, .keeper_pid = keeper->pid,
        .server_restarts = server->restarts, .entries = server->greeted_entries,
        .features = keeper->features, .state = keeper->resume.state,
        .keeper_started_at_us = keeper->resume.keeper_started_at_us};
    if (server->welcome_due) {
        server->welcome_due = !send_notice(keeper, NOTICE_WELCOME, server->welcome_request,
                                           &welcome, sizeof welcome, NULL, 0);
    }
    return !server->welcome_due;
}

static bool send_signals(struct keeper *keeper)
{
    struct server *server = &keeper->server;
    bool sent = true;
    for (size_t i = 0; i < sizeof server->signals / sizeof *server->signals; i++) {
        struct notice_signal *signal = &server->signals[i];
        if (signal->signal == 0 || server->signal_told[i]) {
            continue;
        }
        server->signal_told[i] = send_notice(keeper, NOTICE_SIGNAL, 0, signal, sizeof *signal,
                                             NULL, 0);
        sent &= server->signal_told[i];
        if (server->signal_told[i] &&
            (signal->signal == SIGHUP || keeper->resume.state.shutting_down)) {
            signal->signal = 0;
        }
    }
    return sent;
}

static bool send_replies(struct keeper *keeper)
{
    struct server *server = &keeper->server;
    struct { struct notice notice; struct notice_reply reply; } notices[COMMANDS_PER_PACKET];
    while (server->reply_count > 0) {
        uint32_t count = 0;
        for (; count < server->reply_count && count < COMMANDS_PER_PACKET; count++) {
            uint32_t at = (server->reply_first + count) % REPLIES_MAX;
            notices[count].notice = (struct notice){.type = NOTICE_REPLY,
                                                    .request = server->replies[at].request,
                                                    .body_bytes = sizeof notices->reply};
            notices[count].reply = server->replies[at].reply;
        }
        struct iovec all = {notices, count * sizeof *notices};
        if (!send_packet(keeper, &all, 1, NULL, 0)) {
            return false;
        }
        server->reply_first = (server->reply_first + count) % REPLIES_MAX;
        server->reply_count -= count;
    }
    return true;
}

/* As many children as one packet takes. */
static bool send_custody_packet(struct keeper *keeper)
{
    struct server *server = &keeper->server;
    struct notice_custody bodies[COMMAND_FDS_MAX];
    int fds[COMMAND_FDS_MAX];
    size_t count = 0, fd_count = 0;
    uint32_t next = server->custody_first;
    for (; next != 0 && count < COMMAND_FDS_MAX && fd_count + 4 <= COMMAND_FDS_MAX; count++) {
        const struct child *child = &keeper->children[next];
        const int own[4] = {child->pidfd, child->output[0], child->output[1], child->stdin_fd};
        bodies[count] = (struct notice_custody){child->process, 0, child->pid};
        for (unsigned i = 0; i < 4; i++) {
            if (own[i] < 0) {
                continue;
            }
            bodies[count].fds |= 1u << i;
            fds[fd_count++] = own[i];
        }
        next = child->queue_next;
    }
    if (!send_notice(keeper, NOTICE_CUSTODY, 0, bodies, count * sizeof *bodies, fds, fd_count)) {
        return false;
    }
    while (server->custody_first != next) {
        struct child *child = &keeper->children[server->custody_first];
        server->custody_first = child->queue_next;
        child->marks &= ~(uint32_t)MARK_CUSTODY;
        cgroup_starting(child->slot, false);
        child_release(keeper, child);
    }
    return true;
}

/* Nothing that the server before asked for is still on its way: each of its spawns is a fact in the
   spool, or never was. Only then may the new one answer a repeat of the request. An exec that hangs
   holds this up for a bounded time. */
static bool is_settled(const struct keeper *keeper)
{
    return (keeper->starting == 0 && !keeper->ring_waits) ||
           keeper->server.settle_deadline_us <= keeper->mono_us;
}

static bool send_done(struct keeper *keeper)
{
    struct server *server = &keeper->server;
    if (server->done_due && is_settled(keeper)) {
        server->done_due = !send_notice(keeper, NOTICE_CUSTODY_DONE, 0, NULL, 0, NULL, 0);
        server->settle_deadline_us = 0;
        return !server->done_due;
    }
    return true;
}

static bool send_custody(struct keeper *keeper)
{
    while (keeper->server.custody_first != 0) {
        if (!send_custody_packet(keeper)) {
            return false;
        }
    }
    return send_done(keeper);
}

void link_flush(struct keeper *keeper)
{
    struct server *server = &keeper->server;
    if (server->link < 0 || !server->greeted) {
        return;
    }
    bool sent = send_welcome(keeper) && send_signals(keeper) && send_replies(keeper) &&
                send_custody(keeper);
    uint32_t interest = (has_room_for_replies(server) ? EPOLLIN : 0u) |
                        (sent ? 0u : EPOLLOUT);
    if (interest == server->interest) {
        return;
    }
    struct epoll_event event = {.events = interest, .data.u64 = SOURCE_LINK};
    epoll_ctl(keeper->epoll, EPOLL_CTL_MOD, server->link, &event);
    server->interest = interest;
}

void link_close(struct keeper *keeper)
{
    struct server *server = &keeper->server;
    watch_close(keeper->epoll, &server->link);
    server->reply_count = 0;
    server->settle_deadline_us = 0;
    server->welcome_due = server->done_due = server->greeted = false;
    memset(server->signal_told, 0, sizeof server->signal_told);
    server->interest = EPOLLIN;
    while (server->custody_first != 0) {
        struct child *child = &keeper->children[server->custody_first];
        server->custody_first = child->queue_next;
        child->marks &= ~(uint32_t)MARK_CUSTODY;
        child_release(keeper, child);
    }
}
