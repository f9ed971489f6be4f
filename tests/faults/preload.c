/*
 * A library for LD_PRELOAD that makes the server's calls of the C library fail: memory, files, descriptors, random
 * numbers, the clock. Also those of SQLite, libmicrohttpd and jansson, which fault points of ours do not reach.
 *
 * FAULTS_CONTROL names a file with one struct control, mapped shared: whoever writes into it switches faults in the
 * running server, and its successors see the same counters (tests/faults/faults.mjs does so). Only a process whose
 * first argument is --server takes part, so children that inherit the variable do not.
 *
 * What the kernel never does is not made: a stream socket is not cut short, nor is what does not block interrupted,
 * for who waits edge-triggered would wait for an edge that the kernel owes him. Sockets get small buffers instead,
 * and the kernel cuts.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* The order is that of FAULTS in faults.mjs. */
enum fault {
    FAULT_MEMORY, FAULT_STATE_WRITE, FAULT_STATE_SYNC, FAULT_LOGS_WRITE, FAULT_LOGS_SYNC, FAULT_DATABASE_READ,
    FAULT_OPEN, FAULT_ACCEPT, FAULT_RANDOM, FAULT_INTERRUPT, FAULT_SHORT, FAULT_SMALL_BUFFERS, FAULT_EXIT,
    FAULT_COUNT,
};

struct slot {
    _Atomic int64_t error;      /* an errno; 0: this fault is off */
    _Atomic int64_t skip;       /* so many calls pass first */
    _Atomic int64_t times;      /* then so many fail; negative: all */
    _Atomic int64_t per_mille;  /* of those, drawn with the seed; 0: each */
    _Atomic int64_t seen;       /* calls so far */
    _Atomic int64_t failed;     /* of them made to fail */
};

struct control {
    _Atomic int64_t seed;
    _Atomic int64_t clock_us;   /* what CLOCK_REALTIME is ahead */
    struct slot slots[FAULT_COUNT];
};

static struct control *control;

/* Which database a descriptor belongs to: 's'tate, 'l'ogs, or 0. */
static _Atomic char database[1 << 16];

__attribute__((constructor)) static void begin(int argc, char **argv)
{
    const char *path = getenv("FAULTS_CONTROL");
    int fd = path && argc > 1 && strcmp(argv[1], "--server") == 0 ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *at = fd < 0 ? MAP_FAILED
                      : mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at != MAP_FAILED) {
        control = at;
    }
    if (fd >= 0) {
        close(fd);
    }
}

/* The next function of that name: a sanitizer's, or the C library's. */
#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) { \
        real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name); \
    }

static uint64_t mixed(uint64_t number)
{
    number += 0x9e3779b97f4a7c15u;
    number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9u;
    number = (number ^ number >> 27) * 0x94d049bb133111ebu;
    return number ^ number >> 31;
}

/* True when this call is to fail, with errno set. */
static bool fails(enum fault fault)
{
    struct slot *slot = control ? &control->slots[fault] : NULL;
    int64_t error = slot ? slot->error : 0;
    if (error == 0) {
        return false;
    }
    int64_t number = atomic_fetch_add(&slot->seen, 1);
    uint64_t drawn = mixed((uint64_t)(control->seed + number)) % 1000;
    if (number < slot->skip || (slot->per_mille && drawn >= (uint64_t)slot->per_mille)) {
        return false;
    }
    if (slot->times >= 0 && slot->failed >= slot->times) {
        return false;
    }
    atomic_fetch_add(&slot->failed, 1);
    errno = (int)error;
    return true;
}

/* ---- memory ---- */

void *malloc(size_t bytes)
{
    REAL(malloc)
    return fails(FAULT_MEMORY) ? NULL : real(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    REAL(calloc)
    return fails(FAULT_MEMORY) ? NULL : real(count, bytes);
}

void *realloc(void *old, size_t bytes)
{
    REAL(realloc)
    return fails(FAULT_MEMORY) ? NULL : real(old, bytes);
}

/* ---- files ---- */

static void note_opened(int fd, const char *path)
{
    const char *name = strrchr(path, '/');
    name = name ? name + 1 : path;
    if (fd >= 0 && fd < (int)sizeof database) {
        database[fd] = strncmp(name, "state.db", 8) == 0 ? 's' : strncmp(name, "logs.db", 7) == 0 ? 'l' : 0;
    }
}

static char database_of(int fd)
{
    return fd >= 0 && fd < (int)sizeof database ? database[fd] : 0;
}

#define OPENS(name) \
    int name(const char *path, int flags, ...) \
    { \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more); \
        REAL(name) \
        int fd = fails(FAULT_OPEN) ? -1 : real(path, flags, mode); \
        note_opened(fd, path); \
        return fd; \
    }
OPENS(open)
OPENS(open64)

static bool write_fails(int fd)
{
    char which = database_of(fd);
    return which && fails(which == 's' ? FAULT_STATE_WRITE : FAULT_LOGS_WRITE);
}

static bool sync_fails(int fd)
{
    char which = database_of(fd);
    return which && fails(which == 's' ? FAULT_STATE_SYNC : FAULT_LOGS_SYNC);
}

int fsync(int fd)
{
    REAL(fsync)
    return sync_fails(fd) ? -1 : real(fd);
}

int fdatasync(int fd)
{
    REAL(fdatasync)
    return sync_fails(fd) ? -1 : real(fd);
}

int ftruncate64(int fd, off64_t bytes)
{
    REAL(ftruncate64)
    return write_fails(fd) ? -1 : real(fd, bytes);
}

/* ---- bytes ---- */

static bool is_interrupted(int fd)
{
    return control && control->slots[FAULT_INTERRUPT].error && !(fcntl(fd, F_GETFL) & O_NONBLOCK) &&
           fails(FAULT_INTERRUPT);
}

/* Of `bytes` as many as this call gets. Pipes and files only: see above. */
static size_t some_of(int fd, size_t bytes)
{
    struct stat status;
    if (bytes < 2 || !control || !control->slots[FAULT_SHORT].error || fstat(fd, &status) < 0 ||
        !(S_ISFIFO(status.st_mode) || S_ISREG(status.st_mode)) || !fails(FAULT_SHORT)) {
        return bytes;
    }
    return 1 + mixed((uint64_t)control->slots[FAULT_SHORT].seen) % (bytes - 1);
}

ssize_t read(int fd, void *to, size_t bytes)
{
    REAL(read)
    if (is_interrupted(fd) || (database_of(fd) && fails(FAULT_DATABASE_READ))) {
        return -1;
    }
    return real(fd, to, some_of(fd, bytes));
}

ssize_t write(int fd, const void *from, size_t bytes)
{
    REAL(write)
    if (is_interrupted(fd) || write_fails(fd)) {
        return -1;
    }
    return real(fd, from, some_of(fd, bytes));
}

#define READS_AT(name) \
    ssize_t name(int fd, void *to, size_t bytes, off64_t at) \
    { \
        REAL(name) \
        if (is_interrupted(fd) || (database_of(fd) && fails(FAULT_DATABASE_READ))) { \
            return -1; \
        } \
        return real(fd, to, some_of(fd, bytes), at); \
    }
READS_AT(pread)
READS_AT(pread64)

#define WRITES_AT(name) \
    ssize_t name(int fd, const void *from, size_t bytes, off64_t at) \
    { \
        REAL(name) \
        if (is_interrupted(fd) || write_fails(fd)) { \
            return -1; \
        } \
        return real(fd, from, some_of(fd, bytes), at); \
    }
WRITES_AT(pwrite)
WRITES_AT(pwrite64)

/* ---- sockets and waiting ---- */

int accept4(int fd, struct sockaddr *address, socklen_t *bytes, int flags)
{
    REAL(accept4)
    int least = 16384;
    int taken = fails(FAULT_ACCEPT) ? -1 : real(fd, address, bytes, flags);
    if (taken >= 0 && fails(FAULT_SMALL_BUFFERS)) {
        setsockopt(taken, SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
        setsockopt(taken, SOL_SOCKET, SO_RCVBUF, &least, sizeof least);
    }
    return taken;
}

int epoll_wait(int epoll, struct epoll_event *events, int count, int milliseconds)
{
    REAL(epoll_wait)
    return milliseconds != 0 && fails(FAULT_INTERRUPT) ? -1 : real(epoll, events, count, milliseconds);
}

int poll(struct pollfd *watched, nfds_t count, int milliseconds)
{
    REAL(poll)
    return milliseconds != 0 && fails(FAULT_INTERRUPT) ? -1 : real(watched, count, milliseconds);
}

/* A server that cannot go on ends itself, and the keeper waits longer each time. It does not where somebody else
   killed it: so a test that makes hundreds of them end need not wait. */
void _exit(int status)
{
    REAL(_exit)
    if (fails(FAULT_EXIT)) {
        kill(getpid(), SIGKILL);
    }
    real(status);
    abort();
}

/* ---- chance and time ---- */

ssize_t getrandom(void *to, size_t bytes, unsigned flags)
{
    REAL(getrandom)
    return fails(FAULT_RANDOM) ? -1 : real(to, bytes, flags);
}

static int64_t ahead_us(void)
{
    return control ? control->clock_us : 0;
}

static bool is_wall(clockid_t clock)
{
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    REAL(clock_gettime)
    int result = real(clock, now);
    if (result == 0 && is_wall(clock)) {
        int64_t us = (int64_t)now->tv_sec * 1000000 + now->tv_nsec / 1000 + ahead_us();
        *now = (struct timespec){us / 1000000, us % 1000000 * 1000 + now->tv_nsec % 1000};
    }
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    (void)zone;
    struct timespec exact;
    int result = clock_gettime(CLOCK_REALTIME, &exact);
    *now = (struct timeval){exact.tv_sec, exact.tv_nsec / 1000};
    return result;
}

time_t time(time_t *out)
{
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}
