/*
 * A child in C: adds N to each of CELLS cells of an array, ROUNDS times.
 *
 *     adder PATH N CELLS ROUNDS        (FORKFUL_URL and FORKFUL_TOKEN are in its environment)
 *
 * A hundred requests are on their way at once (HTTP pipelining); the answers come in that order.
 */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define AT_ONCE 100

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* Connects to the host and port of http://HOST:PORT; `host` gets both. */
static int connect_to(const char *url, char host[256])
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
    char port[8], name[200];
    if (sscanf(url, "http://%199[^:]:%7[0-9]", name, port) != 2
        || getaddrinfo(name, port, &hints, &found))
        die(url);
    snprintf(host, 256, "%s:%s", name, port);
    int fd = socket(found->ai_family, found->ai_socktype, 0);
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen))
        die(host);
    freeaddrinfo(found);
    return fd;
}

/* Reads one answer and drops it; anything but 200 ends the program. */
static void read_answer(FILE *in)
{
    char line[1024] = "";
    size_t length = 0;
    if (!fgets(line, sizeof line, in) || !strstr(line, " 200 ")) {
        fprintf(stderr, "answer: %s\n", line);
        exit(1);
    }
    while (fgets(line, sizeof line, in) && strcmp(line, "\r\n") != 0)
        if (strncasecmp(line, "Content-Length:", 15) == 0)
            length = strtoul(line + 15, NULL, 10);
    while (length-- > 0)
        getc(in);
}

static void write_request(FILE *out, const char *host, const char *path, int index, const char *n)
{
    char body[64];
    int length = snprintf(body, sizeof body, "{\"index\":%d,\"n\":%s}", index, n);
    fprintf(out, "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"
            "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
            path, host, getenv("FORKFUL_TOKEN"), length, body);
}

int main(int argc, char **argv)
{
    const char *url = getenv("FORKFUL_URL");
    char host[256];
    if (argc != 5 || strlen(argv[2]) > 20 || !url || !getenv("FORKFUL_TOKEN"))
        return 2;
    int fd = connect_to(url, host), cells = atoi(argv[3]), total = cells * atoi(argv[4]);
    FILE *in = fdopen(fd, "r"), *out = fdopen(dup(fd), "w");
    if (!in || !out)
        die("fdopen");
    for (int sent = 0, read = 0; sent < total; sent++) {
        write_request(out, host, argv[1], sent % cells, argv[2]);
        if ((sent + 1) % AT_ONCE != 0 && sent + 1 < total)
            continue;
        fflush(out);
        for (; read <= sent; read++)
            read_answer(in);
    }
    return 0;
}
