/*
 * What the live harness and a keeper say to each other: commands and notices as packets, facts through the
 * ring; see live_harness.h.
 */
#include "live_internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- packets ---- */

static uint32_t send_packet(struct live *live, struct command *command, const void *body,
                            size_t bytes, const int *fds, size_t fd_count)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(4 * sizeof(int))] = {0};
    struct iovec vectors[2] = {{command, sizeof *command}, {(void *)(uintptr_t)body, bytes}};
    struct msghdr message = {.msg_iov = vectors, .msg_iovlen = 2};
    command->request = ++live->request;
    if (fd_count > 0) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(part), fds, fd_count * sizeof(int));
    }
    live->replied[command->request % 1024] = false;
    while (sendmsg(live->link, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        if (errno == EPIPE || errno == ECONNRESET)
            return command->request;
        if (errno != EAGAIN)
            FATAL("sendmsg");
        live_receive(live, 10);
    }
    return command->request;
}

uint32_t live_send(struct live *live, enum command_type type, const struct fact_id *process,
                   const void *body, size_t bytes)
{
    struct command command = {.type = (uint16_t)type, .body_bytes = (uint32_t)bytes};
    if (process != NULL)
        command.process = *process;
    return send_packet(live, &command, body, bytes, NULL, 0);
}

static size_t put(unsigned char *body, size_t at, const void *bytes, size_t size)
{
    if (size > 0)
        memcpy(body + at, bytes, size);
    return at + size;
}

static size_t put_strings(unsigned char *body, size_t at, const char *const *strings,
                          uint32_t *count)
{
    for (*count = 0; strings[*count] != NULL; (*count)++)
        at = put(body, at, strings[*count], strlen(strings[*count]) + 1);
    return at;
}

uint32_t live_spawn(struct live *live, const struct live_spawn *spawn)
{
    static unsigned char body[COMMAND_BODY_LIMIT];
    char marker[64] = "FORKFUL_PROCESS_ID=";
    live_id_text(&spawn->process, marker + strlen(marker));
    const char *const usual[] = {"PATH=/usr/local/bin:/usr/bin:/bin", marker, NULL};
    struct command_spawn fixed = {
        .flags = spawn->flags | SPAWN_SEARCH_PATH, .record_bytes = (uint32_t)spawn->record_bytes,
        .stop_signal = spawn->stop_signal != 0 ? spawn->stop_signal : SIGTERM,
        .timeout_us = spawn->timeout_us, .grace_us = spawn->grace_us, .uid = spawn->uid,
        .gid = spawn->gid, .max_output_bytes = spawn->max_output_bytes};
    if (spawn->nofile != 0) {
        fixed.rlimit_mask = 1u << RLIMIT_NOFILE;
        fixed.rlimits[RLIMIT_NOFILE].soft = fixed.rlimits[RLIMIT_NOFILE].hard = spawn->nofile;
    }
    size_t at = sizeof fixed;
    at = put_strings(body, at, spawn->argv, &fixed.argc);
    at = put_strings(body, at, spawn->env != NULL ? spawn->env : usual, &fixed.envc);
    const char *cwd = spawn->cwd != NULL ? spawn->cwd : "";
    at = put(body, at, cwd, strlen(cwd) + 1);
    fixed.strings_bytes = (uint32_t)(at - sizeof fixed);
    at = put(body, at, spawn->record, spawn->record_bytes);
    memcpy(body, &fixed, sizeof fixed);
    struct command command = {.type = COMMAND_SPAWN, .body_bytes = (uint32_t)at,
                              .process = spawn->process};
    int fds[COMMAND_SPAWN_FDS];
    size_t fd_count = 0;
    bool large = sizeof command + at > COMMAND_PACKET_BYTES;
    if (large) {
        fds[fd_count++] = memfd_create("body", MFD_CLOEXEC);
        if (write(fds[0], body, at) != (ssize_t)at)
            FATAL("body");
        command.flags = COMMAND_BODY_IN_FD;
    }
    if (spawn->flags & SPAWN_STDIN_FILE)
        fds[fd_count++] = spawn->stdin_fd;
    const int files[] = {spawn->program, spawn->directory, spawn->ruleset};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (files[i] > 0)
            fds[fd_count++] = files[i];
    }
    uint32_t request = send_packet(live, &command, body, large ? 0 : at, fds, fd_count);
    if (large)
        close(fds[0]);
    return request;
}

static void take_custody(struct live *live, const unsigned char *body, size_t bytes,
                         struct msghdr *message)
{
    struct cmsghdr *part = CMSG_FIRSTHDR(message);
    const unsigned char *fds = part != NULL ? CMSG_DATA(part) : NULL;
    for (size_t at = 0; at + sizeof(struct notice_custody) <= bytes;
         at += sizeof(struct notice_custody)) {
        struct notice_custody notice;
        memcpy(&notice, body + at, sizeof notice);
        struct live_custody custody = {.process = notice.process, .pid = notice.pid,
                                       .fds = {-1, -1, -1, -1}};
        for (unsigned bit = 0; bit < 4; bit++)
            if (notice.fds >> bit & 1) {
                memcpy(&custody.fds[bit], fds, sizeof(int));
                fds += sizeof(int);
            }
        if (live->custody_count == LIVE_CUSTODY_MAX)
            FATAL("custody is full");
        live->custody[live->custody_count++] = custody;
    }
}

static void take_notice(struct live *live, const struct notice *notice, const unsigned char *body,
                        struct msghdr *message)
{
    struct notice_signal signal;
    switch (notice->type) {
    case NOTICE_WELCOME: memcpy(&live->welcome, body, sizeof live->welcome); break;
    case NOTICE_CUSTODY: take_custody(live, body, notice->body_bytes, message); break;
    case NOTICE_CUSTODY_DONE: live->custody_done = true; break;
    case NOTICE_REPLY:
        memcpy(&live->replies[notice->request % 1024], body, sizeof *live->replies);
        live->replied[notice->request % 1024] = true;
        break;
    case NOTICE_SIGNAL:
        memcpy(&signal, body, sizeof signal);
        live->signals[signal.signal]++;
        break;
    default: FATAL("unknown notice");
    }
}

bool live_receive(struct live *live, int timeout_ms)
{
    static unsigned char bytes[COMMAND_PACKET_BYTES];
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(COMMAND_FDS_MAX * sizeof(int))];
    struct pollfd come = {.fd = live->link, .events = POLLIN};
    if (poll(&come, 1, timeout_ms) != 1)
        return false;
    struct iovec vector = {bytes, sizeof bytes};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control,
                             .msg_controllen = sizeof control};
    ssize_t got = recvmsg(live->link, &message, MSG_CMSG_CLOEXEC);
    struct notice notice;
    for (ssize_t at = 0; at < got; at += (ssize_t)sizeof notice + notice.body_bytes) {
        memcpy(&notice, bytes + at, sizeof notice);
        take_notice(live, &notice, bytes + at + sizeof notice, &message);
    }
    return got > 0;
}

int live_reply(struct live *live, uint32_t request)
{
    while (!live->replied[request % 1024])
        if (!live_receive(live, 10000))
            FATAL("no reply");
    return live->replies[request % 1024].error;
}

int live_call(struct live *live, enum command_type type, const struct fact_id *process,
              const void *body, size_t bytes)
{
    return live_reply(live, live_send(live, type, process, body, bytes));
}

const struct live_custody *live_custody_of(const struct live *live, const struct fact_id *process)
{
    for (unsigned i = 0; i < live->custody_count; i++)
        if (memcmp(&live->custody[i].process, process, sizeof *process) == 0)
            return &live->custody[i];
    return NULL;
}

/* ---- facts ---- */

void live_applied(struct live *live)
{
    live->position = live->spool.position;
    if (spool_release(&live->spool, live->position))
        (void)!write(live->room, &(uint64_t){1}, sizeof(uint64_t));
}

const struct fact *live_fact(struct live *live, int timeout_ms)
{
    int64_t until = live_now_ms() + timeout_ms;
    for (;;) {
        int error;
        const struct fact *fact = spool_next(&live->spool, &error);
        if (error != 0)
            FATAL("the spool is damaged");
        if (fact != NULL)
            return fact;
        live_applied(live);
        int64_t left = until - live_now_ms();
        if (left <= 0)
            return NULL;
        if (spool_consumer_sleep(&live->spool))
            continue;
        struct pollfd come[2] = {{.fd = live->facts, .events = POLLIN},
                                 {.fd = live->link, .events = POLLIN}};
        poll(come, 2, (int)left);
        uint64_t count;
        if (come[0].revents & POLLIN)
            (void)!read(live->facts, &count, sizeof count);
        if (come[1].revents & POLLIN)
            live_receive(live, 0);
    }
}

static void take_output(struct live_output *output, const struct fact *fact)
{
    size_t bytes = fact_payload_bytes(fact);
    size_t room = sizeof output->bytes - 1 - output->total;
    memcpy(output->bytes + output->total, fact_payload(fact), bytes < room ? bytes : room);
    output->total += bytes < room ? bytes : room;
    output->bytes[output->total] = 0;
    output->count[fact->stream] += bytes;
}

/* Facts that live_until has read, so that tests may ask for them in any order. */
static struct note {
    struct fact *fact;
    bool taken;
} *notes;
static size_t note_count;

void live_forget_notes(void)
{
    for (size_t i = 0; i < note_count; i++)
        free(notes[i].fact);
    free(notes);
    notes = NULL;
    note_count = 0;
}

static void note_next(struct live *live, enum fact_type wanted)
{
    const struct fact *fact = live_fact(live, 10000);
    if (fact == NULL) {
        fprintf(stderr, "waited for a fact of type %d\n", (int)wanted);
        FATAL("a fact did not come");
    }
    if (getenv("LIVE_TRACE") != NULL)
        fprintf(stderr, "fact %u of %02x, stream %u, %zu bytes\n", fact->type,
                fact->process.bytes[15], fact->stream, fact_payload_bytes(fact));
    notes = realloc(notes, (note_count + 1) * sizeof *notes);
    struct fact *copy = malloc(fact->bytes);
    if (notes == NULL || copy == NULL)
        FATAL("malloc");
    memcpy(copy, fact, fact->bytes);
    notes[note_count++] = (struct note){copy, false};
}

const struct fact *live_until(struct live *live, enum fact_type type,
                              const struct fact_id *process, struct live_output *output)
{
    for (size_t i = 0;; i++) {
        if (i == note_count)
            note_next(live, type);
        const struct fact *fact = notes[i].fact;
        if (notes[i].taken ||
            (process != NULL && memcmp(&fact->process, process, sizeof *process) != 0))
            continue;
        if (output != NULL && fact->type == FACT_OUTPUT) {
            take_output(output, fact);
            notes[i].taken = true;
        }
        if (fact->type == type) {
            notes[i].taken = true;
            return fact;
        }
    }
}
