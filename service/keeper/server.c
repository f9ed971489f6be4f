/*
 * The server's life as the keeper sees it: start, ready, end, start again.
 *
 * It gets its descriptors on fixed numbers (service/server_fds.h) and the listeners stay open
 * between two of them, so a client that connects meanwhile just waits. One that ends is started
 * again at once, but at growing distance when several in a row did not live for some seconds. When
 * the very first one refuses to run (exit 1 or 2 before READY, nothing started), its status
 * becomes the keeper's: that is a start-up error.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "service/keeper/keeper.h"
#include "service/server_fds.h"

#define SILENCE_US 1000000        /* from the end of its socket to SIGKILL */
#define STEADY_US 5000000         /* who lived so long after its start did not end by its start */
#define FIRST_DELAY_MS 50u
#define LAST_DELAY_MS 5000u
#define LINK_BUFFER_BYTES 32768   /* bounds the descriptors in flight to the server */
#define SERVER_FDS_MAX (SERVER_FD_LISTENERS + RESUME_LISTENERS + 3) /* no number is so large */
#define SERVER_ARGUMENTS_MAX 64u

static void set_number(const char *name, int64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)number);
    setenv(name, text, 1);
}

/* Puts a copy of `fd` aside, for *next; counts *next on. -1 stays away. */
static void lift(const char *name, int fd, int *lifted, int *next)
{
    if (fd < 0) {
        return;
    }
    if (name != NULL) {
        set_number(name, *next);
    }
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, SERVER_FDS_MAX);
    if (copy < 0) {
        struct rlimit limit = {0, 0};
        getrlimit(RLIMIT_NOFILE, &limit);
        keeper_log("the limit of open files (RLIMIT_NOFILE, %llu) is too small for a server: %s",
                   (unsigned long long)limit.rlim_cur, strerror(errno));
        _exit(1);
    }
    lifted[(*next)++] = copy;
}

/* In the child: every descriptor to its number. All others are FD_CLOEXEC. */
static void place_fds(const struct keeper *keeper, int link)
{
    const struct resume *resume = &keeper->resume;
    int lifted[SERVER_FDS_MAX], next = SERVER_FD_LINK;
    lift(NULL, link, lifted, &next);
    lift(NULL, resume->spool_fd, lifted, &next);
    lift(NULL, keeper->facts_event, lifted, &next);
    lift(NULL, keeper->room_event, lifted, &next);
    lift(NULL, resume->lock_fd >= 0 ? resume->lock_fd : keeper->null_fd, lifted, &next);
    for (int i = 0; i < resume->listener_count; i++) {
        lift(NULL, resume->listener_fds[i], lifted, &next);
    }
    lift(SERVER_ENV_BINARY_FD, resume->binary_fd, lifted, &next);
    lift(SERVER_ENV_CGROUP_FD, resume->cgroup_fd, lifted, &next);
    lift(SERVER_ENV_NOTIFY_FD, resume->notify_fd, lifted, &next);
    dup2(keeper->null_fd, 0);
    for (int fd = SERVER_FD_LINK; fd < next; fd++) {
        dup2(lifted[fd], fd);
    }
}

static void set_environment(const struct keeper *keeper)
{
    const struct resume *resume = &keeper->resume;
    static const char *const names[] = {SERVER_ENV_BINARY, NULL, SERVER_ENV_STATE_DIR,
                                        SERVER_ENV_RUNTIME_DIR, SERVER_ENV_CONFIG};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i] != NULL) {
            setenv(names[i], resume_string(keeper, i), 1);
        }
    }
    setenv(SERVER_ENV_USERS, users_text(keeper), 1);
    set_number(SERVER_ENV_LISTENERS, resume->listener_count);
    set_number(SERVER_ENV_TLS, resume->tls_listeners);
    set_number(SERVER_ENV_RESTARTS, resume->server_restarts);
    set_number(SERVER_ENV_SOFT_NOFILE, (int64_t)resume->soft_nofile);
    set_number(SERVER_ENV_CORE_DUMPS, resume->core_dumps);
    set_number(SERVER_ENV_STARTED_AT, resume->keeper_started_at_us);
}

static _Noreturn void server_run(const struct keeper *keeper, int link)
{
    char *arguments[SERVER_ARGUMENTS_MAX + 2] = {"forkful"};
    uint32_t count = keeper->resume.server_argc;
    for (uint32_t i = 0; i < count && i < SERVER_ARGUMENTS_MAX; i++) {
        arguments[i + 1] = (char *)(uintptr_t)resume_string(keeper, 5 + i);
    }
    unsetenv(SERVER_ENV_CGROUP_FD);
    unsetenv(SERVER_ENV_NOTIFY_FD);
    set_environment(keeper);
    place_fds(keeper, link);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int error = users_become_server(keeper);
    if (error != 0) {
        keeper_log("the server cannot become its user: %s", strerror(-error));
        _exit(127);
    }
    const char *binary = getenv(SERVER_ENV_BINARY_FD);
    if (binary != NULL) {
        syscall(SYS_execveat, atoi(binary), "", arguments, environ, AT_EMPTY_PATH);
    }
    keeper_log("execveat of the server: %s", strerror(errno));
    _exit(127);
}

int server_start(struct keeper *keeper)
{
    struct server *server = &keeper->server;
    int pair[2], size = LINK_BUFFER_BYTES;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        return -errno;
    }
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    int error = watch_add(keeper->epoll, pair[0], EPOLLIN, SOURCE_LINK, 0, 0);
    oom_before_fork(keeper);
    pid_t pid = error == 0 ? fork() : -1;
    if (pid == 0) {
        server_run(keeper, pair[1]);
    }
    if (pid < 0 && error == 0) {
        error = -errno;
    }
    close(pair[1]);
    server->link = pair[0];
    if (error != 0) {
        watch_close(keeper->epoll, &server->link);
        return error;
    }
    server->pid = pid;
    server->starts++;
    server->started_us = keeper->mono_us;
    server->greeted = server->ready = false;
    return 0;
}

/* Clients wait, so at once when the last one came to answer: a rare fault, or somebody killed it.
   If it ended soon after its predecessor, or was never ready, the next would do the same: 50 ms,
   doubled up to 5 s until one lives. One that was ready and got SIGKILL ended by somebody's will:
   there it stays at 50 ms. */
static uint32_t next_delay(struct server *server, int64_t now_us, int status)
{
    bool steady = server->ready && now_us - server->started_us >= STEADY_US;
    server->hasty = steady ? 0 : server->hasty + 1;
    if (server->ready && server->hasty <= 1) {
        return 0;
    }
    bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (server->delay_ms == 0 || (server->ready && killed)) {
        return FIRST_DELAY_MS;
    }
    return server->delay_ms * 2 < LAST_DELAY_MS ? server->delay_ms * 2 : LAST_DELAY_MS;
}

static bool refused_to_start(const struct keeper *keeper, int status)
{
    return keeper->resume.occasion == RESUME_FRESH && keeper->server.starts == 1 &&
           !keeper->server.ready && keeper->live == 0 && WIFEXITED(status) &&
           (WEXITSTATUS(status) == 1 || WEXITSTATUS(status) == 2 || WEXITSTATUS(status) == 127);
}

static void schedule_restart(struct keeper *keeper, int pid, int status)
{
    struct server *server = &keeper->server;
    server->delay_ms = next_delay(server, keeper->mono_us, status);
    server->start_deadline_us = keeper->mono_us + (int64_t)server->delay_ms * 1000;
    server->restarts = ++keeper->resume.server_restarts;
    server->ended = (struct fact_server_ended){pid, status, server->restarts, server->delay_ms};
    server->ended_due = true;
    keeper_log("the server ended (%s %d), next start in %u ms",
               WIFEXITED(status) ? "exit status" : "signal",
               WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), server->delay_ms);
}

void server_reap(struct keeper *keeper)
{
    struct server *server = &keeper->server;
    int status = 0;
    pid_t pid = server->pid;
    if (pid == 0 || waitpid(pid, &status, WNOHANG) != pid) {
        return;
    }
    server->pid = 0;
    while (server->link >= 0 && link_receive(keeper)) { /* its last words are still in the socket */
    }
    link_close(keeper);
    server->kill_deadline_us = 0; /* for this one; its silence may have set it just now */
    if (server->ended_by_us) {
        return;
    }
    if (refused_to_start(keeper, status)) {
        keeper->exiting = true;
        keeper->exit_status = WEXITSTATUS(status) == 127 ? 1 : WEXITSTATUS(status);
    } else if (keeper->resume.state.shutting_down && WIFEXITED(status) &&
               WEXITSTATUS(status) == 0) {
        keeper->exiting = true;
    } else {
        schedule_restart(keeper, pid, status);
    }
}

void server_distrust(struct keeper *keeper, const char *why)
{
    keeper_log("server %d: %s; it is started again", (int)keeper->server.pid, why);
    link_close(keeper);
    if (keeper->server.pid != 0) {
        kill(keeper->server.pid, SIGKILL);
    }
}

/* End-of-file from a server: as a rule it has just ended; if not, it has to. */
void server_silent(struct keeper *keeper)
{
    link_close(keeper);
    if (keeper->server.kill_deadline_us == 0) {
        keeper->server.kill_deadline_us = keeper->mono_us + SILENCE_US;
    }
}

void server_leave(struct keeper *keeper)
{
    keeper->server.ended_by_us = true;
    keeper->server.kill_deadline_us = keeper->mono_us + SERVER_PATIENCE_US;
}

void server_ready(struct keeper *keeper)
{
    const char *line = resume_string(keeper, 1);
    char text[64];
    keeper->server.ready = true;
    if (!keeper->resume.first_line_printed) {
        (void)!write(STDOUT_FILENO, line, strlen(line));
    }
    keeper->resume.first_line_printed = 1;
    int length = snprintf(text, sizeof text, "READY=1\nMAINPID=%d\n", (int)keeper->pid);
    if (keeper->resume.notify_fd >= 0) {
        (void)!send(keeper->resume.notify_fd, text, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

void server_deadlines(struct keeper *keeper)
{
    struct server *server = &keeper->server;
    if (server->ended_due && spool_append(&keeper->spool, FACT_SERVER_ENDED, STREAM_NONE, NULL,
                                          keeper->now_us, &server->ended, sizeof server->ended,
                                          NULL, 0) == 0) {
        server->ended_due = false;
    }
    if (server->kill_deadline_us != 0 && server->kill_deadline_us <= keeper->mono_us) {
        server->kill_deadline_us = 0;
        if (server->pid != 0) {
            kill(server->pid, SIGKILL);
        }
    }
    if (server->start_deadline_us == 0 || server->start_deadline_us > keeper->mono_us) {
        return;
    }
    server->start_deadline_us = 0;
    int error = server_start(keeper);
    if (error != 0) {
        keeper_log("start of the server: %s", strerror(-error));
        server->start_deadline_us = keeper->mono_us + (int64_t)FIRST_DELAY_MS * 1000;
    }
}
