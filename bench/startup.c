/*
 * startup: how long a daemon takes from exec to its first answer.
 *
 *   startup SOCKET PROGRAM ARGUMENT…
 *
 * The clock starts right before fork. The child execs PROGRAM; the parent tries to connect to the
 * Unix socket SOCKET every 100 µs, asks GET /healthz as soon as that works, and stops the clock
 * when 200 has come. Then it ends the daemon with SIGTERM and waits for it. Prints one JSON line.
 * Exits 1 when there was no 200 within 10 s or the daemon did not end with 0 within another 20.
 */
#include "http.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TRY_EVERY_US = 100, ANSWER_WITHIN_US = 10000000, END_WITHIN_US = 20000000 };

static pid_t start_daemon(char **argv)
{
    pid_t pid = fork();

    if (pid < 0)
        die("fork");
    if (pid > 0)
        return pid;
    setpgid(0, 0);
    int null = open("/dev/null", O_WRONLY);
    if (null < 0 || dup2(null, STDOUT_FILENO) < 0)
        die("/dev/null");
    execv(argv[0], argv);
    die(argv[0]);
}

static int try_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = 10};

    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        die(path);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0)
        die("socket");
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

/* One request on a connection of its own; true when it was answered with 200. */
static int healthy(const char *path)
{
    static const char request[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    static char buffer[WIRE_BUFFER_BYTES];
    struct wire wire = {
        .framing = &http_framing, .fd = try_connect(path), .buffer = buffer};

    if (wire.fd < 0)
        return 0;
    wire_send(&wire, request, sizeof request - 1);
    int answered = wire_finish(&wire) && wire.status == 200;
    close(wire.fd);
    return answered;
}

static int wait_for_answer(const char *path, uint64_t start, pid_t pid)
{
    while (!healthy(path)) {
        if (now_us() - start > ANSWER_WITHIN_US || waitpid(pid, NULL, WNOHANG) != 0)
            return 0;
        usleep(TRY_EVERY_US);
    }
    return 1;
}

/* True when it ended by itself with 0. If not, what is left of its process group is killed. */
static int end_daemon(pid_t pid)
{
    uint64_t start = now_us();
    int status = -1;

    kill(pid, SIGTERM);
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (now_us() - start > END_WITHIN_US) {
            kill(-pid, SIGKILL);
            return 0;
        }
        usleep(1000);
    }
    return status == 0;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: startup SOCKET PROGRAM ARGUMENT...\n");
        return 2;
    }
    uint64_t start = now_us();
    pid_t pid = start_daemon(argv + 2);
    int answered = wait_for_answer(argv[1], start, pid);
    uint64_t first_us = now_us() - start;
    uint64_t stop = now_us();
    int ended = end_daemon(pid);
    printf("{\"answered\":%s,\"ms\":%.3f,\"ended\":%s,\"end_ms\":%.3f}\n",
           answered ? "true" : "false", (double)first_us / 1e3, ended ? "true" : "false",
           (double)(now_us() - stop) / 1e3);
    return !answered || !ended;
}
