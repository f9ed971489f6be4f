/*
 * The command line of `forkful serve` and of the server it leads to.
 *
 * Three options are its own (--state-dir, --runtime-dir, --config); every other one is a key of
 * the configuration: --max-processes 5, --output-max-bytes=1M, --listen may repeat. Parsed once
 * by main, before anything else runs; constant afterwards, so any thread may read it. The strings
 * are those of argv, or live as long.
 */
#ifndef FORKFUL_API_OPTIONS_H
#define FORKFUL_API_OPTIONS_H

#include <stdbool.h>

#include "service/config.h"

struct options {
    const char *state_dir;            /* NULL: not given */
    const char *runtime_dir;
    struct config_source source;      /* the --config file, and the rest as settings */
};

/* Takes argv[0 … argc-1], the words after the command. False: a usage refusal. */
bool options_take(int argc, char **argv, struct refusal *refusal);

/* What options_take has taken. */
const struct options *options_given(void);

/* The command line sets this key of the configuration. */
bool options_set(const char *key);

/* The file named by the environment or by a default, where --config gives none. */
void options_config_path(const char *path);

/* The server's argv, which carries the settings on: "--server", "--max-processes=5", …, NULL.
   Stays valid until the next call; NULL: no memory. */
const char *const *options_server_argv(unsigned *argc);

#endif
