/*
 * setsockopt as libmicrohttpd needs it on a Unix socket.
 *
 * The library turns TCP_NODELAY on (and TCP_CORK off) before it sends an answer, and remembers that it has. On a
 * Unix socket Linux refuses that with EOPNOTSUPP, which the library does not know as "not TCP":
 * it would try, fail and complain several times for each answer (seen in 0.9.75; is_nonip in its
 * mhd_send.c). A Unix socket delays nothing, so what is asked for is so. The definition in the
 * program comes before the C library's for every library that is linked to it.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the C library's are reserved */
int setsockopt(int fd, int level, int name, const void *value, socklen_t bytes)
{
    long result = syscall(SYS_setsockopt, fd, level, name, value, bytes);

    return result != 0 && level == IPPROTO_TCP && errno == EOPNOTSUPP ? 0 : (int)result;
}
