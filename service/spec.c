/*
 * From the request's JSON to a checked spec; see spec.h.
 *
 * One small function per field, listed in one table; each adds its faults to the problem and goes
 * on, so that the caller hears of all of them at once.
 */
#include "service/spec.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define CPU_GRACE_SECONDS 2

struct reading {
    struct spec *spec;
    struct problem *problem;     /* NULL so far so good */
    bool out_of_memory;
    char *account;               /* of `user`, for its supplementary groups; or NULL */
};

static void fault(struct reading *r, const char *pointer, const char *detail)
{
    r->problem =
        problem_add(r->problem, PROBLEM_INVALID_VALUE, FAULT_POINTER, pointer, "%s", detail);
}

static char *copy(struct reading *r, const char *string)
{
    char *result = strdup(string);
    r->out_of_memory |= !result;
    return result;
}

/* ---- what is run ---- */

static void read_argv(struct reading *r, const json_t *value)
{
    size_t count = json_array_size(value);
    if (count == 0) {
        fault(r, "/argv", "must hold at least the program");
        return;
    }
    r->spec->argv = calloc(count + 1, sizeof *r->spec->argv);
    r->out_of_memory |= !r->spec->argv;
    for (size_t i = 0; i < count && r->spec->argv; i++) {
        const json_t *item = json_array_get(value, i);
        char pointer[32];
        snprintf(pointer, sizeof pointer, "/argv/%zu", i);
        if (!json_is_string(item)) {
            fault(r, pointer, "must be a string");
            return;
        }
        r->spec->argv[i] = copy(r, json_string_value(item));
        r->spec->argc = (unsigned)i + 1;
    }
}

static void read_shell(struct reading *r, const json_t *value)
{
    if (r->spec->argv) {
        fault(r, "/shell", "stands instead of argv, not beside it");
        return;
    }
    r->spec->argv = calloc(4, sizeof *r->spec->argv);
    if (!r->spec->argv) {
        r->out_of_memory = true;
        return;
    }
    r->spec->by_shell = true;
    const char *words[3] = {"/bin/sh", "-c", json_string_value(value)};
    for (unsigned i = 0; i < 3; i++) {
        r->spec->argv[i] = copy(r, words[i]);
        r->spec->argc = i + 1;
    }
}

static void read_name(struct reading *r, const json_t *value)
{
    const char *name = json_string_value(value);
    size_t bytes = strlen(name);
    if (bytes < 1 || bytes > 255) {
        fault(r, "/name", "must be 1 to 255 bytes long");
    }
    for (size_t i = 0; i < bytes; i++) {
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f) {
            fault(r, "/name", "must not hold control characters");
            break;
        }
    }
    r->spec->name = copy(r, name);
}

static void read_cwd(struct reading *r, const json_t *value)
{
    const char *cwd = json_string_value(value);
    if (cwd[0] != '/') {
        fault(r, "/cwd", "must be an absolute path");
    }
    r->spec->cwd = copy(r, cwd);
}

static void env_fault(struct reading *r, const char *key, const char *detail)
{
    struct text pointer = {0};
    text_printf(&pointer, "/env/%s", key);
    fault(r, pointer.data ? pointer.data : "/env", detail);
    text_free(&pointer);
}

static void read_env(struct reading *r, const json_t *value)
{
    const char *key;
    json_t *item;
    r->spec->env = calloc(json_object_size(value) + 1, sizeof *r->spec->env);
    if (!r->spec->env) {
        r->out_of_memory = true;
        return;
    }
    json_object_foreach((json_t *)value, key, item) {
        if (!json_is_string(item)) {
            env_fault(r, key, "must be a string");
        } else if (!*key || strchr(key, '=')) {
            env_fault(r, key, "is not a name a variable can have");
        } else {
            struct text pair = {0};
            text_printf(&pair, "%s=%s", key, json_string_value(item));
            char *taken = text_take(&pair, NULL);
            r->out_of_memory |= !taken;
            if (taken) {
                r->spec->env[r->spec->envc++] = taken;
            }
        }
    }
}

bool spec_path_is_plain(const char *path)
{
    for (const char *at = path; *at == '/'; at = strchrnul(at + 1, '/')) {
        if (strncmp(at, "/..", 3) == 0 && (at[3] == '/' || !at[3])) {
            return false;
        }
    }
    return *path == '/';
}

static bool sets(const struct spec *spec, const char *name)
{
    size_t bytes = strlen(name);
    for (unsigned i = 0; i < spec->envc; i++) {
        if (strncmp(spec->env[i], name, bytes) == 0 && spec->env[i][bytes] == '=') {
            return true;
        }
    }
    return false;
}

static void read_env_from(struct reading *r, const json_t *value)
{
    const char *key;
    json_t *item;
    r->spec->secrets = calloc(json_object_size(value) + 1, sizeof *r->spec->secrets);
    if (!r->spec->secrets) {
        r->out_of_memory = true;
        return;
    }
    json_object_foreach((json_t *)value, key, item) {
        const char *file = json_string_value(json_object_get(item, "file"));
        if (!file || !spec_path_is_plain(file)) {
            fault(r, "/env_from", "must map names to {\"file\":…}, an absolute path without \"..\"");
        } else if (sets(r->spec, key)) {
            fault(r, "/env_from", "must not name a variable that env sets");
        } else {
            struct secret *secret = &r->spec->secrets[r->spec->secret_count++];
            *secret = (struct secret){.name = copy(r, key), .file = copy(r, file), .fd = -1};
        }
    }
}

static void read_clear_env(struct reading *r, const json_t *value)
{
    r->spec->clear_env = json_is_true(value);
}

static void read_daemon(struct reading *r, const json_t *value)
{
    r->spec->daemon = json_is_true(value);
}

static void read_start(struct reading *r, const json_t *value)
{
    r->spec->start = json_is_true(value);
}

static void read_api(struct reading *r, const json_t *value)
{
    r->spec->api = json_is_true(value);
}

static void read_labels(struct reading *r, const json_t *value)
{
    const char *key;
    json_t *item;
    if (json_object_size(value) > 64) {
        fault(r, "/labels", "must not hold more than 64");
    }
    json_object_foreach((json_t *)value, key, item) {
        size_t bytes = strlen(key);
        if (!json_is_string(item) || bytes < 1 || bytes > 128 ||
            json_string_length(item) > 1024 || strchr(key, '=')) {
            fault(r, "/labels",
                  "must map names (1 to 128 bytes, no '=') to strings (to 1024 bytes)");
            return;
        }
    }
    r->spec->labels = json_incref((json_t *)value);
}

/* ---- streams ---- */

static void read_stdin(struct reading *r, const json_t *value)
{
    const char *word = json_string_value(value);
    const json_t *text = json_object_get(value, "text");
    const json_t *base64 = json_object_get(value, "base64");
    if (word) {
        r->spec->stdin_mode = strcmp(word, "pipe") == 0 ? STDIN_PIPE : STDIN_NULL;
        if (strcmp(word, "pipe") != 0 && strcmp(word, "null") != 0) {
            fault(r, "/stdin", "must be \"null\", \"pipe\", {\"text\":…} or {\"base64\":…}");
        }
        return;
    }
    r->spec->stdin_mode = STDIN_DATA;
    if (json_object_size(value) != 1 || !json_is_string(text ? text : base64)) {
        fault(r, "/stdin", "must be \"null\", \"pipe\", {\"text\":…} or {\"base64\":…}");
    } else if (text) {
        r->spec->stdin_bytes = json_string_length(text);
        r->spec->stdin_data = copy(r, json_string_value(text));
    } else if (!base64_decode(json_string_value(base64), json_string_length(base64),
                              &r->spec->stdin_data, &r->spec->stdin_bytes)) {
        fault(r, "/stdin/base64", "is not base64 with its padding");
    }
}

static void read_stdout(struct reading *r, const json_t *value)
{
    r->spec->flags |= strcmp(json_string_value(value), "null") == 0 ? SPAWN_STDOUT_NULL : 0;
}

static void read_stderr(struct reading *r, const json_t *value)
{
    const char *word = json_string_value(value);
    r->spec->flags |= strcmp(word, "null") == 0     ? SPAWN_STDERR_NULL
                      : strcmp(word, "stdout") == 0 ? SPAWN_STDERR_MERGED
                                                    : 0;
}

static void read_output(struct reading *r, const json_t *value)
{
    const json_t *max = json_object_get(value, "max_bytes");
    const json_t *word = json_object_get(value, "when_full");
    if (json_is_integer(max)) {
        r->spec->max_output_bytes = (uint64_t)json_integer_value(max);
    }
    for (int i = 0; json_is_string(word) && i <= FULL_BLOCK; i++) {
        if (strcmp(json_string_value(word), when_full_name((enum when_full)i)) == 0) {
            r->spec->when_full = (enum when_full)i;
        }
    }
}

const char *when_full_name(enum when_full when_full)
{
    static const char *const names[] = {"drop_oldest", "drop_newest", "block"};
    return names[when_full];
}

/* ---- who and with what limits ---- */

static struct problem *no_such(const char *stage, const char *pointer, const char *name)
{
    struct problem *problem =
        problem_make(PROBLEM_SPAWN_FAILED, "there is no %s \"%s\"", stage, name);
    problem->error = ENOENT;
    problem->stage = stage;
    return problem_add(problem, PROBLEM_INVALID_VALUE, FAULT_POINTER, pointer,
                       "does not exist here");
}

static void read_user(struct reading *r, const json_t *value)
{
    struct spec *spec = r->spec;
    struct passwd *entry = json_is_string(value) ? getpwnam(json_string_value(value))
                                                 : getpwuid((uid_t)json_integer_value(value));
    if (!entry && json_is_string(value)) {
        problem_free(r->problem);
        r->problem = no_such("user", "/user", json_string_value(value));
        return;
    }
    spec->user_given = true;
    spec->flags |= SPAWN_SET_IDS;
    spec->uid = entry ? entry->pw_uid : (uid_t)json_integer_value(value);
    spec->gid = entry ? entry->pw_gid : (gid_t)json_integer_value(value);
    r->account = entry ? strdup(entry->pw_name) : NULL;
    r->out_of_memory |= entry && !r->account;
}

static void read_group(struct reading *r, const json_t *value)
{
    struct group *entry = json_is_string(value) ? getgrnam(json_string_value(value)) : NULL;
    if (!entry && json_is_string(value)) {
        problem_free(r->problem);
        r->problem = no_such("group", "/group", json_string_value(value));
        return;
    }
    if (!(r->spec->flags & SPAWN_SET_IDS)) {
        r->spec->uid = geteuid();
    }
    r->spec->group_given = true;
    r->spec->flags |= SPAWN_SET_IDS;
    r->spec->gid = entry ? entry->gr_gid : (gid_t)json_integer_value(value);
}

/* How many groups the account has, the chosen one included; without an account that one alone. */
static int count_groups(const struct reading *r)
{
    int count = 0;
    if (r->account) {
        getgrouplist(r->account, r->spec->gid, NULL, &count); /* there is no room, so it counts */
    }
    return count < 1 ? 1 : count > NGROUPS_MAX ? NGROUPS_MAX : count;
}

static void take_groups(struct reading *r)
{
    struct spec *spec = r->spec;
    if (geteuid() != 0 && spec->uid == geteuid() && spec->gid == getegid()) {
        spec->flags &= ~(unsigned)SPAWN_SET_IDS; /* so it is; to say it again needs privileges */
    }
    if (!(spec->flags & SPAWN_SET_IDS)) {
        return;
    }
    int room = count_groups(r), count = room;
    spec->groups = calloc((size_t)room, sizeof *spec->groups);
    if (!spec->groups) {
        r->out_of_memory = true;
        return;
    }
    if (!r->account || getgrouplist(r->account, spec->gid, spec->groups, &count) < 0) {
        spec->groups[0] = spec->gid;
        count = r->account && count > room ? room : 1;
    }
    spec->group_count = (uint32_t)count;
}

static void read_no_new_privs(struct reading *r, const json_t *value)
{
    r->spec->new_privs_asked = json_is_false(value);
    r->spec->flags |= json_is_true(value) ? SPAWN_NO_NEW_PRIVS : 0;
}

static void read_sandbox(struct reading *r, const json_t *value)
{
    r->spec->sandbox = json_incref((json_t *)value);
    r->spec->flags |= SPAWN_NO_NEW_PRIVS;
}

static void read_umask(struct reading *r, const json_t *value)
{
    const char *text = json_string_value(value);
    char *end;
    unsigned long mask = strtoul(text, &end, 8);
    if (!*text || *end || strlen(text) > 4 || mask > 0777 || *text == '-' || *text == '+') {
        fault(r, "/umask", "must be octal digits, \"000\" to \"777\"");
    }
    r->spec->umask = (uint32_t)mask;
    r->spec->flags |= SPAWN_SET_UMASK;
}

static void read_nice(struct reading *r, const json_t *value)
{
    r->spec->nice = (int)json_integer_value(value);
    r->spec->flags |= SPAWN_SET_NICE;
}

static const struct {
    const char *name;
    unsigned resource;
} limits[] = {
    {"as_bytes", RLIMIT_AS},           {"core_bytes", RLIMIT_CORE},
    {"cpu_seconds", RLIMIT_CPU},       {"data_bytes", RLIMIT_DATA},
    {"fsize_bytes", RLIMIT_FSIZE},     {"memlock_bytes", RLIMIT_MEMLOCK},
    {"nofile", RLIMIT_NOFILE},         {"nproc", RLIMIT_NPROC},
    {"stack_bytes", RLIMIT_STACK},     {"msgqueue_bytes", RLIMIT_MSGQUEUE},
    {"sigpending", RLIMIT_SIGPENDING},
};

const char *spec_limit_name(unsigned resource)
{
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        if (limits[i].resource == resource) {
            return limits[i].name;
        }
    }
    return NULL;
}

int spec_limit_resource(const char *name, size_t bytes)
{
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        if (strlen(limits[i].name) == bytes && memcmp(limits[i].name, name, bytes) == 0) {
            return (int)limits[i].resource;
        }
    }
    return -1;
}

/* The kernel sends SIGXCPU at the soft limit and SIGKILL at the hard one: a little later, so that
   the first is seen. Only root may go above its own hard limit. */
static uint64_t hard_cpu_limit(uint64_t soft)
{
    struct rlimit own = {RLIM_INFINITY, RLIM_INFINITY};
    getrlimit(RLIMIT_CPU, &own);
    uint64_t hard = soft + CPU_GRACE_SECONDS;
    return hard > own.rlim_max && soft <= own.rlim_max ? own.rlim_max : hard;
}

void spec_set_limit(struct spec *spec, unsigned resource, uint64_t amount)
{
    spec->rlimit_mask |= 1u << resource;
    spec->rlimits[resource].soft = amount;
    spec->rlimits[resource].hard = resource == RLIMIT_CPU ? hard_cpu_limit(amount) : amount;
}

static void read_rlimits(struct reading *r, const json_t *value)
{
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        const json_t *item = json_object_get(value, limits[i].name);
        if (json_is_integer(item)) {
            spec_set_limit(r->spec, limits[i].resource, (uint64_t)json_integer_value(item));
        }
    }
    r->spec->rlimits_asked = r->spec->rlimit_mask;
}

/* ---- the end ---- */

static void read_timeout(struct reading *r, const json_t *value)
{
    r->spec->timeout_us = (int64_t)(json_number_value(value) * 1e6);
    if (r->spec->timeout_us < 1) {
        fault(r, "/timeout_seconds", "must be more than 0");
    }
}

static void read_stop(struct reading *r, const json_t *value)
{
    const json_t *signal = json_object_get(value, "signal");
    const json_t *grace = json_object_get(value, "grace_seconds");
    if (signal) {
        r->spec->stop_signal = signal_from_json(signal);
        if (!r->spec->stop_signal) {
            fault(r, "/stop/signal", "is not a signal");
        }
    }
    if (json_is_number(grace)) {
        r->spec->grace_us = (int64_t)(json_number_value(grace) * 1e6);
    }
}

static void read_requires(struct reading *r, const json_t *value)
{
    r->spec->requires_lock = copy(r, json_string_value(json_object_get(value, "lock")));
}

static void read_on_exit(struct reading *r, const json_t *value)
{
    r->spec->on_exit_queue = copy(r, json_string_value(json_object_get(value, "queue")));
}

static const struct {
    const char *field;
    void (*read)(struct reading *r, const json_t *value);
} fields[] = {
    {"argv", read_argv},       {"shell", read_shell},     {"name", read_name},
    {"cwd", read_cwd},         {"env", read_env},         {"clear_env", read_clear_env},
    {"env_from", read_env_from},
    {"daemon", read_daemon},   {"start", read_start},     {"stdin", read_stdin},
    {"stdout", read_stdout},   {"stderr", read_stderr},   {"user", read_user},
    {"group", read_group},     {"umask", read_umask},     {"nice", read_nice},
    {"rlimits", read_rlimits}, {"timeout_seconds", read_timeout}, {"stop", read_stop},
    {"output", read_output},   {"labels", read_labels},   {"api", read_api},
    {"requires", read_requires}, {"on_exit", read_on_exit}, {"no_new_privs", read_no_new_privs},
    {"sandbox", read_sandbox},
};

struct problem *spec_from_json(const json_t *body, const struct spec_defaults *defaults,
                               struct spec **out)
{
    *out = NULL;
    struct spec *spec = calloc(1, sizeof *spec);
    if (!spec) {
        return problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for the request");
    }
    *spec = (struct spec){.start = true, .api = true, .stop_signal = 15,
                          .grace_us = defaults->grace_us, .when_full = defaults->when_full,
                          .max_output_bytes = defaults->max_output_bytes, .program = -1,
                          .directory = -1, .ruleset = -1};
    struct reading r = {.spec = spec};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const json_t *value = json_object_get(body, fields[i].field);
        if (value && !json_is_null(value)) {
            fields[i].read(&r, value);
        }
    }
    take_groups(&r);
    free(r.account);
    if (spec->sandbox && spec->new_privs_asked) {
        fault(&r, "/no_new_privs", "must not be false with a sandbox");
    }
    if (!spec->argv && !r.problem && !r.out_of_memory) {
        r.problem = problem_add(NULL, PROBLEM_MISSING_FIELD, FAULT_POINTER, "/argv",
                                "either argv or shell is needed");
    }
    if (r.out_of_memory && !r.problem) {
        r.problem = problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for the request");
    }
    if (r.problem) {
        spec_free(spec);
        return r.problem;
    }
    *out = spec;
    return NULL;
}

static void free_secrets(struct spec *spec)
{
    for (unsigned i = 0; i < spec->secret_count; i++) {
        struct secret *secret = &spec->secrets[i];
        free(secret->name);
        free(secret->file);
        free(secret->pair);
        if (secret->fd >= 0) {
            close(secret->fd);
        }
    }
    free(spec->secrets);
}

void spec_free(struct spec *spec)
{
    if (!spec) {
        return;
    }
    for (unsigned i = 0; i < spec->argc; i++) {
        free(spec->argv[i]);
    }
    for (unsigned i = 0; i < spec->envc; i++) {
        free(spec->env[i]);
    }
    free_secrets(spec);
    free(spec->argv);
    free(spec->env);
    free(spec->name);
    free(spec->cwd);
    free(spec->stdin_data);
    free(spec->requires_lock);
    free(spec->on_exit_queue);
    free(spec->groups);
    json_decref(spec->labels);
    if (spec->program >= 0) {
        close(spec->program);
    }
    if (spec->directory >= 0) {
        close(spec->directory);
    }
    if (spec->ruleset >= 0) {
        close(spec->ruleset);
    }
    json_decref(spec->sandbox);
    free(spec);
}
