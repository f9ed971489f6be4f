/*
 * The harness of the keeper's live tests: starts keepers, servers and their ends; see live_harness.h. What they
 * say to each other is in live_protocol.c.
 */
#include "live_internal.h"

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

_Noreturn void live_fatal(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: %s: %s\n", file, line, what, strerror(errno));
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

void live_id_text(const struct fact_id *id, char text[29])
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

void live_exit(struct live *live)
{
    int status;
    live_send(live, COMMAND_EXIT, NULL, NULL, 0);
    kill(live->server, SIGTERM);
    pid_t ended = 0;
    for (int i = 0; i < 1500 && (ended = waitpid(live->keeper, &status, WNOHANG)) == 0; i++)
        usleep(10000);
    if (ended != live->keeper || status != 0) {
        fprintf(stderr, "waitpid gave %d, status %#x\n", (int)ended, ended > 0 ? (unsigned)status : 0);
        FATAL("the keeper did not exit with 0");
    }
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
    live_forget_notes();
    forget_fds(live);
    close(live->puppet);
    snprintf(path, sizeof path, "%s/spool", live->dir);
    if (access(path, F_OK) == 0 && all_stored)
        FATAL("the spool is still there");
    live_sweep(live);
}
