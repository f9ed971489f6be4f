/*
 * Parsing the command line: `--name value` and `--name=value`, in any order, nothing else.
 *
 * Only names are checked here; values are read by service/config.c, with the same rules and
 * sentences as those of the file.
 */
#include "api/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The keeper passes 64 words on to the server. */
#define SETTINGS_MAX 60

static struct options given;
static char *settings[SETTINGS_MAX];            /* owned; given.source points at them */
static char *server_argv[SETTINGS_MAX + 2];     /* owned */

static const struct {
    const char *name;
    const char **value;
} own_options[] = {
    {"state-dir", &given.state_dir},
    {"runtime-dir", &given.runtime_dir},
    {"config", &given.source.path},
};

static const char **own_option(const char *name, size_t bytes)
{
    for (size_t i = 0; i < sizeof own_options / sizeof own_options[0]; i++) {
        if (strlen(own_options[i].name) == bytes && memcmp(own_options[i].name, name, bytes) == 0) {
            return own_options[i].value;
        }
    }
    return NULL;
}

static bool take_own(const char **place, const char *name, const char *value,
                     struct refusal *refusal)
{
    if (*place) {
        return refuse(refusal, "--%s is given twice", name);
    }
    if (*value == '\0') {
        return refuse(refusal, "--%s needs a path", name);
    }
    *place = value;
    return true;
}

static bool take_setting(const char *name, size_t bytes, const char *value, struct refusal *refusal)
{
    char *setting;
    if (given.source.setting_count == SETTINGS_MAX) {
        return refuse(refusal, "more than %d options are given", SETTINGS_MAX);
    }
    if (asprintf(&setting, "%.*s=%s", (int)bytes, name, value) < 0) {
        return refuse(refusal, "there is no memory for the command line");
    }
    settings[given.source.setting_count++] = setting;
    return true;
}

/* One option at argv[0]; *words becomes how many words it took. */
static bool take_option(int argc, char **argv, int *words, struct refusal *refusal)
{
    const char *word = argv[0];
    if (strncmp(word, "--", 2) != 0 || word[2] == '\0') {
        return refuse(refusal, "\"%.200s\" is not an option", word);
    }
    const char *name = word + 2;
    size_t bytes = strcspn(name, "=");
    const char **place = own_option(name, bytes);
    if (!place && !config_key_of_option(name, bytes)) {
        return refuse(refusal, "--%.*s: there is no such option",
                      (int)(bytes < 200 ? bytes : 200), name);
    }
    const char *value = name[bytes] ? name + bytes + 1 : argc > 1 ? argv[1] : NULL;
    if (!value) {
        return refuse(refusal, "--%s needs a value", name);
    }
    *words = name[bytes] ? 1 : 2;
    return place ? take_own(place, name, value, refusal)
                 : take_setting(name, bytes, value, refusal);
}

static void clear(char **strings, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(strings[i]);
        strings[i] = NULL;
    }
}

bool options_take(int argc, char **argv, struct refusal *refusal)
{
    refusal->usage = true;
    clear(settings, SETTINGS_MAX);
    given = (struct options){.source = {.settings = (const char *const *)settings}};
    for (int i = 0, words = 0; i < argc; i += words) {
        if (!take_option(argc - i, argv + i, &words, refusal)) {
            return false;
        }
    }
    refusal->usage = false;
    return true;
}

const struct options *options_given(void)
{
    return &given;
}

bool options_set(const char *key)
{
    for (size_t i = 0; i < given.source.setting_count; i++) {
        const char *setting = given.source.settings[i];
        const struct config_key *named = config_key_of_option(setting, strcspn(setting, "="));
        if (named && strcmp(named->name, key) == 0) {
            return true;
        }
    }
    return false;
}

void options_config_path(const char *path)
{
    given.source.path = path;
}

const char *const *options_server_argv(unsigned *argc)
{
    size_t count = given.source.setting_count;
    clear(server_argv, SETTINGS_MAX + 2);
    if (!(server_argv[0] = strdup("--server"))) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        if (asprintf(&server_argv[i + 1], "--%s", settings[i]) < 0) {
            server_argv[i + 1] = NULL;
            return NULL;
        }
    }
    *argc = (unsigned)count + 1;
    return (const char *const *)server_argv;
}
