/*
 * The launcher: a list of steps, each leaving its result in struct start or a refusal.
 *
 * It runs before any thread and forks nothing; all it holds that the daemon needs are
 * descriptors, which the resume blob names. A step that fails ends the start, and what was made
 * so far is taken back.
 */
#include "api/launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/exec_keeper.h"
#include "api/listen.h"
#include "api/options.h"
#include "api/server_user.h"
#include "api/spool_file.h"
#include "api/state_dir.h"
#include "api/tls.h"
#include "service/config.h"
#include "service/resume_blob.h"
#include "service/text.h"

#define DEFAULT_LISTEN "127.0.0.1:8717"
#define CONFIG_FILE_NAME "forkful.conf"
#define FIRST_FREE_FD 3

struct start {
    struct refusal refusal;
    struct config config;
    struct server_user user;
    struct directory state, runtime;
    struct listeners listeners;
    char token[TOKEN_TEXT_BYTES];
    char config_path[PATH_MAX];       /* absolute; "": none */
    char socket_path[PATH_MAX];       /* absolute */
    char binary[PATH_MAX];
    bool standard;                    /* the state directory is the user's default one */
    int passed;                       /* listeners handed over by a service manager */
    int lock_fd, spool_fd, binary_fd, notify_fd;
    struct text first_line;
    mode_t umask;                     /* as it was given to us */
};

/* ---- what we were started with ---- */

/* 0, 1 and 2 must mean something, or the first listener would get the number of stdout. */
static bool open_standard(struct start *start)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (fd >= 0 && fd < FIRST_FREE_FD) {
            fcntl(fd, F_SETFD, 0);
        }
    } while (fd >= 0 && fd < FIRST_FREE_FD);
    if (fd < 0) {
        return refuse(&start->refusal, "/dev/null: open: %s", strerror(errno));
    }
    return close(fd) == 0;
}

/* Whatever else our starter had open must not live on in the daemon and its children. */
static bool close_strays(struct start *start)
{
    unsigned first = FIRST_FREE_FD + (unsigned)start->passed;
    if (close_range(first, ~0u, 0) < 0) {
        long most = sysconf(_SC_OPEN_MAX);
        for (long fd = first; fd < most; fd++) {
            close((int)fd);
        }
    }
    return true;
}

static bool take_environment(struct start *start)
{
    start->passed = listen_passed();
    return open_standard(start) && close_strays(start);
}

/* Links stay as they are: what they lead to may change before the file is read again. */
static bool make_absolute(struct start *start, const char *path, char out[PATH_MAX])
{
    char here[PATH_MAX] = "";
    if (*path != '/' && !getcwd(here, sizeof here)) {
        return refuse(&start->refusal, "getcwd: %s", strerror(errno));
    }
    int bytes = snprintf(out, PATH_MAX, "%s%s%s", here, *path == '/' ? "" : "/", path);
    return bytes < PATH_MAX || refuse(&start->refusal, "the path %.200s… is too long", path);
}

/* ---- configuration ---- */

/* The service manager's directory for our configuration counts only when the file is there. */
static const char *managed_config(char path[PATH_MAX])
{
    const char *directory = getenv("CONFIGURATION_DIRECTORY");
    if (!directory || !*directory) {
        return NULL;
    }
    snprintf(path, PATH_MAX, "%.*s/" CONFIG_FILE_NAME, (int)strcspn(directory, ":"), directory);
    return access(path, F_OK) == 0 ? path : NULL;
}

static bool read_config(struct start *start)
{
    char managed[PATH_MAX];
    const char *path = options_given()->source.path;
    if (!path) {
        path = managed_config(managed);
    }
    if (path) {
        if (!make_absolute(start, path, start->config_path)) {
            return false;
        }
        options_config_path(start->config_path);
    }
    return config_load(&start->config, &options_given()->source, &start->refusal);
}

/* From here on the admin token may be in this memory. */
static bool keep_memory_secret(struct start *start)
{
    if (!start->config.core_dumps) {
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    }
    return true;
}

/* Before anything is made: an address that cannot be right. */
static bool check_addresses(struct start *start)
{
    const struct config_list *listen = &start->config.listen;
    for (size_t i = 0; i < listen->count; i++) {
        struct sockaddr_storage address;
        socklen_t bytes;
        if (!listen_parse(listen->items[i], &address, &bytes, &start->refusal)) {
            start->refusal.usage = start->refusal.usage && options_set("listen");
            return false;
        }
    }
    return true;
}

/* ---- the server's user ---- */

static bool find_user(struct start *start)
{
    return server_user_find(&start->config, &start->user, &start->refusal);
}

/* What lies in the server's directories is opened and made with the server's rights. */
static bool as_server(struct start *start, bool (*step)(struct start *start))
{
    struct refusal ignored;
    bool good = server_user_act(&start->user, true, &start->refusal) && step(start);
    return server_user_act(&start->user, false, good ? &start->refusal : &ignored) && good;
}

/* ---- TLS ---- */

static bool check_tls_now(struct start *start)
{
    const struct config *config = &start->config;
    struct tls_files files = {config->tls_certificate, config->tls_key, config->tls_client_ca};
    bool wanted = false;
    for (size_t i = 0; i < config->listen.count; i++) {
        wanted = wanted || listen_wants_tls(config->listen.items[i]);
    }
    if (config->tls_clients.count && !config->tls_client_ca) {
        return refuse(&start->refusal, "tls.client needs tls.client_ca: whose certificates are to be "
                      "believed");
    }
    struct tls_identity *identity =
        wanted ? tls_identity_load(&files, true, &start->refusal) : NULL;
    tls_identity_drop(identity);
    return identity || !wanted;
}

/* The server reads its files again; here somebody is there to be told what is wrong with them. */
static bool check_tls(struct start *start)
{
    return as_server(start, check_tls_now);
}

/* ---- directories ---- */

static bool own_state(struct start *start)
{
    char path[PATH_MAX];
    return !start->user.given ||
           (state_dir_choose(path, options_given()->state_dir, &start->standard,
                             &start->refusal) &&
            server_user_own(&start->user, path, &start->refusal));
}

static bool own_runtime(struct start *start)
{
    char path[PATH_MAX];
    return !start->user.given ||
           (runtime_dir_choose(path, options_given()->runtime_dir, &start->state, start->standard,
                               &start->refusal) &&
            server_user_own(&start->user, path, &start->refusal));
}

static bool open_state_now(struct start *start)
{
    return state_dir_open(&start->state, options_given()->state_dir, &start->standard,
                          &start->refusal) &&
           state_dir_lock(&start->state, &start->lock_fd, &start->refusal) &&
           token_open(&start->state, start->token, &start->refusal);
}

static bool open_state(struct start *start)
{
    return own_state(start) && as_server(start, open_state_now);
}

static bool open_runtime_now(struct start *start)
{
    return runtime_dir_open(&start->runtime, options_given()->runtime_dir, &start->state,
                            start->standard, &start->refusal);
}

static bool open_runtime(struct start *start)
{
    return own_runtime(start) && as_server(start, open_runtime_now);
}

/* ---- listeners ---- */

/* The path of the Unix socket in start->socket_path; "": none is wanted. */
static bool choose_socket(struct start *start)
{
    char standard[PATH_MAX + 16];
    const char *given = start->config.socket;
    if (given ? strcmp(given, "none") == 0 : listeners_have_unix(&start->listeners)) {
        return true;
    }
    snprintf(standard, sizeof standard, "%s/forkful.sock", start->state.path);
    return make_absolute(start, given ? given : standard, start->socket_path);
}

static bool bind_tcp(struct start *start)
{
    const struct config_list *listen = &start->config.listen;
    if (listen->count == 0 && start->listeners.count == 0) {
        return listen_tcp(&start->listeners, DEFAULT_LISTEN, &start->refusal);
    }
    for (size_t i = 0; i < listen->count; i++) {
        if (!listen_tcp(&start->listeners, listen->items[i], &start->refusal)) {
            return false;
        }
    }
    return true;
}

/* As the server, which removes the file at its end. */
static bool bind_unix(struct start *start)
{
    return !*start->socket_path ||
           listen_unix(&start->listeners, start->socket_path, start->config.unix_peers.count > 0,
                       &start->refusal);
}

static bool bind_all(struct start *start)
{
    return listen_take_passed(&start->listeners, start->passed, &start->refusal) &&
           bind_tcp(start) && choose_socket(start) && as_server(start, bind_unix);
}

static bool open_spool_now(struct start *start)
{
    return spool_file_open(&start->runtime, start->config.spool_bytes, &start->spool_fd,
                           &start->refusal);
}

static bool open_spool(struct start *start)
{
    return as_server(start, open_spool_now);
}

/* ---- the service manager, the binary ---- */

static bool open_notify(struct start *start)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = getenv("NOTIFY_SOCKET");
    size_t bytes = path ? strlen(path) : 0;
    if (bytes == 0) {
        return true;
    }
    if ((*path != '/' && *path != '@') || bytes >= sizeof address.sun_path) {
        return refuse(&start->refusal, "NOTIFY_SOCKET is not a socket's path: %.120s", path);
    }
    memcpy(address.sun_path, path, bytes);
    if (*path == '@') {
        address.sun_path[0] = '\0';
    }
    start->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (start->notify_fd < 0 ||
        connect(start->notify_fd, (struct sockaddr *)&address,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes)) < 0) {
        return refuse(&start->refusal, "NOTIFY_SOCKET %s: %s", path, strerror(errno));
    }
    return true;
}

static bool open_binary(struct start *start)
{
    start->binary_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    ssize_t bytes = readlink("/proc/self/exe", start->binary, sizeof start->binary - 1);
    if (start->binary_fd < 0 || bytes < 0) {
        return refuse(&start->refusal, "/proc/self/exe: %s", strerror(errno));
    }
    start->binary[bytes] = '\0';
    return true;
}

/* Addressed to us alone; the children shall not take them for theirs. */
static bool clean_environment(struct start *start)
{
    static const char *const names[] = {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES",
                                        "NOTIFY_SOCKET"};
    (void)start;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        unsetenv(names[i]);
    }
    return true;
}

/* ---- what people and programs are told ---- */

static bool write_first_line(struct start *start)
{
    struct text *line = &start->first_line;
    text_putc(line, '{');
    text_json_key(line, "listening");
    text_putc(line, '[');
    for (size_t i = 0; i < start->listeners.count; i++) {
        text_json_comma(line);
        text_json_string(line, start->listeners.items[i].url);
    }
    text_putc(line, ']');
    text_json_key(line, "pid");
    text_number(line, getpid());
    text_json_key(line, "state_dir");
    text_json_string(line, start->state.path);
    text_put(line, "}\n");
    return !line->failed || refuse(&start->refusal, "there is no memory");
}

static bool tell_people(struct start *start)
{
    const struct listener *first = start->listeners.items;
    if (start->listeners.count == 0) {
        return refuse(&start->refusal, "there is nothing to listen on");
    }
    if (first->unix_socket) {
        fprintf(stderr, "forkful: no TCP address; try curl --unix-socket %s http://localhost/\n",
                first->url + strlen("unix:"));
    } else {
        fprintf(stderr, "forkful: the dashboard is at %s/\n", first->page);
    }
    fprintf(stderr, "forkful: the admin token is in %s/token\n", start->state.path);
    return true;
}

/* ---- becoming the keeper ---- */

static uint64_t soft_nofile(void)
{
    struct rlimit limit = {.rlim_cur = 1024};
    getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

static void fill_head(const struct start *start, struct resume *head)
{
    *head = (struct resume){
        .occasion = RESUME_FRESH,
        .spool_fd = start->spool_fd,
        .lock_fd = start->lock_fd,
        .binary_fd = start->binary_fd,
        .notify_fd = start->notify_fd,
        .cgroup_fd = -1,
        .listener_count = (int32_t)start->listeners.count,
        .core_dumps = (uint32_t)start->config.core_dumps,
        .soft_nofile = soft_nofile(),
        .keeper_started_at_us = time_now_us(),
    };
    for (size_t i = 0; i < start->listeners.count; i++) {
        head->listener_fds[i] = start->listeners.items[i].fd;
        head->tls_listeners |= (uint32_t)start->listeners.items[i].tls << i;
    }
}

static bool become_keeper(struct start *start)
{
    struct resume head;
    fill_head(start, &head);
    struct resume_strings strings = {
        .binary = start->binary,
        .first_line = start->first_line.data,
        .state_dir = start->state.path,
        .runtime_dir = start->runtime.path,
        .config = start->config_path,
        .users = start->user.users.data,
        .server_argv = options_server_argv(&head.server_argc),
    };
    int fd = strings.server_argv ? resume_blob_write(&head, NULL, &strings) : -ENOMEM;
    if (fd < 0) {
        return refuse(&start->refusal, "the resume blob cannot be written: %s", strerror(-fd));
    }
    umask(start->umask);
    return refuse(&start->refusal, "the keeper cannot be executed: %s",
                  strerror(-exec_keeper_with_blob(fd)));
}

static bool (*const steps[])(struct start *start) = {
    take_environment, read_config, find_user, keep_memory_secret, check_addresses, check_tls,
    open_state, open_runtime, bind_all, open_spool, open_notify, open_binary, clean_environment,
    write_first_line, tell_people, become_keeper,
};

int launcher_serve(int argc, char **argv)
{
    static struct start start = {.lock_fd = -1, .spool_fd = -1, .binary_fd = -1, .notify_fd = -1,
                                 .state.fd = -1, .runtime.fd = -1};
    struct refusal ignored;
    start.umask = umask(0077);
    bool good = options_take(argc, argv, &start.refusal);
    for (size_t i = 0; good && i < sizeof steps / sizeof steps[0]; i++) {
        good = steps[i](&start);
    }
    server_user_act(&start.user, true, &ignored);
    listeners_close(&start.listeners);
    fprintf(stderr, "forkful: %s\n", start.refusal.text);
    return start.refusal.usage ? 2 : 1;
}
