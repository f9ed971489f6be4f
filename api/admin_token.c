/*
 * The admin token: 256 random bits in the file `token` of the state directory, made at the first
 * start.
 *
 * A new one is written beside its place, made durable and then renamed, so that a crash leaves no
 * half token. A file that others may read, that belongs to somebody else or that holds anything
 * but a token is refused, not repaired: somebody may hold the old one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/state_dir.h"
#include "service/id.h"

#define TOKEN_PREFIX "fkf_"
#define TOKEN_RANDOM_BYTES 32
#define TOKEN_BYTES (TOKEN_TEXT_BYTES - 1)

static bool failed(const struct directory *state, const char *file, const char *call,
                   struct refusal *refusal)
{
    return refuse(refusal, "%s/%s: %s: %s", state->path, file, call, strerror(errno));
}

static bool token_write(const struct directory *state, int fd, struct refusal *refusal)
{
    char text[TOKEN_TEXT_BYTES + 1] = TOKEN_PREFIX;
    if (!random_hex(TOKEN_RANDOM_BYTES, text + strlen(TOKEN_PREFIX))) {
        return refuse(refusal, "the kernel gives no random bytes for the token");
    }
    text[TOKEN_BYTES] = '\n';
    if (write(fd, text, TOKEN_BYTES + 1) != TOKEN_BYTES + 1) {
        return failed(state, "token.new", "write", refusal);
    }
    if (fsync(fd) < 0) {
        return failed(state, "token.new", "fsync", refusal);
    }
    return true;
}

static bool token_make(const struct directory *state, struct refusal *refusal)
{
    unlinkat(state->fd, "token.new", 0);
    int fd = openat(state->fd, "token.new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return failed(state, "token.new", "open", refusal);
    }
    bool good = token_write(state, fd, refusal);
    close(fd);
    if (good && renameat(state->fd, "token.new", state->fd, "token") < 0) {
        good = failed(state, "token", "rename", refusal);
    }
    if (good && fsync(state->fd) < 0) {
        good = failed(state, "", "fsync", refusal);
    }
    if (!good) {
        unlinkat(state->fd, "token.new", 0);
    }
    return good;
}

static bool token_safe(const struct directory *state, int fd, struct refusal *refusal)
{
    struct stat status;
    if (fstat(fd, &status) < 0) {
        return failed(state, "token", "fstat", refusal);
    }
    if (!S_ISREG(status.st_mode)) {
        return refuse(refusal, "%s/token is not a regular file", state->path);
    }
    if (status.st_uid != geteuid()) {
        return refuse(refusal, "%s/token belongs to uid %u, not to uid %u that runs this",
                      state->path, status.st_uid, geteuid());
    }
    if (status.st_mode & (S_IRWXG | S_IRWXO)) {
        return refuse(refusal, "others may read or write %s/token (mode %04o): remove it, and the "
                      "next start makes a new one", state->path, status.st_mode & 07777);
    }
    return true;
}

static bool token_read(const struct directory *state, int fd, char out[TOKEN_TEXT_BYTES],
                       struct refusal *refusal)
{
    char text[TOKEN_TEXT_BYTES + 2] = "";
    const char *digits = text + strlen(TOKEN_PREFIX);
    ssize_t n = read(fd, text, sizeof text - 1);
    if (n < 0) {
        return failed(state, "token", "read", refusal);
    }
    if (n == TOKEN_BYTES + 1 && text[TOKEN_BYTES] == '\n') {
        text[--n] = '\0';
    }
    if (n != TOKEN_BYTES || strncmp(text, TOKEN_PREFIX, strlen(TOKEN_PREFIX)) != 0 ||
        strspn(digits, "0123456789abcdef") != 2 * TOKEN_RANDOM_BYTES) {
        return refuse(refusal, "%s/token does not hold a token (fkf_ and 64 hex digits): remove "
                      "it, and the next start makes a new one", state->path);
    }
    memcpy(out, text, TOKEN_TEXT_BYTES);
    return true;
}

bool token_open(const struct directory *state, char out[TOKEN_TEXT_BYTES], struct refusal *refusal)
{
    int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    int fd = openat(state->fd, "token", flags);
    if (fd < 0 && errno == ENOENT) {
        if (!token_make(state, refusal)) {
            return false;
        }
        fd = openat(state->fd, "token", flags);
    }
    if (fd < 0) {
        return failed(state, "token", "open", refusal);
    }
    bool good = token_safe(state, fd, refusal) && token_read(state, fd, out, refusal);
    close(fd);
    return good;
}
