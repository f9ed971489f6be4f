/*
 * wakes: how fast a parked call is answered when what it waits for happens.
 *
 *   wakes event PORT SOCKET PARKED ROUNDS    wait for an event, set over another connection
 *   wakes queue PORT SOCKET PARKED ROUNDS    a put wakes the first of PARKED receives, which parks again
 *   wakes holder PORT SOCKET PARKED ROUNDS   a process that has a lock is killed; the next one waits
 *
 * PARKED calls wait all the time (for `event` and `holder`: for another event), every fourth of them
 * on the Unix socket: TCP alone is not given that many connections. All else is on TCP. When they are
 * parked a line {"parked":N} is printed and a line on stdin awaited, so that the driver can look;
 * then come the rounds. The clock runs from right before the request, or the kill, until the whole
 * answer has come. The token is read from FORKFUL_TOKEN. Prints one more JSON line; exits 1 when
 * anything was answered wrongly.
 */
#include "http.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { MAX_PARKED = 20000, MAX_ROUNDS = 100000, PATH_BYTES = 160 };

struct wakes {
    const struct kind *kind;
    struct target target, socket;
    struct wire control; /* for what is answered at once */
    struct wire waiter;  /* of the rounds with one waiter */
    struct wire *parked;
    size_t parked_count;
    int epoll_fd;        /* watches `parked` */
    uint32_t *took_us;   /* of each round */
    char request[HTTP_REQUEST_BYTES];
};

struct kind {
    const char *name;
    int (*prepare)(struct wakes *wakes);
    void (*park)(struct wakes *wakes, struct wire *wire); /* sends what then waits */
    const char *object;                                   /* which shows how many are parked */
    int (*round)(struct wakes *wakes, uint32_t *took_us);
};

static int wrong(const char *what, const struct wire *wire)
{
    fprintf(stderr, "%s: wrong answer: status %d: %.500s\n", what, wire->status,
            wire->received > 0 ? wire->buffer : "(none)");
    return 0;
}

static void send_request(struct wakes *wakes, struct wire *wire, const char *method,
                         const char *path, const char *body)
{
    size_t bytes = http_format(wakes->request, &wakes->target, method, path, body);

    wire_send(wire, wakes->request, bytes);
}

static int answered(struct wire *wire, const char *what, int status)
{
    return (wire_finish(wire) && wire->status == status) || wrong(what, wire);
}

/* Asks on the control connection; true when the answer has that status. */
static int ask(struct wakes *wakes, const char *method, const char *path, const char *body,
               int status)
{
    send_request(wakes, &wakes->control, method, path, body);
    return answered(&wakes->control, path, status);
}

/* Waits until so many calls wait for an object. */
static int await_waiters(struct wakes *wakes, const char *object, unsigned long count)
{
    const char *value;

    do {
        if (!ask(wakes, "GET", object, NULL, 200))
            return 0;
        value = json_value(wakes->control.body, "waiters");
    } while (value != NULL && strtoul(value, NULL, 10) != count);
    return value != NULL || wrong(object, &wakes->control);
}

/* ---- an event ---- */

static int prepare_events(struct wakes *wakes)
{
    return ask(wakes, "PUT", "/v1/events/never", NULL, 201) &&
           ask(wakes, "PUT", "/v1/events/go", NULL, 201);
}

static void park_on_event(struct wakes *wakes, struct wire *wire)
{
    send_request(wakes, wire, "GET", "/v1/events/never/wait?wait=600", NULL);
}

static int round_of_event(struct wakes *wakes, uint32_t *took_us)
{
    send_request(wakes, &wakes->waiter, "GET", "/v1/events/go/wait?wait=60", NULL);
    if (!await_waiters(wakes, "/v1/events/go", 1))
        return 0;
    uint64_t start = now_us();
    send_request(wakes, &wakes->control, "POST", "/v1/events/go/set", NULL);
    if (!answered(&wakes->waiter, "wait", 200))
        return 0;
    *took_us = (uint32_t)(now_us() - start);
    return answered(&wakes->control, "set", 200) &&
           ask(wakes, "POST", "/v1/events/go/clear", NULL, 200);
}

/* ---- a queue ---- */

static int prepare_queue(struct wakes *wakes)
{
    return ask(wakes, "PUT", "/v1/queues/crowd", "{\"durable\":false}", 201);
}

static void park_on_queue(struct wakes *wakes, struct wire *wire)
{
    send_request(wakes, wire, "POST", "/v1/queues/crowd/receive?mode=take&wait=600", NULL);
}

static int round_of_queue(struct wakes *wakes, uint32_t *took_us)
{
    struct epoll_event event;
    uint64_t start = now_us();

    send_request(wakes, &wakes->control, "POST", "/v1/queues/crowd/messages", "\"one\"");
    if (epoll_wait(wakes->epoll_fd, &event, 1, 60000) != 1)
        return wrong("receive", &wakes->control);
    struct wire *woken = event.data.ptr;
    if (!answered(woken, "receive", 200))
        return 0;
    *took_us = (uint32_t)(now_us() - start);
    if (json_value(woken->body, "id") == NULL)
        return wrong("receive", woken);
    park_on_queue(wakes, woken);
    return answered(&wakes->control, "put", 201) &&
           await_waiters(wakes, "/v1/queues/crowd", wakes->parked_count);
}

/* ---- a lock whose holder is killed ---- */

static int prepare_lock(struct wakes *wakes)
{
    return prepare_events(wakes) && ask(wakes, "PUT", "/v1/locks/one", NULL, 201);
}

/* Returns the pid of a process that has the lock; 0: it went wrong. */
static pid_t start_holder(struct wakes *wakes)
{
    static const char body[] =
        "{\"argv\":[\"/bin/sleep\",\"60\"],\"daemon\":true,\"requires\":{\"lock\":\"one\"}}";
    char id[64], path[PATH_BYTES];
    const char *pid = NULL;

    if (!ask(wakes, "POST", "/v1/processes", body, 201) ||
        !json_string_value(wakes->control.body, "id", id, sizeof id))
        return 0;
    snprintf(path, sizeof path, "/v1/processes/%s", id);
    do {
        if (!ask(wakes, "GET", path, NULL, 200))
            return 0;
        pid = json_value(wakes->control.body, "pid");
    } while (pid != NULL && strncmp(pid, "null", 4) == 0);
    return pid != NULL ? (pid_t)strtol(pid, NULL, 10) : 0;
}

static int release(struct wakes *wakes)
{
    char id[64], path[PATH_BYTES];

    if (!json_string_value(wakes->waiter.body, "id", id, sizeof id))
        return wrong("acquire", &wakes->waiter);
    snprintf(path, sizeof path, "/v1/holds/%s/release", id);
    return ask(wakes, "POST", path, NULL, 200);
}

static int round_of_holder(struct wakes *wakes, uint32_t *took_us)
{
    pid_t holder = start_holder(wakes);

    if (holder <= 0)
        return wrong("spawn", &wakes->control);
    send_request(wakes, &wakes->waiter, "POST", "/v1/locks/one/acquire?wait=60", NULL);
    if (!await_waiters(wakes, "/v1/locks/one", 1))
        return 0;
    uint64_t start = now_us();
    if (kill(holder, SIGKILL) != 0)
        die("kill");
    if (!answered(&wakes->waiter, "acquire", 200))
        return 0;
    *took_us = (uint32_t)(now_us() - start);
    return release(wakes);
}

static const struct kind kinds[] = {
    {"event", prepare_events, park_on_event, "/v1/events/never", round_of_event},
    {"queue", prepare_queue, park_on_queue, "/v1/queues/crowd", round_of_queue},
    {"holder", prepare_lock, park_on_event, "/v1/events/never", round_of_holder},
};

/* ---- all of it ---- */

static int park_all(struct wakes *wakes)
{
    allow_files(wakes->parked_count + 4);
    wakes->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (wakes->epoll_fd < 0)
        die("epoll_create1");
    for (size_t i = 0; i < wakes->parked_count; i++) {
        struct wire *wire = &wakes->parked[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = wire};
        wire_open(wire, i % 4 == 3 ? &wakes->socket : &wakes->target, &http_framing);
        if (epoll_ctl(wakes->epoll_fd, EPOLL_CTL_ADD, wire->fd, &event) != 0)
            die("epoll_ctl");
        wakes->kind->park(wakes, wire);
    }
    return await_waiters(wakes, wakes->kind->object, wakes->parked_count);
}

static int look(const struct wakes *wakes)
{
    char line[16];

    printf("{\"parked\":%zu}\n", wakes->parked_count);
    fflush(stdout);
    return fgets(line, sizeof line, stdin) != NULL;
}

static int compare(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

    return (a > b) - (a < b);
}

static void report(struct wakes *wakes, size_t rounds)
{
    qsort(wakes->took_us, rounds, sizeof *wakes->took_us, compare);
    printf("{\"rounds\":%zu,\"p50_us\":%u,\"p99_us\":%u,\"max_us\":%u}\n", rounds,
           wakes->took_us[rounds / 2], wakes->took_us[rounds * 99 / 100],
           wakes->took_us[rounds - 1]);
}

static const struct kind *kind_find(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

int main(int argc, char **argv)
{
    static struct wakes wakes;

    if (argc != 6 || (wakes.kind = kind_find(argv[1])) == NULL) {
        fprintf(stderr, "usage: wakes event|queue|holder PORT SOCKET PARKED ROUNDS\n");
        return 2;
    }
    size_t rounds = number_argument(argv[5], MAX_ROUNDS);
    wakes.target = (struct target){argv[2], token_of_environment()};
    wakes.socket = (struct target){argv[3], token_of_environment()};
    wakes.parked_count = number_argument(argv[4], MAX_PARKED);
    wakes.parked = calloc(wakes.parked_count, sizeof *wakes.parked);
    wakes.took_us = calloc(rounds, sizeof *wakes.took_us);
    if (wakes.parked == NULL || wakes.took_us == NULL)
        die("calloc");
    wire_open(&wakes.control, &wakes.target, &http_framing);
    wire_open(&wakes.waiter, &wakes.target, &http_framing);
    if (!wakes.kind->prepare(&wakes) || !park_all(&wakes) || !look(&wakes))
        return 1;
    for (size_t i = 0; i < rounds; i++)
        if (!wakes.kind->round(&wakes, &wakes.took_us[i]))
            return 1;
    report(&wakes, rounds);
    return 0;
}
