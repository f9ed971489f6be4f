/* Signal names and numbers; see spec.h. One table, both ways. */
#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "service/spec.h"

static const struct {
    int number;
    const char *name;
} signals[] = {
    {SIGHUP, "HUP"},     {SIGINT, "INT"},       {SIGQUIT, "QUIT"}, {SIGILL, "ILL"},
    {SIGTRAP, "TRAP"},   {SIGABRT, "ABRT"},     {SIGIOT, "IOT"},   {SIGBUS, "BUS"},
    {SIGFPE, "FPE"},     {SIGKILL, "KILL"},     {SIGUSR1, "USR1"}, {SIGSEGV, "SEGV"},
    {SIGUSR2, "USR2"},   {SIGPIPE, "PIPE"},     {SIGALRM, "ALRM"}, {SIGTERM, "TERM"},
    {SIGSTKFLT, "STKFLT"}, {SIGCHLD, "CHLD"},   {SIGCONT, "CONT"}, {SIGSTOP, "STOP"},
    {SIGTSTP, "TSTP"},   {SIGTTIN, "TTIN"},     {SIGTTOU, "TTOU"}, {SIGURG, "URG"},
    {SIGXCPU, "XCPU"},   {SIGXFSZ, "XFSZ"},     {SIGVTALRM, "VTALRM"}, {SIGPROF, "PROF"},
    {SIGWINCH, "WINCH"}, {SIGIO, "IO"},         {SIGPOLL, "POLL"}, {SIGPWR, "PWR"},
    {SIGSYS, "SYS"},
};

static int signal_in_range(long number)
{
    return number >= 1 && number <= SIGRTMAX ? (int)number : 0;
}

/* "RTMIN", "RTMIN+3", "RTMAX-1" */
static int realtime_from_text(const char *text)
{
    int base = strncasecmp(text, "RTMIN", 5) == 0   ? SIGRTMIN
               : strncasecmp(text, "RTMAX", 5) == 0 ? SIGRTMAX
                                                    : 0;
    if (!base || text[5] == '\0') {
        return base;
    }
    if ((text[5] != '+' && text[5] != '-') || !isdigit((unsigned char)text[6])) {
        return 0;
    }
    char *end;
    long offset = strtol(text + 5, &end, 10);
    if (*end || offset < -64 || offset > 64) {
        return 0;
    }
    long number = base + offset;
    return number >= SIGRTMIN && number <= SIGRTMAX ? (int)number : 0;
}

int signal_from_text(const char *text)
{
    if (isdigit((unsigned char)text[0])) {
        char *end;
        long number = strtol(text, &end, 10);
        return *end ? 0 : signal_in_range(number);
    }
    if (strncasecmp(text, "SIG", 3) == 0) {
        text += 3;
    }
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        if (strcasecmp(text, signals[i].name) == 0) {
            return signals[i].number;
        }
    }
    return realtime_from_text(text);
}

int signal_from_json(const json_t *value)
{
    if (json_is_string(value)) {
        return signal_from_text(json_string_value(value));
    }
    json_int_t number = json_is_integer(value) ? json_integer_value(value) : 0;
    return number > 0 && number < 1000 ? signal_in_range((long)number) : 0;
}

void signal_name(int signal, char out[16])
{
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        if (signals[i].number == signal) {
            snprintf(out, 16, "SIG%s", signals[i].name);
            return;
        }
    }
    if (signal >= SIGRTMIN && signal <= SIGRTMAX) {
        snprintf(out, 16, signal == SIGRTMIN ? "SIGRTMIN" : "SIGRTMIN+%d", signal - SIGRTMIN);
    } else {
        snprintf(out, 16, "SIG%d", signal);
    }
}
