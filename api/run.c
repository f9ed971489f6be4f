/*
 * `forkful run`; see run.h. Here are its beginning, its signals and its loop.
 *
 * Signals are read from a descriptor, and those that were ignored when we began (nohup, a shell's
 * background jobs) stay ignored. What the terminal sends, it sends to a whole process group, so it
 * goes on to that of the program; what one process sends to us goes to the program alone.
 */
#include "api/run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "service/id.h"

#define KEY_BYTES 16

static const struct {
    int number;
    const char *name;
} passed_on[] = {
    {SIGINT, "SIGINT"},   {SIGTERM, "SIGTERM"}, {SIGHUP, "SIGHUP"},
    {SIGQUIT, "SIGQUIT"}, {SIGUSR1, "SIGUSR1"}, {SIGUSR2, "SIGUSR2"},
};

void run_fail(struct run *run, int status, const char *format, ...)
{
    va_list arguments;
    if (run->over) {
        return;
    }
    run->over = true;
    run->status = status;
    va_start(arguments, format);
    dprintf(STDERR_FILENO, "forkful run: ");
    vdprintf(STDERR_FILENO, format, arguments);
    dprintf(STDERR_FILENO, "\n");
    va_end(arguments);
}

/* ---- signals ---- */

void run_order(struct run *run, const char *call, const char *format, ...)
{
    va_list arguments;
    if (run->order_count == RUN_ORDERS) {
        return;                       /* as signals are, that come too fast */
    }
    struct run_order *order = &run->orders[run->order_count++];
    order->call = call;
    va_start(arguments, format);
    vsnprintf(order->body, sizeof order->body, format, arguments);
    va_end(arguments);
    if (*run->id) {
        run_call_due(run, RUN_ORDER);
    }
}

static void pass_on(struct run *run, const struct signalfd_siginfo *info)
{
    for (size_t i = 0; i < sizeof passed_on / sizeof passed_on[0]; i++) {
        if ((uint32_t)passed_on[i].number == info->ssi_signo) {
            run_order(run, "signal", "{\"signal\":\"%s\",\"scope\":\"%s\"}", passed_on[i].name,
                      info->ssi_code == SI_KERNEL ? "group" : "main");
        }
    }
}

/* The first goes to the program, the second stops it with its grace, any more without. Where
   there is none yet, the second ends us. */
static void interrupt(struct run *run, const struct signalfd_siginfo *info)
{
    run->interrupts++;
    if (run->interrupts == 1) {
        pass_on(run, info);
    } else if (!*run->id) {
        run_fail(run, 128 + SIGINT, "interrupted; whether the program runs is not known");
    } else {
        run_order(run, "stop", "%s", run->interrupts == 2 ? "{}" : "{\"grace_seconds\":0}");
    }
}

static void take_signal(struct run *run)
{
    struct signalfd_siginfo info;
    if (read(run->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        (info.ssi_signo == SIGINT ? interrupt : pass_on)(run, &info);
    }
}

static bool open_signals(struct run *run)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof passed_on / sizeof passed_on[0]; i++) {
        struct sigaction old;
        if (sigaction(passed_on[i].number, NULL, &old) == 0 && old.sa_handler != SIG_IGN) {
            sigaddset(&set, passed_on[i].number);
        }
    }
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    run->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return run->signal_fd >= 0;
}

/* ---- the loop ---- */

enum { POLL_SIGNALS, POLL_STDIN, POLL_STDOUT, POLL_STDERR, POLL_CALLS,
       POLLS = POLL_CALLS + RUN_CALLS };

static bool wants_input(const struct run *run)
{
    const struct run_input *input = &run->input;
    return input->open && !input->eof && input->at == input->end &&
           run->calls[RUN_FEED].state == CALL_IDLE;
}

/* What we wait for; a call whose piece is not written yet waits for our stream alone. */
static void choose(struct run *run, struct pollfd polls[POLLS])
{
    polls[POLL_SIGNALS] = (struct pollfd){.fd = run->signal_fd, .events = POLLIN};
    polls[POLL_STDIN] = (struct pollfd){.fd = wants_input(run) ? STDIN_FILENO : -1,
                                        .events = POLLIN};
    for (unsigned i = 0; i < 2; i++) {
        const struct run_output *output = &run->outputs[i];
        polls[POLL_STDOUT + i] = (struct pollfd){.fd = output->left ? output->fd : -1,
                                                 .events = POLLOUT};
    }
    for (unsigned i = 0; i < RUN_CALLS; i++) {
        const struct run_output *output = run_output_of(run, (enum run_call_number)i);
        bool waits = run->calls[i].state == CALL_OPEN && !(output && output->left);
        polls[POLL_CALLS + i] = (struct pollfd){.fd = waits ? run->calls[i].client.fd : -1,
                                                .events = POLLIN};
    }
}

static void serve(struct run *run, const struct pollfd polls[POLLS])
{
    if (polls[POLL_SIGNALS].revents) {
        take_signal(run);
    }
    if (polls[POLL_STDIN].revents) {
        run_input_read(run);
    }
    for (unsigned i = 0; i < 2; i++) {
        if (polls[POLL_STDOUT + i].revents) {
            run_output_write(run, (enum run_call_number)(RUN_STDOUT + i));
        }
    }
    for (unsigned i = 0; i < RUN_CALLS && !run->over; i++) {
        if (polls[POLL_CALLS + i].revents) {
            run_call_pump(run, (enum run_call_number)i);
        }
    }
}

static int timeout_of(int64_t next_us)
{
    int64_t left_us = next_us - time_monotonic_us();
    return next_us == INT64_MAX ? -1 : left_us <= 0 ? 0 : (int)(left_us / 1000) + 1;
}

static void loop(struct run *run)
{
    run_call_due(run, RUN_START);
    while (!run->over) {
        struct pollfd polls[POLLS];
        int64_t next_us = run_calls_send(run);
        if (run->over) {
            return;
        }
        choose(run, polls);
        if (poll(polls, POLLS, timeout_of(next_us)) > 0) {
            serve(run, polls);
        }
        run->over = run->over || (run->ended && run_outputs_done(run));
    }
}

/* ---- the command ---- */

/* 0, 1 and 2 must mean something, or a connection would get the number of stdout. */
static void open_standard(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) {
        close(fd);
    }
}

static struct run *run_make(const struct run_options *options)
{
    struct run *run = calloc(1, sizeof *run);
    char random[2 * KEY_BYTES + 1];
    if (!run || !(run->spec = json_dumps(options->spec, JSON_COMPACT)) ||
        !random_hex(KEY_BYTES, random) || !open_signals(run)) {
        free(run ? run->spec : NULL);
        free(run);
        return NULL;
    }
    run->options = options;
    run->outputs[0].fd = STDOUT_FILENO;
    run->outputs[1].fd = STDERR_FILENO;
    snprintf(run->key, sizeof run->key, "run-%s", random);
    for (unsigned i = 0; i < RUN_CALLS; i++) {
        client_init(&run->calls[i].client);
    }
    return run;
}

static void run_free(struct run *run)
{
    for (unsigned i = 0; i < RUN_CALLS; i++) {
        client_close(&run->calls[i].client);
        text_free(&run->calls[i].body);
    }
    close(run->signal_fd);
    free(run->spec);
    free(run);
}

static int execute(const struct run_options *options, const struct client *client)
{
    struct run *run = run_make(options);
    if (!run) {
        fprintf(stderr, "forkful run: it cannot begin: %s\n", strerror(errno));
        return RUN_REFUSED;
    }
    run->client = *client;
    loop(run);
    int status = run->status;
    if (options->detach && *run->id && (puts(run->id) < 0 || fflush(stdout))) {
        fprintf(stderr, "forkful run: stdout: %s\n", strerror(errno));
        status = RUN_REFUSED;
    }
    run_free(run);
    return status;
}

static int refusal_status(const struct refusal *refusal)
{
    fprintf(stderr, "forkful run: %s\n", refusal->text);
    return refusal->usage ? RUN_USAGE : RUN_REFUSED;
}

int run_command(int argc, char **argv)
{
    struct run_options options;
    struct refusal refusal;
    struct client client;
    int status;
    open_standard();
    bool good = run_options_take(&options, argc, argv, &refusal) &&
                (options.help || client_target(&client, &options.place, &refusal));
    if (!good) {
        status = refusal_status(&refusal);
    } else if (options.help) {
        run_options_usage(stdout);
        status = fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
    } else {
        status = execute(&options, &client);
    }
    run_options_free(&options);
    return status;
}
