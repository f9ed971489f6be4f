/* The link to the keeper; see keeper_link.h. */
#include "service/keeper_link.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define SLOT_BITS 20u

struct packet {                       /* one that the socket did not take yet */
    struct packet *next;
    size_t bytes;
    int fds[COMMAND_SPAWN_FDS];
    int fd_count;
    unsigned char data[];
};

struct slot {
    struct reply reply;
    uint32_t generation;
    bool used;
    uint32_t next_free;               /* index + 1 */
};

/* ---- replies ---- */

static bool slots_grow(struct keeper_link *self)
{
    uint32_t size = self->slot_count ? self->slot_count * 2 : 64;
    if (size > 1u << SLOT_BITS) {
        return false;
    }
    struct slot *slots = realloc(self->slots, size * sizeof *slots);
    if (!slots) {
        return false;
    }
    self->slots = slots;
    for (uint32_t i = size; i > self->slot_count; i--) {
        slots[i - 1] = (struct slot){.generation = 1, .next_free = self->free_slot};
        self->free_slot = i;
    }
    self->slot_count = size;
    return true;
}

uint32_t keeper_link_expect(struct keeper_link *self, struct reply reply)
{
    if (!self->free_slot && !slots_grow(self)) {
        return 0;
    }
    uint32_t index = self->free_slot - 1;
    struct slot *slot = &self->slots[index];
    self->free_slot = slot->next_free;
    slot->reply = reply;
    slot->used = true;
    return (slot->generation << SLOT_BITS) | index;
}

bool keeper_link_take(struct keeper_link *self, uint32_t request, struct reply *out)
{
    uint32_t index = request & ((1u << SLOT_BITS) - 1);
    if (index >= self->slot_count) {
        return false;
    }
    struct slot *slot = &self->slots[index];
    uint32_t generation_mask = (1u << (32 - SLOT_BITS)) - 1;
    if (!slot->used || (slot->generation & generation_mask) != request >> SLOT_BITS) {
        return false;
    }
    *out = slot->reply;
    slot->used = false;
    slot->generation = (slot->generation + 1) & generation_mask;
    slot->generation += slot->generation == 0;
    slot->next_free = self->free_slot;
    self->free_slot = index + 1;
    return true;
}

/* ---- sending ---- */

static ssize_t packet_send(int socket, const struct iovec *parts, size_t count, const int *fds,
                           int fd_count)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(COMMAND_SPAWN_FDS * sizeof(int))];
    } control = {0};
    struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = count};
    if (fd_count) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE((size_t)fd_count * sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN((size_t)fd_count * sizeof(int));
        memcpy(CMSG_DATA(&control.header), fds, (size_t)fd_count * sizeof(int));
    }
    return sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static size_t bytes_of(const struct iovec *parts, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += parts[i].iov_len;
    }
    return bytes;
}

static bool packet_queue(struct keeper_link *self, const struct iovec *parts, size_t count,
                         const int *fds, int fd_count)
{
    size_t bytes = bytes_of(parts, count);
    struct packet *packet = malloc(sizeof *packet + bytes);
    if (!packet) {
        return false;
    }
    *packet = (struct packet){.bytes = bytes, .fd_count = 0};
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(packet->data + at, parts[i].iov_base, parts[i].iov_len);
        at += parts[i].iov_len;
    }
    for (int i = 0; i < fd_count; i++) {
        int copy = dup(fds[i]);       /* the caller's may be closed before it is sent */
        if (copy < 0) {
            while (packet->fd_count) {
                close(packet->fds[--packet->fd_count]);
            }
            free(packet);
            return false;
        }
        packet->fds[packet->fd_count++] = copy;
    }
    *(self->first ? &self->last->next : &self->first) = packet;
    self->last = packet;
    loop_rewatch(self->loop, &self->watch, EPOLLIN | EPOLLOUT);
    return true;
}

static void queue_pop(struct keeper_link *self)
{
    struct packet *packet = self->first;
    self->first = packet->next;
    while (packet->fd_count) {
        close(packet->fds[--packet->fd_count]);
    }
    free(packet);
}

/* Passes, and the socket tells when. */
static bool is_full(int error)
{
    return error == EAGAIN || error == ENOBUFS;
}

/* True: nothing is gathered any more. */
static bool gathered_send(struct keeper_link *self)
{
    struct iovec all = {self->gathered, self->gathered_bytes};
    if (self->gathered_bytes == 0) {
        return true;
    }
    if (self->first) {
        return false;
    }
    if (packet_send(self->watch.fd, &all, 1, NULL, 0) < 0 && is_full(errno)) {
        loop_rewatch(self->loop, &self->watch, EPOLLIN | EPOLLOUT);
        return false;
    }
    self->gathered_bytes = self->gathered_commands = 0; /* or the keeper is gone and EOF will tell */
    return true;
}

static void turn_ends(struct deferred *deferred)
{
    gathered_send((struct keeper_link *)((char *)deferred - offsetof(struct keeper_link, turn_ends)));
}

/* Makes an end of what was gathered: what comes now goes behind it. */
static bool gathered_close(struct keeper_link *self)
{
    struct iovec all = {self->gathered, self->gathered_bytes};
    if (gathered_send(self)) {
        return true;
    }
    if (!packet_queue(self, &all, 1, NULL, 0)) {
        return false;
    }
    self->gathered_bytes = self->gathered_commands = 0;
    return true;
}

bool keeper_link_flush(struct keeper_link *self)
{
    while (self->first) {
        struct packet *packet = self->first;
        struct iovec part = {packet->data, packet->bytes};
        if (packet_send(self->watch.fd, &part, 1, packet->fds, packet->fd_count) < 0 &&
            is_full(errno)) {
            return false;
        }
        queue_pop(self);              /* sent, or the keeper is gone and EOF will tell */
    }
    if (!gathered_send(self)) {
        return false;
    }
    loop_rewatch(self->loop, &self->watch, EPOLLIN);
    return true;
}

/* With descriptors, or too large to wait for others. */
static bool send_alone(struct keeper_link *self, const struct iovec *parts, size_t count,
                       const int *fds, int fd_count)
{
    if (!gathered_close(self)) {
        return false;
    }
    if (self->first) {
        return packet_queue(self, parts, count, fds, fd_count);
    }
    if (packet_send(self->watch.fd, parts, count, fds, fd_count) >= 0) {
        return true;
    }
    return is_full(errno) ? packet_queue(self, parts, count, fds, fd_count)
                          : errno == EPIPE || errno == ECONNRESET;
}

/* False: there was no room, and none could be made. */
static bool gather(struct keeper_link *self, const struct iovec *parts, size_t count)
{
    bool fits = self->gathered_bytes + bytes_of(parts, count) <= GATHER_BYTES &&
                self->gathered_commands < COMMANDS_PER_PACKET;
    if (!fits && !gathered_close(self)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        memcpy(self->gathered + self->gathered_bytes, parts[i].iov_base, parts[i].iov_len);
        self->gathered_bytes += parts[i].iov_len;
    }
    self->gathered_commands++;
    return true;
}

bool keeper_link_send(struct keeper_link *self, const struct iovec *parts, size_t count,
                      const int *fds, int fd_count)
{
    if (fd_count || bytes_of(parts, count) > GATHER_BYTES) {
        return send_alone(self, parts, count, fds, fd_count);
    }
    if (!gather(self, parts, count)) {
        return false;
    }
    gathered_send(self);
    return true;
}

bool keeper_link_send_patiently(struct keeper_link *self, const struct iovec *part)
{
    if (!gather(self, part, 1)) {
        return false;
    }
    self->turn_ends.run = turn_ends;
    loop_defer(self->loop, &self->turn_ends);
    return true;
}

void keeper_link_free(struct keeper_link *self)
{
    loop_undefer(self->loop, &self->turn_ends);
    while (self->first) {
        queue_pop(self);
    }
    free(self->slots);
}
