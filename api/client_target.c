/*
 * Where commands find the daemon; see client_target.h. Options come before the environment: who
 * names a daemon does not want that of which this happens to be a child, nor show its token there.
 */
#include "api/client_target.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/state_dir.h"

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static bool take_token(struct client *client, const char *token, struct refusal *refusal)
{
    size_t bytes = token ? strlen(token) : 0;
    if (bytes >= sizeof client->token || (token && strcspn(token, "\r\n \t") != bytes)) {
        return refuse(refusal, "FORKFUL_TOKEN is not a token");
    }
    memcpy(client->token, token ? token : "", bytes + 1);
    return true;
}

/* A file in the state directory. */
static bool state_path(char out[PATH_MAX], const struct client_place *place, const char *name,
                       struct refusal *refusal)
{
    bool standard;
    if (!state_dir_choose(out, place->state_dir, &standard, refusal)) {
        return false;
    }
    size_t bytes = strlen(out);
    if (bytes + 1 + strlen(name) >= PATH_MAX) {
        return refuse(refusal, "the path %.200s… is too long", out);
    }
    snprintf(out + bytes, PATH_MAX - bytes, "/%s", name);
    return true;
}

static bool read_token(struct client *client, const struct client_place *place,
                       struct refusal *refusal)
{
    char path[PATH_MAX], text[TOKEN_TEXT_BYTES] = "";
    if (!state_path(path, place, "token", refusal)) {
        return false;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    int error = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (n < 0) {
        return refuse(refusal, "there is no token for the daemon: %s: %s; it may also be in "
                      "FORKFUL_TOKEN", path, strerror(error));
    }
    text[strcspn(text, "\n")] = '\0';
    return take_token(client, text, refusal);
}

static bool at_url(struct client *client, const struct client_place *place,
                   struct refusal *refusal)
{
    const char *token = place->state_dir ? NULL : environment("FORKFUL_TOKEN");
    refusal->usage = true;
    if (!client_at_url(client, place->url, refusal)) {
        return false;
    }
    refusal->usage = false;
    return token ? take_token(client, token, refusal) : read_token(client, place, refusal);
}

/* On the socket a daemon's own user and root need no token. */
static bool at_state_dir(struct client *client, const struct client_place *place,
                         struct refusal *refusal)
{
    char path[PATH_MAX];
    return state_path(path, place, "forkful.sock", refusal) &&
           client_at_socket(client, path, refusal);
}

bool client_target(struct client *client, const struct client_place *place,
                   struct refusal *refusal)
{
    const char *path = environment("FORKFUL_SOCKET"), *url = environment("FORKFUL_URL");
    refusal->usage = false;
    if (place->url) {
        return at_url(client, place, refusal);
    }
    if (place->socket) {
        return client_at_socket(client, place->socket, refusal);
    }
    if (place->state_dir || (!path && !url)) {
        return at_state_dir(client, place, refusal);
    }
    /* A child that runs as somebody else may not use the socket. */
    bool by_path = path && (!url || access(path, W_OK) == 0);
    return (by_path ? client_at_socket(client, path, refusal)
                    : client_at_url(client, url, refusal)) &&
           take_token(client, environment("FORKFUL_TOKEN"), refusal);
}
