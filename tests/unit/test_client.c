/*
 * What the HTTP client makes of answers, in whatever pieces they come.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/client.h"

/* Sends `answer` so many bytes at a time; the body in `body`. */
static enum client_news read_answer(const char *answer, size_t step, bool end, char body[256],
                                    int *status)
{
    struct client_call *call = calloc(1, sizeof *call);
    struct client_piece piece;
    enum client_news news = CLIENT_WAIT;
    int pair[2];
    size_t at = 0, bytes = strlen(answer), gathered = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    client_init(call);
    call->fd = pair[0];
    while (news == CLIENT_WAIT && (at < bytes || end)) {
        size_t part = bytes - at < step ? bytes - at : step;
        assert_int_equal(write(pair[1], answer + at, part), part);
        at += part;
        if (at == bytes && end) {
            shutdown(pair[1], SHUT_WR);
        }
        while ((news = client_next(call, &piece)) == CLIENT_PIECE) {
            memcpy(body + gathered, piece.data, piece.bytes);
            gathered += piece.bytes;
        }
    }
    body[gathered] = '\0';
    *status = call->status;
    client_close(call);
    free(call);
    close(pair[1]);
    return news;
}

static void check_whole(const char *answer, int status, const char *body)
{
    for (size_t step = 1; step <= strlen(answer); step++) {
        char got[256];
        int got_status;
        assert_int_equal(read_answer(answer, step, false, got, &got_status), CLIENT_END);
        assert_int_equal(got_status, status);
        assert_string_equal(got, body);
    }
}

static void answers_with_a_length_are_read(void **state)
{
    check_whole("HTTP/1.1 201 Created\r\nContent-Length: 5\r\nX: y\r\n\r\nhello", 201, "hello");
    check_whole("HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n", 200, "");
    check_whole("HTTP/1.1 204 No Content\r\n\r\n", 204, "");
}

static void chunks_are_joined(void **state)
{
    check_whole("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                "3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n", 200, "abc0123456789");
    check_whole("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nTrailer: x\r\n\r\n", 200,
                "");
}

static void an_interim_answer_is_passed_over(void **state)
{
    check_whole("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", 200,
                "x");
}

static void what_is_cut_short_or_no_answer_is_broken(void **state)
{
    static const char *const broken[] = {
        "", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        "SSH-2.0-x\r\n", "HTTP/1.1 999 No\r\n\r\n"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        char got[256];
        int status;
        assert_int_equal(read_answer(broken[i], 7, true, got, &status), CLIENT_BROKEN);
    }
}

static void places_are_sockets_and_loopback_urls(void **state)
{
    static const char *const wrong[] = {
        "", "127.0.0.1:8717", "http://127.0.0.1", "http://127.0.0.1:8717/x", "http://10.0.0.1:80",
        "https://127.0.0.1:8717", "http://example.org:80", "http://[::2]:80", "http://[::1]"};
    struct client client;
    struct refusal refusal;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(client_at_url(&client, wrong[i], &refusal));
    assert_true(client_at_url(&client, "http://localhost:1/", &refusal));
    assert_string_equal(client.host, "localhost:1");
    assert_true(client_at_url(&client, "http://[::1]:8717", &refusal));
    assert_string_equal(client.host, "[::1]:8717");
    assert_true(client_at_socket(&client, "/tmp/x", &refusal));
    char path[200];
    memset(path, 'x', sizeof path);
    path[sizeof path - 1] = '\0';
    assert_false(client_at_socket(&client, path, &refusal));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_with_a_length_are_read),
        cmocka_unit_test(chunks_are_joined),
        cmocka_unit_test(an_interim_answer_is_passed_over),
        cmocka_unit_test(what_is_cut_short_or_no_answer_is_broken),
        cmocka_unit_test(places_are_sockets_and_loopback_urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
