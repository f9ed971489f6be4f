/*
 * The table of configuration keys, and how a value of each type is read, compared and freed.
 *
 * Adding a key is: a field in struct config, a row here, a row in docs/configuration.md. A value
 * is either taken whole or refused with a sentence that says what it must be; nothing is clipped.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/config.h"
#include "service/scope.h"

#define SECOND INT64_C(1000000)
#define YEAR (366 * 86400 * SECOND)
#define COUNTS INT64_C(1000000000)
#define MIB (INT64_C(1) << 20)
#define TIB (INT64_C(1) << 40)

static const struct config_word sync_words[] = {
    {"normal", CONFIG_SYNC_NORMAL}, {"full", CONFIG_SYNC_FULL}, {NULL, 0}};
static const struct config_word seccomp_words[] = {
    {"auto", CONFIG_SECCOMP_AUTO}, {"on", CONFIG_SECCOMP_ON}, {"off", CONFIG_SECCOMP_OFF},
    {NULL, 0}};
static const struct config_word level_words[] = {
    {"debug", 10}, {"info", 20}, {"warning", 30}, {"error", 40}, {NULL, 0}};
static const struct config_word truth_words[] = {{"false", 0}, {"true", 1}, {NULL, 0}};
static const struct config_word when_full_words[] = {
    {"drop_oldest", FULL_DROP_OLDEST}, {"drop_newest", FULL_DROP_NEWEST},
    {"block", FULL_BLOCK}, {NULL, 0}};

#define FIELD(field) offsetof(struct config, field)
#define LIST(name, field) {name, CONFIG_LIST, FIELD(field), NULL, 0, CONFIG_LIST_MAX, NULL, false}
#define POLICY(name, type, field) {name, type, FIELD(field), NULL, 0, CONFIG_POLICY_MAX, NULL, true}
#define TEXT(name, field, reload) {name, CONFIG_TEXT, FIELD(field), NULL, 0, 0, NULL, reload}
#define COUNT(name, field, standard, least, most, reload)                                          \
    {name, CONFIG_COUNT, FIELD(field), standard, least, most, NULL, reload}
#define BYTES(name, field, standard, least, most, reload)                                          \
    {name, CONFIG_BYTES, FIELD(field), standard, least, most, NULL, reload}
#define SECONDS(name, field, standard, least, most)                                                \
    {name, CONFIG_SECONDS, FIELD(field), standard, least, most, NULL, true}
#define WORD(name, field, standard, words)                                                         \
    {name, CONFIG_WORD, FIELD(field), standard, 0, 0, words, true}
#define FIXED_WORD(name, field, standard, words)                                                   \
    {name, CONFIG_WORD, FIELD(field), standard, 0, 0, words, false}

static const struct config_key keys[] = {
    LIST("listen", listen),
    TEXT("socket", socket, false),
    {"unix.peer", CONFIG_PEERS, FIELD(unix_peers), NULL, 0, 0, NULL, true},
    TEXT("server.user", server_user, false),
    LIST("server.spawn_users", server_spawn_users),
    FIXED_WORD("server.seccomp", server_seccomp, "auto", seccomp_words),
    TEXT("tls.certificate", tls_certificate, true),
    TEXT("tls.key", tls_key, true),
    TEXT("tls.client_ca", tls_client_ca, true),
    {"tls.client", CONFIG_CLIENTS, FIELD(tls_clients), NULL, 0, 0, NULL, true},
    BYTES("spool.bytes", spool_bytes, "64M", 8 * MIB, 4096 * MIB, false),
    COUNT("max_processes", max_processes, "10000", 1, 1000000, true),
    COUNT("max_sessions", max_sessions, "10000", 1, 1000000, true),
    COUNT("max_tokens", max_tokens, "10000", 1, 1000000, true),
    COUNT("max_objects", max_objects, "100000", 1, 10000000, true),
    COUNT("max_holds", max_holds, "1000000", 1, 10000000, true),
    BYTES("max_payload_bytes", max_payload_bytes, "16M", 1024, 1024 * MIB, true),
    WORD("sync", sync, "normal", sync_words),
    FIXED_WORD("core_dumps", core_dumps, "false", truth_words),
    WORD("log.level", log_level, "debug", level_words),

    COUNT("retention.ended_count", retention_ended_count, "10000", 0, COUNTS, true),
    SECONDS("retention.ended_age_seconds", retention_ended_age_us, "604800", 0, 100 * YEAR),
    BYTES("retention.logs_total_bytes", retention_logs_total_bytes, "8G", MIB, 1024 * TIB, true),
    BYTES("logs.wal_bytes", logs_wal_bytes, "512M", 16 * MIB, 64 * 1024 * MIB, true),
    COUNT("feed.max_changes", feed_max_changes, "1000000", 100, COUNTS, true),
    COUNT("feed.max_log", feed_max_log, "100000", 100, COUNTS, true),
    SECONDS("feed.age_seconds", feed_age_us, "604800", SECOND, 100 * YEAR),
    COUNT("audit.max_rows", audit_max_rows, "100000", 100, COUNTS, true),
    SECONDS("audit.age_seconds", audit_age_us, "7776000", SECOND, 100 * YEAR),
    SECONDS("idempotency.age_seconds", idempotency_age_us, "86400", SECOND, YEAR),

    BYTES("queues.max_total_bytes", queues_max_total_bytes, "1G", MIB, TIB, true),
    BYTES("pools.max_total_bytes", pools_max_total_bytes, "256M", MIB, TIB, true),
    COUNT("pools.keep_tasks", pools_keep_tasks, "50000", 0, COUNTS, true),
    SECONDS("pools.keep_age_seconds", pools_keep_us, "86400", 0, YEAR),

    COUNT("metrics.objects", metrics_objects, "100", 0, 100000, true),

    BYTES("output.max_bytes", output_max_bytes, "64M", 4096, 1024 * TIB, true),
    WORD("output.when_full", output_when_full, "drop_oldest", when_full_words),
    SECONDS("stop.grace_seconds", stop_grace_us, "10", 0, YEAR),
    SECONDS("shutdown.wait_seconds", shutdown_wait_us, "10", 0, YEAR),

    COUNT("auth.failures", auth_failures, "1000", 1, COUNTS, true),
    COUNT("auth.code_failures", auth_code_failures, "20", 1, COUNTS, true),
    WORD("spawn.no_new_privs", spawn_no_new_privs, "true", truth_words),
    WORD("spawn.allow_new_privs", spawn_allow_new_privs, "false", truth_words),
    POLICY("spawn.users", CONFIG_LIST, spawn_users),
    POLICY("spawn.groups", CONFIG_LIST, spawn_groups),
    POLICY("spawn.executables", CONFIG_PATHS, spawn_executables),
    POLICY("spawn.directories", CONFIG_PATHS, spawn_directories),
    POLICY("spawn.env_allow", CONFIG_VARIABLES, spawn_env_allow),
    POLICY("spawn.env_deny", CONFIG_VARIABLES, spawn_env_deny),
    POLICY("spawn.secret_directories", CONFIG_PATHS, spawn_secret_directories),
    WORD("spawn.secrets_for_processes", spawn_secrets_for_processes, "false", truth_words),
    {"spawn.max_rlimits", CONFIG_LIMITS, FIELD(spawn_max_rlimits), NULL, 0, 0, NULL, true},
    COUNT("spawn.max_processes_per_owner", spawn_max_processes_per_owner, "0", 0, 1000000, true),

    LIST("http.host", http_hosts),
    COUNT("http.connections", http_connections, "16384", 16, 1000000, false),
    BYTES("http.body_bytes", http_body_bytes, "1M", 1024, 64 * MIB, true),
    SECONDS("http.header_seconds", http_header_us, "10", SECOND / 10, 3600 * SECOND),
    SECONDS("http.body_seconds", http_body_us, "60", SECOND / 10, 86400 * SECOND),
    SECONDS("http.idle_seconds", http_idle_us, "75", SECOND / 10, 86400 * SECOND),
};

const struct config_key *config_keys(size_t *count)
{
    *count = sizeof keys / sizeof keys[0];
    return keys;
}

bool config_key_repeats(const struct config_key *key)
{
    return key->type <= CONFIG_CLIENTS;
}

static char option_letter(char c)
{
    return c == '.' || c == '_' ? '-' : c;
}

static bool option_names(const char *word, size_t bytes, const char *name)
{
    if (strlen(name) != bytes) {
        return false;
    }
    for (size_t i = 0; i < bytes; i++) {
        if (option_letter(word[i]) != option_letter(name[i])) {
            return false;
        }
    }
    return true;
}

const struct config_key *config_key_of_option(const char *word, size_t bytes)
{
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (option_names(word, bytes, keys[i].name)) {
            return &keys[i];
        }
    }
    return NULL;
}

static void *field_of(struct config *config, const struct config_key *key)
{
    return (char *)config + key->offset;
}

static const void *field_in(const struct config *config, const struct config_key *key)
{
    return (const char *)config + key->offset;
}

/* ---- reading, one function per type; `why` says what the value must be ---- */

struct reading {
    void *field;
    const struct config_key *key;
    const char *value;
    char *why;
    size_t why_bytes;
};

static bool plain_text(const struct reading *in)
{
    for (const char *c = in->value; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f) {
            snprintf(in->why, in->why_bytes, "must not contain control characters");
            return false;
        }
    }
    if (*in->value == '\0') {
        snprintf(in->why, in->why_bytes, "must not be empty");
        return false;
    }
    return true;
}

static char *text_copy(const struct reading *in)
{
    char *copy = strdup(in->value);
    if (!copy) {
        snprintf(in->why, in->why_bytes, "there is no memory for it");
    }
    return copy;
}

static bool read_list(const struct reading *in)
{
    struct config_list *list = in->field;
    if (!plain_text(in)) {
        return false;
    }
    if (list->count == (size_t)in->key->most) {
        snprintf(in->why, in->why_bytes, "may stand %d times at most", (int)in->key->most);
        return false;
    }
    list->items[list->count] = text_copy(in);
    return list->items[list->count] && ++list->count;
}

static bool read_path(const struct reading *in)
{
    if (*in->value != '/') {
        snprintf(in->why, in->why_bytes, "must be an absolute path");
        return false;
    }
    return read_list(in);
}

static bool read_variable(const struct reading *in)
{
    const char *star = strchr(in->value, '*');
    if (strchr(in->value, '=') || (star && star[1])) {
        snprintf(in->why, in->why_bytes,
                 "must be the name of a variable, or how it begins and a '*'");
        return false;
    }
    return read_list(in);
}

/* Digits up to *end, no sign, no blank. */
static bool read_digits(const char *value, char **end, int64_t *number)
{
    if (*value < '0' || *value > '9') {
        return false;
    }
    errno = 0;
    *number = strtoll(value, end, 10);
    return errno == 0;
}

/* "uid:1000 read,logs" */
static bool parse_peer(const char *value, struct config_peer *out)
{
    char *end;
    int64_t id;
    if (strncmp(value, "uid:", 4) != 0 && strncmp(value, "gid:", 4) != 0) {
        return false;
    }
    if (!read_digits(value + 4, &end, &id) || id >= UINT32_MAX || *end != ' ') {
        return false;
    }
    out->is_group = *value == 'g';
    out->id = (uint32_t)id;
    return scopes_from_words(end + strspn(end, " "), &out->scopes);
}

static bool read_peer(const struct reading *in)
{
    struct config_peers *peers = in->field;
    struct config_peer peer;
    if (peers->count == CONFIG_LIST_MAX) {
        snprintf(in->why, in->why_bytes, "may stand %d times at most", CONFIG_LIST_MAX);
        return false;
    }
    if (!parse_peer(in->value, &peer)) {
        snprintf(in->why, in->why_bytes, "must be uid:NUMBER or gid:NUMBER, a blank, and some of "
                 SCOPE_WORDS " with commas");
        return false;
    }
    peers->items[peers->count++] = peer;
    return true;
}

/* "nofile=1024" */
static bool read_limit(const struct reading *in)
{
    struct config_limits *limits = in->field;
    size_t name = strcspn(in->value, "=");
    int resource = spec_limit_resource(in->value, name);
    int64_t amount;
    char *end;
    if (resource < 0 || in->value[name] != '=' ||
        !read_digits(in->value + name + 1, &end, &amount) || *end) {
        snprintf(in->why, in->why_bytes, "must be the name of a limit, '=' and a whole number");
        return false;
    }
    limits->mask |= 1u << resource;
    limits->most[resource] = (uint64_t)amount;
    return true;
}

/* Bytes of the subject in "CN=alice read,operate"; 0: it is not of that form. Names hold blanks, but
   "CN=alice read, operate" is a slip. */
static size_t subject_bytes(const char *value, unsigned *scopes)
{
    const char *blank = strrchr(value, ' ');
    if (!blank || !scopes_from_words(blank + 1, scopes)) {
        return 0;
    }
    while (blank > value && blank[-1] == ' ') {
        blank--;
    }
    size_t bytes = (size_t)(blank - value);
    return memchr(value, '=', bytes) && value[bytes - 1] != ',' ? bytes : 0;
}

static bool read_client(const struct reading *in)
{
    struct config_clients *clients = in->field;
    unsigned scopes;
    size_t bytes = subject_bytes(in->value, &scopes);
    if (clients->count == CONFIG_LIST_MAX) {
        snprintf(in->why, in->why_bytes, "may stand %d times at most", CONFIG_LIST_MAX);
        return false;
    }
    if (!bytes) {
        snprintf(in->why, in->why_bytes, "must be the name in a certificate as CN=alice, a blank, "
                 "and some of " SCOPE_WORDS " with commas");
        return false;
    }
    char *subject = strndup(in->value, bytes);
    if (!subject) {
        snprintf(in->why, in->why_bytes, "there is no memory for it");
        return false;
    }
    clients->items[clients->count++] = (struct config_client){subject, scopes};
    return true;
}

static bool read_text(const struct reading *in)
{
    char *copy = plain_text(in) ? text_copy(in) : NULL;
    if (copy) {
        char **field = in->field;
        free(*field);
        *field = copy;
    }
    return copy;
}

static bool store_unsigned(const struct reading *in, int64_t number)
{
    uint64_t units = (uint64_t)number;
    memcpy(in->field, &units, sizeof units);
    return true;
}

static bool read_count(const struct reading *in)
{
    char *end;
    int64_t number;
    if (read_digits(in->value, &end, &number) && !*end && number >= in->key->least &&
        number <= in->key->most) {
        return store_unsigned(in, number);
    }
    snprintf(in->why, in->why_bytes, "must be a whole number from %" PRId64 " to %" PRId64,
             in->key->least, in->key->most);
    return false;
}

/* "", "K", "KiB" → 0, 10 … 40 bits; -1: no unit. */
static int unit_shift(const char *unit)
{
    static const char letters[] = "KMGT";
    const char *place = *unit ? strchr(letters, *unit & ~0x20) : NULL;
    if (!*unit) {
        return 0;
    }
    if (!place || (unit[1] && strcmp(unit + 1, "iB") != 0)) {
        return -1;
    }
    return 10 * (int)(place - letters + 1);
}

static bool read_bytes(const struct reading *in)
{
    char *end;
    int64_t number;
    if (read_digits(in->value, &end, &number)) {
        while (*end == ' ') {
            end++;
        }
        int shift = unit_shift(end);
        if (shift >= 0 && number <= in->key->most >> shift && number << shift >= in->key->least) {
            return store_unsigned(in, number << shift);
        }
    }
    snprintf(in->why, in->why_bytes,
             "must be a size from %" PRId64 " to %" PRId64 " bytes (K, M, G or T may follow)",
             in->key->least, in->key->most);
    return false;
}

/* "1.5" → 1500000; at most 6 decimals. */
static bool read_decimal(const char *value, int64_t *number)
{
    char *end;
    if (!read_digits(value, &end, number) || *number > INT64_MAX / SECOND - 1) {
        return false;
    }
    *number *= SECOND;
    if (*end != '.') {
        return *end == '\0';
    }
    int64_t unit = SECOND / 10;
    const char *digit = end + 1;
    for (; *digit >= '0' && *digit <= '9' && unit; digit++, unit /= 10) {
        *number += (*digit - '0') * unit;
    }
    return *digit == '\0' && digit > end + 1;
}

static bool read_seconds(const struct reading *in)
{
    int64_t number;
    if (read_decimal(in->value, &number) && number >= in->key->least && number <= in->key->most) {
        memcpy(in->field, &number, sizeof number);
        return true;
    }
    snprintf(in->why, in->why_bytes, "must be seconds from %g to %.0f, with 6 decimals at most",
             (double)in->key->least / (double)SECOND, (double)in->key->most / (double)SECOND);
    return false;
}

static bool read_word(const struct reading *in)
{
    size_t used = (size_t)snprintf(in->why, in->why_bytes, "must be one of");
    for (const struct config_word *word = in->key->words; word->text; word++) {
        if (strcmp(in->value, word->text) == 0) {
            memcpy(in->field, &word->value, sizeof word->value);
            return true;
        }
        if (used < in->why_bytes) {
            used += (size_t)snprintf(in->why + used, in->why_bytes - used, " %s", word->text);
        }
    }
    return false;
}

static const struct {
    bool (*read)(const struct reading *in);
    size_t field_bytes;
} types[] = {
    [CONFIG_LIST] = {read_list, sizeof(struct config_list)},
    [CONFIG_PATHS] = {read_path, sizeof(struct config_list)},
    [CONFIG_VARIABLES] = {read_variable, sizeof(struct config_list)},
    [CONFIG_LIMITS] = {read_limit, sizeof(struct config_limits)},
    [CONFIG_PEERS] = {read_peer, sizeof(struct config_peers)},
    [CONFIG_CLIENTS] = {read_client, sizeof(struct config_clients)},
    [CONFIG_TEXT] = {read_text, sizeof(char *)},
    [CONFIG_COUNT] = {read_count, sizeof(uint64_t)},
    [CONFIG_BYTES] = {read_bytes, sizeof(uint64_t)},
    [CONFIG_SECONDS] = {read_seconds, sizeof(int64_t)},
    [CONFIG_WORD] = {read_word, sizeof(int)},
};

bool config_set(struct config *config, const struct config_key *key, const char *value, char *why,
                size_t why_bytes)
{
    struct reading in = {field_of(config, key), key, value, why, why_bytes};
    return types[key->type].read(&in);
}

static bool is_list(const struct config_key *key)
{
    return key->type <= CONFIG_VARIABLES;
}

size_t config_value_bytes(const struct config_key *key)
{
    return types[key->type].field_bytes;
}

void config_value_clear(struct config *config, const struct config_key *key)
{
    if (key->type == CONFIG_TEXT) {
        char **text = field_of(config, key);
        free(*text);
    } else if (is_list(key)) {
        struct config_list *list = field_of(config, key);
        while (list->count) {
            free(list->items[--list->count]);
        }
    } else if (key->type == CONFIG_CLIENTS) {
        struct config_clients *clients = field_of(config, key);
        while (clients->count) {
            free(clients->items[--clients->count].subject);
        }
    }
    memset(field_of(config, key), 0, config_value_bytes(key));
}

static bool texts_equal(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool lists_equal(const struct config_list *a, const struct config_list *b)
{
    bool equal = a->count == b->count;
    for (size_t i = 0; equal && i < a->count; i++) {
        equal = texts_equal(a->items[i], b->items[i]);
    }
    return equal;
}

static bool clients_equal(const struct config_clients *a, const struct config_clients *b)
{
    bool equal = a->count == b->count;
    for (size_t i = 0; equal && i < a->count; i++) {
        equal = texts_equal(a->items[i].subject, b->items[i].subject) &&
                a->items[i].scopes == b->items[i].scopes;
    }
    return equal;
}

bool config_value_equal(const struct config *a, const struct config *b,
                        const struct config_key *key)
{
    const void *one = field_in(a, key), *other = field_in(b, key);
    if (is_list(key)) {
        return lists_equal(one, other);
    }
    if (key->type == CONFIG_CLIENTS) {
        return clients_equal(one, other);
    }
    if (key->type == CONFIG_TEXT) {
        return texts_equal(*(char *const *)one, *(char *const *)other);
    }
    return memcmp(one, other, config_value_bytes(key)) == 0;
}
