/* The loads about coordination: a lock, and queues with 100 bytes in each message. */
#include "load.h"

#include <stdio.h>
#include <string.h>

enum { MESSAGE_BYTES = 100, BATCH = 100, TASKS = 1000, RESULTS = 200 };

/* ---- a lock ---- */

/* All clients want the one lock, so each waits for those before it. */
static void prepare_lock(struct load *load)
{
    char path[256];

    snprintf(path, sizeof path, "/v1/locks/%s/acquire?wait=30", load->subject);
    load->request_bytes = http_format(load->request, &load->target, "POST", path, NULL);
}

static enum verdict answered_lock(struct load *load, struct client *client)
{
    char path[128], id[64];

    if (client->wire.status != 200 || !json_string_value(client->wire.body, "id", id, sizeof id) ||
        strncmp(id, "h_", 2) != 0)
        return WORK_WRONG;
    client->step = !client->step;
    if (client->step == 0)
        return WORK_DONE;
    snprintf(path, sizeof path, "/v1/holds/%s/release", id);
    return send_next(load, client, "POST", path, NULL);
}

/* ---- queues ---- */

/* As a JSON text, quotes included. */
static void message(char *out)
{
    memset(out, 'x', MESSAGE_BYTES);
    out[0] = out[MESSAGE_BYTES - 1] = '"';
    out[MESSAGE_BYTES] = '\0';
}

static void prepare_put(struct load *load)
{
    char path[256], body[MESSAGE_BYTES + 1];

    message(body);
    snprintf(path, sizeof path, "/v1/queues/%s/messages", load->subject);
    load->request_bytes = http_format(load->request, &load->target, "POST", path, body);
}

static enum verdict answered_put(struct load *load, struct client *client)
{
    (void)load;
    return client->wire.status == 201 && json_value(client->wire.body, "id") != NULL ? WORK_DONE
                                                                                      : WORK_WRONG;
}

static enum verdict send_take(struct load *load, struct client *client, const char *parameters)
{
    char path[256];

    client->step = 1;
    snprintf(path, sizeof path, "/v1/queues/%s/receive?mode=take&wait=30%s", load->subject,
             parameters);
    return send_next(load, client, "POST", path, NULL);
}

/* In, and out again; with several clients whose they are does not matter. */
static enum verdict answered_queue(struct load *load, struct client *client)
{
    if (client->step == 0)
        return answered_put(load, client) == WORK_DONE ? send_take(load, client, "") : WORK_WRONG;
    client->step = 0;
    return client->wire.status == 200 && json_value(client->wire.body, "id") != NULL ? WORK_DONE
                                                                                      : WORK_WRONG;
}

static void prepare_batch(struct load *load)
{
    char path[256], body[HTTP_REQUEST_BYTES / 2], one[MESSAGE_BYTES + 1];
    size_t used = 0;

    message(one);
    used += (size_t)snprintf(body, sizeof body, "{\"messages\":[");
    for (int i = 0; i < BATCH; i++)
        used += (size_t)snprintf(body + used, sizeof body - used, "%s{\"body\":%s}",
                                 i > 0 ? "," : "", one);
    snprintf(body + used, sizeof body - used, "]}");
    snprintf(path, sizeof path, "/v1/queues/%s/batch", load->subject);
    load->request_bytes = http_format(load->request, &load->target, "POST", path, body);
}

static int count_messages(const char *body)
{
    int count = 0;

    while ((body = strstr(body, "\"attempt\"")) != NULL) {
        body++;
        count++;
    }
    return count;
}

static enum verdict answered_batch(struct load *load, struct client *client)
{
    if (client->step == 0)
        return client->wire.status == 201 ? send_take(load, client, "&max=100") : WORK_WRONG;
    client->step = 0;
    return client->wire.status == 200 && count_messages(client->wire.body) == BATCH ? WORK_DONE
                                                                                     : WORK_WRONG;
}

/* ---- pools ---- */

/* A batch goes in, all its results come out: as much as Pool.map does. */
static void prepare_pool(struct load *load)
{
    char path[256], body[TASKS * 5];
    size_t used = (size_t)snprintf(body, sizeof body, "{\"tasks\":[0");

    for (int i = 1; i < TASKS; i++)
        used += (size_t)snprintf(body + used, sizeof body - used, ",%d", i);
    snprintf(body + used, sizeof body - used, "]}");
    snprintf(path, sizeof path, "/v1/pools/%s/batches", load->subject);
    load->request_bytes = http_format(load->request, &load->target, "POST", path, body);
}

static enum verdict send_results(struct load *load, struct client *client)
{
    char path[256], after[32] = "";

    if (client->step > 0)
        snprintf(after, sizeof after, "&after=%d", client->step - 1);
    snprintf(path, sizeof path, "/v1/pools/%s/batches/%s/results?wait=30&limit=%d%s", load->subject,
             client->id, RESULTS, after);
    return send_next(load, client, "GET", path, NULL);
}

static int count_done(const char *body)
{
    static const char done[] = "\"state\":\"done\"";
    int count = 0;

    while ((body = strstr(body, done))) {
        body += sizeof done - 1;
        count++;
    }
    return count;
}

/* `step` is how many results have come. */
static enum verdict answered_pool(struct load *load, struct client *client)
{
    if (client->wire.status == 202) {
        client->step = 0;
        return json_string_value(client->wire.body, "id", client->id, sizeof client->id)
                   ? send_results(load, client)
                   : WORK_WRONG;
    }
    int done = client->wire.status == 200 ? count_done(client->wire.body) : 0;
    client->step += done;
    if (done == 0 || client->step > TASKS)
        return WORK_WRONG;
    if (client->step < TASKS)
        return send_results(load, client);
    client->step = 0;
    return WORK_DONE;
}

const struct mode coordination_modes[] = {
    {"lock", &http_framing, prepare_lock, answered_lock},
    {"queue", &http_framing, prepare_put, answered_queue},
    {"put", &http_framing, prepare_put, answered_put},
    {"batch", &http_framing, prepare_batch, answered_batch},
    {"pool", &http_framing, prepare_pool, answered_pool},
    {0}};
