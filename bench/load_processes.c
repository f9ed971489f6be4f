/* The loads about processes: spawn and join, GET of one. */
#include "load.h"

#include <stdio.h>
#include <string.h>

static void prepare_spawn(struct load *load)
{
    char body[512];

    snprintf(body, sizeof body, "{\"argv\":[\"%s\"]}", load->subject);
    load->request_bytes =
        http_format(load->request, &load->target, "POST", "/v1/processes", body);
}

static enum verdict send_join(struct load *load, struct client *client)
{
    char path[128], id[64];

    if (client->wire.status != 201 ||
        !json_string_value(client->wire.body, "id", id, sizeof id) || strncmp(id, "p_", 2) != 0)
        return WORK_WRONG;
    snprintf(path, sizeof path, "/v1/processes/%s/join?wait=30", id);
    client->step = 1;
    return send_next(load, client, "GET", path, NULL);
}

static enum verdict answered_spawn(struct load *load, struct client *client)
{
    if (client->step == 0)
        return send_join(load, client);
    client->step = 0;
    const char *exitcode = json_value(client->wire.body, "exitcode");
    if (client->wire.status != 200 || exitcode == NULL || strcspn(exitcode, ",} \n") != 1)
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
    return client->wire.status == 200 && client->wire.body_bytes > 0 ? WORK_DONE : WORK_WRONG;
}

const struct mode process_modes[] = {
    {"spawnjoin", &http_framing, prepare_spawn, answered_spawn},
    {"get", &http_framing, prepare_get, answered_get},
    {0}};
