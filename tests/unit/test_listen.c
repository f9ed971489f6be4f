/*
 * Listeners: which addresses are taken, and what happens to a socket file that is there already.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/listen.h"

static char directory[32];
static char path[64];

static bool parse(const char *text, struct refusal *refusal)
{
    struct sockaddr_storage address;
    socklen_t bytes;
    return listen_parse(text, &address, &bytes, refusal);
}

static void loopback_addresses_are_taken(void **state)
{
    struct sockaddr_storage address;
    struct refusal refusal;
    socklen_t bytes;
    assert_true(listen_parse("localhost:8717", &address, &bytes, &refusal));
    const struct sockaddr_in *in = (const struct sockaddr_in *)&address;
    assert_int_equal(in->sin_family, AF_INET);
    assert_int_equal(ntohs(in->sin_port), 8717);
    assert_int_equal(ntohl(in->sin_addr.s_addr), INADDR_LOOPBACK);
    assert_int_equal(bytes, sizeof *in);
    assert_true(listen_parse("[::1]:0", &address, &bytes, &refusal));
    assert_int_equal(address.ss_family, AF_INET6);
    assert_int_equal(bytes, sizeof(struct sockaddr_in6));
    assert_true(parse("127.9.8.7:65535", &refusal));
}

static void other_addresses_are_refused_but_not_as_usage(void **state)
{
    static const char *const open[] = {"0.0.0.0:1", "192.0.2.1:1", "[::]:1", "[2001:db8::1]:1",
                                       "[::ffff:127.0.0.1]:1"};
    for (size_t i = 0; i < sizeof open / sizeof *open; i++) {
        struct refusal refusal;
        assert_false(parse(open[i], &refusal));
        assert_false(refusal.usage);
        assert_non_null(strstr(refusal.text, "is not a loopback address"));
    }
}

static void with_tls_every_address_is_taken(void **state)
{
    static const char *const open[] = {"tls:0.0.0.0:1", "tls:192.0.2.1:1", "tls:[::]:1",
                                       "tls:[2001:db8::1]:1", "tls:localhost:0"};
    (void)state;
    for (size_t i = 0; i < sizeof open / sizeof *open; i++) {
        struct refusal refusal;
        assert_true(listen_wants_tls(open[i]));
        assert_true(parse(open[i], &refusal));
    }
    assert_false(listen_wants_tls("127.0.0.1:1"));
}

static void url_is(const char *listen, bool reachable, const char *expected)
{
    struct sockaddr_storage address;
    struct refusal refusal;
    socklen_t bytes;
    char url[LISTEN_URL_BYTES];
    assert_true(listen_parse(listen, &address, &bytes, &refusal));
    listen_url(&address, listen_wants_tls(listen), reachable, url);
    assert_string_equal(url, expected);
}

static void an_address_is_told_as_it_is_bound_or_as_it_is_reached(void **state)
{
    (void)state;
    url_is("127.0.0.1:80", true, "http://127.0.0.1:80");
    url_is("tls:[::1]:80", false, "https://[::1]:80");
    url_is("tls:0.0.0.0:80", false, "https://0.0.0.0:80");
    url_is("tls:0.0.0.0:80", true, "https://127.0.0.1:80");
    url_is("tls:[::]:80", true, "https://[::1]:80");
    url_is("tls:192.0.2.1:80", true, "https://192.0.2.1:80");
}

static void what_is_not_an_address_is_a_fault_of_usage(void **state)
{
    static const char *const wrong[] = {
        "", "8717", ":8717", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:-1",
        "127.0.0.1:65536", "127.0.0.1:000000", "::1:80", "[::1]", "[::1", "[]:1", "[127.0.0.1]:1",
        "tls:", "tls:8718", "TLS:127.0.0.1:1", "tls:tls:127.0.0.1:1", "example.org:80", "127.1:80", "127.0.0.1 :80", "127.0.0.1:80 ",
        "0123456789012345678901234567890123456789012345678901234567890123456789:1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct refusal refusal;
        if (parse(wrong[i], &refusal))
            fail_msg("\"%s\" was taken", wrong[i]);
        assert_true(refusal.usage);
    }
}

static void a_free_port_is_named_and_a_taken_one_is_told_plainly(void **state)
{
    struct listeners listeners = {.count = 0};
    struct refusal refusal;
    assert_true(listen_tcp(&listeners, "127.0.0.1:0", &refusal));
    const char *url = listeners.items[0].url;
    assert_memory_equal(url, "http://127.0.0.1:", 17);
    assert_string_not_equal(url + 17, "0");
    assert_int_equal(fcntl(listeners.items[0].fd, F_GETFD), FD_CLOEXEC);
    assert_true(fcntl(listeners.items[0].fd, F_GETFL) & O_NONBLOCK);
    assert_false(listen_tcp(&listeners, url + 7, &refusal));
    assert_non_null(strstr(refusal.text, "is in use by another program"));
    assert_int_equal(listeners.count, 1);
    assert_false(listeners_have_unix(&listeners));
    listeners_close(&listeners);
}

static void there_are_not_more_listeners_than_the_keeper_can_hold(void **state)
{
    struct listeners listeners = {.count = 0};
    struct refusal refusal;
    for (int i = 0; i < RESUME_LISTENERS; i++)
        assert_true(listen_tcp(&listeners, "127.0.0.1:0", &refusal));
    assert_false(listen_tcp(&listeners, "127.0.0.1:0", &refusal));
    assert_string_equal(refusal.text, "there are more than 16 listeners");
    listeners_close(&listeners);
}

static void the_unix_socket_is_private_and_goes_when_the_start_fails(void **state)
{
    struct listeners listeners = {.count = 0};
    struct refusal refusal;
    struct stat status;
    mode_t before = umask(0);
    assert_true(listen_unix(&listeners, path, false, &refusal));
    assert_int_equal(umask(before), 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_string_equal(listeners.items[0].url + 5, path);
    assert_true(listeners_have_unix(&listeners));
    listeners_close(&listeners);
    assert_int_equal(access(path, F_OK), -1);
}

static void a_shared_unix_socket_lets_everybody_connect(void **state)
{
    struct listeners listeners = {.count = 0};
    struct refusal refusal;
    struct stat status;
    mode_t before = umask(0077);
    assert_true(listen_unix(&listeners, path, true, &refusal));
    assert_int_equal(umask(before), 0077);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0666);
    listeners_close(&listeners);
}

static void a_socket_somebody_answers_on_is_left_alone(void **state)
{
    struct listeners first = {.count = 0}, second = {.count = 0};
    struct refusal refusal;
    assert_true(listen_unix(&first, path, false, &refusal));
    assert_false(listen_unix(&second, path, false, &refusal));
    assert_non_null(strstr(refusal.text, "another program answers on"));
    listeners_close(&second);
    assert_int_equal(access(path, F_OK), 0);
    listeners_close(&first);
}

static void a_socket_nobody_answers_on_is_replaced(void **state)
{
    struct listeners listeners = {.count = 0};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct refusal refusal;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    assert_true(listen_unix(&listeners, path, false, &refusal));
    listeners_close(&listeners);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
    struct listeners listeners = {.count = 0};
    struct refusal refusal;
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_false(listen_unix(&listeners, path, false, &refusal));
    assert_non_null(strstr(refusal.text, "is not a socket"));
    assert_int_equal(unlink(path), 0);
}

static void a_path_too_long_for_a_socket_is_refused(void **state)
{
    struct listeners listeners = {.count = 0};
    struct refusal refusal;
    char longest[109];
    memset(longest, 'x', sizeof longest);
    longest[0] = '/';
    longest[108] = '\0';
    assert_false(listen_unix(&listeners, longest, false, &refusal));
    assert_non_null(strstr(refusal.text, "is 108 bytes long"));
}

static void passed_sockets_count_only_for_the_process_they_are_meant_for(void **state)
{
    char pid[16];
    snprintf(pid, sizeof pid, "%d", getpid());
    setenv("LISTEN_FDS", "2", 1);
    setenv("LISTEN_PID", "1", 1);
    assert_int_equal(listen_passed(), 0);
    setenv("LISTEN_PID", pid, 1);
    assert_int_equal(listen_passed(), 2);
    setenv("LISTEN_FDS", "-1", 1);
    assert_int_equal(listen_passed(), 0);
    unsetenv("LISTEN_FDS");
    assert_int_equal(listen_passed(), 0);
    unsetenv("LISTEN_PID");
}

static int make_directory(void **state)
{
    strcpy(directory, "/tmp/forkful-listen-XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof path, "%s/s", directory);
    return 0;
}

static int remove_directory(void **state)
{
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loopback_addresses_are_taken),
        cmocka_unit_test(other_addresses_are_refused_but_not_as_usage),
        cmocka_unit_test(with_tls_every_address_is_taken),
        cmocka_unit_test(an_address_is_told_as_it_is_bound_or_as_it_is_reached),
        cmocka_unit_test(what_is_not_an_address_is_a_fault_of_usage),
        cmocka_unit_test(a_free_port_is_named_and_a_taken_one_is_told_plainly),
        cmocka_unit_test(there_are_not_more_listeners_than_the_keeper_can_hold),
        cmocka_unit_test(the_unix_socket_is_private_and_goes_when_the_start_fails),
        cmocka_unit_test(a_shared_unix_socket_lets_everybody_connect),
        cmocka_unit_test(a_socket_somebody_answers_on_is_left_alone),
        cmocka_unit_test(a_socket_nobody_answers_on_is_replaced),
        cmocka_unit_test(a_file_that_is_no_socket_is_left_alone),
        cmocka_unit_test(a_path_too_long_for_a_socket_is_refused),
        cmocka_unit_test(passed_sockets_count_only_for_the_process_they_are_meant_for),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
