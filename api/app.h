/*
 * The whole server: the domain, its HTTP side, and what the two share.
 *
 * One struct, made by server_main.c, reached by every handler through request_app(). Loop thread.
 */
#ifndef FORKFUL_API_APP_H
#define FORKFUL_API_APP_H

#include <limits.h>

#include "api/http.h"
#include "api/listen.h"
#include "service/service.h"

#define LISTENERS_MAX 16

struct app {
    struct service service;
    struct http *http;
    struct config config;
    char admin_token[128];
    char state_dir[PATH_MAX], runtime_dir[PATH_MAX], binary_path[PATH_MAX], config_path[PATH_MAX];
    char listening[2048];              /* the JSON array of the listeners' addresses */
    char pages[LISTENERS_MAX][LISTEN_URL_BYTES]; /* where browsers find the dashboard, without a slash */
    unsigned page_count;
    char boot_id[40];
    int binary_fd;
    unsigned server_restarts;
    /* http.connections, over TCP and on the Unix socket, as far as our descriptors allow it. */
    unsigned http_connections, unix_connections;
    struct problem *(*reload)(struct app *app);          /* SIGHUP and nothing else */
    void (*upgrade)(struct app *app);                    /* the answer is out: hand over */
};

/* Stored with the open batch, for this daemon's next server. "": the configuration's holds. False:
   no memory. */
bool app_keep_log_level(struct app *app, const char *level);

#define SECOND_US 1000000ll
#define JOIN_STANDARD_US (30 * SECOND_US) /* of endpoints named join or wait, without wait= */

/* The {id} of a path as a process the caller may see, or NULL after answering 404. */
struct process *find_process(struct request *request);
/* The same, and the caller may act on it; NULL after answering 404 or 403. */
struct process *find_process_to_act_on(struct request *request);
/* Who makes what this caller makes: itself, or nobody for the admin. */
struct owner principal_owner(const struct principal *principal);
/* To whom what he makes is charged; see service/account.h. */
struct fact_id principal_account(const struct principal *principal);
/* A process or session acts on itself and on what it or its descendants made, all others on
   everything. */
bool principal_may_act_on(const struct app *app, const struct principal *principal,
                          const struct process *process);

#endif
