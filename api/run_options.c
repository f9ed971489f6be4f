/*
 * The command line of `forkful run`: options, then the program and its arguments, which are left
 * alone. What is asked of the program goes straight into the JSON that asks the daemon for it.
 */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/run.h"

typedef bool take_value(struct run_options *options, const char *value, struct refusal *refusal);

static bool not_text(struct refusal *refusal, const char *value)
{
    return refuse(refusal, "\"%.200s\" is not UTF-8, and the daemon takes nothing else", value);
}

/* Takes `text`, made by json_string: NULL where the value was not UTF-8. */
static bool set(json_t *object, const char *key, json_t *text, const char *value,
                struct refusal *refusal)
{
    return json_object_set_new(object, key, text) == 0 || not_text(refusal, value);
}

/* A member of one of the spec's objects, which is made with the first. */
static bool set_in(struct run_options *options, const char *group, const char *key,
                   const char *value, struct refusal *refusal)
{
    json_t *object = json_object_get(options->spec, group);
    if (!object && json_object_set_new(options->spec, group, json_object()) == 0) {
        object = json_object_get(options->spec, group);
    }
    return set(object, key, json_string(value), value, refusal);
}

static bool take_state_dir(struct run_options *options, const char *value, struct refusal *refusal)
{
    options->place.state_dir = value;
    return *value || refuse(refusal, "--state-dir needs a path");
}

static bool take_url(struct run_options *options, const char *value, struct refusal *refusal)
{
    (void)refusal;
    options->place.url = value;
    return true;
}

static bool take_name(struct run_options *options, const char *value, struct refusal *refusal)
{
    return set(options->spec, "name", json_string(value), value, refusal);
}

static bool take_user(struct run_options *options, const char *value, struct refusal *refusal)
{
    size_t digits = strspn(value, "0123456789");
    bool number = digits && digits <= 10 && !value[digits];
    return set(options->spec, "user", number ? json_integer(atoll(value)) : json_string(value),
               value, refusal);
}

/* KEY=VALUE as a member of a group. */
static bool take_pair(struct run_options *options, const char *group, const char *option,
                      const char *value, struct refusal *refusal)
{
    char key[4097];
    size_t bytes = strcspn(value, "=");
    if (!value[bytes] || bytes == 0 || bytes >= sizeof key) {
        return refuse(refusal, "%s needs KEY=VALUE, not \"%.200s\"", option, value);
    }
    memcpy(key, value, bytes);
    key[bytes] = '\0';
    return set_in(options, group, key, value + bytes + 1, refusal);
}

static bool take_label(struct run_options *options, const char *value, struct refusal *refusal)
{
    return take_pair(options, "labels", "--label", value, refusal);
}

/* KEY alone is that of our own environment, where it has one. */
static bool take_env(struct run_options *options, const char *value, struct refusal *refusal)
{
    if (strchr(value, '=') || !*value) {
        return take_pair(options, "env", "--env", value, refusal);
    }
    const char *ours = getenv(value);
    return !ours || set_in(options, "env", value, ours, refusal);
}

/* The daemon stands elsewhere, so the path is made absolute here. */
static bool take_cwd(struct run_options *options, const char *value, struct refusal *refusal)
{
    char here[PATH_MAX] = "", *path;
    if (*value != '/' && !getcwd(here, sizeof here)) {
        return refuse(refusal, "the working directory has no path: %s", strerror(errno));
    }
    if (asprintf(&path, "%s%s%s", here, *here && *value ? "/" : "", value) < 0) {
        return refuse(refusal, "there is no memory");
    }
    bool good = set(options->spec, "cwd", json_string(path), path, refusal);
    free(path);
    return good;
}

static bool take_timeout(struct run_options *options, const char *value, struct refusal *refusal)
{
    char *end;
    double seconds = strtod(value, &end);
    if (end == value || *end || !isfinite(seconds) || seconds <= 0) {
        return refuse(refusal, "--timeout needs a number of seconds, not \"%.200s\"", value);
    }
    return set(options->spec, "timeout_seconds", json_real(seconds), value, refusal);
}

static bool take_output(struct run_options *options, const char *value, struct refusal *refusal)
{
    char *end;
    errno = 0;
    long long bytes = strtoll(value, &end, 10);
    if (end == value || *end || errno || bytes < 1) {
        return refuse(refusal, "--output-max-bytes needs a number, not \"%.200s\"", value);
    }
    return set(options->spec, "output", json_pack("{s:I}", "max_bytes", (json_int_t)bytes), value,
               refusal);
}

static bool take_detach(struct run_options *options, const char *value, struct refusal *refusal)
{
    (void)value, (void)refusal;
    return options->detach = true;
}

static bool take_stdin(struct run_options *options, const char *value, struct refusal *refusal)
{
    (void)value, (void)refusal;
    return options->feed = true;
}

static bool take_help(struct run_options *options, const char *value, struct refusal *refusal)
{
    (void)value, (void)refusal;
    return options->help = true;
}

static const struct option {
    const char *name, *brief;         /* brief: the short form or NULL */
    const char *value;                /* what it needs; NULL: nothing */
    const char *meaning;
    take_value *take;
} table[] = {
    {"--name", NULL, "NAME", "what the process is called", take_name},
    {"--label", NULL, "KEY=VALUE", "may repeat", take_label},
    {"--env", "-e", "KEY[=VALUE]", "added to the environment (KEY alone: as ours), may repeat",
     take_env},
    {"--cwd", NULL, "DIR", "the working directory (this one)", take_cwd},
    {"--user", NULL, "USER", "a name or a number", take_user},
    {"--timeout", NULL, "SECONDS", "a longer run is stopped", take_timeout},
    {"--output-max-bytes", NULL, "BYTES", "how much output the daemon keeps", take_output},
    {"--stdin", NULL, NULL, "feed our input to it, also when it is a terminal", take_stdin},
    {"--detach", "-d", NULL, "print the id and let it run", take_detach},
    {"--state-dir", NULL, "DIR", "where the daemon's socket and token are", take_state_dir},
    {"--url", NULL, "URL", "ask the daemon there, as http://127.0.0.1:8717", take_url},
    {"--help", "-h", NULL, "print this", take_help},
};

void run_options_usage(FILE *out)
{
    fputs("forkful run [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
          "runs a program through the daemon as if it ran here\n\n", out);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char left[64];
        snprintf(left, sizeof left, "%s%s%s %s", table[i].brief ? table[i].brief : "",
                 table[i].brief ? ", " : "", table[i].name, table[i].value ? table[i].value : "");
        fprintf(out, "  %-28s %s\n", left, table[i].meaning);
    }
    fputs("\nExit status: that of the program, 128+N when signal N ended it; 2 usage, 3 daemon\n"
          "not reachable, 125 it refused or failed, 126 not executable, 127 not found.\n", out);
}

static const struct option *find(const char *word, size_t bytes)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const char *names[] = {table[i].name, table[i].brief};
        for (size_t n = 0; n < 2 && names[n]; n++) {
            if (strlen(names[n]) == bytes && memcmp(names[n], word, bytes) == 0) {
                return &table[i];
            }
        }
    }
    return NULL;
}

/* One option at argv[0]; *words becomes how many words it took. */
static bool take_option(struct run_options *options, int argc, char **argv, int *words,
                        struct refusal *refusal)
{
    const char *word = argv[0];
    size_t bytes = strncmp(word, "--", 2) == 0 ? strcspn(word, "=") : strlen(word);
    const struct option *option = find(word, bytes);
    bool joined = word[bytes] == '=';
    if (!option || (joined && !option->value)) {
        return refuse(refusal, "%.200s: %s", word,
                      option ? "it takes no value" : "there is no such option");
    }
    const char *value = joined ? word + bytes + 1 : argc > 1 ? argv[1] : NULL;
    if (option->value && !value) {
        return refuse(refusal, "%s needs %s", option->name, option->value);
    }
    *words = option->value && !joined ? 2 : 1;
    return option->take(options, value, refusal);
}

static bool take_program(struct run_options *options, int argc, char **argv,
                         struct refusal *refusal)
{
    json_t *list = json_array();
    if (argc == 0) {
        json_decref(list);
        return refuse(refusal, "which program is to be run? \"forkful run --help\" tells more");
    }
    for (int i = 0; i < argc; i++) {
        if (json_array_append_new(list, json_string(argv[i])) != 0) {
            json_decref(list);
            return not_text(refusal, argv[i]);
        }
    }
    return json_object_set_new(options->spec, "argv", list) == 0;
}

/* What nothing was said about. */
static bool take_defaults(struct run_options *options, struct refusal *refusal)
{
    if (options->detach && options->feed) {
        return refuse(refusal, "--detach and --stdin contradict each other");
    }
    options->feed = options->feed || (!options->detach && !isatty(STDIN_FILENO));
    json_object_set_new(options->spec, "stdin", json_string(options->feed ? "pipe" : "null"));
    return json_object_get(options->spec, "cwd") || take_cwd(options, "", refusal);
}

bool run_options_take(struct run_options *options, int argc, char **argv, struct refusal *refusal)
{
    int at = 0;
    *options = (struct run_options){.spec = json_object()};
    refusal->usage = true;
    for (int words = 1; at < argc && argv[at][0] == '-' && argv[at][1]; at += words) {
        if (strcmp(argv[at], "--") == 0) {
            at++;
            break;
        }
        if (!take_option(options, argc - at, argv + at, &words, refusal)) {
            return false;
        }
    }
    return options->help || (take_program(options, argc - at, argv + at, refusal) &&
                             take_defaults(options, refusal));
}

void run_options_free(struct run_options *options)
{
    json_decref(options->spec);
    options->spec = NULL;
}
