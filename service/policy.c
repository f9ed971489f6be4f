/* The spawn policy but for files; see policy.h. */
#include "service/policy.h"

#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "service/secrets.h"

#define OWN_GROUPS_MAX 256

static struct problem *deny(struct problem *problem, const char *pointer, const char *why)
{
    return problem_add(problem, PROBLEM_SPAWN_DENIED, FAULT_POINTER, pointer, "%s", why);
}

/* ---- what holds unless something else is said ---- */

static void complete_limits(const struct config_limits *limits, struct spec *spec)
{
    for (unsigned r = 0; r < SPAWN_RLIMITS; r++) {
        struct rlimit own = {RLIM_INFINITY, RLIM_INFINITY};
        if (!(limits->mask & ~spec->rlimits_asked & 1u << r)) {
            continue;
        }
        getrlimit((__rlimit_resource_t)r, &own);
        uint64_t has = spec->rlimit_mask >> r & 1 ? spec->rlimits[r].soft : own.rlim_max;
        spec_set_limit(spec, r, has < limits->most[r] ? has : limits->most[r]);
    }
}

void policy_complete(const struct config *config, struct spec *spec)
{
    if (config->spawn_no_new_privs && !spec->new_privs_asked) {
        spec->flags |= SPAWN_NO_NEW_PRIVS;
    }
    if (config->spawn_max_rlimits.mask) {
        complete_limits(&config->spawn_max_rlimits, spec);
    }
}

/* ---- users and groups ---- */

/* A number, else a name. */
static bool is_number(const char *item, uint32_t *number)
{
    char *end;
    unsigned long value = strtoul(item, &end, 10);
    *number = (uint32_t)value;
    return *item >= '0' && *item <= '9' && !*end && value < UINT32_MAX;
}

static bool names_user(const char *item, uid_t uid)
{
    uint32_t number;
    if (is_number(item, &number)) {
        return number == uid;
    }
    const struct passwd *entry = getpwnam(item);
    return entry && entry->pw_uid == uid;
}

static bool names_group(const char *item, gid_t gid)
{
    uint32_t number;
    if (is_number(item, &number)) {
        return number == gid;
    }
    const struct group *entry = getgrnam(item);
    return entry && entry->gr_gid == gid;
}

static bool lists_user(const struct config_list *users, uid_t uid)
{
    for (size_t i = 0; i < users->count; i++) {
        if (names_user(users->items[i], uid)) {
            return true;
        }
    }
    return false;
}

static bool lists_group(const struct config_list *groups, gid_t gid)
{
    for (size_t i = 0; i < groups->count; i++) {
        if (names_group(groups->items[i], gid)) {
            return true;
        }
    }
    return false;
}

/* Is it one of the groups that the machine gives this user? */
static bool is_group_of(uid_t uid, gid_t gid)
{
    gid_t groups[OWN_GROUPS_MAX];
    int count = OWN_GROUPS_MAX;
    const struct passwd *entry = getpwuid(uid);
    if (!entry || getgrouplist(entry->pw_name, entry->pw_gid, groups, &count) < 0) {
        return entry && entry->pw_gid == gid;
    }
    while (count > 0 && groups[count - 1] != gid) {
        count--;
    }
    return count > 0;
}

/* Judged by what it would run as, whether it asks for that or not: the daemon may be root's. */
static struct problem *check_ids(const struct config *config, const struct spec *spec,
                                 struct problem *problem)
{
    bool set = spec->flags & SPAWN_SET_IDS;
    uid_t uid = set ? spec->uid : geteuid();
    const struct config_list *users = &config->spawn_users, *groups = &config->spawn_groups;
    if (users->count && !lists_user(users, uid)) {
        problem = deny(problem, "/user", "spawn.users does not have the user that it would run as");
    }
    if (set && spec->group_given && (users->count || groups->count) &&
        !lists_group(groups, spec->gid) && !is_group_of(uid, spec->gid)) {
        problem = deny(problem, "/group",
                       "spawn.groups does not have it, nor is it one of the user's");
    }
    return problem;
}

/* ---- environment ---- */

/* A name, or the beginning of one with a '*' behind. */
static bool fits(const char *item, const char *name, size_t bytes)
{
    size_t length = strlen(item);
    bool open = length && item[length - 1] == '*';
    length -= open;
    return (open ? bytes >= length : bytes == length) && memcmp(item, name, length) == 0;
}

static bool lists_variable(const struct config_list *list, const char *name, size_t bytes)
{
    for (size_t i = 0; i < list->count; i++) {
        if (fits(list->items[i], name, bytes)) {
            return true;
        }
    }
    return false;
}

void policy_pointer(struct text *text, const char *member, const char *name, size_t bytes)
{
    text_put(text, member);
    text_putc(text, '/');
    for (size_t i = 0; i < bytes; i++) {
        name[i] == '~'   ? text_put(text, "~0")
        : name[i] == '/' ? text_put(text, "~1")
                         : text_putc(text, name[i]);
    }
}

static struct problem *deny_variable(struct problem *problem, const char *member, const char *name,
                                     size_t bytes, const char *why)
{
    struct text pointer = {0};
    policy_pointer(&pointer, member, name, bytes);
    problem = deny(problem, pointer.failed ? member : pointer.data, why);
    text_free(&pointer);
    return problem;
}

static struct problem *check_variable(const struct config *config, const char *member,
                                      const char *pair, struct problem *problem)
{
    size_t bytes = strcspn(pair, "=");
    if (lists_variable(&config->spawn_env_deny, pair, bytes)) {
        return deny_variable(problem, member, pair, bytes, "spawn.env_deny has it");
    }
    if (config->spawn_env_allow.count && !lists_variable(&config->spawn_env_allow, pair, bytes)) {
        return deny_variable(problem, member, pair, bytes, "spawn.env_allow does not have it");
    }
    return problem;
}

static struct problem *check_environment(const struct config *config, const struct spec *spec,
                                         struct problem *problem)
{
    if (!config->spawn_env_allow.count && !config->spawn_env_deny.count) {
        return problem;
    }
    for (unsigned i = 0; i < spec->envc; i++) {
        problem = check_variable(config, "/env", spec->env[i], problem);
    }
    for (unsigned i = 0; i < spec->secret_count; i++) {
        problem = check_variable(config, "/env_from", spec->secrets[i].name, problem);
    }
    return problem;
}

/* ---- the rest ---- */

static struct problem *check_new_privs(const struct config *config, const struct spec *spec,
                                       struct problem *problem)
{
    if (!config->spawn_no_new_privs || config->spawn_allow_new_privs ||
        (spec->flags & SPAWN_NO_NEW_PRIVS)) {
        return problem;
    }
    return deny(problem, "/no_new_privs", "spawn.allow_new_privs does not let it do without");
}

/* Last: alone it is a value that is not valid, among others one more fault. */
static struct problem *check_limits(const struct config_limits *limits, const struct spec *spec,
                                    struct problem *problem)
{
    char pointer[64];
    for (unsigned r = 0; r < SPAWN_RLIMITS; r++) {
        if ((limits->mask & spec->rlimit_mask & 1u << r) &&
            spec->rlimits[r].soft > limits->most[r]) {
            snprintf(pointer, sizeof pointer, "/rlimits/%s", spec_limit_name(r));
            problem = problem_add(problem, PROBLEM_INVALID_VALUE, FAULT_POINTER, pointer,
                                  "must be %llu at most, says spawn.max_rlimits",
                                  (unsigned long long)limits->most[r]);
        }
    }
    return problem;
}

struct problem *policy_check(const struct service *service, const struct owner *asker,
                             struct spec *spec)
{
    const struct config *config = service->config;
    struct problem *problem = check_new_privs(config, spec, NULL);
    problem = check_ids(config, spec, problem);
    problem = check_environment(config, spec, problem);
    problem = secrets_check(service, asker, spec, problem);
    problem = policy_check_files(service, spec, problem);
    return check_limits(&config->spawn_max_rlimits, spec, problem);
}

struct problem *policy_check_count(const struct service *service, const struct fact_id *account)
{
    uint64_t most = service->config->spawn_max_processes_per_owner;
    if (!most || account_processes(&service->processes.accounts, account) < most) {
        return NULL;
    }
    struct problem *problem = problem_make(
        PROBLEM_LIMIT_REACHED, "who asks has as many processes as spawn.max_processes_per_owner (%llu)",
        (unsigned long long)most);
    problem->retry_after_seconds = 1;
    return problem;
}

/* ---- shown ---- */

static void list_json(struct text *text, const char *key, const struct config_list *list)
{
    text_json_key(text, key);
    text_putc(text, '[');
    for (size_t i = 0; i < list->count; i++) {
        text_json_comma(text);
        text_json_string(text, list->items[i]);
    }
    text_putc(text, ']');
}

static void limits_json(struct text *text, const struct config_limits *limits)
{
    text_json_key(text, "max_rlimits");
    text_putc(text, '{');
    for (unsigned r = 0; r < SPAWN_RLIMITS; r++) {
        if (limits->mask >> r & 1) {
            text_json_key(text, spec_limit_name(r));
            text_unsigned(text, limits->most[r]);
        }
    }
    text_putc(text, '}');
}

void policy_json(struct text *text, const struct config *config)
{
    text_put(text, "{\"no_new_privs\":");
    text_json_bool(text, config->spawn_no_new_privs);
    text_json_key(text, "allow_new_privs");
    text_json_bool(text, config->spawn_allow_new_privs);
    list_json(text, "users", &config->spawn_users);
    list_json(text, "groups", &config->spawn_groups);
    list_json(text, "executables", &config->spawn_executables);
    list_json(text, "directories", &config->spawn_directories);
    list_json(text, "env_allow", &config->spawn_env_allow);
    list_json(text, "env_deny", &config->spawn_env_deny);
    list_json(text, "secret_directories", &config->spawn_secret_directories);
    text_json_key(text, "secrets_for_processes");
    text_json_bool(text, config->spawn_secrets_for_processes);
    limits_json(text, &config->spawn_max_rlimits);
    text_json_key(text, "max_processes_per_owner");
    config->spawn_max_processes_per_owner
        ? text_unsigned(text, config->spawn_max_processes_per_owner)
        : text_put(text, "null");
    text_putc(text, '}');
}
