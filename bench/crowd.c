/*
 * crowd: COUNT live children and COUNT parked joins, held still so that the driver can look.
 *
 *   crowd PORT COUNT
 *
 * It goes through the steps of one table and prints one JSON line after each: `spawn` COUNT
 * children that sleep; `park` one join of each on a connection of its own; `kill` all of them;
 * `collect` every parked answer: each must be 200 with exitcode -9. After the first two it waits
 * for a line on stdin. The children are daemon processes and sleep for 200 s only, so nothing
 * stays behind when this program or its driver is interrupted.
 * The token is read from FORKFUL_TOKEN. Exits 1 when anything was answered wrongly.
 */
#include "http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_COUNT = 20000, ID_BYTES = 40 };

struct member {
    char id[ID_BYTES];
    struct wire join;
};

struct crowd {
    struct target target;
    struct wire control; /* for everything that is answered at once */
    size_t count;
    struct member *members;
    char request[HTTP_REQUEST_BYTES];
};

static int wrong(const char *step, const struct wire *wire)
{
    fprintf(stderr, "%s: wrong answer: status %d: %.500s\n", step, wire->status,
            wire->received > 0 ? wire->buffer : "(none)");
    return 0;
}

/* Asks on the control connection; true when the answer has that status. */
static int ask(struct crowd *crowd, const char *method, const char *path, const char *body,
               int status)
{
    size_t bytes = http_format(crowd->request, &crowd->target, method, path, body);

    wire_send(&crowd->control, crowd->request, bytes);
    if (wire_finish(&crowd->control) && crowd->control.status == status)
        return 1;
    return wrong(path, &crowd->control);
}

static int spawn_one(struct crowd *crowd, struct member *member)
{
    static const char body[] = "{\"argv\":[\"/bin/sleep\",\"200\"],\"daemon\":true}";

    if (!ask(crowd, "POST", "/v1/processes", body, 201))
        return 0;
    return json_string_value(crowd->control.body, "id", member->id, sizeof member->id) ||
           wrong("spawn", &crowd->control);
}

/* Sends the join and does not wait for its answer. */
static int park_one(struct crowd *crowd, struct member *member)
{
    char path[ID_BYTES + 64];

    snprintf(path, sizeof path, "/v1/processes/%s/join?wait=200", member->id);
    wire_open(&member->join, &crowd->target, &http_framing);
    size_t bytes = http_format(crowd->request, &crowd->target, "GET", path, NULL);
    wire_send(&member->join, crowd->request, bytes);
    return 1;
}

static int kill_one(struct crowd *crowd, struct member *member)
{
    char path[ID_BYTES + 64];

    snprintf(path, sizeof path, "/v1/processes/%s/kill", member->id);
    return ask(crowd, "POST", path, NULL, 200);
}

static int collect_one(struct crowd *crowd, struct member *member)
{
    (void)crowd;
    if (!wire_finish(&member->join) || member->join.status != 200)
        return wrong("join", &member->join);
    const char *exitcode = json_value(member->join.body, "exitcode");
    if (exitcode == NULL || strncmp(exitcode, "-9", 2) != 0)
        return wrong("join", &member->join);
    wire_close(&member->join);
    return 1;
}

static const struct step {
    const char *name;
    int (*for_each)(struct crowd *crowd, struct member *member);
    int pause; /* wait for the driver after it */
} steps[] = {
    {"spawn", spawn_one, 1},
    {"park", park_one, 1},
    {"kill", kill_one, 0},
    {"collect", collect_one, 0},
};

/* True when every member went through. */
static int take(struct crowd *crowd, const struct step *step)
{
    uint64_t start = now_us();
    size_t done = 0;
    char line[16];

    while (done < crowd->count && step->for_each(crowd, &crowd->members[done]))
        done++;
    printf("{\"step\":\"%s\",\"done\":%zu,\"seconds\":%.6f}\n", step->name, done,
           (double)(now_us() - start) / 1e6);
    fflush(stdout);
    return done == crowd->count && (!step->pause || fgets(line, sizeof line, stdin) != NULL);
}

int main(int argc, char **argv)
{
    static struct crowd crowd;

    if (argc != 3) {
        fprintf(stderr, "usage: crowd PORT COUNT\n");
        return 2;
    }
    crowd.target = (struct target){argv[1], token_of_environment()};
    crowd.count = number_argument(argv[2], MAX_COUNT);
    crowd.members = calloc(crowd.count, sizeof *crowd.members);
    if (crowd.members == NULL)
        die("calloc");
    allow_files(crowd.count);
    wire_open(&crowd.control, &crowd.target, &http_framing);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        if (!take(&crowd, &steps[i]))
            return 1;
    return 0;
}
