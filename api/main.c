/*
 * forkful's main: which program this is depends on the first word.
 *
 * People say `serve`; the keeper says `--server` and `--resume FD`, which start the other two
 * parts of the same binary. One table, one function per word.
 */
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/exec_keeper.h"
#include "api/launcher.h"
#include "api/login.h"
#include "api/options.h"
#include "api/routes.h"
#include "api/run.h"
#include "service/commands.h"
#include "service/resume.h"
#include "service/server_fds.h"
#include "service/text.h"

#ifndef FORKFUL_VERSION
#define FORKFUL_VERSION "0.0.0"
#endif

enum { EXIT_USAGE = 2 };

int server_main(void);                /* api/server_main.c */

static int run_help(int argc, char **argv);

/* Asked for among its options, help is all that is given. */
static int run_serve(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return run_help(0, NULL);
        }
    }
    return launcher_serve(argc, argv);
}

static int fail(int status, const char *sentence)
{
    fprintf(stderr, "forkful: %s\n", sentence);
    return status;
}

/* The rest of argv was written by the launcher, so a fault in it is not the user's. */
static int run_server(int argc, char **argv)
{
    struct refusal refusal;
    const char *config = getenv(SERVER_ENV_CONFIG);
    if (!options_take(argc, argv, &refusal)) {
        return fail(EXIT_FAILURE, refusal.text);
    }
    if (config && *config) {
        options_config_path(config);
    }
    return server_main();
}

static int run_resume(int argc, char **argv)
{
    char *end = NULL;
    long fd = argc == 1 ? strtol(argv[0], &end, 10) : -1;
    if (fd < 0 || fd > INT_MAX || *end) {
        return fail(EXIT_USAGE, "--resume takes the number of a descriptor, from the keeper");
    }
    int error = exec_keeper_with_blob((int)fd);
    fprintf(stderr, "forkful: the keeper cannot be executed: %s\n", strerror(-error));
    return EXIT_FAILURE;
}

/* The layout numbers let an upgrade check that the two versions understand each other. */
static int run_version(int argc, char **argv)
{
    if (argc == 0) {
        return puts("forkful " FORKFUL_VERSION) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
    }
    if (argc > 1 || strcmp(argv[0], "--json") != 0) {
        return fail(EXIT_USAGE, "--version takes --json or nothing");
    }
    int written = printf("{\"version\":\"%s\",\"facts_version\":%d,\"commands_version\":%d,"
                         "\"resume_version\":%d}\n",
                         FORKFUL_VERSION, FACTS_VERSION, COMMANDS_VERSION, RESUME_VERSION);
    return written < 0 || fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* What an upgrade asks of the binary that is to come: the version, as above, and whether it takes the
   configuration: `config_refused` says why not. */
static int run_self_check(int argc, char **argv)
{
    struct refusal refusal;
    struct config config;
    struct text told = {0};
    bool good = options_take(argc, argv, &refusal) &&
                config_load(&config, &options_given()->source, &refusal);
    text_printf(&told, "{\"version\":\"%s\",\"facts_version\":%d,\"commands_version\":%d,"
                       "\"resume_version\":%d,\"config_refused\":",
                FORKFUL_VERSION, FACTS_VERSION, COMMANDS_VERSION, RESUME_VERSION);
    text_json_string(&told, good ? NULL : refusal.text);
    text_put(&told, "}\n");
    if (good) {
        config_free(&config);
    }
    int written = told.failed ? EOF : fputs(told.data, stdout);
    text_free(&told);
    return written < 0 || fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}

static const struct {
    const char *word;
    int (*run)(int argc, char **argv); /* gets what follows the word; returns the exit status */
} commands[] = {
    {"serve", run_serve},
    {"run", run_command},
    {"login", login_command},
    {"--server", run_server},
    {"--resume", run_resume},
    {"--self-check", run_self_check},
    {"--version", run_version},
    {"version", run_version},
    {"--routes", routes_command},
    {"help", run_help},
    {"--help", run_help},
    {"-h", run_help},
};

static void print_usage(FILE *out)
{
    fputs("forkful " FORKFUL_VERSION ": processes and what coordinates them, over HTTP\n"
          "\n"
          "  forkful serve [OPTION]...     run the daemon in the foreground\n"
          "  forkful run [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
          "                                run a program through it (forkful run --help)\n"
          "  forkful login [OPTION]...     log a browser in (forkful login --help)\n"
          "  forkful --version [--json]    print the version\n"
          "  forkful help                  print this\n"
          "\n"
          "Options of serve:\n"
          "  --listen ADDR:PORT    a loopback address to listen on, or with tls:ADDR:PORT any one;\n"
          "                        may repeat (127.0.0.1:8717)\n"
          "  --socket PATH|none    the Unix socket (STATE/forkful.sock)\n"
          "  --state-dir DIR       what must survive: database, token, lock\n"
          "  --runtime-dir DIR     what lives as long as this boot: the spool\n"
          "  --http-host NAME      a name accepted in Host besides localhost, may repeat\n"
          "  --config FILE         lines of key = value; every key is an option too:\n", out);
    size_t count;
    const struct config_key *keys = config_keys(&count);
    for (size_t i = 0; i < count; i++) {
        char option[64];
        snprintf(option, sizeof option, "%s", keys[i].name);
        for (char *c = option; (c = strpbrk(c, "._")); c++) {
            *c = '-';
        }
        if (keys[i].standard) {
            fprintf(out, "      --%s (%s)\n", option, keys[i].standard);
        }
    }
    fputs("\nExit status: 0 well, 1 error, 2 usage. Of run: that of the program, or 3 daemon not\n"
          "reachable, 125 it refused or failed, 126 not executable, 127 not found.\n", out);
}

static int run_help(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    print_usage(stdout);
    return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(argv[1], commands[i].word) == 0) {
            return commands[i].run(argc - 2, argv + 2);
        }
    }
    if (argc > 1) {
        fprintf(stderr, "forkful: \"%s\" is not a command\n\n", argv[1]);
    }
    print_usage(stderr);
    return EXIT_USAGE;
}
