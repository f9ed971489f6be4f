/* The harness of the keeper's live tests; see live_harness.h. */
#include "live_harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "service/server_fds.h"

#define FATAL(what) live_fatal(__LINE__, what)

static struct live *current; /* so that no keeper outlives a test that fails here */

static void kill_keeper(void)
{
    if (current == NULL || current->keeper <= 0)
        return;
    struct command command = {.type = COMMAND_EXIT};
    if (current->link >= 0)
        (void)!send(current->link, &command, sizeof command, MSG_DONTWAIT | MSG_NOSIGNAL);
    close(current->puppet);
    for (int i = 0; i < 300 && waitpid(current->keeper, NULL, WNOHANG) == 0; i++)
        usleep(10000);
    kill(current->keeper, SIGKILL);
    current = NULL;
}

static _Noreturn void live_fatal(int line, const char *what)
{
    fprintf(stderr, "live_harness.c:%d: %s: %s\n", line, what, strerror(errno));
    kill_keeper();
    abort();
}

int64_t live_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct fact_id live_id(uint64_t number)
{
    struct fact_id id = {{1, 2, 3, 4, 5, 6, 7, 8}};
    for (int i = 0; i < 8; i++)
        id.bytes[8 + i] = (uint8_t)(number >> (8 * (7 - i)));
    return id;
}

static void id_text(const struct fact_id *id, char text[29])
{
    static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
    unsigned bit = 0;
    memcpy(text, "p_", 3);
    for (int i = 0; i < 26; i++) { /* 130 bits, the first two are zero */
        unsigned value = 0;
        for (int b = 0; b < 5; b++, bit++)
            value = value << 1 |
                    (bit < 2 ? 0u : (unsigned)id->bytes[(bit - 2) / 8] >> (7 - (bit - 2) % 8) & 1u);
        text[2 + i] = digits[value];
    }
    text[28] = 0;
}

/* ---- the puppet ---- */

static const char *keeper_path(void)
{
    static char path[4096];
    const char *given = getenv("FORKFUL_KEEPER");
    if (given != NULL)
        return given;
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 32);
    path[length > 0 ? length : 0] = 0;
    for (int i = 0; i < 2; i++)
        if (strrchr(path, '/') != NULL)
            *strrchr(path, '/') = 0;
    return strcat(path, "/forkful-keeper");
}

static void puppet_send(int socket)
{
    const char *binary = getenv(SERVER_ENV_BINARY_FD), *cgroup = getenv(SERVER_ENV_CGROUP_FD);
    int fds[7] = {3, 4, 5, 6, 7, atoi(binary), cgroup != NULL ? atoi(cgroup) : 7};
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof fds)] = {0};
    int32_t body[2] = {(int32_t)getpid(), cgroup != NULL};
    struct iovec vector = {body, sizeof body};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control,
                             .msg_controllen = sizeof control};
    struct cmsghdr *part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof fds);
    memcpy(CMSG_DATA(part), fds, sizeof fds);
    if (sendmsg(socket, &message, 0) < 0)
        FATAL("sendmsg");
}

void live_puppet(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--resume") == 0) /* what the launcher does in an upgrade */
        execl(keeper_path(), "forkful", "--keeper", argv[2], (char *)NULL);
    if (argc < 2 || strcmp(argv[1], "--server") != 0)
        return;
    if (argc >= 3 && strcmp(argv[2], "refuse") == 0)
        _exit(2);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/puppets",
             getenv(SERVER_ENV_RUNTIME_DIR));
    int link = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(link, (struct sockaddr *)&address, sizeof address) < 0)
        _exit(3);
    puppet_send(link);
    close(3);
    char byte;
    while (read(link, &byte, 1) > 0 || errno == EINTR) /* ends with the test's side */
        if (byte == 'x')
            _exit(0);
    _exit(0);
}

/* ---- the keeper ---- */

static void listen_for_puppets(struct live *live)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/puppets", live->dir);
    live->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(live->listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(live->listener, 16) < 0)
        FATAL("listen");
}

static int write_blob(struct live *live, struct resume head, const char *mode,
                      const struct resume_entry *entries)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    head.magic = RESUME_MAGIC;
    head.version = RESUME_VERSION;
    head.resume_bytes = sizeof head;
    head.entry_bytes = sizeof(struct resume_entry);
    head.notify_fd = -1;
    head.soft_nofile = limit.rlim_cur;
    head.server_argc = mode != NULL ? 2 : 1;
    char strings[4096];
    size_t at = 0;
    const char *const all[] = {"/proc/self/exe", "ready\n", live->dir, live->dir, "", "--server",
                               mode != NULL ? mode : "", ""};
    for (size_t i = 0; i < (mode != NULL ? 8u : 7u); i++) {
        memcpy(strings + at, all[i], strlen(all[i]) + 1);
        at += strlen(all[i]) + 1;
    }
    head.strings_bytes = (uint32_t)at;
    int fd = memfd_create("blob", 0);
    size_t entries_bytes = head.entries * sizeof *entries;
    if (write(fd, &head, sizeof head) != (ssize_t)sizeof head ||
        (head.entries > 0 && write(fd, entries, entries_bytes) != (ssize_t)entries_bytes) ||
        write(fd, strings, at) != (ssize_t)at)
        FATAL("blob");
    return fd;
}

static _Noreturn void run_keeper(int blob)
{
    char number[16];
    snprintf(number, sizeof number, "%d", blob);
    execl(keeper_path(), "forkful", "--keeper", number, (char *)NULL);
    FATAL(keeper_path());
}

static void start_keeper(struct live *live, uint64_t ring_bytes, const char *mode)
{
    int pipe_ends[2];
    memset(live, 0, sizeof *live);
    live->link = live->cgroup = -1;
    snprintf(live->dir, sizeof live->dir, "/tmp/keeper-live-XXXXXX");
    if (mkdtemp(live->dir) == NULL || pipe2(pipe_ends, O_CLOEXEC) < 0)
        FATAL("mkdtemp");
    listen_for_puppets(live);
    current = live;
    live->stdout_fd = pipe_ends[0];
    live->keeper = fork();
    if (live->keeper == 0) {
        char path[128];
        dup2(pipe_ends[1], 1);
        snprintf(path, sizeof path, "%s/spool", live->dir);
        int spool_fd = open(path, O_RDWR | O_CREAT, 0600);
        struct spool spool;
        if (spool_create(&spool, spool_fd, ring_bytes, "boot") != 0)
            FATAL("spool_create");
        spool_close(&spool);
        struct resume head = {.occasion = RESUME_FRESH, .spool_fd = spool_fd, .lock_fd = -1,
                              .binary_fd = open("/proc/self/exe", O_RDONLY), .cgroup_fd = -1};
        run_keeper(write_blob(live, head, mode, NULL));
    }
    close(pipe_ends[1]);
}

void live_accept(struct live *live)
{
    int fds[7];
    int32_t body[2];
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof fds)];
    struct iovec vector = {body, sizeof body};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control,
                             .msg_controllen = sizeof control};
    struct pollfd come = {.fd = live->listener, .events = POLLIN};
    if (poll(&come, 1, 10000) != 1)
        FATAL("no server came");
    int socket = accept4(live->listener, NULL, NULL, SOCK_CLOEXEC);
    ssize_t got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (got != (ssize_t)sizeof body || CMSG_FIRSTHDR(&message) == NULL) {
        close(socket); /* killed before it could speak */
        live_accept(live);
        return;
    }
    memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fds);
    live->link = fds[0];
    live->spool_fd = fds[1];
    live->facts = fds[2];
    live->room = fds[3];
    live->lock = fds[4];
    live->binary = fds[5];
    live->cgroup = fds[6];
    if (body[1] == 0) {
        close(live->cgroup);
        live->cgroup = -1;
    }
    live->server = body[0];
    live->request = 0;
    live->custody_done = false;
    live->custody_count = 0;
    memset(live->replied, 0, sizeof live->replied);
    if (live->puppet > 0)
        close(live->puppet);
    live->puppet = socket; /* the puppet sleeps on it */
    if (spool_attach(&live->spool, live->spool_fd) != 0 ||
        spool_consumer_begin(&live->spool, live->position) != 0)
        FATAL("spool");
    live->position = live->spool.position;
}

void live_meet(struct live *live)
{
    live_accept(live);
    struct command_hello hello = {COMMANDS_VERSION, (int32_t)live->server};
    live_send(live, COMMAND_HELLO, NULL, &hello, sizeof hello);
    while (!live->custody_done)
        if (!live_receive(live, 10000))
            FATAL("no welcome");
}

void live_start_with(struct live *live, uint64_t ring_bytes)
{
    start_keeper(live, ring_bytes, NULL);
    live_meet(live);
}

void live_start(struct live *live)
{
    live_start_with(live, SPOOL_RING_BYTES);
}

void live_sweep(struct live *live)
{
    const char *const files[] = {"spool", "puppets"};
    char path[128];
    close(live->listener);
    close(live->stdout_fd);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", live->dir, files[i]);
        unlink(path);
    }
    rmdir(live->dir);
}

int live_refused(void)
{
    static struct live live;
    int status = 0;
    start_keeper(&live, 1u << 20, "refuse");
    waitpid(live.keeper, &status, 0);
    current = NULL;
    live_sweep(&live);
    return status;
}

static void forget_fds(struct live *live)
{
    const int all[] = {live->link, live->spool_fd, live->facts, live->room, live->lock,
                       live->binary, live->cgroup};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i] >= 0)
            close(all[i]);
    for (unsigned i = 0; i < live->custody_count; i++)
        for (int f = 0; f < 4; f++)
            if (live->custody[i].fds[f] >= 0)
                close(live->custody[i].fds[f]);
    live->custody_count = 0;
    live->link = -1;
    spool_close(&live->spool);
}

void live_lose_server(struct live *live)
{
    kill(live->server, SIGKILL);
    live->server = 0;
    forget_fds(live);
}

static void inherit(int fd)
{
    if (fd >= 0)
        fcntl(fd, F_SETFD, 0);
}

void live_adopt(struct live *live, struct resume_entry *entries, unsigned count)
{
    struct resume head = {.occasion = RESUME_ADOPT, .spool_fd = live->spool_fd,
                          .lock_fd = live->lock, .binary_fd = live->binary,
                          .cgroup_fd = live->cgroup, .entries = count, .first_line_printed = 1};
    live->keeper = fork();
    if (live->keeper == 0) {
        const int own[] = {live->spool_fd, live->lock, live->binary, live->cgroup};
        for (size_t i = 0; i < sizeof own / sizeof *own; i++)
            inherit(own[i]);
        for (unsigned i = 0; i < count; i++) {
            inherit(entries[i].pidfd);
            inherit(entries[i].stdout_fd);
            inherit(entries[i].stderr_fd);
            inherit(entries[i].stdin_fd);
        }
        run_keeper(write_blob(live, head, NULL, entries));
    }
    live_lose_server(live);
}

static void notes_clear(void);

void live_exit(struct live *live)
{
    int status;
    live_send(live, COMMAND_EXIT, NULL, NULL, 0);
    kill(live->server, SIGTERM);
    pid_t ended = 0;
    for (int i = 0; i < 1500 && (ended = waitpid(live->keeper, &status, WNOHANG)) == 0; i++)
        usleep(10000);
    if (ended != live->keeper || status != 0)
        FATAL("the keeper did not exit with 0");
    current = NULL;
    live->keeper = 0;
}

void live_end(struct live *live)
{
    char path[128];
    if (live->keeper != 0)
        live_exit(live);
    const struct spool_header *header = live->spool.header;
    bool all_stored = atomic_load(&header->head) == atomic_load(&header->tail);
    notes_clear();
    forget_fds(live);
    close(live->puppet);
    snprintf(path, sizeof path, "%s/spool", live->dir);
    if (access(path, F_OK) == 0 && all_stored)
        FATAL("the spool is still there");
    live_sweep(live);
}

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
    id_text(&spawn->process, marker + strlen(marker));
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
    int fds[2];
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
    if (got < (ssize_t)sizeof notice)
        return false;
    memcpy(&notice, bytes, sizeof notice);
    const unsigned char *body = bytes + sizeof notice;
    struct notice_signal signal;
    switch (notice.type) {
    case NOTICE_WELCOME: memcpy(&live->welcome, body, sizeof live->welcome); break;
    case NOTICE_CUSTODY: take_custody(live, body, notice.body_bytes, &message); break;
    case NOTICE_CUSTODY_DONE: live->custody_done = true; break;
    case NOTICE_REPLY:
        memcpy(&live->replies[notice.request % 1024], body, sizeof *live->replies);
        live->replied[notice.request % 1024] = true;
        break;
    case NOTICE_SIGNAL:
        memcpy(&signal, body, sizeof signal);
        live->signals[signal.signal]++;
        break;
    default: FATAL("unknown notice");
    }
    return true;
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

static void notes_clear(void)
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
