/*
 * POST /v1/upgrade: the new binary is asked to check itself, then the daemon is handed over to it.
 *
 * The check runs `forkful --self-check` with our options as a helper whose few bytes of output fit
 * into a pipe, so it never waits for us; its end is seen by a pidfd. It must exit with 0 in time,
 * name its version, take the configuration, and write and read the same layouts of spool and resume
 * blob as we do. Only then is the client told, and only when that answer is out does the hand-over
 * begin.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/bodies.h"
#include "api/handlers.h"
#include "api/options.h"
#include "api/respond.h"
#include "service/json_read.h"
#include "service/resume.h"

#ifndef FORKFUL_VERSION
#define FORKFUL_VERSION "0.0.0"
#endif

#define CHECK_US (10 * SECOND_US)
#define CHECK_ARGUMENTS 80

struct upgrade {
    struct request *request;
    struct app *app;
    pid_t helper;
    struct watch ended;                /* fd: its pidfd */
    struct timer late;
    int output;                        /* read end of its stdout */
    bool was_late;
    char version[64];                  /* its own, when the check was good */
};

static bool under_way;                 /* one at a time; loop thread only */

/* ---- the helper ---- */

static struct problem *helper_failed(const char *what, int error)
{
    return problem_make(PROBLEM_UPGRADE_FAILED, "%s: %s", what, strerror(error));
}

/* Our own options, and the configuration they stand beside. False: they do not fit, or no memory. */
static bool check_argv(const struct app *app, char *config, size_t config_bytes,
                       char *argv[CHECK_ARGUMENTS])
{
    unsigned count = 0, used = 0;
    const char *const *options = options_server_argv(&count);
    int bytes = snprintf(config, config_bytes, "--config=%s", app->config_path);
    if (!options || count + 3 > CHECK_ARGUMENTS || bytes < 0 || (size_t)bytes >= config_bytes) {
        return false;
    }
    argv[used++] = "forkful";
    argv[used++] = "--self-check";
    for (unsigned i = 1; i < count; i++) {
        argv[used++] = (char *)(uintptr_t)options[i];
    }
    argv[used] = app->config_path[0] ? config : NULL;
    argv[used + 1] = NULL;
    return true;
}

static int spawn_to(pid_t *helper, const struct app *app, int out)
{
    char config[PATH_MAX + 16], *argv[CHECK_ARGUMENTS];
    posix_spawn_file_actions_t actions;
    if (!check_argv(app, config, sizeof config, argv)) {
        return ENOMEM;
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    int error = posix_spawn(helper, app->binary_path, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

static struct problem *helper_start(struct upgrade *upgrade)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
        return helper_failed("pipe2", errno);
    }
    int error = spawn_to(&upgrade->helper, upgrade->app, ends[1]);
    close(ends[1]);
    if (error) {
        close(ends[0]);
        return helper_failed(upgrade->app->binary_path, error);
    }
    upgrade->output = ends[0];
    return NULL;
}

/* Its pipe is closed and it is reaped. What it wrote is in `output`. */
static int helper_end(struct upgrade *upgrade, char *output, size_t size)
{
    int status = -1;
    ssize_t n = read(upgrade->output, output, size - 1);
    output[n > 0 ? n : 0] = '\0';
    close(upgrade->output);
    waitpid(upgrade->helper, &status, 0);
    return status;
}

/* ---- the check ---- */

static struct problem *layouts_differ(const json_t *told)
{
    const struct {
        const char *name;
        json_int_t ours;
    } layouts[] = {{"facts_version", FACTS_VERSION}, {"resume_version", RESUME_VERSION}};
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        json_int_t theirs = json_integer_value(json_object_get(told, layouts[i].name));
        if (theirs != layouts[i].ours) {
            return problem_make(PROBLEM_UPGRADE_FAILED,
                                "the new binary has %s %lld, this one %lld: it cannot take over",
                                layouts[i].name, (long long)theirs, (long long)layouts[i].ours);
        }
    }
    return NULL;
}

static struct problem *check_told(struct upgrade *upgrade, const char *output)
{
    json_t *told = json_read_string(output);
    const char *version = json_string_value(json_object_get(told, "version"));
    const char *refused = json_string_value(json_object_get(told, "config_refused"));
    struct problem *problem = NULL;
    if (!version || !*version || strlen(version) >= sizeof upgrade->version) {
        problem = problem_make(PROBLEM_UPGRADE_FAILED, "the new binary does not tell its version");
    } else if (refused) {
        problem = problem_make(PROBLEM_UPGRADE_FAILED,
                               "the new binary does not take the configuration: %s", refused);
    } else {
        snprintf(upgrade->version, sizeof upgrade->version, "%s", version);
        problem = layouts_differ(told);
    }
    json_decref(told);
    return problem;
}

static struct problem *check(struct upgrade *upgrade)
{
    char output[4096];
    int status = helper_end(upgrade, output, sizeof output);
    if (upgrade->was_late) {
        return problem_make(PROBLEM_UPGRADE_FAILED, "the new binary did not answer within %lld s",
                            CHECK_US / SECOND_US);
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        return problem_make(PROBLEM_UPGRADE_FAILED,
                            "the new binary's self-check ended with wait status 0x%x",
                            (unsigned)status);
    }
    return check_told(upgrade, output);
}

/* ---- handing over ---- */

static void hand_over(struct request *request, void *context, bool ok)
{
    struct app *app = context;
    (void)request;
    (void)ok;
    app->upgrade(app);
}

/* Once the answer is on its way there is no way back. */
static void answer_upgrading(struct upgrade *upgrade)
{
    struct text body = {0};
    text_put(&body, "{\"state\":\"upgrading\",\"from_version\":");
    text_json_string(&body, FORKFUL_VERSION);
    text_put(&body, ",\"to_version\":");
    text_json_string(&body, upgrade->version);
    text_putc(&body, '}');
    if (http_on_sent(upgrade->request, hand_over, upgrade->app)) {
        answer_json(upgrade->request, 202, &body);
    } else {
        under_way = false;
        text_free(&body);
        respond_no_memory(upgrade->request);
    }
}

static void unwatch(struct upgrade *upgrade)
{
    loop_unwatch(upgrade->app->service.loop, &upgrade->ended);
    timer_cancel(upgrade->app->service.loop, &upgrade->late);
    close(upgrade->ended.fd);
}

static void helper_ended(struct watch *watch, uint32_t events)
{
    struct upgrade *upgrade = (struct upgrade *)((char *)watch - offsetof(struct upgrade, ended));
    (void)events;
    unwatch(upgrade);
    struct problem *problem = check(upgrade);
    if (problem) {
        under_way = false;
        answer_problem(upgrade->request, problem);
    } else {
        answer_upgrading(upgrade);
    }
}

static void too_late(struct timer *timer)
{
    struct upgrade *upgrade = (struct upgrade *)((char *)timer - offsetof(struct upgrade, late));
    upgrade->was_late = true;
    kill(upgrade->helper, SIGKILL);    /* not reaped yet: the number is still its own */
}

/* Nobody wants it any more: nothing is changed. */
static void gone(struct request *request, void *context)
{
    struct upgrade *upgrade = context;
    char output[16];
    (void)request;
    unwatch(upgrade);
    kill(upgrade->helper, SIGKILL);
    helper_end(upgrade, output, sizeof output);
    under_way = false;
}

/* ---- the handler ---- */

static struct problem *watch_helper(struct upgrade *upgrade)
{
    struct loop *loop = upgrade->app->service.loop;
    char output[16];
    upgrade->late.due = too_late;
    upgrade->ended.ready = helper_ended;
    upgrade->ended.fd = (int)syscall(SYS_pidfd_open, upgrade->helper, 0);
    if (upgrade->ended.fd >= 0 && loop_watch(loop, &upgrade->ended, EPOLLIN) == 0) {
        if (timer_set(loop, &upgrade->late, time_monotonic_us() + CHECK_US)) {
            return NULL;
        }
        loop_unwatch(loop, &upgrade->ended);
    }
    struct problem *problem = helper_failed("the self-check cannot be watched", errno);
    if (upgrade->ended.fd >= 0) {
        close(upgrade->ended.fd);
    }
    kill(upgrade->helper, SIGKILL);
    helper_end(upgrade, output, sizeof output);
    return problem;
}

static struct problem *refusal(const struct app *app)
{
    struct problem *problem = NULL;
    if (app->service.shutting_down) {
        problem = problem_make(PROBLEM_SHUTTING_DOWN, "the daemon is ending");
    } else if (under_way) {
        problem = problem_make(PROBLEM_UNAVAILABLE, "an upgrade is under way");
    }
    if (problem) {
        problem->retry_after_seconds = 5;
    }
    return problem;
}

void handle_upgrade(struct request *request)
{
    struct app *app = request_app(request);
    struct problem *problem = nothing_body_check(request_json(request));
    problem = problem ? problem : refusal(app);
    struct upgrade *upgrade = problem ? NULL : request_alloc(request, sizeof *upgrade);
    if (!problem && !upgrade) {
        respond_no_memory(request);
        return;
    }
    if (!problem) {
        upgrade->request = request;
        upgrade->app = app;
        problem = helper_start(upgrade);
    }
    problem = problem ? problem : watch_helper(upgrade);
    if (problem) {
        answer_problem(request, problem);
        return;
    }
    under_way = true;
    http_park(request, (struct park){gone, upgrade});
}
