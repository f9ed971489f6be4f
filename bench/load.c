/*
 * load: asks an HTTP server over N keep-alive connections for some seconds, one thread, one epoll.
 *
 *   load spawnjoin PORT CLIENTS SECONDS PROGRAM   POST /v1/processes, then GET …/join?wait=30
 *   load get       PORT CLIENTS SECONDS PATH      GET PATH
 *   load lock      PORT CLIENTS SECONDS LOCK      acquire it and release it
 *   load queue     PORT CLIENTS SECONDS QUEUE     put 100 bytes and take them
 *
 * Each connection has one request outstanding and sends the next when the answer is complete and
 * was right (status; for join also exitcode 0). After SECONDS nothing new is begun, what is under
 * way is finished, and the clock stops with the last answer. The token is read from
 * FORKFUL_TOKEN. Prints one JSON line; exits 1 when any answer was wrong.
 */
#include "http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

enum { MAX_CLIENTS = 1024, LATENCY_LIMIT_US = 200000, EVENTS_PER_WAIT = 64 };

struct client {
    struct http http;
    uint64_t begun_us; /* when the unit of work under way was begun */
    int step;          /* which request of the unit is under way; 0: the first */
};

struct load {
    const struct mode *mode;
    struct http_target target;
    struct client *clients;
    size_t client_count;
    size_t active;                    /* clients with a request outstanding */
    const char *subject;              /* PROGRAM, PATH or a name */
    char request[HTTP_REQUEST_BYTES]; /* what begins a unit of work, the same every time */
    size_t request_bytes;
    uint64_t deadline_us;
    uint64_t done;                    /* units of work that ended as they should */
    uint64_t wrong;                   /* and that did not; such a client stops */
    uint32_t latency[LATENCY_LIMIT_US + 1]; /* how many units took that many microseconds */
};

enum verdict { WORK_GOES_ON, WORK_DONE, WORK_WRONG };

/* What a kind of load is: the request that begins a unit, and what to make of each answer. */
struct mode {
    const char *name;
    void (*prepare)(struct load *load);
    enum verdict (*answered)(struct load *load, struct client *client);
};

static void prepare_spawn(struct load *load)
{
    char body[512];

    snprintf(body, sizeof body, "{\"argv\":[\"%s\"]}", load->subject);
    load->request_bytes =
        http_format(load->request, &load->target, "POST", "/v1/processes", body);
}

static enum verdict send_join(struct load *load, struct client *client)
{
    char path[128], request[HTTP_REQUEST_BYTES];
    const char *id = json_value(client->http.body, "id");

    if (client->http.status != 201 || id == NULL || strncmp(id, "\"p_", 3) != 0)
        return WORK_WRONG;
    snprintf(path, sizeof path, "/v1/processes/%.*s/join?wait=30", (int)strcspn(id + 1, "\""),
             id + 1);
    client->step = 1;
    size_t bytes = http_format(request, &load->target, "GET", path, NULL);
    http_send(&client->http, request, bytes);
    return WORK_GOES_ON;
}

static enum verdict answered_spawnjoin(struct load *load, struct client *client)
{
    if (client->step == 0)
        return send_join(load, client);
    client->step = 0;
    const char *exitcode = json_value(client->http.body, "exitcode");
    if (client->http.status != 200 || exitcode == NULL || strcspn(exitcode, ",} \n") != 1)
        return WORK_WRONG;
    return exitcode[0] == '0' ? WORK_DONE : WORK_WRONG;
}

static void prepare_get(struct load *load)
{
    load->request_bytes = http_format(load->request, &load->target, "GET", load->subject, NULL);
}

static enum verdict answered_get(struct load *load, struct client *client)
{
    (void)load;
    return client->http.status == 200 && client->http.body_bytes > 0 ? WORK_DONE : WORK_WRONG;
}

/* All clients want the one lock, so each waits for those before it. */
static void prepare_lock(struct load *load)
{
    char path[256];

    snprintf(path, sizeof path, "/v1/locks/%s/acquire?wait=30", load->subject);
    load->request_bytes = http_format(load->request, &load->target, "POST", path, "{}");
}

static enum verdict answered_lock(struct load *load, struct client *client)
{
    char path[128], request[HTTP_REQUEST_BYTES];
    const char *id = json_value(client->http.body, "id");

    if (client->http.status != 200 || id == NULL || strncmp(id, "\"h_", 3) != 0)
        return WORK_WRONG;
    client->step = !client->step;
    if (client->step == 0)
        return WORK_DONE;
    snprintf(path, sizeof path, "/v1/holds/%.*s/release", (int)strcspn(id + 1, "\""), id + 1);
    http_send(&client->http, request,
              http_format(request, &load->target, "POST", path, "{}"));
    return WORK_GOES_ON;
}

/* 100 bytes in, and out again; with several clients whose they are does not matter. */
static void prepare_queue(struct load *load)
{
    char path[256], body[101];

    memset(body, 'x', 100);
    body[0] = body[99] = '"';
    body[100] = '\0';
    snprintf(path, sizeof path, "/v1/queues/%s/messages", load->subject);
    load->request_bytes = http_format(load->request, &load->target, "POST", path, body);
}

static enum verdict answered_queue(struct load *load, struct client *client)
{
    char path[256], request[HTTP_REQUEST_BYTES];
    const char *id = json_value(client->http.body, "id");

    if (client->http.status != (client->step ? 200 : 201) || id == NULL)
        return WORK_WRONG;
    client->step = !client->step;
    if (client->step == 0)
        return WORK_DONE;
    snprintf(path, sizeof path, "/v1/queues/%s/receive?mode=take&wait=30", load->subject);
    http_send(&client->http, request,
              http_format(request, &load->target, "POST", path, NULL));
    return WORK_GOES_ON;
}

static const struct mode modes[] = {
    {"spawnjoin", prepare_spawn, answered_spawnjoin},
    {"get", prepare_get, answered_get},
    {"lock", prepare_lock, answered_lock},
    {"queue", prepare_queue, answered_queue},
};

static const struct mode *mode_find(const char *name)
{
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(modes[i].name, name) == 0)
            return &modes[i];
    return NULL;
}

static void begin(struct load *load, struct client *client)
{
    client->begun_us = now_us();
    http_send(&client->http, load->request, load->request_bytes);
}

static void report_wrong(const struct client *client)
{
    const struct http *http = &client->http;

    fprintf(stderr, "wrong answer: status %d, %zu bytes received: %.500s\n", http->status,
            http->received, http->received > 0 ? http->buffer : "(none)");
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
    load->done++;
    load->latency[took < LATENCY_LIMIT_US ? took : LATENCY_LIMIT_US]++;
    if (now < load->deadline_us)
        begin(load, client);
    else
        load->active--;
}

static void readable(struct load *load, struct client *client, int epoll_fd)
{
    enum http_progress progress = http_receive(&client->http);

    if (progress == HTTP_PARTIAL)
        return;
    enum verdict verdict =
        progress == HTTP_COMPLETE ? load->mode->answered(load, client) : WORK_WRONG;
    if (verdict == WORK_WRONG)
        epoll_ctl(epoll_fd, EPOLL_CTL_DEL, client->http.fd, NULL);
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
        http_open(&client->http, &load->target);
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, client->http.fd, &event) != 0)
            die("epoll_ctl");
    }
    return epoll_fd;
}

/* Returns how long it took, in microseconds, from the first request to the last answer. */
static uint64_t run(struct load *load, unsigned long seconds)
{
    struct epoll_event events[EVENTS_PER_WAIT];
    int epoll_fd = connect_all(load);
    uint64_t start = now_us();

    load->deadline_us = start + seconds * 1000000u;
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
    return now_us() - start;
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
    const char *token = getenv("FORKFUL_TOKEN");

    if (argc != 6 || (load.mode = mode_find(argv[1])) == NULL) {
        fprintf(stderr, "usage: load spawnjoin|get|lock|queue PORT CLIENTS SECONDS SUBJECT\n");
        return 2;
    }
    load.target.port = (uint16_t)number_argument(argv[2], UINT16_MAX);
    load.target.token = token != NULL ? token : "";
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
