/*
 * The configuration: `key = value` lines in a file, and the same keys as options of the command
 * line.
 *
 * One table (config_keys) says every key's name, type, default, bounds, and whether SIGHUP may
 * change it while the daemon runs. The command line wins over the file, the file over the
 * defaults; a list given on the command line replaces the file's list. The launcher reads it to
 * bind and to lock; each server reads it again at its start and at SIGHUP, from the same struct
 * config_source. docs/configuration.md tells the rules of the file, and a test holds it to the
 * table.
 *
 * Plain data owned by the caller; strings belong to the struct config and end with config_free.
 */
#ifndef FORKFUL_SERVICE_CONFIG_H
#define FORKFUL_SERVICE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service/refusal.h"
#include "service/spec.h"

#define CONFIG_LIST_MAX 15            /* listeners besides the Unix socket; host names */
#define CONFIG_POLICY_MAX 64          /* names and paths of the spawn policy, of each kind */
#define CONFIG_FILE_BYTES_MAX (1u << 20)

enum config_sync { CONFIG_SYNC_NORMAL, CONFIG_SYNC_FULL };
enum config_seccomp { CONFIG_SECCOMP_AUTO, CONFIG_SECCOMP_ON, CONFIG_SECCOMP_OFF };

struct config_list {
    char *items[CONFIG_POLICY_MAX];   /* owned */
    size_t count;
};

struct config_peer {                  /* "uid:1000 read,logs": a user of the Unix socket */
    uint32_t is_group, id;
    unsigned scopes;                  /* enum scope */
};

struct config_peers {
    struct config_peer items[CONFIG_LIST_MAX];
    size_t count;
};

struct config_limits {                /* "nofile=1024": what a process may have at most */
    uint64_t most[SPAWN_RLIMITS];     /* by RLIMIT_*; in the limit's unit */
    uint32_t mask;                    /* bit r: most[r] counts */
    uint32_t reserved;                /* 0: compared with the rest */
};

struct config_client {                /* "CN=alice read,operate": a client with a certificate */
    char *subject;                    /* owned */
    unsigned scopes;                  /* enum scope */
};

struct config_clients {
    struct config_client items[CONFIG_LIST_MAX];
    size_t count;
};

/* Durations are microseconds, sizes bytes. */
struct config {
    struct config_list listen;        /* ADDR:PORT, tls:ADDR:PORT; empty: 127.0.0.1:8717 */
    char *socket;                     /* path; NULL: STATE/forkful.sock; "none": no socket */
    struct config_peers unix_peers;   /* empty: the socket is the daemon's own user's alone */
    char *server_user;                /* NULL: the server runs as who starts the daemon */
    struct config_list server_spawn_users; /* as whom processes may run besides it */
    enum config_seccomp server_seccomp; /* auto: with server_user */
    char *tls_certificate, *tls_key;  /* paths of PEM files; NULL: no TLS */
    char *tls_client_ca;              /* NULL: clients show no certificates */
    struct config_clients tls_clients;
    uint64_t spool_bytes;             /* of a new spool's ring */
    uint64_t max_processes;           /* alive at once */
    uint64_t max_sessions;            /* alive at once */
    uint64_t max_tokens;              /* besides the admin's own */
    uint64_t max_objects;             /* coordination objects of all kinds */
    uint64_t max_holds;               /* live ones */
    uint64_t max_payload_bytes;       /* one message, one stdin write */
    enum config_sync sync;            /* how durably facts about processes are committed */
    int core_dumps;                   /* 1: keeper and server may write them */
    int log_level;                    /* 10 debug, 20 info, 30 warning, 40 error */

    uint64_t retention_ended_count;
    int64_t retention_ended_age_us;
    uint64_t retention_logs_total_bytes;
    uint64_t logs_wal_bytes;          /* what is written but not copied back to logs.db */
    uint64_t feed_max_changes, feed_max_log;   /* rows kept */
    int64_t feed_age_us;
    uint64_t audit_max_rows;
    int64_t audit_age_us;
    int64_t idempotency_age_us;

    uint64_t queues_max_total_bytes;  /* messages of all queues and pipes */
    uint64_t pools_max_total_bytes;   /* payloads and results of all pools' tasks */
    uint64_t pools_keep_tasks;        /* that have ended, for their results */
    int64_t pools_keep_us;

    uint64_t metrics_objects;         /* of each kind that have series of their own in /metrics */

    uint64_t output_max_bytes;        /* default of a process's output.max_bytes */
    enum when_full output_when_full;  /* default of its output.when_full */
    int64_t stop_grace_us;            /* default of its stop.grace_seconds */
    int64_t shutdown_wait_us;         /* default of POST /v1/shutdown wait_seconds */

    /* The spawn policy; see policy.h. Empty lists and 0 say nothing. */
    int spawn_no_new_privs;           /* 1: where a spawn does not say */
    int spawn_allow_new_privs;        /* 1: a spawn may say that it does without */
    struct config_list spawn_users, spawn_groups;       /* names or numbers */
    struct config_list spawn_executables;               /* files, or directories with a '/' at the end */
    struct config_list spawn_directories;
    struct config_list spawn_env_allow, spawn_env_deny; /* names, or beginnings with a '*' behind */
    struct config_list spawn_secret_directories;        /* where files of env_from lie; empty: nowhere */
    int spawn_secrets_for_processes;  /* 1: processes may ask for them too */
    struct config_limits spawn_max_rlimits;
    uint64_t spawn_max_processes_per_owner;

    struct config_list http_hosts;    /* accepted in Host besides localhost and addresses */
    uint64_t auth_failures;           /* wrong tokens of one peer at once */
    uint64_t auth_code_failures;      /* wrong login codes */
    uint64_t http_connections;        /* open at once over TCP; as many more on the Unix socket */
    uint64_t http_body_bytes;         /* a JSON body, where the route has no limit of its own */
    int64_t http_header_us;           /* from a request's first byte to its header's last */
    int64_t http_body_us;             /* from there to the body's last byte */
    int64_t http_idle_us;             /* between two requests of a connection */
};

enum config_type {                    /* those whose keys repeat stand first, up to CONFIG_CLIENTS */
    CONFIG_LIST,                      /* struct config_list; the key repeats */
    CONFIG_PATHS,                     /* a list of absolute paths */
    CONFIG_VARIABLES,                 /* a list of names of variables, a '*' at the end perhaps */
    CONFIG_LIMITS,                    /* struct config_limits; the key repeats */
    CONFIG_PEERS,                     /* struct config_peers; the key repeats */
    CONFIG_CLIENTS,                   /* struct config_clients; the key repeats */
    CONFIG_TEXT,                      /* char * */
    CONFIG_COUNT,                     /* uint64_t */
    CONFIG_BYTES,                     /* uint64_t; K, M, G, T (of 1024) may follow */
    CONFIG_SECONDS,                   /* int64_t microseconds; written with up to 6 decimals */
    CONFIG_WORD,                      /* int-sized enum; one of `words` */
};

struct config_word {
    const char *text;
    int value;
};

struct config_key {
    const char *name;
    enum config_type type;
    size_t offset;                    /* of the field in struct config */
    const char *standard;             /* the default as it would be written; NULL: empty */
    int64_t least, most;              /* COUNT and BYTES: units; SECONDS: microseconds; lists: items */
    const struct config_word *words;  /* CONFIG_WORD; ends with text NULL */
    bool reload;                      /* SIGHUP may change it */
};

struct config_source {
    const char *path;                 /* of the file; NULL: none */
    const char *text;                 /* what it holds; NULL: it is read */
    const char *const *settings;      /* "key=value"; in the key '-' stands for '_' and '.' */
    size_t setting_count;
};

const struct config_key *config_keys(size_t *count);
bool config_key_repeats(const struct config_key *key);
/* The key a command line's word names ("max-processes"), or NULL. */
const struct config_key *config_key_of_option(const char *word, size_t bytes);

/* Reads `value` into the key's field; lists are appended to. False: `why` says what it must be. */
bool config_set(struct config *config, const struct config_key *key, const char *value, char *why,
                size_t why_bytes);
bool config_value_equal(const struct config *a, const struct config *b,
                        const struct config_key *key);
/* Frees what the field owns and makes it empty. */
void config_value_clear(struct config *config, const struct config_key *key);
/* Bytes of the field in struct config. */
size_t config_value_bytes(const struct config_key *key);

/* What the file holds, for the caller to free. NULL: `refusal` says why. */
char *config_file_text(const char *path, struct refusal *refusal);

void config_defaults(struct config *config);
/* Defaults, then the file, then the settings. On false `refusal` says "/etc/forkful.conf:3:
   max_processes: …" and `config` is empty. */
bool config_load(struct config *config, const struct config_source *source,
                 struct refusal *refusal);
void config_free(struct config *config);

/* Takes over from `next` what may change while the daemon runs; `next` gets the old values and
   still has to be freed. Calls `kept` for each key that differs and needs a restart. */
void config_reload(struct config *config, struct config *next,
                   void (*kept)(void *context, const char *key), void *context);

#endif
