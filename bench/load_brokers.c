/*
 * The loads on the peers: beanstalkd and Redis, each in its own protocol, with the same 100 bytes in
 * each message. Both answer with a line; beanstalkd's RESERVED has a body after it.
 */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_BYTES = 100 };

static void message(char *out)
{
    memset(out, 'x', MESSAGE_BYTES);
    out[MESSAGE_BYTES] = '\0';
}

static int answer_begins(const struct client *client, const char *word)
{
    return strncmp(client->wire.buffer, word, strlen(word)) == 0;
}

/* ---- beanstalkd: put, reserve, delete ---- */

/* RESERVED <id> <bytes>, then the bytes and a line's end. */
static int parse_beanstalk(struct wire *wire, const char *end)
{
    char *bytes;

    (void)end;
    if (strncmp(wire->buffer, "RESERVED ", 9) != 0)
        return 1;
    strtoull(wire->buffer + 9, &bytes, 10);
    wire->body_bytes = strtoul(bytes, NULL, 10) + 2;
    return wire->body_bytes == MESSAGE_BYTES + 2;
}

static const struct framing beanstalk_framing = {"\r\n", parse_beanstalk};

static void prepare_put(struct load *load)
{
    char body[MESSAGE_BYTES + 1];

    message(body);
    load->request_bytes = (size_t)snprintf(load->request, sizeof load->request,
                                           "put 0 0 60 %d\r\n%s\r\n", MESSAGE_BYTES, body);
}

static enum verdict answered_put(struct load *load, struct client *client)
{
    (void)load;
    return answer_begins(client, "INSERTED ") ? WORK_DONE : WORK_WRONG;
}

static enum verdict send_delete(struct client *client)
{
    char request[64];
    int bytes = snprintf(request, sizeof request, "delete %llu\r\n",
                         strtoull(client->wire.buffer + 9, NULL, 10));

    wire_send(&client->wire, request, (size_t)bytes);
    return WORK_GOES_ON;
}

static enum verdict answered_beanstalk(struct load *load, struct client *client)
{
    static const char reserve[] = "reserve\r\n";

    switch (client->step++) {
    case 0:
        if (answered_put(load, client) != WORK_DONE)
            return WORK_WRONG;
        wire_send(&client->wire, reserve, sizeof reserve - 1);
        return WORK_GOES_ON;
    case 1:
        return answer_begins(client, "RESERVED ") ? send_delete(client) : WORK_WRONG;
    default:
        client->step = 0;
        return answer_begins(client, "DELETED") ? WORK_DONE : WORK_WRONG;
    }
}

/* ---- Redis: RPUSH ---- */

static int parse_redis(struct wire *wire, const char *end)
{
    (void)end;
    return wire->buffer[0] == ':';
}

static const struct framing redis_framing = {"\r\n", parse_redis};

static void prepare_push(struct load *load)
{
    char body[MESSAGE_BYTES + 1];

    message(body);
    load->request_bytes = (size_t)snprintf(
        load->request, sizeof load->request, "*3\r\n$5\r\nRPUSH\r\n$%zu\r\n%s\r\n$%d\r\n%s\r\n",
        strlen(load->subject), load->subject, MESSAGE_BYTES, body);
}

static enum verdict answered_push(struct load *load, struct client *client)
{
    (void)load;
    return answer_begins(client, ":") ? WORK_DONE : WORK_WRONG;
}

const struct mode broker_modes[] = {
    {"beanstalk", &beanstalk_framing, prepare_put, answered_beanstalk},
    {"beanstalk-put", &beanstalk_framing, prepare_put, answered_put},
    {"redis-push", &redis_framing, prepare_push, answered_push},
    {0}};
