/*
 * Where `forkful run` finds the daemon. Options come before the environment: who names a daemon
 * does not want that of which this happens to be a child, nor show its token there.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/run.h"
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
static bool state_path(char out[PATH_MAX], const struct run_options *options, const char *name,
                       struct refusal *refusal)
{
    bool standard;
    if (!state_dir_choose(out, options->state_dir, &standard, refusal)) {
        return false;
    }
    size_t bytes = strlen(out);
    if (bytes + 1 + strlen(name) >= PATH_MAX) {
        return refuse(refusal, "the path %.200s… is too long", out);
    }
    snprintf(out + bytes, PATH_MAX - bytes, "/%s", name);
    return true;
}

static bool read_token(struct client *client, const struct run_options *options,
                       struct refusal *refusal)
{
    char path[PATH_MAX], text[TOKEN_TEXT_BYTES] = "";
    if (!state_path(path, options, "token", refusal)) {
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

static bool at_url(struct client *client, const struct run_options *options,
                   struct refusal *refusal)
{
    const char *token = options->state_dir ? NULL : environment("FORKFUL_TOKEN");
    refusal->usage = true;
    if (!client_at_url(client, options->url, refusal)) {
        return false;
    }
    refusal->usage = false;
    return token ? take_token(client, token, refusal) : read_token(client, options, refusal);
}

/* On the socket a daemon's own user and root need no token. */
static bool at_state_dir(struct client *client, const struct run_options *options,
                         struct refusal *refusal)
{
    char path[PATH_MAX];
    return state_path(path, options, "forkful.sock", refusal) &&
           client_at_socket(client, path, refusal);
}

bool run_target(struct client *client, const struct run_options *options, struct refusal *refusal)
{
    const char *path = environment("FORKFUL_SOCKET"), *url = environment("FORKFUL_URL");
    refusal->usage = false;
    if (options->url) {
        return at_url(client, options, refusal);
    }
    if (options->state_dir || (!path && !url)) {
        return at_state_dir(client, options, refusal);
    }
    /* A child that runs as somebody else may not use the socket. */
    bool by_path = path && (!url || access(path, W_OK) == 0);
    return (by_path ? client_at_socket(client, path, refusal)
                    : client_at_url(client, url, refusal)) &&
           take_token(client, environment("FORKFUL_TOKEN"), refusal);
}
