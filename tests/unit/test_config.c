/*
 * The configuration: what a file and a command line may say, what is refused with which sentence,
 * and that the documentation tells every key.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/config.h"
#include "service/scope.h"

static char path[] = "/tmp/forkful-config-XXXXXX";

static void write_file(const void *bytes, size_t size)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static bool load(struct config *config, const char *text, struct refusal *refusal)
{
    write_file(text, strlen(text));
    const struct config_source source = {.path = path};
    return config_load(config, &source, refusal);
}

static void assert_loads(struct config *config, const char *text)
{
    struct refusal refusal;
    if (!load(config, text, &refusal))
        fail_msg("%s", refusal.text);
}

/* `sentence` is what follows the file's name. */
static void assert_refused(const char *text, const char *sentence)
{
    struct config config;
    struct refusal refusal;
    char expected[1100];
    assert_false(load(&config, text, &refusal));
    snprintf(expected, sizeof expected, "%s%s", path, sentence);
    assert_string_equal(refusal.text, expected);
    assert_false(refusal.usage);
}

static bool set(struct config *config, struct refusal *refusal, const char *first,
                const char *second)
{
    const char *settings[] = {first, second};
    const struct config_source source = {.settings = settings, .setting_count = second ? 2 : 1};
    return config_load(config, &source, refusal);
}

static void without_a_source_every_key_has_its_default(void **state)
{
    struct config config;
    const struct config_source source = {.path = NULL};
    struct refusal refusal;
    assert_true(config_load(&config, &source, &refusal));
    assert_int_equal(config.max_processes, 10000);
    assert_int_equal(config.output_max_bytes, 67108864);
    assert_int_equal(config.output_when_full, FULL_DROP_OLDEST);
    assert_int_equal(config.retention_ended_age_us, INT64_C(7) * 86400 * 1000000);
    assert_int_equal(config.retention_logs_total_bytes, UINT64_C(8) << 30);
    assert_int_equal(config.stop_grace_us, 10000000);
    assert_int_equal(config.idempotency_age_us, INT64_C(86400) * 1000000);
    assert_int_equal(config.log_level, 10);
    assert_int_equal(config.sync, CONFIG_SYNC_NORMAL);
    assert_int_equal(config.listen.count, 0);
    assert_null(config.socket);
    config_free(&config);
}

static void every_default_lies_within_its_own_bounds(void **state)
{
    size_t count;
    const struct config_key *keys = config_keys(&count);
    for (size_t i = 0; i < count; i++) {
        struct config config = {.socket = NULL};
        char why[256] = "";
        if (keys[i].standard && !config_set(&config, &keys[i], keys[i].standard, why, sizeof why))
            fail_msg("%s: %s", keys[i].name, why);
    }
}

static void a_file_sets_keys_of_every_type(void **state)
{
    struct config config;
    assert_loads(&config, "# a comment\n"
                          "\n"
                          "max_processes = 12\n"
                          "  output.max_bytes=2 MiB   # sizes may have units\r\n"
                          "\tstop.grace_seconds = 0.25\n"
                          "output.when_full = block\n"
                          "socket = /run/a#b.sock\n"
                          "listen = 127.0.0.1:1\n"
                          "listen = [::1]:2");
    assert_int_equal(config.max_processes, 12);
    assert_int_equal(config.output_max_bytes, 2 << 20);
    assert_int_equal(config.stop_grace_us, 250000);
    assert_int_equal(config.output_when_full, FULL_BLOCK);
    assert_string_equal(config.socket, "/run/a#b.sock");
    assert_int_equal(config.listen.count, 2);
    assert_string_equal(config.listen.items[0], "127.0.0.1:1");
    assert_string_equal(config.listen.items[1], "[::1]:2");
    config_free(&config);
}

static void a_fault_is_told_with_file_line_and_key(void **state)
{
    assert_refused("\nmax_proceses = 1\n", ":2: max_proceses: there is no such key");
    assert_refused("max_processes\n", ":1: \"max_processes\" is not of the form key = value");
    assert_refused("max_processes = 0\n",
                   ":1: max_processes: must be a whole number from 1 to 1000000, not \"0\"");
    assert_refused("sync = often\n", ":1: sync: must be one of normal full, not \"often\"");
    assert_refused("sync = full\n#\nsync = full\n", ":3: sync: is set already in line 1");
    assert_refused("socket =\n", ":1: socket: must not be empty, not \"\"");
    assert_refused("socket = a\tb\n",
                   ":1: socket: must not contain control characters, not \"a\tb\"");
    assert_refused("= 1\n", ":1: : there is no such key");
}

static void users_of_the_socket_get_scopes(void **state)
{
    static const char *const wrong[] = {
        "read", "uid:1000", "uid:x read", "uid:-1 read", "uid:4294967295 read",
        "user:a read", "uid:1 read,", "gid:1 read root", "uid:1\tread"};
    char line[100], why[256];
    struct config config;
    assert_loads(&config, "unix.peer = uid:1000 read,logs\nunix.peer=gid:27   admin\n");
    assert_int_equal(config.unix_peers.count, 2);
    assert_false(config.unix_peers.items[0].is_group);
    assert_int_equal(config.unix_peers.items[0].id, 1000);
    assert_int_equal(config.unix_peers.items[0].scopes, SCOPE_READ | SCOPE_LOGS);
    assert_true(config.unix_peers.items[1].is_group);
    assert_int_equal(config.unix_peers.items[1].scopes, SCOPE_ADMIN);
    config_free(&config);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(line, sizeof line, "unix.peer = %s\n", wrong[i]);
        snprintf(why, sizeof why, ":1: unix.peer: must be uid:NUMBER or gid:NUMBER, a blank, and "
                 "some of " SCOPE_WORDS " with commas, not \"%s\"", wrong[i]);
        assert_refused(line, why);
    }
}

static void the_spawn_policy_is_read_and_what_it_cannot_mean_refused(void **state)
{
    static const struct { const char *line, *why; } wrong[] = {
        {"spawn.executables = bin/sh", "must be an absolute path"},
        {"spawn.directories = ./x", "must be an absolute path"},
        {"spawn.env_deny = A=B", "must be the name of a variable, or how it begins and a '*'"},
        {"spawn.env_allow = *A", "must be the name of a variable, or how it begins and a '*'"},
        {"spawn.max_rlimits = files=1", "must be the name of a limit, '=' and a whole number"},
        {"spawn.max_rlimits = nofile", "must be the name of a limit, '=' and a whole number"},
        {"spawn.max_rlimits = nofile=1K", "must be the name of a limit, '=' and a whole number"},
        {"spawn.no_new_privs = yes", "must be one of false true"}};
    struct config config;
    assert_loads(&config, "spawn.users = nobody\nspawn.users = 7\nspawn.env_deny = LD_*\n"
                          "spawn.max_rlimits = nofile=9\nspawn.max_rlimits = nproc=0\n");
    assert_int_equal(config.spawn_users.count, 2);
    assert_string_equal(config.spawn_env_deny.items[0], "LD_*");
    assert_int_equal(config.spawn_max_rlimits.mask, 1u << RLIMIT_NOFILE | 1u << RLIMIT_NPROC);
    assert_int_equal(config.spawn_max_rlimits.most[RLIMIT_NOFILE], 9);
    assert_true(config.spawn_no_new_privs && !config.spawn_allow_new_privs);
    config_free(&config);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char why[256], *value = strchr(wrong[i].line, '=') + 2;
        snprintf(why, sizeof why, ":1: %.*s: %s, not \"%s\"", (int)(value - wrong[i].line - 3),
                 wrong[i].line, wrong[i].why, value);
        assert_refused(wrong[i].line, why);
    }
}

static void clients_with_certificates_get_scopes(void **state)
{
    static const char *const wrong[] = {"CN=alice", "alice read", "CN=alice all", "CN=alice read,",
                                        "read", "CN=alice read, logs"};
    struct config config;
    char line[160], why[256];
    (void)state;
    assert_loads(&config, "tls.client = CN=alice read,logs\n"
                          "tls.client = CN=Bob the Builder,O=acme\\, inc   admin\n");
    assert_int_equal(config.tls_clients.count, 2);
    assert_string_equal(config.tls_clients.items[0].subject, "CN=alice");
    assert_int_equal(config.tls_clients.items[0].scopes, SCOPE_READ | SCOPE_LOGS);
    assert_string_equal(config.tls_clients.items[1].subject, "CN=Bob the Builder,O=acme\\, inc");
    assert_int_equal(config.tls_clients.items[1].scopes, SCOPE_ADMIN);
    config_free(&config);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(line, sizeof line, "tls.client = %s\n", wrong[i]);
        snprintf(why, sizeof why, ":1: tls.client: must be the name in a certificate as CN=alice, a "
                 "blank, and some of " SCOPE_WORDS " with commas, not \"%s\"", wrong[i]);
        assert_refused(line, why);
    }
}

static void a_number_is_taken_whole_or_not_at_all(void **state)
{
    static const char *const wrong[] = {
        "max_processes = 1x",      "max_processes = -1",     "max_processes = +1",
        "max_processes = 1000001", "max_processes = 99999999999999999999",
        "output.max_bytes = 1 MB", "output.max_bytes = 1.5M", "output.max_bytes = M",
        "output.max_bytes = 9999999999T", "output.max_bytes = 4095",
        "stop.grace_seconds = 1.", "stop.grace_seconds = .5", "stop.grace_seconds = 1.1234567",
        "stop.grace_seconds = 1s", "stop.grace_seconds = 9223372036854775807"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct config config;
        struct refusal refusal;
        if (load(&config, wrong[i], &refusal))
            fail_msg("%s was taken", wrong[i]);
        assert_non_null(strstr(refusal.text, "must be"));
    }
}

static void sizes_know_their_units(void **state)
{
    static const struct { const char *text; uint64_t bytes; } sizes[] = {
        {"output.max_bytes = 4096", 4096}, {"output.max_bytes = 5K", 5 << 10},
        {"output.max_bytes = 5 m", 5 << 20}, {"output.max_bytes = 3GiB", UINT64_C(3) << 30},
        {"output.max_bytes = 2T", UINT64_C(2) << 40}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct config config;
        assert_loads(&config, sizes[i].text);
        assert_int_equal(config.output_max_bytes, sizes[i].bytes);
        config_free(&config);
    }
}

static void a_list_has_a_limit(void **state)
{
    char text[1024] = "";
    for (int i = 0; i < CONFIG_LIST_MAX + 1; i++)
        strcat(text, "http.host = a\n");
    assert_refused(text, ":16: http.host: may stand 15 times at most, not \"a\"");
}

static void what_is_not_a_text_file_is_refused(void **state)
{
    struct config config;
    struct refusal refusal;
    struct config_source source = {.path = path};

    write_file("sync = full\0", 12);
    assert_false(config_load(&config, &source, &refusal));
    assert_non_null(strstr(refusal.text, "NUL byte"));

    char *big = calloc(1, CONFIG_FILE_BYTES_MAX + 1);
    memset(big, '\n', CONFIG_FILE_BYTES_MAX + 1);
    write_file(big, CONFIG_FILE_BYTES_MAX + 1);
    assert_false(config_load(&config, &source, &refusal));
    assert_non_null(strstr(refusal.text, "larger than"));
    write_file(big, CONFIG_FILE_BYTES_MAX);
    assert_true(config_load(&config, &source, &refusal));
    config_free(&config);
    free(big);

    source.path = "/";
    assert_false(config_load(&config, &source, &refusal));
    source.path = "/dev/null";
    assert_false(config_load(&config, &source, &refusal));
    assert_non_null(strstr(refusal.text, "regular file"));
    source.path = "/nowhere/at/all";
    assert_false(config_load(&config, &source, &refusal));
    assert_string_equal(refusal.text,
                        "/nowhere/at/all: cannot be opened: No such file or directory");
}

static void the_command_line_wins_and_replaces_lists(void **state)
{
    static const char *const settings[] = {"max-processes=3", "listen=127.0.0.1:3",
                                           "listen=127.0.0.1:4"};
    const struct config_source source = {.path = path, .settings = settings, .setting_count = 3};
    const char file[] = "max_processes = 2\nlisten = 127.0.0.1:1\nstop.grace_seconds = 2\n";
    struct config config;
    struct refusal refusal;
    write_file(file, strlen(file));
    assert_true(config_load(&config, &source, &refusal));
    assert_int_equal(config.max_processes, 3);
    assert_int_equal(config.stop_grace_us, 2000000);
    assert_int_equal(config.listen.count, 2);
    assert_string_equal(config.listen.items[0], "127.0.0.1:3");
    assert_string_equal(config.listen.items[1], "127.0.0.1:4");
    config_free(&config);
}

static void a_fault_on_the_command_line_is_one_of_usage(void **state)
{
    struct config config;
    struct refusal refusal;
    assert_false(set(&config, &refusal, "max-processes=many", NULL));
    assert_true(refusal.usage);
    assert_string_equal(refusal.text, "--max-processes: must be a whole number from 1 to 1000000, "
                                      "not \"many\"");
    assert_false(set(&config, &refusal, "max-proceses=1", NULL));
    assert_true(refusal.usage);
}

static void the_last_one_counts_on_the_command_line(void **state)
{
    struct config config;
    struct refusal refusal;
    assert_true(set(&config, &refusal, "socket=/a", "socket=/b"));
    assert_string_equal(config.socket, "/b");
    config_free(&config);
}

static void an_option_names_its_key_with_hyphens(void **state)
{
    assert_string_equal(config_key_of_option("output-when-full", 16)->name, "output.when_full");
    assert_string_equal(config_key_of_option("max_processes", 13)->name, "max_processes");
    assert_null(config_key_of_option("max", 3));
    assert_null(config_key_of_option("", 0));
}

static void no_two_keys_have_the_same_option(void **state)
{
    size_t count;
    const struct config_key *keys = config_keys(&count);
    for (size_t i = 0; i < count; i++)
        assert_ptr_equal(config_key_of_option(keys[i].name, strlen(keys[i].name)), &keys[i]);
}

static void note_kept(void *context, const char *key)
{
    strcat(strcat(context, key), " ");
}

static void a_reload_takes_what_may_change_and_names_what_may_not(void **state)
{
    struct config config, next;
    char kept[256] = "";
    assert_loads(&config, "listen = 127.0.0.1:1\nmax_processes = 1\nsocket = /a\n");
    assert_loads(&next, "listen = 127.0.0.1:2\nmax_processes = 2\nsocket = /a\nlog.level = error\n"
                        "http.connections = 20\n");
    config_reload(&config, &next, note_kept, kept);
    assert_int_equal(config.max_processes, 2);
    assert_int_equal(config.log_level, 40);
    assert_string_equal(config.listen.items[0], "127.0.0.1:1");
    assert_int_equal(config.http_connections, 16384);
    assert_string_equal(kept, "listen http.connections ");
    config_free(&config);
    config_free(&next);
}

/* Whole file, NUL-terminated; the caller frees it. */
static char *read_documentation(void)
{
    FILE *file = fopen("docs/configuration.md", "r");
    struct stat status;
    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &status), 0);
    char *text = calloc(1, (size_t)status.st_size + 1);
    assert_int_equal(fread(text, 1, (size_t)status.st_size, file), status.st_size);
    fclose(file);
    return text;
}

static void the_documentation_has_a_row_for_every_key_with_its_default(void **state)
{
    char *text = read_documentation();
    size_t count, rows = 0;
    const struct config_key *keys = config_keys(&count);
    for (size_t i = 0; i < count; i++) {
        char row[160];
        snprintf(row, sizeof row, keys[i].standard ? "\n| `%s` | `%s` |" : "\n| `%s` | ",
                 keys[i].name, keys[i].standard);
        const char *found = strstr(text, row);
        if (!found)
            fail_msg("docs/configuration.md has no row %s", row + 1);
        const char *reload = strstr(found, "| reload |"), *end = strchr(found + 1, '\n');
        assert_int_equal(keys[i].reload, reload && reload < end);
    }
    for (const char *row = text; (row = strstr(row, "\n| `")); row++)
        rows++;
    assert_int_equal(rows, count);
    free(text);
}

static int make_file(void **state)
{
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_source_every_key_has_its_default),
        cmocka_unit_test(every_default_lies_within_its_own_bounds),
        cmocka_unit_test(a_file_sets_keys_of_every_type),
        cmocka_unit_test(a_fault_is_told_with_file_line_and_key),
        cmocka_unit_test(users_of_the_socket_get_scopes),
        cmocka_unit_test(the_spawn_policy_is_read_and_what_it_cannot_mean_refused),
        cmocka_unit_test(clients_with_certificates_get_scopes),
        cmocka_unit_test(a_number_is_taken_whole_or_not_at_all),
        cmocka_unit_test(sizes_know_their_units),
        cmocka_unit_test(a_list_has_a_limit),
        cmocka_unit_test(what_is_not_a_text_file_is_refused),
        cmocka_unit_test(the_command_line_wins_and_replaces_lists),
        cmocka_unit_test(a_fault_on_the_command_line_is_one_of_usage),
        cmocka_unit_test(the_last_one_counts_on_the_command_line),
        cmocka_unit_test(an_option_names_its_key_with_hyphens),
        cmocka_unit_test(no_two_keys_have_the_same_option),
        cmocka_unit_test(a_reload_takes_what_may_change_and_names_what_may_not),
        cmocka_unit_test(the_documentation_has_a_row_for_every_key_with_its_default),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
