/*
 * load: asks a server over N keep-alive connections for some seconds, one thread, one epoll.
 *
 *   load MODE ADDRESS CLIENTS SECONDS SUBJECT
 *
 *   spawnjoin  SUBJECT is a program: POST /v1/processes, then GET …/join?wait=30
 *   get        SUBJECT is a path: GET it
 *   lock       SUBJECT is a lock: acquire it and release it
 *   queue      SUBJECT is a queue: put 100 bytes and take them; put: only that;
 *              batch: 100 messages in one call, and out again in one
 *   pool       SUBJECT is a pool: a batch of 1000 tasks goes in, all results come out
 *   beanstalk  put, reserve, delete; beanstalk-put, redis-push (SUBJECT is a list): only that
 *
 * ADDRESS is a TCP port on 127.0.0.1 or the path of a Unix socket. Each connection has one request
 * outstanding and sends the next when the answer is complete and was right. What ends in the first
 * WARM_UP_US is not counted. After SECONDS nothing new is begun, what is under way is finished, and
 * the clock stops with the last answer. The token is read from FORKFUL_TOKEN. Prints one JSON line;
 * exits 1 when any answer was wrong.
 */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

enum { MAX_CLIENTS = 1024, EVENTS_PER_WAIT = 64, WARM_UP_US = 200000 };

static const struct mode *mode_find(const char *name)
{
    static const struct mode *const tables[] = {process_modes, coordination_modes, broker_modes};

    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        for (const struct mode *mode = tables[i]; mode->name != NULL; mode++)
            if (strcmp(mode->name, name) == 0)
                return mode;
    return NULL;
}

enum verdict send_next(struct load *load, struct client *client, const char *method,
                       const char *path, const char *body)
{
    char request[HTTP_REQUEST_BYTES];
    size_t bytes = http_format(request, &load->target, method, path, body);

    wire_send(&client->wire, request, bytes);
    return WORK_GOES_ON;
}

static void begin(struct load *load, struct client *client)
{
    client->begun_us = now_us();
    wire_send(&client->wire, load->request, load->request_bytes);
}

static void report_wrong(const struct client *client)
{
    const struct wire *wire = &client->wire;

    fprintf(stderr, "wrong answer: status %d, %zu bytes received: %.500s\n", wire->status,
            wire->received, wire->received > 0 ? wire->buffer : "(none)");
}

/* Counts a unit of work that has ended and begins the next one unless time is up. */
static void end_unit(struct load *load, struct client *client, enum verdict verdict)
{
    uint64_t now = now_us();
    uint64_t took = now - client->begun_us;

    if (verdict == WORK_WRONG) {
        if (load->wrong++ == 0)
            report_wrong(client);
        load->active--;
        return;
    }
    if (!load->warm && now >= load->warm_us) {
        load->warm = 1;
        load->warm_us = now;
    } else if (load->warm) {
        load->done++;
        load->latency[took < LATENCY_LIMIT_US ? took : LATENCY_LIMIT_US]++;
    }
    if (now < load->deadline_us)
        begin(load, client);
    else
        load->active--;
}

static void readable(struct load *load, struct client *client, int epoll_fd)
{
    enum wire_progress progress = wire_receive(&client->wire);

    if (progress == WIRE_PARTIAL)
        return;
    enum verdict verdict =
        progress == WIRE_COMPLETE ? load->mode->answered(load, client) : WORK_WRONG;
    if (verdict == WORK_WRONG)
        epoll_ctl(epoll_fd, EPOLL_CTL_DEL, client->wire.fd, NULL);
    if (verdict != WORK_GOES_ON)
        end_unit(load, client, verdict);
}

static int connect_all(struct load *load)
{
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

    if (epoll_fd < 0)
        die("epoll_create1");
    for (size_t i = 0; i < load->client_count; i++) {
        struct client *client = &load->clients[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
        wire_open(&client->wire, &load->target, load->mode->framing);
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, client->wire.fd, &event) != 0)
            die("epoll_ctl");
    }
    return epoll_fd;
}

/* Returns how long it took, in microseconds, from the warm-up's end to the last answer. */
static uint64_t run(struct load *load, unsigned long seconds)
{
    struct epoll_event events[EVENTS_PER_WAIT];
    int epoll_fd = connect_all(load);

    load->warm_us = now_us() + WARM_UP_US;
    load->deadline_us = load->warm_us + seconds * 1000000u;
    load->active = load->client_count;
    for (size_t i = 0; i < load->client_count; i++)
        begin(load, &load->clients[i]);
    while (load->active > 0) {
        int count = epoll_wait(epoll_fd, events, EVENTS_PER_WAIT, 60000);
        if (count == 0) {
            fprintf(stderr, "no answer for 60 s\n");
            load->wrong += load->active;
            break;
        }
        for (int i = 0; i < count; i++)
            readable(load, events[i].data.ptr, epoll_fd);
    }
    return now_us() - load->warm_us;
}

/* The latency that `share` of all units did not exceed. */
static unsigned percentile(const struct load *load, double share)
{
    uint64_t below = 0, wanted = (uint64_t)((double)load->done * share);
    unsigned took = 0;

    while (took < LATENCY_LIMIT_US && (below += load->latency[took]) <= wanted)
        took++;
    return took;
}

int main(int argc, char **argv)
{
    static struct load load;

    if (argc != 6 || (load.mode = mode_find(argv[1])) == NULL) {
        fprintf(stderr, "usage: load MODE ADDRESS CLIENTS SECONDS SUBJECT\n");
        return 2;
    }
    load.target = (struct target){argv[2], token_of_environment()};
    load.client_count = number_argument(argv[3], MAX_CLIENTS);
    load.subject = argv[5];
    load.clients = calloc(load.client_count, sizeof *load.clients);
    if (load.clients == NULL)
        die("calloc");
    load.mode->prepare(&load);
    uint64_t took_us = run(&load, number_argument(argv[4], 600));
    printf("{\"done\":%llu,\"wrong\":%llu,\"seconds\":%.6f,\"p50_us\":%u,\"p99_us\":%u}\n",
           (unsigned long long)load.done, (unsigned long long)load.wrong, (double)took_us / 1e6,
           percentile(&load, 0.5), percentile(&load, 0.99));
    free(load.clients);
    return load.wrong > 0;
}
