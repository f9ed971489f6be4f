/*
 * bare: the peer of the GET row. libmicrohttpd with its own epoll thread, one thread, that answers
 * every request with the same BYTES of JSON, made once and kept by the library as they are: no
 * route, no token, no record. What forkful does on top is what the row measures.
 *
 * Prints {"port":N} and serves until its stdin is closed.
 */
#include "http.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum MHD_Result answer(void *response, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_bytes, void **state)
{
    static int seen;

    (void)url, (void)method, (void)version, (void)upload, (void)upload_bytes;
    /* The first call has only the header; an answer there would close the connection. */
    if (*state == NULL) {
        *state = &seen;
        return MHD_YES;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, response);
}

static struct MHD_Response *constant_response(size_t bytes)
{
    char *body = malloc(bytes);

    if (body == NULL)
        die("malloc");
    memset(body, 'x', bytes);
    body[0] = body[bytes - 1] = '"';
    struct MHD_Response *response =
        MHD_create_response_from_buffer(bytes, body, MHD_RESPMEM_MUST_FREE);
    if (response == NULL || MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                                    "application/json") != MHD_YES)
        die("MHD_create_response_from_buffer");
    return response;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    char byte;

    if (argc != 2) {
        fprintf(stderr, "usage: bare BYTES\n");
        return 2;
    }
    struct MHD_Response *response = constant_response(number_argument(argv[1], 1 << 20));
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer, response,
                         MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_END);
    if (daemon == NULL)
        die("MHD_start_daemon");
    printf("{\"port\":%u}\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    MHD_stop_daemon(daemon);
    MHD_destroy_response(response);
    return 0;
}
