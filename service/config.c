/*
 * Reading the configuration: defaults, the file's lines, the command line's settings, in that
 * order.
 *
 * A file is read whole, at most 1 MiB, and must be a regular file, since each server reads it
 * again. Every fault is one sentence that names the file, the line and the key, and the first one
 * ends the reading: a daemon with half a configuration is worse than none.
 */
#include "service/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEYS_MAX 64

struct loading {
    struct config *config;
    struct refusal *refusal;
    const char *path;
    unsigned line;                    /* being read, from 1 */
    unsigned lines[KEYS_MAX];         /* where each key stood first; 0: nowhere yet */
};

static char *trimmed(char *text)
{
    while (*text == ' ' || *text == '\t') {
        text++;
    }
    size_t bytes = strlen(text);
    while (bytes && strchr(" \t\r", text[bytes - 1])) {
        text[--bytes] = '\0';
    }
    return text;
}

/* A '#' begins a comment at the line's start and after a blank; "a#b" is a value. */
static void cut_comment(char *line)
{
    for (char *c = line; (c = strchr(c, '#')); c++) {
        if (c == line || c[-1] == ' ' || c[-1] == '\t') {
            *c = '\0';
            return;
        }
    }
}

static size_t key_number(const char *name)
{
    size_t count, i = 0;
    const struct config_key *keys = config_keys(&count);
    while (i < count && strcmp(keys[i].name, name) != 0) {
        i++;
    }
    return i;
}

static bool take_value(struct loading *load, const char *name, const char *value)
{
    char why[256];
    size_t count, number = key_number(name);
    const struct config_key *key = config_keys(&count) + number;
    if (number == count || number >= KEYS_MAX) {
        return refuse(load->refusal, "%s:%u: %s: there is no such key", load->path, load->line,
                      name);
    }
    if (load->lines[number] && !config_key_repeats(key)) {
        return refuse(load->refusal, "%s:%u: %s: is set already in line %u", load->path, load->line,
                      name, load->lines[number]);
    }
    load->lines[number] = load->line;
    if (!config_set(load->config, key, value, why, sizeof why)) {
        return refuse(load->refusal, "%s:%u: %s: %s, not \"%.100s\"", load->path, load->line, name,
                      why, value);
    }
    return true;
}

static bool take_line(struct loading *load, char *line)
{
    cut_comment(line);
    line = trimmed(line);
    if (*line == '\0') {
        return true;
    }
    char *equals = strchr(line, '=');
    if (!equals) {
        return refuse(load->refusal, "%s:%u: \"%.100s\" is not of the form key = value", load->path,
                      load->line, line);
    }
    *equals = '\0';
    return take_value(load, trimmed(line), trimmed(equals + 1));
}

static bool take_lines(struct loading *load, char *text)
{
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n"))) {
        load->line++;
        if (!take_line(load, line)) {
            return false;
        }
    }
    return true;
}

/* Up to one byte more than allowed, so that the caller can tell. Negative: errno. */
static ssize_t read_whole(int fd, char *buffer, size_t bytes)
{
    size_t used = 0;
    while (used < bytes) {
        ssize_t n = read(fd, buffer + used, bytes - used);
        if (n < 0 && errno != EINTR) {
            return -1;
        }
        if (n == 0) {
            break;
        }
        used += n > 0 ? (size_t)n : 0;
    }
    return (ssize_t)used;
}

static bool regular(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

char *config_file_text(const char *path, struct refusal *refusal)
{
    bool good = false;
    char *text = malloc(CONFIG_FILE_BYTES_MAX + 2);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    ssize_t bytes = fd >= 0 && text ? read_whole(fd, text, CONFIG_FILE_BYTES_MAX + 1) : -1;
    if (fd < 0 || !text) {
        refuse(refusal, "%s: cannot be opened: %s", path, strerror(errno));
    } else if (!regular(fd)) {
        refuse(refusal, "%s: is not a regular file", path);
    } else if (bytes < 0) {
        refuse(refusal, "%s: cannot be read: %s", path, strerror(errno));
    } else if (bytes > (ssize_t)CONFIG_FILE_BYTES_MAX) {
        refuse(refusal, "%s: is larger than %u bytes", path, CONFIG_FILE_BYTES_MAX);
    } else if (memchr(text, '\0', (size_t)bytes)) {
        refuse(refusal, "%s: contains a NUL byte; it is not a text file", path);
    } else {
        text[bytes] = '\0';
        good = true;
    }
    if (!good) {
        free(text);
    }
    if (fd >= 0) {
        close(fd);
    }
    return good ? text : NULL;
}

static bool take_file(struct loading *load, const char *known)
{
    char *text = known ? strdup(known) : config_file_text(load->path, load->refusal);
    if (known && !text) {
        refuse(load->refusal, "there is no memory for the configuration");
    }
    bool good = text && take_lines(load, text);
    free(text);
    return good;
}

/* `replaced` has the lists that the command line has begun to replace. */
static bool take_setting(struct config *config, const char *setting, bool replaced[KEYS_MAX],
                         struct refusal *refusal)
{
    char why[256];
    size_t count, bytes = strcspn(setting, "=");
    const struct config_key *keys = config_keys(&count);
    const struct config_key *key = config_key_of_option(setting, bytes);
    if (!key || setting[bytes] != '=') {
        return refuse(refusal, "--%s: there is no such option", setting);
    }
    if (config_key_repeats(key) && !replaced[key - keys]) {
        config_value_clear(config, key);
        replaced[key - keys] = true;
    }
    if (!config_set(config, key, setting + bytes + 1, why, sizeof why)) {
        return refuse(refusal, "--%.*s: %s, not \"%.100s\"", (int)bytes, setting, why,
                      setting + bytes + 1);
    }
    return true;
}

static bool take_settings(struct config *config, const struct config_source *source,
                          struct refusal *refusal)
{
    bool replaced[KEYS_MAX] = {false};
    for (size_t i = 0; i < source->setting_count; i++) {
        if (!take_setting(config, source->settings[i], replaced, refusal)) {
            refusal->usage = true;
            return false;
        }
    }
    return true;
}

void config_defaults(struct config *config)
{
    char why[256];
    size_t count;
    const struct config_key *keys = config_keys(&count);
    memset(config, 0, sizeof *config);
    for (size_t i = 0; i < count; i++) {
        if (keys[i].standard) {
            config_set(config, &keys[i], keys[i].standard, why, sizeof why);
        }
    }
}

bool config_load(struct config *config, const struct config_source *source,
                 struct refusal *refusal)
{
    struct loading load = {.config = config, .refusal = refusal, .path = source->path};
    *refusal = (struct refusal){.usage = false};
    config_defaults(config);
    if ((source->path && !take_file(&load, source->text)) || !take_settings(config, source, refusal)) {
        config_free(config);
        return false;
    }
    return true;
}

void config_free(struct config *config)
{
    size_t count;
    const struct config_key *keys = config_keys(&count);
    for (size_t i = 0; i < count; i++) {
        config_value_clear(config, &keys[i]);
    }
}

static void swap_bytes(char *a, char *b, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        char kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

void config_reload(struct config *config, struct config *next,
                   void (*kept)(void *context, const char *key), void *context)
{
    size_t count;
    const struct config_key *keys = config_keys(&count);
    for (size_t i = 0; i < count; i++) {
        if (config_value_equal(config, next, &keys[i])) {
            continue;
        }
        if (keys[i].reload) {
            swap_bytes((char *)config + keys[i].offset, (char *)next + keys[i].offset,
                       config_value_bytes(&keys[i]));
        } else {
            kept(context, keys[i].name);
        }
    }
}
